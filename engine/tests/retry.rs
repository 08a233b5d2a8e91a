//! Retry: a server makes a client prove its address first (RFC 9000 sections 8.1.2 and 17.2.5).

mod pair;

use pair::{MILLISECOND, Pair, SECOND, client_config};
use quillon::crypto::StaticKey;
use quillon::error::TransportErrorCode;
use quillon::packet::{self, PacketType};
use quillon::wire::{ConnectionId, Version};
use quillon::{
    Admission, ConnectionError, EndpointConfig, Event, RateLimit, ReplyLimits, TokenSettings, TransportSettings,
};

const ALWAYS: Admission = Admission::AutomaticWithRetry { threshold: 0 };

fn config() -> EndpointConfig {
    EndpointConfig { admission: ALWAYS, ..EndpointConfig::default() }
}

fn pair() -> Pair {
    Pair::new(config(), TransportSettings::default())
}

fn layouts(datagrams: &[Vec<u8>]) -> Vec<packet::Layout> {
    datagrams.iter().map(|datagram| packet::parse_greased(datagram, 8).unwrap()).collect()
}

fn retries(pair: &Pair) -> usize {
    layouts(&pair.server.sent).iter().filter(|layout| layout.ty == PacketType::Retry).count()
}

/// The transport code with which the server closed the client's connection.
fn refused_with(pair: &mut Pair) -> Option<TransportErrorCode> {
    match pair.client.closed()? {
        ConnectionError::Transport { code, by_peer: true, .. } => Some(code),
        other => panic!("{other:?}"),
    }
}

/// Runs until the client has the Retry, and no longer: its next Initial is not sent yet.
fn until_retry(pair: &mut Pair) -> Vec<u8> {
    pair.connect();
    pair.run_for(15 * MILLISECOND);
    pair.server.sent.first().cloned().expect("a Retry")
}

/// F8, F13: the server answers the first Initial with a Retry and keeps nothing; the client's next Initial goes to the
/// connection ID of the Retry with its token. The client checks both connection IDs in the server's transport
/// parameters, so that a handshake that completes proves them.
#[test]
fn a_client_proves_its_address_and_is_accepted() {
    let mut pair = pair();
    let retry = until_retry(&mut pair);
    assert_eq!(pair.server.endpoint.connection_count(), 0);
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    assert!(pair.server.saw(&Event::HandshakeComplete).is_some());
    let retry_layout = packet::parse_greased(&retry, 8).unwrap();
    let client = layouts(&pair.client.sent);
    assert_eq!(retry_layout.ty, PacketType::Retry);
    assert_eq!((retry_layout.dcid, client[0].token.len()), (client[0].scid, 0));
    assert_ne!(retry_layout.scid, client[0].dcid, "RFC 9000 section 17.2.5.1");
    assert_eq!((client[1].ty, client[1].dcid), (PacketType::Initial, retry_layout.scid));
    assert_eq!(pair.client.sent[1][client[1].token.clone()], retry[retry_layout.token.clone()]);
    assert_eq!(retries(&pair), 1);
    assert!(retry.len() < 3 * 1200);
}

/// The connection ID of a Retry is the server's, and may be shorter than a client's first one (RFC 9000 section 7.2).
#[test]
fn a_retry_works_with_every_length_of_connection_ids() {
    for connection_id_len in [4, 7, 20] {
        let mut pair = Pair::new(EndpointConfig { connection_id_len, ..config() }, TransportSettings::default());
        pair.connected();
        let retry = packet::parse(&pair.server.sent[0], connection_id_len).unwrap();
        assert_eq!((retry.ty, retry.scid.len()), (PacketType::Retry, connection_id_len));
    }
}

/// F11: after a Retry the client's address is validated: what the server sends is not limited by what it received.
#[test]
fn after_a_retry_there_is_no_amplification_limit() {
    let mut pair = pair();
    until_retry(&mut pair);
    // One Initial with the token, and then silence.
    let mut initials = 0;
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        initials += 1;
        initials == 1
    }));
    pair.server.sent.clear();
    pair.run_for(9 * SECOND);
    let sent: usize = pair.server.sent.iter().map(Vec::len).sum();
    assert!(sent > 3 * 1200, "{sent}");
}

