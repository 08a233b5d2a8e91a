//! What a caller chooses before a connection starts.

mod builder;
mod transport;
mod validation;

use alloc::sync::Arc;

use crate::crypto;
use crate::tls;

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
}

#[cfg(feature = "ring")]
impl ClientConfig {
    /// A configuration with ring's packet protection and default transport settings.
    #[must_use]
    pub fn new(tls: Arc<dyn tls::ClientConfig>) -> Self {
        Self { tls, crypto: crypto::ring::provider(), transport: TransportSettings::default() }
    }
}

#[cfg(feature = "ring")]
impl ServerConfig {
    /// A configuration with ring's packet protection and default transport settings.
    #[must_use]
    pub fn new(tls: Arc<dyn tls::ServerConfig>) -> Self {
        Self { tls, crypto: crypto::ring::provider(), transport: TransportSettings::default() }
    }
}
