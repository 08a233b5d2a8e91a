//! Frames: what is written is read back, what is malformed is refused, nothing panics.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use proptest::prelude::*;
use quillon::error::{TransportError, TransportErrorCode};
use quillon::packet::{
    ConnectionClose, Frame, Frames, MAX_ACK_RANGES, crypto_frame_overhead, encode_ack, encode_crypto_header,
    encode_stream_header, frame_type, permitted, stream_frame_overhead,
};
use quillon::wire::{ConnectionId, Dir, EcnCounts, Level, StreamId, Writer, varint};

const LEVELS: [Level; 4] = [Level::Initial, Level::ZeroRtt, Level::Handshake, Level::OneRtt];

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = vec![0; 8192];
    let mut w = Writer::new(&mut buffer);
    write(&mut w);
    assert!(!w.overflowed());
    w.written().to_vec()
}

/// The one frame of a payload.
fn read(payload: &[u8]) -> Result<(u64, Frame<'_>), TransportError> {
    let mut frames = Frames::new(payload);
    let first = frames.next().expect("a frame");
    assert!(frames.next().is_none(), "one frame, or an end after the error");
    first
}

/// The code of the error that a payload gives, which blames the frame type `ty`.
fn refused(ty: u64, payload: &[u8]) -> TransportErrorCode {
    let error = read(payload).expect_err("an error");
    assert_eq!(error.frame_type, ty);
    assert!(!error.reason.is_empty());
    error.code
}

/// One frame of every kind but ACK, from these data and numbers.
fn every_frame<'a>(data: &'a [u8], [a, b, c]: [u64; 3], cid: &[u8], array: [u8; 16]) -> Vec<Frame<'a>> {
    let id = StreamId(a);
    let offset = b.saturating_sub(data.len() as u64);
    let path = *array.first_chunk().unwrap();
    let mut frames = vec![
        Frame::Padding { len: 1 + data.len() },
        Frame::Ping,
        Frame::ResetStream { id, code: b, final_size: c },
        Frame::StopSending { id, code: b },
        Frame::Crypto { offset, data },
        Frame::Stream { id, offset, fin: false, data },
        Frame::Stream { id, offset: 0, fin: true, data },
        Frame::MaxData { limit: b },
        Frame::MaxStreamData { id, limit: b },
        Frame::DataBlocked { limit: b },
        Frame::StreamDataBlocked { id, limit: b },
        Frame::RetireConnectionId { sequence: a },
        Frame::PathChallenge(path),
        Frame::PathResponse(path),
        Frame::ConnectionClose(ConnectionClose::Transport { code: TransportErrorCode(a), frame_type: b, reason: data }),
        Frame::ConnectionClose(ConnectionClose::Application { code: a, reason: data }),
        Frame::HandshakeDone,
        Frame::Datagram { data },
    ];
    for dir in [Dir::Bidi, Dir::Uni] {
        frames.push(Frame::MaxStreams { dir, limit: c >> 2 });
        frames.push(Frame::StreamsBlocked { dir, limit: c >> 2 });
    }
    if !data.is_empty() {
        frames.push(Frame::NewToken { token: data });
    }
    frames.push(Frame::NewConnectionId {
        sequence: a.max(b),
        retire_prior_to: a.min(b),
        cid: ConnectionId::new(cid).unwrap(),
        reset_token: array,
    });
    frames
}

/// Numbers of every encoded length.
fn number() -> impl Strategy<Value = u64> {
    (0..=varint::MAX, 0..62u32).prop_map(|(value, shift)| value >> shift)
}

/// Ranges as ACK frames have them: descending, never touching.
fn ranges() -> impl Strategy<Value = Vec<RangeInclusive<u64>>> {
    prop::collection::vec((0..0x1_0000u64, 0..0x1_0000u64), 1..100).prop_map(|steps| {
        let mut next = 0;
        let mut ranges = Vec::new();
        for (gap, len) in steps {
            ranges.push(next + gap..=next + gap + len);
            next += gap + len + 2;
        }
        ranges.reverse();
        ranges
    })
}

