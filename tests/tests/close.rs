//! How connections end: closed by either end, idle, and what is left of them.

use std::time::Duration;

use quillon::{ConnectionError, Dir, Event, Side, TransportSettings};
use quillon_tests::host::{Host, client_config, server_config};
use quillon_tests::link::Conditions;
use quillon_tests::pair::Pair;

fn with_settings(client: TransportSettings, server: TransportSettings) -> Pair {
    let (mut client_config, mut server_config) = (client_config(), server_config());
    client_config.transport = client;
    server_config.transport = server;
    Pair::with_configs(Conditions::PERFECT, 1, client_config, server_config).record()
}

fn closed(by_peer: bool) -> Event {
    Event::Closed(ConnectionError::Application { code: 7, reason: b"done".to_vec(), by_peer })
}

#[test]
fn a_close_reaches_the_peer_and_leaves_nothing_behind() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::new(Conditions::PERFECT, 1).record();
        let (client, server) = pair.connect();
        pair.run_for(Duration::from_millis(500));
        pair.client.events.clear();
        pair.server.events.clear();
        pair.sent.clear();
        let handle = if side == Side::Client { client } else { server };
        let now = pair.now;
        pair.node(side).host.close(now, handle, 7, b"done");
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.sent.len(), 1, "one CONNECTION_CLOSE, and silence: {:?}", pair.sent);
        for (side, by_peer, handle) in
            [(Side::Client, side != Side::Client, client), (Side::Server, side != Side::Server, server)]
        {
            let node = pair.node(side);
            let expected = [(handle, closed(by_peer)), (handle, Event::Drained)];
            assert_eq!(node.events, expected);
            assert!(node.host.endpoint.connection(handle).is_none(), "the handle is void");
            assert_eq!(node.host.endpoint.connection_count(), 0);
            assert_eq!(node.host.endpoint.memory_used(), 0);
            assert_eq!(node.host.timeout(), None);
        }
    }
}

/// RFC 9000 section 10.2.1: the closing end answers late packets, ever more rarely; the draining end says nothing.
#[test]
fn a_lost_close_is_repeated_when_the_peer_goes_on() {
    let mut pair = Pair::new(Conditions::PERFECT, 2).record();
    let (client, server) = pair.connect();
    pair.run_for(Duration::from_millis(500));
    pair.sent.clear();
    pair.to_server.conditions.loss = 1.0;
    pair.client.host.close(pair.now, client, 7, b"done");
    pair.transmit();
    assert_eq!(pair.sent.len(), 1);
    pair.to_server.conditions.loss = 0.0;
    let id = pair.server.host.open(server, Dir::Uni).expect("the client grants streams");
    pair.server.host.write(server, id, b"still there?");
    pair.run_until(|pair| pair.server.take_event(|event| *event == closed(true)).is_some());
    let from_server = pair.sent.iter().filter(|sent| sent.from == Side::Server).count();
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.sent.iter().filter(|sent| sent.from == Side::Server).count(), from_server);
    assert_eq!(pair.sent.iter().filter(|sent| sent.from == Side::Client).count(), 2);
    assert!(pair.client.take_event(|event| *event == Event::Drained).is_some());
    assert!(pair.server.take_event(|event| *event == Event::Drained).is_some());
}

#[test]
fn a_close_before_the_handshake_ends_both() {
    let mut pair = Pair::new(Conditions::PERFECT, 3);
    let path = pair.path();
    let client = pair.client.host.connect(pair.now, "localhost", path);
    pair.step();
    pair.client.host.close(pair.now, client, 7, b"done");
    pair.run_for(Duration::from_secs(30));
    assert_eq!(pair.client.host.endpoint.connection_count(), 0);
    assert_eq!(pair.server.host.endpoint.connection_count(), 0);
    // The application's code and words are not for Initial packets, which anyone can read (RFC 9000 section 10.2.3).
    let closed = pair.server.take_event(|event| matches!(event, Event::Closed(_)));
    assert!(
        matches!(&closed, Some((_, Event::Closed(ConnectionError::Transport { code, reason, by_peer: true, .. })))
            if code.name() == Some("APPLICATION_ERROR") && reason.is_empty()),
        "{closed:?}"
    );
}

/// RFC 9000 section 10.1: the smaller timeout of both ends holds, and the end is silent.
#[test]
fn an_idle_connection_ends_silently() {
    let short = TransportSettings { max_idle_timeout: Duration::from_secs(5), ..TransportSettings::default() };
    for (client, server) in [(short.clone(), TransportSettings::default()), (TransportSettings::default(), short)] {
        let mut pair = with_settings(client, server);
        let (client, server) = pair.connect();
        pair.run_for(Duration::from_secs(1));
        let (last, sent) = (pair.sent.last().expect("a handshake").time, pair.sent.len());
        pair.run_until(|pair| {
            [Side::Client, Side::Server]
                .map(|side| pair.node(side).events.iter().any(|(_, event)| *event == Event::Drained))
                == [true; 2]
        });
        let (from, to) = (Duration::from_nanos(pair.now - last), Duration::from_secs(5));
        assert!(from >= to && from < to + Duration::from_millis(100), "{from:?}");
        assert_eq!(pair.sent.len(), sent, "nothing was sent");
        let timeout = Event::Closed(ConnectionError::IdleTimeout);
        assert!(pair.client.events.contains(&(client, timeout.clone())));
        assert!(pair.server.events.contains(&(server, timeout)));
    }
}

#[test]
fn traffic_and_keep_alive_hold_off_the_idle_timeout() {
    let short = TransportSettings { max_idle_timeout: Duration::from_secs(5), ..TransportSettings::default() };
    let kept = TransportSettings { keep_alive: Some(Duration::from_secs(2)), ..short.clone() };
    let mut pair = with_settings(kept, short);
    let (client, server) = pair.connect();
    pair.run_for(Duration::from_secs(60));
    assert!(!pair.client.host.connection(client).is_closed());
    assert!(!pair.server.host.connection(server).is_closed());
}

#[test]
fn without_a_timeout_nothing_ends() {
    let never = TransportSettings { max_idle_timeout: Duration::ZERO, ..TransportSettings::default() };
    let mut pair = with_settings(never.clone(), never);
    let (client, server) = pair.connect();
    pair.run_for(Duration::from_secs(86_400));
    assert_eq!(pair.client.host.timeout(), None, "and nothing is waited for");
    assert_eq!(pair.transfer(Side::Client, (client, server), Dir::Uni, b"still here"), b"still here");
}

#[test]
fn commands_on_a_closed_connection_are_refused() {
    let mut pair = Pair::new(Conditions::PERFECT, 4);
    let (client, _) = pair.connect();
    let id = pair.client.host.open(client, Dir::Bidi).expect("the server grants streams");
    pair.client.host.close(pair.now, client, 7, b"done");
    let connection = pair.client.host.connection(client);
    assert!(connection.open(Dir::Bidi).is_err());
    assert!(connection.write(id, b"late").is_err());
    assert!(connection.finish(id).is_err());
    assert!(connection.reset(id, 1).is_err());
    let now = pair.now;
    pair.client.host.close(now, client, 8, b"again");
    pair.run_for(Duration::from_secs(1));
    assert_eq!(
        pair.server.take_event(|event| matches!(event, Event::Closed(_))).map(|(_, event)| event),
        Some(closed(true))
    );
}
