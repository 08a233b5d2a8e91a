//! A client and a server with several addresses each, a NAT between them that may change its mind, and addresses that
//! go dead. Packets are not encrypted, so that tests read and write them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quillon::packet::{self, Frame, Frames, PacketType, ShortHeader};
use quillon::wire::{ConnectionId, Writer};
use quillon::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple,
    PathStats, ServerConfig, Side, Time, Transmit, TransportSettings, crypto,
};

use crate::pair::{SECOND, client_config, server_config};

pub const UNIX_TIME: Duration = Duration::from_secs(1_767_225_600);
const PN_LEN: usize = 4;

/// An address by its text.
pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The client's address in the handshake.
pub fn home() -> SocketAddr {
    address("192.0.2.1:50000")
}

/// Another address of the client, on another network.
pub fn away() -> SocketAddr {
    address("198.51.100.7:40000")
}

/// The server's address in the handshake.
pub fn server_address() -> SocketAddr {
    address("192.0.2.2:443")
}

/// A datagram that was sent.
#[derive(Clone)]
pub struct Sent {
    pub at: Time,
    pub path: FourTuple,
    pub datagram: Vec<u8>,
}

impl Sent {
    /// The frames of a 1-RTT packet; none of others.
    pub fn frames(&self) -> Vec<Frame<'static>> {
        let datagram: &'static mut [u8] = self.datagram.clone().leak();
        let Ok(layout) = packet::parse_greased(datagram, 8) else { return Vec::new() };
        if layout.ty != PacketType::OneRtt {
            return Vec::new();
        }
        let unmasked = packet::unmask(datagram, layout.pn_offset, [0; 5]).unwrap();
        let (from, to) = (unmasked.header_len(layout.pn_offset), datagram.len() - crypto::TAG_LEN);
        Frames::new(&datagram[from..to]).map(|frame| frame.unwrap().1).collect()
    }

    /// The destination connection ID of a 1-RTT packet.
    pub fn destination(&self) -> ConnectionId {
        packet::parse_greased(&self.datagram, 8).unwrap().dcid
    }

    pub fn challenge(&self) -> Option<[u8; 8]> {
        self.frames().iter().find_map(|frame| if let Frame::PathChallenge(data) = frame { Some(*data) } else { None })
    }

    pub fn response(&self) -> Option<[u8; 8]> {
        self.frames().iter().find_map(|frame| if let Frame::PathResponse(data) = frame { Some(*data) } else { None })
    }

    /// Whether it carries nothing but path probes.
    pub fn is_probe(&self) -> bool {
        let frames = self.frames();
        !frames.is_empty() && frames.iter().all(Frame::is_probing)
    }
}

/// One end.
pub struct Host {
    pub endpoint: Endpoint,
    pub handle: Option<ConnectionHandle>,
    pub events: VecDeque<Event>,
    pub sent: Vec<Sent>,
}

impl Host {
    fn new(seed: u8, config: EndpointConfig) -> Self {
        let mut endpoint = Endpoint::new(config, [seed; 32]);
        endpoint.set_unix_time(UNIX_TIME);
        Self { endpoint, handle: None, events: VecDeque::new(), sent: Vec::new() }
    }

    pub fn connection(&mut self) -> &mut Connection {
        self.endpoint.connection_mut(self.handle.expect("a connection")).expect("the connection is alive")
    }

    /// The addresses of the path in use.
    pub fn path(&mut self) -> FourTuple {
        self.connection().path()
    }

    pub fn paths(&mut self) -> Vec<PathStats> {
        self.connection().path_stats().collect()
    }

    /// Takes this event, if it was told.
    pub fn saw(&mut self, event: &Event) -> bool {
        let at = self.events.iter().position(|seen| seen == event);
        at.is_some_and(|at| self.events.remove(at).is_some())
    }

    pub fn closed(&mut self) -> Option<ConnectionError> {
        self.events.iter().find_map(|event| if let Event::Closed(error) = event { Some(error.clone()) } else { None })
    }

