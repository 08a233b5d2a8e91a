//! Frames.

use super::super::event::Retransmission;
use super::super::fields::{Fields, List};
use super::QlogSchema;
use super::connectivity::error;
use crate::packet::{Ack, ConnectionClose, Frame, Frames};
use crate::wire::{Dir, StreamId};

/// The frames of one packet that are written; a packet may hold thousands of the smallest.
const MAX_FRAMES: usize = 128;
/// The ranges of one ACK frame that are written.
const MAX_RANGES: usize = 64;

/// Writes the frames in `payload`, as far as they can be read. What exceeds the bound is counted.
pub(super) fn frames(schema: QlogSchema, payload: &[u8], ack_delay_exponent: u64, f: &mut Fields<'_>) {
    let mut omitted = 0;
    f.list("frames", |list| {
        for (index, item) in Frames::new(payload).enumerate() {
            match item {
                Ok(_) if index >= MAX_FRAMES => omitted += 1,
                Ok((_, read)) => frame(schema, &read, ack_delay_exponent, list),
                Err(error) => list.tagged("frame_type", "unknown", |f| {
                    f.number(schema.pick("raw_frame_type", "frame_type_bytes"), error.frame_type);
                }),
            }
        }
    });
    if omitted > 0 {
        f.number("frames_omitted", omitted);
    }
}

pub(super) const fn direction(dir: Dir) -> &'static str {
    match dir {
        Dir::Bidi => "bidirectional",
        Dir::Uni => "unidirectional",
    }
}

/// The length of a frame's data: 0.3 has a field for it, the draft puts it under `raw`.
pub(super) fn length(schema: QlogSchema, len: usize, f: &mut Fields<'_>) {
    match schema {
        QlogSchema::V03 => f.number("length", len as u64),
        QlogSchema::Draft => f.object("raw", |f| f.number("length", len as u64)),
    }
}

/// An application's error code: no name is known for any.
fn application_error(schema: QlogSchema, code: u64, f: &mut Fields<'_>) {
    match schema {
        QlogSchema::V03 => {}
        QlogSchema::Draft => f.word("error", "unknown"),
    }
    f.number("error_code", code);
}

fn crypto(schema: QlogSchema, offset: u64, len: usize, list: &mut List<'_>) {
    list.tagged("frame_type", "crypto", |f| {
        f.number("offset", offset);
        length(schema, len, f);
    });
}

fn stream(schema: QlogSchema, id: StreamId, offset: u64, len: usize, fin: bool, list: &mut List<'_>) {
    list.tagged("frame_type", "stream", |f| {
        f.number("stream_id", id.0);
        f.number("offset", offset);
        length(schema, len, f);
        if fin {
            f.flag("fin", true);
        }
    });
}

pub(super) fn retransmission(schema: QlogSchema, what: &Retransmission, list: &mut List<'_>) {
    let usize = |len: u64| usize::try_from(len).unwrap_or(usize::MAX);
    match what {
        Retransmission::Crypto { offset, len } => crypto(schema, *offset, usize(*len), list),
        Retransmission::Stream { id, offset, len, fin } => stream(schema, *id, *offset, usize(*len), *fin, list),
        Retransmission::Frame(of) => frame(schema, of, 0, list),
        Retransmission::NewConnectionId(sequence) => {
            list.tagged("frame_type", "new_connection_id", |f| f.number("sequence_number", *sequence));
        }
    }
}

