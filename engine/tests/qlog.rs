//! qlog: what is recorded, in both schemas, against what was really on the wire.

mod pair;
mod plain;

use pair::{MILLISECOND, Pair, SECOND};
use plain::packets;
use proptest::prelude::*;
use quillon::diagnostics::{Importance, QlogSchema, QlogSettings, write_string};
use quillon::packet::{self, Frame, PacketType};
use quillon::wire::{Version, Writer};
use quillon::{Admission, ConnectionHandle, Dir, Ecn, EndpointConfig, Event, Transmit, TransportSettings};
use serde_json::Value;

/// The records of a log. Each begins with a separator, ends with a line feed, and is one JSON object (RFC 7464).
fn records(log: &str) -> Vec<Value> {
    let mut parts = log.split('\u{1e}');
    assert_eq!(parts.next(), Some(""), "a log begins with a separator");
    parts
        .map(|record| {
            let text = record.strip_suffix('\n').expect("a record ends with a line feed");
            assert!(!text.contains('\n'), "a record is one line: {text}");
            let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert!(value.is_object());
            value
        })
        .collect()
}

fn settings(schema: QlogSchema) -> TransportSettings {
    let qlog = QlogSettings { schema, ..QlogSettings::default() };
    TransportSettings { qlog: Some(qlog), ..TransportSettings::default() }
}

/// A pair that logs at both ends, after its handshake, with some data sent.
fn conversation(schema: QlogSchema) -> (Pair, ConnectionHandle, ConnectionHandle) {
    let mut pair = plain::pair(settings(schema));
    let (client, server) = plain::connected(&mut pair, settings(schema));
    let id = pair.client.connection(client).open(Dir::Bidi).unwrap();
    pair.client.connection(client).write(id, &[7; 20_000]).unwrap();
    pair.client.connection(client).finish(id).unwrap();
    pair.settle();
    let mut buffer = [0; 32_000];
    assert!(pair.server.connection(server).read(id, &mut buffer).unwrap().finished);
    pair.server.connection(server).reset(id, 9).unwrap();
    pair.settle();
    pair.client.connection(client).close(pair.now, 77, b"the \"end\"\n\xff\x1e");
    pair.run_for(5 * MILLISECOND);
    (pair, client, server)
}

fn named<'a>(records: &'a [Value], name: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["name"] == name).map(|record| &record["data"]).collect()
}

const PACKET_TYPES: [(PacketType, &str); 3] =
    [(PacketType::Initial, "initial"), (PacketType::Handshake, "handshake"), (PacketType::OneRtt, "1RTT")];

/// The name that qlog has for a frame.
const fn frame_name(frame: &Frame<'_>) -> &'static str {
    match frame {
        Frame::Padding { .. } => "padding",
        Frame::Ping => "ping",
        Frame::Ack(_) => "ack",
        Frame::ResetStream { .. } => "reset_stream",
        Frame::StopSending { .. } => "stop_sending",
        Frame::Crypto { .. } => "crypto",
        Frame::NewToken { .. } => "new_token",
        Frame::Stream { .. } => "stream",
        Frame::MaxData { .. } => "max_data",
        Frame::MaxStreamData { .. } => "max_stream_data",
        Frame::MaxStreams { .. } => "max_streams",
        Frame::DataBlocked { .. } => "data_blocked",
        Frame::StreamDataBlocked { .. } => "stream_data_blocked",
        Frame::StreamsBlocked { .. } => "streams_blocked",
        Frame::NewConnectionId { .. } => "new_connection_id",
        Frame::RetireConnectionId { .. } => "retire_connection_id",
        Frame::PathChallenge(_) => "path_challenge",
        Frame::PathResponse(_) => "path_response",
        Frame::ConnectionClose(_) => "connection_close",
        Frame::HandshakeDone => "handshake_done",
        Frame::Datagram { .. } => "datagram",
    }
}

#[test]
fn nothing_is_recorded_unless_asked_for() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    assert_eq!(pair.client.connection(client).poll_qlog(), None);
    assert_eq!(pair.server.connection(server).poll_text_log(), None);
    assert_eq!(pair.client.connection(client).log_events_dropped(), 0);
}

