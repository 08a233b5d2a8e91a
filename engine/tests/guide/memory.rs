// A client and a server joined in memory, in virtual time: what the examples of the guide stand on.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{
    ClientConfig, Connection, ConnectionHandle, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig, Time,
    Transmit,
};

pub const MILLISECOND: Time = 1_000_000;
pub const SECOND: Time = 1_000 * MILLISECOND;

/// How long a datagram takes.
const LATENCY: Time = 10 * MILLISECOND;

/// 2026-01-01: within the validity of the certificates.
const UNIX_TIME: Duration = Duration::from_secs(1_767_225_600);

pub const ROOT: &[u8] = include_bytes!("../data/ca.der");
pub const CERTIFICATE: &[u8] = include_bytes!("../data/localhost.der");
pub const KEY: &[u8] = include_bytes!("../data/localhost.key.der");

pub fn client_config() -> ClientConfig {
    ClientConfig::new(Arc::new(RustlsClient::builder().alpn(["guide"]).roots([ROOT]).build().unwrap()))
}

pub fn server_config() -> ServerConfig {
    let tls = RustlsServer::builder([CERTIFICATE], KEY).alpn(["guide"]).build().unwrap();
    ServerConfig::new(Arc::new(tls))
}

/// One end.
pub struct End {
    pub endpoint: Endpoint,
    pub path: FourTuple,
    pub events: VecDeque<(ConnectionHandle, Event)>,
    /// Bytes of the datagrams that this end sent.
    pub sent: usize,
    /// What is on its way to this end.
    inbound: VecDeque<(Time, FourTuple, Ecn, Vec<u8>)>,
}

impl End {
    pub fn new(config: EndpointConfig, seed: u8, path: FourTuple) -> Self {
        let mut endpoint = Endpoint::new(config, [seed; 32]);
        endpoint.set_unix_time(UNIX_TIME);
        Self { endpoint, path, events: VecDeque::new(), sent: 0, inbound: VecDeque::new() }
    }

    pub fn connection(&mut self, handle: ConnectionHandle) -> &mut Connection {
        self.endpoint.connection_mut(handle).expect("the connection is there")
    }

    /// Takes the first event that `f` maps to something.
    pub fn take<T>(&mut self, f: impl Fn(&Event) -> Option<T>) -> Option<(ConnectionHandle, T)> {
        let at = self.events.iter().position(|(_, event)| f(event).is_some())?;
        let (handle, event) = self.events.remove(at)?;
        Some((handle, f(&event)?))
    }

    pub fn saw(&mut self, event: &Event) -> Option<ConnectionHandle> {
        self.take(|seen| (seen == event).then_some(())).map(|(handle, ())| handle)
    }

    fn receive(&mut self, now: Time) {
        while self.inbound.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, path, ecn, mut datagram)) = self.inbound.pop_front() else { return };
            self.endpoint.receive(now, path, ecn, &mut datagram);
        }
    }

    fn transmit(&mut self, now: Time, peer: &mut VecDeque<(Time, FourTuple, Ecn, Vec<u8>)>) {
        let mut buffer = vec![0; 65_535];
        loop {
            while let Transmit::Send(batch) = self.endpoint.transmit(now, &mut buffer) {
                let arrives = FourTuple { local: batch.path.remote, remote: batch.path.local };
                for datagram in buffer[..batch.len].chunks(batch.segment_size) {
                    self.sent += datagram.len();
                    peer.push_back((now + LATENCY, arrives, batch.ecn, datagram.to_vec()));
                }
            }
            let told = self.events.len();
            self.events.extend(std::iter::from_fn(|| self.endpoint.poll_event()));
            if self.events.len() == told {
                return;
            }
        }
    }
}

/// Both ends.
pub struct Pair {
    pub now: Time,
    pub client: End,
    pub server: End,
}

impl Pair {
    pub fn new(client: EndpointConfig, server: EndpointConfig, config: ServerConfig) -> Self {
        let (one, two) = ("192.0.2.1:50000".parse().unwrap(), "192.0.2.2:443".parse().unwrap());
        let mut pair = Self {
            now: 0,
            client: End::new(client, 1, FourTuple { local: one, remote: two }),
            server: End::new(server, 2, FourTuple { local: two, remote: one }),
        };
        pair.server.endpoint.set_server(Some(Arc::new(config))).unwrap();
        pair
    }

    pub fn serving(config: ServerConfig) -> Self {
        Self::new(EndpointConfig::default(), EndpointConfig::default(), config)
    }

    pub fn connect(&mut self, config: &ClientConfig) -> ConnectionHandle {
        self.client.endpoint.connect(self.now, config, "localhost", self.client.path).unwrap()
    }

    /// Two ends whose handshake is over, and their handles of the connection.
    pub fn connected() -> (Self, ConnectionHandle, ConnectionHandle) {
        let mut pair = Self::serving(server_config());
        let client = pair.connect(&client_config());
        pair.settle();
        let server = pair.server.saw(&Event::HandshakeComplete).expect("the handshake completes");
        pair.client.events.clear();
        pair.server.events.clear();
        (pair, client, server)
    }

    /// Runs for a second, which is longer than what is under way takes.
    pub fn settle(&mut self) {
        self.run_for(SECOND);
    }

    pub fn run_for(&mut self, duration: Time) {
        let until = self.now + duration;
        loop {
            self.client.receive(self.now);
            self.server.receive(self.now);
            self.client.transmit(self.now, &mut self.server.inbound);
            self.server.transmit(self.now, &mut self.client.inbound);
            let arrivals = [&self.client, &self.server].map(|end| end.inbound.front().map(|(at, ..)| *at));
            let timers = [self.client.endpoint.timeout(), self.server.endpoint.timeout()];
            let next = arrivals.into_iter().chain(timers).flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.client.endpoint.handle_timeout(self.now);
            self.server.endpoint.handle_timeout(self.now);
        }
        self.now = until;
    }
}
