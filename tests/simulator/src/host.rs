//! What drives an endpoint: the engine in native code, or another build of it, behind one set of calls.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{
    ClientConfig, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, Migration, Outgoing,
    Priority, ServerConfig, Stats, StreamId, Time, Transmit, TransportSettings,
};

/// The application protocol of connections whose bytes mean nothing.
pub const ALPN: &[u8] = b"test";

/// Within the validity of the test certificates.
pub const UNIX_TIME: Duration = Duration::from_secs(1_750_000_000);

/// What reading a stream came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// More may come.
    Open,
    /// All of it was read, and its end.
    Finished,
    /// It was reset, or stopped by us, or there is no such stream.
    Over,
}

/// An endpoint and its host's side of the contract. What a command is refused for does not matter here: those that may
/// be refused tell whether they were done.
pub trait Host: Debug {
    /// Opens a connection to the server named `server_name`.
    fn connect(&mut self, now: Time, server_name: &str, path: FourTuple) -> Option<ConnectionHandle>;
    /// Hands over a received datagram; it is decrypted in place.
    fn receive(&mut self, now: Time, path: FourTuple, ecn: Ecn, datagram: &mut [u8]);
    /// Hands everything that can be sent now to `send`, batch by batch.
    fn transmit(&mut self, now: Time, send: &mut dyn FnMut(Outgoing, &[u8]));
    /// The next deadline.
    fn timeout(&mut self) -> Option<Time>;
    /// Tells that the deadline has passed.
    fn handle_timeout(&mut self, now: Time);
    /// The next event.
    fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)>;

    /// How many connections there are.
    fn connection_count(&mut self) -> usize;
    /// Bytes that the endpoint holds, and how many it may.
    fn memory(&mut self) -> (usize, usize);
    /// The counts and measures of a connection; `None` where it is gone.
    fn stats(&mut self, connection: ConnectionHandle) -> Option<Stats>;
    /// The path in use; `None` where the connection is gone.
    fn path(&mut self, connection: ConnectionHandle) -> Option<FourTuple>;
    /// Whether the connection sends at most three times what it received to `remote`; `None` where it has no such path.
    fn is_limited(&mut self, connection: ConnectionHandle, remote: SocketAddr) -> Option<bool>;
    /// Bytes that can be written on all streams together before the peer gives more credit.
    fn send_credit(&mut self, connection: ConnectionHandle) -> u64;
    /// Bytes that can be written on a stream before the peer gives it more credit.
    fn stream_send_credit(&mut self, connection: ConnectionHandle, id: StreamId) -> Option<u64>;

    /// Opens a stream; `None` while the peer grants none.
    fn open(&mut self, connection: ConnectionHandle, dir: Dir) -> Option<StreamId>;
    /// Appends to a stream; returns how many bytes were taken, 0 while there is no room, `None` where it takes no more.
    fn write(&mut self, connection: ConnectionHandle, id: StreamId, data: &[u8]) -> Option<usize>;
    /// Ends a stream.
    fn finish(&mut self, connection: ConnectionHandle, id: StreamId) -> bool;
    /// Hands up to `max` readable bytes to `take`.
    fn read(&mut self, connection: ConnectionHandle, id: StreamId, max: usize, take: &mut dyn FnMut(&[u8])) -> Reading;
    /// Abandons the sending side of a stream.
    fn reset(&mut self, connection: ConnectionHandle, id: StreamId, code: u64) -> bool;
    /// Asks the peer to abandon its sending side of a stream.
    fn stop_sending(&mut self, connection: ConnectionHandle, id: StreamId, code: u64) -> bool;
    /// Sets a stream's place among those that have something to send.
    fn set_priority(&mut self, connection: ConnectionHandle, id: StreamId, priority: Priority) -> bool;
    /// Sends a datagram.
    fn send_datagram(&mut self, connection: ConnectionHandle, data: &[u8]) -> bool;
    /// A datagram that arrived.
    fn recv_datagram(&mut self, connection: ConnectionHandle) -> Option<Bytes>;
    /// Updates the keys of packets.
    fn update_keys(&mut self, now: Time, connection: ConnectionHandle) -> bool;
    /// Moves a client to another of its addresses, at once or when that is validated.
    fn migrate(&mut self, now: Time, connection: ConnectionHandle, local: SocketAddr, at_once: bool) -> bool;
    /// Begins a graceful end.
    fn shutdown(&mut self, connection: ConnectionHandle);
    /// Closes a connection.
    fn close(&mut self, now: Time, connection: ConnectionHandle, code: u64, reason: &[u8]);
}

