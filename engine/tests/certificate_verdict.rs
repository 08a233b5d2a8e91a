//! The caller's verdict on the peer's certificate, at once or later.
#![cfg(feature = "rustls")]

mod pair;

use std::sync::Arc;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::error::TransportErrorCode;
use quillon::tls::alert;
use quillon::tls::rustls::{ClientAuthentication, RustlsClient, RustlsServer, SessionStore};
use quillon::{ClientConfig, ConnectionError, ConnectionHandle, DecisionError, Dir, Event, ServerConfig};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

const CHAIN: &[u8] = include_bytes!("data/localhost.der");
const KEY: &[u8] = include_bytes!("data/localhost.key.der");
const CA: &[u8] = include_bytes!("data/ca.der");

/// A pair in which the client asks its caller, with the question just put.
fn client_asks() -> (Pair, ConnectionHandle) {
    let mut pair = Pair::default();
    let tls = RustlsClient::builder().alpn(["test"]).roots([CA]).ask_for_verdict(true).build().unwrap();
    let client = pair.connect_with(&ClientConfig::new(Arc::new(tls)), "localhost");
    pair.run_for(25 * MILLISECOND);
    assert_eq!(pair.client.saw(&Event::PeerCertificate), Some(client), "{:?}", pair.client.events);
    (pair, client)
}

/// A pair in which the server asks its caller about a client whose certificate it cannot check.
fn server_asks() -> (Pair, ConnectionHandle, ConnectionHandle, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    let none: [Vec<u8>; 0] = [];
    let server = RustlsServer::builder([CHAIN], KEY)
        .alpn(["test"])
        .client_certificates(none, ClientAuthentication::Required)
        .ask_for_verdict(true)
        .build()
        .unwrap();
    let client = RustlsClient::builder()
        .alpn(["test"])
        .roots([CA])
        .client_certificate([certificate.clone()], &key.serialize_der())
        .build()
        .unwrap();
    let mut pair = Pair::default();
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig::new(Arc::new(server))))).unwrap();
    let client = pair.connect_with(&ClientConfig::new(Arc::new(client)), "localhost");
    pair.run_for(35 * MILLISECOND);
    let server = pair.server.saw(&Event::PeerCertificate).expect("the question");
    (pair, client, server, certificate)
}

fn transport_error(error: Option<ConnectionError>) -> (TransportErrorCode, String, bool) {
    match error {
        Some(ConnectionError::Transport { code, reason, by_peer, .. }) => (code, reason, by_peer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_accepts_at_once() {
    let (mut pair, client) = client_asks();
    let now = pair.now;
    let connection = pair.client.connection(client);
    assert_eq!(connection.peer_certificates()[0], CHAIN);
    assert!(!connection.is_handshake_complete());
    connection.accept_certificate(now).unwrap();
    assert!(connection.is_handshake_complete());
    assert_eq!(connection.accept_certificate(now), Err(DecisionError::NothingToDecide));
    pair.settle();
    assert!(pair.client.connection(client).is_handshake_confirmed());
    assert!(pair.server.saw(&Event::HandshakeComplete).is_some());
}

/// H7: until the client's caller has decided, the server hears no Finished and no data; then the handshake goes on.
#[test]
fn h7_a_client_accepts_later() {
    let (mut pair, client) = client_asks();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"for friends").unwrap();
    pair.run_for(5 * SECOND);
    assert!(pair.server.saw(&Event::HandshakeComplete).is_none(), "our Finished waits");
    assert!(!pair.client.connection(client).is_handshake_complete());
    assert!(pair.client.saw(&Event::PeerCertificate).is_none(), "asked once");
    let now = pair.now;
    pair.client.connection(client).accept_certificate(now).unwrap();
    pair.settle();
    assert!(pair.client.connection(client).is_handshake_confirmed());
    let server = pair.server.saw(&Event::HandshakeComplete).unwrap();
    let mut data = [0; 16];
    let read = pair.server.connection(server).read(id, &mut data).unwrap();
    assert_eq!(&data[..read.len], b"for friends");
}

#[test]
fn a_client_rejects() {
    let (mut pair, client) = client_asks();
    let now = pair.now;
    let connection = pair.client.connection(client);
    connection.reject_certificate(now, alert::CERTIFICATE_UNKNOWN, "not the one I know").unwrap();
    assert_eq!(connection.accept_certificate(now), Err(DecisionError::NothingToDecide));
    pair.settle();
    let expected = TransportErrorCode::crypto(alert::CERTIFICATE_UNKNOWN);
    assert_eq!(transport_error(pair.client.closed()), (expected, "not the one I know".into(), false));
    assert_eq!(transport_error(pair.server.closed()), (expected, "not the one I know".into(), true));
    assert!(pair.server.saw(&Event::HandshakeComplete).is_none());
}

/// The checks that were asked for come first: what fails them is refused without a question.
#[test]
fn what_fails_the_checks_is_not_asked_about() {
    let mut pair = Pair::default();
    let tls = RustlsClient::builder().alpn(["test"]).roots([CA]).ask_for_verdict(true).build().unwrap();
    pair.connect_with(&ClientConfig::new(Arc::new(tls)), "another.example");
    pair.settle();
    assert!(pair.client.saw(&Event::PeerCertificate).is_none());
    assert_eq!(transport_error(pair.client.closed()).0, TransportErrorCode::crypto(alert::BAD_CERTIFICATE));
}

/// H7: a verdict that never comes ends with the handshake's deadline.
#[test]
fn h7_without_a_verdict_the_handshake_times_out() {
    let (mut pair, _) = client_asks();
    pair.run_for(11 * SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::HandshakeTimeout));
}

#[test]
fn a_server_accepts_later_and_the_clients_data_waits() {
    let (mut pair, client, server, certificate) = server_asks();
    assert_eq!(pair.server.connection(server).peer_certificates(), [certificate]);
    assert!(pair.client.connection(client).is_handshake_complete(), "the client has done its part");
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"let me in").unwrap();
    pair.run_for(2 * SECOND);
    assert!(!pair.server.connection(server).is_handshake_complete());
    assert!(!pair.client.connection(client).is_handshake_confirmed());
    assert!(pair.server.saw(&Event::StreamOpened { id }).is_none());
    let now = pair.now;
    pair.server.connection(server).accept_certificate(now).unwrap();
    pair.settle();
    assert!(pair.client.connection(client).is_handshake_confirmed());
    let mut data = [0; 16];
    let read = pair.server.connection(server).read(id, &mut data).unwrap();
    assert_eq!(&data[..read.len], b"let me in");
}

