//! The rustls sessions: what they agree on, in which order, and what they refuse.
#![cfg(feature = "rustls")]

mod tls_pair;

use proptest::prelude::*;
use quillon::crypto::CipherSuite;
use quillon::error::alert_name;
use quillon::tls::client_hello::{Progress, parse};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::tls::{ClientConfig, ServerConfig};
use quillon::wire::{Level, Side};
use tls_pair::{CA, CERTIFICATE, End, KEY, Pair, client, connect, server, start};

#[test]
fn outputs_come_in_the_order_to_act_on_them() {
    let pair = connect(&client(), &server(), "localhost").unwrap();
    let client = [
        "crypto Initial",
        "read Handshake",
        "write Handshake",
        "crypto Handshake",
        "read OneRtt",
        "write OneRtt",
        "complete",
    ];
    assert_eq!(pair.client.events, client);
    let server = [
        "crypto Initial",
        "read Handshake",
        "write Handshake",
        "crypto Handshake",
        "write OneRtt",
        "read OneRtt",
        "complete",
    ];
    assert_eq!(pair.server.events, server);
}

#[test]
fn a_server_reads_nothing_of_1_rtt_before_the_handshake_is_complete() {
    let mut pair = Pair::new(&client(), &server(), "localhost", 7);
    assert!(pair.step(usize::MAX).unwrap());
    assert_eq!(pair.server.events.last().unwrap(), "write OneRtt");
    assert_eq!(pair.server.read.len(), 1);
    let error = pair.server.session.export_keying_material(&mut [0; 8], b"label", b"").unwrap_err();
    assert_eq!(error.alert, 80);
}

#[test]
fn both_ends_have_the_same_secrets() {
    for suite in CipherSuite::ALL {
        let client = RustlsClient::builder().alpn(["h3"]).roots([CA]).cipher_suites(&[suite]).build().unwrap();
        let Pair { client, server } = connect(&client, &server(), "localhost").unwrap();
        assert_eq!(client.write, server.read);
        assert_eq!(client.read, server.write);
        let mut secrets: Vec<_> = client.read.iter().chain(&client.write).collect();
        assert_eq!(secrets.len(), 4);
        for (_, used, secret) in &secrets {
            assert_eq!(*used, suite);
            assert_eq!(secret.as_slice().len(), suite.hash().len());
        }
        secrets.sort_by_key(|(_, _, secret)| secret.as_slice().to_vec());
        secrets.dedup_by_key(|(_, _, secret)| secret.as_slice().to_vec());
        assert_eq!(secrets.len(), 4);
        assert_eq!((client.session.cipher_suite(), server.session.cipher_suite()), (Some(suite), Some(suite)));
    }
}

#[test]
fn the_order_of_suites_is_a_setting() {
    use CipherSuite::{Aes128Gcm, Aes256Gcm, ChaCha20Poly1305};
    let cases = [
        (vec![Aes256Gcm, Aes128Gcm], vec![Aes128Gcm, Aes256Gcm], Aes256Gcm),
        (vec![ChaCha20Poly1305, Aes128Gcm], vec![Aes128Gcm, ChaCha20Poly1305], ChaCha20Poly1305),
        (vec![Aes128Gcm, ChaCha20Poly1305], vec![ChaCha20Poly1305, Aes128Gcm], ChaCha20Poly1305),
        (vec![Aes128Gcm, Aes256Gcm], vec![ChaCha20Poly1305, Aes256Gcm], Aes256Gcm),
    ];
    for (ours, theirs, chosen) in cases {
        let client = RustlsClient::builder().roots([CA]).cipher_suites(&ours).build().unwrap();
        let server = RustlsServer::builder([CERTIFICATE], KEY).cipher_suites(&theirs).build().unwrap();
        let pair = connect(&client, &server, "localhost").unwrap();
        assert_eq!(pair.client.session.cipher_suite(), Some(chosen));
        let offered: Vec<_> = ours.iter().map(|suite| suite.to_iana()).collect();
        let Ok(Progress::Done(hello)) = parse(&pair.client.flights[0].1) else { panic!() };
        assert_eq!(hello.cipher_suites[..offered.len()], offered);
    }
    let client = RustlsClient::builder().roots([CA]).cipher_suites(&[Aes128Gcm]).build().unwrap();
    let server = RustlsServer::builder([CERTIFICATE], KEY).cipher_suites(&[Aes256Gcm]).build().unwrap();
    let failure = connect(&client, &server, "localhost").err().unwrap();
    assert_eq!(failure.alert(), (Side::Server, "handshake_failure"));
    assert_eq!(failure.error.reason, "the peer supports none of our cipher suites");
}