/// A client configuration with these settings that trusts the test CA.
///
/// # Panics
/// Where the engine refuses the fixtures.
#[must_use]
pub fn client_config(transport: TransportSettings) -> ClientConfig {
    let root = include_bytes!("../../data/ca.der").as_slice();
    let tls = RustlsClient::builder().alpn([ALPN]).roots([root]).build().expect("the test CA is a certificate");
    ClientConfig { transport, ..ClientConfig::new(Arc::new(tls)) }
}

/// A server configuration with these settings and the test certificate.
///
/// # Panics
/// Where the engine refuses the fixtures.
#[must_use]
pub fn server_config(transport: TransportSettings) -> ServerConfig {
    let chain = [include_bytes!("../../data/server.der").as_slice()];
    let key = include_bytes!("../../data/server_key.der");
    let tls = RustlsServer::builder(chain, key).alpn([ALPN]).build().expect("a key and its chain");
    ServerConfig { transport, ..ServerConfig::new(Arc::new(tls)) }
}

/// The engine in native code.
#[derive(Debug)]
pub struct Native {
    /// The endpoint.
    pub endpoint: Endpoint,
    client: Arc<ClientConfig>,
    memory_budget: usize,
    buffer: Vec<u8>,
}

impl Native {
    /// An endpoint that connects with `client` and, where it has a `server` configuration, accepts.
    ///
    /// # Panics
    /// Where the engine refuses the settings.
    #[must_use]
    pub fn new(
        config: EndpointConfig,
        client: Arc<ClientConfig>,
        server: Option<Arc<ServerConfig>>,
        seed: [u8; 32],
    ) -> Self {
        let memory_budget = config.memory_budget;
        let mut endpoint = Endpoint::new(config, seed);
        endpoint.set_unix_time(UNIX_TIME);
        endpoint.set_server(server).expect("the settings are within their ranges");
        Self { endpoint, client, memory_budget, buffer: vec![0; 65_507] }
    }

    /// A client with these settings.
    #[must_use]
    pub fn client(transport: TransportSettings, seed: [u8; 32]) -> Self {
        Self::new(EndpointConfig::default(), Arc::new(client_config(transport)), None, seed)
    }

    /// A server with these settings.
    #[must_use]
    pub fn server(transport: TransportSettings, seed: [u8; 32]) -> Self {
        let client = Arc::new(client_config(transport.clone()));
        Self::new(EndpointConfig::default(), client, Some(Arc::new(server_config(transport))), seed)
    }

    fn with<T>(
        &mut self,
        handle: ConnectionHandle,
        f: impl FnOnce(&mut quillon::Connection) -> Option<T>,
    ) -> Option<T> {
        self.endpoint.connection_mut(handle).and_then(f)
    }
}

impl Host for Native {
    fn connect(&mut self, now: Time, server_name: &str, path: FourTuple) -> Option<ConnectionHandle> {
        self.endpoint.connect(now, &self.client, server_name, path).ok()
    }

    fn receive(&mut self, now: Time, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        self.endpoint.receive(now, path, ecn, datagram);
    }

    fn transmit(&mut self, now: Time, send: &mut dyn FnMut(Outgoing, &[u8])) {
        while let Transmit::Send(outgoing) = self.endpoint.transmit(now, &mut self.buffer) {
            send(outgoing, &self.buffer[..outgoing.len]);
        }
    }

    fn timeout(&mut self) -> Option<Time> {
        self.endpoint.timeout()
    }

    fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
    }

    fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)> {
        self.endpoint.poll_event()
    }

    fn connection_count(&mut self) -> usize {
        self.endpoint.connection_count()
    }

    fn memory(&mut self) -> (usize, usize) {
        (self.endpoint.memory_used(), self.memory_budget)
    }

    fn stats(&mut self, connection: ConnectionHandle) -> Option<Stats> {
        self.endpoint.connection(connection).map(quillon::Connection::stats)
    }

    fn path(&mut self, connection: ConnectionHandle) -> Option<FourTuple> {
        self.endpoint.connection(connection).map(quillon::Connection::path)
    }

    fn is_limited(&mut self, connection: ConnectionHandle, remote: SocketAddr) -> Option<bool> {
        let connection = self.endpoint.connection(connection)?;
        let mut paths = connection.path_stats().filter(|path| path.addresses.remote == remote).peekable();
        paths.peek()?;
        Some(paths.all(|path| path.amplification_limited))
    }

    fn send_credit(&mut self, connection: ConnectionHandle) -> u64 {
        self.endpoint.connection(connection).map_or(0, quillon::Connection::send_credit)
    }

    fn stream_send_credit(&mut self, connection: ConnectionHandle, id: StreamId) -> Option<u64> {
        self.endpoint.connection(connection)?.stream_send_credit(id)
    }

    fn open(&mut self, connection: ConnectionHandle, dir: Dir) -> Option<StreamId> {
        self.with(connection, |connection| connection.open(dir).ok())
    }

    fn write(&mut self, connection: ConnectionHandle, id: StreamId, data: &[u8]) -> Option<usize> {
        self.with(connection, |connection| match connection.write(id, data) {
            Ok(len) => Some(len),
            Err(quillon::stream::WriteError::Blocked) => Some(0),
            Err(_) => None,
        })
    }

    fn finish(&mut self, connection: ConnectionHandle, id: StreamId) -> bool {
        self.with(connection, |connection| connection.finish(id).ok()).is_some()
    }

    fn read(&mut self, connection: ConnectionHandle, id: StreamId, max: usize, take: &mut dyn FnMut(&[u8])) -> Reading {
        let Some(connection) = self.endpoint.connection_mut(connection) else { return Reading::Over };
        let mut left = max;
        while left > 0 {
            let len = match connection.peek(id) {
                Ok(peeked) if peeked.finished => return Reading::Finished,
                Ok(peeked) => {
                    let data = &peeked.data[..peeked.data.len().min(left)];
                    take(data);
                    data.len()
                }
                Err(quillon::stream::ReadError::Blocked) => return Reading::Open,
                Err(_) => return Reading::Over,
            };
            assert!(len > 0, "a stream that is not blocked has no bytes");
            assert_eq!(connection.consume(id, len), Ok(len), "what was shown is consumed");
            left -= len;
        }
        Reading::Open
    }

    fn reset(&mut self, connection: ConnectionHandle, id: StreamId, code: u64) -> bool {
        self.with(connection, |connection| connection.reset(id, code).ok()).is_some()
    }

    fn stop_sending(&mut self, connection: ConnectionHandle, id: StreamId, code: u64) -> bool {
        self.with(connection, |connection| connection.stop_sending(id, code).ok()).is_some()
    }

    fn set_priority(&mut self, connection: ConnectionHandle, id: StreamId, priority: Priority) -> bool {
        self.with(connection, |connection| connection.set_priority(id, priority).ok()).is_some()
    }

    fn send_datagram(&mut self, connection: ConnectionHandle, data: &[u8]) -> bool {
        let data = Bytes::copy_from_slice(data);
        self.with(connection, |connection| connection.send_datagram(data).ok()).is_some()
    }

    fn recv_datagram(&mut self, connection: ConnectionHandle) -> Option<Bytes> {
        self.with(connection, quillon::Connection::recv_datagram)
    }

    fn update_keys(&mut self, now: Time, connection: ConnectionHandle) -> bool {
        self.with(connection, |connection| connection.initiate_key_update(now).ok()).is_some()
    }

    fn migrate(&mut self, now: Time, connection: ConnectionHandle, local: SocketAddr, at_once: bool) -> bool {
        let migration = if at_once { Migration::Immediate } else { Migration::Validated };
        self.with(connection, |connection| connection.migrate(now, local, migration).ok()).is_some()
    }

    fn shutdown(&mut self, connection: ConnectionHandle) {
        self.with(connection, |connection| {
            connection.shutdown();
            Some(())
        });
    }

    fn close(&mut self, now: Time, connection: ConnectionHandle, code: u64, reason: &[u8]) {
        self.with(connection, |connection| {
            connection.close(now, code, reason);
            Some(())
        });
    }
}
