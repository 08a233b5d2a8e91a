//! Transport parameters: round trips, defaults, and what has to be refused.

use proptest::prelude::*;
use quillon::error::TransportErrorCode;
use quillon::transport_parameters::{PreferredAddress, TransportParameters, VersionInformation, reserved_id};
use quillon::wire::{ConnectionId, Side, Version, Writer, varint};

fn cid(bytes: &[u8]) -> ConnectionId {
    ConnectionId::new(bytes).unwrap()
}

fn any_cid(len: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = ConnectionId> {
    prop::collection::vec(any::<u8>(), len).prop_map(|bytes| cid(&bytes))
}

fn number() -> impl Strategy<Value = u64> {
    (0..=varint::MAX, 0..62u32).prop_map(|(value, shift)| value >> shift)
}

fn any_preferred_address() -> impl Strategy<Value = PreferredAddress> {
    (any::<[u8; 4]>(), any::<[u8; 16]>(), 1..=u16::MAX, any_cid(1..=20), any::<[u8; 16]>(), 0..3).prop_map(
        |(v4, v6, port, connection_id, stateless_reset_token, families)| PreferredAddress {
            ipv4: (families != 0).then(|| std::net::SocketAddrV4::new(v4.into(), port)),
            ipv6: (families != 1).then(|| std::net::SocketAddrV6::new(v6.into(), port, 0, 0)),
            connection_id,
            stateless_reset_token,
        },
    )
}

fn any_version_information() -> impl Strategy<Value = VersionInformation> {
    (1..=u32::MAX, prop::collection::vec(1..=u32::MAX, 0..5), any::<prop::sample::Index>()).prop_map(
        |(chosen, others, at)| {
            let mut available: Vec<_> = others.into_iter().map(Version).collect();
            available.insert(at.index(available.len() + 1), Version(chosen));
            VersionInformation { chosen: Version(chosen), available }
        },
    )
}

prop_compose! {
    fn any_client_parameters()(
        sizes in prop::array::uniform8(number()),
        max_udp_payload_size in 1200..=varint::MAX,
        streams in [0..=1u64 << 60, 0..=1u64 << 60],
        ack_delay_exponent in 0..=20u64,
        max_ack_delay in 0..1u64 << 14,
        active_connection_id_limit in 2..=varint::MAX,
        initial_source_connection_id in prop::option::of(any_cid(1..=20)),
        version_information in prop::option::of(any_version_information()),
        flags: [bool; 2],
    ) -> TransportParameters {
        TransportParameters {
            max_idle_timeout: sizes[0],
            max_udp_payload_size,
            initial_max_data: sizes[1],
            initial_max_stream_data_bidi_local: sizes[2],
            initial_max_stream_data_bidi_remote: sizes[3],
            initial_max_stream_data_uni: sizes[4],
            initial_max_streams_bidi: streams[0],
            initial_max_streams_uni: streams[1],
            ack_delay_exponent,
            max_ack_delay,
            disable_active_migration: flags[0],
            active_connection_id_limit,
            initial_source_connection_id,
            max_datagram_frame_size: sizes[5],
            version_information,
            grease_quic_bit: flags[1],
            ..TransportParameters::default()
        }
    }
}

prop_compose! {
    fn any_server_parameters()(
        parameters in any_client_parameters(),
        original_destination_connection_id in prop::option::of(any_cid(0..=20)),
        retry_source_connection_id in prop::option::of(any_cid(0..=20)),
        stateless_reset_token: Option<[u8; 16]>,
        preferred_address in prop::option::of(any_preferred_address()),
    ) -> TransportParameters {
        TransportParameters {
            original_destination_connection_id,
            retry_source_connection_id,
            stateless_reset_token,
            preferred_address,
            ..parameters
        }
    }
}

fn encoded(parameters: &TransportParameters) -> Vec<u8> {
    let mut out = Vec::new();
    parameters.encode(&mut out, None);
    out
}

/// One parameter as it is on the wire.
fn parameter(id: u64, value: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; value.len() + 16];
    let mut w = Writer::new(&mut buffer);
    w.varint(id);
    w.varint_bytes(value);
    w.written().to_vec()
}

fn integer(id: u64, value: u64) -> Vec<u8> {
    let mut buffer = [0; 8];
    let mut w = Writer::new(&mut buffer);
    w.varint(value);
    parameter(id, w.written())
}

