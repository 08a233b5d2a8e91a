//! The caller's verdict on the peer's certificate, where the configuration asks for it.

use alloc::borrow::ToOwned;
use core::fmt;

use super::close::State;
use super::{Connection, Event};
use crate::error::{TransportError, TransportErrorCode};
use crate::settings::SettingsError;
use crate::wire::Time;

/// Why a decision of the caller, on a ClientHello or a certificate, has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecisionError {
    /// Nothing waits for it: it is not due yet, was made, or the connection is closed.
    NothingToDecide,
    /// A transport setting is outside its range.
    Settings(SettingsError),
}

impl fmt::Display for DecisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingToDecide => f.write_str("nothing waits for a decision"),
            Self::Settings(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for DecisionError {}

/// Verdicts on the peer's certificate, after [`Event::PeerCertificate`]. Until then the handshake's deadline runs on,
/// received packets are acknowledged, and no application data passes either way: a client holds its Finished back, a
/// server does not read 1-RTT packets.
impl Connection {
    /// Accepts the certificate: the handshake goes on.
    ///
    /// # Errors
    ///
    /// [`DecisionError::NothingToDecide`].
    pub fn accept_certificate(&mut self, now: Time) -> Result<(), DecisionError> {
        self.take_certificate_question()?;
        if let Some(session) = self.handshake.session_mut() {
            session.accept_peer_certificate();
        }
        match self.take_tls_output(now) {
            Ok(()) => self.replay_undecryptable(now),
            Err(error) => self.fail(now, error),
        }
        Ok(())
    }

    /// Rejects the certificate: the connection is closed with this TLS alert (RFC 8446 section 6.2), such as
    /// [`CERTIFICATE_UNKNOWN`](crate::tls::alert::CERTIFICATE_UNKNOWN), and the reason, which is sent along.
    ///
    /// # Errors
    ///
    /// [`DecisionError::NothingToDecide`].
    pub fn reject_certificate(&mut self, now: Time, alert: u8, reason: &str) -> Result<(), DecisionError> {
        self.take_certificate_question()?;
        let code = TransportErrorCode::crypto(alert);
        self.fail(now, TransportError { code, frame_type: 0, reason: reason.to_owned().into() });
        Ok(())
    }

    fn take_certificate_question(&mut self) -> Result<(), DecisionError> {
        let asked = matches!(self.state, State::Open) && core::mem::take(&mut self.handshake.certificate_asked);
        if asked { Ok(()) } else { Err(DecisionError::NothingToDecide) }
    }

    pub(super) fn on_peer_certificate(&mut self) {
        self.handshake.certificate_asked = true;
        self.events.push_back(Event::PeerCertificate);
    }
}