#[test]
fn the_first_record_is_what_tools_for_0_3_look_for() {
    let (mut pair, client, server) = conversation(QlogSchema::V03);
    let client = records(&pair.client.connection(client).poll_qlog().unwrap());
    let server = records(&pair.server.connection(server).poll_qlog().unwrap());
    let mut groups = Vec::new();
    for (log, side) in [(&client, "client"), (&server, "server")] {
        let header = &log[0];
        assert_eq!((&header["qlog_version"], &header["qlog_format"]), (&"0.3".into(), &"JSON-SEQ".into()));
        let trace = &header["trace"];
        assert_eq!(trace["vantage_point"]["type"], side);
        let common = &trace["common_fields"];
        assert_eq!((&common["time_format"], common["reference_time"].is_number()), (&"relative".into(), true));
        // 2026-01-01, the harness' time of day, in milliseconds.
        assert_eq!(common["reference_time"], 1_767_225_600_000_u64);
        groups.push(common["group_id"].as_str().unwrap().to_owned());
        assert_eq!(common["ODCID"], common["group_id"]);
    }
    // Both logs carry the connection ID that the client first sent to.
    assert_eq!(groups[0], groups[1]);
    let first: String = pair.client.sent[0][6..14].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(groups[0], first);
}

#[test]
fn the_first_record_of_the_draft_names_its_schemas() {
    let (mut pair, client, _) = conversation(QlogSchema::Draft);
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    assert_eq!(log[0]["file_schema"], "urn:ietf:params:qlog:file:sequential");
    assert_eq!(log[0]["serialization_format"], "application/qlog+json-seq");
    let trace = &log[0]["trace"];
    assert!(trace["event_schemas"][0].as_str().unwrap().starts_with("urn:ietf:params:qlog:events:quic"));
    assert_eq!(trace["vantage_point"]["type"], "client");
    let reference = &trace["common_fields"]["reference_time"];
    assert_eq!((&reference["clock_type"], &reference["epoch"]), (&"monotonic".into(), &"unknown".into()));
    assert_eq!(reference["wall_clock_time"], "2026-01-01T00:00:00.000Z");
}

#[test]
fn every_event_has_a_time_a_name_and_data_in_order() {
    for schema in [QlogSchema::V03, QlogSchema::Draft] {
        let (mut pair, client, server) = conversation(schema);
        let logs = [pair.client.connection(client).poll_qlog(), pair.server.connection(server).poll_qlog()];
        for log in logs {
            let log = records(&log.unwrap());
            let mut last = 0.0;
            for event in &log[1..] {
                let time = event["time"].as_f64().expect("a time in milliseconds");
                assert!(time >= last, "time goes forward");
                last = time;
                assert!(event["data"].is_object());
                let (category, name) = event["name"].as_str().unwrap().split_once(':').unwrap();
                match schema {
                    QlogSchema::V03 => {
                        assert!(["connectivity", "transport", "security", "recovery"].contains(&category));
                    }
                    QlogSchema::Draft => assert_eq!(category, "quic"),
                }
                assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            }
            assert!(last > 0.0 && last < 10_000.0, "relative to the start: {last}");
        }
    }
}

/// Every packet that was on the wire is in the sender's log, with its number, size and frames, and in the receiver's.
#[test]
fn packets_are_recorded_as_they_were_sent() {
    for schema in [QlogSchema::V03, QlogSchema::Draft] {
        let (mut pair, client, server) = conversation(schema);
        let prefix = if schema == QlogSchema::V03 { "transport" } else { "quic" };
        let client_log = records(&pair.client.connection(client).poll_qlog().unwrap());
        let server_log = records(&pair.server.connection(server).poll_qlog().unwrap());
        for (datagrams, sender, receiver) in
            [(&pair.client.sent, &client_log, &server_log), (&pair.server.sent, &server_log, &client_log)]
        {
            let wire = packets(datagrams);
            let sent = named(sender, &format!("{prefix}:packet_sent"));
            assert_eq!(sent.len(), wire.len());
            for (event, packet) in sent.iter().zip(&wire) {
                let (_, ty) = PACKET_TYPES.into_iter().find(|(ty, _)| *ty == packet.ty).unwrap();
                assert_eq!(event["header"]["packet_type"], ty);
                assert_eq!(event["header"]["packet_number"], packet.pn);
                assert_eq!(event["raw"]["length"], packet.len);
                let frames: Vec<&str> =
                    event["frames"].as_array().unwrap().iter().map(|f| f["frame_type"].as_str().unwrap()).collect();
                assert_eq!(frames, packet.frames.iter().map(frame_name).collect::<Vec<_>>());
                for (logged, frame) in event["frames"].as_array().unwrap().iter().zip(&packet.frames) {
                    check_frame(schema, logged, frame);
                }
            }
            // What arrived is a part of what was sent: the close is still on its way.
            let received = named(receiver, &format!("{prefix}:packet_received"));
            assert!(!received.is_empty());
            for (event, packet) in received.iter().zip(&wire) {
                assert_eq!(event["header"]["packet_number"], packet.pn);
                assert_eq!(event["frames"].as_array().unwrap().len(), packet.frames.len());
            }
        }
    }
}

