//! What a failing call hands back: a code, and a line of text for people.

use std::borrow::Cow;

use quillon::tls::rustls::ConfigError;
use quillon::{ConnectError, SettingsError};

use crate::constants::{
    QUILLON_ERR_BLOCKED, QUILLON_ERR_CLOSED, QUILLON_ERR_FINISHED, QUILLON_ERR_INVALID_ARGUMENT,
    QUILLON_ERR_INVALID_HANDLE, QUILLON_ERR_INVALID_STATE, QUILLON_ERR_MEMORY, QUILLON_ERR_RESET, QUILLON_ERR_STOPPED,
    QUILLON_ERR_TLS, QUILLON_ERR_TOO_LARGE, QUILLON_ERR_TOO_MANY, QUILLON_ERR_UNKNOWN_STREAM, QUILLON_ERR_UNSEEDED,
    QUILLON_ERR_UNSUPPORTED,
};

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One of `QUILLON_ERR_*`.
    pub(crate) code: i32,
    /// One line for people; empty where the code says it all, so that routine results do not allocate.
    pub(crate) text: Cow<'static, str>,
    /// A number for the status block: the peer's error code, or the most that fits.
    pub(crate) number: Option<u64>,
}

impl Failure {
    const fn new(code: i32, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text), number: None }
    }

    pub(crate) const fn unseeded() -> Self {
        Self::new(QUILLON_ERR_UNSEEDED, "the instance has no seed: call quillon_seed first")
    }

    pub(crate) const fn invalid(text: &'static str) -> Self {
        Self::new(QUILLON_ERR_INVALID_ARGUMENT, text)
    }

    pub(crate) const fn invalid_handle() -> Self {
        Self::new(QUILLON_ERR_INVALID_HANDLE, "the handle names nothing, or something that is gone")
    }

    pub(crate) const fn too_many(text: &'static str) -> Self {
        Self::new(QUILLON_ERR_TOO_MANY, text)
    }

    pub(crate) const fn memory(text: &'static str) -> Self {
        Self::new(QUILLON_ERR_MEMORY, text)
    }

    pub(crate) const fn blocked() -> Self {
        Self::new(QUILLON_ERR_BLOCKED, "")
    }

    pub(crate) const fn unknown_stream() -> Self {
        Self::new(QUILLON_ERR_UNKNOWN_STREAM, "there is no such stream, or it is over")
    }

    pub(crate) const fn finished() -> Self {
        Self::new(QUILLON_ERR_FINISHED, "the stream's sending part was finished")
    }

    pub(crate) fn reset(code: u64) -> Self {
        Self { number: Some(code), ..Self::new(QUILLON_ERR_RESET, "the stream was reset") }
    }

    pub(crate) fn stopped(code: u64) -> Self {
        Self { number: Some(code), ..Self::new(QUILLON_ERR_STOPPED, "the stream's receiver wants no more") }
    }

    /// It is too early or too late: `error` says which.
    pub(crate) fn invalid_state(error: &impl ToString) -> Self {
        Self { text: Cow::Owned(error.to_string()), ..Self::new(QUILLON_ERR_INVALID_STATE, "") }
    }

    pub(crate) const fn unsupported(text: &'static str) -> Self {
        Self::new(QUILLON_ERR_UNSUPPORTED, text)
    }

    /// More than the `most` that fits.
    pub(crate) fn too_large(error: &impl ToString, most: usize) -> Self {
        Self { text: Cow::Owned(error.to_string()), number: Some(most as u64), ..Self::new(QUILLON_ERR_TOO_LARGE, "") }
    }

    pub(crate) const fn closed() -> Self {
        Self::new(QUILLON_ERR_CLOSED, "the connection is closed")
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let code = match error {
            ConnectError::Settings(_) => QUILLON_ERR_INVALID_ARGUMENT,
            ConnectError::Tls(_) => QUILLON_ERR_TLS,
            ConnectError::TooManyConnections => QUILLON_ERR_TOO_MANY,
            ConnectError::MemoryBudget => QUILLON_ERR_MEMORY,
            ConnectError::NoConnectionId | ConnectError::PathInUse => QUILLON_ERR_INVALID_STATE,
        };
        Self { code, text: Cow::Owned(error.to_string()), number: None }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self { code: QUILLON_ERR_INVALID_ARGUMENT, text: Cow::Owned(error.to_string()), number: None }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self { code: QUILLON_ERR_TLS, text: Cow::Owned(error.to_string()), number: None }
    }
}