#[test]
fn a_retry_is_sent_only_with_enough_handshakes_under_way() {
    let busy = Admission::AutomaticWithRetry { threshold: 1 };
    let config = EndpointConfig { admission: busy, ..EndpointConfig::default() };
    let mut pair = Pair::new(config, TransportSettings::default());
    pair.connect();
    pair.run_for(15 * MILLISECOND);
    assert_eq!((retries(&pair), pair.server.endpoint.connection_count()), (0, 1));
    pair.connect();
    pair.settle();
    assert_eq!((retries(&pair), pair.server.endpoint.connection_count()), (1, 2));
    pair.connect();
    pair.settle();
    assert_eq!((retries(&pair), pair.server.endpoint.connection_count()), (1, 3), "the handshakes are done");
}

/// RFC 9000 section 8.1.3: a client ignores a second Retry, so it is told at once.
#[test]
fn a_retry_token_from_another_port_is_answered_with_invalid_token() {
    let mut pair = pair();
    until_retry(&mut pair);
    pair.server.peer.set_port(50_001);
    pair.settle();
    assert_eq!(refused_with(&mut pair), Some(TransportErrorCode::INVALID_TOKEN));
    assert_eq!((retries(&pair), pair.server.endpoint.connection_count()), (1, 0));
}

#[test]
fn a_retry_token_is_good_for_one_connection_id_only() {
    let mut pair = pair();
    let retry = until_retry(&mut pair);
    let token = retry[packet::parse_greased(&retry, 8).unwrap().token].to_vec();
    pair.settle();
    pair.client.events.clear();
    let again = quillon::ClientConfig { token, ..client_config(TransportSettings::default()) };
    pair.connect_with(&again, "localhost");
    pair.settle();
    assert_eq!(refused_with(&mut pair), Some(TransportErrorCode::INVALID_TOKEN));
    assert_eq!(pair.server.endpoint.connection_count(), 1);
}

#[test]
fn a_retry_token_expires() {
    for (delay, accepted) in [(9 * SECOND, true), (11 * SECOND, false)] {
        let mut pair = pair();
        let patient = TransportSettings { handshake_timeout: None, ..TransportSettings::default() };
        pair.connect_with(&client_config(patient), "localhost");
        pair.run_for(15 * MILLISECOND);
        pair.latency = delay;
        pair.run_for(10 * MILLISECOND);
        pair.latency = 10 * MILLISECOND;
        // What the client sends in between is lost.
        pair.client.outbound_filter = Some(Box::new(|_, _| false));
        pair.run_for(delay + SECOND);
        assert_eq!(pair.server.saw(&Event::Accepted).is_some(), accepted);
        assert_eq!(refused_with(&mut pair), (!accepted).then_some(TransportErrorCode::INVALID_TOKEN));
    }
}

/// A restarted server, or another worker, accepts what was sealed with the key that it has, or had before.
#[test]
fn the_previous_key_is_still_accepted_and_others_are_not() {
    let with = |key| {
        let tokens = TokenSettings { key: Some(key), ..TokenSettings::default() };
        EndpointConfig { tokens, ..config() }
    };
    let cases = [
        (StaticKey::new([1; 32]), true),
        (StaticKey::new([2; 32]).with_previous([1; 32]), true),
        (StaticKey::new([2; 32]), false),
    ];
    for (key, accepted) in cases {
        let mut pair = Pair::new(with(StaticKey::new([1; 32])), TransportSettings::default());
        until_retry(&mut pair);
        pair.server.restart(with(key), 7);
        pair.settle();
        assert_eq!(pair.client.saw(&Event::HandshakeComplete).is_some(), accepted);
        assert_eq!(refused_with(&mut pair), (!accepted).then_some(TransportErrorCode::INVALID_TOKEN));
    }
}

#[test]
fn keys_are_redacted() {
    let key = StaticKey::new([0xab; 32]).with_previous([0xcd; 32]);
    let tokens = TokenSettings { key: Some(key.clone()), ..TokenSettings::default() };
    let config = EndpointConfig { tokens, stateless_reset_key: Some(key), ..EndpointConfig::default() };
    let text = format!("{config:?} {:?}", quillon::Endpoint::new(config.clone(), [9; 32]));
    assert!(!text.contains("171") && !text.contains("205") && !text.contains("ab, ab"), "{text}");
}

