//! The end of a connection (RFC 9000 section 10).

mod pair;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::error::TransportErrorCode;
use quillon::{ConnectionError, Dir, Event, TransportSettings};
use std::time::Duration;

#[test]
fn an_application_close_reaches_the_peer() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"done");
    pair.run_for(100 * MILLISECOND);
    let expected = |by_peer| ConnectionError::Application { code: 7, reason: b"done".to_vec(), by_peer };
    assert_eq!(pair.client.closed(), Some(expected(false)));
    assert_eq!(pair.server.closed(), Some(expected(true)));
    pair.settle();
    assert!(pair.client.saw(&Event::Drained).is_some() && pair.server.saw(&Event::Drained).is_some());
    assert_eq!((pair.client.endpoint.connection_count(), pair.server.endpoint.connection_count()), (0, 0));
    assert_eq!(pair.server.endpoint.memory_used(), 0);
    assert_eq!(pair.server.endpoint.timeout(), None, "nothing is left to wait for");
}

#[test]
fn l5_a_close_during_the_handshake_hides_the_applications_code() {
    let mut pair = Pair::default();
    let client = pair.connect();
    // The ClientHello is out, nothing came back.
    pair.run_for(pair.latency);
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"private");
    pair.settle();
    let Some(ConnectionError::Transport { code, reason, by_peer: true, .. }) = pair.server.closed() else { panic!() };
    assert_eq!((code, reason.as_str()), (TransportErrorCode::APPLICATION_ERROR, ""));
}

#[test]
fn l1_a_client_that_has_sent_nothing_vanishes() {
    let mut pair = Pair::default();
    let client = pair.connect();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"");
    pair.settle();
    assert!(pair.client.sent.is_empty());
    assert!(pair.client.closed().is_some() && pair.client.saw(&Event::Drained).is_some());
}

#[test]
fn l6_the_close_is_repeated_with_growing_intervals() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let now = pair.now;
    // The server does not hear of the close, and goes on.
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.client.connection(client).close(now, 7, b"");
    let before = pair.client.sent.len();
    for _ in 0..20 {
        let id = pair.server.connection(server).open(Dir::Uni).unwrap();
        pair.server.connection(server).write(id, b"more").unwrap();
        pair.run_for(MILLISECOND);
    }
    let closes = pair.client.sent.len() - before;
    assert!((3..=6).contains(&closes), "{closes} for 20 datagrams");
}

#[test]
fn what_was_received_before_the_close_can_be_read() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"last words").unwrap();
    pair.client.connection(client).finish(id).unwrap();
    pair.run_for(5 * MILLISECOND);
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.run_for(30 * MILLISECOND);
    let kinds: Vec<_> = pair.server.events.iter().map(|(_, event)| event.clone()).collect();
    let readable = kinds.iter().position(|event| *event == Event::StreamReadable { id }).unwrap();
    let closed = kinds.iter().position(|event| matches!(event, Event::Closed(_))).unwrap();
    assert!(readable < closed);
    let mut buffer = [0; 64];
    let read = pair.server.connection(server).read(id, &mut buffer).unwrap();
    assert_eq!((&buffer[..read.len], read.finished), (&b"last words"[..], true));
}

#[test]
fn t5_the_smaller_idle_timeout_holds_on_both_ends() {
    let idle = TransportSettings { max_idle_timeout: Duration::from_secs(3), ..TransportSettings::default() };
    let mut pair = Pair::new(quillon::EndpointConfig::default(), idle);
    let _ = pair.connected();
    pair.run_for(SECOND);
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
    pair.run_for(3 * SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
    assert_eq!(pair.server.closed(), Some(ConnectionError::IdleTimeout));
}

#[test]
fn t6_keep_alive_holds_the_connection_open() {
    let idle = TransportSettings { max_idle_timeout: Duration::from_secs(3), ..TransportSettings::default() };
    let mut pair = Pair::new(quillon::EndpointConfig::default(), idle);
    let keep_alive = TransportSettings { keep_alive: Some(Duration::from_secs(1)), ..TransportSettings::default() };
    pair.connect_with(&pair::client_config(keep_alive), "localhost");
    pair.run_for(30 * SECOND);
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
}

#[test]
fn a_late_wake_up_after_the_idle_timeout_is_an_idle_close_and_no_panic() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    pair.now += 3_600 * SECOND;
    let now = pair.now;
    pair.client.endpoint.handle_timeout(now);
    assert!(pair.client.connection(client).is_closed());
}

/// E4: an idle connection ends without a word, on both ends.
#[test]
fn an_idle_close_is_silent() {
    let mut pair = Pair::default();
    pair.connected();
    let sent = (pair.client.sent.len(), pair.server.sent.len());
    pair.run_for(40 * SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
    assert_eq!(pair.server.closed(), Some(ConnectionError::IdleTimeout));
    assert_eq!((pair.client.sent.len(), pair.server.sent.len()), sent);
    assert_eq!((pair.client.endpoint.connection_count(), pair.server.endpoint.connection_count()), (0, 0));
}
