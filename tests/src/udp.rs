//! Clients and servers of either build of the engine on real sockets, against other implementations.
//!
//! Servers echo: what comes on a bidirectional stream goes back when it has ended, and so does each datagram. Every wait
//! is bounded and ends with an event; none is for an amount of time.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use quillon::{ConnectionError, ConnectionHandle, Dir, Ecn, Event, FourTuple, Side, StreamId, Time};

use crate::command::Engine;
use crate::host::Batch;
use crate::transport::{Options, Transport, endpoint};

/// How long anything here may take: far more than it does.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a step waits for a datagram.
const STEP: Duration = Duration::from_millis(1);

/// What is echoed of a stream at most.
const LONGEST: usize = 10_000;

/// What has been seen of a connection.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The version of QUIC, the last one.
    pub version: u32,
    /// Our addresses in use, one after the other.
    pub locals: BTreeSet<SocketAddr>,
    /// The peer's addresses in use, one after the other.
    pub remotes: BTreeSet<SocketAddr>,
    /// Key updates that we began.
    pub key_updates: usize,
    /// Key updates that the peer began.
    pub key_updates_by_peer: usize,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// Whether the early data was taken.
    pub early_data_accepted: bool,
    /// Streams whose data came as early data.
    pub early_streams: usize,
    /// Streams that were echoed, or came back.
    pub streams: usize,
    /// Datagrams that were echoed, or came back.
    pub datagrams: usize,
    /// Streams of ours that the peer has acknowledged to their end.
    pub delivered: usize,
    /// Whether the peer takes datagrams.
    pub takes_datagrams: bool,
    /// Whether the handshake was confirmed.
    pub confirmed: bool,
    /// The address tokens received.
    pub tokens: Vec<Vec<u8>>,
    /// How the connection ended.
    pub closed: Option<ConnectionError>,
}

/// An endpoint with its sockets.
struct Driver {
    host: Box<dyn Transport + Send>,
    is_server: bool,
    sockets: Vec<UdpSocket>,
    /// An address that a NAT shows as another.
    inside: Option<(SocketAddr, SocketAddr)>,
    start: Instant,
    connections: BTreeMap<u32, (ConnectionHandle, Facts)>,
    incoming: BTreeMap<(u32, u64), Vec<u8>>,
    arrived: Vec<Vec<u8>>,
    retries: usize,
    buffer: Vec<u8>,
}

/// A socket on loopback that does not block.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_nonblocking(true).expect("a socket of ours");
    socket
}

fn address_of(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("it is bound")
}

/// Whether a datagram begins with a Retry packet of version 1 (RFC 9000 section 17.2.5).
fn is_retry(datagram: &[u8]) -> bool {
    matches!(datagram, [first, 0, 0, 0, 1, ..] if first & 0xb0 == 0xb0)
}

impl Driver {
    fn new(engine: Engine, side: Side, options: &Options, sockets: Vec<UdpSocket>) -> Self {
        let seed = [if side == Side::Client { 61 } else { 62 }; 32];
        Self {
            host: endpoint(engine, side, options, seed),
            is_server: side == Side::Server,
            sockets,
            inside: None,
            start: Instant::now(),
            connections: BTreeMap::new(),
            incoming: BTreeMap::new(),
            arrived: Vec::new(),
            retries: 0,
            buffer: vec![0; 65_536],
        }
    }

    fn now(&self) -> Time {
        1_000_000_000 + u64::try_from(self.start.elapsed().as_nanos()).expect("less than centuries")
    }

    /// Sends what can be sent, acts on events, and takes in what has arrived.
    fn step(&mut self) {
        self.flush();
        self.act();
        self.flush();
        let mut received = false;
        for index in 0..self.sockets.len() {
            received |= self.receive(index);
        }
        if !received {
            thread::sleep(STEP);
        }
        let now = self.now();
        if self.host.timeout().is_some_and(|deadline| deadline <= now) {
            self.host.handle_timeout(now);
        }
    }

