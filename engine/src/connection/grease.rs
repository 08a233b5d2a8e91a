//! The QUIC bit: random where the peer takes it so (RFC 9287).

use super::Connection;
use crate::packet;

/// Whether the QUIC bit of the packets that we send is random, and random bits for it.
#[derive(Debug, Default)]
pub(super) struct QuicBit {
    random: bool,
    bits: u64,
    left: u32,
}

impl QuicBit {
    /// The peer announced `grease_quic_bit`.
    pub(super) const fn randomize(&mut self) {
        self.random = true;
    }
}

impl Connection {
    /// Clears the QUIC bit of every second packet, by chance (RFC 9287 section 3.1). Before the packet is sealed.
    pub(super) fn grease_quic_bit(&mut self, packet: &mut [u8]) {
        let bit = &mut self.quic_bit;
        if !bit.random {
            return;
        }
        if bit.left == 0 {
            (bit.bits, bit.left) = (self.rng.u64(), u64::BITS);
        }
        if bit.bits & 1 == 0 {
            packet::clear_fixed_bit(packet);
        }
        (bit.bits, bit.left) = (bit.bits >> 1, bit.left - 1);
    }

    /// Reads a packet's header. With `grease_quic_bit` announced its QUIC bit means nothing (RFC 9287 section 3).
    pub(super) fn parse_packet(&self, packet: &[u8]) -> Option<packet::Layout> {
        let local_id_len = self.id_settings.generator.id_len();
        let layout = if self.settings.grease_quic_bit {
            packet::parse_greased(packet, local_id_len)
        } else {
            packet::parse(packet, local_id_len)
        };
        layout.ok()
    }
}
