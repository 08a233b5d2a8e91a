//! NEW_TOKEN: a client that has been here before need not prove its address again (RFC 9000 section 8.1.3).

mod pair;
mod plain;

use std::time::Duration;

use pair::{MILLISECOND, Pair, SECOND, client_config};
use proptest::prelude::*;
use quillon::crypto::StaticKey;
use quillon::packet::{self, Frame, PacketType};
use quillon::{
    AddressValidation, Admission, ClientConfig, Dir, EndpointConfig, Event, TokenSettings, TransportSettings,
};

/// A server that sends a Retry to whom it does not know: a token that it accepts shows.
fn config(tokens: TokenSettings) -> EndpointConfig {
    let admission = Admission::AutomaticWithRetry { threshold: 0 };
    EndpointConfig { admission, tokens, ..EndpointConfig::default() }
}

fn pair(tokens: TokenSettings) -> Pair {
    Pair::new(config(tokens), TransportSettings::default())
}

fn keyed(key: StaticKey) -> TokenSettings {
    TokenSettings { key: Some(key), ..TokenSettings::default() }
}

fn tokens(pair: &mut Pair) -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    while let Some((_, token)) = pair.client.take(|event| match event {
        Event::NewToken { token } => Some(token.clone()),
        _ => None,
    }) {
        tokens.push(token);
    }
    tokens
}

/// A first connection, and the token that it brings.
fn earn_token(pair: &mut Pair) -> Vec<u8> {
    pair.connected();
    tokens(pair).pop().expect("a token")
}

/// Another connection, with this token. Whether the server took it for good: it did not send a Retry.
fn is_taken(pair: &mut Pair, token: &[u8]) -> bool {
    pair.client.sent.clear();
    pair.server.sent.clear();
    let config = ClientConfig { token: token.to_vec(), ..client_config(TransportSettings::default()) };
    pair.connect_with(&config, "localhost");
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    let sent = packet::parse_greased(&pair.client.sent[0], 8).unwrap();
    assert_eq!(pair.client.sent[0][sent.token], *token);
    packet::parse_greased(&pair.server.sent[0], 8).unwrap().ty != PacketType::Retry
}

#[test]
fn a_token_spares_the_retry_once() {
    let mut pair = pair(TokenSettings::default());
    let token = earn_token(&mut pair);
    assert!(is_taken(&mut pair, &token));
    assert!(!is_taken(&mut pair, &token), "it was used");
    let next = tokens(&mut pair).pop().expect("each connection brings one");
    assert!(is_taken(&mut pair, &next));
}

#[test]
fn a_token_is_bound_to_the_ip_address_and_not_to_the_port() {
    let mut pair = pair(TokenSettings { per_connection: 2, ..TokenSettings::default() });
    pair.connected();
    let tokens = tokens(&mut pair);
    assert_eq!(tokens.len(), 2);
    pair.client.address.set_port(50_001);
    pair.server.peer.set_port(50_001);
    assert!(is_taken(&mut pair, &tokens[0]));
    pair.client.address.set_ip([192, 0, 2, 3].into());
    pair.server.peer.set_ip([192, 0, 2, 3].into());
    assert!(!is_taken(&mut pair, &tokens[1]));
}

/// M8: a client that moves to another IP address gets a token for that one, and not for a port alone.
#[test]
fn a_client_that_moves_gets_another_token() {
    let mut pair = pair(TokenSettings::default());
    let (client, _) = pair.connected();
    tokens(&mut pair);
    let say = |pair: &mut Pair| {
        let connection = pair.client.connection(client);
        let stream = connection.open(Dir::Uni).unwrap();
        connection.write(stream, b"from here").unwrap();
        pair.settle();
        tokens(pair)
    };
    pair.server.peer.set_port(50_001);
    assert!(say(&mut pair).is_empty());
    pair.server.peer.set_ip([192, 0, 2, 9].into());
    let token = say(&mut pair).pop().expect("a token for the new address");
    pair.client.address.set_ip([192, 0, 2, 9].into());
    assert!(is_taken(&mut pair, &token));
}

#[test]
fn a_token_expires() {
    let hour = TokenSettings { lifetime: Duration::from_secs(3600), ..TokenSettings::default() };
    for (waits, taken) in [(3_590 * SECOND, true), (3_610 * SECOND, false)] {
        let mut pair = pair(hour.clone());
        let token = earn_token(&mut pair);
        pair.run_for(waits);
        assert_eq!(is_taken(&mut pair, &token), taken);
    }
}

