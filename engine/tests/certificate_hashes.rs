//! Certificates that are known by their SHA-256, in place of roots and names.
#![cfg(feature = "rustls")]

mod tls_pair;

use quillon::error::alert_name;
use quillon::tls::rustls::{HashRule, RustlsClient, RustlsServer};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tls_pair::{CERTIFICATE, KEY, connect};

/// Days in the year of the tests' time, 2025-06-15.
fn certificate(from: (u8, u8), to: (u8, u8)) -> (Vec<u8>, RustlsServer) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["elsewhere.example".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2025, from.0, from.1), date_time_ymd(2025, to.0, to.1));
    let certificate = params.self_signed(&key).unwrap().der().to_vec();
    let server = RustlsServer::builder([certificate.clone()], &key.serialize_der()).build().unwrap();
    (certificate, server)
}

fn sha256(data: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, data).as_ref().try_into().unwrap()
}

fn client(hashes: &[[u8; 32]], rule: HashRule) -> RustlsClient {
    RustlsClient::builder().certificate_hashes(hashes.iter().copied(), rule).build().unwrap()
}

fn refused(client: &RustlsClient, server: &RustlsServer) -> (&'static str, String) {
    let error = connect(client, server, "localhost").err().unwrap().error;
    (alert_name(error.alert), error.reason)
}

#[test]
fn a_known_hash_is_enough() {
    let (known, server) = certificate((1, 1), (12, 31));
    connect(&client(&[[7; 32], sha256(&known)], HashRule::Any), &server, "localhost").unwrap();
}

#[test]
fn another_certificate_is_refused() {
    let (alert, reason) = refused(&client(&[[7; 32]], HashRule::Any), &certificate((1, 1), (12, 31)).1);
    assert_eq!(alert, "certificate_unknown");
    assert!(reason.contains("SHA-256"), "{reason}");
}

#[test]
fn the_rule_of_the_web_wants_short_lives() {
    let (known, server) = certificate((6, 10), (6, 24));
    connect(&client(&[sha256(&known)], HashRule::WebTransport), &server, "localhost").unwrap();
    let cases = [((6, 10), (6, 25), "14 days"), ((6, 1), (6, 10), "expired"), ((6, 20), (6, 25), "not valid yet")];
    for (from, to, expected) in cases {
        let (known, server) = certificate(from, to);
        let (_, reason) = refused(&client(&[sha256(&known)], HashRule::WebTransport), &server);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn names_and_roots_do_not_matter() {
    let server = RustlsServer::builder([CERTIFICATE], KEY).build().unwrap();
    connect(&client(&[sha256(CERTIFICATE)], HashRule::Any), &server, "another.example").unwrap();
}

#[test]
fn one_hash_at_least() {
    assert!(RustlsClient::builder().certificate_hashes([], HashRule::Any).build().is_err());
    assert!(RustlsClient::builder().certificate_hashes([[0; 32]; 65], HashRule::Any).build().is_err());
}
