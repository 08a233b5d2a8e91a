//! HyStart++ (RFC 9406): when slow start has gone far enough, told by growing round trips, before packets are lost.

use crate::wire::Time;

/// A round's least RTT counts once it is the least of so many samples.
const SAMPLES: u32 = 8;
/// The growth of the least RTT from round to round that ends slow start: an eighth of it, within these bounds.
const MIN_THRESHOLD: u64 = 4_000_000;
const MAX_THRESHOLD: u64 = 16_000_000;
const THRESHOLD_DIVISOR: u64 = 8;
/// In conservative slow start the window grows by this part of what slow start would add.
const CONSERVATIVE_DIVISOR: u64 = 4;
/// So many rounds of conservative slow start before congestion avoidance.
const CONSERVATIVE_ROUNDS: u32 = 5;

/// What slow start is to do with an acknowledgment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// The window grows by so many bytes.
    By(u64),
    /// Slow start is over.
    Enough,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Round {
    least: Option<u64>,
    samples: u32,
}

/// The rounds of slow start. Rounds are told apart by when packets were sent: one ends when a packet is acknowledged
/// that was sent after it began.
#[derive(Clone, Debug, Default)]
pub(super) struct HyStart {
    round_start: Option<Time>,
    current: Round,
    last: Round,
    /// The least RTT at the beginning of conservative slow start, and how many of its rounds have passed.
    conservative: Option<(u64, u32)>,
    /// When the newest sample was taken: an ACK frame is one sample, however many packets it acknowledges.
    sampled: Option<Time>,
}

impl HyStart {
    /// An acknowledgment in slow start, of a packet of `bytes` sent at `sent_time`, with this newest RTT.
    pub(super) fn on_acked(&mut self, now: Time, sent_time: Time, bytes: u64, latest_rtt: u64) -> Growth {
        if self.round_start.is_none_or(|start| sent_time > start) {
            self.round_start = Some(now);
            self.last = core::mem::take(&mut self.current);
            if let Some((_, rounds)) = &mut self.conservative {
                *rounds += 1;
                if *rounds >= CONSERVATIVE_ROUNDS {
                    return Growth::Enough;
                }
            }
        }
        if self.sampled != Some(now) {
            self.sampled = Some(now);
            self.current.samples += 1;
            self.current.least = Some(self.current.least.map_or(latest_rtt, |least| least.min(latest_rtt)));
            self.judge();
        }
        Growth::By(if self.conservative.is_some() { bytes / CONSERVATIVE_DIVISOR } else { bytes })
    }

    fn judge(&mut self) {
        let Round { least: Some(current), samples } = self.current else { return };
        if samples < SAMPLES {
            return;
        }
        match self.conservative {
            // The round trips shrank again: it was no queue.
            Some((baseline, _)) if current < baseline => self.conservative = None,
            Some(_) => {}
            None => {
                let Some(last) = self.last.least else { return };
                let threshold = (last / THRESHOLD_DIVISOR).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
                if current >= last.saturating_add(threshold) {
                    self.conservative = Some((current, 0));
                }
            }
        }
    }
}