/// Compares a frame in a log with the one on the wire.
fn check_frame(schema: QlogSchema, logged: &Value, frame: &Frame<'_>) {
    let length = || if schema == QlogSchema::V03 { &logged["length"] } else { &logged["raw"]["length"] };
    match frame {
        Frame::Padding { len } if schema == QlogSchema::Draft => assert_eq!(logged["raw"]["payload_length"], *len),
        Frame::Padding { len } => assert_eq!(logged["length"], *len),
        Frame::Ack(ack) => {
            assert!(logged["ack_delay"].is_number());
            let ranges = logged["acked_ranges"].as_array().unwrap();
            let expected: Vec<_> = ack.ranges().collect();
            assert_eq!(ranges.len(), expected.len());
            for (logged, range) in ranges.iter().zip(expected) {
                let numbers: Vec<u64> = logged.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
                assert_eq!((numbers.first(), numbers.last()), (Some(range.start()), Some(range.end())));
                assert_eq!(numbers.len() == 1, range.start() == range.end());
            }
        }
        Frame::Crypto { offset, data } => {
            assert_eq!((&logged["offset"], length()), (&(*offset).into(), &data.len().into()));
        }
        Frame::Stream { id, offset, fin, data } => {
            assert_eq!((&logged["stream_id"], &logged["offset"]), (&id.0.into(), &(*offset).into()));
            assert_eq!(length(), data.len());
            assert_eq!(logged["fin"].as_bool().unwrap_or(false), *fin);
        }
        Frame::ResetStream { id, code, final_size } => {
            assert_eq!((&logged["stream_id"], &logged["final_size"]), (&id.0.into(), &(*final_size).into()));
            assert_eq!(logged["error_code"], *code);
        }
        Frame::MaxData { limit } => assert_eq!(logged["maximum"], *limit),
        Frame::MaxStreamData { id, limit } => {
            assert_eq!((&logged["stream_id"], &logged["maximum"]), (&id.0.into(), &(*limit).into()));
        }
        Frame::NewConnectionId { sequence, retire_prior_to, cid, .. } => {
            assert_eq!(logged["sequence_number"], *sequence);
            assert_eq!(logged["retire_prior_to"], *retire_prior_to);
            assert_eq!(logged["connection_id"], cid.to_string());
        }
        Frame::ConnectionClose(_) => {
            assert_eq!(logged["error_space"], "application");
            assert_eq!(logged["error_code"], 77);
            assert_eq!(logged["reason"], "the \"end\"\n\u{fffd}\u{1e}");
        }
        _ => {}
    }
}

