//! Large ClientHellos: over several Initial packets, in any order, cut into pieces as browsers do.

mod forge;
mod pair;

use std::sync::Arc;

use forge::{Forge, encode};
use pair::{MILLISECOND, Pair, client_config, server_config};
use quillon::error::TransportErrorCode;
use quillon::packet::{self, Frame, Frames};
use quillon::rng::Rng;
use quillon::tls::rustls::RustlsClient;
use quillon::wire::Side;
use quillon::{
    ClientConfig, ConnectionError, ConnectionHandle, Ecn, EndpointConfig, Event, ServerConfig, Transmit,
    TransportSettings, crypto,
};

/// A configuration whose ClientHello has about `len` bytes.
fn large(len: usize) -> ClientConfig {
    let protocols = (0..len / 101).map(|n| [b'a' + (n % 26) as u8; 100].to_vec()).chain([b"test".to_vec()]);
    let tls =
        RustlsClient::builder().alpn(protocols).roots([include_bytes!("data/ca.der").as_slice()]).build().unwrap();
    ClientConfig { tls: Arc::new(tls), ..client_config(TransportSettings::default()) }
}

/// The client's first flight, not delivered: its first datagram, its ClientHello, and how many packets it took.
fn first_flight(pair: &mut Pair) -> (Vec<u8>, Vec<u8>, u64) {
    let (mut first, mut hello, mut packets) = (Vec::new(), Vec::new(), 0);
    let mut buffer = vec![0; 65_535];
    while let Transmit::Send(batch) = pair.client.endpoint.transmit(pair.now, &mut buffer) {
        let datagram = &mut buffer[..batch.len];
        if first.is_empty() {
            first = datagram.to_vec();
        }
        let layout = packet::parse_greased(datagram, 8).unwrap();
        let keys = crypto::initial_keys(&*crypto::ring::provider(), layout.version, &layout.dcid, Side::Server).remote;
        let sample = packet::sample(datagram, layout.pn_offset).unwrap();
        let unmasked = packet::unmask(datagram, layout.pn_offset, keys.header.mask(&sample)).unwrap();
        let (header, payload) = datagram[..layout.len].split_at_mut(unmasked.header_len(layout.pn_offset));
        let payload = keys.packet.open(unmasked.truncated_pn, header, payload).unwrap();
        for frame in Frames::new(payload) {
            if let (_, Frame::Crypto { offset, data }) = frame.unwrap() {
                assert_eq!(offset, hello.len() as u64);
                hello.extend_from_slice(data);
            }
        }
        packets += 1;
    }
    (first, hello, packets)
}

