//! A server whose caller looks at the ClientHello and decides: which configuration, or none.

mod pair;

use std::sync::Arc;
use std::time::Duration;

use pair::{MILLISECOND, Pair, SECOND, client_config, server_config};
use quillon::error::TransportErrorCode;
use quillon::tls::alert;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::transport_parameters::TransportParameters;
use quillon::wire::{Side, Version};
use quillon::{
    ConnectionError, ConnectionHandle, DecisionError, Event, ServerConfig, TransportSettings, VersionSettings,
};
use rcgen::{CertificateParams, KeyPair};

fn asking() -> Arc<ServerConfig> {
    let config = Arc::unwrap_or_clone(server_config(TransportSettings::default()));
    Arc::new(ServerConfig { ask_on_client_hello: true, ..config })
}

/// A pair whose server asks, with a ClientHello that has just arrived.
fn asked() -> (Pair, ConnectionHandle, ConnectionHandle) {
    asked_by(&client_config(TransportSettings::default()))
}

fn asked_by(config: &quillon::ClientConfig) -> (Pair, ConnectionHandle, ConnectionHandle) {
    let mut pair = Pair::default();
    pair.server.endpoint.set_server(Some(asking())).unwrap();
    let client = pair.connect_with(config, "localhost");
    pair.run_for(15 * MILLISECOND);
    let server = pair.server.saw(&Event::ClientHello).expect("the question");
    (pair, client, server)
}