/// Writes one frame. Stateless reset tokens and address tokens are left out: who reads a log must not be able to use
/// them.
fn frame(schema: QlogSchema, frame: &Frame<'_>, ack_delay_exponent: u64, list: &mut List<'_>) {
    let ty = "frame_type";
    match *frame {
        Frame::Padding { len } => list.tagged(ty, "padding", |f| match schema {
            QlogSchema::V03 => f.number("length", len as u64),
            QlogSchema::Draft => f.object("raw", |f| f.number("payload_length", len as u64)),
        }),
        Frame::Ping => list.tagged(ty, "ping", |_| {}),
        Frame::Ack(ack) => list.tagged(ty, "ack", |f| acknowledgment(&ack, ack_delay_exponent, f)),
        Frame::ResetStream { id, code, final_size } => list.tagged(ty, "reset_stream", |f| {
            f.number("stream_id", id.0);
            application_error(schema, code, f);
            f.number("final_size", final_size);
        }),
        Frame::StopSending { id, code } => list.tagged(ty, "stop_sending", |f| {
            f.number("stream_id", id.0);
            application_error(schema, code, f);
        }),
        Frame::Crypto { offset, data } => crypto(schema, offset, data.len(), list),
        Frame::NewToken { token } => list.tagged(ty, "new_token", |f| {
            f.object("token", |f| length(schema, token.len(), f));
        }),
        Frame::Stream { id, offset, fin, data } => stream(schema, id, offset, data.len(), fin, list),
        Frame::MaxData { limit } => list.tagged(ty, "max_data", |f| f.number("maximum", limit)),
        Frame::MaxStreamData { id, limit } => list.tagged(ty, "max_stream_data", |f| {
            f.number("stream_id", id.0);
            f.number("maximum", limit);
        }),
        Frame::MaxStreams { dir, limit } => list.tagged(ty, "max_streams", |f| {
            f.word("stream_type", direction(dir));
            f.number("maximum", limit);
        }),
        Frame::DataBlocked { limit } => list.tagged(ty, "data_blocked", |f| f.number("limit", limit)),
        Frame::StreamDataBlocked { id, limit } => list.tagged(ty, "stream_data_blocked", |f| {
            f.number("stream_id", id.0);
            f.number("limit", limit);
        }),
        Frame::StreamsBlocked { dir, limit } => list.tagged(ty, "streams_blocked", |f| {
            f.word("stream_type", direction(dir));
            f.number("limit", limit);
        }),
        Frame::NewConnectionId { sequence, retire_prior_to, cid, .. } => list.tagged(ty, "new_connection_id", |f| {
            f.number("sequence_number", sequence);
            f.number("retire_prior_to", retire_prior_to);
            f.number("connection_id_length", cid.len() as u64);
            f.display("connection_id", cid);
        }),
        Frame::RetireConnectionId { sequence } => {
            list.tagged(ty, "retire_connection_id", |f| f.number("sequence_number", sequence));
        }
        Frame::PathChallenge(data) => list.tagged(ty, "path_challenge", |f| f.hex("data", &data)),
        Frame::PathResponse(data) => list.tagged(ty, "path_response", |f| f.hex("data", &data)),
        Frame::ConnectionClose(close) => list.tagged(ty, "connection_close", |f| connection_close(schema, &close, f)),
        Frame::HandshakeDone => list.tagged(ty, "handshake_done", |_| {}),
        Frame::Datagram { data } => list.tagged(ty, "datagram", |f| length(schema, data.len(), f)),
    }
}

fn acknowledgment(ack: &Ack<'_>, exponent: u64, f: &mut Fields<'_>) {
    let micros = ack.delay.saturating_mul(1 << exponent.min(20));
    f.millis("ack_delay", micros.saturating_mul(1_000));
    f.list("acked_ranges", |list| {
        for range in ack.ranges().take(MAX_RANGES) {
            list.range(*range.start(), *range.end());
        }
    });
    let omitted = ack.ranges().skip(MAX_RANGES).count() as u64;
    f.number_if("ranges_omitted", (omitted > 0).then_some(omitted));
    if let Some(ecn) = ack.ecn {
        f.number("ect1", ecn.ect1);
        f.number("ect0", ecn.ect0);
        f.number("ce", ecn.ce);
    }
}

fn connection_close(schema: QlogSchema, close: &ConnectionClose<'_>, f: &mut Fields<'_>) {
    let reason = match *close {
        ConnectionClose::Transport { code, frame_type, reason } => {
            f.word("error_space", "transport");
            error(schema, "error", "error_code", code, f);
            if schema == QlogSchema::V03 {
                f.number("raw_error_code", code.0);
            }
            f.number("trigger_frame_type", frame_type);
            reason
        }
        ConnectionClose::Application { code, reason } => {
            f.word("error_space", "application");
            application_error(schema, code, f);
            reason
        }
    };
    if !reason.is_empty() {
        f.text("reason", reason);
    }
}
