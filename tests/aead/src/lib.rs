//! Packet protection alone: what a transfer cannot be faster than.
//!
//! Each packet is sealed and opened again through the engine's crypto room, in place, without header protection. As a
//! module it exports [`aead_bound`] and nothing else.

use quillon::crypto::{CipherSuite, TAG_LEN, ring};

/// The length of a packet, header and tag included: the datagram size of the benchmark.
pub const PACKET_LEN: usize = 1400;
/// A short header: the first byte, an eight-byte connection ID and a two-byte packet number.
const HEADER_LEN: usize = 11;
/// The bytes of each packet that are sealed.
pub const PAYLOAD_LEN: usize = PACKET_LEN - HEADER_LEN - TAG_LEN;

/// Seals and opens `packets` packets with one key; returns how many opened.
#[must_use]
pub fn seal_and_open(suite: CipherSuite, packets: u32) -> u32 {
    let key = ring::provider().packet_key(suite, &[7; 32][..suite.key_len()], [9; 12]);
    let mut packet = [0x40; PACKET_LEN];
    let mut opened = 0;
    for number in 0..u64::from(packets) {
        key.seal(number, &mut packet, HEADER_LEN);
        let (header, payload) = packet.split_at_mut(HEADER_LEN);
        opened += u32::from(key.open(number, header, payload).is_ok());
    }
    opened
}

/// [`seal_and_open`] for a host: `suite` is IANA's number, 0 packets opened for one that is not known.
#[unsafe(no_mangle)]
pub extern "C" fn aead_bound(suite: u32, packets: u32) -> u32 {
    let suite = u16::try_from(suite).ok().and_then(CipherSuite::from_iana);
    suite.map_or(0, |suite| seal_and_open(suite, packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_opens() {
        for suite in CipherSuite::ALL {
            assert_eq!(aead_bound(u32::from(suite.to_iana()), 100), 100);
        }
        assert_eq!(aead_bound(0, 100), 0);
    }
}