    fn flush(&mut self) {
        let now = self.now();
        let (sockets, retries, nat) = (&self.sockets, &mut self.retries, self.inside);
        self.host.transmit(now, &mut |batch: Batch<'_>| {
            let local = nat.filter(|nat| nat.0 == batch.path.local).map_or(batch.path.local, |nat| nat.1);
            let from = sockets.iter().find(|socket| address_of(socket) == local).unwrap_or(&sockets[0]);
            for datagram in batch.bytes.chunks(batch.segment_size.max(1)) {
                *retries += usize::from(is_retry(datagram));
                // What is not sent is lost, as on any network.
                let _ = from.send_to(datagram, batch.path.remote);
            }
        });
    }

    fn receive(&mut self, index: usize) -> bool {
        let mut any = false;
        loop {
            match self.sockets[index].recv_from(&mut self.buffer) {
                Ok((len, remote)) => {
                    let local = address_of(&self.sockets[index]);
                    let local = self.inside.filter(|nat| nat.1 == local).map_or(local, |nat| nat.0);
                    let path = FourTuple { local, remote };
                    let now = self.now();
                    let bytes = &mut self.buffer[..len];
                    self.retries += usize::from(is_retry(bytes));
                    self.host.receive(now, Batch { bytes, segment_size: len, path, ecn: Ecn::NotEct });
                    any = true;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return any,
                // ICMP tells that nobody listens there any more.
                Err(_) => return any,
            }
        }
    }

    fn act(&mut self) {
        while let Some((connection, event)) = self.host.poll_event() {
            self.look(connection);
            let facts = &mut self.connections.entry(connection.raw()).or_insert((connection, Facts::default())).1;
            match event {
                Event::HandshakeConfirmed => facts.confirmed = true,
                Event::KeysUpdated { by_peer: true } => facts.key_updates_by_peer += 1,
                Event::KeysUpdated { by_peer: false } => facts.key_updates += 1,
                Event::StreamFinished { .. } => facts.delivered += 1,
                Event::NewToken { token } => facts.tokens.push(token),
                Event::Closed(error) => facts.closed = Some(error),
                Event::DatagramReceived => self.read_datagrams(connection),
                Event::StreamOpened { id } | Event::StreamReadable { id } => self.read(connection, id),
                _ => {}
            }
        }
        let known: Vec<ConnectionHandle> = self.connections.values().map(|(connection, _)| *connection).collect();
        for connection in known {
            self.look(connection);
        }
    }

    fn look(&mut self, connection: ConnectionHandle) {
        let Some(known) = self.host.facts(connection) else { return };
        let facts = &mut self.connections.entry(connection.raw()).or_insert((connection, Facts::default())).1;
        facts.version = known.version;
        facts.locals.insert(known.path.local);
        facts.remotes.insert(known.path.remote);
        facts.resumed |= known.resumed;
        facts.early_data_accepted |= known.early_data_accepted;
        facts.takes_datagrams |= known.takes_datagrams;
    }

    fn facts(&mut self, connection: ConnectionHandle) -> &mut Facts {
        &mut self.connections.get_mut(&connection.raw()).expect("an event has told of it").1
    }

    fn read_datagrams(&mut self, connection: ConnectionHandle) {
        while let Some(data) = self.host.recv_datagram(connection) {
            self.facts(connection).datagrams += 1;
            // A server echoes; a client has asked.
            if self.is_server {
                self.host.send_datagram(connection, &data);
            } else {
                self.arrived.push(data);
            }
        }
    }

    fn read(&mut self, connection: ConnectionHandle, id: StreamId) {
        let early = self.host.is_early_data(connection, id);
        let data = self.incoming.entry((connection.raw(), id.0)).or_default();
        let fresh = data.is_empty();
        let ended = self.host.read(connection, id, &mut |bytes| data.extend_from_slice(bytes));
        let early = early && fresh && !data.is_empty();
        self.facts(connection).early_streams += usize::from(early);
        if !ended {
            return;
        }
        let data = self.incoming.remove(&(connection.raw(), id.0)).unwrap_or_default();
        self.facts(connection).streams += 1;
        if !self.is_server {
            self.arrived.push(data);
        } else if id.dir() == Dir::Bidi {
            let data = &data[..data.len().min(LONGEST)];
            assert_eq!(self.host.write(connection, id, data), data.len(), "that much fits");
            self.host.finish(connection, id);
        }
    }
}

