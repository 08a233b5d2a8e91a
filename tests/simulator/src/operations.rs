//! Random commands on both ends of connections over random networks.
//!
//! A seed fixes the settings, the network, the commands and when they come. Beside what [`invariants`](crate::invariants)
//! checks, the peers' applications are modelled: bytes arrive as written, in order and once, streams end as they were
//! ended, credit bounds what is taken, connections end only for a reason, and in the end nothing is left.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use quillon::congestion::CongestionControl;
use quillon::error::TransportErrorCode;
use quillon::rng::Rng;
use quillon::{
    ConnectionError, ConnectionHandle, Dir, EndpointConfig, Event, Priority, Side, StreamId, Time, TransportSettings,
};

use crate::chance::{Chance, Loss, below};
use crate::content::Content;
use crate::host::{Host, Reading};
use crate::link::Conditions;
use crate::network::{Network, NodeId, Wakeup};
use crate::queue::Discipline;
use crate::{MILLISECOND, SECOND};

/// Commands in a run.
const OPERATIONS: u32 = 200;
/// Virtual time within which a healed network has delivered everything.
const PATIENCE: Time = 120 * SECOND;
/// Virtual time within which nothing is left of closed connections.
const AFTERLIFE: Time = 600 * SECOND;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Virtual time at the end.
    pub ended: Time,
    /// Bytes of streams read.
    pub read: u64,
    /// Datagrams that crossed the network.
    pub datagrams: u64,
    /// Connections that ended before they were closed, for want of a path.
    pub timed_out: u32,
}

/// What a host is made with.
#[derive(Debug)]
pub struct Start {
    /// Which part it plays.
    pub side: Side,
    /// The settings of its endpoint.
    pub endpoint: EndpointConfig,
    /// The settings of its connections.
    pub transport: TransportSettings,
    /// Its seed.
    pub seed: [u8; 32],
}

/// Runs a seed on hosts that `make` makes.
///
/// # Panics
/// Where something does not hold.
pub fn run<H: Host>(seed: u64, make: impl FnMut(Start) -> H) -> Summary {
    let mut world = World::new(seed, make);
    if seed.is_multiple_of(2) {
        world.run_for(SECOND);
    }
    for _ in 0..OPERATIONS {
        world.operate();
        let pause = world.pause();
        world.run_for(pause);
    }
    world.deliver_all();
    world.close_all();
    world.summary
}

/// One direction of one stream.
#[derive(Debug, Default)]
struct Sending {
    written: u64,
    finished: bool,
    /// Its sender reset it, or its receiver stopped it.
    abandoned: bool,
    read: u64,
    end_read: bool,
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    node: NodeId,
    /// `None` until the server has accepted.
    handle: Option<ConnectionHandle>,
    open: bool,
    readable: BTreeSet<StreamId>,
    writable: BTreeSet<StreamId>,
    /// Datagrams that it sent and that were not received yet.
    datagrams: BTreeSet<u64>,
}

impl End {
    const fn new(node: NodeId, handle: Option<ConnectionHandle>) -> Self {
        Self {
            node,
            handle,
            open: true,
            readable: BTreeSet::new(),
            writable: BTreeSet::new(),
            datagrams: BTreeSet::new(),
        }
    }
}

/// A connection: both its ends and what they have agreed on so far.
#[derive(Debug)]
struct Pair {
    client: End,
    server: End,
    /// By stream and by who sends.
    sendings: BTreeMap<(StreamId, bool), Sending>,
    content: u64,
    next_datagram: u64,
    /// An application closed it.
    closed: bool,
    /// The client knows that the handshake is confirmed.
    confirmed: bool,
    /// How often its addresses changed.
    moves: u32,
    local: SocketAddr,
}

impl Pair {
    const fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn content(&self, id: StreamId, from: Side) -> Content {
        Content(self.content ^ id.0 << 1 ^ u64::from(from.is_client()))
    }
}

#[derive(Debug)]
struct World<H> {
    network: Network<H>,
    rng: Rng,
    pairs: Vec<Pair>,
    server: NodeId,
    /// The network is so bad that connections may time out.
    hostile: bool,
    /// Dead times left to inflict.
    deaths: u32,
    round_trip: Time,
    summary: Summary,
}

fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[below(rng, choices.len() as u64) as usize]
}

