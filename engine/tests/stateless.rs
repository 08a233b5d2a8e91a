//! What a server without an endpoint sends to clients that it does not accept, and for connections that it lost.

mod pair;

use std::time::Duration;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::crypto::{StaticKey, ring};
use quillon::error::TransportErrorCode;
use quillon::packet::{self, Layout};
use quillon::rng::Rng;
use quillon::stateless::{self, Answered};
use quillon::token::{Client, MAX_LEN, Tokens, Verdict};
use quillon::wire::{ConnectionId, Version};
use quillon::{ConnectionError, Dir, EndpointConfig, TokenSettings, TransportSettings};

/// A client whose first datagram is here, and nothing else ever arrives anywhere.
fn first_initial() -> (Pair, Vec<u8>, Layout) {
    let mut pair = Pair::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect();
    pair.run_for(MILLISECOND);
    let (datagram, layout) = next_initial(&pair);
    (pair, datagram, layout)
}

fn next_initial(pair: &Pair) -> (Vec<u8>, Layout) {
    let datagram = pair.client.sent.last().unwrap().clone();
    let layout = stateless::first_initial(&datagram).expect("an Initial that opens a connection");
    assert!(stateless::is_authentic(ring::provider().as_ref(), &layout, &datagram));
    (datagram, layout)
}

/// F5: what may open a connection.
#[test]
fn the_first_datagram_is_recognised() {
    let (_, datagram, layout) = first_initial();
    assert_eq!(stateless::first_initial(&datagram[..1199]), None);
    for (at, byte) in [(0, 0xd0), (0, 0x40), (4, 0), (4, 9)] {
        let mut other = datagram.clone();
        other[at] = byte;
        assert_eq!(stateless::first_initial(&other), None);
    }
    assert_eq!(stateless::first_initial(&[]), None);
    let mut damaged = datagram.clone();
    damaged[600] ^= 1;
    assert!(!stateless::is_authentic(ring::provider().as_ref(), &layout, &damaged));
    assert!(!stateless::is_authentic(ring::provider().as_ref(), &layout, &damaged[..600]));
}

/// F8, F13: a Retry, and the token that comes back tells where the first Initial was sent to.
#[test]
fn a_client_answers_a_retry() {
    let provider = ring::provider();
    let (mut pair, _, layout) = first_initial();
    let mut rng = Rng::from_seed([1; 32]);
    let tokens = Tokens::new(TokenSettings::default(), [2; 32]);
    let retry_source = ConnectionId::new(&[9; 12]).unwrap();
    let client = Client { version: layout.version, address: pair.server.peer };
    let token = tokens.retry(provider.as_ref(), &mut rng, 5_000, client, (&layout.dcid, &retry_source));
    let retry = stateless::retry(provider.as_ref(), &Answered::from(&layout), &retry_source, &token).unwrap();
    pair.client.inject(pair.now, retry);
    pair.run_for(MILLISECOND);
    let (datagram, second) = next_initial(&pair);
    assert_eq!((second.dcid, &datagram[second.token.clone()]), (retry_source, &token[..]));
    let judge = |clock, client| tokens.judge(provider.as_ref(), clock, client, &second.dcid, &token);
    assert_eq!(judge(6_000, client), Verdict::Retry { original: layout.dcid });
    assert_eq!(judge(16_000, client), Verdict::InvalidRetry, "it has expired");
    assert_eq!(judge(6_000, Client { version: Version::V2, ..client }), Verdict::InvalidRetry);
    // A client whose token is not good is told.
    let reason = "the token is not valid";
    let code = TransportErrorCode::INVALID_TOKEN;
    let close = stateless::connection_close(provider.as_ref(), &Answered::from(&second), code, reason).unwrap();
    pair.client.inject(pair.now, close);
    pair.run_for(MILLISECOND);
    let closed = ConnectionError::Transport { code, frame_type: 0, reason: reason.into(), by_peer: true };
    assert_eq!(pair.client.closed(), Some(closed));
}