/// A server that echoes, on a thread of its own.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it would rather be reached.
    pub preferred: Option<SocketAddr>,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Facts>>>,
    thread: Option<JoinHandle<(Vec<Facts>, usize)>>,
}

impl Server {
    /// Starts it; `prefer` has it listen at a second address, which it prefers.
    ///
    /// # Panics
    /// Where there is no port, or the engine refuses the options.
    #[must_use]
    pub fn start(engine: Engine, mut options: Options, prefer: bool) -> Self {
        let mut sockets = vec![socket()];
        if prefer {
            sockets.push(socket());
            options.preferred_address = Some(address_of(&sockets[1]));
        }
        let (address, preferred) = (address_of(&sockets[0]), options.preferred_address);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (tell, told) = channel();
        let thread = thread::spawn({
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            move || {
                // The first module of a process is compiled for some seconds.
                let mut driver = Driver::new(engine, Side::Server, &options, sockets);
                tell.send(()).expect("the test waits");
                while !stop.load(Ordering::Relaxed) {
                    driver.step();
                    let facts = driver.connections.values().map(|(_, facts)| facts.clone()).collect();
                    *seen.lock().expect("no panic") = facts;
                }
                let connections = driver.connections.into_values().map(|(_, facts)| facts).collect();
                (connections, driver.retries)
            }
        });
        told.recv().expect("the server starts");
        Self { address, preferred, stop, seen, thread: Some(thread) }
    }

