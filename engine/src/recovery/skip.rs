//! Packet numbers that are left out, so that a peer which acknowledges what it has not received gives itself away
//! (RFC 9000 section 21.4).

use crate::rng::Rng;

/// About how many packets lie before the first gap; each later one is about twice as far, up to the last period.
const FIRST_PERIOD: u64 = 64;
const LAST_PERIOD: u64 = 1 << 15;

/// When the next packet number is left out.
#[derive(Debug)]
pub(super) struct Skips {
    rng: Rng,
    at: u64,
    period: u64,
}

impl Skips {
    /// A plan from `rng`, for packet numbers from `next` on.
    pub(super) fn new(rng: Rng, next: u64) -> Self {
        let mut skips = Self { rng, at: 0, period: FIRST_PERIOD };
        skips.plan(next);
        skips
    }

    /// Whether the packet number `next` is to be left out; asked once for each, in order.
    pub(super) fn take(&mut self, next: u64) -> bool {
        if next < self.at {
            return false;
        }
        self.period = (2 * self.period).min(LAST_PERIOD);
        self.plan(next + 1);
        true
    }

    /// The next gap lies half a period to one and a half beyond `next`: not where anyone can tell.
    fn plan(&mut self, next: u64) {
        self.at = next + self.period / 2 + self.rng.u64() % self.period;
    }
}