/// What the draft names for transport, security and recovery, and happens in a plain conversation, is there.
#[test]
fn the_events_of_a_conversation_are_all_recorded() {
    let (v03, draft): (Vec<_>, Vec<_>) = [
        ("connectivity:connection_started", "connection_started"),
        ("connectivity:connection_state_updated", "connection_state_updated"),
        ("connectivity:connection_closed", "connection_closed"),
        ("transport:version_information", "version_information"),
        ("transport:alpn_information", "alpn_information"),
        ("transport:parameters_set", "parameters_set"),
        ("transport:packet_sent", "packet_sent"),
        ("transport:packet_received", "packet_received"),
        ("transport:packets_acked", "packets_acked"),
        ("transport:datagrams_sent", "udp_datagrams_sent"),
        ("transport:datagrams_received", "udp_datagrams_received"),
        ("transport:stream_state_updated", "stream_state_updated"),
        ("security:key_updated", "key_updated"),
        ("security:key_discarded", "key_discarded"),
        ("recovery:parameters_set", "recovery_parameters_set"),
        ("recovery:metrics_updated", "recovery_metrics_updated"),
        ("recovery:congestion_state_updated", "congestion_state_updated"),
        ("recovery:loss_timer_updated", "timer_updated"),
    ]
    .into_iter()
    .unzip();
    let draft = draft.into_iter().map(|name| format!("quic:{name}")).collect::<Vec<_>>();
    let v03 = v03.into_iter().map(str::to_owned).collect::<Vec<_>>();
    for (schema, names) in [(QlogSchema::V03, v03), (QlogSchema::Draft, draft)] {
        let (mut pair, client, server) = conversation(schema);
        // The close reaches the server.
        pair.run_for(pair.latency);
        for log in [pair.client.connection(client).poll_qlog(), pair.server.connection(server).poll_qlog()] {
            let log = records(&log.unwrap());
            for name in &names {
                assert!(!named(&log, name).is_empty(), "{name}");
            }
        }
    }
}

#[test]
fn parameters_of_both_ends_are_told_apart() {
    for (schema, prefix, whose) in [(QlogSchema::V03, "transport", "owner"), (QlogSchema::Draft, "quic", "initiator")] {
        let mut pair = plain::pair(TransportSettings { initial_max_data: 4_000_001, ..settings(schema) });
        let ours = TransportSettings { initial_max_data: 3_000_001, ack_delay_exponent: 7, ..settings(schema) };
        let (client, server) = plain::connected(&mut pair, ours);
        for (connection, local, remote) in [
            (pair.client.connection(client), 3_000_001, 4_000_001),
            (pair.server.connection(server), 4_000_001, 3_000_001),
        ] {
            let log = records(&connection.poll_qlog().unwrap());
            let set = named(&log, &format!("{prefix}:parameters_set"));
            let of = |owner: &str| set.iter().find(|data| data[whose] == owner).unwrap();
            assert_eq!(of("local")["initial_max_data"], local);
            assert_eq!(of("remote")["initial_max_data"], remote);
            assert_eq!(of("remote")["tls_cipher"], "AES_128_GCM_SHA256");
            // Secrets stay out.
            assert!(set.iter().all(|data| data.get("stateless_reset_token").is_none()));
        }
    }
}

#[test]
fn lost_packets_are_recorded_with_the_reason_and_what_is_sent_again() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, settings(QlogSchema::Draft));
    pair.client.connection(client).poll_qlog();
    let mut count = 0;
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        count += 1;
        count != 3
    }));
    let sent = pair.client.sent.len();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, &[1; 30_000]).unwrap();
    pair.settle();
    let lost = packets(&pair.client.sent[sent..]).remove(2);
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let events = named(&log, "quic:packet_lost");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["header"]["packet_number"], lost.pn);
    assert_eq!(events[0]["header"]["packet_type"], "1RTT");
    assert_eq!(events[0]["trigger"], "reordering_threshold");
    let Some(Frame::Stream { offset, .. }) = lost.frames.iter().find(|frame| matches!(frame, Frame::Stream { .. }))
    else {
        panic!("the packet carried data")
    };
    let marked = named(&log, "quic:marked_for_retransmit");
    assert!(marked.iter().any(|data| data["frames"][0]["offset"] == *offset));
    let states = named(&log, "quic:congestion_state_updated");
    assert!(states.iter().any(|data| data["new"] == "recovery" && data["trigger"] == "packet_loss"));
    let metrics = named(&log, "quic:recovery_metrics_updated");
    assert!(metrics.iter().any(|data| data["ssthresh"].is_number()));
}