/// What cannot be read is as good as no token: no Retry token of ours looks like that (RFC 9000 section 8.1.3).
#[test]
fn a_token_from_elsewhere_counts_as_none() {
    let mut pair = pair(TokenSettings::default());
    let token = earn_token(&mut pair);
    let mut damaged = token.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for foreign in [vec![0; 1], vec![0xff; 57], vec![0xb3; 900], damaged, token[..token.len() - 1].to_vec()] {
        assert!(!is_taken(&mut pair, &foreign));
    }
    assert!(is_taken(&mut pair, &token), "it is still good");
}

#[test]
fn a_token_outlives_the_process_where_the_key_does() {
    let cases = [
        (StaticKey::new([1; 32]), true),
        (StaticKey::new([2; 32]).with_previous([1; 32]), true),
        (StaticKey::new([2; 32]), false),
    ];
    for (key, taken) in cases {
        let mut pair = pair(keyed(StaticKey::new([1; 32])));
        let token = earn_token(&mut pair);
        pair.server.restart(config(keyed(key)), 7);
        assert_eq!(is_taken(&mut pair, &token), taken);
    }
    // By default the key comes from the seed.
    let mut pair = pair(TokenSettings::default());
    let token = earn_token(&mut pair);
    pair.server.restart(config(TokenSettings::default()), 7);
    assert!(!is_taken(&mut pair, &token));
}

#[test]
fn where_too_many_tokens_are_used_older_ones_are_refused_and_none_is_accepted_twice() {
    let few = TokenSettings { remembered: 2, per_connection: 4, ..TokenSettings::default() };
    let mut pair = pair(few);
    let mut all = Vec::new();
    for _ in 0..3 {
        pair.connected();
        all.push(tokens(&mut pair));
        pair.run_for(10 * MILLISECOND);
    }
    // The newest three are used: the oldest of them is forgotten, and with it all that were issued with it or before.
    assert!(is_taken(&mut pair, &all[1][0]));
    assert!(is_taken(&mut pair, &all[2][0]));
    assert!(is_taken(&mut pair, &all[2][1]));
    for used in [&all[1][0], &all[2][0], &all[2][1], &all[1][1], &all[0][0]] {
        assert!(!is_taken(&mut pair, used));
    }
    assert!(is_taken(&mut pair, &all[2][2]));
}

#[test]
fn how_many_tokens_a_client_gets_is_a_setting() {
    for (per_connection, gets) in [(0, 0), (3, 3), (200, 8)] {
        let mut pair = pair(TokenSettings { per_connection, ..TokenSettings::default() });
        pair.connected();
        let mut tokens = tokens(&mut pair);
        assert_eq!(tokens.len(), gets);
        tokens.dedup();
        assert_eq!(tokens.len(), gets, "each is another");
        assert!(tokens.iter().all(|token| token.len() < 100));
    }
}

/// RFC 9000 section 13.3: a NEW_TOKEN frame that is lost is sent again; one that was acknowledged is not.
#[test]
fn a_lost_token_is_sent_again() {
    let mut pair = plain::pair(TransportSettings::default());
    let mut lost = 0;
    pair.server.outbound_filter = Some(Box::new(move |_, datagram| {
        let carries = plain::packets(std::slice::from_ref(datagram))
            .iter()
            .any(|packet| packet.frames.iter().any(|frame| matches!(frame, Frame::NewToken { .. })));
        lost += usize::from(carries);
        !carries || lost > 2
    }));
    plain::connected(&mut pair, TransportSettings::default());
    pair.run_for(5 * SECOND);
    assert_eq!(tokens(&mut pair).len(), 1);
    let frames = plain::packets(&pair.server.sent);
    let sent: Vec<_> = frames
        .iter()
        .flat_map(|packet| &packet.frames)
        .filter_map(|frame| if let Frame::NewToken { token } = frame { Some(*token) } else { None })
        .collect();
    assert!(sent.len() >= 3 && sent.iter().all(|token| *token == sent[0]), "{} times", sent.len());
}

