//! How often an endpoint answers datagrams that belong to no connection.

use crate::wire::Time;

/// A budget that refills evenly: `burst` at once, then `per_second`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many a second, in the long run.
    pub per_second: u32,
    /// How many at once. 0 is none at all.
    pub burst: u32,
}

impl RateLimit {
    /// None at all.
    pub const OFF: Self = Self { per_second: 0, burst: 0 };
}

/// How often an endpoint answers datagrams that belong to no connection: a budget for each kind of answer, shared by
/// all peers. Who sends datagrams with forged addresses can use a budget up, but not make the endpoint send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Version Negotiation packets. Default: 1,000 a second, 1,000 at once.
    pub version_negotiation: RateLimit,
    /// Initials that refuse a connection: CONNECTION_REFUSED, and INVALID_TOKEN. Default: 1,000 a second, 1,000 at
    /// once.
    pub refusals: RateLimit,
    /// Retry packets. Default: 10,000 a second, 10,000 at once: they are what keeps clients served under load.
    pub retries: RateLimit,
    /// Stateless resets (RFC 9000 section 10.3). [`RateLimit::OFF`] sends none: peers then find out by their idle
    /// timeout. Default: 1,000 a second, 1,000 at once.
    pub stateless_resets: RateLimit,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        const THOUSAND: RateLimit = RateLimit { per_second: 1_000, burst: 1_000 };
        Self {
            version_negotiation: THOUSAND,
            refusals: THOUSAND,
            retries: RateLimit { per_second: 10_000, burst: 10_000 },
            stateless_resets: THOUSAND,
        }
    }
}

/// What one unit costs: fractions of it are billionths, so that they add up over nanoseconds.
const UNIT: u64 = 1_000_000_000;

/// The state of a [`RateLimit`]: a token bucket.
#[derive(Debug)]
pub(super) struct Budget {
    limit: RateLimit,
    level: u64,
    refilled: Time,
}

impl Budget {
    pub(super) const fn new(limit: RateLimit) -> Self {
        Self { limit, level: limit.burst as u64 * UNIT, refilled: 0 }
    }

    /// Takes one from the budget; `false` where there is none.
    pub(super) fn take(&mut self, now: Time) -> bool {
        let elapsed = now.saturating_sub(self.refilled);
        self.refilled = self.refilled.max(now);
        let refill = elapsed.saturating_mul(u64::from(self.limit.per_second));
        self.level = self.level.saturating_add(refill).min(u64::from(self.limit.burst) * UNIT);
        match self.level.checked_sub(UNIT) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

/// The budgets of every kind of answer.
#[derive(Debug)]
pub(super) struct Budgets {
    pub(super) version_negotiation: Budget,
    pub(super) refusals: Budget,
    pub(super) retries: Budget,
    pub(super) stateless_resets: Budget,
}

impl Budgets {
    pub(super) const fn new(limits: &ReplyLimits) -> Self {
        Self {
            version_negotiation: Budget::new(limits.version_negotiation),
            refusals: Budget::new(limits.refusals),
            retries: Budget::new(limits.retries),
            stateless_resets: Budget::new(limits.stateless_resets),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_refills_evenly_and_never_beyond_its_burst() {
        let mut budget = Budget::new(RateLimit { per_second: 2, burst: 3 });
        let now = 1_000 * UNIT;
        assert_eq!((0..5).filter(|_| budget.take(now)).count(), 3);
        assert!(!budget.take(now + UNIT / 2 - 1));
        assert!(budget.take(now + UNIT / 2));
        assert!(!budget.take(now), "time that goes back brings nothing");
        assert_eq!((0..5).filter(|_| budget.take(now + 100 * UNIT)).count(), 3);
        let mut off = Budget::new(RateLimit::OFF);
        assert!(!off.take(now));
    }
}