#[test]
fn both_ends_know_what_was_agreed_on() {
    for name in ["localhost", "127.0.0.1", "::1"] {
        let Pair { client, server } = connect(&client(), &server(), name).unwrap();
        assert_eq!(client.session.peer_transport_parameters(), Some(&b"server parameters"[..]));
        assert_eq!(server.session.peer_transport_parameters(), Some(&b"client parameters"[..]));
        assert_eq!((client.session.alpn(), server.session.alpn()), (Some(&b"h3"[..]), Some(&b"h3"[..])));
        assert_eq!(client.session.server_name(), Some(name));
        // Addresses are not sent as names (RFC 6066 section 3).
        assert_eq!(server.session.server_name(), (name == "localhost").then_some(name));
        assert_eq!(client.session.peer_certificates(), [CERTIFICATE]);
        assert!(server.session.peer_certificates().is_empty());
    }
}

#[test]
fn exporters_are_equal_at_both_ends() {
    let Pair { client, server } = connect(&client(), &server(), "localhost").unwrap();
    let export = |end: &End, label: &[u8], context: &[u8]| {
        let mut out = [0; 40];
        end.session.export_keying_material(&mut out, label, context).unwrap();
        out
    };
    assert_eq!(export(&client, b"label", b"context"), export(&server, b"label", b"context"));
    assert_ne!(export(&client, b"label", b"context"), export(&client, b"label", b"other"));
    assert_ne!(export(&client, b"label", b"context"), export(&client, b"other", b"context"));
}

#[test]
fn key_logs_are_equal_at_both_ends_where_asked_for() {
    let quiet = connect(&client(), &server(), "localhost").unwrap();
    assert!(quiet.client.key_log.is_empty() && quiet.server.key_log.is_empty());

    let client = RustlsClient::builder().alpn(["h3"]).roots([CA]).key_log(true).build().unwrap();
    let server = RustlsServer::builder([CERTIFICATE], KEY).alpn(["h3"]).key_log(true).build().unwrap();
    let Pair { client, server } = connect(&client, &server, "localhost").unwrap();
    let mut labels: Vec<_> = client.key_log.iter().map(|(label, ..)| *label).collect();
    labels.sort_unstable();
    let expected = [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_TRAFFIC_SECRET_0",
    ];
    assert_eq!(labels, expected);
    assert_eq!(client.key_log, server.key_log);
    let Ok(Progress::Done(hello)) = parse(&client.flights[0].1) else { panic!() };
    assert!(client.key_log.iter().all(|(_, random, _)| *random == hello.random));
}

#[test]
fn flights_may_come_a_byte_at_a_time() {
    let mut whole = Pair::new(&client(), &server(), "localhost", 7);
    while whole.step(usize::MAX).unwrap() {}
    let mut pieces = Pair::new(&client(), &server(), "localhost", 7);
    while pieces.step(1).unwrap() {}
    assert!(pieces.client.complete && pieces.server.complete);
    assert_eq!(pieces.bytes(), whole.bytes());
}

