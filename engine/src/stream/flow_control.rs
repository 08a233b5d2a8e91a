//! Credit, of a stream and of the connection (RFC 9000 sections 4.1 and 4.2).
//!
//! Both levels count alike, so one type serves both: [`ReceiveWindow`] is the credit that we give and
//! [`SendCredit`] the credit that we have.

use crate::wire::{Time, varint};

/// How the credit grows that the peer has for sending to us (RFC 9000 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowControl {
    /// By itself, as the caller reads: the peer may be a window ahead of what was read, and a limit is announced when
    /// half of its window was read since the last one. A window doubles when two announcements are less than two
    /// round trips apart: the peer could use more than it has. The initial windows are those of the limits announced
    /// in transport parameters. Closed streams of the peer's make room for new ones.
    Automatic {
        /// What the connection's window may grow to, in bytes, 0 to 2^62 - 1. Default: 16 MiB, which fills 1 Gbit/s
        /// over 130 ms; more per connection lets few peers take the memory of many.
        max_window: u64,
        /// What a stream's window may grow to, in bytes, at most 4 GiB. Default: 8 MiB, half of the connection's, so
        /// that one stream that is not read leaves room for others.
        max_stream_window: u64,
    },
    /// By calls alone: `extend_max_data`, `extend_max_stream_data` and `extend_max_streams`. What was received and is
    /// dropped unread, with a reset or a stop, still counts for the connection by itself.
    Manual,
}

impl Default for FlowControl {
    fn default() -> Self {
        Self::Automatic { max_window: 16 << 20, max_stream_window: 8 << 20 }
    }
}

impl FlowControl {
    pub(super) fn growth(self) -> Growth {
        match self {
            Self::Automatic { max_window, .. } => Growth::Automatic { max_window },
            Self::Manual => Growth::Manual,
        }
    }

    pub(super) fn stream_growth(self) -> Growth {
        match self {
            Self::Automatic { max_stream_window: max_window, .. } => Growth::Automatic { max_window },
            Self::Manual => Growth::Manual,
        }
    }
}

/// What raises the limit of a [`ReceiveWindow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Automatic { max_window: u64 },
    Manual,
}

/// What the windows grow by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The caller's clock.
    pub now: Time,
    /// The smoothed round-trip time, in nanoseconds; 0 where windows are not to grow.
    pub smoothed_rtt: Time,
    /// Bytes of memory left for what arrives: no window grows by more.
    pub headroom: u64,
}

/// Credit given to the peer. `consumed <= received <= limit`, always.
#[derive(Clone, Debug)]
pub(super) struct ReceiveWindow {
    growth: Growth,
    /// How far `limit` may run ahead of `consumed`; the initial limit where the caller raises it.
    window: u64,
    /// A stream's largest offset; for the connection, the sum of those.
    received: u64,
    /// What left our buffers: read, or dropped with a reset or a stop.
    consumed: u64,
    /// The largest limit announced so far.
    limit: u64,
    /// What the caller allows, where it raises the limit.
    granted: u64,
    /// The announcement of `limit` did not arrive, or the peer says that it waits.
    repeat: bool,
    /// When a limit was last announced.
    announced: Option<Time>,
}

impl ReceiveWindow {
    pub(super) fn new(window: u64, growth: Growth) -> Self {
        let window = window.min(varint::MAX);
        Self {
            growth,
            window,
            received: 0,
            consumed: 0,
            limit: window,
            granted: window,
            repeat: false,
            announced: None,
        }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether the peer may send `more` new bytes.
    pub(super) fn admits(&self, more: u64) -> bool {
        more <= self.limit.saturating_sub(self.received)
    }

    pub(super) fn on_received(&mut self, more: u64) {
        debug_assert!(self.admits(more));
        self.received = self.received.saturating_add(more);
    }

    /// The caller read.
    pub(super) fn on_read(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes);
        debug_assert!(self.consumed <= self.received);
    }

    /// Bytes went that the caller will never see: it cannot give credit for them, so that happens here.
    pub(super) fn on_dropped(&mut self, bytes: u64) {
        self.on_read(bytes);
        self.extend(bytes);
    }

    /// The caller allows `bytes` more. Of no effect where the limit grows by itself.
    pub(super) fn extend(&mut self, bytes: u64) {
        self.granted = self.granted.saturating_add(bytes).min(varint::MAX);
    }

    /// The limit that could be announced now.
    fn next_limit(&self) -> u64 {
        match self.growth {
            Growth::Automatic { .. } => self.consumed.saturating_add(self.window).min(varint::MAX),
            Growth::Manual => self.granted,
        }
    }

    /// Whether an announcement is due: the limit could rise by half of the window, so that updates are few (RFC 9000
    /// section 4.2), or the last one has to be repeated. What the caller allows is also announced when the peer has
    /// less than that left: nothing says that more will follow.
    #[inline]
    pub(super) fn update_due(&self) -> bool {
        let increment = self.next_limit().saturating_sub(self.limit);
        let half = self.window / 2;
        let scarce = self.growth == Growth::Manual && self.limit.saturating_sub(self.received) <= half;
        self.repeat || (increment > 0 && (increment >= half || scarce))
    }

    /// The limit to announce, which counts as announced from now on.
    pub(super) fn announce(&mut self, pace: &Pace) -> u64 {
        self.repeat = false;
        if self.next_limit() > self.limit {
            self.tune(pace);
            self.announced = Some(pace.now);
        }
        self.limit = self.limit.max(self.next_limit());
        self.limit
    }

