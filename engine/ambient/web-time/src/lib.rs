//! `web-time` 1 over the scope of `quillon-ambient`: as much of it as rustls-pki-types uses.

pub use std::time::Duration;

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SystemTime(Duration);

/// An earlier time was asked for than the one subtracted.
#[derive(Clone, Debug)]
pub struct SystemTimeError(());

impl SystemTime {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(Duration::ZERO);

    /// The scope's time of day; the epoch where no scope is active, at which no certificate is valid.
    #[must_use]
    pub fn now() -> Self {
        Self(quillon_ambient::unix_time().unwrap_or_default())
    }

    /// The time since `earlier`.
    pub fn duration_since(&self, earlier: Self) -> Result<Duration, SystemTimeError> {
        self.0.checked_sub(earlier.0).ok_or(SystemTimeError(()))
    }
}

/// 1970-01-01T00:00:00Z.
pub const UNIX_EPOCH: SystemTime = SystemTime::UNIX_EPOCH;
