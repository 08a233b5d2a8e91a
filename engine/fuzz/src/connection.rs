//! Whole connections, at every stage of their life, against a peer that sends anything.
//!
//! Packet protection is the null cipher, so that bytes reach the frames; TLS is real. The input: a byte for the stage,
//! then commands, each a byte for the kind, two for a length, and as many bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use quillon::crypto::{TAG_LEN, null};
use quillon::packet::{self, LongHeader, PacketType, ShortHeader};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::wire::{ConnectionId, Version, Writer};
use quillon::{
    ClientConfig, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig, Side, StreamId,
    Time, Transmit, TransportSettings,
};

const CA: &[u8] = include_bytes!("../../tests/data/ca.der");
const CERTIFICATE: &[u8] = include_bytes!("../../tests/data/localhost.der");
const PRIVATE_KEY: &[u8] = include_bytes!("../../tests/data/localhost.key.der");

const MILLISECOND: Time = 1_000_000;
/// 2026-01-01.
const UNIX_TIME: Duration = Duration::from_secs(1_767_225_600);
/// What both ends may hold at most, however the peer behaves.
const MEMORY_BUDGET: usize = 4 << 20;
/// What a packet may add to a budget that it has already passed.
const SLACK: usize = 1 << 20;
/// Rounds that an exchange may take: far more than one that ends.
const MAX_ROUNDS: usize = 2_000;
const STAGES: u8 = 7;

static CLIENT: LazyLock<ClientConfig> = LazyLock::new(|| {
    let tls = RustlsClient::builder().alpn([b"fuzz".as_slice()]).roots([CA]).build().expect("the client's TLS");
    ClientConfig { crypto: null::provider(), transport: settings(), ..ClientConfig::new(Arc::new(tls)) }
});

static SERVER: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let tls = RustlsServer::builder([CERTIFICATE], PRIVATE_KEY).alpn([b"fuzz".as_slice()]).build();
    let tls = Arc::new(tls.expect("the server's TLS"));
    Arc::new(ServerConfig { crypto: null::provider(), transport: settings(), ..ServerConfig::new(tls) })
});

fn settings() -> TransportSettings {
    TransportSettings { initial_max_streams_bidi: 8, initial_max_streams_uni: 8, ..TransportSettings::default() }
}

/// The client is attacked.
pub(crate) fn client(data: &[u8]) {
    run(Side::Client, data);
}

/// The server is attacked.
pub(crate) fn server(data: &[u8]) {
    run(Side::Server, data);
}

fn run(victim: Side, data: &[u8]) {
    let Some((&stage, commands)) = data.split_first() else { return };
    let mut scene = Scene::new(victim);
    scene.reach(stage % STAGES);
    let mut commands = Commands(commands);
    while let Some((kind, bytes)) = commands.next() {
        scene.command(kind, bytes);
    }
    scene.exchange(usize::MAX);
    scene.end();
}

/// Commands of the input.
struct Commands<'a>(&'a [u8]);

impl<'a> Commands<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[kind, high, low], rest) = self.0.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([high, low]) & 0x7ff).min(rest.len());
        let (bytes, rest) = rest.split_at(len);
        self.0 = rest;
        Some((kind, bytes))
    }
}

struct End {
    endpoint: Endpoint,
    path: FourTuple,
    inbound: VecDeque<Vec<u8>>,
    handle: Option<ConnectionHandle>,
    streams: Vec<StreamId>,
}

impl End {
    fn new(seed: u8, local: &str, remote: &str) -> Self {
        let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        let config = EndpointConfig { memory_budget: MEMORY_BUDGET, ..EndpointConfig::default() };
        let mut endpoint = Endpoint::new(config, [seed; 32]);
        endpoint.set_unix_time(UNIX_TIME);
        let path = FourTuple { local: address(local), remote: address(remote) };
        Self { endpoint, path, inbound: VecDeque::new(), handle: None, streams: Vec::new() }
    }

    fn receive(&mut self, now: Time) {
        while let Some(mut datagram) = self.inbound.pop_front() {
            self.endpoint.receive(now, self.path, Ecn::NotEct, &mut datagram);
        }
    }

