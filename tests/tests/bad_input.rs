//! What nobody should send: noise, damage, broken frames under the right keys, and more than an endpoint can hold.
//! Nothing of it panics, hangs or grows, and the connection closes with the right error or goes on.

use std::sync::Arc;
use std::time::Duration;

use quillon::crypto::CipherSuite;
use quillon::error::TransportErrorCode;
use quillon::packet::{ConnectionClose, Frame, Frames, encode_ack};
use quillon::rng::Rng;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::wire::{ConnectionId, EcnCounts, Writer};
use quillon::{
    ClientConfig, ConnectionError, ConnectionHandle, Dir, Ecn, EndpointConfig, Event, FourTuple, Idle, ServerConfig,
    Side, StreamId, Transmit,
};
use quillon_tests::fixtures::{CA, CERTIFICATE, PRIVATE_KEY, noise};
use quillon_tests::forge::{Forge, encode};
use quillon_tests::host::{ALPN, Host, Native, client_config, server_config};
use quillon_tests::link::Conditions;
use quillon_tests::pair::{Pair, Sent};

const SUITE: CipherSuite = CipherSuite::Aes128Gcm;

/// The UDP payload that IPv6 without jumbograms carries at most.
const LARGEST_DATAGRAM: usize = 65_527;

fn configs() -> (ClientConfig, ServerConfig) {
    let client = RustlsClient::builder().alpn([ALPN]).roots([CA]).cipher_suites(&[SUITE]).key_log(true).build();
    let server = RustlsServer::builder([CERTIFICATE], PRIVATE_KEY).alpn([ALPN]).build();
    (
        ClientConfig::new(Arc::new(client.expect("the test CA is a certificate"))),
        ServerConfig::new(Arc::new(server.expect("a key and its chain"))),
    )
}

/// A pair with a confirmed connection, and its handles.
fn established(seed: u64) -> (Pair, ConnectionHandle, ConnectionHandle) {
    let (client, server) = configs();
    let mut pair = Pair::with_configs(Conditions::PERFECT, seed, client, server).record();
    let (client, server) = pair.connect();
    pair.run_until(|pair| pair.client.take_event(|event| *event == Event::HandshakeConfirmed).is_some());
    pair.run_for(Duration::from_millis(500));
    (pair, client, server)
}

/// Gives a datagram to the end on `side`, as if it came from the other.
fn deliver(pair: &mut Pair, side: Side, mut datagram: Vec<u8>) {
    let path = match side {
        Side::Client => pair.path(),
        Side::Server => FourTuple { local: pair.path().remote, remote: pair.path().local },
    };
    let now = pair.now;
    pair.node(side).host.endpoint.receive(now, path, Ecn::NotEct, &mut datagram);
}

/// Lets the end on `side` say what it has to say, into the void; returns why the connection closed, if it did.
fn settle(pair: &mut Pair, side: Side) -> Option<ConnectionError> {
    let now = pair.now;
    let host = &mut pair.node(side).host;
    let mut datagrams = 0;
    host.transmit(now, &mut |batch| datagrams += batch.bytes.chunks(batch.segment_size).count());
    assert!(datagrams < 100, "{datagrams} datagrams in answer to one");
    let mut closed = None;
    while let Some((_, event)) = host.poll_event() {
        if let Event::Closed(error) = event {
            closed = Some(error);
        }
    }
    closed
}

fn assert_works(pair: &mut Pair, client: ConnectionHandle, server: ConnectionHandle) {
    let data = noise(10_000, 5);
    assert_eq!(pair.transfer(Side::Client, (client, server), Dir::Bidi, &data), data);
}

