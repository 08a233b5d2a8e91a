//! `getrandom` 0.2 over the scope of `quillon-ambient`.
//!
//! ring's `SystemRandom` is the one source of randomness of rustls' ring provider, and getrandom 0.2 is all that
//! `SystemRandom` does. Inside a scope the scope answers, on every target. Outside: the operating system natively,
//! [`Error::UNSUPPORTED`] on `wasm32-unknown-unknown`.

use std::fmt;
use std::num::NonZeroU32;

/// Why no random bytes could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(NonZeroU32);

impl Error {
    /// No scope is active and the target has no randomness of its own.
    pub const UNSUPPORTED: Self = Self(NonZeroU32::new(1 << 31).unwrap());

    /// The error's number.
    #[must_use]
    pub const fn code(self) -> NonZeroU32 {
        self.0
    }
}

impl From<NonZeroU32> for Error {
    fn from(code: NonZeroU32) -> Self {
        Self(code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no randomness: the call is outside a seeded scope")
    }
}

impl std::error::Error for Error {}

/// Fills `out` with random bytes.
pub fn getrandom(out: &mut [u8]) -> Result<(), Error> {
    if quillon_ambient::fill(out) { Ok(()) } else { from_system(out) }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn from_system(out: &mut [u8]) -> Result<(), Error> {
    system::fill(out).map_err(|_| Error::UNSUPPORTED)
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn from_system(_: &mut [u8]) -> Result<(), Error> {
    Err(Error::UNSUPPORTED)
}
