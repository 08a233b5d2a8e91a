//! The packets received in one packet number space, and when to acknowledge them (RFC 9000 section 13.2).
//!
//! Invariants:
//! - At most [`MAX_ACK_RANGES`] ranges are kept. Every number below `floor` counts as received, so that a packet is
//!   never processed twice and the state does not grow (RFC 9000 section 13.2.3).
//! - The ranges, where there are any, hold the largest number received.

use core::ops::RangeInclusive;

use crate::ranges::RangeSet;
use crate::wire::{Ecn, EcnCounts, Space, Time};

/// How many ranges of received packets are kept and acknowledged.
pub const MAX_ACK_RANGES: usize = 64;

/// What was received in a packet number space.
#[derive(Clone, Debug)]
pub struct ReceivedPackets {
    ranges: RangeSet,
    floor: u64,
    /// The largest number received, and when.
    largest: Option<(u64, Time)>,
    largest_ack_eliciting: Option<u64>,
    /// When the first ack-eliciting packet that awaits an acknowledgment arrived.
    waiting_since: Option<Time>,
    /// The lowest ack-eliciting packet that awaits one.
    waiting_from: Option<u64>,
    waiting: u64,
    needed_now: bool,
    /// Ack-eliciting packets to wait for before an acknowledgment goes out; 1 means at once.
    threshold: u64,
    ecn: EcnCounts,
}

impl ReceivedPackets {
    /// Nothing received yet. Initial and Handshake packets are acknowledged at once, others after
    /// `ack_eliciting_threshold` ack-eliciting packets or the acknowledgment delay.
    #[must_use]
    pub fn new(space: Space, ack_eliciting_threshold: u64) -> Self {
        // RFC 9000 section 13.2.1: ack-eliciting Initial and Handshake packets are acknowledged immediately.
        let threshold = if space == Space::Application { ack_eliciting_threshold.max(1) } else { 1 };
        Self {
            ranges: RangeSet::new(),
            floor: 0,
            largest: None,
            largest_ack_eliciting: None,
            waiting_since: None,
            waiting_from: None,
            waiting: 0,
            needed_now: false,
            threshold,
            ecn: EcnCounts::default(),
        }
    }

    /// Whether `pn` was received before, or is too old to tell; such a packet is dropped.
    #[must_use]
    pub fn is_duplicate(&self, pn: u64) -> bool {
        pn < self.floor || self.ranges.contains(pn)
    }

    /// Notes a packet that has been processed. Returns whether it is new; a duplicate changes nothing.
    pub fn on_received(&mut self, pn: u64, now: Time, ack_eliciting: bool, ecn: Ecn) -> bool {
        let Some(end) = pn.checked_add(1) else { return false };
        if self.is_duplicate(pn) {
            return false;
        }
        self.ranges.insert(pn..end);
        if self.ranges.range_count() > MAX_ACK_RANGES
            && let Some(oldest) = self.ranges.pop_first()
        {
            self.floor = oldest.end;
        }
        match ecn {
            Ecn::NotEct => {}
            Ecn::Ect0 => self.ecn.ect0 += 1,
            Ecn::Ect1 => self.ecn.ect1 += 1,
            Ecn::Ce => self.ecn.ce += 1,
        }
        // RFC 9000 section 13.2.1: a packet that is not ack-eliciting is never a reason to acknowledge.
        if ack_eliciting {
            self.waiting += 1;
            self.waiting_since.get_or_insert(now);
            self.waiting_from = Some(self.waiting_from.map_or(pn, |from| from.min(pn)));
            self.needed_now |= self.waiting >= self.threshold || ecn == Ecn::Ce || self.is_out_of_order(pn);
            self.largest_ack_eliciting = self.largest_ack_eliciting.max(Some(pn));
        }
        if self.largest.is_none_or(|(largest, _)| pn > largest) {
            self.largest = Some((pn, now));
        }
        true
    }

    /// RFC 9000 section 13.2.1: below another ack-eliciting packet, or beyond it with packets missing between.
    fn is_out_of_order(&self, pn: u64) -> bool {
        let expected = self.largest_ack_eliciting.map_or(0, |largest| largest.saturating_add(1));
        let contiguous_from =
            self.ranges.iter().rev().find(|range| range.contains(&pn)).map_or(pn, |range| range.start);
        pn < expected || contiguous_from > expected.max(self.floor)
    }

    /// The largest packet number received; kept through every pruning.
    #[must_use]
    pub fn largest(&self) -> Option<u64> {
        self.largest.map(|(pn, _)| pn)
    }

    /// Whether an acknowledgment ought to go out with the next packet, or alone.
    #[must_use]
    pub const fn ack_needed_now(&self) -> bool {
        self.needed_now
    }

    /// Whether an ack-eliciting packet awaits its acknowledgment: if a packet goes out for any reason, it should
    /// carry an ACK frame (RFC 9000 section 13.2.1).
    #[must_use]
    pub const fn ack_pending(&self) -> bool {
        self.waiting_since.is_some()
    }

    /// When an acknowledgment falls due, if it is being delayed. `None` where nothing waits, and where it is needed
    /// now. `max_ack_delay` is our own promise, in nanoseconds.
    #[must_use]
    pub fn ack_deadline(&self, max_ack_delay: u64) -> Option<Time> {
        self.waiting_since.filter(|_| !self.needed_now).map(|since| since.saturating_add(max_ack_delay))
    }

    /// Makes a delayed acknowledgment needed now, once its deadline has come.
    pub fn on_timeout(&mut self, now: Time, max_ack_delay: u64) {
        self.needed_now |= self.ack_deadline(max_ack_delay).is_some_and(|deadline| deadline <= now);
    }

    /// How long the acknowledgment of the largest packet has been held back at `now`, in nanoseconds (RFC 9000
    /// section 13.2.5).
    #[must_use]
    pub fn ack_delay(&self, now: Time) -> u64 {
        self.largest.map_or(0, |(_, at)| now.saturating_sub(at))
    }

    /// The ranges to acknowledge, descending.
    pub fn ranges(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().rev().map(|range| range.start..=range.end - 1)
    }

    /// The counts for an ACK frame; `None` while no packet carried an ECN codepoint.
    #[must_use]
    pub fn ecn_counts(&self) -> Option<EcnCounts> {
        (self.ecn != EcnCounts::default()).then_some(self.ecn)
    }

    /// Notes that an ACK frame for everything received has been sent.
    pub fn on_ack_sent(&mut self) {
        self.waiting = 0;
        self.waiting_since = None;
        self.waiting_from = None;
        self.needed_now = false;
    }

    /// Stops acknowledging what the peer knows that we received: everything up to `largest`, the largest number in
    /// an ACK frame of ours that the peer acknowledged (RFC 9000 section 13.2.4). What that frame was too early for
    /// stays.
    pub fn on_ack_of_our_ack(&mut self, largest: u64) {
        let known = self.largest().map_or(0, |received| received.min(largest).saturating_add(1));
        self.floor = self.floor.max(self.waiting_from.map_or(known, |from| from.min(known)));
        self.ranges.remove_below(self.floor);
    }
}
