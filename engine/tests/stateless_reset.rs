//! Stateless resets (RFC 9000 section 10.3).

mod pair;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::crypto::StaticKey;
use quillon::{ConnectionError, Dir, Ecn, EndpointConfig, Event, RateLimit, ReplyLimits, Transmit, TransportSettings};

fn config(key: StaticKey) -> EndpointConfig {
    EndpointConfig { stateless_reset_key: Some(key), ..EndpointConfig::default() }
}

fn pair(key: StaticKey) -> Pair {
    Pair::new(config(key), TransportSettings::default())
}

/// What the server answers to `datagram`.
fn answer(pair: &mut Pair, datagram: &[u8]) -> Option<Vec<u8>> {
    pair.server.inject(pair.now, datagram.to_vec());
    let mut buffer = vec![0; 65_535];
    match pair.server.endpoint.transmit(pair.now, &mut buffer) {
        Transmit::Send(batch) => Some(buffer[..batch.len].to_vec()),
        Transmit::Idle(_) => None,
    }
}

/// A datagram with a short header for a connection ID of nobody.
fn stray(len: usize) -> Vec<u8> {
    let mut datagram = vec![0x55; len];
    datagram[0] = 0x41;
    datagram
}

/// The client sends something; whether it learns that its connection is gone.
fn is_reset(pair: &mut Pair, client: quillon::ConnectionHandle) -> bool {
    let connection = pair.client.connection(client);
    let stream = connection.open(Dir::Uni).unwrap();
    connection.write(stream, b"is anybody there?").unwrap();
    pair.run_for(20 * SECOND);
    match pair.client.closed() {
        Some(error) => {
            assert_eq!(error, ConnectionError::StatelessReset);
            true
        }
        None => false,
    }
}

/// L7, E4: a server that lost its state, and kept its key, tells the client, which sends nothing more.
#[test]
fn a_restarted_server_resets_the_connections_that_it_lost() {
    let mut pair = pair(StaticKey::new([3; 32]));
    let (client, _) = pair.connected();
    pair.server.restart(config(StaticKey::new([3; 32])), 9);
    assert!(is_reset(&mut pair, client));
    let (sent, until) = (pair.client.sent.len(), pair.now + 10 * SECOND);
    pair.run_until(until);
    assert_eq!(pair.client.sent.len(), sent);
    assert!(pair.client.saw(&Event::Drained).is_some());
    assert_eq!(pair.client.endpoint.connection_count(), 0);
}

/// Which key made a lost connection ID cannot be told: both are tried, one datagram each.
#[test]
fn the_previous_key_still_resets() {
    let mut pair = pair(StaticKey::new([3; 32]));
    let (client, _) = pair.connected();
    pair.server.restart(config(StaticKey::new([4; 32]).with_previous([3; 32])), 9);
    assert!(is_reset(&mut pair, client));
}

#[test]
fn with_another_key_the_client_has_to_wait_for_its_timeout() {
    for key in [Some(StaticKey::new([4; 32])), None] {
        let mut pair = pair(StaticKey::new([3; 32]));
        let (client, _) = pair.connected();
        pair.server.restart(EndpointConfig { stateless_reset_key: key, ..EndpointConfig::default() }, 9);
        pair.server.sent.clear();
        assert!(!is_reset(&mut pair, client));
        assert!(!pair.server.sent.is_empty(), "it answers, in vain");
    }
}

/// Every reset looks like a packet with a short header, and says nothing by its length.
#[test]
fn a_reset_is_smaller_than_what_it_answers_and_not_below_21_bytes() {
    let mut pair = Pair::default();
    for len in 9..=21 {
        assert_eq!(answer(&mut pair, &stray(len)), None, "{len} bytes");
    }
    for len in 22..=43 {
        assert_eq!(answer(&mut pair, &stray(len)).map(|reset| reset.len()), Some(len - 1));
    }
    let mut lengths = std::collections::BTreeSet::new();
    for len in (44..1500).step_by(7) {
        let reset = answer(&mut pair, &stray(len)).expect("a reset");
        assert!(reset.len() >= 42 && reset.len() < len);
        assert_eq!(reset[0] & 0xc0, 0x40, "a short header");
        lengths.insert(reset.len());
    }
    assert!(lengths.len() > 10);
}