/// F11: a token that is good lifts the amplification limit.
#[test]
fn with_a_token_there_is_no_amplification_limit() {
    let mut pair = pair(TokenSettings::default());
    let token = earn_token(&mut pair);
    let config = ClientConfig { token, ..client_config(TransportSettings::default()) };
    let mut datagrams = 0;
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        datagrams += 1;
        datagrams == 1
    }));
    pair.server.sent.clear();
    pair.connect_with(&config, "localhost");
    pair.run_for(9 * SECOND);
    let sent: usize = pair.server.sent.iter().map(Vec::len).sum();
    assert!(sent > 3 * 1200, "{sent}");
}

/// After a Retry the token is the one of the Retry (RFC 9000 section 17.2.5.2).
#[test]
fn a_retry_replaces_the_token() {
    let mut pair = pair(TokenSettings::default());
    assert!(!is_taken(&mut pair, b"worthless"));
    let second = packet::parse_greased(&pair.client.sent[1], 8).unwrap();
    let retry = packet::parse_greased(&pair.server.sent[0], 8).unwrap();
    assert_eq!(pair.client.sent[1][second.token], pair.server.sent[0][retry.token]);
}

/// A server that is flooded with a client's tokens by misuse, and a client that is by its server, keep no more than 8.
#[test]
fn tokens_that_wait_are_bounded() {
    let mut pair = pair(TokenSettings { per_connection: 0, ..TokenSettings::default() });
    let (client, server) = pair.connected();
    let connection = pair.server.connection(server);
    assert!(!connection.issue_token(Vec::new()) && !connection.issue_token(vec![1; 901]));
    let accepted = (0..20u8).filter(|n| connection.issue_token(vec![*n; 40])).count();
    assert_eq!(accepted, 8);
    assert!(!pair.client.connection(client).issue_token(vec![1]), "a client gives none");
    pair.settle();
    assert_eq!(tokens(&mut pair).len(), 8);
    assert!(pair.server.connection(server).issue_token(vec![1; 900]));
    pair.settle();
    assert_eq!(tokens(&mut pair), [vec![1; 900]]);
    pair.server.connection(server).close(pair.now, 0, b"");
    assert!(!pair.server.connection(server).issue_token(vec![1]));
}

proptest! {
    /// Whatever is done to a token, nobody gets more than it was made for.
    #[test]
    fn a_token_that_was_changed_proves_nothing(
        at in 0usize..64,
        byte in any::<u8>(),
        kind in prop_oneof![Just(0xb3u8), Just(0x5c), any::<u8>()],
        len in 0usize..100,
    ) {
        let mut pair = Pair::default();
        let token = earn_token(&mut pair);
        pair.server.endpoint.set_admission(Admission::Ask);
        let mut changed = token.clone();
        changed[0] = kind;
        changed.resize(len, byte);
        if let Some(slot) = changed.get_mut(at) {
            *slot = byte;
        }
        prop_assume!(changed != token);
        let config = ClientConfig { token: changed, ..client_config(TransportSettings::default()) };
        pair.connect_with(&config, "localhost");
        pair.run_for(15 * MILLISECOND);
        if let Some(incoming) = pair.server.endpoint.poll_incoming() {
            prop_assert_eq!(incoming.address_validation(), AddressValidation::None);
        }
    }
}

/// RFC 9369 section 5: a token is of the version that its connection agreed on, and of no use in another.
#[test]
fn a_token_is_for_its_version() {
    use quillon::wire::Version;
    let mut pair = pair(TokenSettings { per_connection: 2, ..TokenSettings::default() });
    pair.connected();
    let mut tokens = tokens(&mut pair);
    let mut retried = |version: Version, token: Vec<u8>| {
        pair.server.sent.clear();
        let mut config = ClientConfig { token, ..client_config(TransportSettings::default()) };
        config.transport.versions.chosen = version;
        pair.connect_with(&config, "localhost");
        pair.settle();
        assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
        packet::parse(&pair.server.sent[0], 8).unwrap().ty == PacketType::Retry
    };
    assert!(retried(Version::V2, tokens.pop().unwrap()));
    assert!(!retried(Version::V1, tokens.pop().unwrap()));
}

/// RFC 9369 section 5: a client that goes over to another version leaves the token of the first behind.
#[test]
fn another_version_goes_without_the_token() {
    let mut config = client_config(TransportSettings::default());
    config.token = b"of version 1".to_vec();
    let again = config.after_version_negotiation(&[quillon::wire::Version::V2]).expect("a version in common");
    assert_eq!(again.transport.versions.chosen, quillon::wire::Version::V2);
    assert!(again.token.is_empty() && !config.token.is_empty());
}