#[test]
fn one_seed_gives_the_same_bytes() {
    let bytes = connect(&client(), &server(), "localhost").unwrap().bytes();
    assert_eq!(bytes.len(), 4);

    // Interleaved with another pair of the same configs, which differs.
    let (client_config, server_config) = (client(), server());
    let mut pair = Pair::new(&client_config, &server_config, "localhost", 7);
    let mut other = Pair::new(&client_config, &server_config, "localhost", 8);
    while pair.step(100).unwrap() | other.step(33).unwrap() {}
    assert!(pair.client.complete && other.client.complete);
    assert_eq!(pair.bytes(), bytes);
    for (ours, theirs) in other.bytes().iter().zip(&bytes) {
        assert_eq!(ours.0, theirs.0);
        assert_ne!(ours.1, theirs.1);
    }

    // After that one, with the same configs, which must not remember anything.
    assert_eq!(connect(&client_config, &server_config, "localhost").unwrap().bytes(), bytes);

    // On other threads at the same time, and moved to another thread half way.
    let mut moved = Pair::new(&client_config, &server_config, "localhost", 7);
    moved.step(usize::MAX).unwrap();
    let handshake = || connect(&client_config, &server_config, "localhost").unwrap().bytes();
    std::thread::scope(|scope| {
        let threads =
            [scope.spawn(handshake), scope.spawn(handshake), scope.spawn(move || moved.run().unwrap().bytes())];
        for thread in threads {
            assert_eq!(thread.join().unwrap(), bytes);
        }
    });
}

#[test]
fn no_protocol_in_common_is_no_application_protocol() {
    let client = |alpn: &[&str]| {
        RustlsClient::builder().alpn(alpn.iter().map(|name| name.as_bytes())).roots([CA]).build().unwrap()
    };
    let server = |alpn: &[&str]| {
        let alpn = alpn.iter().map(|name| name.as_bytes());
        RustlsServer::builder([CERTIFICATE], KEY).alpn(alpn).build().unwrap()
    };
    let cases: [(&[&str], &[&str], &str); 4] = [
        (&["h3"], &["hq-interop"], "the client offers h3, the server speaks hq-interop"),
        (&["a", "b\n"], &["c", "d"], "the client offers a, b\\n, the server speaks c, d"),
        (&["h3"], &[], "the client offers h3, the server speaks none"),
        (&[], &["h3"], "the client offers none, the server speaks h3"),
    ];
    for (offered, spoken, text) in cases {
        let failure = connect(&client(offered), &server(spoken), "localhost").err().unwrap();
        assert_eq!(failure.alert(), (Side::Server, "no_application_protocol"));
        assert_eq!(failure.error.reason, format!("no application protocol in common: {text}"));
        assert_eq!(failure.error.code().0, 0x178);
    }
    // The server's order decides; without protocols on either side there is none.
    let pair = connect(&client(&["a", "b", "c"]), &server(&["c", "b"]), "localhost").unwrap();
    assert_eq!(pair.client.session.alpn(), Some(&b"c"[..]));
    assert_eq!(connect(&client(&[]), &server(&[]), "localhost").unwrap().client.session.alpn(), None);
    // The texts stay short.
    let long = vec!["x".repeat(255); 60];
    let long: Vec<_> = long.iter().map(String::as_str).collect();
    let failure = connect(&client(&long), &server(&["h3"]), "localhost").err().unwrap();
    assert!(failure.error.reason.len() < 300, "{}", failure.error.reason);
}

#[test]
fn a_server_that_chooses_no_protocol_is_left() {
    // The server sees a ClientHello without ALPN. The transcripts differ then, but EncryptedExtensions come first.
    let mut client = End::new(client().start("localhost", start(b"client", [7; 32])).unwrap());
    let (level, mut hello) = client.unsent.pop_front().unwrap();
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'3'];
    let at = hello.windows(alpn.len()).position(|window| window == alpn).unwrap();
    hello[at..at + 2].copy_from_slice(&[0x1a, 0x1a]);
    let Ok(Progress::Done(parsed)) = parse(&hello) else { panic!() };
    assert!(parsed.alpn.is_empty());
    let server = RustlsServer::builder([CERTIFICATE], KEY).build().unwrap();
    let mut server = End::new(server.start(&parsed, start(b"server", [8; 32])).unwrap());
    server.read(level, &hello).unwrap();
    let (level, data) = server.unsent.pop_front().unwrap();
    client.read(level, &data).unwrap();
    let (level, data) = server.unsent.pop_front().unwrap();
    let error = client.read(level, &data).unwrap_err();
    assert_eq!(alert_name(error.alert), "no_application_protocol");
    assert_eq!(error.reason, "the server chose none of our application protocols (h3)");
    assert!(!client.complete);
}