/// A Retry as the server would send it, with a good integrity tag, for the client's first Initial.
fn forge(pair: &Pair, scid: &[u8], token: &[u8]) -> Vec<u8> {
    let first = packet::parse_greased(&pair.client.sent[0], 8).unwrap();
    let mut buffer = [0; 256];
    let mut writer = quillon::wire::Writer::new(&mut buffer);
    let scid = ConnectionId::new(scid).unwrap();
    packet::encode_retry_without_tag(&mut writer, Version::V1, &first.scid, &scid, token);
    let provider = quillon::crypto::ring::provider();
    let tag = quillon::crypto::retry_tag(provider.as_ref(), Version::V1, &first.dcid, writer.written());
    writer.bytes(&tag);
    writer.written().to_vec()
}

/// A client whose first Initial was sent and lost.
fn waiting_client() -> Pair {
    let mut pair = Pair::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect();
    pair.run_for(MILLISECOND);
    pair
}

/// What the client's next datagram says after the forged ones: where it goes, and its token.
fn next_initial(pair: &mut Pair, forged: impl IntoIterator<Item = Vec<u8>>) -> (ConnectionId, Vec<u8>) {
    for datagram in forged {
        pair.client.inject(pair.now, datagram);
    }
    pair.run_for(2 * SECOND);
    let last = pair.client.sent.last().unwrap();
    let layout = packet::parse_greased(last, 8).unwrap();
    (layout.dcid, last[layout.token].to_vec())
}

/// C2: only the first Retry counts.
#[test]
fn a_second_retry_is_ignored() {
    let mut pair = waiting_client();
    let forged = [forge(&pair, b"first id", b"one"), forge(&pair, b"other id", b"two")];
    assert_eq!(next_initial(&mut pair, forged), (ConnectionId::new(b"first id").unwrap(), b"one".to_vec()));
}

/// C2: a Retry whose integrity tag is wrong and one without a token are ignored.
#[test]
fn a_retry_that_is_not_good_is_ignored() {
    let mut pair = waiting_client();
    let mut damaged = forge(&pair, b"some id.", b"token");
    *damaged.last_mut().unwrap() ^= 1;
    let mut other_token = forge(&pair, b"some id.", b"token");
    let at = other_token.len() - 17;
    other_token[at] ^= 1;
    let empty = forge(&pair, b"some id.", b"");
    let original = packet::parse_greased(&pair.client.sent[0], 8).unwrap().dcid;
    assert_eq!(next_initial(&mut pair, [damaged, other_token, empty]), (original, Vec::new()));
}

/// C2: a Retry after an Initial of the server was processed is ignored.
#[test]
fn a_retry_after_an_initial_is_ignored() {
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.run_for(25 * MILLISECOND);
    let forged = forge(&pair, b"some id.", b"token");
    let dropped = pair.client.connection(client).stats().packets_dropped;
    pair.client.inject(pair.now, forged);
    assert_eq!(pair.client.connection(client).stats().packets_dropped, dropped + 1);
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some());
}

/// The Initial after a Retry is as good in version 2, whose Retry packets have another type and another key (RFC 9369
/// section 3.3.3).
#[test]
fn a_retry_works_in_version_2() {
    let mut pair = pair();
    let mut config = client_config(TransportSettings::default());
    config.transport.versions.chosen = Version::V2;
    pair.connect_with(&config, "localhost");
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    assert_eq!(retries(&pair), 1);
}

#[test]
fn retries_are_limited() {
    let reply_limits = ReplyLimits { retries: RateLimit { per_second: 1, burst: 4 }, ..ReplyLimits::default() };
    let mut pair = Pair::new(EndpointConfig { reply_limits, ..config() }, TransportSettings::default());
    for _ in 0..10 {
        pair.connect();
    }
    pair.run_for(50 * MILLISECOND);
    assert_eq!(retries(&pair), 4);
    assert_eq!(pair.server.endpoint.connection_count(), 4, "those that were sent one");
}
