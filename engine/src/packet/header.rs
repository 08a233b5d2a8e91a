use super::{FIXED_BIT, LONG_HEADER, PacketType};
use crate::wire::{ConnectionId, Version, Writer, varint};

/// The largest Length a long header written here can state: it is always a two-byte variable-length integer, so
/// that it can be filled in after the payload.
pub const MAX_LENGTH: usize = 0x3fff;

/// A long header of type Initial, 0-RTT or Handshake (RFC 9000 section 17.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader<'a> {
    /// The type: one of the three that carry packet numbers.
    pub ty: PacketType,
    /// The version, which also decides the type's bits.
    pub version: Version,
    /// The destination connection ID.
    pub dcid: ConnectionId,
    /// The source connection ID.
    pub scid: ConnectionId,
    /// The token; only Initial packets carry one.
    pub token: &'a [u8],
}

/// Where fields of a written long header lie. Offsets count from the start of the writer's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeaderOffsets {
    /// The Length, to be filled in by [`set_length`].
    pub length: usize,
    /// The packet number.
    pub pn: usize,
}

impl LongHeader<'_> {
    /// How many bytes [`encode`](Self::encode) writes, the packet number included.
    #[must_use]
    pub const fn encoded_len(&self, pn_len: usize) -> usize {
        let token = match self.ty {
            PacketType::Initial => varint::len(self.token.len() as u64) + self.token.len(),
            _ => 0,
        };
        1 + 4 + 1 + self.dcid.len() + 1 + self.scid.len() + token + 2 + pn_len
    }

    /// Writes the header with the lowest `pn_len` bytes (1 to 4) of packet number `pn`. The Length is zero until
    /// [`set_length`] fills it in.
    pub fn encode(&self, w: &mut Writer<'_>, pn: u64, pn_len: usize) -> LongHeaderOffsets {
        debug_assert!(matches!(self.ty, PacketType::Initial | PacketType::ZeroRtt | PacketType::Handshake));
        let first = LONG_HEADER | FIXED_BIT | self.ty.type_bits(self.version) | pn_len_bits(pn_len);
        write_invariants(w, first, self.version, self.dcid.as_slice(), self.scid.as_slice());
        if self.ty == PacketType::Initial {
            w.varint_bytes(self.token);
        }
        let length = w.position();
        w.u16(0x4000);
        let pn_offset = w.position();
        write_pn(w, pn, pn_len);
        LongHeaderOffsets { length, pn: pn_offset }
    }
}

/// Whether the fixed bit of a header is set.
#[must_use]
pub const fn has_fixed_bit(packet: &[u8]) -> bool {
    matches!(packet.first(), Some(first) if *first & FIXED_BIT != 0)
}

/// Makes the fixed bit of a header zero: for a peer that sent the transport parameter `grease_quic_bit` (RFC 9287
/// section 3.1).
pub const fn clear_fixed_bit(packet: &mut [u8]) {
    if let Some(first) = packet.first_mut() {
        *first &= !FIXED_BIT;
    }
}

/// Fills in the Length of a long header: the bytes of the packet number, the payload and its tag (RFC 9000
/// section 17.2), at most [`MAX_LENGTH`]. `length_offset` is an offset into `buffer`.
pub fn set_length(buffer: &mut [u8], length_offset: usize, value: usize) {
    debug_assert!(value <= MAX_LENGTH);
    let field = buffer.get_mut(length_offset..).and_then(<[u8]>::first_chunk_mut);
    debug_assert!(field.is_some());
    if let Some(field) = field {
        *field = (value.min(MAX_LENGTH) as u16 | 0x4000).to_be_bytes();
    }
}

/// The short header of 1-RTT packets (RFC 9000 section 17.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHeader {
    /// The destination connection ID.
    pub dcid: ConnectionId,
    /// The latency spin bit (section 17.4).
    pub spin: bool,
    /// The key phase (RFC 9001 section 6).
    pub key_phase: bool,
}

impl ShortHeader {
    /// How many bytes [`encode`](Self::encode) writes, the packet number included.
    #[must_use]
    pub const fn encoded_len(&self, pn_len: usize) -> usize {
        1 + self.dcid.len() + pn_len
    }

    /// Writes the header with the lowest `pn_len` bytes (1 to 4) of packet number `pn`. Returns where the packet
    /// number starts, counted from the start of the writer's buffer.
    pub fn encode(&self, w: &mut Writer<'_>, pn: u64, pn_len: usize) -> usize {
        w.u8(FIXED_BIT | u8::from(self.spin) << 5 | u8::from(self.key_phase) << 2 | pn_len_bits(pn_len));
        w.bytes(self.dcid.as_slice());
        let pn_offset = w.position();
        write_pn(w, pn, pn_len);
        pn_offset
    }
}

/// Writes a Version Negotiation packet (RFC 9000 section 17.2.1). The connection IDs, up to 255 bytes each, are
/// those of the packet it answers, swapped. Seven bits of `random_first_byte` are kept but for the fixed bit,
/// which is set so that the packet can share a port with other protocols.
pub fn encode_version_negotiation(
    w: &mut Writer<'_>,
    dcid: &[u8],
    scid: &[u8],
    random_first_byte: u8,
    versions: &[Version],
) {
    write_invariants(w, LONG_HEADER | FIXED_BIT | random_first_byte, Version::NEGOTIATION, dcid, scid);
    versions.iter().for_each(|version| w.u32(version.0));
}

/// Writes a Retry packet up to the integrity tag that ends it (RFC 9000 section 17.2.5). The connection IDs go
/// out as given: `dcid` is the client's source connection ID, `scid` the one that the server chose.
pub fn encode_retry_without_tag(
    w: &mut Writer<'_>,
    version: Version,
    dcid: &ConnectionId,
    scid: &ConnectionId,
    token: &[u8],
) {
    // The low four bits are unused: ones, as in the examples of RFC 9001 and RFC 9369.
    let first = LONG_HEADER | FIXED_BIT | PacketType::Retry.type_bits(version) | 0x0f;
    write_invariants(w, first, version, dcid.as_slice(), scid.as_slice());
    w.bytes(token);
}

/// Writes what every long header starts with (RFC 8999 section 5.1).
fn write_invariants(w: &mut Writer<'_>, first: u8, version: Version, dcid: &[u8], scid: &[u8]) {
    debug_assert!(dcid.len() <= 255 && scid.len() <= 255);
    w.u8(first);
    w.u32(version.0);
    for id in [dcid, scid] {
        w.u8(id.len() as u8);
        w.bytes(id);
    }
}

/// The first byte's packet number length.
fn pn_len_bits(pn_len: usize) -> u8 {
    debug_assert!((1..=4).contains(&pn_len));
    (pn_len as u8).wrapping_sub(1) & 3
}

/// Writes the lowest `len` bytes of `pn`.
fn write_pn(w: &mut Writer<'_>, pn: u64, len: usize) {
    match len {
        1 => w.u8(pn as u8),
        2 => w.u16(pn as u16),
        3 => {
            w.u8((pn >> 16) as u8);
            w.u16(pn as u16);
        }
        _ => w.u32(pn as u32),
    }
}