fn pick_from(rng: &mut Rng, streams: &BTreeSet<StreamId>) -> Option<StreamId> {
    streams.iter().nth(below(rng, streams.len() as u64) as usize).copied()
}

fn random_conditions(rng: &mut Rng, mtu: usize) -> Conditions {
    let delay = pick(rng, &[MILLISECOND / 10, 5 * MILLISECOND, 20 * MILLISECOND, 80 * MILLISECOND]);
    let loss = match below(rng, 8) {
        0..=3 => Loss::None,
        4 | 5 => Loss::Random(Chance(below(rng, 50_000) as u32)),
        6 => Loss::Random(Chance(below(rng, 300_000) as u32)),
        _ => Loss::Burst {
            begin: Chance::percent(1),
            end: Chance::percent(20),
            good: Chance::NEVER,
            bad: Chance::percent(80),
        },
    };
    let sometimes = |rng: &mut Rng| if below(rng, 3) == 0 { Chance(below(rng, 100_000) as u32) } else { Chance::NEVER };
    Conditions {
        rate: pick(rng, &[0, 500_000, 2_000_000, 10_000_000, 100_000_000]),
        delay,
        jitter: if below(rng, 2) == 0 { 0 } else { below(rng, delay) },
        reordering: sometimes(rng),
        reordering_delay: 1 + below(rng, delay),
        duplication: sometimes(rng),
        corruption: Chance(sometimes(rng).0 / 3),
        loss,
        mtu,
        queue: pick(rng, &[15_000, 60_000, 1_000_000]),
        discipline: pick(
            rng,
            &[
                Discipline::DropTail,
                Discipline::codel(false),
                Discipline::codel(true),
                Discipline::Mark { threshold: 10_000 },
            ],
        ),
    }
}

fn random_settings(rng: &mut Rng, mtu: usize) -> TransportSettings {
    let window = |rng: &mut Rng| pick(rng, &[1_000, 20_000, 300_000, 4 << 20]);
    TransportSettings {
        initial_max_data: pick(rng, &[5_000, 50_000, 8 << 20]),
        initial_max_stream_data_bidi_local: window(rng),
        initial_max_stream_data_bidi_remote: window(rng),
        initial_max_stream_data_uni: window(rng),
        initial_max_streams_bidi: pick(rng, &[1, 3, 100]),
        initial_max_streams_uni: pick(rng, &[1, 3, 100]),
        send_buffer: pick(rng, &[2_000, 50_000, 8 << 20]),
        max_udp_payload_size: pick(rng, &[1200, 1200, mtu as u16]),
        max_ack_delay: Duration::from_millis(pick(rng, &[0, 5, 25])),
        ack_eliciting_threshold: pick(rng, &[1, 2, 10]),
        active_connection_id_limit: pick(rng, &[2, 4, 8]),
        initial_packet_number: pick(rng, &[0, 1_000, (1 << 31) - 1]),
        // Who only receives behind a NAT that has forgotten it would wait for ever.
        keep_alive: Some(Duration::from_secs(5)),
        handshake_timeout: Some(Duration::from_secs(60)),
        packets_per_key: pick(rng, &[None, None, Some(500)]),
        congestion: if below(rng, 2) == 0 { CongestionControl::Cubic } else { CongestionControl::NewReno },
        pad_packets: below(rng, 10) == 0,
        grease: below(rng, 2) == 0,
        grease_quic_bit: below(rng, 2) == 0,
        ..TransportSettings::default()
    }
}

fn client_address(client: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, client + 1)), port)
}

