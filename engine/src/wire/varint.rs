//! Variable-length integers (RFC 9000 section 16).

/// The largest value: 2^62 - 1.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes the shortest encoding of `value` takes: 1, 2, 4 or 8. Values above [`MAX`] have none; they
/// count as 8.
#[must_use]
pub const fn len(value: u64) -> usize {
    if value < 1 << 6 {
        1
    } else if value < 1 << 14 {
        2
    } else if value < 1 << 30 {
        4
    } else {
        8
    }
}
