use core::fmt;

/// The input ended inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnexpectedEnd;

impl fmt::Display for UnexpectedEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the input ends inside a field")
    }
}

impl core::error::Error for UnexpectedEnd {}

/// A cursor over received bytes.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the start of `input`.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.position
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.input.len() - self.position
    }

    /// Whether every byte has been read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The next byte, which stays unread.
    #[must_use]
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.input.get(self.position).copied()
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], UnexpectedEnd> {
        let end = self.position.checked_add(len).ok_or(UnexpectedEnd)?;
        let bytes = self.input.get(self.position..end).ok_or(UnexpectedEnd)?;
        self.position = end;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], UnexpectedEnd> {
        self.bytes(N)?.try_into().map_err(|_| UnexpectedEnd)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.input.get(self.position..).unwrap_or_default();
        self.position = self.input.len();
        rest
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, UnexpectedEnd> {
        let byte = self.peek().ok_or(UnexpectedEnd)?;
        self.position += 1;
        Ok(byte)
    }

    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16, UnexpectedEnd> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, UnexpectedEnd> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A variable-length integer (RFC 9000 section 16).
    #[inline]
    pub fn varint(&mut self) -> Result<u64, UnexpectedEnd> {
        let first = self.peek().ok_or(UnexpectedEnd)?;
        Ok(match first >> 6 {
            0 => u64::from(self.u8()?),
            1 => u64::from(self.u16()? & 0x3fff),
            2 => u64::from(self.u32()? & 0x3fff_ffff),
            _ => u64::from_be_bytes(self.array()?) & super::varint::MAX,
        })
    }

    /// A variable-length integer and as many bytes as it says.
    #[inline]
    pub fn varint_bytes(&mut self) -> Result<&'a [u8], UnexpectedEnd> {
        let len = usize::try_from(self.varint()?).map_err(|_| UnexpectedEnd)?;
        self.bytes(len)
    }
}