#[test]
fn a_reset_is_unpredictable_but_for_its_token() {
    let mut pair = Pair::default();
    let (one, two) = (answer(&mut pair, &stray(43)).unwrap(), answer(&mut pair, &stray(43)).unwrap());
    let (body, token) = one.split_at(one.len() - 16);
    let (other_body, other_token) = two.split_at(two.len() - 16);
    assert_eq!(token, other_token, "a function of the connection ID");
    assert_ne!(body, other_body);
    let mut other_id = stray(43);
    other_id[5] ^= 1;
    assert_ne!(answer(&mut pair, &other_id).unwrap()[26..], *token);
}

/// RFC 9000 section 10.3.3: two endpoints that both know nothing come to an end.
#[test]
fn two_endpoints_without_state_do_not_go_on_for_ever() {
    let mut pair = Pair::default();
    let mut other = Pair::default();
    let mut datagram = stray(1200);
    for round in 0.. {
        assert!(round < 64, "a reset is smaller each time");
        match answer(if round % 2 == 0 { &mut pair } else { &mut other }, &datagram) {
            Some(reset) => datagram = reset,
            None => break,
        }
    }
}

#[test]
fn long_headers_are_not_answered_with_resets() {
    let mut pair = Pair::default();
    // A Handshake packet of version 1 for nobody.
    let mut datagram = vec![0xe0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0x44, 0x00];
    datagram.resize(1200, 7);
    assert_eq!(answer(&mut pair, &datagram), None);
}

#[test]
fn resets_are_limited_and_can_be_switched_off() {
    let with = |stateless_resets| {
        let reply_limits = ReplyLimits { stateless_resets, ..ReplyLimits::default() };
        Pair::new(EndpointConfig { reply_limits, ..EndpointConfig::default() }, TransportSettings::default())
    };
    let mut off = with(RateLimit::OFF);
    assert_eq!(answer(&mut off, &stray(100)), None);
    let mut ten = with(RateLimit { per_second: 10, burst: 20 });
    let answered = |pair: &mut Pair| (0..100).filter(|_| answer(pair, &stray(100)).is_some()).count();
    assert_eq!(answered(&mut ten), 20);
    ten.now += SECOND;
    assert_eq!(answered(&mut ten), 10);
    ten.now += 50 * MILLISECOND;
    assert_eq!(answered(&mut ten), 0);
    ten.now += 50 * MILLISECOND;
    assert_eq!(answered(&mut ten), 1);
    ten.now += 1_000 * SECOND;
    assert_eq!(answered(&mut ten), 20);
}

/// RFC 9000 section 10.3.1: the token counts for the peer's address only, and only whole.
#[test]
fn a_reset_from_elsewhere_or_with_another_token_is_ignored() {
    let mut pair = pair(StaticKey::new([3; 32]));
    let (client, _) = pair.connected();
    // The server's answer to what the client sends, once it has forgotten it: a genuine reset.
    pair.server.restart(config(StaticKey::new([3; 32])), 9);
    let connection = pair.client.connection(client);
    let stream = connection.open(Dir::Uni).unwrap();
    connection.write(stream, b"hello").unwrap();
    pair.run_for(15 * MILLISECOND);
    let reset = pair.server.sent.last().cloned().expect("a reset");
    pair.client.inbound.clear();
    let mut path = pair.client.path();
    path.remote.set_port(444);
    pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut reset.clone());
    assert!(!pair.client.connection(client).is_closed(), "from another address");
    for at in [reset.len() - 1, reset.len() - 16] {
        let mut damaged = reset.clone();
        damaged[at] ^= 1;
        pair.client.inject(pair.now, damaged);
        assert!(!pair.client.connection(client).is_closed(), "another token");
    }
    pair.client.inject(pair.now, reset[reset.len() - 20..].to_vec());
    assert!(!pair.client.connection(client).is_closed(), "too short");
    pair.client.inject(pair.now, reset);
    assert!(pair.client.connection(client).is_closed());
}

/// A connection that ended is not there any more: its peer, should it still think so, is told.
#[test]
fn packets_after_a_drained_connection_are_reset() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    pair.server.outbound_filter = Some(Box::new(|_, _| false));
    pair.server.connection(server).close(pair.now, 0, b"");
    pair.run_for(5 * SECOND);
    assert!(pair.server.saw(&Event::Drained).is_some());
    pair.server.outbound_filter = None;
    assert!(is_reset(&mut pair, client));
}
