//! Two endpoints joined by a link in virtual time, for feature tests.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quillon::crypto::CipherSuite;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{
    ClientConfig, Connection, ConnectionHandle, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig, Side,
    Time, Transmit, TransportSettings,
};

pub const MILLISECOND: Time = 1_000_000;
pub const SECOND: Time = 1_000 * MILLISECOND;

/// 2026-01-01: within the validity of the test certificates.
const UNIX_TIME: Duration = Duration::from_secs(1_767_225_600);

/// What happens to a datagram on its way: `true` lets it pass. It may be changed.
pub type Filter = Box<dyn FnMut(Time, &mut Vec<u8>) -> bool>;

/// One end.
pub struct End {
    pub endpoint: Endpoint,
    pub address: SocketAddr,
    pub peer: SocketAddr,
    pub events: VecDeque<(ConnectionHandle, Event)>,
    /// Datagrams on their way to this end, by time of arrival.
    pub inbound: VecDeque<(Time, Vec<u8>)>,
    /// Every datagram that this end sent.
    pub sent: Vec<Vec<u8>>,
    pub outbound_filter: Option<Filter>,
}

/// A client and a server.
pub struct Pair {
    pub now: Time,
    pub latency: Time,
    pub client: End,
    pub server: End,
}

pub fn client_config(transport: TransportSettings) -> ClientConfig {
    let tls = RustlsClient::builder()
        .alpn([b"test".as_slice()])
        .roots([include_bytes!("../data/ca.der").as_slice()])
        .cipher_suites(&[CipherSuite::Aes128Gcm, CipherSuite::ChaCha20Poly1305])
        .build()
        .unwrap();
    ClientConfig { transport, ..ClientConfig::new(Arc::new(tls)) }
}

pub fn server_config(transport: TransportSettings) -> Arc<ServerConfig> {
    let chain = [include_bytes!("../data/localhost.der").as_slice()];
    let key = include_bytes!("../data/localhost.key.der");
    let tls = RustlsServer::builder(chain, key).alpn([b"test".as_slice()]).build().unwrap();
    Arc::new(ServerConfig { transport, ..ServerConfig::new(Arc::new(tls)) })
}

impl End {
    fn new(seed: u8, address: SocketAddr, peer: SocketAddr, config: EndpointConfig) -> Self {
        let mut endpoint = Endpoint::new(config, [seed; 32]);
        endpoint.set_unix_time(UNIX_TIME);
        let (events, inbound) = (VecDeque::new(), VecDeque::new());
        Self { endpoint, address, peer, events, inbound, sent: Vec::new(), outbound_filter: None }
    }

    /// The process behind this end starts anew: connections and random numbers are lost, a server serves again.
    pub fn restart(&mut self, config: EndpointConfig, seed: u8) {
        self.endpoint = Endpoint::new(config, [seed; 32]);
        self.endpoint.set_unix_time(UNIX_TIME);
        if self.address.port() == 443 {
            self.endpoint.set_server(Some(server_config(TransportSettings::default()))).unwrap();
        }
    }

    pub fn path(&self) -> FourTuple {
        FourTuple { local: self.address, remote: self.peer }
    }

    /// The one connection that an event was seen for, or was opened.
    pub fn connection(&mut self, handle: ConnectionHandle) -> &mut Connection {
        self.endpoint.connection_mut(handle).expect("the connection is alive")
    }

    /// What this end has to send, and its events into `events`.
    pub fn transmit(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut buffer = vec![0; 65_535];
        loop {
            while let Transmit::Send(batch) = self.endpoint.transmit(now, &mut buffer) {
                for datagram in buffer[..batch.len].chunks(batch.segment_size) {
                    let mut datagram = datagram.to_vec();
                    self.sent.push(datagram.clone());
                    if self.outbound_filter.as_mut().is_none_or(|filter| filter(now, &mut datagram)) {
                        out.push(datagram);
                    }
                }
            }
            let told = self.events.len();
            while let Some(event) = self.endpoint.poll_event() {
                self.events.push_back(event);
            }
            if self.events.len() == told {
                return out;
            }
        }
    }

    /// Gives this end a datagram as if its peer had sent it.
    pub fn inject(&mut self, now: Time, mut datagram: Vec<u8>) {
        let path = self.path();
        self.endpoint.receive(now, path, Ecn::NotEct, &mut datagram);
    }

