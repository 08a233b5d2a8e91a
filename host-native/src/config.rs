//! What a caller chooses, in one form for both backends.

use std::time::Duration;

use quillon::TransportSettings;
use quillon::crypto::CipherSuite;
use quillon::wire::Version;

use crate::engine::Engine;
use crate::identity::Identity;
use crate::session::Session;

/// How connections are opened.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Application protocols, in order of preference (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
    /// Certificates, in DER, of the authorities to trust.
    pub roots: Vec<Vec<u8>>,
    /// Whether the server's certificate is verified. Without it anybody can be the server. Default: yes.
    pub verify_peer: bool,
    /// Cipher suites in order of preference. Default: empty, the backend's own order ([`Engine::cipher_suites`]).
    pub cipher_suites: Vec<CipherSuite>,
    /// Transport settings, the versions of QUIC among them.
    pub transport: TransportSettings,
    /// An address token of the server, of [`Connection::token`](crate::Connection::token): it spares the server the doubt
    /// about our address. Each is good for one connection, in the version that it came in. Default: empty, none.
    pub token: Vec<u8>,
    /// The session to resume: of an earlier connection of the same endpoint with the same configuration, token and
    /// session aside; else the handshake is a full one. Default: none.
    pub session: Option<Session>,
    /// Sends early data where the session allows it: see
    /// [`Endpoint::connect_early`](crate::Endpoint::connect_early). Default: no.
    pub early_data: bool,
}

impl ClientConfig {
    /// A configuration that offers these application protocols, and trusts nobody yet.
    #[must_use]
    pub fn new<P: AsRef<[u8]>>(alpn: impl IntoIterator<Item = P>) -> Self {
        Self {
            alpn: alpn.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect(),
            roots: Vec::new(),
            verify_peer: true,
            cipher_suites: Vec::new(),
            transport: TransportSettings::default(),
            token: Vec::new(),
            session: None,
            early_data: false,
        }
    }

    /// Gives up when the handshake takes longer. The default is 10 s.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.transport.handshake_timeout = Some(timeout);
        self
    }

    pub(crate) fn suites(&self, engine: Engine) -> &[CipherSuite] {
        if self.cipher_suites.is_empty() { engine.cipher_suites() } else { &self.cipher_suites }
    }

    /// What connections of the same configuration have in common: all but token and session.
    pub(crate) fn lasting(&self) -> Self {
        Self { token: Vec::new(), session: None, ..self.clone() }
    }

    /// Whether a session of a connection with `other` can be resumed with this one.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let Self { alpn, roots, verify_peer, cipher_suites, transport, token: _, session: _, early_data } = self;
        *alpn == other.alpn
            && *verify_peer == other.verify_peer
            && *cipher_suites == other.cipher_suites
            && *transport == other.transport
            && *early_data == other.early_data
            && *roots == other.roots
    }

    /// The configuration for another attempt, after the server has listed its versions (RFC 9368 section 2.1); `None`
    /// where there is none in common, or where this was already such an attempt.
    pub(crate) fn after_version_negotiation(&self, supported: &[Version]) -> Option<Self> {
        let chosen = self.transport.versions.select(supported)?;
        let mut config = self.lasting();
        config.transport.versions.original = Some(self.transport.versions.chosen);
        config.transport.versions.chosen = chosen;
        Some(config)
    }
}

/// How connections are accepted.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Application protocols, in order of preference (RFC 7301).
    pub alpn: Vec<Vec<u8>>,
    /// Certificate chain and private key.
    pub identity: Identity,
    /// Cipher suites in order of preference. Default: empty, the backend's own order ([`Engine::cipher_suites`]).
    pub cipher_suites: Vec<CipherSuite>,
    /// Transport settings, the versions of QUIC among them.
    pub transport: TransportSettings,
    /// How many sessions are remembered, for clients to resume, each once. Default: 0, none.
    pub session_store: usize,
    /// Whether early data is taken, which needs a [`session_store`](Self::session_store). An attacker can send it a
    /// second time while the server forgets (RFC 9001 section 9.2). Default: no.
    pub early_data: bool,
    /// The key of stateless session tickets, and the one before it, for several processes to share: no early data, and
    /// of no use beside a [`session_store`](Self::session_store). Default: none.
    pub ticket_keys: Option<([u8; 32], Option<[u8; 32]>)>,
}

impl ServerConfig {
    /// A configuration that speaks these application protocols under this identity.
    #[must_use]
    pub fn new<P: AsRef<[u8]>>(identity: Identity, alpn: impl IntoIterator<Item = P>) -> Self {
        Self {
            alpn: alpn.into_iter().map(|protocol| protocol.as_ref().to_vec()).collect(),
            identity,
            cipher_suites: Vec::new(),
            transport: TransportSettings::default(),
            session_store: 0,
            early_data: false,
            ticket_keys: None,
        }
    }

    pub(crate) fn suites(&self, engine: Engine) -> &[CipherSuite] {
        if self.cipher_suites.is_empty() { engine.cipher_suites() } else { &self.cipher_suites }
    }
}