#[test]
fn lengths_are_checked() {
    let provider = ring::provider();
    let (_, _, layout) = first_initial();
    let answered = Answered::from(&layout);
    let retry = |len| stateless::retry(provider.as_ref(), &answered, &ConnectionId::EMPTY, &vec![1; len]);
    assert!(retry(0).is_none() && retry(1).is_some() && retry(MAX_LEN).is_some() && retry(MAX_LEN + 1).is_none());
    let close = |len| {
        let reason = "x".repeat(len);
        let code = TransportErrorCode::CONNECTION_REFUSED;
        stateless::connection_close(provider.as_ref(), &answered, code, &reason)
    };
    assert!(close(0).is_some() && close(stateless::MAX_REASON_LEN + 1).is_none());
    assert!(close(stateless::MAX_REASON_LEN).is_some_and(|datagram| datagram.len() < 200));
    let longest = Answered {
        destination: ConnectionId::new(&[1; 20]).unwrap(),
        source: ConnectionId::new(&[2; 20]).unwrap(),
        ..answered
    };
    let reason = "x".repeat(stateless::MAX_REASON_LEN);
    let code = TransportErrorCode::crypto(255);
    assert!(stateless::connection_close(provider.as_ref(), &longest, code, &reason).is_some());
    assert!(stateless::retry(provider.as_ref(), &longest, &longest.source, &[1; MAX_LEN]).is_some());
}

/// F1: the versions, to a client that speaks none of them.
#[test]
fn a_client_is_told_the_versions() {
    let (mut pair, datagram, _) = first_initial();
    let look = packet::first_look(&datagram, 0).unwrap();
    let other = Version(0xff00_001d);
    let list = stateless::version_negotiation(&look, 0x2a, &[other]).unwrap();
    pair.client.inject(pair.now, list);
    pair.run_for(MILLISECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::VersionNegotiation { supported: vec![other] }));
    assert!(stateless::version_negotiation(&look, 0, &[other; 18]).is_none());
}

#[test]
fn a_lost_connection_is_reset_by_whoever_has_the_key() {
    let key = StaticKey::new([4; 32]);
    let config = EndpointConfig { stateless_reset_key: Some(key.clone()), ..EndpointConfig::default() };
    let mut pair = Pair::new(config, TransportSettings::default());
    let (client, _) = pair.connected();
    let connection = pair.client.connection(client);
    let stream = connection.open(Dir::Uni).unwrap();
    connection.write(stream, b"hello").unwrap();
    pair.run_for(MILLISECOND);
    let sent = pair.client.sent.last().unwrap();
    let id = ConnectionId::new(packet::first_look(sent, 8).unwrap().dcid).unwrap();
    let token = stateless::reset_token(ring::provider().as_ref(), key.current(), &id);
    let mut rng = Rng::from_seed([5; 32]);
    let reset = stateless::reset(&mut rng, &token, sent.len()).expect("room for one");
    assert!(reset.len() < sent.len());
    assert_eq!(stateless::reset(&mut rng, &token, stateless::MIN_RESET_LEN), None);
    pair.client.inject(pair.now, reset);
    pair.run_for(SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::StatelessReset));
}

#[test]
fn a_token_is_spent_once() {
    let provider = ring::provider();
    let mut rng = Rng::from_seed([6; 32]);
    let settings = TokenSettings { lifetime: Duration::from_secs(60), ..TokenSettings::default() };
    let mut tokens = Tokens::new(settings, [7; 32]);
    assert_eq!(tokens.per_connection(), 1);
    let client = Client { version: Version::V1, address: "[2001:db8::1]:4433".parse().unwrap() };
    let token = tokens.new_token(provider.as_ref(), &mut rng, 1_000, client);
    let judge = |tokens: &Tokens, clock, address: &str| {
        let client = Client { address: address.parse().unwrap(), ..client };
        tokens.judge(provider.as_ref(), clock, client, &ConnectionId::EMPTY, &token)
    };
    assert_eq!(judge(&tokens, 2_000, "[2001:db8::2]:4433"), Verdict::Absent);
    assert_eq!(judge(&tokens, 62_000, "[2001:db8::1]:4433"), Verdict::Absent);
    let Verdict::NewToken(ticket) = judge(&tokens, 2_000, "[2001:db8::1]:1") else { panic!() };
    tokens.spend(2_000, ticket);
    assert_eq!(judge(&tokens, 2_000, "[2001:db8::1]:4433"), Verdict::Absent);
}
