//! Datagrams that are sent without a connection: a server's answers to a client that it does not accept, and stateless
//! resets.
//!
//! An [`Endpoint`](crate::Endpoint) sends them by itself. They are here for callers who do without one and drive a
//! [`Connection`](crate::Connection) alone. Each is smaller than what it answers; how often it is sent is for the
//! caller to limit.

use alloc::vec;
use alloc::vec::Vec;

use crate::crypto::{KeyPair, Provider, Secret, TAG_LEN, initial_keys, retry_tag};
use crate::error::TransportErrorCode;
use crate::packet::{self, ConnectionClose, FirstLook, Frame, Layout, LongHeader, PacketType};
use crate::path::MIN_DATAGRAM_SIZE;
use crate::rng::Rng;
use crate::version_negotiation::MAX_VERSIONS;
use crate::wire::{ConnectionId, Side, Version, Writer};

/// A client's first connection ID for the server is at least so long (RFC 9000 section 7.2).
pub const MIN_FIRST_ID_LEN: usize = 8;

/// The length of the token that ends a stateless reset (RFC 9000 section 10.3).
pub const RESET_TOKEN_LEN: usize = 16;

/// The shortest stateless reset: five bytes and its token (RFC 9000 section 10.3).
pub const MIN_RESET_LEN: usize = 5 + RESET_TOKEN_LEN;

/// A stateless reset that answers a longer packet is not distinguishable from the shortest packets with a connection
/// ID of 20 bytes (RFC 9000 section 10.3).
const TYPICAL_RESET_LEN: usize = 42;
/// How much longer than that it may be, so that its length says nothing.
const RESET_LENGTHS: u64 = 22;

/// The longest reason that [`connection_close`] takes, in bytes.
pub const MAX_REASON_LEN: usize = 64;

/// The Initial that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its version: 1 or 2.
    pub version: Version,
    /// Where it was sent to.
    pub destination: ConnectionId,
    /// The client's connection ID.
    pub source: ConnectionId,
}

impl From<&Layout> for Answered {
    fn from(layout: &Layout) -> Self {
        Self { version: layout.version, destination: layout.dcid, source: layout.scid }
    }
}

/// Whether a datagram is one that opens a connection: at least 1200 bytes (RFC 9000 section 14.1) that begin with an
/// Initial of a version that this crate speaks. Its connection ID has at least [`MIN_FIRST_ID_LEN`] bytes unless there
/// is a token, which may be that of a Retry. `None` otherwise: the datagram is dropped, but for the version, to which
/// [`version_negotiation`] is the answer.
#[must_use]
pub fn first_initial(datagram: &[u8]) -> Option<Layout> {
    let layout = packet::parse(datagram, 0).ok()?;
    let long = layout.dcid.len() >= MIN_FIRST_ID_LEN || !layout.token.is_empty();
    (layout.ty == PacketType::Initial && datagram.len() >= MIN_DATAGRAM_SIZE && long).then_some(layout)
}

/// Whether the Initial at the start of `datagram` is authentic: what is not, is not answered. `layout` is what
/// [`packet::parse`] said of it. The datagram stays as it is.
#[must_use]
pub fn is_authentic(provider: &dyn Provider, layout: &Layout, datagram: &[u8]) -> bool {
    let KeyPair { remote, .. } = initial_keys(provider, layout.version, &layout.dcid, Side::Server);
    let Some(mut packet) = datagram.get(..layout.len).map(Vec::from) else { return false };
    let opened = packet::sample(&packet, layout.pn_offset).and_then(|sample| {
        let unmasked = packet::unmask(&mut packet, layout.pn_offset, remote.header.mask(&sample))?;
        let pn = packet::number::decode(unmasked.truncated_pn, unmasked.pn_len, 0);
        let (header, payload) = packet.split_at_mut_checked(unmasked.header_len(layout.pn_offset))?;
        remote.packet.open(pn, header, payload).ok().map(|_| ())
    });
    opened.is_some()
}

/// A Version Negotiation packet for a datagram of a version that is not spoken: its connection IDs, exchanged (RFC
/// 9000 section 17.2.1). It answers datagrams of at least 1200 bytes, and never another Version Negotiation packet.
/// `None` with more versions than fit: [`MAX_VERSIONS`] and one.
#[must_use]
pub fn version_negotiation(look: &FirstLook<'_>, random_first_byte: u8, versions: &[Version]) -> Option<Vec<u8>> {
    let mut buffer = [0; 7 + 2 * 255 + 4 * (MAX_VERSIONS + 1)];
    let mut writer = Writer::new(&mut buffer);
    packet::encode_version_negotiation(&mut writer, look.scid, look.dcid, random_first_byte, versions);
    let fits = versions.len() <= MAX_VERSIONS + 1 && !writer.overflowed();
    fits.then(|| Vec::from(writer.written()))
}

