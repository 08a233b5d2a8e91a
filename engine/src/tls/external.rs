//! TLS outside the engine: the caller runs the handshake, the engine carries its bytes and protects packets with its
//! secrets (RFC 9001 section 4).
//!
//! With [`ExternalTls`] as the TLS of a configuration, a connection tells
//! [`Event::CryptoReceived`](crate::Event::CryptoReceived); the caller takes the bytes, gives its own for each level,
//! installs the secrets and says when the handshake is complete, all by calls of
//! [`Connection`](crate::Connection).
//!
//! Invariants: what waits to be taken, and what was given, is bounded; a server's 1-RTT packets are read only once the
//! handshake is complete, whenever their secret is installed (RFC 9001 section 5.7).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{ClientConfig, ClientHello, Output, ServerConfig, Session, Start, TlsError, alert};
use crate::crypto::{CipherSuite, Secret};
use crate::wire::{Level, Side};

/// The bytes of the peer that wait for the caller at most.
const MAX_WAITING: usize = 128 << 10;

/// The bytes that the caller may give on one connection, all levels together.
const MAX_SUBMITTED: usize = 1 << 20;

/// The TLS of a configuration whose handshakes are run by the caller; see the [module documentation](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct ExternalTls;

/// Whose packets a secret protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Those that we receive.
    Read,
    /// Those that we send.
    Write,
}

/// What a handshake outside has agreed on, for those who ask the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// The application protocol (RFC 7301).
    pub alpn: Option<Vec<u8>>,
    /// The peer's certificate chain in DER, its own certificate first.
    pub peer_certificates: Vec<Vec<u8>>,
}

/// Why a call for TLS outside the engine has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternalTlsError {
    /// The connection's TLS is not [`ExternalTls`], a server has not received the whole ClientHello yet, or the
    /// connection is closed.
    NoSession,
    /// Data for this level cannot be given: it has no CRYPTO frames, or its secret to write is not installed.
    Level,
    /// The secret is not as long as the cipher suite's hash, is for Initial packets, or was installed before.
    Secret,
    /// The peer's transport parameters were given before.
    TransportParameters,
    /// More data than a connection takes: 1 MiB.
    TooMuch,
    /// The handshake cannot be complete: a 1-RTT secret or the peer's transport parameters are missing, or it was
    /// complete before.
    NotComplete,
}

impl fmt::Display for ExternalTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => "the connection has no TLS session outside",
            Self::Level => "the level has no CRYPTO frames, or no secret yet",
            Self::Secret => "the secret has the wrong length or level, or is there already",
            Self::TransportParameters => "the peer's transport parameters are there already",
            Self::TooMuch => "more than 1 MiB of TLS data",
            Self::NotComplete => "a 1-RTT secret or the peer's transport parameters are missing",
        })
    }
}

impl core::error::Error for ExternalTlsError {}

/// The engine's end of a handshake that is run outside.
#[derive(Debug)]
pub struct ExternalSession {
    side: Side,
    server_name: Option<String>,
    local_parameters: Vec<u8>,
    peer_parameters: Option<Vec<u8>>,
    /// What the peer sent, to be taken.
    waiting: VecDeque<(Level, Vec<u8>)>,
    waiting_len: usize,
    submitted: usize,
    outputs: VecDeque<Output>,
    /// Installed so far: a bit for each level and direction.
    installed: u8,
    /// A server's secret to read 1-RTT packets, until the handshake is complete.
    held_back: Option<(CipherSuite, Secret)>,
    suite: Option<CipherSuite>,
    agreement: Agreement,
    is_complete: bool,
}

impl ClientConfig for ExternalTls {
    fn start(&self, server_name: &str, start: Start<'_>) -> Result<Box<dyn Session>, TlsError> {
        Ok(Box::new(ExternalSession::new(Side::Client, Some(server_name.to_owned()), &start)))
    }
}

impl ServerConfig for ExternalTls {
    fn start(&self, hello: &ClientHello, start: Start<'_>) -> Result<Box<dyn Session>, TlsError> {
        let mut session = ExternalSession::new(Side::Server, hello.server_name.clone(), &start);
        session.peer_parameters = Some(hello.transport_parameters.clone());
        Ok(Box::new(session))
    }
}

impl ExternalSession {
    fn new(side: Side, server_name: Option<String>, start: &Start<'_>) -> Self {
        Self {
            side,
            server_name,
            local_parameters: start.transport_parameters.to_owned(),
            peer_parameters: None,
            waiting: VecDeque::new(),
            waiting_len: 0,
            submitted: 0,
            outputs: VecDeque::new(),
            installed: 0,
            held_back: None,
            suite: None,
            agreement: Agreement::default(),
            is_complete: false,
        }
    }

