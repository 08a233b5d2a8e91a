//! Bytes of streams that are a function of the stream and the offset, so that a byte lost, doubled or out of place
//! shows, and nobody keeps copies.

/// What the bytes of one direction of one stream follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content(pub u64);

impl Content {
    /// Fills `out` with the bytes from `offset` on.
    pub fn fill(self, offset: u64, out: &mut [u8]) {
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let word = self.word(at / 8).to_le_bytes();
            let from = (at % 8) as usize;
            let len = rest.len().min(8 - from);
            let (piece, after) = rest.split_at_mut(len);
            piece.copy_from_slice(&word[from..from + len]);
            at += len as u64;
            rest = after;
        }
    }

    /// The offset of the first of `bytes`, which begin at `offset`, that is not as it was.
    #[must_use]
    pub fn mismatch(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        let mut expected = [0; 1024];
        let mut at = offset;
        for piece in bytes.chunks(expected.len()) {
            let expected = &mut expected[..piece.len()];
            self.fill(at, expected);
            if let Some(wrong) = piece.iter().zip(expected.iter()).position(|(found, expected)| found != expected) {
                return Some(at + wrong as u64);
            }
            at += piece.len() as u64;
        }
        None
    }

    const fn word(self, index: u64) -> u64 {
        let mixed = (self.0 ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_out_of_place_is_found() {
        let content = Content(7);
        let mut bytes = vec![0; 5_000];
        content.fill(3, &mut bytes);
        assert_eq!(content.mismatch(3, &bytes), None);
        assert_eq!(content.mismatch(1_003, &bytes[1_000..]), None);
        assert!(content.mismatch(4, &bytes).is_some());
        bytes[4_321] ^= 1;
        assert_eq!(content.mismatch(3, &bytes), Some(4_324));
        assert!(Content(8).mismatch(3, &bytes).is_some());
    }
}