#[test]
fn metrics_are_those_of_the_statistics() {
    let (mut pair, client, _) = conversation(QlogSchema::V03);
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let stats = pair.client.connection(client).stats();
    let last = |key: &str| {
        let metrics = named(&log, "recovery:metrics_updated");
        metrics.iter().rev().find_map(|data| data.get(key)).unwrap().as_f64().unwrap()
    };
    let millis = |nanos: u64| nanos as f64 / 1e6;
    assert_eq!(last("congestion_window"), stats.congestion_window as f64);
    assert!((last("smoothed_rtt") - millis(stats.smoothed_rtt)).abs() < 1e-6);
    assert!((last("min_rtt") - millis(stats.min_rtt)).abs() < 1e-6);
    assert_eq!(last("bytes_in_flight"), stats.bytes_in_flight as f64);
}

#[test]
fn the_life_of_a_connection_is_recorded() {
    let (mut pair, client, server) = conversation(QlogSchema::Draft);
    pair.run_for(pair.latency);
    let state = |log: &[Value]| -> Vec<String> {
        let states = named(log, "quic:connection_state_updated");
        states.iter().map(|data| data["new"].as_str().unwrap().to_owned()).collect()
    };
    let client = records(&pair.client.connection(client).poll_qlog().unwrap());
    let server = records(&pair.server.connection(server).poll_qlog().unwrap());
    let handshake = ["attempted", "handshake_started", "handshake_complete", "handshake_confirmed"];
    assert_eq!(state(&client)[..4], handshake);
    assert_eq!(state(&client)[4], "closing");
    let server_states = state(&server);
    assert!(server_states.iter().any(|state| state == "peer_validated"));
    assert_eq!(server_states.last().unwrap(), "draining");
    for (log, whose) in [(&client, "local"), (&server, "remote")] {
        let closed = named(log, "quic:connection_closed");
        assert_eq!(closed.len(), 1);
        assert_eq!((&closed[0]["initiator"], &closed[0]["error_code"]), (&whose.into(), &77.into()));
        assert_eq!(
            (&closed[0]["application_error"], &closed[0]["trigger"]),
            (&"unknown".into(), &"application".into())
        );
    }
    let keys: Vec<_> = named(&client, "quic:key_updated").iter().map(|data| data["key_type"].clone()).collect();
    for key in ["client_initial_secret", "server_initial_secret", "client_1rtt_secret", "server_1rtt_secret"] {
        assert!(keys.contains(&key.into()), "{key}");
    }
    let gone: Vec<_> = named(&client, "quic:key_discarded").iter().map(|data| data["key_type"].clone()).collect();
    assert!(gone.contains(&"client_initial_secret".into()) && gone.contains(&"server_handshake_secret".into()));
}

#[test]
fn a_key_update_is_recorded_as_whose_it_is() {
    let mut pair = plain::pair(settings(QlogSchema::Draft));
    let (client, server) = plain::connected(&mut pair, settings(QlogSchema::Draft));
    pair.client.connection(client).poll_qlog();
    pair.server.connection(server).poll_qlog();
    let now = pair.now;
    pair.client.connection(client).initiate_key_update(now).unwrap();
    pair.settle();
    for (connection, trigger) in
        [(pair.client.connection(client), "local_update"), (pair.server.connection(server), "remote_update")]
    {
        let log = records(&connection.poll_qlog().unwrap());
        let updated = named(&log, "quic:key_updated");
        assert_eq!(updated.len(), 2, "one for each direction");
        assert!(updated.iter().all(|data| data["trigger"] == trigger && data["key_phase"] == 1));
        let sent = named(&log, "quic:packet_sent");
        assert!(sent.iter().any(|data| data["header"]["key_phase_bit"] == true));
    }
}

#[test]
fn dropped_packets_say_why() {
    let mut pair = plain::pair(settings(QlogSchema::Draft));
    let (_, server) = plain::connected(&mut pair, TransportSettings::default());
    pair.server.connection(server).poll_qlog();
    let path = pair.server.path();
    let short = pair.client.sent.iter().rev().find(|datagram| datagram[0] & 0x80 == 0).unwrap().clone();
    let mut damaged = short.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    // A number that was not seen.
    damaged[9] = damaged[9].wrapping_add(100);
    for mut datagram in [short, damaged] {
        pair.server.endpoint.receive(pair.now, path, Ecn::NotEct, &mut datagram);
    }
    let log = records(&pair.server.connection(server).poll_qlog().unwrap());
    let triggers: Vec<_> = named(&log, "quic:packet_dropped").iter().map(|data| data["trigger"].clone()).collect();
    assert_eq!(triggers, ["duplicate", "decryption_failure"]);
}

