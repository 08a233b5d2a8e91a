//! What rustls and ring take from their surroundings, randomness and the time of day, served from a scope.
//!
//! The engine enters a scope around every call into rustls. Inside it, the `getrandom` and `web-time` shims beside
//! this crate (put in place by `[patch.crates-io]`) read from the scope: randomness is then a function of the
//! engine's seed, on every target. Outside a scope a host gets its operating system's randomness natively and an
//! error on `wasm32-unknown-unknown`, where there is none.
//!
//! `[patch]` does not reach dependents: a crate that depends on `quillon` without the patch gets ordinary
//! randomness, and no replay of TLS bytes. Invariant: scopes nest, and a scope ends when its closure does, also by
//! a panic.

use std::cell::RefCell;
use std::time::Duration;

/// The source of randomness of a scope: fills a buffer.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// What a scope serves.
pub struct Surroundings {
    /// Where random bytes come from.
    pub entropy: Entropy,
    /// The time of day, since the Unix epoch.
    pub unix_time: Duration,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("unix_time", &self.unix_time).finish_non_exhaustive()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Surroundings>> = const { RefCell::new(None) };
}

/// Puts the enclosing scope back, whichever way the inner one ends.
struct Restore(Option<Surroundings>);

impl Drop for Restore {
    fn drop(&mut self) {
        let outer = self.0.take();
        CURRENT.with(|current| *current.borrow_mut() = outer);
    }
}

/// Runs `f` on this thread with `surroundings` in place, and hands them back for the next scope.
pub fn enter<R>(surroundings: Surroundings, f: impl FnOnce() -> R) -> (R, Surroundings) {
    let restore = Restore(CURRENT.with(|current| current.borrow_mut().replace(surroundings)));
    let result = f();
    let inner = CURRENT.with(|current| current.borrow_mut().take());
    drop(restore);
    // The scope is this function's own: nothing else takes it out.
    let surroundings = inner.unwrap_or_else(|| Surroundings { entropy: Box::new(|_| {}), unix_time: Duration::ZERO });
    (result, surroundings)
}

/// Fills `out` from the scope. `false`, and `out` untouched, where no scope is active.
#[must_use]
pub fn fill(out: &mut [u8]) -> bool {
    CURRENT.with(|current| match current.borrow_mut().as_mut() {
        Some(surroundings) => {
            (surroundings.entropy)(out);
            true
        }
        None => false,
    })
}

/// The scope's time of day, since the Unix epoch; `None` where no scope is active.
#[must_use]
pub fn unix_time() -> Option<Duration> {
    CURRENT.with(|current| current.borrow().as_ref().map(|surroundings| surroundings.unix_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant(byte: u8) -> Surroundings {
        Surroundings { entropy: Box::new(move |out| out.fill(byte)), unix_time: Duration::from_secs(u64::from(byte)) }
    }

    fn draw() -> Option<u8> {
        let mut out = [0];
        fill(&mut out).then_some(out[0])
    }

    #[test]
    fn scopes_nest_and_end() {
        assert_eq!(draw(), None);
        enter(constant(1), || {
            assert_eq!(draw(), Some(1));
            enter(constant(2), || assert_eq!((draw(), unix_time()), (Some(2), Some(Duration::from_secs(2)))));
            assert_eq!(draw(), Some(1));
        });
        assert_eq!((draw(), unix_time()), (None, None));
    }

    #[test]
    fn a_panic_ends_the_scope() {
        let caught = std::panic::catch_unwind(|| enter(constant(1), || panic!("inside")));
        assert!(caught.is_err());
        assert_eq!(draw(), None);
    }
}
