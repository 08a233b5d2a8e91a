//! Quillon in native code.

use std::sync::Arc;
use std::time::Duration;

use quillon::crypto::CipherSuite;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{ClientConfig, EndpointConfig, ServerConfig, TransportSettings};
use quillon_tests::fixtures::{CA, CERTIFICATE, PRIVATE_KEY};
use quillon_tests::host::{ALPN, Native};

use crate::{DATAGRAM_LEN, WINDOW, bulk};

/// Moves `bytes` bytes from a client to a server and returns how long that took, the handshake not included.
pub(crate) fn transfer(suite: CipherSuite, bytes: usize) -> Duration {
    let client = RustlsClient::builder().alpn([ALPN]).roots([CA]).cipher_suites(&[suite]).build();
    let server = RustlsServer::builder([CERTIFICATE], PRIVATE_KEY).alpn([ALPN]).cipher_suites(&[suite]).build();
    let mut client = ClientConfig::new(Arc::new(client.expect("the test CA is a certificate")));
    let mut server = ServerConfig::new(Arc::new(server.expect("a key and its chain")));
    client.transport = settings();
    server.transport = settings();
    let end = |server, seed| Native::new(EndpointConfig::default(), client.clone(), server, [seed; 32]);
    bulk::transfer(end(None, 1), end(Some(server), 2), bytes)
}

fn settings() -> TransportSettings {
    TransportSettings {
        initial_max_data: WINDOW,
        initial_max_stream_data_uni: WINDOW,
        send_buffer: WINDOW,
        max_udp_payload_size: DATAGRAM_LEN as u16,
        // Every engine sends this size from the start.
        mtu_discovery_sizes: Vec::new(),
        ..TransportSettings::default()
    }
}
