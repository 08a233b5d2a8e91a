//! What the logs and the key log tell of early data (RFC 9001 section 4.6).

mod resumable;

use std::sync::Arc;

use quillon::diagnostics::{Importance, TextLogSettings};
use quillon::tls::rustls::RustlsClient;
use quillon::{ClientConfig, Dir, Event, TransportSettings};
use resumable::Resumable;

fn settings() -> TransportSettings {
    let text_log = TextLogSettings { importance: Importance::Extra, ..TextLogSettings::default() };
    TransportSettings { text_log: Some(text_log), ..TransportSettings::default() }
}

fn lines<'a>(log: &'a str, name: &str) -> Vec<&'a str> {
    let name = format!(" {name} ");
    log.lines().filter(|line| line.contains(&name)).collect()
}

#[test]
fn early_data_is_recorded_with_the_limits_that_it_was_sent_under() {
    let mut resumable = Resumable::new(TransportSettings { initial_max_data: 1_234_567, ..settings() });
    let tls = RustlsClient::builder()
        .alpn([b"test".as_slice()])
        .roots([include_bytes!("data/ca.der").as_slice()])
        .key_log(true)
        .build()
        .unwrap();
    resumable.client = ClientConfig { transport: settings(), early_data: true, ..ClientConfig::new(Arc::new(tls)) };
    let session = resumable.session();
    let client = resumable.resume(session);
    let connection = resumable.pair.client.connection(client);
    let id = connection.open(Dir::Bidi).unwrap();
    connection.write(id, b"request").unwrap();
    resumable.pair.settle();
    let log = resumable.pair.client.connection(client).poll_text_log().unwrap();
    let restored = lines(&log, "parameters_restored");
    assert_eq!(restored.len(), 1);
    assert!(restored[0].contains(" initial_max_data=1234567 "), "{}", restored[0]);
    let sent = lines(&log, "packet_sent");
    let early = sent.iter().find(|line| line.contains("packet_type=0RTT")).expect("a 0-RTT packet");
    assert!(early.contains("stream{stream_id=0 offset=0 raw={length=7}}"), "{early}");
    assert!(lines(&log, "key_updated").iter().any(|line| line.contains("key_type=client_0rtt_secret")));
    assert!(lines(&log, "key_discarded").iter().any(|line| line.contains("key_type=client_0rtt_secret")));
    // The server's log has the packet too.
    let server = resumable.accepted();
    let log = resumable.pair.server.connection(server).poll_text_log().unwrap();
    assert!(lines(&log, "packet_received").iter().any(|line| line.contains("packet_type=0RTT")));
    // The key log has the secret of early data beside the others.
    let early_secret = |event: &Event| match event {
        Event::KeyLog(line) => line.starts_with("CLIENT_EARLY_TRAFFIC_SECRET ").then_some(()),
        _ => None,
    };
    assert!(resumable.pair.client.take(early_secret).is_some());
}
