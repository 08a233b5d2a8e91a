//! Certificates of clients: asked for, required, shown, refused.
#![cfg(feature = "rustls")]

mod pair;

use std::sync::Arc;

use pair::Pair;
use quillon::error::TransportErrorCode;
use quillon::tls::rustls::{ClientAuthentication, ConfigError, RustlsClient, RustlsServer, ServerBuilder};
use quillon::{ClientConfig, ConnectionError, Event, ServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};

const CHAIN: &[u8] = include_bytes!("data/localhost.der");
const KEY: &[u8] = include_bytes!("data/localhost.key.der");
const CA: &[u8] = include_bytes!("data/ca.der");

/// An authority for clients, and a certificate that it issued, with its key.
struct Issued {
    root: Vec<u8>,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn issued(purpose: ExtendedKeyUsagePurpose, until: i32) -> Issued {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Each authority has a name of its own, as in life.
    ca.distinguished_name.push(DnType::CommonName, format!("Authority {:?}", &ca_key.public_key_raw()[1..9]));
    let root = ca.self_signed(&ca_key).unwrap().der().to_vec();
    let mut params = CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
    params.extended_key_usages = vec![purpose];
    let certificate = params.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap().der().to_vec();
    Issued { root, certificate, key: key.serialize_der() }
}

fn good() -> Issued {
    issued(ExtendedKeyUsagePurpose::ClientAuth, 2030)
}

fn server() -> ServerBuilder {
    RustlsServer::builder([CHAIN], KEY).alpn(["test"])
}

/// Runs a handshake: the pair, with the server's connection where the handshake completed.
fn handshake(server: ServerBuilder, shown: Option<&Issued>) -> (Pair, Option<quillon::ConnectionHandle>) {
    let mut client = RustlsClient::builder().alpn(["test"]).roots([CA]);
    if let Some(shown) = shown {
        client = client.client_certificate([shown.certificate.clone()], &shown.key);
    }
    let mut pair = Pair::default();
    pair.server.endpoint.set_server(Some(Arc::new(ServerConfig::new(Arc::new(server.build().unwrap()))))).unwrap();
    pair.connect_with(&ClientConfig::new(Arc::new(client.build().unwrap())), "localhost");
    pair.settle();
    let handle = pair.server.saw(&Event::HandshakeComplete);
    (pair, handle)
}

/// The alert by which the server refused, seen at both ends.
fn refused(server: ServerBuilder, shown: Option<&Issued>) -> (u8, String) {
    let (mut pair, handle) = handshake(server, shown);
    assert_eq!(handle, None);
    let Some(ConnectionError::Transport { code, reason, by_peer: false, .. }) = pair.server.closed() else { panic!() };
    let Some(ConnectionError::Transport { code: told, by_peer: true, .. }) = pair.client.closed() else { panic!() };
    assert_eq!(told, code);
    (TransportErrorCode::alert(code).unwrap(), reason)
}

#[test]
fn a_required_certificate_is_shown_and_told() {
    for authentication in [ClientAuthentication::Required, ClientAuthentication::Optional] {
        let shown = good();
        let (mut pair, handle) =
            handshake(server().client_certificates([shown.root.clone()], authentication), Some(&shown));
        let connection = pair.server.connection(handle.expect("the handshake completes"));
        assert_eq!(connection.peer_certificates(), [shown.certificate]);
        assert!(connection.is_handshake_confirmed());
    }
}

#[test]
fn an_optional_certificate_may_be_missing() {
    let root = good().root;
    let (mut pair, handle) = handshake(server().client_certificates([root], ClientAuthentication::Optional), None);
    assert!(pair.server.connection(handle.unwrap()).peer_certificates().is_empty());
}

#[test]
fn a_certificate_that_nobody_asks_for_is_not_shown() {
    let (mut pair, handle) = handshake(server(), Some(&good()));
    assert!(pair.server.connection(handle.unwrap()).peer_certificates().is_empty());
}

#[test]
fn a_missing_or_bad_certificate_is_refused_with_its_alert() {
    let shown = good();
    let asking = |root: &Issued| server().client_certificates([root.root.clone()], ClientAuthentication::Required);
    assert_eq!(refused(asking(&shown), None).0, 116, "certificate_required");
    assert_eq!(refused(asking(&shown), Some(&good())).0, 48, "unknown_ca");
    let expired = issued(ExtendedKeyUsagePurpose::ClientAuth, 2025);
    let (alert, reason) = refused(asking(&expired), Some(&expired));
    assert_eq!(alert, 45, "certificate_expired");
    assert_eq!(reason, "the client's certificate has expired: it must be renewed");
    let wrong = issued(ExtendedKeyUsagePurpose::ServerAuth, 2030);
    assert!(refused(asking(&wrong), Some(&wrong)).1.contains("clientAuth"));
}

#[test]
fn settings_that_check_nothing_are_refused() {
    let none: [Vec<u8>; 0] = [];
    let error: ConfigError =
        server().client_certificates(none.clone(), ClientAuthentication::Required).build().err().unwrap();
    assert!(error.to_string().contains("ask for the verdict"));
    assert!(server().client_certificates(none, ClientAuthentication::Required).ask_for_verdict(true).build().is_ok());
    let client = RustlsClient::builder().roots([CA]).client_certificate([CHAIN], b"no key").build();
    assert!(client.is_err());
}
