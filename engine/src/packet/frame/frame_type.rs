//! The numbers of the frame types (RFC 9000 section 12.4, RFC 9221 section 4), and where each may stand.

use crate::wire::Level;

/// PADDING.
pub const PADDING: u64 = 0x00;
/// PING.
pub const PING: u64 = 0x01;
/// ACK without ECN counts.
pub const ACK: u64 = 0x02;
/// ACK with ECN counts.
pub const ACK_ECN: u64 = 0x03;
/// RESET_STREAM.
pub const RESET_STREAM: u64 = 0x04;
/// STOP_SENDING.
pub const STOP_SENDING: u64 = 0x05;
/// CRYPTO.
pub const CRYPTO: u64 = 0x06;
/// NEW_TOKEN.
pub const NEW_TOKEN: u64 = 0x07;
/// The first of the eight STREAM types.
pub const STREAM: u64 = 0x08;
/// The last of the eight STREAM types.
pub const STREAM_LAST: u64 = 0x0f;
/// MAX_DATA.
pub const MAX_DATA: u64 = 0x10;
/// MAX_STREAM_DATA.
pub const MAX_STREAM_DATA: u64 = 0x11;
/// MAX_STREAMS for bidirectional streams.
pub const MAX_STREAMS_BIDI: u64 = 0x12;
/// MAX_STREAMS for unidirectional streams.
pub const MAX_STREAMS_UNI: u64 = 0x13;
/// DATA_BLOCKED.
pub const DATA_BLOCKED: u64 = 0x14;
/// STREAM_DATA_BLOCKED.
pub const STREAM_DATA_BLOCKED: u64 = 0x15;
/// STREAMS_BLOCKED for bidirectional streams.
pub const STREAMS_BLOCKED_BIDI: u64 = 0x16;
/// STREAMS_BLOCKED for unidirectional streams.
pub const STREAMS_BLOCKED_UNI: u64 = 0x17;
/// NEW_CONNECTION_ID.
pub const NEW_CONNECTION_ID: u64 = 0x18;
/// RETIRE_CONNECTION_ID.
pub const RETIRE_CONNECTION_ID: u64 = 0x19;
/// PATH_CHALLENGE.
pub const PATH_CHALLENGE: u64 = 0x1a;
/// PATH_RESPONSE.
pub const PATH_RESPONSE: u64 = 0x1b;
/// CONNECTION_CLOSE from QUIC.
pub const CONNECTION_CLOSE: u64 = 0x1c;
/// CONNECTION_CLOSE from the application.
pub const APPLICATION_CLOSE: u64 = 0x1d;
/// HANDSHAKE_DONE.
pub const HANDSHAKE_DONE: u64 = 0x1e;
/// DATAGRAM that extends to the end of the packet.
pub const DATAGRAM: u64 = 0x30;
/// DATAGRAM with a Length.
pub const DATAGRAM_WITH_LENGTH: u64 = 0x31;

/// STREAM's bit that says the stream ends here (RFC 9000 section 19.8).
pub(super) const STREAM_FIN: u64 = 0x01;
/// STREAM's bit that says there is a Length.
pub(super) const STREAM_LEN: u64 = 0x02;
/// STREAM's bit that says there is an Offset.
pub(super) const STREAM_OFF: u64 = 0x04;

/// The type of a STREAM frame. An offset of zero is left out.
pub(super) const fn stream(offset: u64, fin: bool, with_length: bool) -> u64 {
    let offset = if offset > 0 { STREAM_OFF } else { 0 };
    let length = if with_length { STREAM_LEN } else { 0 };
    let fin = if fin { STREAM_FIN } else { 0 };
    STREAM | offset | length | fin
}

/// Whether a frame of this type may stand in packets of this level (RFC 9000 section 12.4, table 3, and
/// section 12.5). A type that is not known may stand nowhere.
///
/// RETIRE_CONNECTION_ID is refused in 0-RTT packets although the table allows it: section 12.5 names it among the
/// frames that a client cannot have reason to send there. Which end may send NEW_TOKEN and HANDSHAKE_DONE is for the
/// connection to decide.
#[must_use]
pub const fn permitted(frame_type: u64, level: Level) -> bool {
    match level {
        Level::Initial | Level::Handshake => {
            matches!(frame_type, PADDING | PING | ACK | ACK_ECN | CRYPTO | CONNECTION_CLOSE)
        }
        Level::ZeroRtt => {
            matches!(
                frame_type,
                PADDING | PING | RESET_STREAM | STOP_SENDING | STREAM
                    ..=NEW_CONNECTION_ID
                        | PATH_CHALLENGE
                        | CONNECTION_CLOSE
                        | APPLICATION_CLOSE
                        | DATAGRAM
                        | DATAGRAM_WITH_LENGTH
            )
        }
        Level::OneRtt => matches!(frame_type, PADDING..=HANDSHAKE_DONE | DATAGRAM | DATAGRAM_WITH_LENGTH),
    }
}