#[test]
fn configs_that_cannot_work_say_why() {
    let client_error = |builder: quillon::tls::rustls::ClientBuilder| builder.build().err().unwrap().to_string();
    let builder = RustlsClient::builder;
    let text = "no trusted root: pass a CA certificate, or accept any certificate in a test";
    assert_eq!(client_error(builder()), text);
    assert!(
        client_error(builder().roots([CA, b"junk"])).starts_with("trusted root 2 of 2 cannot be read, DER is needed:")
    );
    assert!(client_error(builder().roots([b"-----BEGIN CERTIFICATE-----"])).contains("it is PEM, DER is needed"));
    assert_eq!(client_error(builder().roots([CA]).cipher_suites(&[])), "no cipher suite is enabled: name at least one");
    let text = "an application protocol's name has 1 to 255 bytes, this one 0";
    assert_eq!(client_error(builder().roots([CA]).alpn(["h3", ""])), text);

    let server_error = |chain: &[&[u8]], key: &[u8]| {
        let builder = RustlsServer::builder(chain.iter().copied(), key);
        builder.build().err().unwrap().to_string()
    };
    assert_eq!(server_error(&[], KEY), "the server has no certificate: pass its chain");
    assert_eq!(
        server_error(&[CERTIFICATE], b"junk"),
        "the private key cannot be read, DER is needed (PKCS#8, SEC1 or PKCS#1)"
    );
    assert!(server_error(&[CERTIFICATE], b"-----BEGIN PRIVATE KEY-----").contains("it is PEM, DER is needed"));
    assert_eq!(server_error(&[b"junk"], KEY), "the server's certificate cannot be read: DER is needed");
    assert_eq!(
        server_error(&[CA], KEY),
        "the private key does not belong to the certificate: pass the pair that was made together"
    );

    let error = client().start("not a name", start(b"", [0; 32])).err().unwrap();
    assert_eq!(error.reason, "\"not a name\" is neither a DNS name nor an IP address");
}

/// An established pair.
fn established() -> Pair {
    connect(&client(), &server(), "localhost").unwrap()
}

const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const END_OF_EARLY_DATA: [u8; 4] = [5, 0, 0, 0];

#[test]
fn messages_that_quic_forbids_are_unexpected() {
    // RFC 9001 section 6: a TLS KeyUpdate; section 8.3: EndOfEarlyData.
    for message in [&KEY_UPDATE[..], &END_OF_EARLY_DATA] {
        let mut pair = established();
        for end in [&mut pair.client, &mut pair.server] {
            let error = end.read(Level::OneRtt, message).unwrap_err();
            assert_eq!(alert_name(error.alert), "unexpected_message", "{error}");
            assert_eq!(end.read(Level::OneRtt, &[]).unwrap_err(), error, "errors stay");
        }
        let mut pair = Pair::new(&client(), &server(), "localhost", 7);
        pair.step(usize::MAX).unwrap();
        let error = pair.server.read(Level::Handshake, message).unwrap_err();
        assert_eq!(alert_name(error.alert), "unexpected_message", "{error}");
    }
}

