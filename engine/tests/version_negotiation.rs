//! Versions that one end does not speak (RFC 9000 section 6, RFC 8999).

mod pair;

use pair::Pair;
use quillon::wire::Version;
use quillon::{ConnectionError, Ecn, Transmit, packet};

/// What the server answers to `datagram`.
fn answer(pair: &mut Pair, mut datagram: Vec<u8>) -> Option<Vec<u8>> {
    let path = pair.server.path();
    pair.server.endpoint.receive(pair.now, path, Ecn::NotEct, &mut datagram);
    let mut buffer = vec![0; 65_535];
    match pair.server.endpoint.transmit(pair.now, &mut buffer) {
        Transmit::Send(batch) => Some(buffer[..batch.len].to_vec()),
        Transmit::Idle(_) => None,
    }
}

fn long_header(version: u32, dcid_len: u8, scid_len: u8, len: usize) -> Vec<u8> {
    let mut datagram = vec![0xc0];
    datagram.extend(version.to_be_bytes());
    datagram.push(dcid_len);
    datagram.extend((0..dcid_len).map(|n| n ^ 0xaa));
    datagram.push(scid_len);
    datagram.extend((0..scid_len).map(|n| n ^ 0x55));
    datagram.resize(len, 0);
    datagram
}

/// F1: an unknown version in a datagram of at least 1200 bytes.
/// F1, F2: a datagram of 1200 bytes and an unknown version is answered with the versions that we speak, whatever the length
/// of its connection IDs.
#[test]
fn f1_an_unknown_version_is_answered_with_ours() {
    let mut pair = Pair::default();
    for (dcid_len, scid_len) in [(8, 8), (0, 0), (20, 5), (255, 255)] {
        let sent = long_header(0x1a2a_3a4a, dcid_len, scid_len, 1200);
        let reply = answer(&mut pair, sent.clone()).expect("an answer");
        let (sent, reply_look) =
            (packet::first_look(&sent, 8).unwrap(), packet::first_look(&reply, 8).expect("a long header"));
        assert_eq!(reply_look.version, Some(Version::NEGOTIATION));
        assert_eq!((reply_look.dcid, reply_look.scid), (sent.scid, sent.dcid), "exchanged");
        let versions: Vec<_> = packet::supported_versions(&reply).unwrap().collect();
        let (reserved, spoken): (Vec<_>, Vec<_>) = versions.into_iter().partition(|version| version.is_reserved());
        assert_eq!(spoken, [Version::V1, Version::V2]);
        assert_eq!(reserved.len(), 1, "a version that means nothing, for clients to ignore");
    }
    assert_eq!(pair.server.endpoint.connection_count(), 0);
}

/// F1, F3: below 1200 bytes, and version 0.
/// F1, F3: nothing answers a shorter datagram, nor a Version Negotiation packet; and only servers answer.
#[test]
fn f1_f3_no_answer_to_short_datagrams_and_to_version_negotiation() {
    let mut pair = Pair::default();
    assert_eq!(answer(&mut pair, long_header(0x1a2a_3a4a, 8, 8, 1199)), None);
    assert_eq!(answer(&mut pair, long_header(0, 8, 8, 1200)), None);
    pair.server.endpoint.set_server(None).unwrap();
    assert_eq!(answer(&mut pair, long_header(0x1a2a_3a4a, 8, 8, 1200)), None, "a client is no server");
}

/// Sends the client a Version Negotiation packet with `versions` in answer to its first datagram.
fn negotiate(pair: &mut Pair, versions: &[Version]) {
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(_) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!() };
    let look = packet::first_look(&buffer, 8).unwrap();
    let mut reply = [0; 128];
    let mut writer = quillon::wire::Writer::new(&mut reply);
    packet::encode_version_negotiation(&mut writer, look.scid, look.dcid, 0x80, versions);
    let mut reply = writer.written().to_vec();
    let path = pair.client.path();
    pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut reply);
}