/// A Retry (RFC 9000 section 17.2.5), which asks for an Initial sent to `retry_source` with `token`: one of
/// [`Tokens::retry`](crate::token::Tokens::retry) or another, of 1 to [`token::MAX_LEN`](crate::token::MAX_LEN) bytes.
/// `retry_source` is not the connection ID that the client chose. `None` for a token of another length.
#[must_use]
pub fn retry(
    provider: &dyn Provider,
    answered: &Answered,
    retry_source: &ConnectionId,
    token: &[u8],
) -> Option<Vec<u8>> {
    let mut buffer = [0; crate::token::MAX_LEN + 64];
    let mut writer = Writer::new(&mut buffer);
    packet::encode_retry_without_tag(&mut writer, answered.version, &answered.source, retry_source, token);
    let tag = retry_tag(provider, answered.version, &answered.destination, writer.written());
    writer.bytes(&tag);
    let fits = (1..=crate::token::MAX_LEN).contains(&token.len()) && !writer.overflowed();
    fits.then(|| Vec::from(writer.written()))
}

/// An Initial with CONNECTION_CLOSE (RFC 9000 sections 5.2.2 and 8.1.3): CONNECTION_REFUSED, INVALID_TOKEN and the
/// like. `None` where `reason` has more than [`MAX_REASON_LEN`] bytes.
#[must_use]
pub fn connection_close(
    provider: &dyn Provider,
    answered: &Answered,
    code: TransportErrorCode,
    reason: &str,
) -> Option<Vec<u8>> {
    if reason.len() > MAX_REASON_LEN {
        return None;
    }
    let keys = initial_keys(provider, answered.version, &answered.destination, Side::Server).local;
    let mut buffer = [0; 192];
    let mut writer = Writer::new(&mut buffer);
    // The source connection ID is the one that the client sent to: a connection is not there to have its own.
    let (version, dcid, scid) = (answered.version, answered.source, answered.destination);
    let header = LongHeader { ty: PacketType::Initial, version, dcid, scid, token: &[] };
    let (pn, pn_len) = (0, 1);
    let offsets = header.encode(&mut writer, pn, pn_len);
    let close = ConnectionClose::Transport { code, frame_type: 0, reason: reason.as_bytes() };
    Frame::ConnectionClose(close).encode(&mut writer);
    writer.zeros(TAG_LEN);
    if writer.overflowed() {
        return None;
    }
    let len = writer.position();
    let datagram = buffer.get_mut(..len)?;
    packet::set_length(datagram, offsets.length, len - offsets.pn);
    keys.packet.seal(pn, datagram, offsets.pn + pn_len);
    let sample = packet::sample(datagram, offsets.pn)?;
    packet::mask(datagram, offsets.pn, pn_len, keys.header.mask(&sample));
    Some(Vec::from(&*datagram))
}

/// The token of a stateless reset for a connection ID of ours: a function of it and of the static key, so that it
/// outlives the connection's state (RFC 9000 section 10.3.2).
#[must_use]
pub fn reset_token(provider: &dyn Provider, key: &Secret, id: &ConnectionId) -> [u8; RESET_TOKEN_LEN] {
    provider.hmac_sha256(key.as_slice(), id.as_slice()).first_chunk().copied().unwrap_or_default()
}

/// A stateless reset (RFC 9000 section 10.3) that answers a datagram of `answered_len` bytes with a short header. It
/// is smaller than that, so that two endpoints without state do not go on for ever (section 10.3.3); `None` where it
/// cannot be, at [`MIN_RESET_LEN`] bytes and below. All but `token` is unpredictable.
#[must_use]
pub fn reset(rng: &mut Rng, token: &[u8; RESET_TOKEN_LEN], answered_len: usize) -> Option<Vec<u8>> {
    let longest = answered_len.checked_sub(1).filter(|longest| *longest >= MIN_RESET_LEN)?;
    let varied = TYPICAL_RESET_LEN + (rng.u64() % RESET_LENGTHS) as usize;
    let mut datagram = vec![0; if longest <= TYPICAL_RESET_LEN { longest } else { varied.min(longest) }];
    let (unpredictable, tail) = datagram.split_last_chunk_mut()?;
    rng.fill(unpredictable);
    // A short header: the first bit is 0, the fixed bit 1.
    if let Some(first) = unpredictable.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    *tail = *token;
    Some(datagram)
}