    /// What was sent since `after` datagrams, to this address.
    pub fn sent_to(&self, after: usize, remote: SocketAddr) -> Vec<Sent> {
        self.sent.iter().skip(after).filter(|sent| sent.path.remote == remote).cloned().collect()
    }

    /// What was sent since `after` datagrams, from this address.
    pub fn sent_from(&self, after: usize, local: SocketAddr) -> Vec<Sent> {
        self.sent.iter().skip(after).filter(|sent| sent.path.local == local).cloned().collect()
    }

    fn transmit(&mut self, now: Time) -> Vec<(FourTuple, Vec<u8>)> {
        let mut out = Vec::new();
        let mut buffer = vec![0; 65_535];
        loop {
            while let Transmit::Send(batch) = self.endpoint.transmit(now, &mut buffer) {
                for datagram in buffer[..batch.len].chunks(batch.segment_size) {
                    self.sent.push(Sent { at: now, path: batch.path, datagram: datagram.to_vec() });
                    out.push((batch.path, datagram.to_vec()));
                }
            }
            let mut told = false;
            while let Some((handle, event)) = self.endpoint.poll_event() {
                if event == Event::Accepted {
                    self.handle = Some(handle);
                }
                self.events.push_back(event);
                told = true;
            }
            if !told {
                return out;
            }
        }
    }
}

/// Whether a datagram from this end, on this path as the other end sees it, arrives.
pub type Filter = Box<dyn FnMut(Side, &FourTuple, &[u8]) -> bool>;

/// A client, a server, and what is between them.
pub struct Network {
    pub now: Time,
    pub latency: Time,
    pub client: Host,
    pub server: Host,
    /// The client's addresses as the server sees them, where they differ.
    pub nat: BTreeMap<SocketAddr, SocketAddr>,
    /// What comes from or goes to these addresses, as the server sees them, is lost.
    pub dead: BTreeSet<SocketAddr>,
    pub filter: Option<Filter>,
    /// Copies of what the client sends arrive from this address, ahead of it.
    pub copied_from: Option<SocketAddr>,
    in_flight: VecDeque<(Time, Side, FourTuple, Vec<u8>)>,
    next_pn: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self::new(TransportSettings::default(), TransportSettings::default())
    }
}

impl Network {
    /// A client and a server with these settings, connected.
    pub fn new(client: TransportSettings, server: TransportSettings) -> Self {
        let mut network = Self::unconnected(EndpointConfig::default(), EndpointConfig::default(), server);
        network.connect(client);
        network.settle();
        assert!(network.client.saw(&Event::HandshakeConfirmed), "{:?}", network.client.events);
        network
    }

    pub fn unconnected(client: EndpointConfig, server: EndpointConfig, transport: TransportSettings) -> Self {
        let mut network = Self {
            now: 1_000 * SECOND,
            latency: 10_000_000,
            client: Host::new(1, client),
            server: Host::new(2, server),
            nat: BTreeMap::new(),
            dead: BTreeSet::new(),
            filter: None,
            copied_from: None,
            in_flight: VecDeque::new(),
            next_pn: 10_000,
        };
        let config = Arc::unwrap_or_clone(server_config(transport));
        let config = ServerConfig { crypto: crypto::null::provider(), ..config };
        network.server.endpoint.set_server(Some(Arc::new(config))).unwrap();
        network
    }

    pub fn connect(&mut self, transport: TransportSettings) -> ConnectionHandle {
        let config = ClientConfig { crypto: crypto::null::provider(), ..client_config(transport) };
        let path = FourTuple { local: home(), remote: server_address() };
        let handle = self.client.endpoint.connect(self.now, &config, "localhost", path).unwrap();
        self.client.handle = Some(handle);
        handle
    }

    fn host(&mut self, side: Side) -> &mut Host {
        if side.is_client() { &mut self.client } else { &mut self.server }
    }