fn is_refused(bytes: &[u8], sender: Side) -> bool {
    match TransportParameters::decode(bytes, sender) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code, TransportErrorCode::TRANSPORT_PARAMETER_ERROR);
            assert!(!error.reason.is_empty());
            true
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn parameters_survive_the_round_trip(client in any_client_parameters(), server in any_server_parameters()) {
        prop_assert_eq!(TransportParameters::decode(&encoded(&client), Side::Client), Ok(client));
        prop_assert_eq!(TransportParameters::decode(&encoded(&server), Side::Server), Ok(server));
    }

    #[test]
    fn grease_is_ignored(
        parameters in any_client_parameters(), n: u64, value in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        prop_assert_eq!(reserved_id(n) % 31, 27);
        let mut out = Vec::new();
        parameters.encode(&mut out, Some((reserved_id(n), &value)));
        prop_assert!(out.len() > encoded(&parameters).len());
        prop_assert_eq!(TransportParameters::decode(&out, Side::Client), Ok(parameters));
    }

    #[test]
    fn truncations_and_random_bytes_never_panic(
        parameters in any_server_parameters(), random in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let bytes = encoded(&parameters);
        for len in 0..bytes.len() {
            // A cut between two parameters is not to be seen; nothing of what is left may change.
            if let Ok(decoded) = TransportParameters::decode(&bytes[..len], Side::Server) {
                prop_assert_eq!(encoded(&decoded), &bytes[..len]);
            }
        }
        for side in [Side::Client, Side::Server] {
            if let Ok(decoded) = TransportParameters::decode(&random, side) {
                prop_assert_eq!(TransportParameters::decode(&encoded(&decoded), side), Ok(decoded));
            }
        }
    }
}

/// RFC 9000 section 18.2.
#[test]
fn absent_parameters_have_their_defaults() {
    let parameters = TransportParameters::decode(&[], Side::Client).unwrap();
    assert_eq!(parameters, TransportParameters::default());
    assert_eq!(parameters.max_udp_payload_size, 65527);
    assert_eq!((parameters.ack_delay_exponent, parameters.max_ack_delay), (3, 25));
    assert_eq!(parameters.active_connection_id_limit, 2);
    assert!(encoded(&parameters).is_empty(), "what is at its default is left out");
}

#[test]
fn the_encoding_is_known() {
    let parameters = TransportParameters {
        max_idle_timeout: 30_000,
        initial_max_data: 1,
        disable_active_migration: true,
        initial_source_connection_id: Some(cid(&[0xaa, 0xbb])),
        version_information: Some(VersionInformation {
            chosen: Version::V1,
            available: vec![Version(0x6b33_43cf), Version::V1],
        }),
        grease_quic_bit: true,
        ..TransportParameters::default()
    };
    let expected = [
        &[0x01, 4, 0x80, 0, 0x75, 0x30][..],
        &[0x04, 1, 1],
        &[0x0c, 0],
        &[0x0f, 2, 0xaa, 0xbb],
        &[0x11, 12, 0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf, 0, 0, 0, 1],
        &[0x6a, 0xb2, 0],
    ]
    .concat();
    assert_eq!(encoded(&parameters), expected);
}

/// RFC 9000 sections 4.6, 7.4 and 18.2: the last value allowed and the first that is not.
#[test]
fn values_out_of_range_are_refused() {
    for (id, good, bad) in [
        (0x03, 1200, 1199),
        (0x08, 1 << 60, (1 << 60) + 1),
        (0x09, 1 << 60, (1 << 60) + 1),
        (0x0a, 20, 21),
        (0x0b, (1 << 14) - 1, 1 << 14),
        (0x0e, 2, 1),
    ] {
        for side in [Side::Client, Side::Server] {
            assert!(!is_refused(&integer(id, good), side), "{id:#x}");
            assert!(is_refused(&integer(id, bad), side), "{id:#x}");
        }
    }
    assert!(is_refused(&integer(0x03, 0), Side::Client));
    assert!(is_refused(&integer(0x0e, 0), Side::Client));
    assert!(!is_refused(&integer(0x03, 65528), Side::Client), "only values below 1200 are invalid");
}

/// RFC 9000 section 18.2, at its end.
#[test]
fn server_parameters_from_a_client_are_refused() {
    let address = [&[192, 0, 2, 1, 1, 187][..], &[0; 18], &[4, 1, 2, 3, 4], &[9; 16]].concat();
    for bytes in
        [parameter(0x00, &[1; 8]), parameter(0x02, &[2; 16]), parameter(0x0d, &address), parameter(0x10, &[3; 8])]
    {
        assert!(is_refused(&bytes, Side::Client));
        assert!(!is_refused(&bytes, Side::Server));
    }
}

