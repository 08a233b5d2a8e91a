//! How many streams there may be (RFC 9000 section 4.6).

use super::flow_control::Growth;
use crate::ranges::RangeSet;
use crate::wire::Dir;

/// The largest count of streams of one type: more have no stream ID (RFC 9000 section 4.6).
pub(super) const MAX_STREAMS: u64 = 1 << 60;

/// One value for each direction.
#[derive(Debug)]
pub(super) struct PerDir<T> {
    bidi: T,
    uni: T,
}

impl<T> PerDir<T> {
    pub(super) fn new(bidi: T, uni: T) -> Self {
        Self { bidi, uni }
    }

    pub(super) fn get(&self, dir: Dir) -> &T {
        match dir {
            Dir::Bidi => &self.bidi,
            Dir::Uni => &self.uni,
        }
    }

    pub(super) fn get_mut(&mut self, dir: Dir) -> &mut T {
        match dir {
            Dir::Bidi => &mut self.bidi,
            Dir::Uni => &mut self.uni,
        }
    }
}

/// Streams of one direction that we open.
#[derive(Debug, Default)]
pub(super) struct LocalStreams {
    next: u64,
    /// The peer's limit; `None` until it is known.
    limit: Option<u64>,
    /// An attempt to open was refused at the present limit.
    refused: bool,
    /// The limit rose after a refusal, which nobody was told of yet.
    available: bool,
    /// The limit that the last STREAMS_BLOCKED frame named.
    reported: Option<u64>,
}

impl LocalStreams {
    /// The index of a new stream; `None` at the limit.
    pub(super) fn open(&mut self) -> Option<u64> {
        let index = self.next;
        if index >= self.limit.unwrap_or(0) {
            self.refused = true;
            return None;
        }
        self.next += 1;
        Some(index)
    }

    /// How many may be opened now.
    pub(super) fn left(&self) -> u64 {
        self.limit.unwrap_or(0).saturating_sub(self.next)
    }

    pub(super) fn is_open(&self, index: u64) -> bool {
        index < self.next
    }

    /// A limit from the peer. One that does not raise it is ignored (RFC 9000 section 4.6). Returns whether it did.
    pub(super) fn raise(&mut self, limit: u64) -> bool {
        let previous = self.limit.unwrap_or(0);
        self.limit = Some(previous.max(limit.min(MAX_STREAMS)));
        if self.refused && self.next < self.limit.unwrap_or(0) {
            self.refused = false;
            self.available = true;
        }
        self.limit.unwrap_or(0) > previous
    }

    /// Whether streams became available since a refusal, told once.
    pub(super) fn take_available(&mut self) -> bool {
        core::mem::take(&mut self.available)
    }

    /// The limit that STREAMS_BLOCKED has to name, where one is due.
    #[inline]
    pub(super) fn report_due(&self) -> Option<u64> {
        self.limit.filter(|_| self.refused && self.reported != self.limit)
    }

    pub(super) fn on_reported(&mut self, limit: u64) {
        self.reported = Some(limit);
    }

    pub(super) fn on_report_lost(&mut self, limit: u64) {
        if self.reported == Some(limit) {
            self.reported = None;
        }
    }
}

/// What a stream ID of the peer's stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// A stream that no frame named so far.
    New,
    /// A stream that is over.
    Closed,
    /// More than we allow.
    BeyondLimit,
}

/// Streams of one direction that the peer opens.
#[derive(Debug)]
pub(super) struct RemoteStreams {
    /// How many may be open at a time; the initial limit where the caller raises it.
    window: u64,
    /// What the caller allows, where it raises the limit.
    granted: Option<u64>,
    next: u64,
    closed: u64,
    limit: u64,
    repeat: bool,
    /// The limit grows no more.
    frozen: bool,
    /// Streams that a higher number opened and that no frame named so far (RFC 9000 section 3.2). At most
    /// `window` of them.
    unnamed: RangeSet,
}

impl RemoteStreams {
    pub(super) fn new(window: u64, growth: Growth) -> Self {
        let window = window.min(MAX_STREAMS);
        let granted = (growth == Growth::Manual).then_some(window);
        Self {
            window,
            granted,
            next: 0,
            closed: 0,
            limit: window,
            repeat: false,
            frozen: false,
            unnamed: RangeSet::new(),
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Opens the stream, and those below it.
    pub(super) fn admit(&mut self, index: u64) -> Admission {
        if index >= self.limit {
            return Admission::BeyondLimit;
        }
        if index >= self.next {
            self.unnamed.insert(self.next..index);
            self.next = index + 1;
            return Admission::New;
        }
        if self.unnamed.contains(index) {
            self.unnamed.remove(index..index + 1);
            return Admission::New;
        }
        Admission::Closed
    }

    pub(super) fn on_closed(&mut self) {
        self.closed += 1;
    }

    /// The caller allows `count` more. Of no effect where the limit grows by itself.
    pub(super) fn extend(&mut self, count: u64) {
        self.granted = self.granted.map(|granted| granted.saturating_add(count).min(MAX_STREAMS));
    }

    /// Raises the limit no more.
    pub(super) fn freeze(&mut self) {
        self.frozen = true;
    }

    #[inline]
    fn next_limit(&self) -> u64 {
        if self.frozen {
            return self.limit;
        }
        if let Some(granted) = self.granted {
            return granted;
        }
        self.closed.saturating_add(self.window).min(MAX_STREAMS)
    }

    /// Whether MAX_STREAMS is due. Unlike bytes, each closed stream counts at once: a peer that needs the
    /// whole window open at a time must get it.
    #[inline]
    pub(super) fn update_due(&self) -> bool {
        self.repeat || self.next_limit() > self.limit
    }

    /// The limit to announce, which counts as announced from now on.
    pub(super) fn announce(&mut self) -> u64 {
        self.repeat = false;
        self.limit = self.limit.max(self.next_limit());
        self.limit
    }

    pub(super) fn on_announcement_lost(&mut self, limit: u64) {
        self.repeat |= limit == self.limit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_number_opens_the_lower_ones() {
        let mut streams = RemoteStreams::new(4, Growth::Manual);
        assert_eq!(streams.admit(2), Admission::New);
        assert_eq!(streams.admit(2), Admission::Closed);
        assert_eq!(streams.admit(0), Admission::New);
        assert_eq!(streams.admit(0), Admission::Closed);
        assert_eq!(streams.admit(1), Admission::New);
        assert_eq!(streams.admit(4), Admission::BeyondLimit);
    }

    #[test]
    fn a_refusal_is_reported_only_at_a_known_limit() {
        let mut streams = LocalStreams::default();
        assert_eq!(streams.open(), None);
        assert_eq!(streams.report_due(), None);
        streams.raise(1);
        assert!(streams.take_available() && !streams.take_available());
        assert_eq!(streams.open(), Some(0));
        assert_eq!(streams.open(), None);
        assert_eq!(streams.report_due(), Some(1));
        streams.on_reported(1);
        assert_eq!(streams.report_due(), None);
        streams.on_report_lost(1);
        assert_eq!(streams.report_due(), Some(1));
    }
}