#[test]
fn data_at_the_wrong_level_is_unexpected() {
    let mut pair = Pair::new(&client(), &server(), "localhost", 7);
    for level in [Level::ZeroRtt, Level::Handshake, Level::OneRtt] {
        let mut other = Pair::new(&client(), &server(), "localhost", 7);
        let error = other.server.read(level, &pair.client.flights[0].1).unwrap_err();
        assert_eq!(alert_name(error.alert), "unexpected_message");
    }
    // ServerHello and what must be protected by Handshake keys, all in Initial packets.
    pair.step(usize::MAX).unwrap();
    let (_, hello) = pair.server.unsent.pop_front().unwrap();
    let (_, rest) = pair.server.unsent.pop_front().unwrap();
    let error = pair.client.read(Level::Initial, &[hello, rest].concat()).unwrap_err();
    assert_eq!(alert_name(error.alert), "unexpected_message");
    assert_eq!(error.reason, "TLS data in Initial packets, where Handshake is due");
    assert_eq!(pair.client.events, ["crypto Initial", "read Handshake", "write Handshake"]);
}

#[test]
fn messages_that_are_too_long_are_refused_at_their_header() {
    let mut pair = Pair::new(&client(), &server(), "localhost", 7);
    let error = pair.client.read(Level::Initial, &[2, 1, 0, 0]).unwrap_err();
    assert_eq!(alert_name(error.alert), "decode_error");
    assert_eq!(error.reason, "the peer's TLS message is longer than 64 KiB");
}

#[test]
fn with_any_byte_changed_no_handshake_completes() {
    let original = established();
    // The flights in the order in which they are due, each by its sender and its place among the sender's.
    let turns = [(Side::Client, 0), (Side::Server, 0), (Side::Server, 1), (Side::Client, 1)];
    for (side, index) in turns {
        let flights = if side.is_client() { &original.client.flights } else { &original.server.flights };
        for at in 0..flights[index].1.len() {
            let mut pair = Pair::new(&client(), &server(), "localhost", 7);
            for turn in turns {
                let (from, to) = match turn.0 {
                    Side::Client => (&mut pair.client, &mut pair.server),
                    Side::Server => (&mut pair.server, &mut pair.client),
                };
                let Some((level, mut data)) = from.unsent.pop_front() else { break };
                if turn == (side, index) {
                    data[at] ^= 1;
                }
                if to.read(level, &data).is_err() {
                    break;
                }
            }
            assert!(!(pair.client.complete && pair.server.complete), "byte {at} of flight {index} of {side:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_session_panic(
        pieces in prop::collection::vec((0usize..4, prop::collection::vec(any::<u8>(), 0..300)), 1..6),
        steps in 0usize..5,
    ) {
        let mut pair = Pair::new(&client(), &server(), "localhost", 7);
        for _ in 0..steps {
            pair.step(usize::MAX).unwrap();
        }
        let levels = [Level::Initial, Level::ZeroRtt, Level::Handshake, Level::OneRtt];
        for (level, data) in pieces {
            for end in [&mut pair.client, &mut pair.server] {
                let _ = end.read(levels[level], &data);
                let whole = [&[data.len() as u8, 0, (data.len() >> 8) as u8, data.len() as u8], &data[..]].concat();
                let _ = end.read(levels[level], &whole);
            }
        }
    }
}

#[test]
fn key_exchange_groups_are_settings() {
    use quillon::tls::rustls::KeyExchangeGroup::{Secp256r1, Secp384r1, X25519};
    let client = |groups: &[_]| RustlsClient::builder().alpn(["h3"]).roots([CA]).key_exchange_groups(groups).build();
    let server = |groups: &[_]| {
        RustlsServer::builder([CERTIFICATE], KEY).alpn(["h3"]).key_exchange_groups(groups).build().unwrap()
    };
    // A server that wants another group than the client tried asks for it.
    for groups in [&[X25519][..], &[Secp256r1], &[Secp384r1, X25519]] {
        connect(&client(&[X25519, Secp256r1, Secp384r1]).unwrap(), &server(groups), "localhost").unwrap();
    }
    let failure = connect(&client(&[X25519]).unwrap(), &server(&[Secp256r1]), "localhost").err().unwrap();
    assert_eq!(failure.alert(), (Side::Server, "handshake_failure"));
    assert!(client(&[]).is_err());
}
