//! QUIC version 2 (RFC 9369): its keys, its long headers, and a connection that speaks nothing else.

mod pair;

use pair::{Pair, client_config};
use quillon::crypto::{self, Hash, Secret};
use quillon::packet::{self, PacketType};
use quillon::wire::{ConnectionId, Side, Version};
use quillon::{EndpointConfig, Event, TransportSettings, VersionSettings};

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// RFC 9369 appendix A.1. The packets of the appendix are among the tests of packet protection.
#[test]
fn the_keys_of_rfc_9369_appendix_a_1() {
    let provider = crypto::ring::provider();
    let expand = |secret: &Secret, label: &[u8], len: usize| {
        let mut out = vec![0; len];
        provider.hkdf_expand_label(Hash::Sha256, secret, label, &mut out);
        out
    };
    let salt = hex("0dede3def700a6db819381be6e269dcbf9bd2ed9");
    let initial = provider.hkdf_extract(Hash::Sha256, &salt, &hex("8394c8f03e515708"));
    assert_eq!(initial.as_slice(), hex("2062e8b3cd8d52092614b8071d0aa1fb7c2e3ac193f78b280e72d8f5751f6aba"));
    let client = expand(&initial, b"client in", 32);
    assert_eq!(client, hex("14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b"));
    let client = Secret::new(&client).unwrap();
    assert_eq!(expand(&client, b"quicv2 key", 16), hex("8b1a0bc121284290a29e0971b5cd045d"));
    assert_eq!(expand(&client, b"quicv2 iv", 12), hex("91f73e2351d8fa91660e909f"));
    assert_eq!(expand(&client, b"quicv2 hp", 16), hex("45b95e15235d6f45a6b19cbcb0294ba9"));
    let server = expand(&initial, b"server in", 32);
    assert_eq!(server, hex("0263db1782731bf4588e7e4d93b7463907cb8cd8200b5da55a8bd488eafc37c1"));
}

/// RFC 9369 appendix A.4.
#[test]
fn the_retry_of_rfc_9369_appendix_a_4() {
    let original = ConnectionId::new(&hex("8394c8f03e515708")).unwrap();
    let retry = hex("cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6");
    let (body, tag) = retry.split_at(retry.len() - 16);
    assert_eq!(crypto::retry_tag(&*crypto::ring::provider(), Version::V2, &original, body), tag);
    let layout = packet::parse_greased(&retry, 8).unwrap();
    assert_eq!((layout.ty, layout.version), (PacketType::Retry, Version::V2));
}

fn only(version: Version) -> TransportSettings {
    let versions = VersionSettings { chosen: version, available: vec![version], ..VersionSettings::default() };
    TransportSettings { versions, ..TransportSettings::default() }
}

/// The version and type of every long-header packet.
fn long_headers(datagrams: &[Vec<u8>]) -> Vec<(Version, PacketType)> {
    let mut found = Vec::new();
    for datagram in datagrams {
        let mut rest = datagram.as_slice();
        while rest.first().is_some_and(|first| first & 0x80 != 0) {
            let layout = packet::parse_greased(rest, 8).unwrap();
            found.push((layout.version, layout.ty));
            rest = &rest[layout.len..];
        }
    }
    found
}

#[test]
fn a_connection_in_version_2_alone() {
    let mut pair = Pair::new(EndpointConfig::default(), only(Version::V2));
    let client = pair.connect_with(&client_config(only(Version::V2)), "localhost");
    pair.settle();
    let server = pair.server.saw(&Event::HandshakeComplete).expect("the handshake completes");
    assert!(pair.client.connection(client).is_handshake_confirmed());
    for (end, handle) in [(&mut pair.client, client), (&mut pair.server, server)] {
        let headers = long_headers(&end.sent);
        assert!(headers.iter().all(|(version, _)| *version == Version::V2), "{headers:?}");
        assert!(headers.contains(&(Version::V2, PacketType::Initial)));
        assert!(headers.contains(&(Version::V2, PacketType::Handshake)));
        assert_eq!(end.connection(handle).version(), Version::V2);
        assert_eq!(end.connection(handle).client_chosen_version(), Version::V2);
    }
    // 1-RTT packets are protected with version 2's labels as well: data and a key update pass.
    let id = pair.client.connection(client).open(quillon::Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"hello").unwrap();
    pair.settle();
    let mut data = [0; 16];
    let read = pair.server.connection(server).read(id, &mut data).unwrap();
    assert_eq!(&data[..read.len], b"hello");
}

#[test]
fn a_server_without_version_2_lists_what_it_speaks() {
    let mut pair = Pair::new(EndpointConfig::default(), only(Version::V1));
    pair.connect_with(&client_config(only(Version::V2)), "localhost");
    pair.settle();
    let Some(quillon::ConnectionError::VersionNegotiation { supported }) = pair.client.closed() else { panic!() };
    assert_eq!(supported[0], Version::V1);
    assert!(supported[1..].iter().all(|version| version.is_reserved()));
    assert_eq!(pair.server.endpoint.connection_count(), 0);
}

#[test]
fn initial_keys_differ_between_versions() {
    let provider = crypto::ring::provider();
    let dcid = ConnectionId::new(&[7; 8]).unwrap();
    let masks = [Version::V1, Version::V2]
        .map(|version| crypto::initial_keys(&*provider, version, &dcid, Side::Client).local.header.mask(&[0; 16]));
    assert_ne!(masks[0], masks[1]);
}
