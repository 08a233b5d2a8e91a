//! What a peer does wrong with streams, on the wire: each ends the connection with the error of RFC 9000.

mod keyed;
mod pair;

use keyed::Keyed;
use quillon::error::TransportErrorCode;
use quillon::packet::Frame;
use quillon::wire::varint;
use quillon::{ConnectionError, Dir, Side, StreamId, TransportSettings};

const OWN_UNI: StreamId = StreamId::new(Side::Server, Dir::Uni, 0);
const OWN_BIDI: StreamId = StreamId::new(Side::Server, Dir::Bidi, 0);
const PEER_UNI: StreamId = StreamId::new(Side::Client, Dir::Uni, 0);
const PEER_BIDI: StreamId = StreamId::new(Side::Client, Dir::Bidi, 0);

/// Our end of a stream, for a test that runs at either side.
fn of(side: Side, id: StreamId) -> StreamId {
    if side.is_client() { StreamId(id.0 ^ 1) } else { id }
}

fn stream(id: StreamId, offset: u64, fin: bool, data: &[u8]) -> Frame<'_> {
    Frame::Stream { id, offset, fin, data }
}

fn settings() -> TransportSettings {
    TransportSettings {
        initial_max_data: 30_000,
        initial_max_stream_data_bidi_local: 10_000,
        initial_max_stream_data_bidi_remote: 10_000,
        initial_max_stream_data_uni: 10_000,
        initial_max_streams_bidi: 4,
        initial_max_streams_uni: 4,
        ..TransportSettings::default()
    }
}

