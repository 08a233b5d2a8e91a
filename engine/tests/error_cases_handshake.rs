//! What a peer must not say in the handshake: transport parameters and TLS messages, provoked by an end whose TLS is
//! made to say them. The connection closes with the code that the RFC names, and the peer reads it.

mod puppet;

use quillon::Side;
use quillon::error::TransportErrorCode as Code;
use quillon::packet::Frame;
use quillon::wire::{Level, Reader};
use quillon::{ServerConfig, TransportSettings};

use puppet::Puppets;
use puppet::forge::encode;
use puppet::pair::{client_config, server_config};
use std::sync::Arc;

/// RFC 8446 section 6.
const UNEXPECTED_MESSAGE: Code = Code::crypto(10);
const MISSING_EXTENSION: Code = Code::crypto(109);
const NO_APPLICATION_PROTOCOL: Code = Code::crypto(120);

/// A KeyUpdate message that asks for none in return, and an EndOfEarlyData message (RFC 8446 sections 4.5 and 4.6.3).
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const END_OF_EARLY_DATA: [u8; 4] = [5, 0, 0, 0];

const ALPN_EXTENSION: u16 = 16;
const TRANSPORT_PARAMETERS_EXTENSION: u16 = 0x39;

/// The transport parameter's encoding; `value` is raw.
fn parameter(id: u8, value: &[u8]) -> Vec<u8> {
    [&[id, value.len() as u8], value].concat()
}

/// Encoded transport parameters without the one of that identifier.
fn without(encoded: &[u8], id: u64) -> Vec<u8> {
    let mut reader = Reader::new(encoded);
    let mut kept = Vec::new();
    while !reader.is_empty() {
        let start = reader.position();
        let found = reader.varint().unwrap();
        reader.varint_bytes().unwrap();
        if found != id {
            kept.extend_from_slice(&encoded[start..reader.position()]);
        }
    }
    kept
}

/// A ClientHello or EncryptedExtensions at the start of `flight`, without the extension of that type.
fn without_extension(flight: &[u8], ty: u16) -> Vec<u8> {
    let u16_at = |at: usize| usize::from(flight[at]) << 8 | usize::from(flight[at + 1]);
    let message_end = 4 + (usize::from(flight[1]) << 16 | u16_at(2));
    let start = match flight[0] {
        1 => {
            let suites = 4 + 2 + 32 + 1 + usize::from(flight[38]);
            let compression = suites + 2 + u16_at(suites);
            compression + 1 + usize::from(flight[compression])
        }
        8 => 4,
        other => panic!("message {other}"),
    };
    let mut extensions = Vec::new();
    let mut at = start + 2;
    while at < message_end {
        let end = at + 4 + u16_at(at + 2);
        if u16_at(at) != usize::from(ty) {
            extensions.extend_from_slice(&flight[at..end]);
        }
        at = end;
    }
    let len = (start - 4 + 2 + extensions.len()) as u32;
    let mut out = vec![flight[0]];
    out.extend_from_slice(&len.to_be_bytes()[1..]);
    out.extend_from_slice(&flight[4..start]);
    out.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    out.extend_from_slice(&extensions);
    out.extend_from_slice(&flight[message_end..]);
    out
}

/// The end `me` closes with `code` when its peer's transport parameters are changed so.
fn parameters(me: Side, case: &str, code: Code, change: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static) {
    let mut puppets = Puppets::default();
    puppets.tap(me.peer()).rewrite_parameters(change);
    puppets.connect();
    puppets.assert_closes(me, code, case);
}

/// The end `me` closes with `code` when its peer's TLS messages of `level` are changed so.
fn words(me: Side, level: Level, case: &str, code: Code, mut change: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static) {
    let mut puppets = Puppets::default();
    let change = move |found, data| if found == level { change(data) } else { data };
    puppets.tap(me.peer()).rewrite(change);
    puppets.connect();
    puppets.assert_closes(me, code, case);
}

const BOTH: [Side; 2] = [Side::Server, Side::Client];

#[test]
fn transport_parameters_out_of_range() {
    let rows: [(&str, Vec<u8>); 8] = [
        ("9000 18.2: max_udp_payload_size of 1199", parameter(0x03, &[0x44, 0xaf])),
        ("9000 18.2: ack_delay_exponent of 21", parameter(0x0a, &[21])),
        ("9000 18.2: max_ack_delay of 2^14", parameter(0x0b, &[0x80, 0, 0x40, 0])),
        ("9000 18.2: active_connection_id_limit of 1", parameter(0x0e, &[1])),
        ("9000 18.2: initial_max_streams_bidi above 2^60", parameter(0x08, &[0xd0, 0, 0, 0, 0, 0, 0, 1])),
        ("9000 18.2: initial_max_streams_uni above 2^60", parameter(0x09, &[0xd0, 0, 0, 0, 0, 0, 0, 1])),
        ("9000 18.2: a value longer than its integer", parameter(0x01, &[1, 1])),
        ("9000 18: a parameter that ends too early", vec![0x01, 0x04, 0x00]),
    ];
    for me in BOTH {
        for (case, bad) in &rows {
            let bad = bad.clone();
            let id = u64::from(bad[0]);
            parameters(me, case, Code::TRANSPORT_PARAMETER_ERROR, move |own| [without(&own, id), bad.clone()].concat());
        }
        parameters(me, "9000 7.4: a parameter twice", Code::TRANSPORT_PARAMETER_ERROR, |own| {
            [&own[..], &parameter(0x0f, &[1; 8])].concat()
        });
    }
}

