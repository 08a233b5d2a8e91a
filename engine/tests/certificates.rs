//! Which certificates a client accepts, and what it says of the others.
#![cfg(feature = "rustls")]

mod tls_pair;

use quillon::error::alert_name;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::wire::Side;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tls_pair::{CA, Pair, client, connect, server};

fn params(names: &[&str], years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

/// A CA and a server with a certificate from it.
fn issued(of: CertificateParams) -> (Vec<u8>, RustlsServer) {
    let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = params(&[], (2000, 2100));
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let certificate = of.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap();
    let server = RustlsServer::builder([certificate.der().to_vec()], &key.serialize_der()).build().unwrap();
    (ca_certificate.der().to_vec(), server)
}

fn self_signed(of: CertificateParams) -> (Vec<u8>, RustlsServer) {
    let key = KeyPair::generate().unwrap();
    let certificate = of.self_signed(&key).unwrap().der().to_vec();
    let server = RustlsServer::builder([certificate.clone()], &key.serialize_der()).build().unwrap();
    (certificate, server)
}

fn trusting(root: Vec<u8>) -> RustlsClient {
    RustlsClient::builder().roots([root]).build().unwrap()
}

fn refused(root: Vec<u8>, server: &RustlsServer, name: &str) -> (&'static str, String) {
    let failure = connect(&trusting(root), server, name).err().unwrap();
    let (side, alert) = failure.alert();
    assert_eq!(side, Side::Client);
    (alert, failure.error.reason)
}

#[test]
fn good_ones_are_accepted() {
    let (root, server) = issued(params(&["a.example", "*.b.example", "10.0.0.1"], (2020, 2030)));
    for name in ["a.example", "A.Example", "x.b.example", "10.0.0.1"] {
        connect(&trusting(root.clone()), &server, name).unwrap();
    }
    let (certificate, server) = self_signed(params(&["a.example"], (2020, 2030)));
    connect(&trusting(certificate), &server, "a.example").unwrap();
}

#[test]
fn an_unknown_authority_is_refused() {
    let (_, server) = issued(params(&["a.example"], (2020, 2030)));
    let text = "the server's certificate is signed by an unknown authority: \
        pass its CA certificate, or accept any certificate in a test";
    assert_eq!(refused(CA.to_vec(), &server, "a.example"), ("unknown_ca", text.into()));
    let (_, server) = self_signed(params(&["a.example"], (2020, 2030)));
    assert_eq!(refused(CA.to_vec(), &server, "a.example"), ("unknown_ca", text.into()));
    let anything = RustlsClient::builder().danger_accept_any_certificate().build().unwrap();
    connect(&anything, &server, "a.example").unwrap();
    connect(&anything, &server, "b.example").unwrap();
}

#[test]
fn another_name_is_refused() {
    let (root, server) = issued(params(&["a.example"], (2020, 2030)));
    let text = "the server's certificate is not for b.example but for a.example: connect to one of these names";
    assert_eq!(refused(root.clone(), &server, "b.example"), ("bad_certificate", text.into()));
    let text = "the server's certificate is not for 10.0.0.1 but for a.example: connect to one of these names";
    assert_eq!(refused(root, &server, "10.0.0.1"), ("bad_certificate", text.into()));

    let names: Vec<_> = (0..9).map(|number| format!("{number}.example")).collect();
    let (root, server) = issued(params(&names.iter().map(String::as_str).collect::<Vec<_>>(), (2020, 2030)));
    let (_, text) = refused(root, &server, "b.example");
    assert!(text.contains("but for 0.example, 1.example, 2.example, 3.example and 5 more:"), "{text}");

    let (root, server) = issued(params(&[], (2020, 2030)));
    let text = "the server's certificate is not for b.example: connect to a name that it carries";
    assert_eq!(refused(root, &server, "b.example"), ("bad_certificate", text.into()));
}

#[test]
fn another_time_is_refused() {
    let (root, server) = issued(params(&["a.example"], (2020, 2024)));
    let text = "the server's certificate expired 531 days ago: it must be renewed, or the clock here is wrong";
    assert_eq!(refused(root, &server, "a.example"), ("certificate_expired", text.into()));
    let (root, server) = issued(params(&["a.example"], (2026, 2027)));
    let text = "the server's certificate becomes valid only in 199 days: is the clock here right?";
    assert_eq!(refused(root, &server, "a.example"), ("certificate_expired", text.into()));
}

#[test]
fn the_wrong_kind_is_refused() {
    let mut other = params(&["a.example"], (2020, 2030));
    other.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let (root, server) = issued(other);
    let text = "the server's certificate is not for servers: it needs the usage serverAuth";
    assert_eq!(refused(root, &server, "a.example"), ("unsupported_certificate", text.into()));

    let mut authority = params(&["a.example"], (2020, 2030));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let (root, server) = self_signed(authority);
    let text = "the server uses a CA certificate as its own: it needs one that the CA has signed";
    assert_eq!(refused(root, &server, "a.example"), ("certificate_unknown", text.into()));
}

#[test]
fn a_wrong_proof_of_the_key_is_refused() {
    let mut pair = Pair::new(&client(), &server(), "localhost", 7);
    pair.step(usize::MAX).unwrap();
    pair.step(usize::MAX).unwrap();
    let (level, flight) = pair.server.unsent.pop_front().unwrap();
    // CertificateVerify is the message of type 15; its last byte belongs to the signature.
    let mut at = 0;
    while flight[at] != 15 {
        at += 4 + usize::from(flight[at + 2]) * 256 + usize::from(flight[at + 3]);
    }
    let end = at + 4 + usize::from(flight[at + 2]) * 256 + usize::from(flight[at + 3]);
    let mut forged = flight.clone();
    forged[end - 1] ^= 1;
    let error = pair.client.read(level, &forged).unwrap_err();
    assert_eq!(alert_name(error.alert), "decrypt_error");
    assert_eq!(error.reason, "the server's certificate or its proof of the key has a wrong signature");
}

#[test]
fn keys_of_other_kinds_load() {
    for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params(&["a.example"], (2020, 2030)).self_signed(&key).unwrap().der().to_vec();
        let server = RustlsServer::builder([certificate.clone()], &key.serialize_der()).build().unwrap();
        connect(&trusting(certificate), &server, "a.example").unwrap();
    }
}
