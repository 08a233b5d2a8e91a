//! Answers to datagrams that belong to no connection.

use alloc::vec::Vec;

use crate::crypto::{self, TAG_LEN, initial_keys};
use crate::error::TransportErrorCode;
use crate::packet::{self, ConnectionClose, FirstLook, Frame, Layout, LongHeader, PacketType};
use crate::version_negotiation::MAX_VERSIONS;
use crate::wire::{FourTuple, Side, Version, Writer};

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

    /// An Initial with CONNECTION_REFUSED (RFC 9000 section 5.2.2). Smaller than what it answers, and stateless.
    pub(super) fn refusal(path: FourTuple, layout: &Layout, provider: &dyn crypto::Provider) -> Option<Self> {
        let keys = initial_keys(provider, layout.version, &layout.dcid, Side::Server).local;
        let mut buffer = [0; 128];
        let mut writer = Writer::new(&mut buffer);
        // The source connection ID is the one that the client chose: a connection is not there to have its own.
        let (version, dcid, scid) = (layout.version, layout.scid, layout.dcid);
        let header = LongHeader { ty: PacketType::Initial, version, dcid, scid, token: &[] };
        let (pn, pn_len) = (0, 1);
        let offsets = header.encode(&mut writer, pn, pn_len);
        let code = TransportErrorCode::CONNECTION_REFUSED;
        let close = ConnectionClose::Transport { code, frame_type: 0, reason: b"the server is full" };
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
        Some(Self { datagram: Vec::from(&*datagram), path })
    }
}
