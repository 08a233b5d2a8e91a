//! Answers to datagrams that belong to no connection.

use alloc::vec::Vec;

use super::admission::First;
use crate::crypto::{self, TAG_LEN, initial_keys, retry_tag};
use crate::error::TransportErrorCode;
use crate::packet::{self, ConnectionClose, FirstLook, Frame, LongHeader, PacketType};
use crate::version_negotiation::MAX_VERSIONS;
use crate::wire::{ConnectionId, FourTuple, Side, Version, Writer};

/// A datagram that answers one without a connection.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) datagram: Vec<u8>,
    pub(super) path: FourTuple,
}

impl Reply {
    /// A Version Negotiation packet: the peer's connection IDs, exchanged (RFC 9000 section 17.2.1).
    pub(super) fn version_negotiation(
        path: FourTuple,
        look: &FirstLook<'_>,
        first_byte: u8,
        versions: &[Version],
    ) -> Option<Self> {
        let mut buffer = [0; 7 + 2 * 255 + 4 * (MAX_VERSIONS + 1)];
        let mut writer = Writer::new(&mut buffer);
        packet::encode_version_negotiation(&mut writer, look.scid, look.dcid, first_byte, versions);
        (!writer.overflowed()).then(|| Self { datagram: Vec::from(writer.written()), path })
    }

    /// A Retry (RFC 9000 section 17.2.5) that asks for an Initial sent to `retry_source`.
    pub(super) fn retry(
        first: &First,
        retry_source: &ConnectionId,
        token: &[u8],
        provider: &dyn crypto::Provider,
    ) -> Option<Self> {
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer);
        packet::encode_retry_without_tag(&mut writer, first.version, &first.source, retry_source, token);
        let tag = retry_tag(provider, first.version, &first.destination, writer.written());
        writer.bytes(&tag);
        (!writer.overflowed()).then(|| Self { datagram: Vec::from(writer.written()), path: first.path })
    }

    /// An Initial with CONNECTION_CLOSE (RFC 9000 sections 5.2.2 and 8.1.3). Smaller than what it answers, and stateless.
    pub(super) fn close(
        first: &First,
        provider: &dyn crypto::Provider,
        code: TransportErrorCode,
        reason: &str,
    ) -> Option<Self> {
        let keys = initial_keys(provider, first.version, &first.destination, Side::Server).local;
        let mut buffer = [0; 160];
        let mut writer = Writer::new(&mut buffer);
        // The source connection ID is the one that the client sent to: a connection is not there to have its own.
        let (version, dcid, scid) = (first.version, first.source, first.destination);
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
        Some(Self { datagram: Vec::from(&*datagram), path: first.path })
    }
}