#[test]
fn a_server_rejects() {
    let (mut pair, _, server, _) = server_asks();
    let now = pair.now;
    pair.server.connection(server).reject_certificate(now, alert::ACCESS_DENIED, "not on the list").unwrap();
    pair.settle();
    let expected = TransportErrorCode::crypto(alert::ACCESS_DENIED);
    assert_eq!(transport_error(pair.server.closed()), (expected, "not on the list".into(), false));
    assert_eq!(transport_error(pair.client.closed()), (expected, "not on the list".into(), true));
}

#[test]
fn a_resumed_session_asks_again_and_sends_no_early_data() {
    let server =
        RustlsServer::builder([CHAIN], KEY).alpn(["test"]).session_store(SessionStore::new(4)).build().unwrap();
    let mut pair = Pair::default();
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig::new(Arc::new(server))))).unwrap();
    let tls = RustlsClient::builder().alpn(["test"]).roots([CA]).ask_for_verdict(true).build().unwrap();
    let mut config = ClientConfig { early_data: true, ..ClientConfig::new(Arc::new(tls)) };
    let accept = |pair: &mut Pair, client| {
        pair.run_for(25 * MILLISECOND);
        assert_eq!(pair.client.saw(&Event::PeerCertificate), Some(client), "{:?}", pair.client.events);
        assert!(!pair.client.connection(client).is_handshake_complete());
        let now = pair.now;
        pair.client.connection(client).accept_certificate(now).unwrap();
        pair.settle();
        assert!(pair.client.connection(client).is_handshake_confirmed());
    };
    let first = pair.connect_with(&config, "localhost");
    accept(&mut pair, first);
    let session = pair.client.take(|event| match event {
        Event::NewSession(session) => Some((**session).clone()),
        _ => None,
    });
    config.session = Some(session.expect("a ticket").1);

    pair.client.sent.clear();
    let second = pair.connect_with(&config, "localhost");
    if let Ok(id) = pair.client.connection(second).open(Dir::Uni) {
        let _ = pair.client.connection(second).write(id, b"early");
    }
    accept(&mut pair, second);
    assert!(pair.client.connection(second).is_resumed());
    assert_eq!(pair.client.connection(second).peer_certificates()[0], CHAIN);
    let zero_rtt = |datagram: &Vec<u8>| datagram[0] & 0xb0 == 0x90;
    assert!(!pair.client.sent.iter().any(zero_rtt), "data waits for the verdict");
}

#[test]
fn a_server_asks_again_where_a_session_is_resumed() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    let none: [Vec<u8>; 0] = [];
    let server = RustlsServer::builder([CHAIN], KEY)
        .alpn(["test"])
        .client_certificates(none, ClientAuthentication::Required)
        .ask_for_verdict(true)
        .session_store(SessionStore::new(4))
        .build()
        .unwrap();
    let client = RustlsClient::builder()
        .alpn(["test"])
        .roots([CA])
        .client_certificate([certificate.clone()], &key.serialize_der())
        .build()
        .unwrap();
    let mut pair = Pair::default();
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig::new(Arc::new(server))))).unwrap();
    let mut config = ClientConfig { early_data: true, ..ClientConfig::new(Arc::new(client)) };
    for round in 0..2 {
        let client = pair.connect_with(&config, "localhost");
        if round == 1 {
            let id = pair.client.connection(client).open(Dir::Uni).unwrap();
            pair.client.connection(client).write(id, b"early").unwrap();
        }
        pair.run_for(100 * MILLISECOND);
        let server = pair.server.saw(&Event::PeerCertificate).expect("the question");
        assert_eq!(pair.server.connection(server).peer_certificates()[0], certificate);
        assert!(pair.server.take(|event| matches!(event, Event::StreamOpened { .. }).then_some(())).is_none());
        assert!(!pair.server.connection(server).is_handshake_complete());
        let now = pair.now;
        pair.server.connection(server).accept_certificate(now).unwrap();
        pair.settle();
        assert_eq!(pair.server.connection(server).is_resumed(), round == 1);
        assert!(pair.client.connection(client).is_handshake_confirmed());
        let session = pair.client.take(|event| match event {
            Event::NewSession(session) => Some((**session).clone()),
            _ => None,
        });
        config.session = session.map(|(_, session)| session);
    }
    let opened = pair.server.take(|event| matches!(event, Event::StreamOpened { .. }).then_some(()));
    assert!(opened.is_some(), "the data came after the verdict");
}
