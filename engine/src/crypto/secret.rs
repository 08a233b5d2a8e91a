use core::fmt;

use zeroize::Zeroize;

/// A secret of at most 48 bytes: a TLS traffic secret, or what HKDF made of one. Cleared when dropped, redacted
/// in `Debug`, compared in constant time.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Secret {
    /// The longest secret: the output of SHA-384.
    pub const MAX_LEN: usize = 48;

    /// A secret with these bytes; `None` where there are more than 48.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self { bytes: [0; Self::MAX_LEN], len: bytes.len() as u8 };
        secret.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    /// A secret of `len` zero bytes, at most 48, to be filled in.
    pub(super) fn zeroed(len: usize) -> Self {
        debug_assert!(len <= Self::MAX_LEN);
        Self { bytes: [0; Self::MAX_LEN], len: len.min(Self::MAX_LEN) as u8 }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        // Bytes past `len` are zero at both.
        let difference = self.bytes.iter().zip(&other.bytes).fold(0, |acc, (a, b)| acc | (a ^ b));
        self.len == other.len && core::hint::black_box(difference) == 0
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn secrets_are_bounded_and_redacted() {
        assert!(Secret::new(&[1; 49]).is_none());
        let secret = Secret::new(&[0xab; 48]).unwrap();
        assert_eq!(secret.as_slice(), [0xab; 48]);
        assert_eq!(format!("{secret:?}"), "Secret(48 bytes)");
        assert_ne!(secret, Secret::new(&[0xab; 32]).unwrap());
        assert_ne!(Secret::new(&[0]), Secret::new(&[0, 0]));
    }
}
