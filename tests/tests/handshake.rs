//! Handshakes on bad paths, and what a server sends to an address that it has not validated.

use std::time::Duration;

use quillon::{Dir, Event, Side};
use quillon_tests::fixtures::noise;
use quillon_tests::host::{Host, client_config, server_config};
use quillon_tests::link::Conditions;
use quillon_tests::pair::Pair;

/// A pair that waits as long as the path needs.
fn patient(conditions: Conditions, seed: u64) -> Pair {
    let (mut client, mut server) = (client_config(), server_config());
    for transport in [&mut client.transport, &mut server.transport] {
        transport.handshake_timeout = None;
        transport.max_idle_timeout = Duration::from_secs(300);
    }
    Pair::with_configs(conditions, seed, client, server)
}

/// Connects and moves data both ways.
fn assert_works(mut pair: Pair) {
    let (client, server) = pair.connect();
    let data = noise(50_000, 3);
    assert_eq!(pair.transfer(Side::Client, (client, server), Dir::Bidi, &data), data);
    assert_eq!(pair.transfer(Side::Server, (server, client), Dir::Uni, &data), data);
}

#[test]
fn a_perfect_path_takes_one_round_trip() {
    let mut pair = Pair::new(Conditions::PERFECT, 1);
    let before = pair.now;
    let (client, _) = pair.connect();
    pair.run_until(|pair| pair.client.take_event(|event| *event == Event::HandshakeConfirmed).is_some());
    let took = Duration::from_nanos(pair.now - before);
    assert_eq!(took, 4 * Conditions::PERFECT.latency, "a round trip to complete, another to confirm");
    assert_eq!(pair.client.host.connection(client).stats().packets_lost, 0);
}

#[test]
fn loss() {
    for seed in 0..30 {
        assert_works(patient(Conditions { loss: 0.2, ..Conditions::PERFECT }, seed));
    }
}

#[test]
fn reordering_and_duplication() {
    let jitter = Duration::from_millis(30);
    for seed in 0..30 {
        assert_works(patient(Conditions { jitter, duplication: 0.3, ..Conditions::PERFECT }, seed));
    }
}

#[test]
fn corruption() {
    for seed in 0..30 {
        assert_works(patient(Conditions { corruption: 0.2, ..Conditions::PERFECT }, seed));
    }
}

#[test]
fn everything_at_once() {
    let conditions = Conditions {
        jitter: Duration::from_millis(20),
        loss: 0.1,
        duplication: 0.1,
        corruption: 0.1,
        ..Conditions::PERFECT
    };
    for seed in 0..30 {
        assert_works(patient(conditions, seed));
    }
}

/// RFC 9000 section 8.1: three times what was received, until the client's address is validated.
#[test]
fn a_server_sends_at_most_three_times_what_it_received_from_an_unvalidated_address() {
    for seed in 0..10 {
        let mut pair = patient(Conditions::PERFECT, seed).record();
        let path = pair.path();
        pair.client.host.connect(pair.now, "localhost", path);
        pair.step();
        // The server has the first flight and hears nothing more, however often it repeats its own.
        pair.to_server.conditions.loss = 1.0;
        let received: usize = pair.sent.iter().map(|sent| sent.bytes.len()).sum();
        assert!(pair.sent.iter().all(|sent| sent.from == Side::Client));
        pair.run_for(Duration::from_secs(60));
        let from_server = pair.sent.iter().filter(|sent| sent.from == Side::Server);
        let sent: usize = from_server.map(|sent| sent.bytes.len()).sum();
        assert!(sent > received, "the flight was repeated: {sent} bytes");
        assert!(sent <= 3 * received, "{sent} bytes for {received}");

        // The limit was a limit, not an end: with the path back, the handshake completes.
        pair.to_server.conditions.loss = 0.0;
        pair.run_until(|pair| pair.client.take_event(|event| *event == Event::HandshakeConfirmed).is_some());
    }
}

#[test]
fn a_client_gives_up_at_the_handshake_timeout() {
    let mut pair = Pair::new(Conditions { loss: 1.0, ..Conditions::PERFECT }, 1);
    let (before, path) = (pair.now, pair.path());
    let handle = pair.client.host.connect(pair.now, "localhost", path);
    pair.run_until(|pair| pair.client.take_event(|event| *event == Event::Drained).is_some());
    let closed = Event::Closed(quillon::ConnectionError::HandshakeTimeout);
    assert_eq!(pair.client.take_event(|_| true), Some((handle, closed)));
    assert_eq!(Duration::from_nanos(pair.now - before), Duration::from_secs(10));
    assert_eq!(pair.server.events, []);
}