    /// The path of a datagram from `from` as the receiver sees it, if it gets there.
    fn route(&self, from: Side, path: FourTuple) -> Option<FourTuple> {
        let arrived = if from.is_client() {
            let outer = self.nat.get(&path.local).copied().unwrap_or(path.local);
            FourTuple { local: path.remote, remote: outer }
        } else {
            let inner = self.nat.iter().find(|(_, outer)| **outer == path.remote).map(|(inner, _)| *inner);
            if inner.is_none() && self.nat.contains_key(&path.remote) {
                return None;
            }
            FourTuple { local: inner.unwrap_or(path.remote), remote: path.local }
        };
        let outer = if from.is_client() { arrived.remote } else { path.remote };
        (!self.dead.contains(&outer)).then_some(arrived)
    }

    fn step(&mut self) {
        while self.in_flight.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, to, path, mut datagram) = self.in_flight.pop_front().unwrap();
            let now = self.now;
            self.host(to).endpoint.receive(now, path, Ecn::NotEct, &mut datagram);
        }
        for side in [Side::Client, Side::Server] {
            let now = self.now;
            for (path, datagram) in self.host(side).transmit(now) {
                let Some(path) = self.route(side, path) else { continue };
                if let Some(remote) = self.copied_from.filter(|_| side.is_client()) {
                    let copy = (self.now + self.latency, side.peer(), FourTuple { remote, ..path }, datagram.clone());
                    self.in_flight.push_back(copy);
                }
                if self.filter.as_mut().is_none_or(|filter| filter(side, &path, &datagram)) {
                    self.in_flight.push_back((self.now + self.latency, side.peer(), path, datagram));
                }
            }
        }
    }

    /// Runs until `until`, timers and all.
    pub fn run_until(&mut self, until: Time) {
        for steps in 0.. {
            assert!(steps < 100_000, "time does not advance");
            self.step();
            let arrival = self.in_flight.front().map(|(at, ..)| *at);
            let next = [arrival, self.client.endpoint.timeout(), self.server.endpoint.timeout()];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            self.client.endpoint.handle_timeout(self.now);
            self.server.endpoint.handle_timeout(self.now);
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

    /// Sends `data` on a new stream of this end.
    pub fn say(&mut self, side: Side, data: &[u8]) {
        let connection = self.host(side).connection();
        let id = connection.open(Dir::Uni).unwrap();
        assert_eq!(connection.write(id, data), Ok(data.len()));
        connection.finish(id).unwrap();
    }

    /// Puts a 1-RTT packet with these frames before the peer of `from`, as if `from` had sent it on this path, as the
    /// peer sees it. Its number is above all others.
    pub fn forge(&mut self, from: Side, path: FourTuple, frames: &[Frame<'_>]) {
        let sent = &self.host(from).sent;
        let short = sent.iter().rfind(|sent| sent.datagram[0] & 0x80 == 0).expect("a short header");
        let dcid = short.destination();
        self.forge_to(from, path, dcid, frames);
    }

    /// Like [`Self::forge`], to this connection ID.
    pub fn forge_to(&mut self, from: Side, path: FourTuple, dcid: ConnectionId, frames: &[Frame<'_>]) {
        let mut buffer = vec![0; 2_000];
        let mut writer = Writer::new(&mut buffer);
        ShortHeader { dcid, spin: false, key_phase: false }.encode(&mut writer, self.next_pn, PN_LEN);
        self.next_pn += 1;
        frames.iter().for_each(|frame| frame.encode(&mut writer));
        writer.zeros(crypto::TAG_LEN);
        let len = writer.position();
        buffer.truncate(len);
        let now = self.now;
        self.host(from.peer()).endpoint.receive(now, path, Ecn::NotEct, &mut buffer);
    }

    /// The path of the handshake, as the server sees it.
    pub fn server_path(&self) -> FourTuple {
        FourTuple { local: server_address(), remote: home() }
    }
}