    fn receive(&mut self, now: Time) {
        while let Some((at, _)) = self.inbound.front()
            && *at <= now
        {
            let (_, mut datagram) = self.inbound.pop_front().unwrap();
            let path = self.path();
            self.endpoint.receive(now, path, Ecn::NotEct, &mut datagram);
        }
    }

    /// Takes the first event that `f` maps to something, of any connection.
    pub fn take<T>(&mut self, mut f: impl FnMut(&Event) -> Option<T>) -> Option<(ConnectionHandle, T)> {
        let at = self.events.iter().position(|(_, event)| f(event).is_some())?;
        let (handle, event) = self.events.remove(at)?;
        f(&event).map(|found| (handle, found))
    }

    pub fn saw(&mut self, event: &Event) -> Option<ConnectionHandle> {
        self.take(|seen| (seen == event).then_some(())).map(|(handle, ())| handle)
    }

    pub fn closed(&mut self) -> Option<quillon::ConnectionError> {
        self.take(|event| if let Event::Closed(error) = event { Some(error.clone()) } else { None }).map(|(_, e)| e)
    }
}

impl Default for Pair {
    fn default() -> Self {
        Self::new(EndpointConfig::default(), TransportSettings::default())
    }
}

impl Pair {
    pub fn new(server: EndpointConfig, transport: TransportSettings) -> Self {
        let client_address: SocketAddr = "192.0.2.1:50000".parse().unwrap();
        let server_address: SocketAddr = "192.0.2.2:443".parse().unwrap();
        let mut pair = Self {
            now: 1_000 * SECOND,
            latency: 10 * MILLISECOND,
            client: End::new(1, client_address, server_address, EndpointConfig::default()),
            server: End::new(2, server_address, client_address, server),
        };
        pair.server.endpoint.set_server(Some(server_config(transport))).unwrap();
        pair
    }

    /// The end on `side`.
    pub fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    pub fn connect(&mut self) -> ConnectionHandle {
        self.connect_with(&client_config(TransportSettings::default()), "localhost")
    }

    pub fn connect_with(&mut self, config: &ClientConfig, name: &str) -> ConnectionHandle {
        let path = self.client.path();
        self.client.endpoint.connect(self.now, config, name, path).unwrap()
    }

    /// Connects and completes the handshake: the client's handle and the server's.
    pub fn connected(&mut self) -> (ConnectionHandle, ConnectionHandle) {
        let client = self.connect();
        self.settle();
        assert!(self.client.saw(&Event::HandshakeComplete).is_some(), "{:?}", self.client.events);
        let server = self.server.saw(&Event::HandshakeComplete).expect("the server completes the handshake");
        assert!(self.client.saw(&Event::HandshakeConfirmed).is_some());
        (client, server)
    }

    /// Moves datagrams that are due, and starts those that wait. Tells whether anything moved.
    fn step(&mut self) -> bool {
        let arrival = self.now + self.latency;
        self.client.receive(self.now);
        self.server.receive(self.now);
        let up = self.client.transmit(self.now);
        let down = self.server.transmit(self.now);
        let moved = !up.is_empty() || !down.is_empty();
        self.server.inbound.extend(up.into_iter().map(|datagram| (arrival, datagram)));
        self.client.inbound.extend(down.into_iter().map(|datagram| (arrival, datagram)));
        moved
    }

    /// The next moment at which something happens.
    fn next(&mut self) -> Option<Time> {
        let inbound = [&self.client, &self.server].into_iter().filter_map(|end| Some(end.inbound.front()?.0)).min();
        [inbound, self.client.endpoint.timeout(), self.server.endpoint.timeout()].into_iter().flatten().min()
    }

    /// Runs until `until`, timers and all.
    pub fn run_until(&mut self, until: Time) {
        let mut steps = 0;
        loop {
            self.step();
            let Some(next) = self.next().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.client.endpoint.handle_timeout(self.now);
            self.server.endpoint.handle_timeout(self.now);
            steps += 1;
            assert!(steps < 1_000_000, "time does not advance");
        }
        self.now = until;
    }

    pub fn run_for(&mut self, duration: Time) {
        self.run_until(self.now + duration);
    }

    /// Runs until the link has been quiet for a while; far shorter than any idle timeout.
    pub fn settle(&mut self) {
        self.run_for(SECOND);
    }
}
