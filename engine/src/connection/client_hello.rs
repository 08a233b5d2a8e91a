//! A server's handshake before there is a TLS session: the ClientHello is read, and what to do with it decided.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::close::State;
use super::early_data::early_data_context;
use super::{Connection, DecisionError, Event};
use crate::datagram::Datagrams;
use crate::error::{TransportError, TransportErrorCode};
use crate::settings::{ServerConfig, TransportSettings};
use crate::stream::Streams;
use crate::tls::TlsError;
use crate::tls::client_hello::{self, ClientHello, Progress};
use crate::transport_parameters::TransportParameters;
use crate::wire::{Level, Side, Time};

/// A ClientHello that is on its way, or waits for a decision.
pub(super) struct PendingHello {
    config: Arc<ServerConfig>,
    bytes: Vec<u8>,
    hello: Option<Box<ClientHello>>,
    asked: bool,
}

impl PendingHello {
    pub(super) const fn new(config: Arc<ServerConfig>) -> Self {
        Self { config, bytes: Vec::new(), hello: None, asked: false }
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
        // The parsed message is about as long as its bytes.
        self.bytes.len() * if self.hello.is_some() { 2 } else { 1 }
    }
}

/// Decisions on a ClientHello, where [`ServerConfig::ask_on_client_hello`] is set.
impl Connection {
    /// What the client asks for, from [`Event::ClientHello`] until the decision. Its transport parameters are encoded;
    /// [`TransportParameters::decode`] reads them, the versions that the client offers among them. None of it is
    /// authenticated yet.
    #[must_use]
    pub fn client_hello(&self) -> Option<&ClientHello> {
        self.handshake.pending_hello()?.hello()
    }

    /// Goes on with `config`: with its TLS, with the versions it prefers, and with those of its transport settings that
    /// have not acted yet: stream and connection credit, timeouts, what is told in transport parameters. Packet
    /// protection, packet numbers, round-trip time and the handshake's deadline stay as they are.
    ///
    /// Until then received packets are acknowledged and the handshake's deadline runs on. Where `config` cannot serve
    /// the client the connection closes, as it would without the question.
    ///
    /// # Errors
    ///
    /// See [`DecisionError`]. The ClientHello goes on waiting where a setting is outside its range.
    pub fn choose(&mut self, now: Time, config: &Arc<ServerConfig>) -> Result<(), DecisionError> {
        self.check_undecided()?;
        config.transport.validate().map_err(DecisionError::Settings)?;
        self.adopt(&config.transport);
        match self.start_server_tls(now, config) {
            Ok(()) => self.replay_undecryptable(now),
            Err(error) => self.fail(now, error),
        }
        // Early data that came with the ClientHello.
        self.replay_undecryptable(now);
        Ok(())
    }

    /// Refuses the client with a code of the transport, such as [`TransportErrorCode::CONNECTION_REFUSED`] or the TLS
    /// alert in [`TransportErrorCode::crypto`] (RFC 9001 section 4.8). The reason is sent along, readable by anyone who
    /// saw the client's first packet.
    ///
    /// # Errors
    ///
    /// [`DecisionError::NothingToDecide`].
    pub fn refuse(&mut self, now: Time, code: TransportErrorCode, reason: &str) -> Result<(), DecisionError> {
        self.check_undecided()?;
        self.fail(now, TransportError { code, frame_type: 0, reason: reason.to_owned().into() });
        Ok(())
    }

    fn check_undecided(&self) -> Result<(), DecisionError> {
        let waits = matches!(self.state, State::Open) && self.client_hello().is_some();
        if waits { Ok(()) } else { Err(DecisionError::NothingToDecide) }
    }

    fn adopt(&mut self, settings: &TransportSettings) {
        // No stream and no datagram can exist yet: the peer has granted none, and early data waits for its keys.
        self.streams = Streams::new(Side::Server, &super::streams::stream_settings(settings));
        self.datagrams = Datagrams::new(&settings.datagrams);
        self.remote_ids.set_limit(settings.active_connection_id_limit);
        self.timers.adopt(settings);
        if !settings.ecn {
            self.paths.active_mut().disable_ecn();
        }
        self.settings = settings.clone();
    }

    /// A server whose ClientHello is complete goes on, or asks how.
    pub(super) fn on_client_hello(&mut self, now: Time) -> Result<(), TransportError> {
        let Some(pending) = self.handshake.pending_hello_mut().filter(|pending| pending.hello.is_some()) else {
            return Ok(());
        };
        if !pending.config.ask_on_client_hello {
            let config = Arc::clone(&pending.config);
            return self.start_server_tls(now, &config);
        }
        if !core::mem::replace(&mut pending.asked, true) {
            // Nobody is asked about what cannot be served.
            let parameters = pending.hello().map(|hello| hello.transport_parameters.as_slice()).unwrap_or_default();
            TransportParameters::decode(parameters, Side::Client)?;
            self.events.push_back(Event::ClientHello);
        }
        Ok(())
    }

    /// Chooses the version, and makes the session that reads the ClientHello again.
    fn start_server_tls(&mut self, now: Time, config: &ServerConfig) -> Result<(), TransportError> {
        let Some((hello, bytes)) = self.handshake.take_client_hello() else { return Ok(()) };
        let client = TransportParameters::decode(&hello.transport_parameters, Side::Client)?;
        self.negotiate_version(&client)?;
        self.prepare_preferred_address()?;
        let token = super::reset_token(self.crypto.as_ref(), &self.id_settings, &self.handshake.local());
        let parameters = self.handshake.transport_parameters(&self.settings, self.version, Some(token));
        self.trace_parameters(&parameters);
        let context = early_data_context(&parameters);
        let mut start = self.handshake.tls_start(self.version, &parameters);
        start.early_data_context = &context;
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