/// A packet that overtakes its keys is buffered, then received with the reason.
#[test]
fn packets_that_wait_for_keys_are_recorded_twice() {
    let mut pair = plain::pair(TransportSettings::default());
    let client = pair.connect_with(&plain::client(settings(QlogSchema::Draft)), "localhost");
    // The server's first flight, one Initial and Handshake packets behind it, arrives in the wrong order.
    pair.run_for(pair.latency + pair.latency / 2);
    let mut flight: Vec<_> = pair.client.inbound.drain(..).map(|(_, datagram)| datagram).collect();
    let initial = packet::parse_greased(&flight[0], 8).unwrap();
    assert!(initial.ty == PacketType::Initial && initial.len < flight[0].len(), "packets share the datagram");
    let rest = flight[0].split_off(initial.len);
    let path = pair.client.path();
    for mut datagram in [rest, flight.remove(0)] {
        pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut datagram);
    }
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let buffered = named(&log, "quic:packet_buffered");
    assert!(!buffered.is_empty());
    assert!(buffered.iter().all(|data| data["trigger"] == "keys_unavailable"));
    let late = named(&log, "quic:packet_received");
    assert_eq!(late.iter().filter(|data| data["trigger"] == "keys_available").count(), buffered.len());
}

#[test]
fn a_log_that_nobody_takes_stays_within_its_buffer_and_says_what_is_missing() {
    let qlog = QlogSettings { buffer: 8 << 10, ..QlogSettings::default() };
    let settings = TransportSettings { qlog: Some(qlog), ..TransportSettings::default() };
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, settings);
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, &[1; 50_000]).unwrap();
    pair.settle();
    let connection = pair.client.connection(client);
    let dropped = connection.log_events_dropped();
    assert!(dropped > 0);
    let log = connection.poll_qlog().unwrap();
    assert!(log.len() <= 8 << 10);
    records(&log);
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.run_for(MILLISECOND);
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    assert_eq!(log[0]["name"], "generic:warning");
    assert!(log[0]["data"]["message"].as_str().unwrap().starts_with(&format!("{dropped} events")));
}

#[test]
fn the_importance_decides_what_is_kept() {
    let names = |importance| {
        let qlog = QlogSettings { importance, ..QlogSettings::default() };
        let mut pair = plain::pair(TransportSettings::default());
        let settings = TransportSettings { qlog: Some(qlog), ..TransportSettings::default() };
        let (client, _) = plain::connected(&mut pair, settings);
        let log = records(&pair.client.connection(client).poll_qlog().unwrap());
        log.into_iter().filter_map(|event| Some(event.get("name")?.as_str()?.to_owned())).collect::<Vec<_>>()
    };
    let has = |names: &[String], name: &str| names.iter().any(|one| one == name);
    let (core, base, extra) = (names(Importance::Core), names(Importance::Base), names(Importance::Extra));
    for (log, keys, datagrams) in [(&core, false, false), (&base, true, false), (&extra, true, true)] {
        assert!(has(log, "transport:packet_sent"));
        assert_eq!(has(log, "security:key_updated"), keys);
        assert_eq!(has(log, "transport:datagrams_sent"), datagrams);
    }
}

#[test]
fn recording_changes_nothing_on_the_wire() {
    let wire = |transport: TransportSettings| {
        let mut pair = Pair::new(EndpointConfig::default(), transport.clone());
        let client = pair.connect_with(&pair::client_config(transport), "localhost");
        pair.settle();
        let id = pair.client.connection(client).open(Dir::Uni).unwrap();
        pair.client.connection(client).write(id, &[1; 50_000]).unwrap();
        pair.settle();
        (pair.client.sent, pair.server.sent)
    };
    assert!(wire(TransportSettings::default()) == wire(settings(QlogSchema::Draft)));
}

