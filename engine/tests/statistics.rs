//! Statistics: what a connection counts, against what was on the wire.

mod pair;
mod plain;

use pair::{MILLISECOND, SECOND};
use plain::{Packet, packets};
use quillon::error::TransportErrorCode;
use quillon::packet::{Frame, frame_type};
use quillon::{ConnectionError, Dir, Event, Stats, TransportSettings};

fn count(packets: &[Packet], f: impl Fn(&Frame<'_>) -> bool) -> u64 {
    packets.iter().flat_map(|packet| &packet.frames).filter(|frame| f(frame)).count() as u64
}

#[test]
fn counts_are_those_of_the_wire() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, server) = plain::connected(&mut pair, TransportSettings::default());
    for dir in [Dir::Bidi, Dir::Uni, Dir::Uni] {
        let id = pair.client.connection(client).open(dir).unwrap();
        pair.client.connection(client).write(id, &[3; 10_000]).unwrap();
        pair.client.connection(client).finish(id).unwrap();
    }
    let id = pair.server.connection(server).open(Dir::Uni).unwrap();
    pair.server.connection(server).write(id, b"hello").unwrap();
    pair.client.connection(client).send_datagram(b"one".as_slice().into()).unwrap();
    pair.settle();
    let stats = [pair.client.connection(client).stats(), pair.server.connection(server).stats()];
    let [client, server] = stats;
    for (stats, peer, sent) in [(client, server, &pair.client.sent), (server, client, &pair.server.sent)] {
        let wire = packets(sent);
        let bytes: usize = sent.iter().map(Vec::len).sum();
        assert_eq!((stats.datagrams_sent, stats.bytes_sent), (sent.len() as u64, bytes as u64));
        assert_eq!((peer.datagrams_received, peer.bytes_received), (sent.len() as u64, bytes as u64));
        assert_eq!((stats.packets_sent, peer.packets_received), (wire.len() as u64, wire.len() as u64));
        let acks = count(&wire, |frame| matches!(frame, Frame::Ack(_)));
        assert_eq!((stats.acks_sent, peer.acks_received), (acks, acks));
        let datagrams = count(&wire, |frame| matches!(frame, Frame::Datagram { .. }));
        assert_eq!((stats.datagram_frames_sent, peer.datagram_frames_received), (datagrams, datagrams));
        assert!(stats.packets_acked > 0 && stats.packets_acked <= stats.packets_sent);
        assert!(stats.bytes_acked <= stats.bytes_sent);
        assert_eq!((stats.packets_lost, stats.bytes_lost, stats.packets_dropped), (0, 0, 0));
        assert_eq!((stats.congestion_events, stats.probe_timeouts, stats.key_updates), (0, 0, 0));
        assert_eq!(stats.streams_opened, peer.streams_accepted);
        assert_eq!(stats.min_rtt, 20 * MILLISECOND);
        assert!(stats.smoothed_rtt >= stats.min_rtt && stats.handshake_duration.is_some());
    }
    assert_eq!((client.streams_opened, server.streams_opened), (3, 1));
    assert_eq!(client.datagram_frames_sent, 1);
}

#[test]
fn losses_are_counted_with_what_they_did_to_the_window() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, TransportSettings::default());
    let window = pair.client.connection(client).stats().congestion_window;
    let mut number = 0;
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        number += 1;
        number != 3
    }));
    let sent = pair.client.sent.len();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, &[1; 30_000]).unwrap();
    pair.settle();
    let stats = pair.client.connection(client).stats();
    assert_eq!((stats.packets_lost, stats.bytes_lost), (1, pair.client.sent[sent + 2].len() as u64));
    assert_eq!((stats.congestion_events, stats.persistent_congestion_events), (1, 0));
    assert!(stats.ssthresh.is_some_and(|threshold| threshold >= window / 2));
}

#[test]
fn probes_into_silence_are_counted() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, TransportSettings::default());
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"lost").unwrap();
    pair.run_for(SECOND);
    let stats = pair.client.connection(client).stats();
    assert!(stats.probe_timeouts >= 3, "{}", stats.probe_timeouts);
    assert!(stats.bytes_in_flight > 0);
}

#[test]
fn key_updates_are_counted_at_both_ends() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, server) = plain::connected(&mut pair, TransportSettings::default());
    let now = pair.now;
    pair.client.connection(client).initiate_key_update(now).unwrap();
    pair.settle();
    assert_eq!(pair.client.connection(client).stats().key_updates, 1);
    assert_eq!(pair.server.connection(server).stats().key_updates, 1);
}

#[test]
fn the_array_holds_every_field_in_order() {
    let stats = Stats { datagrams_sent: 1, max_udp_payload_size: 18, datagram_frames_received: 30, ..Stats::default() };
    let array = stats.to_array();
    assert_eq!((array[0], array[17], array[29]), (1, 18, 30));
    // What is absent is told apart from zero.
    assert_eq!((array[15], array[16]), (u64::MAX, u64::MAX));
}

/// The code and the type of the frame at fault reach both callers, as they are in CONNECTION_CLOSE (RFC 9000 section
/// 19.19).
#[test]
fn errors_name_the_frame_at_fault() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, TransportSettings::default());
    // The packet with the client's data becomes a MAX_STREAMS beyond what there can be: 2^60 + 1.
    pair.client.outbound_filter = Some(Box::new(|_, datagram| {
        let start = 9 + usize::from(datagram[0] & 3) + 1;
        let end = datagram.len() - 16;
        datagram[start..end].fill(0);
        datagram[start..start + 9].copy_from_slice(&[0x12, 0xd0, 0, 0, 0, 0, 0, 0, 1]);
        true
    }));
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, &[1; 500]).unwrap();
    pair.run_for(SECOND);
    for (end, expected) in [(&mut pair.server, false), (&mut pair.client, true)] {
        let Some(ConnectionError::Transport { code, frame_type, by_peer, .. }) = end.closed() else {
            panic!("{:?}", end.events)
        };
        assert_eq!((code, frame_type), (TransportErrorCode::FRAME_ENCODING_ERROR, frame_type::MAX_STREAMS_BIDI));
        assert_eq!(by_peer, expected);
    }
}

/// The key log holds every secret of a handshake, so that a capture can be decrypted.
#[test]
fn the_key_log_is_complete() {
    use quillon::tls::rustls::RustlsClient;
    let tls = RustlsClient::builder()
        .alpn([b"test".as_slice()])
        .roots([include_bytes!("data/ca.der").as_slice()])
        .key_log(true)
        .build()
        .unwrap();
    let mut pair = pair::Pair::default();
    let config = quillon::ClientConfig::new(std::sync::Arc::new(tls));
    pair.connect_with(&config, "localhost");
    pair.settle();
    let lines = pair.client.events.iter().filter_map(|(_, event)| match event {
        Event::KeyLog(line) => Some(line.as_str()),
        _ => None,
    });
    let mut labels = Vec::new();
    for line in lines {
        let words: Vec<_> = line.split(' ').collect();
        let [label, random, secret] = words[..] else { panic!("three words: {line}") };
        assert!(random.len() == 64 && secret.len() >= 64);
        assert!([random, secret].iter().all(|hex| hex.chars().all(|c| c.is_ascii_hexdigit())));
        labels.push(label);
    }
    labels.sort_unstable();
    let expected = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_TRAFFIC_SECRET_0",
    ];
    assert_eq!(labels, expected);
}