impl<H: Host> World<H> {
    fn new(seed: u64, mut make: impl FnMut(Start) -> H) -> Self {
        let mut bytes = [0x5e; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::from_seed(bytes);
        let mut network = Network::new(rng.u64());
        let mtu = pick(&mut rng, &[1200, 1280, 1472]);
        let endpoint = |rng: &mut Rng| EndpointConfig {
            connection_id_len: pick(rng, &[4, 8, 20]),
            memory_budget: pick(rng, &[16 << 20, 256 << 20]),
            ..EndpointConfig::default()
        };
        let mut start = |rng: &mut Rng, side| {
            let (endpoint, transport) = (endpoint(rng), random_settings(rng, mtu));
            make(Start { side, endpoint, transport, seed: rng.bytes() })
        };
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 443);
        let server = network.add_node(start(&mut rng, Side::Server), address, false, true);
        let (mut pairs, mut hostile, mut round_trip) = (Vec::new(), false, 0);
        for number in 0..1 + below(&mut rng, 2) as u8 {
            let local = client_address(number, 50_000);
            let nat = below(&mut rng, 2) == 0;
            let client = network.add_node(start(&mut rng, Side::Client), local, nat, false);
            let there = random_conditions(&mut rng, mtu);
            let back = if below(&mut rng, 2) == 0 { there } else { random_conditions(&mut rng, mtu) };
            round_trip = round_trip.max(there.delay + back.delay);
            hostile |= [there, back].iter().any(is_hostile);
            network.join(client, server, there, back);
            let delay = pick(&mut rng, &[0, 0, MILLISECOND, 50 * MILLISECOND]);
            network.set_wakeup(client, Wakeup { delay, grid: 0 });
            let handle = network.connect(client, local, address);
            pairs.push(Pair {
                client: End::new(client, Some(handle)),
                server: End::new(server, None),
                sendings: BTreeMap::new(),
                content: rng.u64(),
                next_datagram: 0,
                closed: false,
                confirmed: false,
                moves: 0,
                local,
            });
        }
        Self { network, rng, pairs, server, hostile, deaths: 2, round_trip, summary: Summary::default() }
    }

    fn below(&mut self, limit: u64) -> u64 {
        below(&mut self.rng, limit)
    }

    /// How long to wait until the next command.
    fn pause(&mut self) -> Time {
        let round_trip = self.round_trip;
        match self.below(8) {
            0..=2 => 0,
            3 | 4 => self.below(MILLISECOND),
            5 | 6 => self.below(round_trip + 1),
            _ => self.below(3 * round_trip + 1),
        }
    }

    fn run_for(&mut self, time: Time) {
        let until = self.network.now() + time;
        self.network.run_until(until);
        self.take_events();
    }

    /// One command.
    fn operate(&mut self) {
        let at = self.below(self.pairs.len() as u64) as usize;
        let side = if self.below(2) == 0 { Side::Client } else { Side::Server };
        let end = self.pairs[at].end(side);
        let (node, open) = (end.node, end.open);
        let Some(handle) = end.handle.filter(|_| open) else { return };
        let readable = pick_from(&mut self.rng, &self.pairs[at].end(side).readable);
        let writable = pick_from(&mut self.rng, &self.pairs[at].end(side).writable);
        match (self.below(100), readable, writable) {
            (0..=14, ..) => self.open(at, side, handle),
            (15..=44, _, Some(id)) => {
                let len = pick(&mut self.rng, &[0, 1, 100, 1_200, 5_000, 20_000, 50_000]);
                self.write(at, side, id, len);
            }
            (45..=64, Some(id), _) => {
                let max = pick(&mut self.rng, &[1, 1_000, 100_000]);
                self.read(at, side, id, max);
            }
            (65..=71, _, Some(id)) => self.finish(at, side, id),
            (72..=74, _, Some(id)) => self.reset(at, side, id),
            (75..=77, Some(id), _) => self.stop(at, side, id),
            (78..=80, _, Some(id)) => {
                let (urgency, incremental) = (self.below(10) as u8, self.below(2) == 0);
                let priority = Priority { urgency, incremental, send_order: self.below(3) as i64 };
                self.network.host(node).set_priority(handle, id, priority);
            }
            (81..=87, ..) => self.send_datagram(at, side, handle),
            (88..=90, ..) => {
                let now = self.network.now();
                self.network.host(node).update_keys(now, handle);
            }
            (91 | 92, ..) => self.migrate(at),
            // Until the handshake is confirmed nobody moves (RFC 9000 section 9).
            (93 | 94, ..) if self.pairs[at].confirmed => {
                let client = self.pairs[at].client.node;
                self.pairs[at].moves += 1;
                self.network.rebind(client);
            }
            (95, ..) => self.go_dead(),
            (96 | 97, ..) => self.read_all(),
            (98, ..) if self.below(8) == 0 => self.network.host(node).shutdown(handle),
            (99, ..) if self.below(8) == 0 => self.close(at, side),
            _ => {}
        }
    }

