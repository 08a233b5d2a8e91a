//! The round-trip time estimate of a path (RFC 9002 section 5).

use super::GRANULARITY;
use crate::wire::Time;

/// The RTT used before the first sample: 333 ms (RFC 9002 section 6.2.2).
pub const INITIAL_RTT: u64 = 333_000_000;

/// The RTT estimate of a path. Durations are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    /// The newest sample; 0 before the first.
    pub latest: u64,
    /// The moving average of the samples, less the peer's acknowledgment delay.
    pub smoothed: u64,
    /// The mean deviation of the samples ("rttvar").
    pub variance: u64,
    /// The least sample; `None` before the first.
    pub min: Option<u64>,
    first_sample: Option<Time>,
}

impl Rtt {
    /// An estimate without samples (RFC 9002 section 5.3).
    #[must_use]
    pub const fn new(initial: u64) -> Self {
        Self { latest: 0, smoothed: initial, variance: initial / 2, min: None, first_sample: None }
    }

    /// Takes a sample. `ack_delay` is what the peer reported, already limited to its `max_ack_delay` where that
    /// applies; it is left out where it would bring the sample below the least one seen.
    pub(super) fn on_sample(&mut self, now: Time, latest: u64, ack_delay: u64) {
        self.latest = latest;
        let Some(min) = self.min else {
            self.min = Some(latest);
            self.smoothed = latest;
            self.variance = latest / 2;
            self.first_sample = Some(now);
            return;
        };
        // RFC 9002 section 5.2: the minimum ignores the acknowledgment delay.
        let min = min.min(latest);
        self.min = Some(min);
        let adjusted = if latest >= min.saturating_add(ack_delay) { latest - ack_delay } else { latest };
        // RFC 9002 appendix A.7: the deviation from the average before this sample.
        let deviation = self.smoothed.abs_diff(adjusted);
        self.variance = weighted(self.variance, 3, deviation);
        self.smoothed = weighted(self.smoothed, 7, adjusted);
    }

    /// Makes the newest sample the least one (RFC 9002 section 5.2).
    pub(super) fn on_persistent_congestion(&mut self) {
        if self.min.is_some() {
            self.min = Some(self.latest);
        }
    }

    /// When the first sample was taken.
    pub(super) const fn first_sample(&self) -> Option<Time> {
        self.first_sample
    }

    /// `smoothed_rtt + max(4 * rttvar, kGranularity)`: the PTO period without the acknowledgment delay.
    pub(super) fn pto_base(&self) -> u64 {
        self.smoothed.saturating_add(self.variance.saturating_mul(4).max(GRANULARITY))
    }

    /// The time threshold of loss detection (RFC 9002 section 6.1.2): the larger of the newest sample and the average
    /// and some eighths of it, one unless packets come late, and at least the timer granularity.
    pub(super) fn loss_delay(&self, eighths: u64) -> u64 {
        let rtt = self.latest.max(self.smoothed);
        rtt.saturating_add((rtt / 8).saturating_mul(eighths)).max(GRANULARITY)
    }
}

/// The average of `weight` times `old` and once `new`, without overflow.
const fn weighted(old: u64, weight: u64, new: u64) -> u64 {
    ((old as u128 * weight as u128 + new as u128) / (weight as u128 + 1)) as u64
}