    fn transmit(&mut self, now: Time, buffer: &mut [u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Transmit::Send(batch) = self.endpoint.transmit(now, buffer) {
            out.extend(buffer[..batch.len].chunks(batch.segment_size).map(<[u8]>::to_vec));
            assert!(out.len() < 100_000, "sends without end");
        }
        out
    }

    /// Acts on events: reads everything, remembers streams.
    fn events(&mut self) {
        let mut count = 0;
        while let Some((handle, event)) = self.endpoint.poll_event() {
            self.handle.get_or_insert(handle);
            let Some(connection) = self.endpoint.connection_mut(handle) else { continue };
            match event {
                Event::StreamOpened { id } => self.streams.push(id),
                Event::StreamReadable { id } => {
                    let mut data = [0; 4096];
                    while connection.read(id, &mut data).is_ok_and(|read| read.len > 0 && !read.finished) {}
                }
                _ => {}
            }
            count += 1;
            assert!(count < 100_000, "events without end");
        }
    }
}

struct Scene {
    now: Time,
    victim: Side,
    client: End,
    server: End,
    buffer: Vec<u8>,
    /// What the victim's peer last called it.
    victim_id: Option<ConnectionId>,
    peer_id: Option<ConnectionId>,
    packet_number: u64,
}

impl Scene {
    fn new(victim: Side) -> Self {
        let mut scene = Self {
            now: 1_000_000 * MILLISECOND,
            victim,
            client: End::new(1, "192.0.2.1:50000", "192.0.2.2:443"),
            server: End::new(2, "192.0.2.2:443", "192.0.2.1:50000"),
            buffer: vec![0; 65_507],
            victim_id: None,
            peer_id: None,
            packet_number: 1_000,
        };
        scene.server.endpoint.set_server(Some(Arc::clone(&SERVER))).expect("valid settings");
        let path = scene.client.path;
        scene.client.handle = scene.client.endpoint.connect(scene.now, &CLIENT, "localhost", path).ok();
        scene
    }

    fn victim(&mut self) -> &mut End {
        if self.victim.is_client() { &mut self.client } else { &mut self.server }
    }

    /// Brings both ends to a stage of a connection's life.
    fn reach(&mut self, stage: u8) {
        self.exchange(usize::from(stage).min(4));
        if stage < 4 {
            return;
        }
        self.exchange(usize::MAX);
        for end in [&mut self.client, &mut self.server] {
            let Some(connection) = end.handle.and_then(|handle| end.endpoint.connection_mut(handle)) else { continue };
            for dir in [Dir::Bidi, Dir::Uni] {
                if let Ok(id) = connection.open(dir) {
                    let _ = connection.write(id, &[7; 5_000]);
                    end.streams.push(id);
                }
            }
        }
        match stage {
            5 => self.exchange(usize::MAX),
            6 => {
                let now = self.now;
                let victim = self.victim();
                if let Some(connection) = victim.handle.and_then(|handle| victim.endpoint.connection_mut(handle)) {
                    connection.close(now, 5, b"fuzz");
                }
            }
            _ => {}
        }
    }

    fn command(&mut self, kind: u8, bytes: &[u8]) {
        match kind % 8 {
            0 => self.inject(bytes.to_vec()),
            1 => self.inject_long(PacketType::Initial, bytes),
            2 => self.inject_long(PacketType::Handshake, bytes),
            3 => self.inject_long(PacketType::ZeroRtt, bytes),
            4 | 5 => self.inject_short(kind & 8 != 0, bytes),
            6 => self.exchange(1 + bytes.len()),
            _ => self.use_streams(bytes),
        }
    }

    fn inject(&mut self, mut datagram: Vec<u8>) {
        let now = self.now;
        let victim = self.victim();
        victim.endpoint.receive(now, victim.path, Ecn::NotEct, &mut datagram);
        victim.events();
        self.check_memory();
    }

    fn inject_long(&mut self, ty: PacketType, payload: &[u8]) {
        let (Some(dcid), Some(scid)) = (self.victim_id, self.peer_id) else { return };
        let mut datagram = vec![0; 3_000];
        let mut writer = Writer::new(&mut datagram);
        let header = LongHeader { ty, version: Version::V1, dcid, scid, token: &[] };
        let offsets = header.encode(&mut writer, self.packet_number, 4);
        let start = writer.position();
        writer.bytes(payload);
        // An Initial has to fill its datagram, and PADDING is zeros.
        let least = if ty == PacketType::Initial { 1200 - TAG_LEN } else { start + 4 };
        writer.zeros(least.saturating_sub(writer.position()) + TAG_LEN);
        let len = writer.position();
        datagram.truncate(len);
        packet::set_length(&mut datagram, offsets.length, len - offsets.pn);
        self.packet_number += 1;
        self.inject(datagram);
    }