#[test]
fn connection_ids_that_transport_parameters_must_confirm() {
    for me in BOTH {
        let code = Code::TRANSPORT_PARAMETER_ERROR;
        parameters(me, "9000 7.3: initial_source_connection_id is missing", code, |own| without(&own, 0x0f));
        parameters(me, "9000 7.3: initial_source_connection_id is another", code, |own| {
            [without(&own, 0x0f), parameter(0x0f, &[1; 8])].concat()
        });
    }
    let client = |case, change: fn(Vec<u8>) -> Vec<u8>| {
        parameters(Side::Client, case, Code::TRANSPORT_PARAMETER_ERROR, change);
    };
    client("9000 7.3: original_destination_connection_id is missing", |own| without(&own, 0x00));
    client("9000 7.3: original_destination_connection_id is another", |own| {
        [without(&own, 0x00), parameter(0x00, &[1; 8])].concat()
    });
    client("9000 7.3: retry_source_connection_id without a Retry", |own| [own, parameter(0x10, &[1; 8])].concat());
    client("9000 18.2: preferred_address with an empty connection ID", |own| {
        [own, parameter(0x0d, &[[1; 24].as_slice(), &[0], &[2; 16]].concat())].concat()
    });
    client("9000 18.2: stateless_reset_token of 15 bytes", |own| {
        [without(&own, 0x02), parameter(0x02, &[1; 15])].concat()
    });
}

#[test]
fn transport_parameters_that_only_servers_send() {
    let preferred_address = [[1; 24].as_slice(), &[8], &[3; 8], &[2; 16]].concat();
    let rows = [
        ("9000 18.2: original_destination_connection_id", parameter(0x00, &[1; 8])),
        ("9000 18.2: preferred_address", parameter(0x0d, &preferred_address)),
        ("9000 18.2: retry_source_connection_id", parameter(0x10, &[1; 8])),
        ("9000 18.2: stateless_reset_token", parameter(0x02, &[1; 16])),
    ];
    for (case, bad) in rows {
        let bad = bad.clone();
        parameters(Side::Server, case, Code::TRANSPORT_PARAMETER_ERROR, move |own| [own, bad.clone()].concat());
    }
}

/// H6: what TLS refuses closes the connection with its alert (RFC 9001 section 4.8).
#[test]
fn h6_tls_messages_that_quic_forbids() {
    for me in BOTH {
        let key_update = "9001 6: KeyUpdate in Handshake";
        words(me, Level::Handshake, key_update, UNEXPECTED_MESSAGE, |_| KEY_UPDATE.to_vec());
        let end = "9001 8.3: EndOfEarlyData";
        words(me, Level::Handshake, end, UNEXPECTED_MESSAGE, |_| END_OF_EARLY_DATA.to_vec());
        // One that comes before what is expected, whole: a client's from between its other messages would be no
        // better.
        words(me, Level::Handshake, end, UNEXPECTED_MESSAGE, |data| [&END_OF_EARLY_DATA[..], &data].concat());
    }
}

#[test]
fn h6_a_key_update_message_after_the_handshake() {
    for me in BOTH {
        let (mut puppets, _) = Puppets::connected(TransportSettings::default());
        let mut forge = puppets.forge(me.peer(), Level::OneRtt);
        let offset = puppets.tap(me.peer()).said(Level::OneRtt);
        puppets.inject(me, forge.datagram(&encode(&Frame::Crypto { offset, data: &KEY_UPDATE })));
        puppets.assert_closes(me, UNEXPECTED_MESSAGE, "9001 6: KeyUpdate in 1-RTT");
    }
}

#[test]
fn h6_transport_parameters_are_missing() {
    let case = "9001 8.2: no quic_transport_parameters extension";
    let strip = |data: Vec<u8>| without_extension(&data, TRANSPORT_PARAMETERS_EXTENSION);
    words(Side::Server, Level::Initial, case, MISSING_EXTENSION, strip);
    words(Side::Client, Level::Handshake, case, MISSING_EXTENSION, strip);
}

#[test]
fn h6_no_application_protocol_in_common() {
    let case = "9001 8.1: no application protocol";
    let strip = |data: Vec<u8>| without_extension(&data, ALPN_EXTENSION);
    words(Side::Server, Level::Initial, case, NO_APPLICATION_PROTOCOL, strip);
    words(Side::Client, Level::Handshake, case, NO_APPLICATION_PROTOCOL, strip);
    // A server that speaks another protocol says so itself.
    let tls = quillon::tls::rustls::RustlsServer::builder(
        [include_bytes!("data/localhost.der").as_slice()],
        include_bytes!("data/localhost.key.der"),
    );
    let tls = Arc::new(tls.alpn([b"other".as_slice()]).build().unwrap());
    let server = Arc::new(ServerConfig { tls, ..server_config(TransportSettings::default()).as_ref().clone() });
    let mut puppets = Puppets::with_configs(&client_config(TransportSettings::default()), &server);
    puppets.connect();
    puppets.assert_closes(Side::Server, NO_APPLICATION_PROTOCOL, case);
}
