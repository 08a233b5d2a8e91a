use core::fmt;
use core::ops::Range;

use super::{FIXED_BIT, LONG_HEADER, PacketType, RETRY_TAG_LEN};
use crate::wire::{ConnectionId, Reader, UnexpectedEnd, Version};

/// What every version of QUIC lets a receiver see (RFC 8999).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstLook<'a> {
    /// The version; `None` for a short header, which has none.
    pub version: Option<Version>,
    /// Where the packet goes: up to 255 bytes, since later versions may allow more than 20.
    pub dcid: &'a [u8],
    /// Where the packet comes from; empty for a short header.
    pub scid: &'a [u8],
}

/// Reads what is the same in every version of QUIC (RFC 8999 section 5), of the datagram's first packet. A short
/// header's connection ID has no length on the wire: it is `local_cid_len` bytes, as this endpoint chose.
///
/// `None` where the datagram ends inside the header.
#[must_use]
pub fn first_look(datagram: &[u8], local_cid_len: usize) -> Option<FirstLook<'_>> {
    let mut reader = Reader::new(datagram);
    if reader.u8().ok()? & LONG_HEADER == 0 {
        return Some(FirstLook { version: None, dcid: reader.bytes(local_cid_len).ok()?, scid: &[] });
    }
    let version = Version(reader.u32().ok()?);
    let dcid = connection_id(&mut reader).ok()?;
    let scid = connection_id(&mut reader).ok()?;
    Some(FirstLook { version: Some(version), dcid, scid })
}

/// A connection ID behind its length in one byte.
fn connection_id<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], UnexpectedEnd> {
    let len = reader.u8()?;
    reader.bytes(len.into())
}

/// Why a packet's header cannot be read. Such a packet is dropped, and with it the rest of its datagram
/// (RFC 9000 section 12.2): nothing in it has been authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The packet ends inside its header, or before its Length is reached.
    Truncated,
    /// The fixed bit is zero (RFC 9000 sections 17.2 and 17.3.1).
    FixedBitZero,
    /// A connection ID is longer than 20 bytes (RFC 9000 section 17.2).
    ConnectionIdTooLong,
    /// The version is neither 1 nor 2.
    UnsupportedVersion(Version),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the packet is truncated"),
            Self::FixedBitZero => f.write_str("the fixed bit is zero"),
            Self::ConnectionIdTooLong => f.write_str("a connection ID is longer than 20 bytes"),
            Self::UnsupportedVersion(version) => write!(f, "version {:#010x} is not supported", version.0),
        }
    }
}

impl core::error::Error for HeaderError {}

impl From<UnexpectedEnd> for HeaderError {
    fn from(_: UnexpectedEnd) -> Self {
        Self::Truncated
    }
}

/// Where the parts of a protected packet lie. Offsets count from the packet's first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The packet's type.
    pub ty: PacketType,
    /// The version: [`Version::NEGOTIATION`] for Version Negotiation. A short header has none and says
    /// [`Version::V1`].
    pub version: Version,
    /// The destination connection ID.
    pub dcid: ConnectionId,
    /// The source connection ID; empty for a short header.
    pub scid: ConnectionId,
    /// The token of an Initial or, without the integrity tag behind it, of a Retry. Otherwise empty.
    pub token: Range<usize>,
    /// Where the packet number starts. Equal to `len` in Retry and Version Negotiation, which have none.
    pub pn_offset: usize,
    /// How many bytes the packet takes: what follows in the slice is the next coalesced packet (RFC 9000
    /// section 12.2).
    pub len: usize,
}

/// Reads the header of the first packet in `packet`, up to the packet number. A short header's connection ID has
/// `local_cid_len` bytes.
///
/// # Errors
///
/// Those of [`HeaderError`]; the rest of the datagram is then unreadable too.
pub fn parse(packet: &[u8], local_cid_len: usize) -> Result<Layout, HeaderError> {
    let layout = parse_greased(packet, local_cid_len)?;
    // The bit carries no meaning in Version Negotiation packets (RFC 9000 section 17.2.1).
    let fixed = packet.first().is_some_and(|first| first & FIXED_BIT != 0);
    if fixed || layout.ty == PacketType::VersionNegotiation { Ok(layout) } else { Err(HeaderError::FixedBitZero) }
}

/// As [`parse`], but takes packets whose fixed bit is zero: for an endpoint that has sent the transport parameter
/// `grease_quic_bit` (RFC 9287 section 3).
///
/// # Errors
///
/// Those of [`HeaderError`] but `FixedBitZero`.
pub fn parse_greased(packet: &[u8], local_cid_len: usize) -> Result<Layout, HeaderError> {
    let mut reader = Reader::new(packet);
    let first = reader.u8()?;
    if first & LONG_HEADER == 0 {
        let dcid = ConnectionId::new(reader.bytes(local_cid_len)?).ok_or(HeaderError::ConnectionIdTooLong)?;
        return Ok(Layout {
            ty: PacketType::OneRtt,
            version: Version::V1,
            dcid,
            scid: ConnectionId::EMPTY,
            token: 0..0,
            pn_offset: reader.position(),
            len: packet.len(),
        });
    }
    let version = Version(reader.u32()?);
    if version != Version::NEGOTIATION && !version.is_supported() {
        return Err(HeaderError::UnsupportedVersion(version));
    }
    let dcid = ConnectionId::new(connection_id(&mut reader)?).ok_or(HeaderError::ConnectionIdTooLong)?;
    let scid = ConnectionId::new(connection_id(&mut reader)?).ok_or(HeaderError::ConnectionIdTooLong)?;
    let ty = match version {
        Version::NEGOTIATION => PacketType::VersionNegotiation,
        _ => PacketType::of_long_header(first, version),
    };
    let (token, pn_offset, len) = match ty {
        PacketType::VersionNegotiation => (0..0, packet.len(), packet.len()),
        PacketType::Retry => {
            let token = reader.remaining().checked_sub(RETRY_TAG_LEN).ok_or(HeaderError::Truncated)?;
            (reader.position()..reader.position() + token, packet.len(), packet.len())
        }
        _ => {
            let token = if ty == PacketType::Initial { reader.varint_bytes()?.len() } else { 0 };
            let token = reader.position() - token..reader.position();
            let length = usize::try_from(reader.varint()?).map_err(|_| HeaderError::Truncated)?;
            let pn_offset = reader.position();
            reader.bytes(length)?;
            (token, pn_offset, reader.position())
        }
    };
    Ok(Layout { ty, version, dcid, scid, token, pn_offset, len })
}

/// The versions that a Version Negotiation packet lists, in its order; `None` where the packet is not one, lists
/// none, or ends inside one: such a packet is ignored (RFC 8999 section 6).
#[must_use]
pub fn supported_versions(packet: &[u8]) -> Option<impl Iterator<Item = Version> + Clone> {
    let mut reader = Reader::new(packet);
    if reader.u8().ok()? & LONG_HEADER == 0 || Version(reader.u32().ok()?) != Version::NEGOTIATION {
        return None;
    }
    connection_id(&mut reader).ok()?;
    connection_id(&mut reader).ok()?;
    let (versions, incomplete) = reader.rest().as_chunks::<4>();
    if versions.is_empty() || !incomplete.is_empty() {
        return None;
    }
    Some(versions.iter().map(|version| Version(u32::from_be_bytes(*version))))
}
