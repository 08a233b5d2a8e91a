//! Errors as they appear on the wire (RFC 9000 section 20).

use alloc::borrow::Cow;
use core::fmt;

/// A transport error code (RFC 9000 section 20.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransportErrorCode(pub u64);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)+) => {
        impl TransportErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)+

            /// The code's name in the RFC; `None` for TLS alerts and unregistered codes.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)+
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The connection is closed without an error.
    NO_ERROR = 0x00,
    /// The endpoint cannot go on for a reason of its own.
    INTERNAL_ERROR = 0x01,
    /// The server refuses the connection.
    CONNECTION_REFUSED = 0x02,
    /// More data than the limits allow.
    FLOW_CONTROL_ERROR = 0x03,
    /// A stream beyond the limit.
    STREAM_LIMIT_ERROR = 0x04,
    /// A frame that the stream's state does not permit.
    STREAM_STATE_ERROR = 0x05,
    /// The final size changed, or data lies beyond it.
    FINAL_SIZE_ERROR = 0x06,
    /// A frame that is badly formatted.
    FRAME_ENCODING_ERROR = 0x07,
    /// Transport parameters that are badly formatted, missing or invalid.
    TRANSPORT_PARAMETER_ERROR = 0x08,
    /// More connection IDs than the limit.
    CONNECTION_ID_LIMIT_ERROR = 0x09,
    /// An error that no other code fits.
    PROTOCOL_VIOLATION = 0x0a,
    /// A client's Initial carried an invalid token.
    INVALID_TOKEN = 0x0b,
    /// The application closed the connection during the handshake.
    APPLICATION_ERROR = 0x0c,
    /// More CRYPTO data than the endpoint buffers.
    CRYPTO_BUFFER_EXCEEDED = 0x0d,
    /// A key update that came too early.
    KEY_UPDATE_ERROR = 0x0e,
    /// The keys have protected or failed as many packets as is safe.
    AEAD_LIMIT_REACHED = 0x0f,
    /// No path is left.
    NO_VIABLE_PATH = 0x10,
    /// Version negotiation was tampered with (RFC 9368 section 10.1).
    VERSION_NEGOTIATION_ERROR = 0x11,
}

impl TransportErrorCode {
    /// The code for a TLS alert: 0x100 plus the alert (RFC 9001 section 4.8).
    #[must_use]
    pub const fn crypto(alert: u8) -> Self {
        Self(0x100 | alert as u64)
    }

    /// The TLS alert, where the code is one.
    #[must_use]
    pub const fn alert(self) -> Option<u8> {
        if self.0 & !0xff == 0x100 { Some(self.0 as u8) } else { None }
    }
}

impl fmt::Display for TransportErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.alert()) {
            (Some(name), _) => f.write_str(name),
            (None, Some(alert)) => write!(f, "CRYPTO_ERROR ({})", alert_name(alert)),
            (None, None) => write!(f, "error {:#x}", self.0),
        }
    }
}

impl fmt::Debug for TransportErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The name of a TLS alert (RFC 8446 section 6).
#[must_use]
pub const fn alert_name(alert: u8) -> &'static str {
    match alert {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown alert",
    }
}

/// A violation that ends the connection: what goes into CONNECTION_CLOSE (RFC 9000 section 19.19).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// The code on the wire.
    pub code: TransportErrorCode,
    /// The type of the frame at fault; 0 where it is not known.
    pub frame_type: u64,
    /// What was wrong, for people. May be empty.
    pub reason: Cow<'static, str>,
}

impl TransportError {
    /// An error with a reason.
    #[must_use]
    pub const fn new(code: TransportErrorCode, reason: &'static str) -> Self {
        Self { code, frame_type: 0, reason: Cow::Borrowed(reason) }
    }

    /// The same error, blamed on a frame of this type.
    #[must_use]
    pub fn in_frame(mut self, frame_type: u64) -> Self {
        self.frame_type = frame_type;
        self
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

impl core::error::Error for TransportError {}
