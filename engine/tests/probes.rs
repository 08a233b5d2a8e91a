//! Probe timeouts: what probes carry (RFC 9002 section 6.2.4), and how handshakes get through heavy loss.
mod pair;
mod plain;

use quillon::packet::{Frame, PacketType};
use quillon::{Dir, Event, TransportSettings};

use pair::{Pair, SECOND};

/// RFC 9002 section 6.2.4: probes carry data where there is any, so that one of them is enough. That holds for the
/// second one too, when the data of everything outstanding fits in the first.
#[test]
fn both_probes_carry_the_data_of_a_single_packet() {
    let mut pair = plain::pair(TransportSettings::default());
    let (handle, _) = plain::connected(&mut pair, TransportSettings::default());
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    let before = pair.client.sent.len();
    let connection = pair.client.connection(handle);
    let id = connection.open(Dir::Uni).unwrap();
    connection.write(id, b"all in one packet").unwrap();
    pair.run_for(SECOND / 4);
    let sent = plain::packets(&pair.client.sent[before..]);
    assert!(sent.len() >= 5, "the data, then two probes each time: {}", sent.len());
    for packet in &sent {
        let carries = |frame: &Frame<'_>| matches!(frame, Frame::Stream { data: b"all in one packet", .. });
        assert!(packet.frames.iter().any(carries), "{:?}", packet.frames);
    }
}

/// The same for the first flight: both probes carry the ClientHello.
#[test]
fn both_probes_of_a_client_carry_its_hello() {
    let mut pair = plain::pair(TransportSettings::default());
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect_with(&plain::client(TransportSettings::default()), "localhost");
    pair.run_for(2 * SECOND);
    let sent = plain::packets(&pair.client.sent);
    assert_eq!(sent.len(), 3);
    for packet in &sent {
        assert_eq!(packet.ty, PacketType::Initial);
        assert!(
            packet.frames.iter().any(|frame| matches!(frame, Frame::Crypto { offset: 0, .. })),
            "{:?}",
            packet.frames
        );
    }
}

/// RFC 9002 section 6.2.4: a probe for one packet number space takes the data of the others along.
#[test]
fn a_server_probes_with_initial_and_handshake_data_together() {
    let mut pair = plain::pair(TransportSettings::default());
    pair.server.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect_with(&plain::client(TransportSettings::default()), "localhost");
    pair.run_for(SECOND / 2);
    let flight = pair.server.sent.len();
    // The client asks again, which gives the server the right to send.
    pair.run_for(3 * SECOND);
    let probes = plain::packets(&pair.server.sent[flight..]);
    let carries = |ty: PacketType| {
        probes
            .iter()
            .any(|packet| packet.ty == ty && packet.frames.iter().any(|frame| matches!(frame, Frame::Crypto { .. })))
    };
    assert!(carries(PacketType::Initial) && carries(PacketType::Handshake));
}

/// How long a handshake takes at a quarter of all datagrams lost each way.
fn lossy_handshake(seed: u64) -> u64 {
    let settings = TransportSettings { handshake_timeout: None, ..TransportSettings::default() };
    let mut pair = Pair::new(quillon::EndpointConfig::default(), settings.clone());
    for (end, salt) in [(&mut pair.client, 1), (&mut pair.server, 2)] {
        let mut state = seed.wrapping_mul(2).wrapping_add(salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        end.outbound_filter = Some(Box::new(move |_, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 4 != 0
        }));
    }
    let start = pair.now;
    pair.connect_with(&pair::client_config(settings), "localhost");
    while pair.client.saw(&Event::HandshakeConfirmed).is_none() {
        assert!(pair.now - start < 60 * SECOND, "seed {seed}: {:?}", pair.client.events);
        pair.run_for(SECOND / 20);
    }
    pair.now - start
}

#[test]
fn handshakes_get_through_a_quarter_of_all_datagrams_lost() {
    let mut times: Vec<u64> = (0..40).map(lossy_handshake).collect();
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    assert!(median <= 2 * SECOND && worst <= 15 * SECOND, "{median} and {worst} ns");
}
