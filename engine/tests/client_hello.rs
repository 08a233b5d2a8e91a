//! The reader of the ClientHello: what it finds, what it refuses, and that nothing makes it panic.

use proptest::prelude::*;
use quillon::error::alert_name;
use quillon::tls::client_hello::{MAX_LEN, MAX_PROTOCOLS, Progress, parse};
use quillon::tls::{ClientHello, TlsError};

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const TRANSPORT_PARAMETERS: u16 = 57;

/// The ClientHello of RFC 9001 appendix A.2.
const SAMPLE: &str = "\
    010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000\
    c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c70\
    6e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994\
    ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c000240010039003204\
    08ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ff\
    ff";

fn sample() -> Vec<u8> {
    SAMPLE
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn list16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
}

fn message(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let extensions: Vec<u8> =
        extensions.iter().flat_map(|(id, data)| [&id.to_be_bytes()[..], &list16(data)].concat()).collect();
    let body = [&[3, 3][..], &[9; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &list16(&extensions)].concat();
    let len = (body.len() as u32).to_be_bytes();
    [&[1], &len[1..], &body].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    list16(&[&[0], &list16(name)[..]].concat())
}

fn alpn(protocols: &[&[u8]]) -> Vec<u8> {
    list16(&protocols.iter().flat_map(|name| [&[name.len() as u8][..], name].concat()).collect::<Vec<_>>())
}

fn done(bytes: &[u8]) -> ClientHello {
    match parse(bytes).unwrap() {
        Progress::Done(hello) => hello,
        Progress::NeedMore => panic!("incomplete"),
    }
}

fn alert(bytes: &[u8]) -> &'static str {
    let TlsError { alert, reason, .. } = parse(bytes).unwrap_err();
    assert!(!reason.is_empty() && !reason.contains('\n'));
    alert_name(alert)
}

#[test]
fn the_sample_of_rfc_9001() {
    let hello = done(&sample());
    assert_eq!(hello.server_name.as_deref(), Some("example.com"));
    assert_eq!(hello.alpn, [b"alpn"]);
    assert_eq!(hello.cipher_suites, [0x1301, 0x1302]);
    assert_eq!(hello.random[..4], [0xeb, 0xf8, 0xfa, 0x56]);
    assert_eq!(hello.transport_parameters.len(), 0x32);
    assert_eq!(hello.transport_parameters[..4], [4, 8, 0xff, 0xff]);
}

#[test]
fn every_truncation_needs_more() {
    let bytes = sample();
    for len in 0..bytes.len() {
        assert_eq!(parse(&bytes[..len]), Ok(Progress::NeedMore), "{len} bytes");
    }
    // What follows the message belongs to the TLS session to judge.
    assert_eq!(done(&[&bytes[..], &[1, 2, 3]].concat()), done(&bytes));
}

#[test]
fn transport_parameters_must_be_there_once() {
    assert_eq!(alert(&message(&[])), "missing_extension");
    assert_eq!(alert(&message(&[(ALPN, alpn(&[b"h3"]))])), "missing_extension");
    let parameters = || (TRANSPORT_PARAMETERS, vec![1, 2]);
    assert_eq!(done(&message(&[parameters()])).transport_parameters, [1, 2]);
    assert_eq!(alert(&message(&[parameters(), parameters()])), "illegal_parameter");
}

#[test]
fn names_and_protocols_are_optional() {
    let parameters = || (TRANSPORT_PARAMETERS, vec![]);
    let hello = done(&message(&[parameters()]));
    assert_eq!((hello.server_name, hello.alpn), (None, vec![]));

    let hello = done(&message(&[(ALPN, alpn(&[b"h3", b"\xff\x00"])), parameters(), (0x1a1a, vec![7; 9])]));
    assert_eq!(hello.alpn, [&b"h3"[..], b"\xff\x00"]);
    let many = vec![&b"x"[..]; MAX_PROTOCOLS + 9];
    assert_eq!(done(&message(&[(ALPN, alpn(&many)), parameters()])).alpn.len(), MAX_PROTOCOLS);

    let name = |data| done(&message(&[(SERVER_NAME, data), parameters()])).server_name;
    assert_eq!(name(server_name(b"a.example")).as_deref(), Some("a.example"));
    assert_eq!(name(server_name(b"")), None);
    assert_eq!(name(server_name("ä.example".as_bytes())), None);
    assert_eq!(name(server_name(b"\xff")), None);
    assert_eq!(name(list16(&[7, 0, 1, b'x', 0, 0, 1, b'y'])).as_deref(), Some("y"), "names of other types");
}