    /// What it has seen of each connection so far, in order, once `enough`.
    ///
    /// # Panics
    /// Where that takes longer than [`PATIENCE`].
    #[allow(clippy::must_use_candidate, reason = "a wait as much as an answer")]
    pub fn when(&self, enough: impl Fn(&[Facts]) -> bool) -> Vec<Facts> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let facts = self.seen.lock().expect("no panic").clone();
            if enough(&facts) {
                return facts;
            }
            assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {facts:?}");
            thread::sleep(STEP);
        }
    }

    /// Stops it; returns what it saw of each connection, in order, and how many Retry packets it sent.
    ///
    /// # Panics
    /// Where the server did.
    #[must_use]
    pub fn finish(mut self) -> (Vec<Facts>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("it was started").join().expect("the server runs until it is stopped")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A client with one connection at a time.
pub struct Client {
    driver: Driver,
    connection: Option<ConnectionHandle>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that has not connected.
    ///
    /// # Panics
    /// Where the engine refuses the options.
    #[must_use]
    pub fn new(engine: Engine, options: &Options) -> Self {
        Self { driver: Driver::new(engine, Side::Client, options, vec![socket()]), connection: None }
    }

    fn connection(&self) -> ConnectionHandle {
        self.connection.expect("the client has connected")
    }

    /// Begins a connection to `localhost` at `server`.
    pub fn connect(&mut self, server: SocketAddr) {
        let path = FourTuple { local: address_of(&self.driver.sockets[0]), remote: server };
        let now = self.driver.now();
        let connection = self.driver.host.connect(now, "localhost", path);
        self.driver.connections.insert(connection.raw(), (connection, Facts::default()));
        self.connection = Some(connection);
        self.driver.look(connection);
    }

    /// What has been seen of the connection.
    pub fn facts(&mut self) -> Facts {
        let connection = self.connection();
        self.driver.look(connection);
        self.driver.facts(connection).clone()
    }

    /// How many Retry packets have come.
    #[must_use]
    pub const fn retries(&self) -> usize {
        self.driver.retries
    }

    /// How many sessions have come.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.driver.host.sessions()
    }

    /// Gives the next connection an address token.
    pub fn set_token(&mut self, token: &[u8]) {
        self.driver.host.set_token(token);
    }

    /// Goes on until `done`.
    ///
    /// # Panics
    /// Where that takes longer than [`PATIENCE`].
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: not in {PATIENCE:?}: {:?}", self.facts());
            self.driver.step();
        }
    }

    /// Goes on until the handshake is confirmed.
    pub fn until_confirmed(&mut self) {
        self.until("the handshake is confirmed", |client| client.facts().confirmed);
    }

    /// Sends `data` on a stream without waiting for anything, as early data where the handshake is not complete.
    ///
    /// # Panics
    /// Where no stream can be opened.
    pub fn send(&mut self, data: &[u8]) {
        let connection = self.connection();
        let id = self.driver.host.open(connection, Dir::Bidi).expect("the server grants streams");
        assert_eq!(self.driver.host.write(connection, id, data), data.len(), "what tests send is short");
        self.driver.host.finish(connection, id);
    }

    /// Waits for one answer, of a stream or a datagram.
    pub fn answer(&mut self) -> Vec<u8> {
        self.until("an answer", |client| !client.driver.arrived.is_empty());
        self.driver.arrived.remove(0)
    }

    /// Sends `data` on a stream and compares what comes back.
    ///
    /// # Panics
    /// Where it is something else, or nothing.
    pub fn echo(&mut self, data: &[u8]) {
        self.send(data);
        assert_eq!(self.answer(), data);
    }

    /// Sends `data` in a datagram, again until one comes back, and compares it.
    ///
    /// # Panics
    /// Where the peer takes none, or nothing comes back.
    pub fn echo_datagram(&mut self, data: &[u8]) {
        let connection = self.connection();
        assert!(self.driver.host.send_datagram(connection, data), "the peer takes datagrams");
        assert_eq!(self.answer(), data);
    }

    /// Sends a unidirectional stream that every peer must pass over, and waits for its acknowledgement. To HTTP/3 its
    /// type is a reserved one (RFC 9114 section 6.2.3).
    ///
    /// # Panics
    /// Where no stream can be opened, or no acknowledgement comes.
    pub fn deliver(&mut self) {
        let delivered = self.facts().delivered;
        self.send_reserved();
        self.until("an acknowledgement", |client| client.facts().delivered > delivered);
    }

    /// Sends such a stream without waiting for anything.
    ///
    /// # Panics
    /// Where no stream can be opened.
    pub fn send_reserved(&mut self) {
        let connection = self.connection();
        let id = self.driver.host.open(connection, Dir::Uni).expect("the server grants streams");
        assert_eq!(self.driver.host.write(connection, id, b"\x21reserved"), 9);
        self.driver.host.finish(connection, id);
    }

    /// Updates the keys, as soon as they may be.
    pub fn update_key(&mut self) {
        let connection = self.connection();
        self.until("keys may be updated", |client| {
            let now = client.driver.now();
            client.driver.host.update_key(now, connection)
        });
    }

    /// Moves to a new address; returns it.
    pub fn migrate(&mut self) -> SocketAddr {
        let socket = socket();
        let local = address_of(&socket);
        self.driver.sockets.push(socket);
        let (connection, now) = (self.connection(), self.driver.now());
        self.driver.host.migrate(now, connection, local);
        local
    }

    /// What a NAT does that forgets: the packets go out from another port, and the engine is not told. Returns it.
    pub fn rebind(&mut self) -> SocketAddr {
        let socket = socket();
        let outside = address_of(&socket);
        self.driver.inside = Some((address_of(&self.driver.sockets[0]), outside));
        self.driver.sockets.push(socket);
        outside
    }

    /// Closes with code 0 and sends it.
    pub fn close(&mut self) {
        let (connection, now) = (self.connection(), self.driver.now());
        self.driver.host.close(now, connection, 0, b"");
        self.driver.flush();
    }
}