    fn open(&mut self, at: usize, side: Side, handle: ConnectionHandle) {
        let dir = if self.below(2) == 0 { Dir::Bidi } else { Dir::Uni };
        let end = self.pairs[at].end(side);
        if let Some(id) = self.network.host(end.node).open(handle, dir) {
            end.writable.insert(id);
            if dir == Dir::Bidi {
                end.readable.insert(id);
            }
        }
    }

    fn write(&mut self, at: usize, side: Side, id: StreamId, len: usize) {
        let pair = &mut self.pairs[at];
        let content = pair.content(id, side);
        let end = pair.end(side);
        let (node, Some(handle)) = (end.node, end.handle) else { return };
        let sending = pair.sendings.entry((id, side.is_client())).or_default();
        let mut data = vec![0; len];
        content.fill(sending.written, &mut data);
        let host = self.network.host(node);
        let (all, one) = (host.send_credit(handle), host.stream_send_credit(handle, id).unwrap_or(0));
        let Some(taken) = host.write(handle, id, &data) else { return };
        assert!(taken as u64 <= all.min(one), "{taken} bytes are taken for a credit of {one} and {all}");
        assert_eq!(host.send_credit(handle), all - taken as u64, "credit of the connection is used up once");
        assert_eq!(host.stream_send_credit(handle, id), Some(one - taken as u64), "so is that of the stream");
        assert!(!sending.finished, "a finished stream takes bytes");
        sending.written += taken as u64;
    }

    fn read(&mut self, at: usize, side: Side, id: StreamId, max: usize) {
        let pair = &mut self.pairs[at];
        let content = pair.content(id, side.peer());
        let end = pair.end(side);
        let (node, Some(handle)) = (end.node, end.handle) else { return };
        let sending = pair.sendings.entry((id, side.peer().is_client())).or_default();
        let read = &mut sending.read;
        let before = *read;
        let reading = self.network.host(node).read(handle, id, max, &mut |bytes| {
            assert_eq!(content.mismatch(*read, bytes), None, "stream {id}: a byte is out of place");
            *read += bytes.len() as u64;
        });
        self.summary.read += sending.read - before;
        assert!(sending.read <= sending.written, "stream {id}: more is read than was written");
        match reading {
            Reading::Open => {}
            Reading::Finished => {
                assert!(sending.finished, "stream {id} ends and nobody finished it");
                assert_eq!(sending.read, sending.written, "stream {id} ends where it was finished");
                sending.end_read = true;
                pair.end(side).readable.remove(&id);
            }
            Reading::Over => {
                let over = sending.abandoned || sending.end_read;
                assert!(over || pair.closed || !pair.end(side).open, "stream {id} is over, and nobody gave it up");
                pair.end(side).readable.remove(&id);
            }
        }
    }

    fn finish(&mut self, at: usize, side: Side, id: StreamId) {
        let pair = &mut self.pairs[at];
        let end = pair.end(side);
        let (node, Some(handle)) = (end.node, end.handle) else { return };
        end.writable.remove(&id);
        if self.network.host(node).finish(handle, id) {
            pair.sendings.entry((id, side.is_client())).or_default().finished = true;
        }
    }

    fn reset(&mut self, at: usize, side: Side, id: StreamId) {
        let pair = &mut self.pairs[at];
        let end = pair.end(side);
        let (node, Some(handle)) = (end.node, end.handle) else { return };
        end.writable.remove(&id);
        if self.network.host(node).reset(handle, id, id.0) {
            pair.sendings.entry((id, side.is_client())).or_default().abandoned = true;
        }
    }

    fn stop(&mut self, at: usize, side: Side, id: StreamId) {
        let pair = &mut self.pairs[at];
        let end = pair.end(side);
        let (node, Some(handle)) = (end.node, end.handle) else { return };
        end.readable.remove(&id);
        if self.network.host(node).stop_sending(handle, id, id.0) {
            pair.sendings.entry((id, side.peer().is_client())).or_default().abandoned = true;
        }
    }

    fn send_datagram(&mut self, at: usize, side: Side, handle: ConnectionHandle) {
        let len = pick(&mut self.rng, &[8, 100, 1_000]);
        let pair = &mut self.pairs[at];
        let number = pair.next_datagram;
        pair.next_datagram += 1;
        let mut data = vec![0; len];
        Content(pair.content ^ number).fill(0, &mut data);
        data[..8].copy_from_slice(&number.to_le_bytes());
        let end = pair.end(side);
        if self.network.host(end.node).send_datagram(handle, &data) {
            end.datagrams.insert(number);
        }
    }

