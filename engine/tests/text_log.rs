//! The text log: one line for each event, in the format that its module describes.

mod pair;
mod plain;

use pair::MILLISECOND;
use quillon::diagnostics::{Importance, QlogSettings, TextLogSettings};
use quillon::{Dir, TransportSettings};

fn settings(importance: Importance) -> TransportSettings {
    let text_log = TextLogSettings { importance, ..TextLogSettings::default() };
    TransportSettings { text_log: Some(text_log), ..TransportSettings::default() }
}

#[test]
fn a_line_has_time_side_connection_name_and_fields() {
    let mut pair = plain::pair(settings(Importance::Extra));
    let (client, server) = plain::connected(&mut pair, settings(Importance::Extra));
    let original: String = pair.client.sent[0][6..14].iter().map(|byte| format!("{byte:02x}")).collect();
    for (side, log) in [
        ("client", pair.client.connection(client).poll_text_log().unwrap()),
        ("server", pair.server.connection(server).poll_text_log().unwrap()),
    ] {
        assert!(log.ends_with('\n'));
        let mut last = String::new();
        for line in log.lines() {
            let mut words = line.splitn(5, ' ');
            let time = words.next().unwrap();
            let (seconds, nanos) = time.split_once('.').unwrap();
            assert!(seconds.parse::<u64>().is_ok() && nanos.len() == 9 && nanos.parse::<u64>().is_ok(), "{line}");
            assert!(time >= last.as_str(), "time goes forward");
            time.clone_into(&mut last);
            assert_eq!((words.next(), words.next()), (Some(side), Some(original.as_str())));
            let name = words.next().unwrap();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            assert!(words.next().is_some_and(|fields| fields.contains('=')), "{line}");
        }
    }
}

#[test]
fn packets_and_frames_can_be_read() {
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, settings(Importance::Core));
    pair.client.connection(client).poll_text_log();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"hello").unwrap();
    pair.run_for(5 * MILLISECOND);
    let log = pair.client.connection(client).poll_text_log().unwrap();
    let line = log.lines().find(|line| line.contains(" packet_sent ")).unwrap();
    assert!(line.contains("header={packet_type=1RTT packet_number="), "{line}");
    assert!(line.contains("stream{stream_id=2 offset=0 raw={length=5}}"), "{line}");
}

#[test]
fn the_importance_decides_what_is_kept() {
    let lines = |importance| {
        let mut pair = plain::pair(TransportSettings::default());
        let (client, _) = plain::connected(&mut pair, settings(importance));
        pair.client.connection(client).poll_text_log().unwrap()
    };
    let (core, base, extra) = (lines(Importance::Core), lines(Importance::Base), lines(Importance::Extra));
    assert!(core.contains(" packet_sent ") && !core.contains(" key_updated "));
    assert!(base.contains(" key_updated ") && !base.contains(" timer_updated "));
    assert!(extra.contains(" timer_updated "));
}

/// A peer's words cannot forge a line.
#[test]
fn a_reason_of_the_peer_stays_on_its_line() {
    let mut pair = plain::pair(settings(Importance::Base));
    let (client, server) = plain::connected(&mut pair, TransportSettings::default());
    pair.server.connection(server).poll_text_log();
    let now = pair.now;
    pair.client.connection(client).close(now, 3, "bye\n0.0 client forged \u{2028}\u{85}".as_bytes());
    pair.run_for(pair.latency);
    let log = pair.server.connection(server).poll_text_log().unwrap();
    let line = log.lines().find(|line| line.contains(" connection_closed ")).unwrap();
    assert!(line.contains(r#"reason="bye\n0.0 client forged \u2028\u0085" trigger=application"#), "{line}");
    assert!(log.lines().all(|line| line.contains(" server ")));
}

#[test]
fn lines_that_do_not_fit_are_counted_in_the_log() {
    let text_log = TextLogSettings { buffer: 4 << 10, importance: Importance::Extra };
    let settings = TransportSettings { text_log: Some(text_log), ..TransportSettings::default() };
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, settings);
    let connection = pair.client.connection(client);
    let dropped = connection.log_events_dropped();
    let log = connection.poll_text_log().unwrap();
    assert!(dropped > 0 && log.len() <= 4 << 10 && log.ends_with('\n'));
    let id = connection.open(Dir::Uni).unwrap();
    connection.write(id, b"more").unwrap();
    pair.run_for(MILLISECOND);
    let log = pair.client.connection(client).poll_text_log().unwrap();
    assert!(log.lines().next().unwrap().contains(&format!("warning message=\"{dropped} events are missing here")));
}

/// Both renderings are of the same events.
#[test]
fn both_logs_tell_the_same() {
    let both = TransportSettings {
        qlog: Some(QlogSettings::default()),
        text_log: Some(TextLogSettings { importance: Importance::Extra, ..TextLogSettings::default() }),
        ..TransportSettings::default()
    };
    let mut pair = plain::pair(TransportSettings::default());
    let (client, _) = plain::connected(&mut pair, both);
    let connection = pair.client.connection(client);
    let (qlog, text) = (connection.poll_qlog().unwrap(), connection.poll_text_log().unwrap());
    // qlog has a header.
    assert_eq!(qlog.matches('\u{1e}').count() - 1, text.lines().count());
}
