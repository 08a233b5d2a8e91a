//! Packet numbers, sent truncated to one to four bytes (RFC 9000 section 17.1 and appendix A).

use crate::wire::varint;

/// How many bytes, 1 to 4, packet number `pn` needs so that a peer that has acknowledged `largest_acked` (`None`:
/// nothing yet) restores it (RFC 9000 section 17.1).
///
/// Four bytes reach 2^31 unacknowledged packets; beyond that the answer stays 4, and the peer may fail to restore
/// the number.
#[must_use]
pub const fn encoded_len(pn: u64, largest_acked: Option<u64>) -> usize {
    let unacknowledged = match largest_acked {
        Some(largest) => pn.saturating_sub(largest),
        None => pn.saturating_add(1),
    };
    // The window has to be more than twice as large as what is unacknowledged.
    match unacknowledged.saturating_mul(2) {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}

/// The packet number whose lowest `len` bytes (1 to 4) are `truncated` and that lies closest to `expected`, the
/// largest number received in the space plus one (RFC 9000 appendix A.3).
#[must_use]
pub const fn decode(truncated: u64, len: usize, expected: u64) -> u64 {
    let len = if len == 0 {
        1
    } else if len > 4 {
        4
    } else {
        len
    };
    let window = 1 << (8 * len);
    let half = window / 2;
    let mask = window - 1;
    let candidate = expected & !mask | truncated & mask;
    if candidate.saturating_add(half) <= expected && candidate <= varint::MAX - window {
        candidate + window
    } else if candidate > expected.saturating_add(half) && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}