    fn receive_datagrams(&mut self, at: usize, side: Side) {
        let pair = &mut self.pairs[at];
        let end = pair.end(side);
        let (node, Some(handle)) = (end.node, end.handle) else { return };
        while let Some(data) = self.network.host(node).recv_datagram(handle) {
            let number = data.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).expect("8 bytes and more");
            assert!(pair.end(side.peer()).datagrams.remove(&number), "datagram {number} was not sent, or came twice");
            let mut expected = vec![0; data.len()];
            Content(pair.content ^ number).fill(0, &mut expected);
            assert_eq!(expected[8..], data[8..], "a datagram's bytes");
        }
    }

    /// A client goes over to another port.
    fn migrate(&mut self, at: usize) {
        let at_once = self.below(2) == 0;
        let now = self.network.now();
        let pair = &mut self.pairs[at];
        let node = pair.client.node;
        let Some(handle) = pair.client.handle else { return };
        let local = SocketAddr::new(pair.local.ip(), pair.local.port() + 1);
        self.network.add_address(node, local);
        if self.network.host(node).migrate(now, handle, local, at_once) {
            pair.moves += 1;
            pair.local = local;
        }
    }

    /// A link swallows everything for a while.
    fn go_dead(&mut self) {
        if self.deaths > 0 {
            self.deaths -= 1;
            let link = self.below(self.network.link_count() as u64) as usize;
            let until = self.network.now() + self.below(3 * SECOND);
            self.network.link(link).die(until);
        }
    }

    fn close(&mut self, at: usize, side: Side) {
        let now = self.network.now();
        let pair = &mut self.pairs[at];
        pair.closed = true;
        let end = pair.end(side);
        if let Some(handle) = end.handle {
            self.network.host(end.node).close(now, handle, 7, b"done");
        }
    }

    fn read_all(&mut self) {
        for at in 0..self.pairs.len() {
            for side in [Side::Client, Side::Server] {
                let ids: Vec<_> = self.pairs[at].end(side).readable.iter().copied().collect();
                for id in ids {
                    self.read(at, side, id, usize::MAX);
                }
                self.receive_datagrams(at, side);
            }
        }
    }

    /// The network heals, and everything that was written arrives.
    fn deliver_all(&mut self) {
        for link in 0..self.network.link_count() {
            let link = self.network.link(link);
            link.conditions =
                Conditions { rate: link.conditions.rate, mtu: link.conditions.mtu, ..Conditions::PERFECT };
            link.die(0);
        }
        let until = self.network.now() + PATIENCE;
        loop {
            self.read_all();
            self.network.settle();
            self.take_events();
            let next = self.network.next_event();
            let missing = self.missing();
            if missing.is_empty() {
                return;
            }
            assert!(next.is_some_and(|next| next < until), "not delivered in time: {missing:?}");
            self.network.step();
            self.take_events();
        }
    }

    /// The streams of open connections on which something has not arrived yet.
    fn missing(&self) -> Vec<(usize, StreamId, &Sending)> {
        let mut missing = Vec::new();
        for (at, pair) in self.pairs.iter().enumerate() {
            if pair.closed || !pair.client.open || !pair.server.open {
                continue;
            }
            for ((id, _), sending) in &pair.sendings {
                let short = sending.read < sending.written || sending.finished && !sending.end_read;
                if short && !sending.abandoned {
                    missing.push((at, *id, sending));
                }
            }
        }
        missing
    }

    /// Closes what is open; nothing is left in the end.
    fn close_all(&mut self) {
        for at in 0..self.pairs.len() {
            let side = if self.below(2) == 0 { Side::Client } else { Side::Server };
            self.close(at, side);
            self.close(at, Side::Client);
        }
        let until = self.network.now() + AFTERLIFE;
        while self.network.next_event().is_some_and(|next| next < until) {
            self.network.step();
            self.take_events();
        }
        let mut nodes = vec![self.server];
        nodes.extend(self.pairs.iter().map(|pair| pair.client.node));
        for node in nodes {
            let host = self.network.host(node);
            assert_eq!((host.connection_count(), host.memory().0), (0, 0), "node {node}: something is left");
        }
        self.summary.ended = self.network.now();
        self.summary.datagrams = self.network.ledger().received;
    }

    fn take_events(&mut self) {
        for at in 0..self.pairs.len() {
            while let Some((handle, event)) = self.network.poll_event(self.pairs[at].client.node) {
                if self.pairs[at].client.handle == Some(handle) {
                    self.on_event(at, Side::Client, event);
                }
            }
        }
        while let Some((handle, event)) = self.network.poll_event(self.server) {
            if event == Event::Accepted {
                self.on_accepted(handle);
            } else if let Some(at) = self.pairs.iter().position(|pair| pair.server.handle == Some(handle)) {
                self.on_event(at, Side::Server, event);
            }
        }
    }

    /// Finds out whose connection that is. A late copy of a first Initial makes one that is nobody's, and times out.
    fn on_accepted(&mut self, handle: ConnectionHandle) {
        let Some(path) = self.network.host(self.server).path(handle) else { return };
        let client = self.network.owner(path.remote);
        if let Some(pair) = self.pairs.iter_mut().find(|pair| Some(pair.client.node) == client) {
            pair.server.handle.get_or_insert(handle);
        }
    }

    fn on_event(&mut self, at: usize, side: Side, event: Event) {
        match event {
            Event::StreamOpened { id } => {
                let end = self.pairs[at].end(side);
                assert!(end.readable.insert(id), "stream {id} is opened twice");
                if id.dir() == Dir::Bidi {
                    end.writable.insert(id);
                }
            }
            Event::StreamStopped { id, .. } => {
                self.pairs[at].end(side).writable.remove(&id);
                self.abandoned(at, id, side);
            }
            Event::StreamReset { id, .. } => self.abandoned(at, id, side.peer()),
            Event::HandshakeConfirmed if side.is_client() => self.pairs[at].confirmed = true,
            Event::Closed(error) => self.on_closed(at, side, &error),
            Event::Drained => self.pairs[at].end(side).handle = None,
            _ => {}
        }
    }

    /// Told of an end before its time: somebody must have made one.
    fn abandoned(&self, at: usize, id: StreamId, sender: Side) {
        let sending = self.pairs[at].sendings.get(&(id, sender.is_client()));
        assert!(sending.is_some_and(|sending| sending.abandoned), "stream {id} is given up, and by nobody");
    }

    fn on_closed(&mut self, at: usize, side: Side, error: &ConnectionError) {
        let pair = &mut self.pairs[at];
        pair.end(side).open = false;
        let (closed, moves) = (pair.closed, pair.moves);
        let other = pair.end(side.peer());
        let (node, handle, open) = (other.node, other.handle, other.open);
        let other_gone = !open || handle.is_none_or(|handle| self.network.host(node).stats(handle).is_none());
        let expected = match error {
            ConnectionError::Application { code, reason, .. } => closed && *code == 7 && reason == b"done",
            ConnectionError::Transport { code, .. } => {
                // What an application says before the handshake is complete is hidden (RFC 9000 section 10.2.3).
                *code == TransportErrorCode::NO_VIABLE_PATH && moves > 0
                    || *code == TransportErrorCode::APPLICATION_ERROR && closed
            }
            // Who has used up the peer's connection IDs cannot answer on another path (RFC 9000 section 9.5): where the
            // news of those retired is lost with the path in use, nothing is left but the timeout.
            ConnectionError::IdleTimeout => self.hostile || closed || other_gone || moves > 1,
            ConnectionError::HandshakeTimeout => self.hostile || closed || other_gone,
            ConnectionError::StatelessReset => closed || other_gone,
            ConnectionError::VersionNegotiation { .. } => false,
        };
        assert!(expected, "connection {at} ends at the {side:?}: {error:?}");
        if !closed {
            self.summary.timed_out += 1;
        }
    }
}

/// Whether more than one datagram in ten is lost.
fn is_hostile(conditions: &Conditions) -> bool {
    let lost = match conditions.loss {
        Loss::None | Loss::Burst { .. } => Chance::NEVER,
        Loss::Random(chance) => chance,
    };
    lost.0 + conditions.corruption.0 > 100_000
}