    /// Doubles the window where announcements follow each other closely.
    fn tune(&mut self, pace: &Pace) {
        let (Growth::Automatic { max_window }, Some(last)) = (self.growth, self.announced) else { return };
        let growth = self.window.min(max_window.saturating_sub(self.window));
        if pace.now.saturating_sub(last) < pace.smoothed_rtt.saturating_mul(2) && growth <= pace.headroom {
            self.window += growth;
        }
    }

    /// The announcement of `limit` was lost: sent again unless a larger one followed (RFC 9000 section 13.3).
    pub(super) fn on_announcement_lost(&mut self, limit: u64) {
        self.repeat |= limit == self.limit;
    }

    /// The peer cannot send past `limit`: what can be given is given now.
    pub(super) fn on_peer_blocked(&mut self, limit: u64) {
        self.repeat |= limit == self.limit && self.next_limit() > self.limit;
    }
}

/// Credit that the peer gave. `used <= limit`, always.
#[derive(Clone, Debug)]
pub(super) struct SendCredit {
    limit: u64,
    used: u64,
    /// The limit that the last BLOCKED frame named.
    reported: Option<u64>,
}

impl SendCredit {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0, reported: None }
    }

    pub(super) fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(super) fn take(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.available());
        self.used = self.used.saturating_add(bytes);
    }

    /// Gives back credit that was taken for bytes that were never sent.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// A limit from the peer. One that does not raise it is ignored (RFC 9000 section 4.1).
    pub(super) fn raise(&mut self, limit: u64) -> bool {
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    /// Whether a blocked sender has yet to report the limit that blocks it.
    #[inline]
    pub(super) fn report_due(&self) -> bool {
        self.available() == 0 && self.reported != Some(self.limit)
    }

    pub(super) fn has_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// The limit for a BLOCKED frame, which counts as sent from now on.
    pub(super) fn report(&mut self) -> u64 {
        self.reported = Some(self.limit);
        self.limit
    }

    pub(super) fn on_report_lost(&mut self, limit: u64) {
        if self.reported == Some(limit) {
            self.reported = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn automatic(window: u64) -> ReceiveWindow {
        ReceiveWindow::new(window, FlowControl::default().growth())
    }

    #[test]
    fn an_update_is_due_at_half_of_the_window() {
        let mut window = automatic(100);
        window.on_received(100);
        assert!(!window.admits(1));
        window.on_read(49);
        assert!(!window.update_due());
        window.on_read(1);
        assert!(window.update_due());
        assert_eq!(window.announce(&Pace::default()), 150);
        assert!(!window.update_due());
    }

    #[test]
    fn only_the_latest_announcement_is_repeated() {
        let mut window = automatic(10);
        window.on_received(10);
        window.on_read(5);
        assert_eq!(window.announce(&Pace::default()), 15);
        window.on_read(5);
        assert_eq!(window.announce(&Pace::default()), 20);
        window.on_announcement_lost(15);
        assert!(!window.update_due());
        window.on_announcement_lost(20);
        assert!(window.update_due());
        assert_eq!(window.announce(&Pace::default()), 20);
    }

    #[test]
    fn no_window_is_never_due_and_no_limit_passes_the_largest_integer() {
        assert!(!automatic(0).update_due());
        let mut window = automatic(u64::MAX);
        window.on_received(7);
        window.on_read(7);
        assert!(!window.update_due());
        assert_eq!(window.announce(&Pace::default()), varint::MAX);
    }

    #[test]
    fn a_window_grows_to_its_maximum_while_announcements_are_close() {
        let mut window = ReceiveWindow::new(100, Growth::Automatic { max_window: 350 });
        let mut consume = |bytes: u64, now: Time, headroom: u64| {
            window.on_received(bytes);
            window.on_read(bytes);
            window.announce(&Pace { now, smoothed_rtt: 10, headroom });
            window.window()
        };
        assert_eq!(consume(50, 1_000, 1_000), 100, "the first has none before it");
        assert_eq!(consume(50, 1_020, 1_000), 100, "two round trips");
        assert_eq!(consume(50, 1_039, 99), 100, "no memory");
        assert_eq!(consume(50, 1_058, 1_000), 200);
        assert_eq!(consume(100, 1_077, 1_000), 350);
        assert_eq!(consume(200, 1_096, 1_000), 350);
    }

    #[test]
    fn what_the_caller_allows_is_announced_in_halves_or_when_little_is_left() {
        let mut window = ReceiveWindow::new(100, Growth::Manual);
        window.extend(10);
        assert!(!window.update_due());
        window.on_received(50);
        window.on_read(50);
        assert!(window.update_due(), "50 left");
        assert_eq!(window.announce(&Pace::default()), 110);
        assert!(!window.update_due(), "reading gives nothing");
        window.extend(50);
        assert_eq!((window.update_due(), window.announce(&Pace::default())), (true, 160));
        window.on_received(10);
        window.on_dropped(10);
        assert_eq!(window.next_limit(), 170);
        window.extend(u64::MAX);
        assert_eq!(window.announce(&Pace::default()), varint::MAX);
    }

    #[test]
    fn a_limit_is_reported_once() {
        let mut credit = SendCredit::new(3);
        credit.take(3);
        assert!(credit.report_due());
        assert_eq!(credit.report(), 3);
        assert!(!credit.report_due());
        credit.on_report_lost(2);
        assert!(!credit.report_due());
        credit.on_report_lost(3);
        assert!(credit.report_due());
        assert!(credit.raise(4) && !credit.raise(4) && !credit.report_due());
    }
}
