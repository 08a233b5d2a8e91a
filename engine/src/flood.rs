//! The budget for what a peer sends that achieves nothing (RFC 9000 section 21.9).
//!
//! Every such thing, a glitch, is one that an honest peer sends now and then and an attacker in masses: each is cheap
//! to send and costs its receiver more. A token bucket tells the two apart.

use crate::wire::Time;

/// How many glitches a peer may cause before the connection is closed with PROTOCOL_VIOLATION.
///
/// A glitch is: a PING, RESET_STREAM, STOP_SENDING, NEW_CONNECTION_ID, RETIRE_CONNECTION_ID, PATH_CHALLENGE,
/// PATH_RESPONSE, NEW_TOKEN or HANDSHAKE_DONE frame; a CRYPTO frame after the handshake; a STREAM frame with neither
/// data nor end; a frame for a stream that is over; a MAX_DATA or MAX_STREAMS that raises nothing; every 64
/// frames in one packet beyond 64, or beyond one for each 18 bytes; every 256 ranges of an ACK frame; a key update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodSettings {
    /// Glitches at once: above zero. Default: 10,000, more than a client that abandons thousands of streams causes.
    pub burst: u32,
    /// Glitches in each second over a long time. Default: 330, above what the probes, keep-alives and abandoned streams
    /// of an honest peer come to.
    pub refill_per_second: u32,
}

impl Default for FloodSettings {
    fn default() -> Self {
        Self { burst: 10_000, refill_per_second: 330 }
    }
}

/// A bucket of tokens, one for each glitch.
#[derive(Clone, Copy, Debug)]
pub struct GlitchBudget {
    settings: FloodSettings,
    tokens: u64,
    /// Up to when tokens have been added.
    refilled: Time,
}

impl GlitchBudget {
    /// A full bucket.
    #[must_use]
    pub const fn new(settings: FloodSettings, now: Time) -> Self {
        Self { settings, tokens: settings.burst as u64, refilled: now }
    }

    /// Takes tokens for `glitches`; false where there are not as many.
    pub fn charge(&mut self, now: Time, glitches: u64) -> bool {
        self.refill(now);
        match self.tokens.checked_sub(glitches) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: Time) {
        const SECOND: u128 = 1_000_000_000;
        let rate = u128::from(self.settings.refill_per_second);
        let added = u128::from(now.saturating_sub(self.refilled)) * rate / SECOND;
        if added == 0 {
            return;
        }
        let room = u128::from(u64::from(self.settings.burst).saturating_sub(self.tokens));
        if added >= room {
            (self.tokens, self.refilled) = (self.settings.burst.into(), now);
        } else {
            // Only the time that made whole tokens has been used.
            self.tokens += added as u64;
            self.refilled += (added * SECOND / rate) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Time = 1_000_000_000;

    #[test]
    fn the_bucket_is_refilled_at_its_rate_and_no_further_than_full() {
        let mut budget = GlitchBudget::new(FloodSettings { burst: 100, refill_per_second: 10 }, 5);
        assert!(budget.charge(5, 100) && !budget.charge(5, 1));
        // Asked again and again, parts of a token are not lost.
        for step in 1..10 {
            assert!(!budget.charge(5 + step * SECOND / 100, 1));
        }
        assert!(budget.charge(5 + SECOND / 10, 1));
        assert!(!budget.charge(5 + SECOND, 10) && budget.charge(5 + SECOND, 9));
        assert!(!budget.charge(1_000 * SECOND, 101) && budget.charge(1_000 * SECOND, 100));
        // Time that goes back adds nothing.
        assert!(!budget.charge(0, 1) && budget.charge(u64::MAX, 100));
    }

    #[test]
    fn without_refill_the_burst_is_all() {
        let mut budget = GlitchBudget::new(FloodSettings { burst: 1, refill_per_second: 0 }, 0);
        assert!(budget.charge(0, 1) && !budget.charge(u64::MAX, 1));
    }
}
