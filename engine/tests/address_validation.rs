//! What is sent to an address that is not validated (RFC 9000 section 8.1).

mod pair;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::{Ecn, EndpointConfig, Event, Transmit};

/// The client's first flight, and the server's answers until it goes quiet, whatever its timers say.
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