#[test]
fn a_retry_is_recorded_with_its_token_only_counted() {
    let admission = Admission::AutomaticWithRetry { threshold: 0 };
    let server = EndpointConfig { admission, ..EndpointConfig::default() };
    let mut pair = Pair::new(server, settings(QlogSchema::V03));
    let client = pair.connect_with(&pair::client_config(settings(QlogSchema::V03)), "localhost");
    pair.settle();
    let server = pair.server.saw(&Event::HandshakeComplete).unwrap();
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let received = named(&log, "transport:packet_received");
    assert_eq!(received[0]["header"]["packet_type"], "retry");
    let retry = packet::parse_greased(&pair.server.sent[0], 8).unwrap();
    assert_eq!(received[0]["header"]["token"]["length"], retry.token.len());
    assert_eq!(received[0]["header"]["scid"], retry.scid.to_string());
    assert!(received[0]["header"].get("packet_number").is_none());
    // The next Initial carries the token, and goes to the connection ID of the Retry.
    let sent = named(&log, "transport:packet_sent");
    assert_eq!(sent[1]["header"]["token"]["length"], retry.token.len());
    assert_eq!(sent[1]["header"]["dcid"], retry.scid.to_string());
    let moved = named(&log, "connectivity:connection_id_updated");
    assert!(moved.iter().any(|data| data["new"] == retry.scid.to_string()));
    // The server's log is grouped under the same connection ID, although it starts after the Retry.
    let server_log = records(&pair.server.connection(server).poll_qlog().unwrap());
    let group = |log: &[Value]| log[0]["trace"]["common_fields"]["group_id"].clone();
    assert_eq!(group(&log), group(&server_log));
}

#[test]
fn a_version_mismatch_is_recorded_with_both_lists() {
    let mut pair = plain::pair(TransportSettings::default());
    let client = pair.connect_with(&plain::client(settings(QlogSchema::Draft)), "localhost");
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(_) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!("a first flight") };
    let look = packet::first_look(&buffer, 8).unwrap();
    let mut reply = [0; 128];
    let mut writer = Writer::new(&mut reply);
    packet::encode_version_negotiation(&mut writer, look.scid, look.dcid, 0x80, &[Version(0xff00_001d)]);
    let mut reply = writer.written().to_vec();
    let path = pair.client.path();
    pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut reply);
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let received = named(&log, "quic:packet_received");
    assert_eq!(received[0]["header"]["packet_type"], "version_negotiation");
    assert_eq!(received[0]["supported_versions"][0], "ff00001d");
    let information = named(&log, "quic:version_information");
    let last = information.last().unwrap();
    assert_eq!(last["server_versions"][0], "ff00001d");
    assert_eq!(last["client_versions"][0], "00000001");
    assert!(last.get("chosen_version").is_none(), "there is none in common");
    assert_eq!(named(&log, "quic:connection_closed")[0]["trigger"], "version_mismatch");
}

#[test]
fn data_that_changes_hands_and_what_holds_it_back_are_recorded() {
    let mut pair = plain::pair(settings(QlogSchema::Draft));
    let ours = TransportSettings { initial_max_data: 100_000, ..settings(QlogSchema::Draft) };
    let (client, server) = plain::connected(&mut pair, ours);
    pair.client.connection(client).send_datagram(b"datagram".as_slice().into()).unwrap();
    // More than the window of a new connection, and more than the client grants.
    let id = pair.server.connection(server).open(Dir::Uni).unwrap();
    assert_eq!(pair.server.connection(server).write(id, &[1; 200_000]), Ok(100_000));
    pair.settle();
    assert!(pair.server.connection(server).recv_datagram().is_some());
    let mut buffer = vec![0; 200_000];
    assert_eq!(pair.client.connection(client).read(id, &mut buffer).unwrap().len, 100_000);
    let log = records(&pair.server.connection(server).poll_qlog().unwrap());
    let moved = named(&log, "quic:stream_data_moved");
    assert_eq!((&moved[0]["stream_id"], &moved[0]["raw"]["length"]), (&id.0.into(), &100_000.into()));
    assert_eq!((&moved[0]["from"], &moved[0]["to"]), (&"application".into(), &"transport".into()));
    let datagrams = named(&log, "quic:datagram_data_moved");
    assert_eq!((&datagrams[0]["to"], &datagrams[0]["raw"]["length"]), (&"application".into(), &8.into()));
    let blocked = named(&log, "quic:connection_data_blocked_updated");
    let because = |reason: &str| blocked.iter().any(|data| data["new"] == "blocked" && data["reason"] == reason);
    assert!(because("congestion_control") || because("pacing"));
    assert!(because("connection_flow_control"));
    assert!(blocked.iter().any(|data| data["old"] == "blocked" && data["new"] == "unblocked"));
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let moved = named(&log, "quic:stream_data_moved");
    assert_eq!((&moved[0]["to"], &moved[0]["raw"]["length"]), (&"application".into(), &100_000.into()));
}

