//! Fixed layouts in the module's memory: little-endian, the same on every target.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use quillon::{Ecn, FourTuple, Stats};

use crate::backend::{Batch, Received};

/// Bytes of a descriptor, in both arenas.
pub(super) const DESCRIPTOR_LEN: usize = 64;

/// Where an arena's data starts: after 64 descriptors.
pub(super) const ARENA_DATA: usize = 64 * DESCRIPTOR_LEN;

/// Bytes of a path.
pub(super) const PATH_LEN: usize = 40;

/// Bytes of the status block.
pub(super) const STATUS_LEN: usize = 128;

const ADDRESS_LEN: usize = PATH_LEN / 2;

/// Offsets in the status block.
pub(super) mod status {
    pub(in super::super) const DEADLINE: usize = 0;
    pub(in super::super) const FLAGS: usize = 12;
    pub(in super::super) const DATA: usize = 16;
    pub(in super::super) const CODE: usize = 32;
    pub(in super::super) const EVENT_CONNECTION: usize = 68;
    pub(in super::super) const EVENT_STREAM: usize = 72;
    pub(in super::super) const EVENT_CODE: usize = 80;
    pub(in super::super) const EVENT_DATA: usize = 88;
    pub(in super::super) const EVENT_DATA_LEN: usize = 96;
    pub(in super::super) const EVENT_DETAIL: usize = 100;
}

pub(super) fn u32_at(memory: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*memory.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(memory: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*memory.get(at..)?.first_chunk()?))
}

fn u16_at(memory: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*memory.get(at..)?.first_chunk()?))
}

pub(super) fn encode_address(address: SocketAddr) -> [u8; ADDRESS_LEN] {
    let mut out = [0; ADDRESS_LEN];
    let family: u16 = if address.is_ipv4() { 4 } else { 6 };
    out[..2].copy_from_slice(&family.to_le_bytes());
    out[2..4].copy_from_slice(&address.port().to_le_bytes());
    match address.ip() {
        IpAddr::V4(ip) => out[4..8].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out[4..].copy_from_slice(&ip.octets()),
    }
    out
}

pub(super) fn decode_address(bytes: &[u8]) -> Option<SocketAddr> {
    let port = u16_at(bytes, 2)?;
    let ip = match u16_at(bytes, 0)? {
        4 => IpAddr::V4(Ipv4Addr::from(*bytes.get(4..)?.first_chunk::<4>()?)),
        6 => IpAddr::V6(Ipv6Addr::from(*bytes.get(4..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

pub(super) fn encode_path(path: &FourTuple) -> [u8; PATH_LEN] {
    let mut out = [0; PATH_LEN];
    out[..ADDRESS_LEN].copy_from_slice(&encode_address(path.local));
    out[ADDRESS_LEN..].copy_from_slice(&encode_address(path.remote));
    out
}

pub(super) fn decode_path(bytes: &[u8]) -> Option<FourTuple> {
    let (local, remote) = bytes.get(..PATH_LEN)?.split_at(ADDRESS_LEN);
    Some(FourTuple { local: decode_address(local)?, remote: decode_address(remote)? })
}

/// A receive descriptor; its offset counts from the arena's start.
pub(super) fn encode_received(received: &Received) -> [u8; DESCRIPTOR_LEN] {
    let mut out = [0; DESCRIPTOR_LEN];
    let words = [
        (ARENA_DATA + received.offset) as u32,
        received.len as u32,
        // GRO's stride of a single datagram may be anything.
        if received.stride < received.len { received.stride as u32 } else { 0 },
        received.ecn as u32,
    ];
    for (slot, word) in out.chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    out[16..16 + PATH_LEN].copy_from_slice(&encode_path(&received.path));
    out
}

/// A transmit descriptor; its offset counts from the arena's start.
pub(super) fn decode_batch(bytes: &[u8]) -> Option<Batch> {
    Some(Batch {
        offset: u32_at(bytes, 0)? as usize,
        len: u32_at(bytes, 4)? as usize,
        segment_size: u32_at(bytes, 8)? as usize,
        ecn: Ecn::from_bits(u32_at(bytes, 12)? as u8),
        path: decode_path(bytes.get(16..)?)?,
    })
}

/// Statistics: numbers of 8 bytes; what is absent is all ones.
pub(super) fn decode_stats(bytes: &[u8]) -> Stats {
    let field = |index: usize| u64_at(bytes, index * 8).unwrap_or_default();
    let optional = |index: usize| Some(field(index)).filter(|value| *value != u64::MAX);
    Stats {
        datagrams_sent: field(0),
        datagrams_received: field(1),
        bytes_sent: field(2),
        bytes_received: field(3),
        packets_sent: field(4),
        packets_received: field(5),
        packets_lost: field(6),
        bytes_lost: field(7),
        packets_dropped: field(8),
        smoothed_rtt: field(9),
        latest_rtt: field(10),
        min_rtt: field(11),
        rtt_variance: field(12),
        congestion_window: field(13),
        bytes_in_flight: field(14),
        ssthresh: optional(15),
        handshake_duration: optional(16),
        max_udp_payload_size: field(17),
        packets_acked: field(18),
        bytes_acked: field(19),
        acks_sent: field(20),
        acks_received: field(21),
        probe_timeouts: field(22),
        congestion_events: field(23),
        persistent_congestion_events: field(24),
        key_updates: field(25),
        streams_opened: field(26),
        streams_accepted: field(27),
        datagram_frames_sent: field(28),
        datagram_frames_received: field(29),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_keep_their_order() {
        let fields: [u64; Stats::FIELDS] = std::array::from_fn(|index| index as u64 + 1);
        let bytes = fields.map(u64::to_le_bytes);
        assert_eq!(decode_stats(bytes.as_flattened()).to_array(), fields);
        assert_eq!(decode_stats(&[0xff; 8 * Stats::FIELDS]).ssthresh, None);
    }

    #[test]
    fn paths_round_trip() {
        for (local, remote) in [("127.0.0.1:4433", "192.0.2.7:1"), ("[::1]:65535", "[2001:db8::1]:443")] {
            let parse = |text: &str| text.parse().expect("an address");
            let path = FourTuple { local: parse(local), remote: parse(remote) };
            assert_eq!(decode_path(&encode_path(&path)), Some(path));
        }
        assert_eq!(decode_path(&[0; PATH_LEN]), None);
        assert_eq!(decode_path(&[4; 10]), None);
    }
}