/// Cuts `hello` into `pieces`, shuffles them with `seed`, and puts them into `packets` Initial packets, between PING and
/// PADDING.
fn shuffled(first: &[u8], hello: &[u8], pieces: usize, packets: u64, seed: u8) -> Vec<Vec<u8>> {
    let mut rng = Rng::from_seed([seed; 32]);
    let mut cuts: Vec<usize> = (1..pieces).map(|_| 1 + rng.u64() as usize % (hello.len() - 1)).collect();
    cuts.extend([0, hello.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let mut frames: Vec<Vec<u8>> = cuts
        .windows(2)
        .map(|cut| encode(&Frame::Crypto { offset: cut[0] as u64, data: &hello[cut[0]..cut[1]] }))
        .collect();
    for at in (1..frames.len()).rev() {
        frames.swap(at, rng.u64() as usize % (at + 1));
    }
    let mut forge = Forge::initial(first);
    forge.packet_number = 0;
    let mut datagrams = Vec::new();
    let share = frames.len().div_ceil(packets as usize);
    for frames in frames.chunks(share) {
        let mut payload = Vec::new();
        for (nth, frame) in frames.iter().enumerate() {
            payload.extend_from_slice(frame);
            match nth % 3 {
                0 => payload.extend(encode(&Frame::Ping)),
                1 => payload.resize(payload.len() + 1 + nth, 0),
                _ => {}
            }
        }
        payload.resize(payload.len().max(1150), 0);
        datagrams.push(forge.datagram(&payload));
    }
    if rng.u64().is_multiple_of(2) {
        datagrams.reverse();
    }
    datagrams
}

fn deliver(pair: &mut Pair, datagrams: Vec<Vec<u8>>) {
    for mut datagram in datagrams {
        let path = pair.server.path();
        pair.server.endpoint.receive(pair.now, path, Ecn::NotEct, &mut datagram);
    }
}

fn confirmed(pair: &mut Pair, client: ConnectionHandle) -> bool {
    pair.settle();
    pair.client.connection(client).is_handshake_confirmed() && pair.server.saw(&Event::HandshakeComplete).is_some()
}

#[test]
fn a_browsers_client_hello_in_twenty_shuffled_pieces() {
    for seed in 0..20 {
        let mut pair = Pair::default();
        let client = pair.connect_with(&large(1_300), "localhost");
        let (first, hello, packets) = first_flight(&mut pair);
        assert!((1_400..1_600).contains(&hello.len()), "{} bytes", hello.len());
        assert_eq!(packets, 2);
        deliver(&mut pair, shuffled(&first, &hello, 20, 2, seed));
        assert!(confirmed(&mut pair, client), "seed {seed}: {:?}", pair.server.events);
    }
}

#[test]
fn pieces_of_one_byte_and_overlapping_ones() {
    let mut pair = Pair::default();
    let client = pair.connect();
    let (first, hello, _) = first_flight(&mut pair);
    let mut payload = Vec::new();
    for offset in (0..hello.len()).rev() {
        // Each piece overlaps the ones after it.
        let end = hello.len().min(offset + 1 + offset % 3);
        payload.extend(encode(&Frame::Crypto { offset: offset as u64, data: &hello[offset..end] }));
    }
    let mut forge = Forge::initial(&first);
    forge.packet_number = 0;
    // One packet of more bytes than a path carries: what arrives is taken.
    payload.resize(payload.len().max(1150), 0);
    let datagram = forge.datagram(&payload);
    deliver(&mut pair, vec![datagram]);
    assert!(confirmed(&mut pair, client), "{:?}", pair.server.events);
}

#[test]
fn our_own_large_client_hello_arrives_whatever_is_lost() {
    for len in [1_500, 4_000, 6_000] {
        for lost in 0..5 {
            let mut pair = Pair::default();
            let mut nth = 0;
            pair.client.outbound_filter = Some(Box::new(move |_, _| {
                nth += 1;
                nth != lost
            }));
            let client = pair.connect_with(&large(len), "localhost");
            pair.run_for(5 * pair::SECOND);
            assert!(pair.client.connection(client).is_handshake_confirmed(), "{len} {lost}");
            assert!(pair.client.sent.iter().take(len / 1_200).all(|datagram| datagram.len() >= 1200));
        }
    }
}

#[test]
fn the_first_datagram_may_be_any_of_the_flight() {
    let mut pair = Pair::default();
    let client = pair.connect_with(&large(4_000), "localhost");
    let mut held: Vec<Vec<u8>> = Vec::new();
    let mut buffer = vec![0; 65_535];
    while let Transmit::Send(batch) = pair.client.endpoint.transmit(pair.now, &mut buffer) {
        held.push(buffer[..batch.len].to_vec());
    }
    assert!(held.len() >= 4);
    held.reverse();
    deliver(&mut pair, held);
    assert_eq!(pair.server.endpoint.connection_count(), 1);
    assert!(confirmed(&mut pair, client));
}

#[test]
fn a_client_hello_that_never_ends_is_refused() {
    for (header, code) in [
        // 16 KiB and more: longer than any that is read.
        ([1, 0, 0x40, 0], TransportErrorCode::crypto(50)),
        // Not a ClientHello.
        ([2, 0, 0, 4], TransportErrorCode::crypto(10)),
    ] {
        let mut pair = Pair::default();
        pair.connect();
        let (first, _, _) = first_flight(&mut pair);
        let mut payload = encode(&Frame::Crypto { offset: 0, data: &header });
        payload.resize(1150, 0);
        let datagram = Forge::initial(&first).datagram(&payload);
        deliver(&mut pair, vec![datagram]);
        pair.run_for(20 * MILLISECOND);
        match pair.server.closed() {
            Some(ConnectionError::Transport { code: closed, by_peer: false, .. }) => assert_eq!(closed, code),
            other => panic!("{other:?}"),
        }
    }
}

/// What waits for a decision, or for its missing piece, is bounded: 64 KiB ahead, and the right error beyond.
#[test]
fn data_far_ahead_of_the_client_hello_is_refused() {
    for ask in [false, true] {
        let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
        let config = Arc::unwrap_or_clone(server_config(TransportSettings::default()));
        pair.server.endpoint.set_server(Some(Arc::new(ServerConfig { ask_on_client_hello: ask, ..config }))).unwrap();
        pair.connect();
        let (first, hello, _) = first_flight(&mut pair);
        let mut forge = Forge::initial(&first);
        if ask {
            let mut payload = encode(&Frame::Crypto { offset: 0, data: &hello });
            payload.resize(1150, 0);
            let datagram = forge.datagram(&payload);
            deliver(&mut pair, vec![datagram]);
            pair.run_for(MILLISECOND);
            assert!(pair.server.saw(&Event::ClientHello).is_some());
        }
        for offset in (0..=65u64).map(|n| 400 + n * 1_000) {
            let mut payload = encode(&Frame::Crypto { offset, data: &[0; 1_000] });
            payload.resize(1150, 0);
            let datagram = forge.datagram(&payload);
            deliver(&mut pair, vec![datagram]);
        }
        pair.run_for(MILLISECOND);
        match pair.server.closed() {
            Some(ConnectionError::Transport { code, by_peer: false, .. }) => {
                assert_eq!(code, TransportErrorCode::CRYPTO_BUFFER_EXCEEDED);
            }
            other => panic!("{other:?}"),
        }
    }
}
