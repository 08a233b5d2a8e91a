//! What the transport can do beyond streams, of either build of the engine: what interoperability is tested with.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quillon::connection::{EarlyDataStatus, Migration};
use quillon::tls::rustls::{RustlsClient, RustlsServer, SessionStore};
use quillon::wire::Version;
use quillon::{
    Admission, ClientConfig, ConnectionHandle, EndpointConfig, ServerConfig, Side, StreamId, Time, TransportSettings,
};

use crate::command::Engine;
use crate::fixtures::{CA, CERTIFICATE, PRIVATE_KEY};
use crate::host::{ALPN, Host, Native};
use crate::module::{Module, Settings, encode_address};

/// Sessions that a server remembers, where it takes early data.
const SESSIONS: usize = 16;
/// The largest DATAGRAM frame that is taken.
const DATAGRAM: u64 = 1200;

/// How an endpoint differs from the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The application protocol, where it is not [`ALPN`].
    pub alpn: Option<&'static str>,
    /// The versions to speak, the first chosen; empty for the default.
    pub versions: Vec<u32>,
    /// A client that chooses version 1 and would rather change to the first of `versions`. Only in native code: the ABI
    /// has the first of `versions` chosen.
    pub choose_version_1: bool,
    /// The versions to change to; empty for the default.
    pub preferred_versions: Vec<u32>,
    /// A server that answers each client without a token with a Retry.
    pub retry: bool,
    /// Early data is sent, or taken.
    pub early_data: bool,
    /// A server that also listens at a second address, and prefers it.
    pub preferred_address: Option<SocketAddr>,
}

/// What can be asked of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The version of QUIC.
    pub version: u32,
    /// The path in use.
    pub path: quillon::FourTuple,
    /// Whether the handshake resumed a session.
    pub resumed: bool,
    /// Whether the server took the early data.
    pub early_data_accepted: bool,
    /// Whether the peer takes datagrams.
    pub takes_datagrams: bool,
}

/// A host whose connections do more than move streams.
pub trait Transport: Host {
    /// What is known of a connection; `None` where it is gone.
    fn facts(&mut self, connection: ConnectionHandle) -> Option<Known>;
    /// Updates the keys; returns whether it was not too early.
    fn update_key(&mut self, now: Time, connection: ConnectionHandle) -> bool;
    /// Moves a client to another of its addresses, at once.
    fn migrate(&mut self, now: Time, connection: ConnectionHandle, local: SocketAddr);
    /// Queues a datagram; returns whether the peer takes it.
    fn send_datagram(&mut self, connection: ConnectionHandle, data: &[u8]) -> bool;
    /// The oldest received datagram.
    fn recv_datagram(&mut self, connection: ConnectionHandle) -> Option<Vec<u8>>;
    /// Whether what can be read of a stream is early data.
    fn is_early_data(&mut self, connection: ConnectionHandle, id: StreamId) -> bool;
    /// Gives the client's next connection an address token.
    fn set_token(&mut self, token: &[u8]);
    /// How many sessions a client has been given. The latest is that of its next connection.
    fn sessions(&self) -> u32;
}

/// An endpoint of a build of the engine.
///
/// # Panics
/// Where the engine refuses the options or the fixtures.
#[must_use]
pub fn endpoint(engine: Engine, side: Side, options: &Options, seed: [u8; 32]) -> Box<dyn Transport + Send> {
    match engine {
        Engine::Native => Box::new(native(side, options, seed)),
        Engine::Wasm => Box::new(Module::new(side, &module_settings(side, options), seed)),
    }
}

