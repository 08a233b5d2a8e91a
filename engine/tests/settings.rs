//! Transport settings: their ranges, their defaults, and what each does on the wire.

mod pair;
mod plain;

use std::sync::Arc;
use std::time::Duration;

use pair::{MILLISECOND, Pair, client_config, server_config};
use plain::{Packet, client_parameters, packets};
use quillon::diagnostics::{QlogSettings, TextLogSettings};
use quillon::packet::{Frame, PacketType};
use quillon::transport_parameters::TransportParameters;
use quillon::{
    ConnectError, Dir, EndpointConfig, FloodSettings, SettingsError, TransportSettings, TransportSettingsBuilder,
};

/// What one setting outside its range is called.
fn refused(change: impl FnOnce(TransportSettingsBuilder) -> TransportSettingsBuilder) -> &'static str {
    let SettingsError { setting, range } =
        change(TransportSettings::builder()).build().expect_err("the value is outside its range");
    assert!(!range.is_empty());
    setting
}

fn accepted(change: impl FnOnce(TransportSettingsBuilder) -> TransportSettingsBuilder) {
    change(TransportSettings::builder()).build().expect("the value is within its range");
}

#[test]
fn the_defaults_are_within_their_ranges() {
    assert_eq!(TransportSettings::builder().build(), Ok(TransportSettings::default()));
    TransportSettings::default().validate().unwrap();
}

#[test]
fn a_value_outside_its_range_is_refused_by_name_and_the_last_one_inside_accepted() {
    const NANOSECOND: Duration = Duration::from_nanos(1);
    let (varint, streams) = ((1 << 62) - 1, 1 << 60);
    assert_eq!(refused(|b| b.max_idle_timeout(Duration::MAX)), "max_idle_timeout");
    accepted(|b| b.max_idle_timeout(Duration::ZERO));
    assert_eq!(refused(|b| b.initial_max_data(varint + 1)), "initial_max_data");
    accepted(|b| b.initial_max_data(varint).initial_max_stream_data_uni(varint));
    assert_eq!(refused(|b| b.initial_max_stream_data_bidi_local(varint + 1)), "initial_max_stream_data_bidi_local");
    assert_eq!(refused(|b| b.initial_max_stream_data_bidi_remote(varint + 1)), "initial_max_stream_data_bidi_remote");
    assert_eq!(refused(|b| b.initial_max_stream_data_uni(varint + 1)), "initial_max_stream_data_uni");
    assert_eq!(refused(|b| b.initial_max_streams_bidi(streams + 1)), "initial_max_streams_bidi");
    assert_eq!(refused(|b| b.initial_max_streams_uni(streams + 1)), "initial_max_streams_uni");
    accepted(|b| b.initial_max_streams_bidi(streams).initial_max_streams_uni(streams));
    assert_eq!(refused(|b| b.send_buffer(0)), "send_buffer");
    for outside in [1199, 65_528] {
        assert_eq!(refused(|b| b.max_udp_payload_size(outside)), "max_udp_payload_size");
        assert_eq!(refused(|b| b.max_received_udp_payload_size(outside)), "max_received_udp_payload_size");
    }
    for inside in [1200, 65_527] {
        accepted(|b| b.max_udp_payload_size(inside).max_received_udp_payload_size(inside));
    }
    assert_eq!(refused(|b| b.initial_rtt(Duration::ZERO)), "initial_rtt");
    assert_eq!(refused(|b| b.initial_rtt(Duration::from_secs(60) + NANOSECOND)), "initial_rtt");
    accepted(|b| b.initial_rtt(Duration::from_micros(1)));
    assert_eq!(refused(|b| b.max_ack_delay(Duration::from_millis(16_383) + NANOSECOND)), "max_ack_delay");
    accepted(|b| b.max_ack_delay(Duration::from_millis(16_383)));
    assert_eq!(refused(|b| b.ack_delay_exponent(21)), "ack_delay_exponent");
    accepted(|b| b.ack_delay_exponent(20));
    assert_eq!(refused(|b| b.ack_eliciting_threshold(0)), "ack_eliciting_threshold");
    for outside in [0, 1, 9] {
        assert_eq!(refused(|b| b.active_connection_id_limit(outside)), "active_connection_id_limit");
    }
    accepted(|b| b.active_connection_id_limit(8));
    assert_eq!(refused(|b| b.initial_packet_number(1 << 31)), "initial_packet_number");
    accepted(|b| b.initial_packet_number((1 << 31) - 1));
    for buffer in [(4 << 10) - 1, (64 << 20) + 1] {
        let (qlog, text) = (QlogSettings::default(), TextLogSettings::default());
        assert_eq!(refused(|b| b.qlog(Some(QlogSettings { buffer, ..qlog }))), "qlog.buffer");
        assert_eq!(refused(|b| b.text_log(Some(TextLogSettings { buffer, ..text }))), "text_log.buffer");
    }
    assert_eq!(refused(|b| b.keep_alive(Some(Duration::ZERO))), "keep_alive");
    assert_eq!(refused(|b| b.handshake_timeout(Some(Duration::ZERO))), "handshake_timeout");
    accepted(|b| b.handshake_timeout(None));
    assert_eq!(refused(|b| b.packets_per_key(Some(0))), "packets_per_key");
    accepted(|b| b.packets_per_key(Some(1)));
    assert_eq!(refused(|b| b.floods(FloodSettings { burst: 0, refill_per_second: 1 })), "floods.burst");
    accepted(|b| b.floods(FloodSettings { burst: 1, refill_per_second: 0 }));
}

