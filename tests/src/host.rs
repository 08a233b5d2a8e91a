//! What drives an endpoint: the engine in native code, or the module through its ABI, behind one set of calls.

use std::sync::Arc;
use std::time::Duration;

use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{
    ClientConfig, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, Outgoing, ServerConfig,
    StreamId, Time, Transmit,
};

use crate::fixtures::{CA, CERTIFICATE, PRIVATE_KEY};

/// The application protocol of tests that speak none.
pub const ALPN: &[u8] = b"test";

/// Within the validity of the test certificates.
pub const UNIX_TIME: Duration = Duration::from_secs(1_750_000_000);

/// Datagrams of one path and one ECN mark, one after the other.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The datagrams.
    pub bytes: &'a mut [u8],
    /// The size of each but the last, which may be smaller.
    pub segment_size: usize,
    /// The path, as seen by the end that sends or receives them.
    pub path: FourTuple,
    /// Their ECN codepoint.
    pub ecn: Ecn,
}

/// An endpoint and its host's side of the contract.
pub trait Host {
    /// Opens a connection to the server named `server_name`.
    fn connect(&mut self, now: Time, server_name: &str, path: FourTuple) -> ConnectionHandle;
    /// Hands over received datagrams; they are decrypted in place.
    fn receive(&mut self, now: Time, batch: Batch<'_>);
    /// Hands everything that can be sent now to `send`.
    fn transmit(&mut self, now: Time, send: &mut dyn FnMut(Batch<'_>));
    /// The next deadline.
    fn timeout(&mut self) -> Option<Time>;
    /// Tells that the deadline has passed.
    fn handle_timeout(&mut self, now: Time);
    /// The next event.
    fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)>;
    /// Opens a stream; `None` while the peer grants none.
    fn open(&mut self, connection: ConnectionHandle, dir: Dir) -> Option<StreamId>;
    /// Appends to a stream; returns how many bytes were taken, 0 while there is no room.
    fn write(&mut self, connection: ConnectionHandle, id: StreamId, data: &[u8]) -> usize;
    /// Ends a stream.
    fn finish(&mut self, connection: ConnectionHandle, id: StreamId);
    /// Hands everything readable to `take`; returns whether the stream has ended.
    fn read(&mut self, connection: ConnectionHandle, id: StreamId, take: &mut dyn FnMut(&[u8])) -> bool;
    /// Closes a connection.
    fn close(&mut self, now: Time, connection: ConnectionHandle, code: u64, reason: &[u8]);
}

impl<H: Host + ?Sized> Host for Box<H> {
    fn connect(&mut self, now: Time, server_name: &str, path: FourTuple) -> ConnectionHandle {
        (**self).connect(now, server_name, path)
    }

    fn receive(&mut self, now: Time, batch: Batch<'_>) {
        (**self).receive(now, batch);
    }

    fn transmit(&mut self, now: Time, send: &mut dyn FnMut(Batch<'_>)) {
        (**self).transmit(now, send);
    }

    fn timeout(&mut self) -> Option<Time> {
        (**self).timeout()
    }

    fn handle_timeout(&mut self, now: Time) {
        (**self).handle_timeout(now);
    }

    fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)> {
        (**self).poll_event()
    }

    fn open(&mut self, connection: ConnectionHandle, dir: Dir) -> Option<StreamId> {
        (**self).open(connection, dir)
    }

    fn write(&mut self, connection: ConnectionHandle, id: StreamId, data: &[u8]) -> usize {
        (**self).write(connection, id, data)
    }

    fn finish(&mut self, connection: ConnectionHandle, id: StreamId) {
        (**self).finish(connection, id);
    }

    fn read(&mut self, connection: ConnectionHandle, id: StreamId, take: &mut dyn FnMut(&[u8])) -> bool {
        (**self).read(connection, id, take)
    }

    fn close(&mut self, now: Time, connection: ConnectionHandle, code: u64, reason: &[u8]) {
        (**self).close(now, connection, code, reason);
    }
}

/// A client configuration that trusts the test CA.
///
/// # Panics
/// Where the engine refuses the fixtures.
#[must_use]
pub fn client_config() -> ClientConfig {
    let tls = RustlsClient::builder().alpn([ALPN]).roots([CA]).build().expect("the test CA is a certificate");
    ClientConfig::new(Arc::new(tls))
}

/// A server configuration with the test certificate.
///
/// # Panics
/// Where the engine refuses the fixtures.
#[must_use]
pub fn server_config() -> ServerConfig {
    let tls = RustlsServer::builder([CERTIFICATE], PRIVATE_KEY).alpn([ALPN]).build().expect("a key and its chain");
    ServerConfig::new(Arc::new(tls))
}

/// The engine in native code.
#[derive(Debug)]
pub struct Native {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// How it connects.
    pub client: Arc<ClientConfig>,
    /// How many sessions it has been given; the latest is that of the next connection.
    pub sessions: u32,
    buffer: Vec<u8>,
}

impl Native {
    /// An endpoint that connects with `client` and, where it has a `server` configuration, accepts.
    #[must_use]
    pub fn new(config: EndpointConfig, client: ClientConfig, server: Option<ServerConfig>, seed: [u8; 32]) -> Self {
        let mut endpoint = Endpoint::new(config, seed);
        endpoint.set_unix_time(UNIX_TIME);
        endpoint.set_server(server.map(Arc::new)).expect("the settings are within their ranges");
        Self { endpoint, client: Arc::new(client), sessions: 0, buffer: vec![0; 65_507] }
    }

    /// A connection that must exist.
    ///
    /// # Panics
    /// Where the handle is stale.
    pub fn connection(&mut self, handle: ConnectionHandle) -> &mut quillon::Connection {
        self.endpoint.connection_mut(handle).expect("the connection exists")
    }
}

impl Host for Native {
    fn connect(&mut self, now: Time, server_name: &str, path: FourTuple) -> ConnectionHandle {
        self.endpoint.connect(now, &self.client, server_name, path).expect("the endpoint has room")
    }

    fn receive(&mut self, now: Time, batch: Batch<'_>) {
        for datagram in batch.bytes.chunks_mut(batch.segment_size.max(1)) {
            self.endpoint.receive(now, batch.path, batch.ecn, datagram);
        }
    }

    fn transmit(&mut self, now: Time, send: &mut dyn FnMut(Batch<'_>)) {
        while let Transmit::Send(Outgoing { len, segment_size, path, ecn }) =
            self.endpoint.transmit(now, &mut self.buffer)
        {
            send(Batch { bytes: &mut self.buffer[..len], segment_size, path, ecn });
        }
    }

    fn timeout(&mut self) -> Option<Time> {
        self.endpoint.timeout()
    }

    fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
    }

    fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)> {
        let polled = self.endpoint.poll_event();
        if let Some((_, Event::NewSession(session))) = &polled {
            Arc::make_mut(&mut self.client).session = Some((**session).clone());
            self.sessions += 1;
        }
        polled
    }

    fn open(&mut self, connection: ConnectionHandle, dir: Dir) -> Option<StreamId> {
        self.connection(connection).open(dir).ok()
    }

    fn write(&mut self, connection: ConnectionHandle, id: StreamId, data: &[u8]) -> usize {
        self.connection(connection).write(id, data).unwrap_or(0)
    }

    fn finish(&mut self, connection: ConnectionHandle, id: StreamId) {
        self.connection(connection).finish(id).expect("the stream is open");
    }

    fn read(&mut self, connection: ConnectionHandle, id: StreamId, take: &mut dyn FnMut(&[u8])) -> bool {
        let connection = self.connection(connection);
        while let Ok(peeked) = connection.peek(id) {
            if peeked.finished {
                return true;
            }
            let len = peeked.data.len();
            take(peeked.data);
            connection.consume(id, len).expect("that much was there");
        }
        false
    }

    fn close(&mut self, now: Time, connection: ConnectionHandle, code: u64, reason: &[u8]) {
        self.connection(connection).close(now, code, reason);
    }
}