fn native(side: Side, options: &Options, seed: [u8; 32]) -> Native {
    let mut transport = TransportSettings::default();
    transport.datagrams.max_frame_size = DATAGRAM;
    let versions = |numbers: &[u32]| numbers.iter().copied().map(Version).collect::<Vec<_>>();
    if let Some(&chosen) = options.versions.first() {
        transport.versions.chosen = if options.choose_version_1 { Version::V1 } else { Version(chosen) };
        transport.versions.available = versions(&options.versions);
    }
    if !options.preferred_versions.is_empty() {
        transport.versions.preferred = versions(&options.preferred_versions);
    }
    if let Some(SocketAddr::V4(address)) = options.preferred_address {
        transport.preferred_ipv4 = Some(address);
    }
    let alpn = options.alpn.map_or(ALPN, str::as_bytes);
    let client = RustlsClient::builder().alpn([alpn]).roots([CA]).build().expect("the test CA is a certificate");
    let mut client = ClientConfig::new(Arc::new(client));
    client.transport = transport.clone();
    client.early_data = options.early_data;
    let server = (side == Side::Server).then(|| {
        let mut tls = RustlsServer::builder([CERTIFICATE], PRIVATE_KEY).alpn([alpn]);
        if options.early_data {
            tls = tls.session_store(SessionStore::new(SESSIONS)).early_data(true);
        }
        let mut server = ServerConfig::new(Arc::new(tls.build().expect("a key and its chain")));
        server.transport = transport;
        server
    });
    let mut config = EndpointConfig::default();
    if options.retry {
        config.admission = Admission::AutomaticWithRetry { threshold: 0 };
    }
    Native::new(config, client, server, seed)
}

fn module_settings(side: Side, options: &Options) -> Settings {
    let mut settings = Settings { alpn: options.alpn.map(Into::into), ..Settings::default() };
    let versions = |numbers: &[u32]| numbers.iter().flat_map(|version| version.to_be_bytes()).collect::<Vec<_>>();
    // QUILLON_CONFIG_MAX_DATAGRAM_FRAME_SIZE, _EARLY_DATA, _SESSION_STORE, _ADMISSION of `quillon.h`.
    settings.numbers.push((16, DATAGRAM));
    if options.early_data {
        settings.numbers.push((29, 1));
        if side == Side::Server {
            settings.numbers.push((30, SESSIONS as u64));
        }
    }
    if options.retry {
        settings.numbers.push((37, 1));
    }
    // QUILLON_CONFIG_VERSIONS, _PREFERRED_VERSIONS, _PREFERRED_ADDRESS.
    if !options.versions.is_empty() {
        settings.bytes.push((69, versions(&options.versions)));
    }
    if !options.preferred_versions.is_empty() {
        settings.bytes.push((70, versions(&options.preferred_versions)));
    }
    if let Some(address) = options.preferred_address {
        settings.bytes.push((76, encode_address(address).to_vec()));
    }
    settings
}

impl Transport for Native {
    fn facts(&mut self, connection: ConnectionHandle) -> Option<Known> {
        self.endpoint.connection(connection).map(|connection| Known {
            version: connection.version().0,
            path: connection.path(),
            resumed: connection.is_resumed(),
            early_data_accepted: connection.early_data_status() == EarlyDataStatus::Accepted,
            takes_datagrams: connection.max_datagram_size().is_some(),
        })
    }

    fn update_key(&mut self, now: Time, connection: ConnectionHandle) -> bool {
        self.connection(connection).initiate_key_update(now).is_ok()
    }

    fn migrate(&mut self, now: Time, connection: ConnectionHandle, local: SocketAddr) {
        self.connection(connection).migrate(now, local, Migration::Immediate).expect("a client may move");
    }

    fn send_datagram(&mut self, connection: ConnectionHandle, data: &[u8]) -> bool {
        self.connection(connection).send_datagram(Bytes::copy_from_slice(data)).is_ok()
    }

    fn recv_datagram(&mut self, connection: ConnectionHandle) -> Option<Vec<u8>> {
        self.connection(connection).recv_datagram().map(|data| data.to_vec())
    }

    fn is_early_data(&mut self, connection: ConnectionHandle, id: StreamId) -> bool {
        self.connection(connection).is_early_data(id)
    }

    fn set_token(&mut self, token: &[u8]) {
        Arc::make_mut(&mut self.client).token = token.to_vec();
    }

    fn sessions(&self) -> u32 {
        self.sessions
    }
}