#[test]
fn noise_is_dropped() {
    let (mut pair, client, server) = established(1);
    let mut rng = Rng::from_seed([1; 32]);
    let before = [Side::Client, Side::Server].map(|side| pair.node(side).host.endpoint.memory_used());
    // The connection IDs in use, so that some of the noise gets as far as decryption.
    let ids: Vec<Vec<u8>> =
        pair.sent.iter().filter(|sent| sent.bytes[0] & 0x80 == 0).map(|sent| sent.bytes[1..9].to_vec()).collect();
    for round in 0..20_000 {
        let mut datagram = vec![0; (rng.u64() % 1500) as usize];
        rng.fill(&mut datagram);
        match round % 4 {
            // A long header of version 1, a connection ID that exists, or anything.
            0 if datagram.len() > 5 => {
                datagram[0] |= 0xc0;
                datagram[1..5].copy_from_slice(&[0, 0, 0, 1]);
            }
            1 if datagram.len() > 9 => {
                datagram[0] = datagram[0] & 0x7f | 0x40;
                datagram[1..9].copy_from_slice(&ids[round % ids.len()]);
            }
            2 if datagram.len() > 14 => {
                datagram[0] |= 0xc0;
                datagram[1..6].copy_from_slice(&[0, 0, 0, 1, 8]);
                datagram[6..14].copy_from_slice(&ids[round % ids.len()]);
            }
            _ => {}
        }
        for side in [Side::Client, Side::Server] {
            deliver(&mut pair, side, datagram.clone());
            assert_eq!(settle(&mut pair, side), None);
        }
    }
    // What looks like early data waits a second for its Initial.
    pair.run_for(Duration::from_secs(2));
    let after = [Side::Client, Side::Server].map(|side| pair.node(side).host.endpoint.memory_used());
    assert_eq!(before, after);
    assert_eq!(pair.server.host.endpoint.connection_count(), 1);
    assert_works(&mut pair, client, server);
}

#[test]
fn datagrams_of_any_size_are_taken() {
    let (mut pair, client, server) = established(1);
    let first = pair.sent[0].bytes.clone();
    for len in (0..64).chain([1199, 1200, 1201, 1500, 9000, LARGEST_DATAGRAM, 65_535, 1 << 20]) {
        let mut datagram = first.clone();
        datagram.resize(len, 0);
        for side in [Side::Client, Side::Server] {
            deliver(&mut pair, side, datagram.clone());
            assert_eq!(settle(&mut pair, side), None, "{len} bytes");
        }
    }
    assert_works(&mut pair, client, server);
}

/// A datagram of 65,527 bytes, every one of them in a frame, is read like any other.
#[test]
fn an_oversized_packet_under_the_right_keys_is_read() {
    let (mut pair, client, server) = established(1);
    let mut forge = Forge::one_rtt(Side::Client, SUITE, &pair.client, &pair.sent);
    let data = noise(60_000, 1);
    let stream = encode(&Frame::Stream { id: StreamId(0), offset: 0, fin: true, data: &data });
    deliver(&mut pair, Side::Server, forge.datagram(&stream));
    assert_eq!(settle(&mut pair, Side::Server), None);
    let mut read = Vec::new();
    assert!(pair.server.host.read(server, StreamId(0), &mut |bytes| read.extend_from_slice(bytes)));
    assert_eq!(read, data);
    assert!(pair.client.host.endpoint.connection(client).is_some());
}

/// The datagrams of a handshake in which nothing goes wrong, and of what follows it at once.
fn flights() -> Vec<Sent> {
    let mut pair = Pair::new(Conditions::PERFECT, 7).record();
    pair.connect();
    pair.run_until(|pair| pair.client.take_event(|event| *event == Event::HandshakeConfirmed).is_some());
    pair.sent
}

/// Repeats the handshake of [`flights`] with one datagram of `from` damaged: it completes, on one connection, and the
/// connection works.
fn survives(
    configs: &(ClientConfig, ServerConfig),
    from: Side,
    index: u64,
    damage: impl Fn(&mut Vec<u8>) + Send + 'static,
) {
    let (client, server) = configs.clone();
    let mut pair = Pair::with_configs(Conditions::PERFECT, 7, client, server);
    let link = match from {
        Side::Client => &mut pair.to_server,
        Side::Server => &mut pair.to_client,
    };
    link.tamper(move |sent, bytes| {
        if sent == index {
            damage(bytes);
        }
    });
    let (client, server) = pair.connect();
    assert_eq!(pair.server.host.endpoint.connection_count(), 1);
    assert_eq!(pair.transfer(Side::Client, (client, server), Dir::Uni, b"data"), b"data");
}

