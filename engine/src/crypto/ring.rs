//! Packet protection by ring.

use alloc::boxed::Box;
use alloc::sync::Arc;

use ::ring::{aead, hmac};

use super::{
    CipherSuite, DecryptError, Hash, HeaderKey, NONCE_LEN, NoKey, PacketKey, Provider, SAMPLE_LEN, Secret, TAG_LEN,
    blank, split,
};

/// The provider.
#[must_use]
pub fn provider() -> Arc<dyn Provider> {
    Arc::new(Ring)
}

#[derive(Debug)]
struct Ring;

impl Provider for Ring {
    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Secret {
        let algorithm = match hash {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        parts.iter().for_each(|part| context.update(part));
        let tag = context.sign();
        debug_assert_eq!(tag.as_ref().len(), hash.len());
        Secret::new(tag.as_ref()).unwrap_or_else(|| Secret::zeroed(hash.len()))
    }

    fn packet_key(&self, suite: CipherSuite, key: &[u8], iv: [u8; NONCE_LEN]) -> Box<dyn PacketKey> {
        let algorithm = match suite {
            CipherSuite::Aes128Gcm => &aead::AES_128_GCM,
            CipherSuite::Aes256Gcm => &aead::AES_256_GCM,
            CipherSuite::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        };
        match aead::UnboundKey::new(algorithm, key) {
            Ok(key) => Box::new(RingPacketKey { key: aead::LessSafeKey::new(key), iv }),
            Err(_) => Box::new(NoKey),
        }
    }

    fn header_key(&self, suite: CipherSuite, key: &[u8]) -> Box<dyn HeaderKey> {
        let algorithm = match suite {
            CipherSuite::Aes128Gcm => &aead::quic::AES_128,
            CipherSuite::Aes256Gcm => &aead::quic::AES_256,
            CipherSuite::ChaCha20Poly1305 => &aead::quic::CHACHA20,
        };
        match aead::quic::HeaderProtectionKey::new(algorithm, key) {
            Ok(key) => Box::new(RingHeaderKey(key)),
            Err(_) => Box::new(NoKey),
        }
    }
}

struct RingHeaderKey(aead::quic::HeaderProtectionKey);

impl HeaderKey for RingHeaderKey {
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        // A sample of 16 bytes is never refused.
        self.0.new_mask(sample).unwrap_or_default()
    }
}

struct RingPacketKey {
    key: aead::LessSafeKey,
    iv: [u8; NONCE_LEN],
}

impl RingPacketKey {
    fn nonce(&self, packet_number: u64) -> aead::Nonce {
        let mut nonce = self.iv;
        let number = packet_number.to_be_bytes();
        nonce.iter_mut().skip(NONCE_LEN - number.len()).zip(number).for_each(|(byte, number)| *byte ^= number);
        aead::Nonce::assume_unique_for_key(nonce)
    }
}

impl PacketKey for RingPacketKey {
    fn seal(&self, packet_number: u64, packet: &mut [u8], header_len: usize) {
        let sealed = split(packet, header_len).and_then(|(header, payload, room)| {
            let aad = aead::Aad::from(&*header);
            let tag = self.key.seal_in_place_separate_tag(self.nonce(packet_number), aad, payload).ok()?;
            *room = tag.as_ref().try_into().ok()?;
            Some(())
        });
        if sealed.is_none() {
            blank(packet, header_len);
        }
    }

    fn open<'a>(&self, packet_number: u64, header: &[u8], payload: &'a mut [u8]) -> Result<&'a mut [u8], DecryptError> {
        let (ciphertext, tag) = payload.split_last_chunk_mut::<TAG_LEN>().ok_or(DecryptError)?;
        let (nonce, aad) = (self.nonce(packet_number), aead::Aad::from(header));
        let tag = aead::Tag::from(*tag);
        self.key.open_in_place_separate_tag(nonce, aad, tag, ciphertext, 0..).map_err(|_| DecryptError)
    }
}