fn transport_error(error: Option<ConnectionError>) -> (TransportErrorCode, String, bool) {
    match error {
        Some(ConnectionError::Transport { code, reason, by_peer, .. }) => (code, reason, by_peer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_question_tells_what_the_client_wants() {
    let (mut pair, _, server) = asked();
    let connection = pair.server.connection(server);
    let hello = connection.client_hello().unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("localhost"));
    assert_eq!(hello.alpn, [b"test"]);
    let parameters = TransportParameters::decode(&hello.transport_parameters, Side::Client).unwrap();
    let mut versions = parameters.version_information.unwrap().available;
    versions.retain(|version| !version.is_reserved());
    assert_eq!(versions, [Version::V1, Version::V2]);
    assert_eq!(parameters.initial_max_streams_bidi, 100);
    assert!(!connection.is_handshake_complete());
    assert_eq!(connection.alpn(), None);
}

#[test]
fn the_chosen_configuration_serves_the_client() {
    let (mut pair, client, server) = asked();
    let versions = VersionSettings { preferred: vec![Version::V2], ..VersionSettings::default() };
    let transport = TransportSettings { versions, initial_max_streams_bidi: 3, ..TransportSettings::default() };
    let now = pair.now;
    pair.server.connection(server).choose(now, &server_config(transport)).unwrap();
    assert_eq!(pair.server.connection(server).client_hello(), None);
    pair.settle();
    assert!(pair.server.saw(&Event::HandshakeComplete).is_some());
    let connection = pair.client.connection(client);
    assert!(connection.is_handshake_confirmed());
    assert_eq!(connection.version(), Version::V2);
    for _ in 0..3 {
        let id = connection.open(quillon::Dir::Bidi).unwrap();
        connection.write(id, b"x").unwrap();
    }
    assert!(connection.open(quillon::Dir::Bidi).is_err(), "the limit of the chosen configuration");
    pair.settle();
    assert!(!pair.server.connection(server).is_closed());
    assert!(pair.server.saw(&Event::ClientHello).is_none(), "asked once");
}

/// H7: while the caller takes its time nothing fails and nothing is sent but acknowledgments; then it goes on.
#[test]
fn h7_the_decision_may_come_later() {
    let (mut pair, client, server) = asked();
    pair.run_for(4 * SECOND);
    assert!(!pair.server.connection(server).is_closed());
    assert!(!pair.client.connection(client).is_closed());
    assert!(pair.server.connection(server).client_hello().is_some());
    assert!(pair.server.saw(&Event::ClientHello).is_none(), "asked once, however often the client repeats itself");
    // The client's first flight was acknowledged: it only probes now, and the server stays within three times as much.
    let received: usize = pair.client.sent.iter().map(Vec::len).sum();
    let sent: usize = pair.server.sent.iter().map(Vec::len).sum();
    assert!(sent > 0 && sent <= 3 * received, "{sent} of {received}");
    let now = pair.now;
    pair.server.connection(server).choose(now, &server_config(TransportSettings::default())).unwrap();
    pair.settle();
    assert!(pair.client.connection(client).is_handshake_confirmed());
    assert!(pair.server.connection(server).is_handshake_confirmed());
}

/// H7: a decision that never comes ends with the handshake's deadline.
#[test]
fn h7_without_a_decision_the_handshake_times_out() {
    let (mut pair, _, _) = asked();
    pair.run_for(11 * SECOND);
    assert_eq!(pair.server.closed(), Some(ConnectionError::HandshakeTimeout));
    pair.run_for(SECOND);
    assert_eq!(pair.server.endpoint.connection_count(), 0);
}

#[test]
fn a_refusal_reaches_the_client() {
    for code in [TransportErrorCode::CONNECTION_REFUSED, TransportErrorCode::crypto(112)] {
        let (mut pair, _, server) = asked();
        let now = pair.now;
        pair.server.connection(server).refuse(now, code, "not here").unwrap();
        pair.settle();
        assert_eq!(transport_error(pair.client.closed()), (code, "not here".into(), true));
        assert_eq!(transport_error(pair.server.closed()), (code, "not here".into(), false));
    }
}

#[test]
fn decisions_without_a_question_are_errors() {
    let (mut pair, _, server) = asked();
    let (now, config) = (pair.now, server_config(TransportSettings::default()));
    let invalid = Arc::new(ServerConfig {
        transport: TransportSettings { ack_delay_exponent: 21, ..TransportSettings::default() },
        ..Arc::unwrap_or_clone(config.clone())
    });
    let connection = pair.server.connection(server);
    assert!(matches!(connection.choose(now, &invalid), Err(DecisionError::Settings(_))));
    connection.choose(now, &config).unwrap();
    assert_eq!(connection.choose(now, &config), Err(DecisionError::NothingToDecide));
    let refused = connection.refuse(now, TransportErrorCode::CONNECTION_REFUSED, "");
    assert_eq!(refused, Err(DecisionError::NothingToDecide));
    pair.settle();
    assert!(pair.server.saw(&Event::HandshakeComplete).is_some());

    let (mut pair, _, server) = asked();
    let now = pair.now;
    let connection = pair.server.connection(server);
    connection.close(now, 0, b"");
    assert_eq!(connection.choose(now, &config), Err(DecisionError::NothingToDecide));
}

#[test]
fn a_configuration_that_cannot_serve_the_client_closes_the_connection() {
    let (mut pair, _, server) = asked();
    let chain = [include_bytes!("data/localhost.der").as_slice()];
    let tls = RustlsServer::builder(chain, include_bytes!("data/localhost.key.der")).alpn(["other"]).build().unwrap();
    let now = pair.now;
    pair.server.connection(server).choose(now, &Arc::new(ServerConfig::new(Arc::new(tls)))).unwrap();
    pair.settle();
    let (code, _, by_peer) = transport_error(pair.client.closed());
    assert_eq!((code, by_peer), (TransportErrorCode::crypto(alert::NO_APPLICATION_PROTOCOL), true));
}

fn self_signed(name: &str) -> (Vec<u8>, Vec<u8>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    (params.self_signed(&key).unwrap().der().to_vec(), key.serialize_der())
}

#[test]
fn certificates_are_chosen_by_name() {
    let names = ["a.example", "*.b.example", "default.example"];
    let certificates = names.map(self_signed);
    let [(a, a_key), (b, b_key), (default, default_key)] = certificates.clone();
    let tls = RustlsServer::builder([default], &default_key)
        .certificate_for("A.example", [a], &a_key)
        .certificate_for("*.b.example", [b], &b_key)
        .alpn(["test"])
        .build()
        .unwrap();
    let config = Arc::new(ServerConfig::new(Arc::new(tls)));
    for (asked, shown) in
        [("a.example", 0), ("x.B.example", 1), ("b.example", 2), ("x.y.b.example", 2), ("192.0.2.2", 2)]
    {
        let mut pair = Pair::default();
        pair.server.endpoint.set_server(Some(config.clone())).unwrap();
        let client = RustlsClient::builder().alpn(["test"]).danger_accept_any_certificate().build().unwrap();
        let handle = pair.connect_with(&quillon::ClientConfig::new(Arc::new(client)), asked);
        pair.settle();
        assert_eq!(pair.client.connection(handle).peer_certificates(), [certificates[shown].0.clone()], "{asked}");
    }
}

#[test]
fn a_deadline_of_our_own_may_be_shorter() {
    let mut pair = Pair::default();
    let config = Arc::unwrap_or_clone(asking());
    let transport =
        TransportSettings { handshake_timeout: Some(Duration::from_secs(1)), ..TransportSettings::default() };
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig { transport, ..config }))).unwrap();
    pair.connect();
    pair.run_for(2 * SECOND);
    assert_eq!(pair.server.closed(), Some(ConnectionError::HandshakeTimeout));
}