fn ecn_counts() -> impl Strategy<Value = Option<EcnCounts>> {
    prop::option::of((number(), number(), number()).prop_map(|(ect0, ect1, ce)| EcnCounts { ect0, ect1, ce }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_frame_survives_the_round_trip_and_no_truncation_does(
        data in prop::collection::vec(any::<u8>(), 0..80),
        numbers in [number(), number(), number()],
        cid in prop::collection::vec(any::<u8>(), 1..=20),
        array: [u8; 16],
    ) {
        for frame in every_frame(&data, numbers, &cid, array) {
            let payload = written(|w| frame.encode(w));
            prop_assert_eq!(payload.len(), frame.encoded_len());
            prop_assert_eq!(read(&payload), Ok((frame.frame_type(), frame)));
            prop_assert!(LEVELS.iter().any(|level| permitted(frame.frame_type(), *level)));
            if matches!(frame, Frame::Padding { .. }) {
                continue;
            }
            for len in 1..payload.len() {
                prop_assert_eq!(
                    refused(frame.frame_type(), &payload[..len]),
                    TransportErrorCode::FRAME_ENCODING_ERROR
                );
            }
        }
    }

    #[test]
    fn the_last_frame_of_a_packet_needs_no_length(
        data in prop::collection::vec(any::<u8>(), 0..80),
        numbers in [number(), number(), number()],
    ) {
        for frame in every_frame(&data, numbers, &[1], [0; 16]) {
            let payload = written(|w| frame.encode_to_end(w));
            let (ty, decoded) = read(&payload).unwrap();
            prop_assert_eq!(decoded, frame);
            let shorter = match frame {
                Frame::Stream { .. } => {
                    prop_assert_eq!(ty, frame.frame_type() & !2);
                    true
                }
                Frame::Datagram { .. } => {
                    prop_assert_eq!(ty, frame_type::DATAGRAM);
                    true
                }
                _ => false,
            };
            prop_assert_eq!(payload.len() < frame.encoded_len(), shorter);
        }
    }

    #[test]
    fn ack_frames_survive_the_round_trip(
        ranges in ranges(), delay in number(), ecn in ecn_counts(), room in 0usize..600,
    ) {
        let mut buffer = [0; 1024];
        let mut w = Writer::new(&mut buffer);
        if !encode_ack(&mut w, delay, ranges.iter().cloned(), ecn, room) {
            prop_assert_eq!(w.position(), 0);
            prop_assert!(room < 50, "there was room for a range");
            return Ok(());
        }
        prop_assert!(!w.overflowed() && w.position() <= room);
        let (ty, frame) = read(w.written()).unwrap();
        let Frame::Ack(ack) = frame else { panic!("{frame:?}") };
        prop_assert_eq!(ty, if ecn.is_some() { frame_type::ACK_ECN } else { frame_type::ACK });
        prop_assert_eq!((ack.largest, ack.delay, ack.ecn), (*ranges[0].end(), delay, ecn));
        let decoded: Vec<_> = ack.ranges().collect();
        prop_assert_eq!(&decoded[..], &ranges[..decoded.len()]);
        prop_assert!(decoded.len() <= MAX_ACK_RANGES);
        // Nothing is left out that had room: a further range takes at most 8 bytes here.
        prop_assert!(decoded.len() == ranges.len().min(MAX_ACK_RANGES) || room - w.position() < 8);

        let again = written(|w| frame.encode(w));
        prop_assert_eq!(&again[..], w.written());
        prop_assert_eq!(frame.encoded_len(), again.len());
        for len in 1..again.len() {
            prop_assert_eq!(refused(ty, &again[..len]), TransportErrorCode::FRAME_ENCODING_ERROR);
        }
    }

    #[test]
    fn random_bytes_give_frames_or_one_error(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let items: Vec<_> = Frames::new(&payload).collect();
        for item in items.iter().rev().skip(1) {
            prop_assert!(item.is_ok(), "an error ends the frames");
        }
        for (_, frame) in items.into_iter().flatten() {
            let again = written(|w| frame.encode(w));
            prop_assert_eq!(again.len(), frame.encoded_len());
            let (_, decoded) = read(&again).unwrap();
            prop_assert_eq!(decoded, frame);
            if let Frame::Ack(ack) = frame {
                prop_assert!(ack.ranges().all(|range| range.start() <= range.end() && *range.end() <= ack.largest));
            }
        }
    }

    #[test]
    fn overheads_are_what_the_headers_take(id in number(), offset in number(), len in 0usize..5000, fin: bool) {
        for with_length in [true, false] {
            let header = written(|w| encode_stream_header(w, StreamId(id), offset, len, fin, with_length));
            prop_assert_eq!(header.len(), stream_frame_overhead(StreamId(id), offset, len, with_length));
        }
        let header = written(|w| encode_crypto_header(w, offset, len));
        prop_assert_eq!(header.len(), crypto_frame_overhead(offset, len));
    }
}

#[test]
fn headers_and_data_apart_make_the_same_frames() {
    let data = b"data";
    let whole = written(|w| Frame::Stream { id: StreamId(4), offset: 70, fin: true, data }.encode(w));
    let parts = written(|w| {
        encode_stream_header(w, StreamId(4), 70, data.len(), true, true);
        w.bytes(data);
    });
    assert_eq!(whole, parts);
    let whole = written(|w| Frame::Crypto { offset: 70, data }.encode(w));
    let parts = written(|w| {
        encode_crypto_header(w, 70, data.len());
        w.bytes(data);
    });
    assert_eq!(whole, parts);
}

#[test]
fn frames_follow_one_another() {
    let payload = [0, 0, 0, 0x01, 0x10, 0x05, 0, 0x1e, 0x08, 0x04, b'x', 0x01];
    let frames: Vec<_> = Frames::new(&payload).map(|item| item.unwrap().1).collect();
    assert_eq!(
        frames,
        [
            Frame::Padding { len: 3 },
            Frame::Ping,
            Frame::MaxData { limit: 5 },
            Frame::Padding { len: 1 },
            Frame::HandshakeDone,
            Frame::Stream { id: StreamId(4), offset: 0, fin: false, data: b"x\x01" },
        ]
    );
    assert!(Frames::new(&[]).next().is_none());
}

#[test]
fn unknown_and_long_types_are_refused() {
    assert_eq!(refused(0x1f, &[0x1f]), TransportErrorCode::FRAME_ENCODING_ERROR);
    assert_eq!(refused(0x2f, &[0x2f, 0, 0]), TransportErrorCode::FRAME_ENCODING_ERROR);
    assert_eq!(refused(0x1234, &[0x52, 0x34, 0]), TransportErrorCode::FRAME_ENCODING_ERROR);
    // PING in two bytes: RFC 9000 section 12.4 gives this very example.
    assert_eq!(refused(0x01, &[0x40, 0x01]), TransportErrorCode::PROTOCOL_VIOLATION);
    assert_eq!(refused(0x00, &[0xc0, 0, 0, 0, 0, 0, 0, 0]), TransportErrorCode::PROTOCOL_VIOLATION);
    assert_eq!(refused(0, &[0x40]), TransportErrorCode::FRAME_ENCODING_ERROR, "the type itself is cut off");
}

#[test]
fn invalid_fields_are_refused() {
    let above_2_60 = (1 << 60 | 1 << 63 | 1 << 62 | 1u64).to_be_bytes();
    for ty in [0x12, 0x13, 0x16, 0x17] {
        let payload = [&[ty][..], &above_2_60].concat();
        assert_eq!(refused(ty.into(), &payload), TransportErrorCode::FRAME_ENCODING_ERROR);
    }
    let beyond = [
        written(|w| Frame::Crypto { offset: varint::MAX, data: b"x" }.encode(w)),
        written(|w| Frame::Stream { id: StreamId(0), offset: varint::MAX, fin: false, data: b"x" }.encode(w)),
        written(|w| Frame::Stream { id: StreamId(0), offset: varint::MAX, fin: false, data: b"x" }.encode_to_end(w)),
    ];
    for payload in &beyond {
        assert_eq!(refused(payload[0].into(), payload), TransportErrorCode::FRAME_ENCODING_ERROR);
    }
    let at_the_end = written(|w| Frame::Crypto { offset: varint::MAX - 1, data: b"x" }.encode(w));
    assert!(read(&at_the_end).is_ok());
    assert_eq!(refused(0x07, &[0x07, 0x00]), TransportErrorCode::FRAME_ENCODING_ERROR, "empty token");
}

#[test]
fn invalid_new_connection_id_frames_are_refused() {
    let frame = |retire_prior_to: u8, cid_len: u8| {
        [&[0x18, 5, retire_prior_to, cid_len][..], &vec![0xcc; cid_len.into()], &[0xdd; 16]].concat()
    };
    assert!(read(&frame(5, 1)).is_ok());
    assert!(read(&frame(0, 20)).is_ok());
    for (retire_prior_to, cid_len) in [(6, 8), (0, 0), (0, 21), (0, 255)] {
        let payload = frame(retire_prior_to, cid_len);
        assert_eq!(refused(0x18, &payload), TransportErrorCode::FRAME_ENCODING_ERROR);
    }
}

#[test]
fn ack_ranges_below_zero_are_refused() {
    let ranges = |payload: &[u8]| match read(payload) {
        Ok((_, Frame::Ack(ack))) => Some(ack.ranges().collect::<Vec<_>>()),
        _ => None,
    };
    assert_eq!(ranges(&[0x02, 5, 0, 0, 5]), Some(vec![0..=5]));
    assert_eq!(ranges(&[0x02, 9, 0, 2, 1, 0, 2, 1, 0]), Some(vec![8..=9, 4..=6, 1..=1]));
    for payload in [
        &[0x02, 5, 0, 0, 6][..],
        &[0x02, 9, 0, 1, 9, 0, 0],
        &[0x02, 9, 0, 1, 8, 0, 0],
        &[0x02, 9, 0, 1, 1, 0, 7],
        &[0x02, 9, 0, 1, 1, 7, 0],
    ] {
        assert_eq!(refused(0x02, payload), TransportErrorCode::FRAME_ENCODING_ERROR);
    }
    // A count that no packet has room for ends with the packet.
    let endless = [&[0x02, 9, 0][..], &[0xff; 8], &[0, 0, 0]].concat();
    assert_eq!(refused(0x02, &endless), TransportErrorCode::FRAME_ENCODING_ERROR);
}

#[test]
fn an_ack_needs_a_range() {
    let mut buffer = [0; 64];
    let mut w = Writer::new(&mut buffer);
    assert!(!encode_ack(&mut w, 0, core::iter::empty(), None, 64));
    assert!(!encode_ack(&mut w, 0, core::iter::once(3..=4), None, 4));
    assert!(encode_ack(&mut w, 0, core::iter::once(3..=4), None, 5));
    assert_eq!(w.written(), [0x02, 4, 0, 0, 1]);
}

/// RFC 9000 section 12.4, table 3, and section 12.5; RFC 9221 section 4.
#[test]
fn frames_stand_where_they_may() {
    let table: [(&[u64], &str); 14] = [
        (&[0x00, 0x01, 0x1c], "IH01"),
        (&[0x02, 0x03, 0x06], "IH_1"),
        (&[0x04, 0x05], "__01"),
        (&[0x07], "___1"),
        (&[0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f], "__01"),
        (&[0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17], "__01"),
        (&[0x18], "__01"),
        (&[0x19], "___1"),
        (&[0x1a], "__01"),
        (&[0x1b], "___1"),
        (&[0x1d], "__01"),
        (&[0x1e], "___1"),
        (&[0x30, 0x31], "__01"),
        (&[0x1f, 0x20, 0x2f, 0x32, 0x3f, 0x40, varint::MAX], "____"),
    ];
    let levels = [(Level::Initial, 'I'), (Level::Handshake, 'H'), (Level::ZeroRtt, '0'), (Level::OneRtt, '1')];
    for (types, packets) in table {
        for ty in types {
            for (level, letter) in levels {
                assert_eq!(permitted(*ty, level), packets.contains(letter), "{ty:#x} at {level:?}");
            }
        }
    }
}

#[test]
fn only_three_kinds_ask_for_no_acknowledgement() {
    let quiet: Vec<_> = every_frame(b"x", [1, 2, 3], &[1], [0; 16])
        .into_iter()
        .filter(|frame| !frame.is_ack_eliciting())
        .map(|frame| frame.frame_type())
        .collect();
    assert_eq!(quiet, [frame_type::PADDING, frame_type::CONNECTION_CLOSE, frame_type::APPLICATION_CLOSE]);
    assert!(!read(&[0x02, 5, 0, 0, 5]).unwrap().1.is_ack_eliciting());
}

fn corpus(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora/ngtcp2/decode_frame").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_identical_again(name: &str, payload: &[u8]) {
    let (ty, frame) = read(payload).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = match frame.frame_type() == ty {
        true => written(|w| frame.encode(w)),
        false => written(|w| frame.encode_to_end(w)),
    };
    assert_eq!(again, payload, "{name}");
}

#[test]
fn the_frames_of_ngtcp2_are_written_again_identically() {
    let names = [
        "connection_close",
        "crypto",
        "data_blocked",
        "datagram",
        "datagram_len",
        "max_data",
        "max_stream_data",
        "max_streams",
        "new_connection_id",
        "new_token",
        "path_challenge",
        "path_response",
        "reset_stream",
        "retire_connection_id",
        "stop_sending",
        "stream",
        "stream_data_blocked",
        "stream_len",
        "streams_blocked",
    ];
    for name in names {
        assert_identical_again(name, &corpus(name));
    }
}

/// ngtcp2 checks ACK ranges in a later step than it decodes them, and these two reach below zero.
#[test]
fn the_ack_frames_of_ngtcp2_are_refused_until_their_numbers_hold() {
    for (name, ty) in [("ack", frame_type::ACK), ("ack_ecn", frame_type::ACK_ECN)] {
        let mut payload = corpus(name);
        assert_eq!(refused(ty, &payload), TransportErrorCode::FRAME_ENCODING_ERROR, "RFC 9000 section 19.3.1");
        // The same frame with the largest of all packet numbers as its Largest Acknowledged.
        payload[1..9].fill(0xff);
        assert_identical_again(name, &payload);
        let (_, frame) = read(&payload).unwrap();
        let Frame::Ack(ack) = frame else { panic!("{frame:?}") };
        assert_eq!((ack.largest, ack.delay, ack.ranges().count()), (varint::MAX, 0xf1f2, 3));
    }
    let mut payload = corpus("ack_ecn");
    payload[1..9].fill(0xff);
    let (_, frame) = read(&payload).unwrap();
    let Frame::Ack(ack) = frame else { panic!("{frame:?}") };
    assert_eq!(ack.ecn, Some(EcnCounts { ect0: 0, ect1: 64, ce: 16384 }));
}
