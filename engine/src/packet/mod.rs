//! The packet codec: headers, packet numbers, header protection's bits and frames (RFC 9000 sections 12 and 16
//! to 19, RFC 8999, RFC 9221).
//!
//! Invariants:
//! - Decoding borrows from the datagram and allocates nothing; no input panics.
//! - What a decoder hands out has been validated against the rules that need no connection state. Rules that need
//!   it (who may send a frame, which numbers exist, flow control) belong to the connection.
//! - Encoding writes straight into a [`Writer`](crate::wire::Writer); the `encoded_len` of a thing is exactly what
//!   its `encode` writes.
//! - Versions 1 and 2 are understood. They differ here only in the type bits of long headers (RFC 9369 section 3.2).

mod frame;
mod header;
mod header_protection;
pub mod number;
mod parse;

pub use frame::{
    Ack, AckRanges, ConnectionClose, Frame, Frames, MAX_ACK_RANGES, crypto_frame_overhead, encode_ack,
    encode_crypto_header, encode_stream_header, frame_type, permitted, stream_frame_overhead,
};
pub use header::{
    LongHeader, LongHeaderOffsets, MAX_LENGTH, ShortHeader, clear_fixed_bit, encode_retry_without_tag,
    encode_version_negotiation, has_fixed_bit, set_length,
};
pub use header_protection::{SAMPLE_LEN, Unmasked, mask, sample, unmask};
pub use parse::{FirstLook, HeaderError, Layout, first_look, parse, parse_greased, supported_versions};

use crate::wire::{Level, Version};

/// The bit that tells long headers from short ones (RFC 8999 section 5).
const LONG_HEADER: u8 = 0x80;
/// The bit that is set in every packet of versions 1 and 2 (RFC 9000 section 17.2), unless greased (RFC 9287).
const FIXED_BIT: u8 = 0x40;
/// A Retry packet ends in an integrity tag of this many bytes (RFC 9001 section 5.8).
const RETRY_TAG_LEN: usize = 16;

/// The kinds of packets (RFC 9000 section 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PacketType {
    /// The first packets of each end, with a token from the client (section 17.2.2).
    Initial,
    /// Early data (section 17.2.3).
    ZeroRtt,
    /// The rest of the handshake (section 17.2.4).
    Handshake,
    /// A server's request to prove the address (section 17.2.5).
    Retry,
    /// A server's list of versions (section 17.2.1).
    VersionNegotiation,
    /// Everything after the handshake: the short header (section 17.3).
    OneRtt,
}

impl PacketType {
    /// The level whose keys protect packets of this type; `None` for Retry and Version Negotiation, which carry
    /// no frames.
    #[must_use]
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::Initial => Some(Level::Initial),
            Self::ZeroRtt => Some(Level::ZeroRtt),
            Self::Handshake => Some(Level::Handshake),
            Self::OneRtt => Some(Level::OneRtt),
            Self::Retry | Self::VersionNegotiation => None,
        }
    }

    /// The long header's two type bits, in their place in the first byte. Version 1 counts from Initial
    /// (RFC 9000 section 17.2); version 2 from Retry (RFC 9369 section 3.2).
    const fn type_bits(self, version: Version) -> u8 {
        let bits = match self {
            Self::Initial => 0,
            Self::ZeroRtt => 1,
            Self::Handshake => 2,
            Self::Retry | Self::VersionNegotiation | Self::OneRtt => 3,
        };
        let shift = if version.0 == Version::V2.0 { 1 } else { 0 };
        ((bits + shift) & 3) << 4
    }

    /// The type of a long header whose first byte is `first`: the inverse of [`type_bits`](Self::type_bits).
    const fn of_long_header(first: u8, version: Version) -> Self {
        let shift = if version.0 == Version::V2.0 { 3 } else { 0 };
        match ((first >> 4) + shift) & 3 {
            0 => Self::Initial,
            1 => Self::ZeroRtt,
            2 => Self::Handshake,
            _ => Self::Retry,
        }
    }
}
