//! What a peer must not do after the handshake, done by one that holds the keys: the connection closes with the code
//! that the RFC names, and the peer reads it (RFC 9000 section 11.1).

mod puppet;

use quillon::error::TransportErrorCode as Code;
use quillon::packet::{ConnectionClose, Frame};
use quillon::wire::{ConnectionId, Level};
use quillon::{Dir, Side, StreamId, TransportSettings};

use puppet::Puppets;
use puppet::forge::encode;

/// A stream, by whose it is from the view of the end that is told of it.
fn stream(initiator: Side, dir: Dir, index: u64) -> StreamId {
    StreamId::new(initiator, dir, index)
}

/// Frames with their one right answer: the case, with its section, the payload of the packet, the code.
type Case = (&'static str, Vec<u8>, Code);

/// What neither end may send to the other, which is `me`.
fn cases(me: Side) -> Vec<Case> {
    let peer = me.peer();
    let theirs = stream(peer, Dir::Bidi, 0);
    let cid = ConnectionId::new(&[7; 8]).unwrap();
    let new_id = |sequence: u8, retire_prior_to: u8, len: u8| {
        let mut frame = vec![0x18, sequence, retire_prior_to, len];
        frame.extend(std::iter::repeat_n(9, usize::from(len) + 16));
        frame
    };
    let too_many = [0xd0, 0, 0, 0, 0, 0, 0, 1];
    vec![
        (
            "9000 4.1: STREAM beyond the stream's limit",
            encode(&Frame::Stream { id: theirs, offset: 1 << 40, fin: false, data: b"x" }),
            Code::FLOW_CONTROL_ERROR,
        ),
        (
            "9000 4.6: a stream beyond the limit",
            encode(&Frame::Stream { id: stream(peer, Dir::Bidi, 100), offset: 0, fin: false, data: b"x" }),
            Code::STREAM_LIMIT_ERROR,
        ),
        (
            "9000 4.6: a unidirectional stream beyond the limit",
            encode(&Frame::ResetStream { id: stream(peer, Dir::Uni, 100), code: 0, final_size: 0 }),
            Code::STREAM_LIMIT_ERROR,
        ),
        (
            "9000 4.5: data beyond the final size",
            [
                encode(&Frame::ResetStream { id: theirs, code: 0, final_size: 1 }),
                encode(&Frame::Stream { id: theirs, offset: 1, fin: false, data: b"x" }),
            ]
            .concat(),
            Code::FINAL_SIZE_ERROR,
        ),
        ("9000 12.4: a frame of unknown type", vec![0x21], Code::FRAME_ENCODING_ERROR),
        ("9000 12.4: a frame of unknown type in two bytes", vec![0x40, 0xff], Code::FRAME_ENCODING_ERROR),
        ("9000 12.4: a frame of unknown type in eight bytes", [0xff; 8].to_vec(), Code::FRAME_ENCODING_ERROR),
        ("9000 12.4: no frames", Vec::new(), Code::PROTOCOL_VIOLATION),
        (
            "9000 19.4: RESET_STREAM for a send-only stream",
            encode(&Frame::ResetStream { id: stream(me, Dir::Uni, 0), code: 0, final_size: 0 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.5: STOP_SENDING for a stream that does not exist",
            encode(&Frame::StopSending { id: stream(me, Dir::Bidi, 0), code: 0 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.5: STOP_SENDING for a receive-only stream",
            encode(&Frame::StopSending { id: stream(peer, Dir::Uni, 0), code: 0 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.8: STREAM for a stream of ours that is not open",
            encode(&Frame::Stream { id: stream(me, Dir::Bidi, 0), offset: 0, fin: false, data: b"x" }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.8: STREAM for a send-only stream that is not open",
            encode(&Frame::Stream { id: stream(me, Dir::Uni, 1), offset: 0, fin: false, data: b"x" }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.5: STOP_SENDING for a unidirectional stream of ours that is not open",
            encode(&Frame::StopSending { id: stream(me, Dir::Uni, 1), code: 0 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.8: STREAM for a send-only stream",
            encode(&Frame::Stream { id: stream(me, Dir::Uni, 0), offset: 0, fin: false, data: b"x" }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.10: MAX_STREAM_DATA for a stream of ours that is not open",
            encode(&Frame::MaxStreamData { id: stream(me, Dir::Bidi, 0), limit: 1 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.10: MAX_STREAM_DATA for a receive-only stream",
            encode(&Frame::MaxStreamData { id: stream(peer, Dir::Uni, 0), limit: 1 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.11: MAX_STREAMS above 2^60, bidirectional",
            [&[0x12][..], &too_many].concat(),
            Code::FRAME_ENCODING_ERROR,
        ),
        (
            "9000 19.11: MAX_STREAMS above 2^60, unidirectional",
            [&[0x13][..], &too_many].concat(),
            Code::FRAME_ENCODING_ERROR,
        ),
        (
            "9000 19.13: STREAM_DATA_BLOCKED for a send-only stream",
            encode(&Frame::StreamDataBlocked { id: stream(me, Dir::Uni, 0), limit: 1 }),
            Code::STREAM_STATE_ERROR,
        ),
        (
            "9000 19.14: STREAMS_BLOCKED above 2^60, bidirectional",
            [&[0x16][..], &too_many].concat(),
            Code::FRAME_ENCODING_ERROR,
        ),
        (
            "9000 19.14: STREAMS_BLOCKED above 2^60, unidirectional",
            [&[0x17][..], &too_many].concat(),
            Code::FRAME_ENCODING_ERROR,
        ),
        (
            "9000 19.15: NEW_CONNECTION_ID with Retire Prior To above its sequence number",
            new_id(9, 10, 8),
            Code::FRAME_ENCODING_ERROR,
        ),
        ("9000 19.15: NEW_CONNECTION_ID of no bytes", new_id(9, 0, 0), Code::FRAME_ENCODING_ERROR),
        ("9000 19.15: NEW_CONNECTION_ID of 21 bytes", new_id(9, 0, 21), Code::FRAME_ENCODING_ERROR),
        (
            "9000 19.15: one sequence number for two connection IDs",
            encode(&Frame::NewConnectionId { sequence: 0, retire_prior_to: 0, cid, reset_token: [0; 16] }),
            Code::PROTOCOL_VIOLATION,
        ),
        (
            "9000 19.16: RETIRE_CONNECTION_ID of a number that was never issued",
            encode(&Frame::RetireConnectionId { sequence: 1000 }),
            Code::PROTOCOL_VIOLATION,
        ),
        ("9000 19.7: an empty NEW_TOKEN", vec![0x07, 0x00], Code::FRAME_ENCODING_ERROR),
        ("9000 19.3: an ACK range below zero", vec![0x02, 0x00, 0x00, 0x00, 0x01], Code::FRAME_ENCODING_ERROR),
        ("9000 12.4: a frame that ends too early", vec![0x10, 0x40], Code::FRAME_ENCODING_ERROR),
    ]
}

fn provoke(me: Side, (case, payload, code): Case) {
    let (mut puppets, handles) = Puppets::connected(TransportSettings::default());
    // A stream on which only this end sends; of the others none is open.
    let handle = handles[usize::from(me == Side::Server)];
    assert_eq!(puppets.pair.end(me).connection(handle).open(Dir::Uni), Ok(stream(me, Dir::Uni, 0)));
    let mut forge = puppets.forge(me.peer(), Level::OneRtt);
    puppets.inject(me, forge.datagram(&payload));
    puppets.assert_closes(me, code, case);
}

/// P2, P3: no frames, and frames of unknown type, whatever its length; and each frame that only a server may send.
#[test]
fn p2_p3_frames_that_a_server_must_not_accept() {
    let mut cases = cases(Side::Server);
    cases.push((
        "9000 19.7: NEW_TOKEN from a client",
        encode(&Frame::NewToken { token: b"token" }),
        Code::PROTOCOL_VIOLATION,
    ));
    cases.push(("9000 19.20: HANDSHAKE_DONE from a client", encode(&Frame::HandshakeDone), Code::PROTOCOL_VIOLATION));
    for case in cases {
        provoke(Side::Server, case);
    }
}

/// P2, P3: the mirror image.
#[test]
fn p2_p3_frames_that_a_client_must_not_accept() {
    for case in cases(Side::Client) {
        provoke(Side::Client, case);
    }
}

/// P1: in both kinds of headers, once the packet is known to be authentic (RFC 9000 sections 17.2 and 17.3.1).
#[test]
fn p1_reserved_bits_of_short_headers() {
    for me in [Side::Client, Side::Server] {
        for bits in [0x08, 0x10, 0x18] {
            let (mut puppets, _) = Puppets::connected(TransportSettings::default());
            let mut forge = puppets.forge(me.peer(), Level::OneRtt);
            forge.turned_bits = bits;
            puppets.inject(me, forge.datagram(&encode(&Frame::Ping)));
            puppets.assert_closes(me, Code::PROTOCOL_VIOLATION, "9000 17.3.1: reserved bits of a short header");
        }
    }
}

/// A connection whose client has Handshake keys and whose server has not heard that.
fn in_handshake() -> Puppets {
    let mut puppets = Puppets::default();
    puppets.connect();
    // The ClientHello is there; of the answer nothing comes back.
    puppets.pair.run_for(puppets.pair.latency);
    puppets.pair.client.outbound_filter = Some(Box::new(|_, _| false));
    puppets.pair.run_for(puppets.pair.latency);
    puppets
}

/// Gives the end `me` a Handshake packet while that end has Handshake keys, and nothing after.
fn provoke_in_handshake(me: Side, turned_bits: u8, payload: &[u8], code: Code, case: &str) {
    let mut puppets = in_handshake();
    let mut forge = puppets.forge(me.peer(), Level::Handshake);
    forge.turned_bits = turned_bits;
    puppets.pair.client.outbound_filter = None;
    puppets.inject(me, forge.datagram(payload));
    puppets.assert_closes(me, code, case);
}

/// P1, P4: reserved bits, and frames that Handshake packets do not carry (RFC 9000 section 12.5).
#[test]
fn p1_p4_handshake_packets_that_neither_end_must_accept() {
    let ping = encode(&Frame::Ping);
    for me in [Side::Server, Side::Client] {
        for bits in [0x04, 0x08, 0x0c] {
            provoke_in_handshake(me, bits, &ping, Code::PROTOCOL_VIOLATION, "9000 17.2: reserved bits in Handshake");
        }
        let refused = [
            ("9000 17.2.4: PATH_CHALLENGE in Handshake", encode(&Frame::PathChallenge([1; 8]))),
            (
                "9000 12.5: STREAM in Handshake",
                encode(&Frame::Stream { id: stream(me.peer(), Dir::Bidi, 0), offset: 0, fin: false, data: b"x" }),
            ),
            ("9000 12.5: MAX_DATA in Handshake", encode(&Frame::MaxData { limit: 1 })),
            ("9000 12.5: HANDSHAKE_DONE in Handshake", encode(&Frame::HandshakeDone)),
            (
                "9000 12.5: an application's CONNECTION_CLOSE in Handshake",
                encode(&Frame::ConnectionClose(ConnectionClose::Application { code: 1, reason: b"" })),
            ),
            ("9000 12.4: no frames in Handshake", Vec::new()),
        ];
        for (case, payload) in refused {
            provoke_in_handshake(me, 0, &payload, Code::PROTOCOL_VIOLATION, case);
        }
        let unknown = "9000 12.4: a frame of unknown type in Handshake";
        provoke_in_handshake(me, 0, &[0x21], Code::FRAME_ENCODING_ERROR, unknown);
        let far = encode(&Frame::Crypto { offset: 1 << 20, data: b"x" });
        provoke_in_handshake(me, 0, &far, Code::CRYPTO_BUFFER_EXCEEDED, "9000 7.5: CRYPTO far ahead in Handshake");
    }
}