/// RFC 9002 section 6.2.4.
#[test]
fn probes_and_the_timer_behind_them_are_recorded() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, settings(QlogSchema::Draft));
    pair.client.connection(client).poll_qlog();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"lost").unwrap();
    pair.run_for(SECOND);
    let log = records(&pair.client.connection(client).poll_qlog().unwrap());
    let timers = named(&log, "quic:timer_updated");
    let pto =
        |event: &str| timers.iter().filter(|data| data["timer_type"] == "pto" && data["event_type"] == event).count();
    let probes = pair.client.connection(client).stats().probe_timeouts as usize;
    assert!(probes >= 3);
    assert_eq!(pto("expired"), probes);
    assert!(pto("set") > probes);
    assert!(timers.iter().all(|data| (data["event_type"] == "set") == data["delta"].is_number()));
    let sent = named(&log, "quic:packet_sent");
    assert!(sent.iter().any(|data| data["trigger"] == "pto_probe"));
    let metrics = named(&log, "quic:recovery_metrics_updated");
    assert!(metrics.iter().any(|data| data["pto_count"] == probes));
}

/// Nothing of a log is lost with its connection.
#[test]
fn the_end_of_a_log_outlives_its_connection() {
    let (mut pair, client, server) = conversation(QlogSchema::V03);
    let mut logs =
        [pair.client.connection(client).poll_qlog().unwrap(), pair.server.connection(server).poll_qlog().unwrap()];
    pair.run_for(10 * SECOND);
    for (log, (end, handle)) in logs.iter_mut().zip([(&mut pair.client, client), (&mut pair.server, server)]) {
        assert!(end.endpoint.connection(handle).is_none());
        let last = end.endpoint.poll_last_logs().unwrap();
        assert_eq!((last.connection, &last.text_log), (handle, &None));
        log.push_str(&last.qlog.unwrap());
        assert_eq!(end.endpoint.poll_last_logs(), None);
        let states = records(log);
        let states = named(&states, "connectivity:connection_state_updated");
        assert_eq!(states.last().unwrap()["new"], "closed");
    }
}

#[test]
fn an_idle_timeout_is_recorded() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, settings(QlogSchema::V03));
    let mut log = pair.client.connection(client).poll_qlog().unwrap();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.server.outbound_filter = Some(Box::new(|_, _| false));
    let start = pair.now;
    while pair.client.endpoint.connection(client).is_some_and(|connection| !connection.is_drained()) {
        assert!(pair.now < start + 60 * SECOND);
        let next = pair.client.endpoint.timeout().unwrap();
        pair.now = next;
        pair.client.endpoint.handle_timeout(next);
        log.extend(pair.client.connection(client).poll_qlog());
    }
    let log = records(&log);
    assert_eq!(named(&log, "connectivity:connection_closed")[0]["trigger"], "idle_timeout");
    assert!(pair.client.endpoint.poll_event().is_some_and(|(_, event)| matches!(event, Event::Closed(_))));
}

proptest! {
    /// Any bytes of a peer become one valid string, on one line, without the record separator.
    #[test]
    fn any_bytes_become_a_valid_string(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut out = String::new();
        write_string(&mut out, &bytes);
        prop_assert!(out.chars().all(|c| !c.is_control()));
        let value: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(value.as_str().unwrap(), String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_comes_back(text in any::<String>()) {
        let mut out = String::new();
        write_string(&mut out, text.as_bytes());
        let value: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(value.as_str().unwrap(), text);
    }
}
