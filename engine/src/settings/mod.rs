//! What a caller chooses before a connection starts.

mod builder;
mod transport;
mod validation;

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::crypto;
use crate::resumption::SavedSession;
use crate::tls;
#[cfg(doc)]
use crate::token;
use crate::wire::Version;

pub use builder::TransportSettingsBuilder;
pub use transport::TransportSettings;
pub use validation::SettingsError;

/// How connections are opened.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// TLS: trust, application protocols, cipher suites.
    pub tls: Arc<dyn tls::ClientConfig>,
    /// Packet protection.
    pub crypto: Arc<dyn crypto::Provider>,
    /// Transport settings.
    pub transport: TransportSettings,
    /// A token from [`Event::NewToken`](crate::Event::NewToken) of an earlier connection to the same server, in the same
    /// version: it spares the server the doubt about our address. Each is good for one connection. At most
    /// [`token::MAX_LEN`] bytes; a longer one is not sent. Default: empty, none.
    pub token: Vec<u8>,
    /// The session that the next connection resumes, where it is with the server that is connected to; the connection
    /// starts with its version of QUIC, where that is among those available. Each connection needs a session of its own.
    /// Default: none.
    pub session: Option<SavedSession>,
    /// Whether a connection that resumes a session sends early data, where the session allows it: what is written before
    /// the handshake is complete goes out at once, in 0-RTT packets. An attacker can repeat it (RFC 9001 section 9.2),
    /// and the server may not take it ([`Event::EarlyDataRejected`](crate::Event::EarlyDataRejected)). Default: no.
    pub early_data: bool,
}

/// How connections are accepted.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// TLS: certificate, application protocols, cipher suites.
    pub tls: Arc<dyn tls::ServerConfig>,
    /// Packet protection.
    pub crypto: Arc<dyn crypto::Provider>,
    /// Transport settings.
    pub transport: TransportSettings,
    /// Whether the caller decides on each ClientHello: [`Event::ClientHello`](crate::Event::ClientHello) is told, and the
    /// handshake waits for [`Connection::choose`](crate::Connection::choose) or
    /// [`Connection::refuse`](crate::Connection::refuse). Default: false, this configuration serves every client.
    pub ask_on_client_hello: bool,
}

impl ClientConfig {
    /// The configuration for another attempt, after one with this configuration ended in
    /// [`ConnectionError::VersionNegotiation`](crate::ConnectionError::VersionNegotiation) with the versions that the
    /// server listed (RFC 9368 section 2.1). `None` where there is no version in common, or where this attempt was
    /// already such a one.
    #[must_use]
    pub fn after_version_negotiation(&self, supported: &[Version]) -> Option<Self> {
        let chosen = self.transport.versions.select(supported)?;
        let mut config = self.clone();
        config.transport.versions.original = Some(self.transport.versions.chosen);
        config.transport.versions.chosen = chosen;
        // A token is for the version that it came in (RFC 9369 section 5).
        config.token.clear();
        Some(config)
    }
}

#[cfg(feature = "ring")]
impl ClientConfig {
    /// A configuration with ring's packet protection and default transport settings.
    #[must_use]
    pub fn new(tls: Arc<dyn tls::ClientConfig>) -> Self {
        Self {
            tls,
            crypto: crypto::ring::provider(),
            transport: TransportSettings::default(),
            token: Vec::new(),
            session: None,
            early_data: false,
        }
    }
}

#[cfg(feature = "ring")]
impl ServerConfig {
    /// A configuration with ring's packet protection and default transport settings, for every client.
    #[must_use]
    pub fn new(tls: Arc<dyn tls::ServerConfig>) -> Self {
        let (crypto, transport) = (crypto::ring::provider(), TransportSettings::default());
        Self { tls, crypto, transport, ask_on_client_hello: false }
    }
}
