//! quinn-proto, for comparison: the same transfer with the same sizes and windows.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quillon::crypto::CipherSuite;
use quillon_tests::fixtures::{CA, CERTIFICATE, PRIVATE_KEY};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ServerConfig,
    StreamEvent, StreamId, TransportConfig, VarInt,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use crate::{CHUNK, DATAGRAM_LEN, SEGMENTS, WINDOW};

/// One end: an endpoint with its only connection.
struct End {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    peer: SocketAddr,
    out: Vec<u8>,
}

impl End {
    fn connection(&mut self) -> &mut Connection {
        &mut self.connection.as_mut().expect("connected").1
    }

    /// Everything that this end can send, handed to `other`. Returns whether there was anything.
    fn pump(&mut self, now: Instant, other: &mut Self) -> bool {
        let mut moved = false;
        while let Some((_, connection)) = &mut self.connection
            && let Some(transmit) = connection.poll_transmit(now, SEGMENTS, &mut self.out)
        {
            // As quinn's own driver does with what a socket received: one copy of the batch, split into datagrams.
            let mut batch = BytesMut::from(&self.out[..transmit.size]);
            self.out.clear();
            let stride = transmit.segment_size.unwrap_or(transmit.size);
            while !batch.is_empty() {
                other.receive(now, batch.split_to(stride.min(batch.len())));
            }
            moved = true;
        }
        moved
    }

    fn receive(&mut self, now: Instant, datagram: BytesMut) {
        match self.endpoint.handle(now, self.peer, None, None, datagram, &mut self.out) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => self.connection().handle_event(event),
            Some(DatagramEvent::NewConnection(incoming)) => {
                let accepted = self.endpoint.accept(incoming, now, &mut self.out, None);
                self.connection = Some(accepted.unwrap_or_else(|error| panic!("refused: {:?}", error.cause)));
            }
            Some(DatagramEvent::Response(_)) => panic!("nothing calls for a stateless response"),
            None => {}
        }
    }

    /// Carries events between endpoint and connection, and fires the timer that is due.
    fn settle(&mut self, now: Instant) {
        let Some((handle, connection)) = &mut self.connection else { return };
        if connection.poll_timeout().is_some_and(|deadline| deadline <= now) {
            connection.handle_timeout(now);
        }
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(event);
            }
        }
    }
}

/// Moves `bytes` bytes from a client to a server and returns how long that took, the handshake not included.
pub(crate) fn transfer(suite: CipherSuite, bytes: usize) -> Duration {
    let (mut client, mut server) = ends(suite);
    let mut clock = Clock::new();
    let mut established = false;
    while !established {
        clock.turn(&mut client, &mut server);
        while let Some(event) = client.connection().poll() {
            established |= matches!(event, Event::Connected);
        }
    }
    let chunk = Bytes::from(vec![0x5a; CHUNK]);
    let started = Instant::now();
    let id = client.connection().streams().open(Dir::Uni).expect("the server grants streams");
    let (mut written, mut read, mut finished) = (0, 0, false);
    while read < bytes {
        while written < bytes {
            let mut chunks = [chunk.slice(..CHUNK.min(bytes - written))];
            let Ok(taken) = client.connection().send_stream(id).write_chunks(&mut chunks) else { break };
            written += taken.bytes;
        }
        if written == bytes && !finished {
            client.connection().send_stream(id).finish().expect("the stream is open");
            finished = true;
        }
        clock.turn(&mut client, &mut server);
        read += read_all(server.connection());
        while client.connection().poll().is_some() {}
    }
    started.elapsed()
}

fn read_all(connection: &mut Connection) -> usize {
    let mut readable: Option<StreamId> = None;
    while let Some(event) = connection.poll() {
        match event {
            Event::Stream(StreamEvent::Opened { dir }) => readable = connection.streams().accept(dir),
            Event::Stream(StreamEvent::Readable { id }) => readable = Some(id),
            _ => {}
        }
    }
    let Some(id) = readable else { return 0 };
    let mut read = 0;
    let mut stream = connection.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return 0 };
    while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
        read += chunk.bytes.len();
    }
    let _ = chunks.finalize();
    read
}

/// Virtual time: a turn takes 100 microseconds, and where nothing moved, as long as to the next deadline.
struct Clock(Instant);

impl Clock {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn turn(&mut self, client: &mut End, server: &mut End) {
        let moved = client.pump(self.0, server);
        self.0 += Duration::from_micros(50);
        server.settle(self.0);
        let moved = server.pump(self.0, client) || moved;
        self.0 += Duration::from_micros(50);
        if !moved {
            let deadlines = [&mut *client, &mut *server].map(|end| end.connection.as_mut()?.1.poll_timeout());
            let next = deadlines.into_iter().flatten().min().expect("a connection has a deadline");
            self.0 = self.0.max(next);
        }
        client.settle(self.0);
        server.settle(self.0);
    }
}

fn ends(suite: CipherSuite) -> (End, End) {
    let (client_address, server_address) =
        (SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000)), (Ipv4Addr::LOCALHOST, 443).into());
    let config = Arc::new(EndpointConfig::default());
    let server_endpoint =
        Endpoint::new(Arc::clone(&config), Some(Arc::new(server_config(suite))), false, Some([2; 32]));
    let mut endpoint = Endpoint::new(config, None, false, Some([1; 32]));
    let connection = endpoint
        .connect(Instant::now(), client_config(suite), server_address, "localhost")
        .expect("the configuration is complete");
    (
        End { endpoint, connection: Some(connection), peer: server_address, out: Vec::new() },
        End { endpoint: server_endpoint, connection: None, peer: client_address, out: Vec::new() },
    )
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .initial_mtu(DATAGRAM_LEN as u16)
        .mtu_discovery_config(None)
        .stream_receive_window(VarInt::from_u32(WINDOW as u32))
        .receive_window(VarInt::from_u32(WINDOW as u32))
        .send_window(WINDOW);
    Arc::new(transport)
}

/// ring with that suite, and AES-128-GCM, which protects Initial packets.
fn provider(suite: CipherSuite) -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = match suite {
        CipherSuite::ChaCha20Poly1305 => vec![TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256],
        _ => vec![TLS13_AES_128_GCM_SHA256],
    };
    Arc::new(provider)
}

fn client_config(suite: CipherSuite) -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(CA)).expect("the CA is a certificate");
    let tls = rustls::ClientConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("AES-128-GCM is there")));
    config.transport_config(transport());
    config
}

fn server_config(suite: CipherSuite) -> ServerConfig {
    let tls = rustls::ServerConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE)], PrivatePkcs8KeyDer::from(PRIVATE_KEY).into())
        .expect("certificate and key belong together");
    let mut config =
        ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).expect("AES-128-GCM is there")));
    config.transport_config(transport());
    config
}