fn damaged_at_every_offset(from: Side) {
    let configs = (client_config(), server_config());
    let flights = flights();
    let datagrams = flights.iter().filter(|sent| sent.from == from).map(|sent| sent.bytes.len());
    for (index, len) in datagrams.enumerate() {
        for offset in 0..len {
            survives(&configs, from, index as u64, move |bytes| bytes[offset] ^= 1 << (offset % 8));
        }
        // Headers are read before they are authenticated: every bit of them.
        for bit in 0..8 * len.min(48) {
            survives(&configs, from, index as u64, move |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        }
    }
}

#[test]
fn a_client_flight_damaged_at_every_offset_is_repeated() {
    damaged_at_every_offset(Side::Client);
}

#[test]
fn a_server_flight_damaged_at_every_offset_is_repeated() {
    damaged_at_every_offset(Side::Server);
}

#[test]
fn a_truncated_flight_is_repeated() {
    let configs = (client_config(), server_config());
    let flights = flights();
    for from in [Side::Client, Side::Server] {
        let datagrams = flights.iter().filter(|sent| sent.from == from).map(|sent| sent.bytes.len());
        for (index, len) in datagrams.enumerate() {
            for cut in (0..len.min(64)).chain((64..len).step_by(11)) {
                survives(&configs, from, index as u64, move |bytes| bytes.truncate(cut));
            }
        }
    }
}

/// One of each frame, with values that need more than one byte.
fn frames() -> Vec<Vec<u8>> {
    let cid = ConnectionId::new(&[8; 8]).expect("eight bytes");
    let (id, limit) = (StreamId(0), 100_000);
    let mut frames: Vec<Vec<u8>> = [
        Frame::Padding { len: 3 },
        Frame::Ping,
        Frame::ResetStream { id, code: 700, final_size: 70_000 },
        Frame::StopSending { id, code: 700 },
        Frame::Crypto { offset: 70_000, data: &[1, 2, 3] },
        Frame::NewToken { token: &[7; 70] },
        Frame::Stream { id, offset: 0, fin: false, data: &[1; 70] },
        Frame::Stream { id, offset: 70_000, fin: true, data: &[1; 70] },
        Frame::MaxData { limit },
        Frame::MaxStreamData { id, limit },
        Frame::MaxStreams { dir: Dir::Bidi, limit },
        Frame::MaxStreams { dir: Dir::Uni, limit },
        Frame::DataBlocked { limit },
        Frame::StreamDataBlocked { id, limit },
        Frame::StreamsBlocked { dir: Dir::Bidi, limit },
        Frame::StreamsBlocked { dir: Dir::Uni, limit },
        Frame::NewConnectionId { sequence: 70, retire_prior_to: 69, cid, reset_token: [6; 16] },
        Frame::RetireConnectionId { sequence: 70 },
        Frame::PathChallenge([5; 8]),
        Frame::PathResponse([5; 8]),
        Frame::ConnectionClose(ConnectionClose::Transport {
            code: TransportErrorCode::NO_ERROR,
            frame_type: 6,
            reason: b"transport",
        }),
        Frame::ConnectionClose(ConnectionClose::Application { code: 700, reason: b"application" }),
        Frame::HandshakeDone,
        Frame::Datagram { data: &[4; 70] },
    ]
    .iter()
    .map(encode)
    .collect();
    for ecn in [None, Some(EcnCounts { ect0: 70, ect1: 700, ce: 70_000 })] {
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        assert!(encode_ack(&mut writer, 700, [600..=700, 100..=500, 0..=1].into_iter(), ecn, 64));
        frames.push(writer.written().to_vec());
    }
    frames
}

/// Gives a packet with this payload to the end on `side` of a fresh connection. Where the codec finds an error in it,
/// that error must be what closes the connection, unless a frame before the broken one had its own.
fn inject(seed: u64, side: Side, payload: &[u8]) {
    let (mut pair, ..) = established(seed);
    let mut forge = Forge::one_rtt(side.peer(), SUITE, &pair.client, &pair.sent);
    let before = pair.node(side).host.endpoint.memory_used();
    deliver(&mut pair, side, forge.datagram(payload));
    let closed = settle(&mut pair, side);
    let after = pair.node(side).host.endpoint.memory_used();
    assert!(after < before + (256 << 10), "{before} bytes became {after} by {payload:x?}");
    let mut frames = Frames::new(payload);
    match frames.next() {
        Some(Err(error)) => {
            let expected = Some(error.code);
            assert_eq!(closed.as_ref().and_then(own_code), expected, "{closed:?} by {payload:x?}");
        }
        None => assert_eq!(closed.as_ref().and_then(own_code), Some(TransportErrorCode::PROTOCOL_VIOLATION)),
        Some(Ok(_)) => {}
    }
}

/// The code with which this end's transport closed.
fn own_code(error: &ConnectionError) -> Option<TransportErrorCode> {
    match error {
        ConnectionError::Transport { code, by_peer: false, .. } => Some(*code),
        _ => None,
    }
}

#[test]
fn every_truncation_of_every_frame() {
    for frame in frames() {
        for len in 0..=frame.len() {
            for side in [Side::Client, Side::Server] {
                inject(2, side, &frame[..len]);
            }
        }
    }
}

#[test]
fn frames_with_one_changed_byte() {
    for frame in frames() {
        for at in 0..frame.len().min(24) {
            for value in [0x00, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
                let mut changed = frame.clone();
                changed[at] = value;
                inject(3, if at % 2 == 0 { Side::Client } else { Side::Server }, &changed);
            }
        }
    }
}

#[test]
fn broken_frames_in_initial_packets() {
    for frame in frames() {
        for len in 0..=frame.len() {
            let mut pair = Pair::new(Conditions::PERFECT, 4).record();
            let path = pair.path();
            pair.client.host.connect(pair.now, "localhost", path);
            pair.step();
            let mut forge = Forge::initial(&pair.sent[0].bytes);
            deliver(&mut pair, Side::Server, forge.datagram(&frame[..len]));
            settle(&mut pair, Side::Server);
            assert!(pair.server.host.endpoint.connection_count() <= 1);
            assert!(pair.server.host.endpoint.memory_used() < 256 << 10);
        }
    }
}

/// A peer that fills every window with holes holds no more memory than the windows.
#[test]
fn memory_stays_within_the_windows() {
    let (mut client, mut server) = configs();
    for transport in [&mut client.transport, &mut server.transport] {
        transport.initial_max_data = 1 << 20;
        transport.initial_max_stream_data_bidi_remote = 256 << 10;
    }
    let mut pair = Pair::with_configs(Conditions::PERFECT, 5, client, server).record();
    let (_, handle) = pair.connect();
    pair.run_for(Duration::from_millis(500));
    let mut forge = Forge::one_rtt(Side::Client, SUITE, &pair.client, &pair.sent);
    let before = pair.server.host.endpoint.memory_used();
    // Every second byte, in four streams up to their limits, and then beyond the connection's.
    for offset in (0..256 << 10).step_by(1000) {
        for id in [0, 4, 8, 12] {
            let frame = encode(&Frame::Stream { id: StreamId(id), offset, fin: false, data: &[1] });
            deliver(&mut pair, Side::Server, forge.datagram(&frame));
            assert_eq!(settle(&mut pair, Side::Server), None);
        }
    }
    let used = pair.server.host.endpoint.memory_used() - before;
    assert!(used < 3 << 20, "{used} bytes for a window of 1 MiB");
    let beyond = encode(&Frame::Stream { id: StreamId(16), offset: 100_000, fin: false, data: &[1] });
    deliver(&mut pair, Side::Server, forge.datagram(&beyond));
    let closed = settle(&mut pair, Side::Server);
    assert_eq!(closed.as_ref().and_then(own_code), Some(TransportErrorCode::FLOW_CONTROL_ERROR), "{closed:?}");
    assert!(pair.server.host.connection(handle).is_closed());
}

#[test]
fn crypto_data_far_ahead_is_refused() {
    let (mut pair, ..) = established(6);
    let mut forge = Forge::one_rtt(Side::Client, SUITE, &pair.client, &pair.sent);
    for step in 1..1000u64 {
        let frame = encode(&Frame::Crypto { offset: step * 997, data: &[0; 500] });
        deliver(&mut pair, Side::Server, forge.datagram(&frame));
        if let Some(closed) = settle(&mut pair, Side::Server) {
            assert_eq!(own_code(&closed), Some(TransportErrorCode::CRYPTO_BUFFER_EXCEEDED), "{closed:?}");
            assert!(pair.server.host.endpoint.memory_used() < 512 << 10);
            return;
        }
    }
    panic!("a megabyte of CRYPTO data with holes was taken");
}

/// A server with a small budget refuses what it cannot hold, keeps within it, and accepts again when there is room.
#[test]
fn the_memory_budget() {
    const BUDGET: usize = 1 << 20;
    let (client_config, server_config) = configs();
    let config = EndpointConfig { memory_budget: BUDGET, ..EndpointConfig::default() };
    let server = Native::new(config, client_config.clone(), Some(server_config), [1; 32]);
    let client = Native::new(EndpointConfig::default(), client_config, None, [2; 32]);
    let mut pair = Pair::of(client, server, Conditions::PERFECT, 8);
    let path = pair.path();
    let (mut handles, mut most) = (Vec::new(), 0);
    for _ in 0..200 {
        handles.push(pair.client.host.connect(pair.now, "localhost", path));
        pair.run_for(Duration::from_millis(1));
        most = most.max(pair.server.host.endpoint.memory_used());
    }
    for _ in 0..100 {
        pair.run_for(Duration::from_millis(100));
        most = most.max(pair.server.host.endpoint.memory_used());
    }
    assert!(most <= BUDGET, "{most} bytes");
    let refused = TransportErrorCode::CONNECTION_REFUSED;
    let mut refusals = 0;
    while let Some((handle, event)) = pair.client.take_event(|event| matches!(event, Event::Closed(_))) {
        assert!(
            matches!(&event, Event::Closed(ConnectionError::Transport { code, by_peer: true, .. }) if *code == refused),
            "{event:?}"
        );
        handles.retain(|kept| *kept != handle);
        refusals += 1;
    }
    assert!(refusals > 100, "{refusals} of 200 refused");
    assert!(handles.len() > 5, "{} connections in {BUDGET} bytes", handles.len());
    for handle in handles {
        assert!(pair.client.host.connection(handle).is_handshake_confirmed());
        pair.client.host.close(pair.now, handle, 0, b"");
    }
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.server.host.endpoint.connection_count(), 0);
    assert_eq!(pair.server.host.endpoint.memory_used(), 0);
    pair.server.events.clear();
    pair.client.events.clear();
    pair.connect();
}

#[test]
fn a_small_transmit_buffer_is_told() {
    let (mut pair, client, _) = established(9);
    let now = pair.now;
    let id = pair.client.host.open(client, Dir::Uni).expect("the server grants streams");
    assert_eq!(pair.client.host.write(client, id, b"data"), 4);
    for len in [0, 1, 100, 1199] {
        let sent = pair.client.host.endpoint.transmit(now, &mut vec![0; len]);
        assert_eq!(sent, Transmit::Idle(Idle::BufferTooSmall), "{len} bytes");
    }
    assert!(matches!(pair.client.host.endpoint.transmit(now, &mut [0; 1200]), Transmit::Send(_)));
}