#[test]
fn neither_end_starts_with_a_setting_outside_its_range() {
    let wrong = TransportSettings { ack_delay_exponent: 21, ..TransportSettings::default() };
    let error = wrong.validate().unwrap_err();
    assert_eq!(error.to_string(), "ack_delay_exponent is 0 to 20");
    let mut pair = Pair::default();
    let path = pair.client.path();
    let opened = pair.client.endpoint.connect(pair.now, &client_config(wrong.clone()), "localhost", path);
    assert_eq!(opened, Err(ConnectError::Settings(error)));
    assert_eq!(pair.client.endpoint.connection_count(), 0);
    assert_eq!(pair.server.endpoint.set_server(Some(server_config(wrong))), Err(error));
    // The configuration from before goes on serving.
    pair.connected();
}

#[test]
fn the_client_announces_its_settings() {
    let settings = TransportSettings::builder()
        .max_idle_timeout(Duration::from_millis(12_345))
        .initial_max_data(1_000_001)
        .initial_max_stream_data_bidi_local(100_001)
        .initial_max_stream_data_bidi_remote(100_002)
        .initial_max_stream_data_uni(100_003)
        .initial_max_streams_bidi(11)
        .initial_max_streams_uni(12)
        .max_received_udp_payload_size(1400)
        .max_ack_delay(Duration::from_micros(30_100))
        .ack_delay_exponent(5)
        .active_connection_id_limit(7)
        .build()
        .unwrap();
    let mut pair = plain::pair(TransportSettings::default());
    plain::connected(&mut pair, settings);
    let TransportParameters {
        max_idle_timeout,
        initial_max_data,
        initial_max_stream_data_bidi_local,
        initial_max_stream_data_bidi_remote,
        initial_max_stream_data_uni,
        initial_max_streams_bidi,
        initial_max_streams_uni,
        max_udp_payload_size,
        max_ack_delay,
        ack_delay_exponent,
        active_connection_id_limit,
        ..
    } = client_parameters(&packets(&pair.client.sent));
    assert_eq!((max_idle_timeout, initial_max_data), (12_345, 1_000_001));
    assert_eq!(initial_max_stream_data_bidi_local, 100_001);
    assert_eq!(initial_max_stream_data_bidi_remote, 100_002);
    assert_eq!(initial_max_stream_data_uni, 100_003);
    assert_eq!((initial_max_streams_bidi, initial_max_streams_uni), (11, 12));
    assert_eq!((max_udp_payload_size, max_ack_delay), (1400, 31), "a promise is rounded up");
    assert_eq!((ack_delay_exponent, active_connection_id_limit), (5, 7));
}

/// RFC 9000 section 5.1.1: a peer fills the limit that it is given, itself at most with as many as it has.
#[test]
fn the_peer_issues_as_many_connection_ids_as_the_limit() {
    let issued = |limit| {
        let mut pair = plain::pair(TransportSettings::default());
        plain::connected(&mut pair, TransportSettings { active_connection_id_limit: limit, ..Default::default() });
        let new = |frame: &&Frame<'_>| matches!(frame, Frame::NewConnectionId { .. });
        packets(&pair.server.sent).iter().flat_map(|packet| &packet.frames).filter(new).count()
    };
    // The handshake's connection ID counts.
    assert_eq!((issued(2), issued(3), issued(4)), (1, 2, 3));
}

#[test]
fn datagrams_are_no_larger_than_either_end_allows() {
    let largest = |ours, theirs| {
        let mut pair = plain::pair(TransportSettings { max_udp_payload_size: ours, ..Default::default() });
        let settings = TransportSettings { max_received_udp_payload_size: theirs, ..Default::default() };
        let (_, server) = plain::connected(&mut pair, settings);
        let connection = pair.server.connection(server);
        let id = connection.open(Dir::Uni).unwrap();
        connection.write(id, &[7; 100_000]).unwrap();
        pair.settle();
        pair.server.sent.iter().map(Vec::len).max()
    };
    assert_eq!(largest(1400, 65_527), Some(1400));
    assert_eq!(largest(1500, 1300), Some(1300));
}

