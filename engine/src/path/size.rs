//! The search for the largest datagram that a path carries (RFC 8899; RFC 9000 section 14.3).
//!
//! Invariants: at most one probe is under way; no size is tried more than [`TRIES`] times in one search.

use alloc::vec::Vec;

use super::MIN_DATAGRAM_SIZE;
use crate::wire::Time;

/// How often a size is tried (RFC 8899 section 5.1.2, MAX_PROBES).
const TRIES: u8 = 3;
/// How many times in a row large packets are lost, with none acknowledged in between, before they count as swallowed.
const BLACK_HOLE_ROUNDS: u8 = 3;
/// After a black hole the search begins anew after 60 s.
const SEARCH_AGAIN: u64 = 60_000_000_000;

/// What an acknowledgment or a timer told of sizes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeReport {
    /// A probe of this size arrived.
    pub probe_acked: Option<usize>,
    /// A probe of this size was lost.
    pub probe_lost: Option<usize>,
    /// Another packet above 1200 bytes arrived.
    pub large_acked: bool,
    /// Another packet above 1200 bytes was lost.
    pub large_lost: bool,
}

/// The search on one path.
#[derive(Debug)]
pub(super) struct SizeSearch {
    /// The sizes to try, ascending, all above 1200.
    sizes: Vec<usize>,
    /// So many of them are known to arrive.
    good: usize,
    /// From here on they are known not to.
    bad: usize,
    /// The size of the probe under way.
    in_flight: Option<usize>,
    tries: u8,
    /// Nothing is tried before.
    not_before: Time,
    /// Whether a datagram as large as may be was sent: larger ones would be of use.
    useful: bool,
    /// How often in a row large packets were lost.
    lost_rounds: u8,
}

impl SizeSearch {
    /// A search among `sizes` up to `bound`, which is tried too, on a path that is known to carry `current`.
    pub(super) fn new(current: usize, bound: usize, sizes: &[u16]) -> Self {
        let mut sizes: Vec<usize> = sizes.iter().map(|size| usize::from(*size)).chain([bound]).collect();
        sizes.retain(|size| (MIN_DATAGRAM_SIZE + 1..=bound).contains(size));
        sizes.sort_unstable();
        sizes.dedup();
        let (good, bad) = (sizes.partition_point(|size| *size <= current), sizes.len());
        Self { sizes, good, bad, in_flight: None, tries: 0, not_before: 0, useful: false, lost_rounds: 0 }
    }

    /// A datagram as large as may be was sent.
    pub(super) const fn note_full(&mut self) {
        self.useful = true;
    }

    /// Which size comes next: the largest first, which most paths carry, then the middle of what is left.
    fn candidate(&self) -> Option<usize> {
        if self.good >= self.bad {
            return None;
        }
        let at = if self.bad == self.sizes.len() { self.bad - 1 } else { usize::midpoint(self.good, self.bad - 1) };
        self.sizes.get(at).copied()
    }

    /// The size to probe now.
    pub(super) fn next_probe(&self, now: Time) -> Option<usize> {
        let waits = self.in_flight.is_some() || !self.useful || now < self.not_before;
        if waits { None } else { self.candidate() }
    }

    pub(super) const fn on_probe_sent(&mut self, size: usize) {
        self.in_flight = Some(size);
    }

    /// The probe under way says nothing any more: the path was left meanwhile.
    pub(super) const fn forget_probe(&mut self) {
        self.in_flight = None;
    }

    /// Takes a report. Returns the size to use from now on, where that changes.
    pub(super) fn on_report(&mut self, now: Time, report: &SizeReport) -> Option<usize> {
        if let Some(size) = report.probe_acked.filter(|size| self.in_flight == Some(*size)) {
            self.in_flight = None;
            self.tries = 0;
            self.lost_rounds = 0;
            self.good = self.sizes.partition_point(|known| *known <= size);
            return Some(size);
        }
        if let Some(size) = report.probe_lost.filter(|size| self.in_flight == Some(*size)) {
            self.in_flight = None;
            self.tries += 1;
            if self.tries >= TRIES {
                self.exclude(size);
            }
        }
        if report.large_acked {
            self.lost_rounds = 0;
        } else if report.large_lost && self.good > 0 {
            self.lost_rounds += 1;
            if self.lost_rounds >= BLACK_HOLE_ROUNDS {
                return Some(self.start_over(now));
            }
        }
        None
    }

    /// RFC 8899 section 4.3: what was carried once is not any more. Everything may have changed, so everything is tried
    /// again, later.
    fn start_over(&mut self, now: Time) -> usize {
        (self.good, self.bad, self.in_flight) = (0, self.sizes.len(), None);
        (self.tries, self.lost_rounds) = (0, 0);
        self.not_before = now.saturating_add(SEARCH_AGAIN);
        MIN_DATAGRAM_SIZE
    }

    /// The path does not take a datagram of `size`. Returns the size to use from now on.
    pub(super) fn exclude(&mut self, size: usize) -> usize {
        self.bad = self.bad.min(self.sizes.partition_point(|known| *known < size));
        self.good = self.good.min(self.bad);
        self.tries = 0;
        if self.in_flight.is_some_and(|probe| probe >= size) {
            self.in_flight = None;
        }
        self.good.checked_sub(1).and_then(|at| self.sizes.get(at)).copied().unwrap_or(MIN_DATAGRAM_SIZE)
    }
}
