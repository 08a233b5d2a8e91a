//! Probabilities, and the models of loss.

use quillon::rng::Rng;

/// A probability, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(pub u32);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1_000_000);

    /// So many in a hundred.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent * 10_000)
    }

    /// Whether it happens this time.
    pub fn happens(self, rng: &mut Rng) -> bool {
        self.0 > 0 && below(rng, 1_000_000) < u64::from(self.0)
    }
}

/// A random number below `limit`; 0 where that is 0.
pub fn below(rng: &mut Rng, limit: u64) -> u64 {
    rng.u64() % limit.max(1)
}

/// Which datagrams are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loss {
    /// None.
    #[default]
    None,
    /// Each with this probability.
    Random(Chance),
    /// Bursts, by the model of Gilbert and Elliott: a good and a bad state, each with a probability of loss, and the
    /// probability with which a datagram takes the link from one to the other.
    Burst {
        /// From the good state to the bad one.
        begin: Chance,
        /// From the bad state to the good one: a burst lasts the inverse of it, on average, in datagrams.
        end: Chance,
        /// Loss in the good state.
        good: Chance,
        /// Loss in the bad state.
        bad: Chance,
    },
}

impl Loss {
    /// Whether the next datagram is lost. `bad` is the state of the model.
    pub fn takes(self, bad: &mut bool, rng: &mut Rng) -> bool {
        match self {
            Self::None => false,
            Self::Random(chance) => chance.happens(rng),
            Self::Burst { begin, end, good, bad: loss } => {
                let change = if *bad { end } else { begin };
                *bad ^= change.happens(rng);
                if *bad { loss } else { good }.happens(rng)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_comes_as_often_as_it_is_said_to() {
        let mut rng = Rng::from_seed([3; 32]);
        let mut bad = false;
        let lost = (0..100_000).filter(|_| Loss::Random(Chance::percent(5)).takes(&mut bad, &mut rng)).count();
        assert!((4_700..5_300).contains(&lost), "{lost}");
    }

    #[test]
    fn a_burst_takes_neighbours() {
        let (mut rng, mut bad) = (Rng::from_seed([3; 32]), false);
        let burst = Loss::Burst {
            begin: Chance::percent(1),
            end: Chance::percent(20),
            good: Chance::NEVER,
            bad: Chance::ALWAYS,
        };
        let fates: Vec<bool> = (0..100_000).map(|_| burst.takes(&mut bad, &mut rng)).collect();
        let lost = fates.iter().filter(|lost| **lost).count();
        let bursts = fates.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        assert!((4_000..5_600).contains(&lost), "{lost}");
        assert!((4..7).contains(&(lost / bursts)), "{lost} in {bursts} bursts");
    }
}
