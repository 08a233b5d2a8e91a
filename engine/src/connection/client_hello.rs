//! A server's handshake before there is a TLS session: the ClientHello is read, and what to do with it decided.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Connection;
use crate::error::TransportError;
use crate::settings::ServerConfig;
use crate::tls::TlsError;
use crate::tls::client_hello::{self, ClientHello, Progress};
use crate::transport_parameters::TransportParameters;
use crate::wire::{Level, Side, Time};

/// A ClientHello that is on its way, or waits for a decision.
pub(super) struct PendingHello {
    config: Arc<ServerConfig>,
    bytes: Vec<u8>,
    hello: Option<Box<ClientHello>>,
}

impl PendingHello {
    pub(super) const fn new(config: Arc<ServerConfig>) -> Self {
        Self { config, bytes: Vec::new(), hello: None }
    }

    /// Takes the next bytes of the CRYPTO stream.
    pub(super) fn read(&mut self, data: &[u8]) -> Result<(), TlsError> {
        self.bytes.extend_from_slice(data);
        if let Progress::Done(hello) = client_hello::parse(&self.bytes)? {
            self.hello = Some(Box::new(hello));
        }
        Ok(())
    }

    pub(super) fn hello(&self) -> Option<&ClientHello> {
        self.hello.as_deref()
    }

    pub(super) fn memory_used(&self) -> usize {
        self.bytes.len() + self.hello.as_ref().map_or(0, |_| self.bytes.len())
    }
}

impl Connection {
    /// A server goes on as soon as the ClientHello is complete.
    pub(super) fn on_client_hello(&mut self, now: Time) -> Result<(), TransportError> {
        match self.handshake.pending_hello() {
            Some(pending) if pending.hello.is_some() => {
                let config = Arc::clone(&pending.config);
                self.start_server_tls(now, &config)
            }
            _ => Ok(()),
        }
    }

    /// Chooses the version, and makes the session that reads the ClientHello again.
    fn start_server_tls(&mut self, now: Time, config: &ServerConfig) -> Result<(), TransportError> {
        let Some((hello, bytes)) = self.handshake.take_client_hello() else { return Ok(()) };
        let client = TransportParameters::decode(&hello.transport_parameters, Side::Client)?;
        self.negotiate_version(&client)?;
        let token = super::reset_token(self.crypto.as_ref(), &self.id_settings, &self.handshake.local());
        let parameters = self.handshake.transport_parameters(&self.settings, self.version, Some(token));
        let start = self.handshake.tls_start(self.version, &parameters);
        let mut session = config.tls.start(&hello, start)?;
        let read = session.read_crypto(Level::Initial, &bytes);
        self.handshake.set_session(session);
        // What came up before a fault: keys under which the peer can read of it.
        self.take_tls_output(now)?;
        read.map_err(TransportError::from)
    }
}

impl super::handshake::Handshake {
    /// The ClientHello and the bytes that it was read from, once it is complete.
    fn take_client_hello(&mut self) -> Option<(Box<ClientHello>, Vec<u8>)> {
        let pending = self.pending_hello_mut()?;
        let hello = pending.hello.take()?;
        Some((hello, core::mem::take(&mut pending.bytes)))
    }
}

impl From<TlsError> for TransportError {
    fn from(error: TlsError) -> Self {
        /// The type of CRYPTO frames.
        const CRYPTO: u64 = 0x06;
        Self { code: error.code(), frame_type: CRYPTO, reason: error.reason.into() }
    }
}
