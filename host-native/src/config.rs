//! What a caller chooses, in one form for both backends.

use std::time::Duration;

use quillon::TransportSettings;
use quillon::crypto::CipherSuite;

use crate::engine::Engine;
use crate::identity::Identity;

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
    /// Transport settings.
    pub transport: TransportSettings,
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
    /// Transport settings.
    pub transport: TransportSettings,
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
        }
    }

    pub(crate) fn suites(&self, engine: Engine) -> &[CipherSuite] {
        if self.cipher_suites.is_empty() { engine.cipher_suites() } else { &self.cipher_suites }
    }
}
