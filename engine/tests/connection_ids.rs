//! Connection IDs and the datagrams that they route (RFC 9000 section 5).

mod network;
mod pair;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use network::{Network, Sent, away, home, server_address};
use pair::{MILLISECOND, Pair, SECOND};
use quillon::connection_id::{Generator, IdGeneration};
use quillon::error::TransportErrorCode;
use quillon::packet::Frame;
use quillon::rng::Rng;
use quillon::wire::{ConnectionId, FourTuple};
use quillon::{
    ConnectError, ConnectionError, Dir, EndpointConfig, Event, MigrateError, Migration, Side, TransportSettings,
};

#[test]
fn many_connections_share_an_endpoint() {
    let mut pair = Pair::default();
    let clients: Vec<_> = (0..50).map(|_| pair.connect()).collect();
    pair.run_for(900 * MILLISECOND);
    for (n, client) in clients.iter().enumerate() {
        let connection = pair.client.connection(*client);
        assert!(connection.is_handshake_confirmed());
        let id = connection.open(Dir::Uni).unwrap();
        connection.write(id, &[n as u8; 2000]).unwrap();
        connection.finish(id).unwrap();
    }
    pair.settle();
    let mut seen = Vec::new();
    while let Some((handle, id)) =
        pair.server.take(|event| if let Event::StreamReadable { id } = event { Some(*id) } else { None })
    {
        let mut buffer = [0; 4096];
        let read = pair.server.connection(handle).read(id, &mut buffer).unwrap();
        assert!(read.finished && buffer[..read.len].iter().all(|byte| *byte == buffer[0]));
        seen.push(buffer[0]);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<u8>>());
}

#[test]
fn ids_of_every_allowed_length_work() {
    for connection_id_len in [0, 4, 8, 20, 100] {
        let config = EndpointConfig { connection_id_len, ..EndpointConfig::default() };
        let mut pair = Pair::new(config, Default::default());
        pair.connected();
    }
}

#[test]
fn a_handle_of_a_connection_that_is_gone_is_void() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.settle();
    assert!(pair.client.endpoint.connection(client).is_none());
    let again = pair.connect();
    assert_ne!(again, client, "the place is used again, the handle is not");
    assert!(pair.client.endpoint.connection_mut(client).is_none());
    assert!(pair.client.endpoint.connection(quillon::ConnectionHandle::from_raw(0)).is_none());
}

fn frames(sent: &[Sent]) -> Vec<Frame<'static>> {
    sent.iter().flat_map(Sent::frames).collect()
}

fn issued(sent: &[Sent]) -> Vec<(u64, u64, ConnectionId)> {
    let ids = frames(sent).into_iter().filter_map(|frame| match frame {
        Frame::NewConnectionId { sequence, retire_prior_to, cid, .. } => Some((sequence, retire_prior_to, cid)),
        _ => None,
    });
    ids.collect()
}

fn id(byte: u8) -> ConnectionId {
    ConnectionId::new(&[byte; 8]).unwrap()
}

fn new_connection_id(sequence: u64, retire_prior_to: u64, byte: u8) -> Frame<'static> {
    Frame::NewConnectionId { sequence, retire_prior_to, cid: id(byte), reset_token: [byte; 16] }
}

