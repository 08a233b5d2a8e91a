/// A cursor over a buffer that is being filled.
///
/// A write that does not fit writes nothing and marks the writer as [overflowed](Writer::overflowed): callers
/// check the room first, so that an overflow is a bug, and a bug must not panic.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    position: usize,
    overflowed: bool,
}

impl<'a> Writer<'a> {
    /// A cursor at the start of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, position: 0, overflowed: false }
    }

    /// How many bytes have been written.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.buffer.len() - self.position
    }

    /// Whether a write did not fit.
    #[must_use]
    pub const fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// What has been written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.position).unwrap_or_default()
    }

    /// What has been written so far, to fill in fields whose value was not known.
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(..self.position).unwrap_or_default()
    }

    /// Takes back what was written from `position` on, an overflow included.
    #[inline]
    pub fn truncate(&mut self, position: usize) {
        self.position = self.position.min(position);
        self.overflowed = false;
    }

    /// The next `len` bytes of the buffer, to be filled by the caller.
    #[inline]
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        let start = self.position;
        match start.checked_add(len).and_then(|end| Some((end, self.buffer.get_mut(start..end)?))) {
            Some((end, slot)) => {
                self.position = end;
                Some(slot)
            }
            None => {
                self.overflowed = true;
                None
            }
        }
    }

    /// Appends `bytes`.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        if let Some(slot) = self.reserve(bytes.len()) {
            slot.copy_from_slice(bytes);
        }
    }

    /// Appends `count` zero bytes.
    #[inline]
    pub fn zeros(&mut self, count: usize) {
        if let Some(slot) = self.reserve(count) {
            slot.fill(0);
        }
    }

    /// Appends one byte.
    #[inline]
    pub fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    /// Appends two bytes, big-endian.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends four bytes, big-endian.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends the shortest variable-length integer for `value` (RFC 9000 section 16). A value above
    /// [`varint::MAX`](super::varint::MAX) counts as an overflow.
    #[inline]
    pub fn varint(&mut self, value: u64) {
        match super::varint::len(value) {
            1 => self.bytes(&[value as u8]),
            2 => self.bytes(&(value as u16 | 0x4000).to_be_bytes()),
            4 => self.bytes(&(value as u32 | 0x8000_0000).to_be_bytes()),
            _ if value <= super::varint::MAX => self.bytes(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
            _ => self.overflowed = true,
        }
    }

    /// Appends the length of `bytes` as a variable-length integer, and the bytes.
    pub fn varint_bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Reader, UnexpectedEnd, varint};
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_9000_appendix_a_1() {
        let cases: [(u64, &[u8]); 4] = [
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ];
        for (value, encoded) in cases {
            assert_eq!(Reader::new(encoded).varint(), Ok(value));
            let mut buffer = [0; 8];
            let mut writer = Writer::new(&mut buffer);
            writer.varint(value);
            assert_eq!(writer.written(), encoded);
        }
        assert_eq!(Reader::new(&[0x40, 0x25]).varint(), Ok(37), "longer encodings are accepted");
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut buffer = [0; 3];
        let mut writer = Writer::new(&mut buffer);
        writer.u16(0x0102);
        writer.u16(0x0304);
        assert!(writer.overflowed());
        assert_eq!(writer.written(), [1, 2]);
        let mut writer = Writer::new(&mut buffer);
        writer.varint(varint::MAX + 1);
        assert!(writer.overflowed());
    }

    proptest! {
        #[test]
        fn varints_survive_the_round_trip(value in 0..=varint::MAX, cut in 0usize..8) {
            let mut buffer = [0; 8];
            let mut writer = Writer::new(&mut buffer);
            writer.varint(value);
            let written = writer.position();
            prop_assert_eq!(written, varint::len(value));
            prop_assert_eq!(Reader::new(&buffer[..written]).varint(), Ok(value));
            if cut < written {
                prop_assert_eq!(Reader::new(&buffer[..cut]).varint(), Err(UnexpectedEnd));
            }
        }
    }
}