    pub(crate) fn local_transport_parameters(&self) -> &[u8] {
        &self.local_parameters
    }

    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn take(&mut self) -> Option<(Level, Vec<u8>)> {
        let (level, data) = self.waiting.pop_front()?;
        self.waiting_len = self.waiting_len.saturating_sub(data.len());
        Some((level, data))
    }

    pub(crate) fn submit(&mut self, level: Level, data: &[u8]) -> Result<(), ExternalTlsError> {
        let writable = level == Level::Initial || self.is_installed(level, Direction::Write);
        if level == Level::ZeroRtt || !writable {
            return Err(ExternalTlsError::Level);
        }
        if self.submitted.saturating_add(data.len()) > MAX_SUBMITTED {
            return Err(ExternalTlsError::TooMuch);
        }
        self.submitted += data.len();
        self.outputs.push_back(Output::Crypto { level, data: data.to_vec() });
        Ok(())
    }

    pub(crate) fn install(
        &mut self,
        level: Level,
        direction: Direction,
        suite: CipherSuite,
        secret: Secret,
    ) -> Result<(), ExternalTlsError> {
        let fits = level != Level::Initial && secret.as_slice().len() == suite.hash().len();
        if !fits || self.is_installed(level, direction) {
            return Err(ExternalTlsError::Secret);
        }
        self.installed |= bit(level, direction);
        self.suite = Some(suite);
        let early = self.side == Side::Server && level == Level::OneRtt && !self.is_complete;
        match direction {
            Direction::Read if early => self.held_back = Some((suite, secret)),
            Direction::Read => self.outputs.push_back(Output::ReadSecret { level, suite, secret }),
            Direction::Write => self.outputs.push_back(Output::WriteSecret { level, suite, secret }),
        }
        Ok(())
    }

    pub(crate) fn set_peer_transport_parameters(&mut self, encoded: &[u8]) -> Result<(), ExternalTlsError> {
        if self.peer_parameters.is_some() {
            return Err(ExternalTlsError::TransportParameters);
        }
        self.peer_parameters = Some(encoded.to_owned());
        Ok(())
    }

    pub(crate) fn complete(&mut self, agreement: Agreement) -> Result<(), ExternalTlsError> {
        let secrets = [Direction::Read, Direction::Write].map(|direction| self.is_installed(Level::OneRtt, direction));
        if self.is_complete || secrets.contains(&false) || self.peer_parameters.is_none() {
            return Err(ExternalTlsError::NotComplete);
        }
        self.is_complete = true;
        self.agreement = agreement;
        if let Some((suite, secret)) = self.held_back.take() {
            self.outputs.push_back(Output::ReadSecret { level: Level::OneRtt, suite, secret });
        }
        self.outputs.push_back(Output::HandshakeComplete);
        Ok(())
    }

    const fn is_installed(&self, level: Level, direction: Direction) -> bool {
        self.installed & bit(level, direction) != 0
    }
}

const fn bit(level: Level, direction: Direction) -> u8 {
    1 << (2 * level as u8 + direction as u8)
}

impl Session for ExternalSession {
    fn read_crypto(&mut self, level: Level, data: &[u8]) -> Result<(), TlsError> {
        self.waiting_len = self.waiting_len.saturating_add(data.len());
        if self.waiting_len > MAX_WAITING {
            return Err(TlsError::new(alert::INTERNAL_ERROR, "TLS data is not taken: more than 128 KiB wait"));
        }
        match self.waiting.back_mut() {
            Some((last, waiting)) if *last == level => waiting.extend_from_slice(data),
            _ => self.waiting.push_back((level, data.to_owned())),
        }
        Ok(())
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn peer_transport_parameters(&self) -> Option<&[u8]> {
        self.peer_parameters.as_deref()
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.agreement.alpn.as_deref()
    }

    fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    fn cipher_suite(&self) -> Option<CipherSuite> {
        self.suite
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.agreement.peer_certificates.clone()
    }

    fn export_keying_material(&self, _: &mut [u8], _: &[u8], _: &[u8]) -> Result<(), TlsError> {
        Err(TlsError::new(alert::INTERNAL_ERROR, "the TLS session is outside the engine: ask it for keying material"))
    }

    fn memory_used(&self) -> usize {
        self.waiting_len
    }

    fn external(&mut self) -> Option<&mut ExternalSession> {
        Some(self)
    }
}
