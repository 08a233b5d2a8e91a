//! The seeded generator: the only source of randomness in the engine.
//!
//! ChaCha20 keyed by the caller's seed. Every random byte of an endpoint, its TLS sessions' included, is drawn
//! from one tree of generators, so that a seed and a sequence of inputs fix every byte of output.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A deterministic cryptographic generator.
///
/// Two generators with one seed give one sequence, on every target. A seed must come from a cryptographic
/// source and be used once: it determines keys.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha20Rng);

impl Rng {
    /// A generator for `seed`.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// Fills `out` with random bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// A random array.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// A random number.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A new generator, seeded from this one: what is drawn from either does not move the other.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::from_seed(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_are_independent_of_what_is_drawn_from_them() {
        let mut a = Rng::from_seed([7; 32]);
        let mut b = Rng::from_seed([7; 32]);
        let mut fork = a.fork();
        let _ = b.fork();
        let _: [u8; 100] = fork.bytes();
        assert_eq!(a.u64(), b.u64());
        assert_ne!(fork.u64(), a.u64());
    }
}
