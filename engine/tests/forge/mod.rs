//! Packets of a peer that holds the keys and keeps no rules. Shared with the tests that cross components.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use quillon::crypto::{self, CipherSuite, Keys, Secret, TAG_LEN, initial_keys};
use quillon::packet::{self, Frame, LongHeader, PacketType, ShortHeader};
use quillon::wire::{ConnectionId, Side, Version, Writer};

/// Every packet number is written in full, so that it can be far ahead.
const PN_LEN: usize = 4;

enum Header {
    Long { ty: PacketType, dcid: ConnectionId, scid: ConnectionId },
    Short { dcid: ConnectionId },
}

/// Seals packets of one direction and level of a connection.
pub struct Forge {
    header: Header,
    keys: Keys,
    /// The number of the next packet.
    pub packet_number: u64,
    /// The Key Phase bit of 1-RTT packets.
    pub key_phase: bool,
    /// Bits of the first byte that are turned over before the packet is sealed.
    pub turned_bits: u8,
}

impl Forge {
    /// Initial packets of the client whose first datagram this is: anyone who sees it can make them.
    ///
    /// # Panics
    /// Where it is not an Initial.
    #[must_use]
    pub fn initial(first: &[u8]) -> Self {
        let layout = packet::parse(first, 8).expect("a packet");
        assert_eq!(layout.ty, PacketType::Initial);
        let keys = initial_keys(crypto::ring::provider().as_ref(), Version::V1, &layout.dcid, Side::Client).local;
        Self::new(Header::Long { ty: PacketType::Initial, dcid: layout.dcid, scid: layout.scid }, keys)
    }

    /// Packets with a long header under a traffic secret.
    #[must_use]
    pub fn long(ty: PacketType, dcid: ConnectionId, scid: ConnectionId, suite: CipherSuite, secret: &Secret) -> Self {
        let keys = Keys::from_secret(crypto::ring::provider().as_ref(), Version::V1, suite, secret);
        Self::new(Header::Long { ty, dcid, scid }, keys)
    }

    /// 1-RTT packets under a traffic secret.
    #[must_use]
    pub fn short(dcid: ConnectionId, suite: CipherSuite, secret: &Secret) -> Self {
        let keys = Keys::from_secret(crypto::ring::provider().as_ref(), Version::V1, suite, secret);
        Self::new(Header::Short { dcid }, keys)
    }

    fn new(header: Header, keys: Keys) -> Self {
        Self { header, keys, packet_number: 1000, key_phase: false, turned_bits: 0 }
    }

    /// The destination connection ID of the packets.
    #[must_use]
    pub const fn destination(&self) -> ConnectionId {
        match self.header {
            Header::Long { dcid, .. } | Header::Short { dcid } => dcid,
        }
    }

    /// Goes on with the keys of another secret, and the same header protection (RFC 9001 section 6.1).
    pub fn rekey(&mut self, suite: CipherSuite, secret: &Secret) {
        self.keys.packet = Keys::from_secret(crypto::ring::provider().as_ref(), Version::V1, suite, secret).packet;
        self.key_phase = !self.key_phase;
    }

    /// The next packet, with exactly this payload.
    ///
    /// # Panics
    /// Where the payload does not fit a datagram.
    pub fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 65_527];
        let mut writer = Writer::new(&mut buffer);
        let pn_offset = match self.header {
            Header::Short { dcid } => {
                let header = ShortHeader { dcid, spin: false, key_phase: self.key_phase };
                header.encode(&mut writer, self.packet_number, PN_LEN)
            }
            Header::Long { ty, dcid, scid } => {
                let header = LongHeader { ty, version: Version::V1, dcid, scid, token: &[] };
                let offsets = header.encode(&mut writer, self.packet_number, PN_LEN);
                packet::set_length(writer.written_mut(), offsets.length, PN_LEN + payload.len() + TAG_LEN);
                offsets.pn
            }
        };
        let header_len = writer.position();
        writer.bytes(payload);
        writer.zeros(TAG_LEN);
        assert!(!writer.overflowed(), "{} bytes", payload.len());
        let len = writer.position();
        buffer.truncate(len);
        buffer[0] ^= self.turned_bits;
        self.keys.packet.seal(self.packet_number, &mut buffer, header_len);
        let sample = packet::sample(&buffer, pn_offset).expect("four bytes of packet number and a tag");
        packet::mask(&mut buffer, pn_offset, PN_LEN, self.keys.header.mask(&sample));
        self.packet_number += 1;
        buffer
    }

    /// A datagram with the next packet. What an Initial lacks to 1200 bytes follows behind the packet, as bytes that
    /// are none.
    pub fn datagram(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut datagram = self.packet(payload);
        if matches!(self.header, Header::Long { ty: PacketType::Initial, .. }) && datagram.len() < 1200 {
            datagram.resize(1200, 0);
        }
        datagram
    }
}

/// The frame's bytes.
///
/// # Panics
/// Where it is longer than a datagram.
#[must_use]
pub fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 65_527];
    let mut writer = Writer::new(&mut buffer);
    frame.encode(&mut writer);
    assert!(!writer.overflowed(), "{frame:?}");
    writer.written().to_vec()
}