#[test]
fn what_cannot_be_read_is_a_decode_error() {
    let parameters = || (TRANSPORT_PARAMETERS, vec![]);
    let with = |id, data| message(&[(id, data), parameters()]);
    assert_eq!(alert(&with(SERVER_NAME, vec![])), "decode_error");
    assert_eq!(alert(&with(SERVER_NAME, vec![0, 1, 0])), "decode_error");
    assert_eq!(alert(&with(SERVER_NAME, [server_name(b"a"), vec![0]].concat())), "decode_error");
    assert_eq!(alert(&with(ALPN, vec![0, 3, 2, b'h'])), "decode_error");
    assert_eq!(alert(&with(ALPN, alpn(&[b"h3", b""]))), "decode_error");
    // The body cut at any place, with a header that fits.
    let bytes = message(&[(SERVER_NAME, server_name(b"a.example")), (ALPN, alpn(&[b"h3"])), parameters()]);
    for len in 0..bytes.len() - 4 {
        let mut cut = bytes[..4 + len].to_vec();
        cut[1..4].copy_from_slice(&(len as u32).to_be_bytes()[1..]);
        assert_eq!(alert(&cut), "decode_error", "{len} bytes");
    }
    let mut longer = [&bytes[..], &[0]].concat();
    longer[1..4].copy_from_slice(&((bytes.len() - 3) as u32).to_be_bytes()[1..]);
    assert_eq!(alert(&longer), "decode_error");
}

#[test]
fn other_messages_and_long_ones_are_refused_at_once() {
    for message_type in (0..=255).filter(|message_type| *message_type != 1) {
        assert_eq!(alert(&[message_type]), "unexpected_message");
    }
    let header = |len: usize| [&[1], &(len as u32).to_be_bytes()[1..]].concat();
    assert_eq!(parse(&header(MAX_LEN - 4)), Ok(Progress::NeedMore));
    assert_eq!(alert(&header(MAX_LEN - 3)), "decode_error");
    let longest = message(&[(TRANSPORT_PARAMETERS, vec![]), (0x1a1a, vec![0; MAX_LEN - 55])]);
    assert_eq!(longest.len(), MAX_LEN);
    done(&longest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
        // Behind a header that fits, so that the body is read.
        let len = (bytes.len() as u32).to_be_bytes();
        let whole = [&[1], &len[1..], &bytes].concat();
        prop_assert_ne!(parse(&whole), Ok(Progress::NeedMore));
    }

    #[test]
    fn changed_samples_are_read_or_refused(
        changes in prop::collection::vec((4usize..241, any::<u8>()), 1..4),
    ) {
        let mut bytes = sample();
        for (at, value) in changes {
            bytes[at] = value;
        }
        match parse(&bytes) {
            Ok(Progress::Done(hello)) => prop_assert!(hello.alpn.iter().all(|name| !name.is_empty())),
            Ok(Progress::NeedMore) => prop_assert!(false, "the length is intact"),
            Err(error) => prop_assert!([47, 50, 109].contains(&error.alert)),
        }
    }

    #[test]
    fn what_was_built_is_found(
        name in "[a-z]{1,20}\\.[a-z]{2,6}",
        protocols in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..6),
        parameters in prop::collection::vec(any::<u8>(), 0..200),
        others in prop::collection::vec((100u16..60_000, prop::collection::vec(any::<u8>(), 0..50)), 0..6),
    ) {
        let mut extensions = others;
        extensions.push((ALPN, alpn(&protocols.iter().map(|name| &name[..]).collect::<Vec<_>>())));
        extensions.push((TRANSPORT_PARAMETERS, parameters.clone()));
        extensions.push((SERVER_NAME, server_name(name.as_bytes())));
        let hello = done(&message(&extensions));
        prop_assert_eq!(hello.server_name, Some(name));
        prop_assert_eq!(hello.alpn, protocols);
        prop_assert_eq!(hello.transport_parameters, parameters);
    }
}