/// What these frames, from the peer of `side`, make `side` close the connection with.
fn provoked(side: Side, open: bool, frames: &[Frame<'_>]) -> Option<TransportErrorCode> {
    let mut keyed = Keyed::with(settings(), settings());
    let (end, handle) =
        if side.is_client() { (&mut keyed.pair.client, keyed.client) } else { (&mut keyed.pair.server, keyed.server) };
    if open {
        end.connection(handle).open(Dir::Uni).unwrap();
        end.connection(handle).open(Dir::Bidi).unwrap();
    }
    for frame in frames {
        keyed.forge(side.peer(), &[*frame]);
    }
    let end = if side.is_client() { &mut keyed.pair.client } else { &mut keyed.pair.server };
    if !end.connection(handle).is_closed() {
        return None;
    }
    // The error reaches the peer in a CONNECTION_CLOSE.
    keyed.pair.settle();
    let peer = if side.is_client() { &mut keyed.pair.server } else { &mut keyed.pair.client };
    match peer.closed() {
        Some(ConnectionError::Transport { code, by_peer: true, .. }) => Some(code),
        other => panic!("{other:?}"),
    }
}

/// The same at the server and, mirrored, at the client.
fn assert_provokes(
    code: TransportErrorCode,
    open: bool,
    frames: impl Fn(&dyn Fn(StreamId) -> StreamId) -> Vec<Frame<'static>>,
) {
    for side in [Side::Server, Side::Client] {
        let frames = frames(&|id| of(side, id));
        assert_eq!(provoked(side, open, &frames), Some(code), "{side:?}: {frames:?}");
    }
}

const STATE: TransportErrorCode = TransportErrorCode::STREAM_STATE_ERROR;
const LIMIT: TransportErrorCode = TransportErrorCode::STREAM_LIMIT_ERROR;
const FINAL_SIZE: TransportErrorCode = TransportErrorCode::FINAL_SIZE_ERROR;
const FLOW_CONTROL: TransportErrorCode = TransportErrorCode::FLOW_CONTROL_ERROR;

/// S13: a sender's frames for a stream on which only we send. The reference answers RESET_STREAM with PROTOCOL_VIOLATION;
/// RFC 9000 section 19.4 says STREAM_STATE_ERROR.
#[test]
fn frames_of_a_sender_for_our_unidirectional_stream() {
    assert_provokes(STATE, true, |of| vec![stream(of(OWN_UNI), 0, false, b"x")]);
    assert_provokes(STATE, true, |of| vec![Frame::ResetStream { id: of(OWN_UNI), code: 0, final_size: 0 }]);
    assert_provokes(STATE, true, |of| vec![Frame::StreamDataBlocked { id: of(OWN_UNI), limit: 0 }]);
}

/// S13
#[test]
fn frames_for_a_stream_that_we_did_not_open() {
    assert_provokes(STATE, false, |of| vec![stream(of(OWN_BIDI), 0, false, b"x")]);
    assert_provokes(STATE, false, |of| vec![Frame::ResetStream { id: of(OWN_BIDI), code: 0, final_size: 0 }]);
    assert_provokes(STATE, false, |of| vec![Frame::StopSending { id: of(OWN_BIDI), code: 0 }]);
    assert_provokes(STATE, false, |of| vec![Frame::StopSending { id: of(OWN_UNI), code: 0 }]);
    assert_provokes(STATE, false, |of| vec![Frame::MaxStreamData { id: of(OWN_UNI), limit: 1 }]);
}

/// S13
#[test]
fn frames_of_a_receiver_for_a_stream_on_which_only_the_peer_sends() {
    assert_provokes(STATE, false, |of| vec![Frame::StopSending { id: of(PEER_UNI), code: 0 }]);
    assert_provokes(STATE, false, |of| vec![Frame::MaxStreamData { id: of(PEER_UNI), limit: 1 }]);
}

/// S13
#[test]
fn a_final_size_that_changes() {
    let reset = |id, final_size| Frame::ResetStream { id, code: 0, final_size };
    assert_provokes(FINAL_SIZE, false, |of| {
        vec![stream(of(PEER_BIDI), 0, true, b"abc"), stream(of(PEER_BIDI), 3, false, b"d")]
    });
    assert_provokes(FINAL_SIZE, false, |of| {
        vec![stream(of(PEER_BIDI), 0, true, b"abc"), stream(of(PEER_BIDI), 0, true, b"ab")]
    });
    assert_provokes(FINAL_SIZE, false, |of| vec![stream(of(PEER_UNI), 0, true, b"abc"), reset(of(PEER_UNI), 4)]);
    assert_provokes(FINAL_SIZE, false, |of| vec![stream(of(PEER_UNI), 5, false, b"abc"), reset(of(PEER_UNI), 7)]);
    assert_provokes(FINAL_SIZE, false, |of| vec![reset(of(PEER_UNI), 4), reset(of(PEER_UNI), 5)]);
}

/// S13
#[test]
fn data_beyond_a_limit() {
    assert_provokes(FLOW_CONTROL, false, |of| vec![stream(of(PEER_UNI), 10_000, false, b"x")]);
    assert_provokes(FLOW_CONTROL, false, |of| {
        vec![Frame::ResetStream { id: of(PEER_UNI), code: 0, final_size: 10_001 }]
    });
    assert_provokes(FLOW_CONTROL, false, |of| {
        let uni = |index: u64| StreamId(of(PEER_UNI).0 + 4 * index);
        (0..4).map(|index| stream(uni(index), 9_000, false, b"x")).collect()
    });
    assert_provokes(FLOW_CONTROL, false, |of| vec![stream(of(PEER_UNI), varint::MAX - 1, false, b"x")]);
    // Up to the limits nothing is wrong.
    let to_the_limit = [stream(PEER_UNI, 9_999, false, b"x"), stream(PEER_BIDI, 9_999, true, b"x")];
    assert_eq!(provoked(Side::Server, false, &to_the_limit), None);
}

/// S13: RFC 9000 section 19.8 leaves the choice of FRAME_ENCODING_ERROR or FLOW_CONTROL_ERROR for an offset and length
/// past 2^62 - 1.
#[test]
fn data_past_the_largest_offset() {
    for side in [Side::Server, Side::Client] {
        let code = provoked(side, false, &[stream(of(side, PEER_UNI), varint::MAX, false, b"x")]);
        assert!(matches!(code, Some(FLOW_CONTROL | TransportErrorCode::FRAME_ENCODING_ERROR)), "{code:?}");
    }
}

/// S13
#[test]
fn a_stream_beyond_the_limit() {
    assert_provokes(LIMIT, false, |of| vec![stream(StreamId(of(PEER_UNI).0 + 16), 0, false, b"")]);
    assert_provokes(LIMIT, false, |of| vec![Frame::StopSending { id: StreamId(of(PEER_BIDI).0 + 16), code: 0 }]);
    assert_eq!(provoked(Side::Server, false, &[stream(StreamId(PEER_UNI.0 + 12), 0, false, b"")]), None);
}

/// S14
#[test]
fn blocked_frames_beyond_what_we_allow() {
    assert_provokes(FLOW_CONTROL, false, |_| vec![Frame::DataBlocked { limit: 30_001 }]);
    assert_provokes(FLOW_CONTROL, false, |of| vec![Frame::StreamDataBlocked { id: of(PEER_UNI), limit: 10_001 }]);
    assert_provokes(LIMIT, false, |_| vec![Frame::StreamsBlocked { dir: Dir::Uni, limit: 5 }]);
    let honest = [
        Frame::DataBlocked { limit: 30_000 },
        Frame::StreamDataBlocked { id: PEER_UNI, limit: 10_000 },
        Frame::StreamsBlocked { dir: Dir::Bidi, limit: 4 },
    ];
    assert_eq!(provoked(Side::Server, false, &honest), None);
}

#[test]
fn stream_counts_that_no_stream_id_has() {
    const ENCODING: TransportErrorCode = TransportErrorCode::FRAME_ENCODING_ERROR;
    let limit = (1 << 60) + 1;
    assert_provokes(ENCODING, false, |_| vec![Frame::MaxStreams { dir: Dir::Bidi, limit }]);
    assert_provokes(ENCODING, false, |_| vec![Frame::StreamsBlocked { dir: Dir::Bidi, limit }]);
}

/// S13: frames for streams that are over are of no effect.
#[test]
fn late_frames_for_a_stream_that_is_over_are_ignored() {
    let reset = Frame::ResetStream { id: PEER_UNI, code: 0, final_size: 3 };
    let mut keyed = Keyed::with(settings(), settings());
    let server = keyed.server;
    keyed.forge(Side::Client, &[stream(PEER_UNI, 0, true, b"abc")]);
    while keyed.pair.server.endpoint.poll_event().is_some() {}
    assert!(keyed.pair.server.connection(server).read(PEER_UNI, &mut [0; 10]).unwrap().finished);
    keyed.forge(Side::Client, &[stream(PEER_UNI, 0, true, b"abc"), reset]);
    assert!(!keyed.pair.server.connection(server).is_closed());
    assert!(keyed.pair.server.connection(server).peek(PEER_UNI).is_err());
}
