//! Calls for TLS outside the engine: CRYPTO bytes each way, secrets, the end of the handshake.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;

use super::close::State;
use super::{Connection, Event};
use crate::crypto::{CipherSuite, Secret};
use crate::error::{TransportError, TransportErrorCode};
use crate::tls::external::{Agreement, Direction, ExternalSession, ExternalTlsError};
use crate::wire::{Level, Time};

/// For connections whose TLS is [`ExternalTls`](crate::tls::external::ExternalTls). Call
/// [`transmit`](Self::transmit) afterwards. Each call fails with an [`ExternalTlsError`] where it has no effect; a fault
/// in what the peer sent closes the connection, as with TLS inside.
impl Connection {
    /// Our transport parameters, encoded, for the handshake to carry (RFC 9001 section 8.2): at a client from the start,
    /// at a server from the first [`Event::CryptoReceived`]. `None` where there is no session outside.
    pub fn local_transport_parameters(&mut self) -> Option<&[u8]> {
        self.external_session().ok().map(|session| session.local_transport_parameters())
    }

    /// The next bytes of the peer's CRYPTO streams, in order, and their level; `None` when none wait. To be called after
    /// [`Event::CryptoReceived`] until then. At most 128 KiB may wait, more closes the connection. TLS judges whether
    /// bytes may come at their level: unexpected_message where not (RFC 9001 section 4.1.3).
    pub fn take_crypto(&mut self) -> Option<(Level, Vec<u8>)> {
        let taken = self.external_session().ok()?.take();
        if taken.is_none() {
            self.handshake.crypto_told = false;
        }
        taken
    }

    /// Sends bytes of TLS at a level, behind those that were given before.
    pub fn submit_crypto(&mut self, now: Time, level: Level, data: &[u8]) -> Result<(), ExternalTlsError> {
        self.external_session()?.submit(level, data)?;
        self.apply_external(now);
        Ok(())
    }

    /// Installs a traffic secret of TLS, from which packet keys are derived (RFC 9001 section 5.1). Order as in TLS:
    /// a level's secret before its data. A server may install the secret to read 1-RTT packets early; it is used when the
    /// handshake is complete.
    pub fn install_secret(
        &mut self,
        now: Time,
        level: Level,
        direction: Direction,
        suite: CipherSuite,
        secret: Secret,
    ) -> Result<(), ExternalTlsError> {
        self.external_session()?.install(level, direction, suite, secret)?;
        self.apply_external(now);
        Ok(())
    }

    /// At a client, gives the server's transport parameters, as soon as EncryptedExtensions has brought them. A server
    /// has read the client's itself.
    pub fn set_peer_transport_parameters(&mut self, now: Time, encoded: &[u8]) -> Result<(), ExternalTlsError> {
        self.external_session()?.set_peer_transport_parameters(encoded)?;
        self.apply_external(now);
        Ok(())
    }

    /// The TLS handshake is complete (RFC 9001 section 4.1.1): the peer's Finished was verified and ours given.
    pub fn complete_tls(&mut self, now: Time, agreement: Agreement) -> Result<(), ExternalTlsError> {
        self.external_session()?.complete(agreement)?;
        self.apply_external(now);
        Ok(())
    }

    /// TLS has failed: the connection is closed with this alert (RFC 9001 section 4.8) and the reason, which is sent
    /// along.
    pub fn fail_tls(&mut self, now: Time, alert: u8, reason: &str) -> Result<(), ExternalTlsError> {
        self.external_session()?;
        let code = TransportErrorCode::crypto(alert);
        self.fail(now, TransportError { code, frame_type: 0, reason: reason.to_owned().into() });
        Ok(())
    }

    fn external_session(&mut self) -> Result<&mut ExternalSession, ExternalTlsError> {
        let session = matches!(self.state, State::Open).then(|| self.handshake.session_mut()).flatten();
        session.and_then(|session| session.external()).ok_or(ExternalTlsError::NoSession)
    }

    fn apply_external(&mut self, now: Time) {
        match self.take_tls_output(now) {
            Ok(()) => self.replay_undecryptable(now),
            Err(error) => self.fail(now, error),
        }
    }

    /// Tells, once, that bytes wait to be taken.
    pub(super) fn tell_crypto(&mut self) {
        let waiting = self.external_session().is_ok_and(|session| session.has_waiting());
        if waiting && !core::mem::replace(&mut self.handshake.crypto_told, true) {
            self.events.push_back(Event::CryptoReceived);
        }
    }
}
