//! What a caller chooses before a connection starts.

use alloc::sync::Arc;
use core::time::Duration;

use crate::crypto;
use crate::tls;

/// Transport settings of one end of a connection.
///
/// The limits are what this end grants its peer, and travel in its transport parameters (RFC 9000 section 18.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// The connection ends silently when nothing was received for this long; zero never. The smaller of the two ends'
    /// values holds (RFC 9000 section 10.1). Default: 30 s.
    pub max_idle_timeout: Duration,
    /// Bytes that the peer may send on all streams together before we grant more. Default: 8 MiB.
    pub initial_max_data: u64,
    /// Bytes that the peer may send on one bidirectional stream that we opened. Default: 4 MiB.
    pub initial_max_stream_data_bidi_local: u64,
    /// Bytes that the peer may send on one bidirectional stream that it opened. Default: 4 MiB.
    pub initial_max_stream_data_bidi_remote: u64,
    /// Bytes that the peer may send on one unidirectional stream. Default: 4 MiB.
    pub initial_max_stream_data_uni: u64,
    /// Bidirectional streams that the peer may have open. Default: 100.
    pub initial_max_streams_bidi: u64,
    /// Unidirectional streams that the peer may have open. Default: 100.
    pub initial_max_streams_uni: u64,
    /// Bytes written and not yet acknowledged that the engine keeps, all streams together. Default: 8 MiB.
    pub send_buffer: u64,
    /// The largest UDP payload that we send once the handshake is complete, 1200 to 65527, where the peer takes as
    /// much. Until then 1200. There is no discovery yet: choose what the path carries. Default: 1200.
    pub max_udp_payload_size: u16,
    /// The round-trip time assumed before the first sample (RFC 9002 section 6.2.2). Default: 333 ms.
    pub initial_rtt: Duration,
    /// How long we may hold an acknowledgment back, below 16.384 s (RFC 9000 section 13.2.1). Default: 25 ms.
    pub max_ack_delay: Duration,
    /// Sends a PING when nothing was received for this long. Default: none.
    pub keep_alive: Option<Duration>,
    /// Gives up when the handshake takes longer. Default: 10 s; `None` leaves it to the idle timeout.
    pub handshake_timeout: Option<Duration>,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            max_idle_timeout: Duration::from_secs(30),
            initial_max_data: 8 << 20,
            initial_max_stream_data_bidi_local: 4 << 20,
            initial_max_stream_data_bidi_remote: 4 << 20,
            initial_max_stream_data_uni: 4 << 20,
            initial_max_streams_bidi: 100,
            initial_max_streams_uni: 100,
            send_buffer: 8 << 20,
            max_udp_payload_size: 1200,
            initial_rtt: Duration::from_millis(333),
            max_ack_delay: Duration::from_millis(25),
            keep_alive: None,
            handshake_timeout: Some(Duration::from_secs(10)),
        }
    }
}

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