    fn inject_short(&mut self, key_phase: bool, payload: &[u8]) {
        let Some(dcid) = self.victim_id else { return };
        let mut datagram = vec![0; 3_000];
        let mut writer = Writer::new(&mut datagram);
        ShortHeader { dcid, spin: false, key_phase }.encode(&mut writer, self.packet_number, 4);
        writer.bytes(payload);
        writer.zeros(4 + TAG_LEN);
        let len = writer.position();
        datagram.truncate(len);
        self.packet_number += 1;
        self.inject(datagram);
    }

    /// The victim's application acts on its streams.
    fn use_streams(&mut self, bytes: &[u8]) {
        let victim = self.victim();
        let streams = victim.streams.clone();
        let Some(connection) = victim.handle.and_then(|handle| victim.endpoint.connection_mut(handle)) else { return };
        for pair in bytes.chunks_exact(2) {
            let &[action, which] = pair else { continue };
            let Some(id) = streams.get(usize::from(which) % streams.len().max(1)).copied() else { return };
            match action % 5 {
                0 => drop(connection.write(id, &[action; 700])),
                1 => drop(connection.finish(id)),
                2 => drop(connection.reset(id, u64::from(which))),
                3 => drop(connection.stop_sending(id, u64::from(which))),
                _ => drop(connection.open(if which & 1 == 0 { Dir::Bidi } else { Dir::Uni })),
            }
        }
        victim.events();
    }

    /// Lets datagrams pass and timers run, for so many rounds or until nothing happens.
    fn exchange(&mut self, rounds: usize) {
        for _ in 0..rounds.min(MAX_ROUNDS) {
            let up = self.client.transmit(self.now, &mut self.buffer);
            let down = self.server.transmit(self.now, &mut self.buffer);
            self.learn(&up, &down);
            let moved = !up.is_empty() || !down.is_empty();
            self.server.inbound.extend(up);
            self.client.inbound.extend(down);
            if !moved {
                let next = [self.client.endpoint.timeout(), self.server.endpoint.timeout()].into_iter().flatten().min();
                // Past the idle timeout nothing is left to see.
                let horizon = self.now + 2_000 * MILLISECOND;
                let Some(next) = next.filter(|next| *next <= horizon) else { return };
                self.now = self.now.max(next);
            }
            self.now += MILLISECOND;
            for end in [&mut self.client, &mut self.server] {
                end.endpoint.handle_timeout(self.now);
                end.receive(self.now);
                end.events();
            }
            self.check_memory();
        }
    }

    /// Learns the connection IDs from what passes by.
    fn learn(&mut self, up: &[Vec<u8>], down: &[Vec<u8>]) {
        let (to_victim, from_victim) = if self.victim.is_client() { (down, up) } else { (up, down) };
        if let Some(layout) = to_victim.iter().rev().find_map(|datagram| packet::parse(datagram, 8).ok()) {
            self.victim_id = Some(layout.dcid);
            if layout.ty != PacketType::OneRtt {
                self.peer_id = Some(layout.scid);
            }
        }
        let _ = from_victim;
    }

    fn check_memory(&self) {
        for end in [&self.client, &self.server] {
            let used = end.endpoint.memory_used();
            assert!(used <= MEMORY_BUDGET + SLACK, "{used} bytes held");
        }
    }

    /// Nothing is left of a connection that is given the time to end.
    fn end(&mut self) {
        let now = self.now;
        for end in [&mut self.client, &mut self.server] {
            if let Some(connection) = end.handle.and_then(|handle| end.endpoint.connection_mut(handle)) {
                connection.close(now, 0, b"");
            }
        }
        for _ in 0..MAX_ROUNDS {
            self.exchange(1);
            let timeouts = [self.client.endpoint.timeout(), self.server.endpoint.timeout()];
            let Some(next) = timeouts.into_iter().flatten().min() else { break };
            self.now = self.now.max(next);
        }
        for end in [&self.client, &self.server] {
            assert_eq!(end.endpoint.connection_count(), 0, "a connection outlives its close");
        }
    }
}