/// A connection whose end on `side` has received these frames, each in a packet of its own.
fn after(side: Side, received: &[Frame<'_>]) -> Network {
    let mut network = Network::default();
    let path = match side {
        Side::Server => network.server_path(),
        Side::Client => FourTuple { local: home(), remote: server_address() },
    };
    for frame in received {
        network.forge(side.peer(), path, std::slice::from_ref(frame));
    }
    network
}

fn outcome(side: Side, received: &[Frame<'_>]) -> Option<TransportErrorCode> {
    let mut network = after(side, received);
    network.run_for(MILLISECOND);
    let host = if side.is_client() { &mut network.client } else { &mut network.server };
    match host.closed() {
        Some(ConnectionError::Transport { code, by_peer: false, .. }) => Some(code),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// D3: what a NEW_CONNECTION_ID must not say.
#[test]
fn d3_contradictions_about_connection_ids_are_refused() {
    for side in [Side::Server, Side::Client] {
        // Sequence numbers 0 to 3 are there already, as many as we keep; those below 10 are retired first.
        let first = new_connection_id(10, 10, 1);
        assert_eq!(outcome(side, &[first, first]), None, "an exact duplicate");
        let cases = [
            (vec![new_connection_id(4, 5, 1)], TransportErrorCode::FRAME_ENCODING_ERROR, "Retire Prior To"),
            (vec![first, new_connection_id(10, 10, 2)], TransportErrorCode::PROTOCOL_VIOLATION, "another ID"),
            (vec![first, new_connection_id(11, 10, 1)], TransportErrorCode::PROTOCOL_VIOLATION, "another number"),
            (vec![new_connection_id(4, 0, 1)], TransportErrorCode::CONNECTION_ID_LIMIT_ERROR, "one too many"),
        ];
        for (frames, code, case) in cases {
            assert_eq!(outcome(side, &frames), Some(code), "{side:?}: {case}");
        }
        let Frame::NewConnectionId { sequence, retire_prior_to, cid, .. } = first else { unreachable!() };
        let other_token = Frame::NewConnectionId { sequence, retire_prior_to, cid, reset_token: [9; 16] };
        assert_eq!(outcome(side, &[first, other_token]), Some(TransportErrorCode::PROTOCOL_VIOLATION));
    }
}

/// D3: from a peer that is reached without a connection ID.
#[test]
fn d3_who_uses_no_connection_id_issues_none() {
    let client = EndpointConfig { connection_id_len: 0, ..EndpointConfig::default() };
    let mut network = Network::unconnected(client, EndpointConfig::default(), TransportSettings::default());
    network.connect(TransportSettings::default());
    network.settle();
    let path = network.server_path();
    network.forge(Side::Client, path, &[new_connection_id(1, 0, 1)]);
    network.run_for(MILLISECOND);
    let Some(ConnectionError::Transport { code, .. }) = network.server.closed() else {
        panic!("{:?}", network.server.events)
    };
    assert_eq!(code, TransportErrorCode::PROTOCOL_VIOLATION);
}

/// D4: a packet cannot retire the connection ID that it was sent to, nor one that was never issued.
#[test]
fn d4_impossible_retirements_are_refused() {
    for side in [Side::Server, Side::Client] {
        let retire = |sequence| Frame::RetireConnectionId { sequence };
        assert_eq!(outcome(side, &[retire(0)]), Some(TransportErrorCode::PROTOCOL_VIOLATION), "{side:?}: its own");
        assert_eq!(outcome(side, &[retire(4)]), Some(TransportErrorCode::PROTOCOL_VIOLATION), "{side:?}: not issued");
        assert_eq!(outcome(side, &[retire(1), retire(1)]), None, "{side:?}: a second time is ignored");
    }
}

/// D2: packets on their way to a connection ID that was just retired still arrive; later it is forgotten.
#[test]
fn d2_a_retired_id_works_a_while_longer() {
    for (wait, expected) in [(50 * MILLISECOND, 1), (SECOND, 0)] {
        let mut network = Network::default();
        let old = network.client.sent.last().unwrap().destination();
        assert!(network.client.connection().rotate_remote_id());
        let before = network.client.sent.len();
        network.run_for(wait);
        assert!(frames(&network.client.sent[before..]).contains(&Frame::RetireConnectionId { sequence: 0 }));
        let (received, path) = (network.server.connection().stats().packets_received, network.server_path());
        network.forge_to(Side::Client, path, old, &[Frame::Ping]);
        assert_eq!(network.server.connection().stats().packets_received - received, expected);
    }
}

#[test]
fn another_id_of_the_peer_is_used_on_request() {
    let mut network = Network::default();
    assert_eq!((1..=3).map(|_| network.server.connection().rotate_remote_id()).collect::<Vec<_>>(), [true; 3]);
    assert!(!network.server.connection().rotate_remote_id(), "none is left until the client issues more");
    let mut used = Vec::new();
    for _ in 0..20 {
        let before = network.server.sent.len();
        network.say(Side::Server, b"under another name");
        network.settle();
        used.push(
            network.server.sent[before..].iter().rfind(|sent| sent.datagram[0] & 0x80 == 0).unwrap().destination(),
        );
        assert!(network.server.connection().rotate_remote_id());
    }
    used.sort_unstable();
    used.dedup();
    assert_eq!(used.len(), 20);
    assert_eq!((network.client.closed(), network.server.closed()), (None, None));
}

#[test]
fn all_our_ids_are_replaced_on_request() {
    let mut network = Network::default();
    for round in 0..20 {
        let (before, client_before) = (network.server.sent.len(), network.client.sent.len());
        let now = network.now;
        let old: Vec<_> = issued(&network.server.sent).into_iter().map(|(.., id)| id).collect();
        assert!(network.server.connection().rotate_local_ids(now), "round {round}");
        assert!(!network.server.connection().rotate_local_ids(now), "one after the other");
        network.say(Side::Client, b"still known");
        network.settle();
        let new = issued(&network.server.sent[before..]);
        assert_eq!(new.len(), 4);
        let first = new[0].0;
        assert!(new.iter().all(|(sequence, prior, id)| *prior == first && sequence >= prior && !old.contains(id)));
        let retired = frames(&network.client.sent[client_before..]);
        let retired = retired.iter().filter(|frame| matches!(frame, Frame::RetireConnectionId { .. })).count();
        assert_eq!(retired, 4);
        let used = network.client.sent.last().unwrap().destination();
        assert!(new.iter().any(|(.., id)| *id == used));
    }
    assert_eq!((network.client.closed(), network.server.closed()), (None, None));
}

/// A peer that asks for retirements and acknowledges none of them is closed (RFC 9000 section 5.1.2).
#[test]
fn retirements_that_are_not_acknowledged_are_bounded() {
    let mut network = Network::default();
    let path = network.server_path();
    // The client sends nothing that could acknowledge.
    network.filter = Some(Box::new(|_, _, _| false));
    for n in 4..60 {
        network.forge(Side::Client, path, &[new_connection_id(n, n, n as u8)]);
        network.run_for(MILLISECOND);
    }
    let Some(ConnectionError::Transport { code, .. }) = network.server.closed() else { panic!() };
    assert_eq!(code, TransportErrorCode::CONNECTION_ID_LIMIT_ERROR);
}

/// Connection IDs that say which server they lead to, and by a counter which connection.
#[derive(Debug)]
struct Routable {
    len: usize,
    /// How often each number is given out.
    times: u8,
    next: AtomicU8,
}

impl Routable {
    fn new(len: usize, times: u8) -> Arc<Self> {
        Arc::new(Self { len, times, next: AtomicU8::new(0) })
    }
}

impl Generator for Routable {
    fn id_len(&self) -> usize {
        6
    }

    fn generate(&self, _: &mut Rng) -> ConnectionId {
        let n = self.next.fetch_add(1, Ordering::Relaxed) / self.times;
        ConnectionId::new(&[0xab, 0xcd, 0, 0, 0, n, 0, 0][..self.len]).unwrap()
    }
}

fn generating(generator: Arc<Routable>) -> EndpointConfig {
    EndpointConfig { connection_id_generation: IdGeneration::Custom(generator), ..EndpointConfig::default() }
}

/// D1: a generator of the caller's own makes every connection ID.
#[test]
fn d1_the_callers_generator_makes_every_id() {
    let mut pair = Pair::new(generating(Routable::new(6, 1)), TransportSettings::default());
    pair.connected();
    let short: Vec<_> = pair.client.sent.iter().filter(|datagram| datagram[0] & 0x80 == 0).collect();
    assert!(!short.is_empty() && short.iter().all(|datagram| datagram[1..3] == [0xab, 0xcd]));
}

/// D1: an ID that another connection has is asked for again, so that each leads to one connection.
#[test]
fn d1_ids_of_several_connections_are_unique() {
    let mut pair = Pair::new(generating(Routable::new(6, 3)), TransportSettings::default());
    let clients: Vec<_> = (0..8).map(|_| pair.connect()).collect();
    pair.settle();
    for (n, client) in clients.iter().enumerate() {
        // On another connection ID than that of the handshake.
        assert!(pair.client.connection(*client).rotate_remote_id());
        let id = pair.client.connection(*client).open(Dir::Uni).unwrap();
        pair.client.connection(*client).write(id, &[n as u8]).unwrap();
    }
    pair.settle();
    let mut seen = Vec::new();
    let readable = |event: &Event| if let Event::StreamReadable { id } = event { Some(*id) } else { None };
    while let Some((handle, id)) = pair.server.take(readable) {
        let mut buffer = [0; 8];
        assert_eq!(pair.server.connection(handle).read(id, &mut buffer).unwrap().len, 1);
        seen.push(buffer[0]);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6, 7]);
}

/// D1: a generator that does not keep to its length, or has but one ID, is an error and no undefined state.
#[test]
fn d1_a_generator_that_fails_is_an_error() {
    let config = pair::client_config(TransportSettings::default());
    let path = FourTuple { local: home(), remote: server_address() };
    let mut endpoint = quillon::Endpoint::new(generating(Routable::new(7, 1)), [1; 32]);
    assert_eq!(endpoint.connect(0, &config, "localhost", path).err(), Some(ConnectError::NoConnectionId));
    let mut endpoint = quillon::Endpoint::new(generating(Routable::new(6, 255)), [1; 32]);
    assert!(endpoint.connect(0, &config, "localhost", path).is_ok());
    assert_eq!(endpoint.connect(0, &config, "localhost", path).err(), Some(ConnectError::NoConnectionId));

    let mut pair = Pair::new(generating(Routable::new(6, 255)), TransportSettings::default());
    pair.connect();
    pair.settle();
    let Some(ConnectionError::Transport { code, by_peer: true, .. }) = pair.client.closed() else { panic!() };
    assert_eq!(code, TransportErrorCode::INTERNAL_ERROR);
}

#[test]
fn a_client_without_connection_ids_is_known_by_its_port() {
    let client = EndpointConfig { connection_id_len: 0, ..EndpointConfig::default() };
    let mut network = Network::unconnected(client, EndpointConfig::default(), TransportSettings::default());
    network.connect(TransportSettings::default());
    network.settle();
    assert!(network.client.saw(&Event::HandshakeConfirmed));
    let config = pair::client_config(TransportSettings::default());
    let path = FourTuple { local: home(), remote: server_address() };
    let again = network.client.endpoint.connect(network.now, &config, "localhost", path);
    assert_eq!(again, Err(ConnectError::PathInUse));
    // A NAT may move it, and it may move: the server has connection IDs.
    network.nat.insert(home(), away());
    network.say(Side::Client, &[1; 3000]);
    network.settle();
    network.nat.clear();
    let now = network.now;
    network.client.connection().migrate(now, network::address("198.51.100.9:1234"), Migration::Immediate).unwrap();
    network.settle();
    network.say(Side::Server, &[2; 3000]);
    network.settle();
    assert!(network.client.events.iter().any(|event| matches!(event, Event::StreamReadable { .. })));
    assert!(!network.client.connection().rotate_local_ids(now));
    // Its port is free once it is gone.
    network.client.connection().close(now, 0, b"");
    network.run_for(10 * SECOND);
    let local = network::address("198.51.100.9:1234");
    let path = FourTuple { local, ..path };
    assert!(network.client.endpoint.connect(network.now, &config, "localhost", path).is_ok());
}

/// M1: a server without connection IDs would not find a client that has moved.
#[test]
fn m1_a_client_does_not_leave_a_server_without_connection_ids() {
    let server = EndpointConfig { connection_id_len: 0, ..EndpointConfig::default() };
    let mut network = Network::unconnected(EndpointConfig::default(), server, TransportSettings::default());
    network.connect(TransportSettings::default());
    network.settle();
    let now = network.now;
    let refused = network.client.connection().migrate(now, away(), Migration::Immediate);
    assert_eq!(refused, Err(MigrateError::ZeroLength));
    assert!(!network.client.connection().rotate_remote_id());
}
