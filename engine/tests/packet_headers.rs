//! Packet headers, packet numbers and header protection.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use quillon::packet::{
    HeaderError, Layout, LongHeader, MAX_LENGTH, PacketType, SAMPLE_LEN, ShortHeader, encode_retry_without_tag,
    encode_version_negotiation, first_look, mask, number, parse, parse_greased, sample, set_length, supported_versions,
    unmask,
};
use quillon::wire::{ConnectionId, Level, Version, Writer, varint};

const V2: Version = Version(0x6b33_43cf);
const LONG: [PacketType; 3] = [PacketType::Initial, PacketType::ZeroRtt, PacketType::Handshake];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    let mut w = Writer::new(&mut buffer);
    write(&mut w);
    assert!(!w.overflowed());
    w.written().to_vec()
}

fn cid(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap()
}

fn any_cid() -> impl Strategy<Value = ConnectionId> {
    prop::collection::vec(any::<u8>(), 0..=20).prop_map(|bytes| cid(&bytes))
}

fn any_version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V1), Just(V2)]
}

/// A packet with a long header and `payload` zeros behind it.
fn long_packet(header: &LongHeader<'_>, pn: u64, pn_len: usize, payload: usize) -> Vec<u8> {
    written(|w| {
        let offsets = header.encode(w, pn, pn_len);
        assert_eq!(w.position(), header.encoded_len(pn_len));
        assert_eq!(offsets.pn, w.position() - pn_len);
        w.zeros(payload);
        set_length(w.written_mut(), offsets.length, pn_len + payload);
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn long_headers_survive_the_round_trip_and_no_truncation_does(
        version in any_version(), dcid in any_cid(), scid in any_cid(),
        token in prop::collection::vec(any::<u8>(), 0..80),
        pn in 0..=varint::MAX, pn_len in 1usize..=4, payload in 0usize..100,
    ) {
        for ty in LONG {
            let header = LongHeader { ty, version, dcid, scid, token: &token };
            let mut packet = long_packet(&header, pn, pn_len, payload);
            let layout = parse(&packet, 8).unwrap();
            prop_assert_eq!((layout.ty, layout.version, layout.dcid, layout.scid), (ty, version, dcid, scid));
            prop_assert_eq!(&packet[layout.token.clone()], if ty == PacketType::Initial { &token[..] } else { &[] });
            prop_assert_eq!(layout.pn_offset, header.encoded_len(0));
            prop_assert_eq!(layout.len, packet.len());

            let look = first_look(&packet, 8).unwrap();
            prop_assert_eq!(look.version, Some(version));
            prop_assert_eq!((look.dcid, look.scid), (dcid.as_slice(), scid.as_slice()));

            for len in 0..packet.len() {
                prop_assert_eq!(parse(&packet[..len], 8), Err(HeaderError::Truncated));
            }
            let unmasked = unmask(&mut packet, layout.pn_offset, [0; 5]).unwrap();
            prop_assert_eq!((unmasked.pn_len, unmasked.reserved_bits_set()), (pn_len, false));
            prop_assert_eq!(unmasked.truncated_pn, pn & ((1 << (8 * pn_len)) - 1));
            prop_assert_eq!(unmasked.header_len(layout.pn_offset), header.encoded_len(pn_len));

            // Coalesced: what follows is not the first packet's.
            let alone = layout.len;
            packet.extend_from_slice(&[0x40; 30]);
            let layout = parse(&packet, 8).unwrap();
            prop_assert_eq!(layout.len, alone);
            prop_assert_eq!(parse(&packet[layout.len..], 8).unwrap().ty, PacketType::OneRtt);
        }
    }

    #[test]
    fn short_headers_survive_the_round_trip(
        dcid in any_cid(), spin: bool, key_phase: bool, pn in 0..=varint::MAX, pn_len in 1usize..=4,
    ) {
        let header = ShortHeader { dcid, spin, key_phase };
        let mut packet = written(|w| {
            let pn_offset = header.encode(w, pn, pn_len);
            assert_eq!(pn_offset, header.encoded_len(0));
        });
        prop_assert_eq!(packet.len(), header.encoded_len(pn_len));
        let layout = parse(&packet, dcid.len()).unwrap();
        prop_assert_eq!((layout.ty, layout.dcid, layout.scid), (PacketType::OneRtt, dcid, ConnectionId::EMPTY));
        prop_assert_eq!((layout.token, layout.pn_offset, layout.len), (0..0, header.encoded_len(0), packet.len()));
        prop_assert_eq!(first_look(&packet, dcid.len()).unwrap().dcid, dcid.as_slice());
        for len in 0..=dcid.len() {
            prop_assert_eq!(parse(&packet[..len], dcid.len()), Err(HeaderError::Truncated));
            prop_assert_eq!(first_look(&packet[..len], dcid.len()), None);
        }
        let unmasked = unmask(&mut packet, layout.pn_offset, [0; 5]).unwrap();
        prop_assert_eq!((unmasked.spin(), unmasked.key_phase(), unmasked.pn_len), (spin, key_phase, pn_len));
        prop_assert!(!unmasked.reserved_bits_set());
    }

    #[test]
    fn header_protection_comes_off_again(
        long: bool, pn in 0..=varint::MAX, pn_len in 1usize..=4, bits: [u8; 5], version in any_version(),
    ) {
        let plain = if long {
            let header =
                LongHeader { ty: PacketType::Handshake, version, dcid: cid(b"12345678"), scid: cid(b"1"), token: b"" };
            long_packet(&header, pn, pn_len, 20)
        } else {
            written(|w| {
                ShortHeader { dcid: cid(b"12345678"), spin: true, key_phase: true }.encode(w, pn, pn_len);
                w.zeros(20);
            })
        };
        let layout = parse(&plain, 8).unwrap();
        let mut packet = plain.clone();
        mask(&mut packet, layout.pn_offset, pn_len, bits);
        prop_assert_eq!(parse(&packet, 8).unwrap(), layout.clone(), "what routes a packet is not masked");
        let unmasked = unmask(&mut packet, layout.pn_offset, bits).unwrap();
        prop_assert_eq!(unmasked.first, plain[0]);
        prop_assert_eq!(packet, plain);
    }

    #[test]
    fn random_bytes_are_parsed_or_refused(
        mut packet in prop::collection::vec(any::<u8>(), 0..120),
        version in prop_oneof![Just(1u32), Just(V2.0), Just(0), any::<u32>()],
        local_cid_len in 0usize..24, bits: [u8; 5],
    ) {
        if let Some(field) = packet.get_mut(1..5) {
            field.copy_from_slice(&version.to_be_bytes());
        }
        let _ = first_look(&packet, local_cid_len);
        let _ = supported_versions(&packet).map(|versions| versions.count());
        if let Ok(Layout { token, pn_offset, len, .. }) = parse_greased(&packet, local_cid_len) {
            prop_assert!(token.end <= len && pn_offset <= len && len <= packet.len());
            prop_assert!(first_look(&packet, local_cid_len).is_some());
            packet.truncate(len);
            let _ = sample(&packet, pn_offset);
            let _ = unmask(&mut packet, pn_offset, bits);
        }
    }

    #[test]
    fn a_truncated_packet_number_is_restored(
        acked in 0u64..1 << 40, distance in 1u64..1 << 31, arrived in any::<prop::sample::Index>(),
    ) {
        let pn = acked + distance;
        let len = number::encoded_len(pn, Some(acked));
        // The receiver has at least what it acknowledged, and at most everything before.
        let expected = acked + 1 + arrived.index(distance as usize) as u64;
        prop_assert_eq!(number::decode(pn & ((1 << (8 * len)) - 1), len, expected), pn);
    }
}

/// RFC 9000 appendix A.2.
#[test]
fn packet_numbers_are_as_long_as_in_rfc_9000_appendix_a_2() {
    assert_eq!(number::encoded_len(0xac_5c02, Some(0xab_e8b3)), 2);
    assert_eq!(number::encoded_len(0xac_e8fe, Some(0xab_e8b3)), 3);
    assert_eq!(number::encoded_len(0, None), 1);
    assert_eq!(number::encoded_len(126, None), 1);
    assert_eq!(number::encoded_len(127, None), 2, "more than twice the 128 that are not acknowledged");
    assert_eq!(number::encoded_len(varint::MAX, None), 4);
}

/// RFC 9000 appendix A.3.
#[test]
fn packet_numbers_are_restored_as_in_rfc_9000_appendix_a_3() {
    assert_eq!(number::decode(0x9b32, 2, 0xa82f_30ea + 1), 0xa82f_9b32);
    assert_eq!(number::decode(0, 1, 0), 0);
    assert_eq!(number::decode(0xff, 1, 0), 0xff, "nothing lies below zero");
    assert_eq!(number::decode(0xff, 1, 0x100), 0xff);
    assert_eq!(number::decode(0x01, 1, 0x1ff), 0x201);
    assert_eq!(number::decode(0, 1, varint::MAX), varint::MAX & !0xff, "nothing lies above 2^62 - 1");
    assert_eq!(number::decode(u64::MAX, 9, u64::MAX), u64::MAX, "nonsense gives a number, too");
}

/// RFC 9001 appendix A.2 and A.3; RFC 9369 appendix A.2 and A.3.
#[test]
fn initial_headers_are_as_in_the_rfcs() {
    let client = |version| LongHeader {
        ty: PacketType::Initial,
        version,
        dcid: cid(&hex("8394c8f03e515708")),
        scid: ConnectionId::EMPTY,
        token: &[],
    };
    let server = |version| LongHeader {
        ty: PacketType::Initial,
        version,
        dcid: ConnectionId::EMPTY,
        scid: cid(&hex("f067a5502a4262b5")),
        token: &[],
    };
    let cases = [
        (client(Version::V1), 2, 4, 0x49e, "c300000001088394c8f03e5157080000449e00000002"),
        (client(V2), 2, 4, 0x49e, "d36b3343cf088394c8f03e5157080000449e00000002"),
        (server(Version::V1), 1, 2, 0x75, "c1000000010008f067a5502a4262b50040750001"),
        (server(V2), 1, 2, 0x75, "d16b3343cf0008f067a5502a4262b50040750001"),
    ];
    for (header, pn, pn_len, length, expected) in cases {
        let packet = long_packet(&header, pn, pn_len, length - pn_len);
        assert_eq!(packet[..header.encoded_len(pn_len)], hex(expected));
    }
}

/// RFC 9001 appendix A.2 and A.5.
#[test]
fn headers_are_protected_as_in_the_rfcs() {
    let mut long = hex("c300000001088394c8f03e5157080000449e00000002");
    mask(&mut long, 18, 4, [0x43, 0x7b, 0x9a, 0xec, 0x36]);
    assert_eq!(long, hex("c000000001088394c8f03e5157080000449e7b9aec34"));
    let mut short = hex("4200bff4");
    mask(&mut short, 1, 3, [0xae, 0xfe, 0xfe, 0x7d, 0x03]);
    assert_eq!(short, hex("4cfe4189"));
    let unmasked = unmask(&mut short, 1, [0xae, 0xfe, 0xfe, 0x7d, 0x03]).unwrap();
    assert_eq!((unmasked.pn_len, unmasked.truncated_pn, unmasked.header_len(1)), (3, 0xbff4, 4));
}

#[test]
fn reserved_bits_are_seen() {
    for (first, set) in [
        (0xc3, false),
        (0xc7, true),
        (0xcb, true),
        (0xf0, false),
        (0x43, false),
        (0x48, true),
        (0x50, true),
        (0x64, false),
    ] {
        let mut packet = [first, 0, 0, 0, 0];
        assert_eq!(unmask(&mut packet, 1, [0; 5]).unwrap().reserved_bits_set(), set, "{first:#x}");
    }
}

#[test]
fn a_packet_too_short_to_sample_is_noticed() {
    let packet = [7; 24];
    assert_eq!(sample(&packet, 4), Some([7; SAMPLE_LEN]));
    assert_eq!(sample(&packet, 5), None);
    assert_eq!(sample(&packet, usize::MAX), None);
    let mut packet = [0x43, 0, 0, 0];
    assert_eq!(unmask(&mut packet, 1, [0xff; 5]).map(|unmasked| unmasked.pn_len), Some(1), "masked to one byte");
    let mut packet = [0x43, 0, 0, 0];
    assert_eq!(unmask(&mut packet, 1, [0; 5]), None);
    assert_eq!(packet, [0x43, 0, 0, 0]);
    assert_eq!(unmask(&mut [], 0, [0; 5]), None);
}

/// RFC 9001 appendix A.4 and RFC 9369 appendix A.4.
#[test]
fn retry_packets_are_as_in_the_rfcs() {
    for (version, packet) in [
        (Version::V1, "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba"),
        (V2, "cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6"),
    ] {
        let packet = hex(packet);
        let layout = parse(&packet, 8).unwrap();
        assert_eq!((layout.ty, layout.version), (PacketType::Retry, version));
        assert_eq!(packet[layout.token.clone()], *b"token");
        assert_eq!((layout.pn_offset, layout.len), (packet.len(), packet.len()));
        let again = written(|w| encode_retry_without_tag(w, version, &layout.dcid, &layout.scid, b"token"));
        assert_eq!(again, packet[..packet.len() - 16]);
        for len in 0..again.len() - 5 + 16 {
            assert_eq!(parse(&packet[..len], 8), Err(HeaderError::Truncated));
        }
        assert!(parse(&packet[..again.len() - 5 + 16], 8).unwrap().token.is_empty());
    }
}

#[test]
fn version_negotiation_survives_the_round_trip() {
    let (dcid, scid) = ([0xdd; 255], [0xcc; 21]);
    let versions = [Version(0x0a1a_2a3a), Version::V1, V2];
    let packet = written(|w| encode_version_negotiation(w, &dcid, &scid, 0x2b, &versions));
    assert_eq!(packet[0], 0xeb);
    let look = first_look(&packet, 8).unwrap();
    assert_eq!((look.version, look.dcid, look.scid), (Some(Version::NEGOTIATION), &dcid[..], &scid[..]));
    assert_eq!(supported_versions(&packet).unwrap().collect::<Vec<_>>(), versions);
    assert_eq!(parse(&packet, 8), Err(HeaderError::ConnectionIdTooLong));
    let start = packet.len() - 12;
    for len in 0..packet.len() {
        let whole = len > start && (len - start) % 4 == 0;
        assert_eq!(supported_versions(&packet[..len]).is_some(), whole, "{len}");
    }

    let packet = written(|w| encode_version_negotiation(w, &[1; 8], &[], 0, &versions));
    let layout = parse(&packet, 8).unwrap();
    assert_eq!((layout.ty, layout.version), (PacketType::VersionNegotiation, Version::NEGOTIATION));
    assert_eq!((layout.dcid, layout.pn_offset, layout.len), (cid(&[1; 8]), packet.len(), packet.len()));
    let mut unfixed = packet.clone();
    unfixed[0] = 0x80;
    assert!(parse(&unfixed, 8).is_ok(), "the fixed bit means nothing here");
    assert!(supported_versions(&[0x40; 40]).is_none());
    assert!(supported_versions(&hex("c000000001000000000001")).is_none());
}

#[test]
fn the_fixed_bit_is_needed_unless_greased() {
    let header = LongHeader {
        ty: PacketType::Handshake,
        version: Version::V1,
        dcid: cid(&[1; 8]),
        scid: cid(&[2; 8]),
        token: &[],
    };
    let long = long_packet(&header, 0, 1, 30);
    let short = written(|w| {
        ShortHeader { dcid: cid(&[1; 8]), spin: false, key_phase: false }.encode(w, 0, 1);
    });
    for mut packet in [long, short] {
        let layout = parse(&packet, 8).unwrap();
        packet[0] &= !0x40;
        assert_eq!(parse(&packet, 8), Err(HeaderError::FixedBitZero));
        assert_eq!(parse_greased(&packet, 8), Ok(layout));
    }
}

#[test]
fn what_cannot_be_version_1_or_2_is_refused() {
    assert_eq!(parse(&hex("c00a0a0a0a0000"), 8), Err(HeaderError::UnsupportedVersion(Version(0x0a0a_0a0a))));
    let long_cid = [&hex("c00000000115")[..], &[0; 40]].concat();
    assert_eq!(parse(&long_cid, 8), Err(HeaderError::ConnectionIdTooLong));
    assert_eq!(first_look(&long_cid, 8).unwrap().dcid, [0; 21]);
    assert_eq!(parse(&[0x40; 40], 21), Err(HeaderError::ConnectionIdTooLong));
    assert_eq!(parse(&[], 8), Err(HeaderError::Truncated));
    assert_eq!(first_look(&[], 8), None);
}

#[test]
fn the_length_is_two_bytes_whatever_it_says() {
    let mut buffer = [0xff; 4];
    set_length(&mut buffer, 1, 5);
    assert_eq!(buffer, [0xff, 0x40, 0x05, 0xff]);
    set_length(&mut buffer, 1, MAX_LENGTH);
    assert_eq!(buffer, [0xff, 0x7f, 0xff, 0xff]);
}

#[test]
fn packets_with_frames_have_a_level() {
    assert_eq!(PacketType::Initial.level(), Some(Level::Initial));
    assert_eq!(PacketType::ZeroRtt.level(), Some(Level::ZeroRtt));
    assert_eq!(PacketType::Handshake.level(), Some(Level::Handshake));
    assert_eq!(PacketType::OneRtt.level(), Some(Level::OneRtt));
    assert_eq!(PacketType::Retry.level(), None);
    assert_eq!(PacketType::VersionNegotiation.level(), None);
}

/// The plain packets of other makers: their versions are invented, so that the first look reads them as they are,
/// and the whole header once they say version 1.
#[test]
fn the_samples_parse() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora/samples");
    let id: Vec<u8> = (1..=20).collect();
    for (name, ty, token) in [
        ("initial.bin", PacketType::Initial, &[1, 2, 3, 4][..]),
        ("zero_rtt.bin", PacketType::ZeroRtt, &[]),
        ("handshake.bin", PacketType::Handshake, &[]),
        ("retry.bin", PacketType::Retry, &(1..=20).collect::<Vec<u8>>()[..]),
        ("version_negotiation.bin", PacketType::VersionNegotiation, &[]),
        ("short.bin", PacketType::OneRtt, &[]),
    ] {
        let mut packet = fs::read(directory.join(name)).unwrap();
        let look = first_look(&packet, 20).unwrap();
        assert_eq!(look.dcid, id, "{name}");
        let long = ty != PacketType::OneRtt;
        assert_eq!(look.scid, if long { &id[..] } else { &[] }, "{name}");
        match ty {
            PacketType::OneRtt => assert_eq!(look.version, None),
            PacketType::VersionNegotiation => {
                assert_eq!(look.version, Some(Version::NEGOTIATION));
                let versions: Vec<_> = supported_versions(&packet).unwrap().collect();
                assert_eq!(versions, [Version(1), Version(2), Version(3)]);
            }
            _ => {
                let version = look.version.unwrap();
                assert_eq!(parse(&packet, 20), Err(HeaderError::UnsupportedVersion(version)), "{name}");
                packet[1..5].copy_from_slice(&1u32.to_be_bytes());
            }
        }
        let layout = parse(&packet, 20).unwrap();
        assert_eq!(layout.ty, ty, "{name}");
        assert_eq!((layout.dcid.as_slice(), layout.len), (&id[..], packet.len()), "{name}");
        assert_eq!(&packet[layout.token.clone()], token, "{name}");
        if ty.level().is_some() {
            assert_eq!(packet[layout.pn_offset..], [1, 2, 3, 4, 5, 6, 7, 8], "{name}");
            assert_eq!(sample(&packet, layout.pn_offset), None, "{name}: too short to be protected");
        }
    }
}