#[test]
fn duplicates_are_refused() {
    let parameters = TransportParameters {
        original_destination_connection_id: Some(cid(&[1; 8])),
        stateless_reset_token: Some([2; 16]),
        max_idle_timeout: 1,
        max_udp_payload_size: 1500,
        initial_max_data: 1,
        initial_max_stream_data_bidi_local: 1,
        initial_max_stream_data_bidi_remote: 1,
        initial_max_stream_data_uni: 1,
        initial_max_streams_bidi: 1,
        initial_max_streams_uni: 1,
        ack_delay_exponent: 1,
        max_ack_delay: 1,
        disable_active_migration: true,
        preferred_address: Some(PreferredAddress {
            ipv4: Some("192.0.2.1:443".parse().unwrap()),
            ipv6: None,
            connection_id: cid(&[4; 8]),
            stateless_reset_token: [5; 16],
        }),
        active_connection_id_limit: 4,
        initial_source_connection_id: Some(cid(&[6; 8])),
        retry_source_connection_id: Some(cid(&[7; 8])),
        max_datagram_frame_size: 1,
        version_information: Some(VersionInformation { chosen: Version::V1, available: vec![] }),
        grease_quic_bit: true,
    };
    let bytes = encoded(&parameters);
    assert_eq!(TransportParameters::decode(&bytes, Side::Server), Ok(parameters));
    let mut rest = &bytes[..];
    let mut count = 0;
    while !rest.is_empty() {
        let id_len = if rest[0] < 0x40 { 1 } else { 2 };
        let (one, others) = rest.split_at(id_len + 1 + usize::from(rest[id_len]));
        assert!(!is_refused(one, Side::Server));
        assert!(is_refused(&[&bytes[..], one].concat(), Side::Server), "{one:x?}");
        rest = others;
        count += 1;
    }
    assert_eq!(count, 20, "every parameter was tried");
}

#[test]
fn malformed_values_are_refused() {
    for bytes in [
        parameter(0x00, &[0; 21]),
        parameter(0x0f, &[0; 21]),
        parameter(0x10, &[0; 21]),
        parameter(0x02, &[0; 15]),
        parameter(0x02, &[0; 17]),
        parameter(0x02, &[]),
        parameter(0x04, &[]),
        parameter(0x04, &[0x40]),
        parameter(0x04, &[0x01, 0x01]),
        parameter(0x0c, &[0]),
        parameter(0x2ab2, &[1]),
        vec![0x04],
        vec![0x04, 0x02, 0x01],
        vec![0x40],
        // A length that no machine can hold.
        [&[0x1b][..], &[0xff; 8]].concat(),
    ] {
        assert!(is_refused(&bytes, Side::Server), "{bytes:x?}");
    }
    assert!(!is_refused(&parameter(0x04, &[0x40, 0x01]), Side::Server), "longer encodings are accepted");
}

/// RFC 9000 section 18.2.
#[test]
fn preferred_addresses_are_read_and_checked() {
    let value = |cid: &[u8], cid_len: u8| [&[192, 0, 2, 1, 1, 187][..], &[0; 18], &[cid_len], cid, &[9; 16]].concat();
    let decode = |value: &[u8]| TransportParameters::decode(&parameter(0x0d, value), Side::Server);
    let address = decode(&value(&[1, 2], 2)).unwrap().preferred_address.unwrap();
    assert_eq!(address.ipv4, Some("192.0.2.1:443".parse().unwrap()));
    assert_eq!(address.ipv6, None);
    assert_eq!((address.connection_id, address.stateless_reset_token), (cid(&[1, 2]), [9; 16]));
    for bad in [value(&[], 0), value(&[1; 21], 21), value(&[1, 2], 3), value(&[1, 2], 1), value(&[1, 2], 255)] {
        assert!(is_refused(&parameter(0x0d, &bad), Side::Server));
    }
    let whole = value(&[1, 2], 2);
    for len in 0..whole.len() {
        assert!(is_refused(&parameter(0x0d, &whole[..len]), Side::Server));
    }
    // Whichever comes first.
    let (address, empty) = (parameter(0x0d, &whole), parameter(0x0f, &[]));
    assert!(is_refused(&[&address[..], &empty].concat(), Side::Server));
    assert!(is_refused(&[&empty[..], &address].concat(), Side::Server));
    assert!(!is_refused(&empty, Side::Server));
}

/// RFC 9368 section 4.
#[test]
fn version_information_is_checked() {
    let one = [0, 0, 0, 1];
    let two = [0x6b, 0x33, 0x43, 0xcf];
    let zero = [0; 4];
    let refused = |value: &[u8], side| is_refused(&parameter(0x11, value), side);
    for side in [Side::Client, Side::Server] {
        assert!(!refused(&[one, two, one].concat(), side));
        assert!(refused(&[], side));
        assert!(refused(&one[..3], side));
        assert!(refused(&[&one[..], &one, &two[..1]].concat(), side));
        assert!(refused(&[zero, one].concat(), side));
        assert!(refused(&[one, one, zero].concat(), side));
    }
    assert!(!refused(&one, Side::Server), "a server may list none");
    assert!(refused(&one, Side::Client));
    assert!(!refused(&[one, two].concat(), Side::Server));
    assert!(refused(&[one, two].concat(), Side::Client));
}

#[test]
fn unknown_parameters_are_ignored() {
    let bytes = [parameter(0x3fff, &[1, 2, 3]), integer(0x04, 7), parameter(varint::MAX, &[])].concat();
    assert_eq!(TransportParameters::decode(&bytes, Side::Client).unwrap().initial_max_data, 7);
}
