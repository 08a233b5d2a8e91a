//! Streams and datagrams between the application and the transport.

use super::super::event::{BlockedReason, Movement, StreamState};
use super::super::fields::Fields;
use super::{QlogSchema, frames};
use crate::wire::StreamId;

pub(super) fn state(id: StreamId, state: StreamState, f: &mut Fields<'_>) {
    let (new, side) = match state {
        StreamState::SendOpen => ("open", "sending"),
        StreamState::ReceiveOpen => ("open", "receiving"),
        StreamState::DataReceived => ("data_received", "sending"),
        StreamState::DataRead => ("data_read", "receiving"),
        StreamState::ResetSent => ("reset_sent", "sending"),
        StreamState::ResetReceived => ("reset_received", "receiving"),
    };
    f.number("stream_id", id.0);
    f.word("stream_type", frames::direction(id.dir()));
    f.word("new", new);
    f.word("stream_side", side);
}

pub(super) fn moved(schema: QlogSchema, len: usize, movement: Movement, fin: bool, f: &mut Fields<'_>) {
    let (from, to) = match movement {
        Movement::ToTransport => ("application", "transport"),
        Movement::ToApplication => ("transport", "application"),
    };
    f.word("from", from);
    f.word("to", to);
    frames::length(schema, len, f);
    if fin {
        f.word("additional_info", "fin_set");
    }
}

pub(super) fn blocked(old: Option<BlockedReason>, new: Option<BlockedReason>, f: &mut Fields<'_>) {
    let state = |reason: Option<BlockedReason>| if reason.is_some() { "blocked" } else { "unblocked" };
    f.word("old", state(old));
    f.word("new", state(new));
    match new {
        Some(BlockedReason::Pacing) => f.word("reason", "pacing"),
        Some(BlockedReason::AmplificationProtection) => f.word("reason", "amplification_protection"),
        Some(BlockedReason::CongestionControl) => f.word("reason", "congestion_control"),
        Some(BlockedReason::FlowControl) => f.word("reason", "connection_flow_control"),
        None => {}
    }
}
