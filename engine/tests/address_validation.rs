//! What is sent to an address that is not validated (RFC 9000 section 8.1).

mod pair;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::packet::{self, LongHeader, PacketType};
use quillon::wire::{ConnectionId, Side, Version, Writer};
use quillon::{Ecn, EndpointConfig, Event, Idle, RateLimit, ReplyLimits, Transmit, crypto};

/// F10: the client's first flight, and the server's answers until it goes quiet, whatever its timers say.
#[test]
fn f10_a_server_sends_no_more_than_three_times_what_it_received() {
    let mut pair = Pair::default();
    pair.connect();
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(first) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!() };
    assert_eq!(first.len, 1200);
    let path = pair.server.path();
    pair.server.endpoint.receive(pair.now, path, Ecn::NotEct, &mut buffer[..first.len]);
    let (mut sent, mut now) = (0, pair.now);
    for _ in 0..100 {
        while let Transmit::Send(batch) = pair.server.endpoint.transmit(now, &mut buffer) {
            sent += batch.len;
        }
        let Some(next) = pair.server.endpoint.timeout() else { break };
        now = next.min(pair.now + 9 * SECOND);
        pair.server.endpoint.handle_timeout(now);
    }
    assert!(sent >= 1200, "it answers");
    assert!(sent <= 3 * first.len, "{sent} bytes for {}", first.len);
}

/// F10: at the limit the server says so and sets no timer to send again (RFC 9002 section 6.2.2.1); the client's next
/// datagram, whatever is in it, lets it go on.
#[test]
fn at_the_limit_a_server_waits_for_the_client() {
    let mut pair = Pair::default();
    pair.connect();
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(first) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!() };
    let first = buffer[..first.len].to_vec();
    pair.server.inject(pair.now, first.clone());
    let send_all = |pair: &mut Pair| {
        let mut buffer = vec![0; 65_535];
        let mut sent = 0;
        loop {
            match pair.server.endpoint.transmit(pair.now, &mut buffer) {
                Transmit::Send(batch) => sent += batch.len,
                Transmit::Idle(reason) => return (sent, reason),
            }
        }
    };
    let started = pair.now;
    let handshake_timeout = started + 10 * SECOND;
    let (mut sent, mut reason) = send_all(&mut pair);
    while let Some(next) = pair.server.endpoint.timeout().filter(|next| *next < handshake_timeout) {
        pair.now = next;
        pair.server.endpoint.handle_timeout(next);
        let (more, why) = send_all(&mut pair);
        (sent, reason) = (sent + more, why);
    }
    assert!(sent <= 3 * first.len() && sent > 3 * first.len() - 1200, "{sent}");
    assert!(matches!(reason, Idle::Amplification | Idle::Nothing), "{reason:?}");
    assert_eq!(pair.server.endpoint.timeout(), Some(handshake_timeout), "nothing but the end of patience");
    pair.server.inject(pair.now, first);
    assert!(pair.server.endpoint.timeout().is_some_and(|next| next < handshake_timeout) || send_all(&mut pair).0 > 0);
}

/// F9: RFC 9000 section 14.1.
#[test]
fn f9_an_initial_in_a_short_datagram_is_ignored() {
    let mut pair = Pair::default();
    pair.connect();
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(first) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!() };
    let path = pair.server.path();
    pair.server.endpoint.receive(pair.now, path, Ecn::NotEct, &mut buffer[..first.len - 1]);
    assert_eq!(pair.server.endpoint.connection_count(), 0);
    assert!(matches!(pair.server.endpoint.transmit(pair.now, &mut buffer), Transmit::Idle(_)));
}

/// F6: nothing is kept, and nothing sent.
#[test]
fn f6_a_first_packet_that_is_not_authentic_leaves_nothing_behind() {
    let mut pair = Pair::default();
    pair.client.outbound_filter = Some(Box::new(|_, datagram| {
        let last = datagram.len() - 1;
        datagram[last] ^= 1;
        true
    }));
    pair.connect();
    pair.run_for(100 * MILLISECOND);
    assert_eq!(pair.server.endpoint.connection_count(), 0);
    assert!(pair.server.events.is_empty() && pair.server.sent.is_empty());
}

#[test]
fn a_full_endpoint_refuses() {
    for config in [
        EndpointConfig { max_connections: 1, ..EndpointConfig::default() },
        EndpointConfig { memory_budget: 50_000, ..EndpointConfig::default() },
    ] {
        let mut pair = Pair::new(config, Default::default());
        pair.connected();
        pair.connect();
        pair.settle();
        let Some(quillon::ConnectionError::Transport { code, by_peer: true, .. }) = pair.client.closed() else {
            panic!("{:?}", pair.client.events)
        };
        assert_eq!(code, quillon::error::TransportErrorCode::CONNECTION_REFUSED);
        assert_eq!(pair.server.endpoint.connection_count(), 1);
        // What is there goes on.
        assert!(pair.server.saw(&Event::HandshakeComplete).is_none());
    }
}

#[test]
fn without_a_server_configuration_nothing_is_answered() {
    let mut pair = Pair::default();
    pair.server.endpoint.set_server(None).unwrap();
    pair.connect();
    pair.settle();
    assert!(pair.server.sent.is_empty());
}

