//! Frames: their types, decoding and encoding.

mod ack;
mod decode;
mod encode;
pub mod frame_type;

pub use ack::{Ack, AckRanges, MAX_ACK_RANGES, encode_ack};
pub use decode::Frames;
pub use encode::{crypto_frame_overhead, encode_crypto_header, encode_stream_header, stream_frame_overhead};
pub use frame_type::permitted;

use crate::error::TransportErrorCode;
use crate::wire::{ConnectionId, Dir, StreamId};

/// The most streams that a limit may allow: 2^60, since identifiers end at 2^62 - 1 (RFC 9000 section 19.11).
const MAX_STREAM_COUNT: u64 = 1 << 60;

/// A frame (RFC 9000 section 19, RFC 9221). Data is borrowed from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A run of PADDING frames, which are one byte each (section 19.1).
    Padding {
        /// How many.
        len: usize,
    },
    /// Asks for an acknowledgement (section 19.2).
    Ping,
    /// Packets received (section 19.3).
    Ack(Ack<'a>),
    /// The sender gives a stream up (section 19.4).
    ResetStream {
        /// The stream.
        id: StreamId,
        /// The application's error code.
        code: u64,
        /// How many bytes the stream has come to, all told.
        final_size: u64,
    },
    /// The receiver gives a stream up (section 19.5).
    StopSending {
        /// The stream.
        id: StreamId,
        /// The application's error code.
        code: u64,
    },
    /// Bytes of the cryptographic handshake (section 19.6).
    Crypto {
        /// Where the data goes.
        offset: u64,
        /// The data. The decoder has checked that `offset` plus its length is at most 2^62 - 1.
        data: &'a [u8],
    },
    /// An address validation token for a later connection (section 19.7).
    NewToken {
        /// The token, never empty when decoded.
        token: &'a [u8],
    },
    /// Bytes of a stream (section 19.8).
    Stream {
        /// The stream.
        id: StreamId,
        /// Where the data goes.
        offset: u64,
        /// Whether the stream ends behind the data.
        fin: bool,
        /// The data. The decoder has checked that `offset` plus its length is at most 2^62 - 1.
        data: &'a [u8],
    },
    /// How many bytes the connection may carry, all told (section 19.9).
    MaxData {
        /// The limit, in bytes.
        limit: u64,
    },
    /// How many bytes a stream may carry (section 19.10).
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// The limit, in bytes.
        limit: u64,
    },
    /// How many streams the peer may open, all told (section 19.11).
    MaxStreams {
        /// Which streams.
        dir: Dir,
        /// The limit, at most 2^60.
        limit: u64,
    },
    /// The connection's limit holds data back (section 19.12).
    DataBlocked {
        /// The limit that was reached.
        limit: u64,
    },
    /// The stream's limit holds data back (section 19.13).
    StreamDataBlocked {
        /// The stream.
        id: StreamId,
        /// The limit that was reached.
        limit: u64,
    },
    /// The limit on streams holds one back (section 19.14).
    StreamsBlocked {
        /// Which streams.
        dir: Dir,
        /// The limit that was reached, at most 2^60.
        limit: u64,
    },
    /// A connection ID for the peer to use (section 19.15).
    NewConnectionId {
        /// Its sequence number.
        sequence: u64,
        /// Those with sequence numbers below are to be retired; at most `sequence`.
        retire_prior_to: u64,
        /// The connection ID, never empty when decoded.
        cid: ConnectionId,
        /// The token that proves a stateless reset of it.
        reset_token: [u8; 16],
    },
    /// A connection ID that will not be used any more (section 19.16).
    RetireConnectionId {
        /// Its sequence number.
        sequence: u64,
    },
    /// Asks for these bytes back, on the same path (section 19.17).
    PathChallenge([u8; 8]),
    /// Gives the bytes of a PATH_CHALLENGE back (section 19.18).
    PathResponse([u8; 8]),
    /// Ends the connection (section 19.19).
    ConnectionClose(ConnectionClose<'a>),
    /// The server confirms the handshake (section 19.20).
    HandshakeDone,
    /// Unreliable data (RFC 9221 section 4).
    Datagram {
        /// The data.
        data: &'a [u8],
    },
}

/// Why a connection ends (RFC 9000 section 19.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionClose<'a> {
    /// QUIC closes: type 0x1c.
    Transport {
        /// The error.
        code: TransportErrorCode,
        /// The type of the frame at fault; 0 where it is not known.
        frame_type: u64,
        /// Words for people, said to be UTF-8, maybe empty.
        reason: &'a [u8],
    },
    /// The application closes: type 0x1d.
    Application {
        /// The application's error code.
        code: u64,
        /// Words for people, said to be UTF-8, maybe empty.
        reason: &'a [u8],
    },
}

impl Frame<'_> {
    /// The type that [`encode`](Self::encode) writes.
    #[must_use]
    pub const fn frame_type(&self) -> u64 {
        match *self {
            Self::Padding { .. } => frame_type::PADDING,
            Self::Ping => frame_type::PING,
            Self::Ack(ref ack) => ack.frame_type(),
            Self::ResetStream { .. } => frame_type::RESET_STREAM,
            Self::StopSending { .. } => frame_type::STOP_SENDING,
            Self::Crypto { .. } => frame_type::CRYPTO,
            Self::NewToken { .. } => frame_type::NEW_TOKEN,
            Self::Stream { offset, fin, .. } => frame_type::stream(offset, fin, true),
            Self::MaxData { .. } => frame_type::MAX_DATA,
            Self::MaxStreamData { .. } => frame_type::MAX_STREAM_DATA,
            Self::MaxStreams { dir: Dir::Bidi, .. } => frame_type::MAX_STREAMS_BIDI,
            Self::MaxStreams { dir: Dir::Uni, .. } => frame_type::MAX_STREAMS_UNI,
            Self::DataBlocked { .. } => frame_type::DATA_BLOCKED,
            Self::StreamDataBlocked { .. } => frame_type::STREAM_DATA_BLOCKED,
            Self::StreamsBlocked { dir: Dir::Bidi, .. } => frame_type::STREAMS_BLOCKED_BIDI,
            Self::StreamsBlocked { dir: Dir::Uni, .. } => frame_type::STREAMS_BLOCKED_UNI,
            Self::NewConnectionId { .. } => frame_type::NEW_CONNECTION_ID,
            Self::RetireConnectionId { .. } => frame_type::RETIRE_CONNECTION_ID,
            Self::PathChallenge(_) => frame_type::PATH_CHALLENGE,
            Self::PathResponse(_) => frame_type::PATH_RESPONSE,
            Self::ConnectionClose(ConnectionClose::Transport { .. }) => frame_type::CONNECTION_CLOSE,
            Self::ConnectionClose(ConnectionClose::Application { .. }) => frame_type::APPLICATION_CLOSE,
            Self::HandshakeDone => frame_type::HANDSHAKE_DONE,
            Self::Datagram { .. } => frame_type::DATAGRAM_WITH_LENGTH,
        }
    }

    /// Whether a packet with this frame asks for an acknowledgement: every frame but ACK, PADDING and
    /// CONNECTION_CLOSE (RFC 9002 section 2).
    #[must_use]
    pub const fn is_ack_eliciting(&self) -> bool {
        !matches!(self, Self::Padding { .. } | Self::Ack(_) | Self::ConnectionClose(_))
    }

    /// Whether a packet may carry this frame without moving the connection to the path it came on (RFC 9000 section
    /// 9.1).
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        matches!(
            self,
            Self::Padding { .. } | Self::PathChallenge(_) | Self::PathResponse(_) | Self::NewConnectionId { .. }
        )
    }
}
