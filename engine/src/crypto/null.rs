//! No protection at all: for tests, fuzzing and captures that people read.
//!
//! Sealing writes a tag of 16 zeros and leaves the plaintext as it is, opening wants to see those zeros, masks are
//! zero. [`Provider::hmac`] is a mixing function, the same on every target, that anyone can invert. Whoever sees the
//! packets can read and forge them.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::{
    CipherSuite, DecryptError, Hash, HeaderKey, NONCE_LEN, PacketKey, Provider, SAMPLE_LEN, Secret, TAG_LEN, blank,
    split,
};

/// The provider.
#[must_use]
pub fn provider() -> Arc<dyn Provider> {
    Arc::new(Null)
}

#[derive(Debug)]
struct Null;

impl Provider for Null {
    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Secret {
        // FNV-1a over key and data, then SplitMix64 for as many bytes as the hash has.
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        for byte in [key].iter().chain(parts).flat_map(|part| part.iter()) {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut out = Secret::zeroed(hash.len());
        for block in out.as_mut_slice().chunks_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            block.iter_mut().zip((z ^ (z >> 31)).to_be_bytes()).for_each(|(out, byte)| *out = byte);
        }
        out
    }

    fn packet_key(&self, _: CipherSuite, _: &[u8], _: [u8; NONCE_LEN]) -> Box<dyn PacketKey> {
        Box::new(NullKey)
    }

    fn header_key(&self, _: CipherSuite, _: &[u8]) -> Box<dyn HeaderKey> {
        Box::new(NullKey)
    }
}

struct NullKey;

impl HeaderKey for NullKey {
    fn mask(&self, _: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        [0; 5]
    }
}

impl PacketKey for NullKey {
    fn seal(&self, _: u64, packet: &mut [u8], header_len: usize) {
        match split(packet, header_len) {
            Some((_, _, tag)) => tag.fill(0),
            None => blank(packet, header_len),
        }
    }

    fn open<'a>(&self, _: u64, _: &[u8], payload: &'a mut [u8]) -> Result<&'a mut [u8], DecryptError> {
        let (plaintext, tag) = payload.split_last_chunk_mut::<TAG_LEN>().ok_or(DecryptError)?;
        if *tag == [0; TAG_LEN] { Ok(plaintext) } else { Err(DecryptError) }
    }
}