#[test]
fn a_client_gives_up_where_there_is_no_version_in_common() {
    let mut pair = Pair::default();
    pair.connect();
    let other = Version(0xff00_001d);
    negotiate(&mut pair, &[other]);
    while let Some(event) = pair.client.endpoint.poll_event() {
        pair.client.events.push_back(event);
    }
    assert_eq!(pair.client.closed(), Some(ConnectionError::VersionNegotiation { supported: vec![other] }));
}

/// C3: a list with incomplete entries, or for another connection, is ignored.
#[test]
fn c3_lists_that_are_no_answer_are_ignored() {
    let mut pair = Pair::default();
    let client = pair.connect();
    let mut buffer = vec![0; 65_535];
    let Transmit::Send(_) = pair.client.endpoint.transmit(pair.now, &mut buffer) else { panic!() };
    let look = packet::first_look(&buffer, 8).unwrap();
    let (dcid, scid) = (look.scid.to_vec(), look.dcid.to_vec());
    let list = |scid: &[u8]| {
        let mut reply = [0; 64];
        let mut writer = quillon::wire::Writer::new(&mut reply);
        packet::encode_version_negotiation(&mut writer, &dcid, scid, 0x80, &[Version(0xff00_001d)]);
        writer.written().to_vec()
    };
    let incomplete = [&list(&scid)[..], &[0xff, 0]].concat();
    let none = list(&scid)[..list(&scid).len() - 4].to_vec();
    let path = pair.client.path();
    for mut reply in [incomplete, none, list(&[1; 8]), list(&[])] {
        pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut reply);
        assert!(!pair.client.connection(client).is_closed());
    }
    pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut list(&scid));
    assert!(pair.client.connection(client).is_closed(), "the same list as an answer");
}

/// C3: a list that comes after an Initial of the server is ignored.
#[test]
fn c3_a_list_after_an_initial_is_ignored() {
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.run_for(15 * pair::MILLISECOND);
    let hello = pair.client.sent[0].clone();
    pair.run_for(10 * pair::MILLISECOND);
    let look = packet::first_look(&hello, 8).unwrap();
    let mut reply = [0; 64];
    let mut writer = quillon::wire::Writer::new(&mut reply);
    packet::encode_version_negotiation(&mut writer, look.scid, look.dcid, 0x80, &[Version(0xff00_001d)]);
    let mut reply = writer.written().to_vec();
    let path = pair.client.path();
    pair.client.endpoint.receive(pair.now, path, Ecn::NotEct, &mut reply);
    assert!(!pair.client.connection(client).is_closed());
}

/// C3: where the client's own version is a reserved one, the server may have listed it by chance.
#[test]
fn c3_a_reserved_version_may_be_in_the_list() {
    let mut pair = Pair::default();
    let mut config = pair::client_config(quillon::TransportSettings::default());
    config.transport.versions.chosen = Version(0x1a2a_3a4a);
    pair.connect_with(&config, "localhost");
    negotiate(&mut pair, &[Version(0x1a2a_3a4a), Version::V2]);
    while let Some(event) = pair.client.endpoint.poll_event() {
        pair.client.events.push_back(event);
    }
    let Some(ConnectionError::VersionNegotiation { supported }) = pair.client.closed() else { panic!() };
    assert_eq!(config.after_version_negotiation(&supported).unwrap().transport.versions.chosen, Version::V2);
}

/// C3: a list with the version in use is ignored.
#[test]
fn c3_a_list_with_the_version_in_use_is_ignored() {
    let mut pair = Pair::default();
    let client = pair.connect();
    negotiate(&mut pair, &[Version(0xff00_001d), Version::V1]);
    assert!(!pair.client.connection(client).is_closed());
    pair.run_for(5 * pair::SECOND);
    assert!(pair.client.connection(client).is_handshake_confirmed(), "the handshake goes on");
}