/// An Initial of version 1 that is authentic, with these lengths of connection IDs, and this token.
fn initial(dcid: &[u8], token: &[u8], len: usize) -> Vec<u8> {
    let dcid = ConnectionId::new(dcid).unwrap();
    let provider = crypto::ring::provider();
    let keys = crypto::initial_keys(provider.as_ref(), Version::V1, &dcid, Side::Client).local;
    let mut datagram = vec![0; len];
    let mut writer = Writer::new(&mut datagram);
    let scid = ConnectionId::new(&[7; 8]).unwrap();
    let header = LongHeader { ty: PacketType::Initial, version: Version::V1, dcid, scid, token };
    let offsets = header.encode(&mut writer, 0, 1);
    // PING, and PADDING up to the tag.
    writer.u8(1);
    packet::set_length(&mut datagram, offsets.length, len - offsets.pn);
    keys.packet.seal(0, &mut datagram, offsets.pn + 1);
    let sample = packet::sample(&datagram, offsets.pn).unwrap();
    packet::mask(&mut datagram, offsets.pn, 1, keys.header.mask(&sample));
    datagram
}

/// F5: only an Initial of at least 1200 bytes whose connection ID has at least 8 opens a connection. A shorter one
/// needs a Retry token, which made it; the reference takes any token.
#[test]
fn what_may_open_a_connection() {
    let opens = |datagram: Vec<u8>| {
        let mut pair = Pair::default();
        pair.server.inject(pair.now, datagram);
        pair.server.endpoint.connection_count() == 1
    };
    assert!(opens(initial(&[1; 8], b"", 1200)));
    assert!(opens(initial(&[1; 20], b"", 1200)));
    assert!(opens(initial(&[1; 8], b"token of somebody", 1300)));
    assert!(!opens(initial(&[1; 8], b"", 1199)));
    assert!(!opens(initial(&[1; 7], b"", 1200)));
    assert!(!opens(initial(&[1; 7], b"token of somebody", 1200)));
    assert!(!opens(initial(b"", b"", 1200)));
    for first_byte in [0xd0, 0xe0, 0xf0, 0x40, 0x80, 0x00] {
        let mut other = initial(&[1; 8], b"", 1200);
        other[0] = first_byte;
        assert!(!opens(other), "{first_byte:#x}");
    }
    for version in [0, 2, 0x1a2a_3a4a, u32::MAX] {
        let mut other = initial(&[1; 8], b"", 1200);
        other[1..5].copy_from_slice(&version.to_be_bytes());
        assert!(!opens(other), "{version:#x}");
    }
    assert!(!opens(Vec::new()));
}

/// F12: during the handshake packets from another address are ignored; the connection is for the first.
#[test]
fn packets_from_another_address_during_the_handshake_are_ignored() {
    let mut pair = Pair::default();
    let datagram = initial(&[1; 8], b"", 1200);
    pair.server.inject(pair.now, datagram.clone());
    let (server, _) = pair.server.endpoint.poll_event().unwrap();
    let received = pair.server.connection(server).stats().packets_received;
    let mut elsewhere = pair.server.path();
    elsewhere.remote.set_port(1);
    pair.server.endpoint.receive(pair.now, elsewhere, Ecn::NotEct, &mut datagram.clone());
    assert_eq!(pair.server.connection(server).stats().packets_received, received);
    assert_eq!(pair.server.endpoint.connection_count(), 1);
}

#[test]
fn version_negotiation_is_limited() {
    let version_negotiation = RateLimit { per_second: 5, burst: 7 };
    let reply_limits = ReplyLimits { version_negotiation, ..ReplyLimits::default() };
    let mut pair = Pair::new(EndpointConfig { reply_limits, ..EndpointConfig::default() }, Default::default());
    let mut unknown = initial(&[1; 8], b"", 1200);
    unknown[1..5].copy_from_slice(&0x1a2a_3a4a_u32.to_be_bytes());
    for answers in [7, 5, 5] {
        pair.server.sent.clear();
        for _ in 0..50 {
            pair.server.inject(pair.now, unknown.clone());
        }
        pair.run_for(SECOND);
        assert_eq!(pair.server.sent.len(), answers);
    }
}

/// F2, F4: the first look reads connection IDs of up to 255 bytes in versions that nobody knows, and in a short header
/// as many as the endpoint chose.
#[test]
fn the_first_look_reads_what_all_versions_have_in_common() {
    let mut datagram = vec![0x80, 0xfa, 0xce, 0xb0, 0x0c, 255];
    datagram.extend([1; 255]);
    datagram.push(21);
    datagram.extend([2; 21]);
    let look = packet::first_look(&datagram, 8).unwrap();
    assert_eq!(look.version, Some(Version(0xface_b00c)));
    assert_eq!((look.dcid, look.scid), (&[1; 255][..], &[2; 21][..]));
    assert_eq!(packet::first_look(&datagram[..datagram.len() - 1], 8), None);
    let short = [0x40, 1, 2, 3, 4, 5, 6];
    let look = packet::first_look(&short, 5).unwrap();
    assert_eq!((look.version, look.dcid, look.scid), (None, &short[1..6], &[][..]));
    // Version 1 has no such long connection IDs: the packet is dropped, and not answered.
    datagram[1..5].copy_from_slice(&1u32.to_be_bytes());
    datagram.resize(1200, 0);
    let mut pair = Pair::default();
    pair.server.inject(pair.now, datagram);
    pair.settle();
    assert!(pair.server.sent.is_empty());
}