/// RFC 9000 section 19.3: the delay is shifted by the exponent that was announced, so that the peer reads the same.
#[test]
fn acknowledgment_delays_are_scaled_by_the_exponent() {
    let delay = |exponent| {
        let mut pair = plain::pair(TransportSettings::default());
        let settings = TransportSettings { ack_delay_exponent: exponent, ..TransportSettings::default() };
        let (_, server) = plain::connected(&mut pair, settings);
        let sent = pair.client.sent.len();
        let connection = pair.server.connection(server);
        let id = connection.open(Dir::Uni).unwrap();
        // One packet: its acknowledgment is held back for 25 ms.
        connection.write(id, b"one").unwrap();
        pair.settle();
        let acks: Vec<Packet> = packets(&pair.client.sent[sent..]);
        let delays = acks.iter().flat_map(|packet| &packet.frames);
        delays.filter_map(|frame| if let Frame::Ack(ack) = frame { Some(ack.delay) } else { None }).next().unwrap()
    };
    assert_eq!((delay(3), delay(0), delay(10)), (25_000 / 8, 25_000, 24));
}

/// RFC 9000 section 13.2.2.
#[test]
fn acknowledgments_come_after_as_many_packets_as_the_threshold() {
    let acks = |threshold| {
        let mut pair = plain::pair(TransportSettings::default());
        let settings = TransportSettings { ack_eliciting_threshold: threshold, ..TransportSettings::default() };
        let (_, server) = plain::connected(&mut pair, settings);
        let sent = pair.client.sent.len();
        let id = pair.server.connection(server).open(Dir::Uni).unwrap();
        // Eight packets within the acknowledgment delay.
        for _ in 0..8 {
            pair.server.connection(server).write(id, b"one").unwrap();
            pair.run_for(2 * MILLISECOND);
        }
        pair.run_for(pair.latency);
        pair.client.sent.len() - sent
    };
    assert_eq!((acks(1), acks(2), acks(4), acks(8)), (8, 4, 2, 1));
}

/// The largest start still reaches a peer that has received nothing.
#[test]
fn packet_numbers_start_where_the_settings_say() {
    for start in [0, 1, 70_000, (1 << 31) - 1] {
        let settings = TransportSettings { initial_packet_number: start, ..TransportSettings::default() };
        let mut pair = plain::pair(settings.clone());
        let (client, server) = plain::connected(&mut pair, settings);
        for sent in [&pair.client.sent, &pair.server.sent] {
            let packets = packets(sent);
            for ty in [PacketType::Initial, PacketType::Handshake, PacketType::OneRtt] {
                let first = packets.iter().find(|packet| packet.ty == ty).expect("packets of every kind");
                assert_eq!(first.pn, u64::from(start), "{ty:?}");
            }
        }
        // Data goes both ways, and nothing was taken for lost.
        let id = pair.client.connection(client).open(Dir::Uni).unwrap();
        pair.client.connection(client).write(id, &[1; 50_000]).unwrap();
        pair.settle();
        let mut buffer = vec![0; 50_000];
        assert_eq!(pair.server.connection(server).read(id, &mut buffer).unwrap().len, 50_000);
        assert_eq!(pair.client.connection(client).stats().packets_lost, 0);
        assert_eq!(pair.server.connection(server).stats().packets_dropped, 0);
    }
}

/// RFC 9000 section 13.1: a peer that acknowledges a number below the first is caught.
#[test]
fn numbers_below_the_first_count_as_never_sent() {
    use quillon::recovery::{Recovery, SentPacket, Settings, TimerContext};
    struct Deaf;
    impl quillon::recovery::Feedback<()> for Deaf {
        fn packet_acked(&mut self, _: &SentPacket) {}
        fn frame_acked(&mut self, (): ()) {}
        fn packet_lost(&mut self, _: &SentPacket) {}
        fn frame_lost(&mut self, (): ()) {}
    }
    let space = quillon::wire::Space::Application;
    let mut recovery = Recovery::new(Settings { initial_packet_number: 100, ..Settings::default() });
    let sent =
        SentPacket { pn: 100, time: 0, size: 1200, ack_eliciting: true, in_flight: true, ..SentPacket::default() };
    recovery.on_packet_sent(space, sent, &mut vec![()]);
    let context = TimerContext { handshake_confirmed: true, ..TimerContext::default() };
    let mut ack = |ranges: std::ops::RangeInclusive<u64>| {
        recovery.on_ack(1, space, *ranges.end(), std::iter::once(ranges), 0, context, &mut Deaf)
    };
    assert!(ack(99..=100).is_err());
    assert!(ack(99..=99).is_err());
    assert!(ack(100..=100).is_ok_and(|outcome| outcome.newly_acked));
}

/// The configuration is shared, not copied: what was refused leaves no trace in it.
#[test]
fn a_server_keeps_the_configuration_it_had() {
    let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
    let first = server_config(TransportSettings { initial_max_streams_uni: 1, ..TransportSettings::default() });
    pair.server.endpoint.set_server(Some(Arc::clone(&first))).unwrap();
    let wrong = TransportSettings { send_buffer: 0, ..TransportSettings::default() };
    assert!(pair.server.endpoint.set_server(Some(server_config(wrong))).is_err());
    let (client, _) = pair.connected();
    let connection = pair.client.connection(client);
    assert!(connection.open(Dir::Uni).is_ok() && connection.open(Dir::Uni).is_err());
}
