//! Packet protection (RFC 9001 sections 5 and 6): traffic secrets in, sealed and opened packets out.
//!
//! The algorithms come from a [`Provider`]: [`ring`] by default, [`null`] for tests, or a caller's own. What the
//! RFCs build from them is here: HKDF labels by version, Initial secrets, the Retry integrity tag, key updates.
//!
//! Invariants: keys are made once, not per packet; a packet is sealed and opened in place; nothing that could
//! not be sealed leaves as plaintext; secrets are redacted in `Debug` and cleared when dropped, as far as safe Rust
//! can see to it.

mod initial;
pub mod null;
mod one_rtt;
mod retry;
#[cfg(feature = "ring")]
pub mod ring;
mod secret;
mod static_key;
mod suite;
mod version;

pub use initial::initial_keys;
pub use one_rtt::{OneRttKeys, OpenError, Opened};
pub use retry::retry_tag;
pub use secret::Secret;
pub use static_key::StaticKey;
pub use suite::{CipherSuite, Hash};

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroize;

use crate::wire::Version;
use version::Parameters;

/// The length of an AEAD tag in bytes: the same for every cipher suite of QUIC.
pub const TAG_LEN: usize = 16;

/// The length of a sample of header protection in bytes (RFC 9001 section 5.4.2).
pub const SAMPLE_LEN: usize = 16;

/// The length of an AEAD nonce in bytes (RFC 9001 section 5.3).
pub const NONCE_LEN: usize = 12;

/// The packet is not what the peer sent, or not for these keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecryptError;

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the packet fails authentication")
    }
}

impl core::error::Error for DecryptError {}

/// A header protection key (RFC 9001 section 5.4).
pub trait HeaderKey: Send {
    /// The mask for a sample of the protected payload.
    fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5];
}

/// A packet protection key with its IV (RFC 9001 section 5.3). The nonce is the IV with the packet number
/// exclusive-ored into its last eight bytes.
pub trait PacketKey: Send {
    /// Seals in place. `packet` is the header (`header_len` bytes), the plaintext and [`TAG_LEN`] bytes of room for
    /// the tag. A packet that cannot be sealed (too short for its header and tag, which is a bug of the caller) is
    /// blanked: zeros may leave, plaintext never.
    fn seal(&self, packet_number: u64, packet: &mut [u8], header_len: usize);

    /// Opens in place. `payload` is the ciphertext and the tag; returns the plaintext, [`TAG_LEN`] bytes shorter.
    /// After an error the contents of `payload` are unspecified.
    fn open<'a>(&self, packet_number: u64, header: &[u8], payload: &'a mut [u8]) -> Result<&'a mut [u8], DecryptError>;
}

/// The algorithms that packet protection is built from.
///
/// Three functions are asked of an implementation; the rest follows from them. A provider that cannot make a key
/// (for a suite that it lacks) returns a [`NoKey`].
pub trait Provider: Send + Sync + fmt::Debug {
    /// HMAC (RFC 2104) of the concatenated `parts`: [`Hash::len`] bytes.
    fn hmac(&self, hash: Hash, key: &[u8], parts: &[&[u8]]) -> Secret;

    /// A packet protection key. `key` has [`CipherSuite::key_len`] bytes.
    fn packet_key(&self, suite: CipherSuite, key: &[u8], iv: [u8; NONCE_LEN]) -> Box<dyn PacketKey>;

    /// A header protection key. `key` has [`CipherSuite::key_len`] bytes.
    fn header_key(&self, suite: CipherSuite, key: &[u8]) -> Box<dyn HeaderKey>;

    /// HMAC-SHA-256 of `data`: keyed hashes for stateless reset tokens and the like.
    fn hmac_sha256(&self, key: &[u8], data: &[u8]) -> [u8; 32] {
        let mut out = [0; 32];
        let mac = self.hmac(Hash::Sha256, key, &[data]);
        out.iter_mut().zip(mac.as_slice()).for_each(|(out, byte)| *out = *byte);
        out
    }

    /// HKDF-Extract (RFC 5869 section 2.2).
    fn hkdf_extract(&self, hash: Hash, salt: &[u8], input: &[u8]) -> Secret {
        self.hmac(hash, salt, &[input])
    }

    /// HKDF-Expand-Label with an empty context (RFC 8446 section 7.1). `label` comes without the prefix "tls13 "
    /// and has at most 32 bytes; `out` is filled, up to 255 times the hash's length.
    fn hkdf_expand_label(&self, hash: Hash, secret: &Secret, label: &[u8], out: &mut [u8]) {
        debug_assert!(label.len() <= 32 && out.len() <= 255 * hash.len());
        const PREFIX: &[u8] = b"tls13 ";
        let length = (out.len() as u16).to_be_bytes();
        let label_len = [(PREFIX.len() + label.len()) as u8];
        let info: [&[u8]; 5] = [&length, &label_len, PREFIX, label, &[0]];
        let [length, label_len, prefix, label, context] = info;
        let mut previous: Option<Secret> = None;
        for (block, counter) in out.chunks_mut(hash.len()).zip(1u8..) {
            let before = previous.as_ref().map_or(&[][..], Secret::as_slice);
            let parts = [before, length, label_len, prefix, label, context, &[counter]];
            let next = self.hmac(hash, secret.as_slice(), &parts);
            block.iter_mut().zip(next.as_slice()).for_each(|(out, byte)| *out = *byte);
            previous = Some(next);
        }
    }

    /// Seals a message that is not a packet: `in_out` grows by [`TAG_LEN`] bytes. A key and nonce must be used once.
    fn seal(&self, suite: CipherSuite, key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], in_out: &mut Vec<u8>) {
        let mut packet = Vec::with_capacity(aad.len() + in_out.len() + TAG_LEN);
        packet.extend_from_slice(aad);
        packet.extend_from_slice(in_out);
        packet.resize(aad.len() + in_out.len() + TAG_LEN, 0);
        self.packet_key(suite, key, *nonce).seal(0, &mut packet, aad.len());
        in_out.clear();
        in_out.extend_from_slice(packet.get(aad.len()..).unwrap_or_default());
    }

    /// Opens what [`seal`](Provider::seal) sealed: `in_out` shrinks by [`TAG_LEN`] bytes, and is empty after an error.
    fn open(
        &self,
        suite: CipherSuite,
        key: &[u8],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        in_out: &mut Vec<u8>,
    ) -> Result<(), DecryptError> {
        let len = self.packet_key(suite, key, *nonce).open(0, aad, in_out).map(|plaintext| plaintext.len());
        in_out.truncate(len.unwrap_or(0));
        len.map(|_| ())
    }
}

/// The key of a provider that could not make one: what it seals is blanked, and it opens nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoKey;

impl HeaderKey for NoKey {
    fn mask(&self, _: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        [0; 5]
    }
}

impl PacketKey for NoKey {
    fn seal(&self, _: u64, packet: &mut [u8], header_len: usize) {
        blank(packet, header_len);
    }

    fn open<'a>(&self, _: u64, _: &[u8], _: &'a mut [u8]) -> Result<&'a mut [u8], DecryptError> {
        Err(DecryptError)
    }
}

/// Overwrites what follows the header, so that no plaintext leaves.
fn blank(packet: &mut [u8], header_len: usize) {
    packet.iter_mut().skip(header_len).for_each(|byte| *byte = 0);
}

/// Splits a packet into header, plaintext and the room for the tag.
fn split(packet: &mut [u8], header_len: usize) -> Option<(&mut [u8], &mut [u8], &mut [u8; TAG_LEN])> {
    let (header, rest) = packet.split_at_mut_checked(header_len)?;
    let (payload, tag) = rest.split_last_chunk_mut()?;
    Some((header, payload, tag))
}

/// The keys of one direction.
pub struct Keys {
    /// The header protection key.
    pub header: Box<dyn HeaderKey>,
    /// The packet protection key.
    pub packet: Box<dyn PacketKey>,
}

impl Keys {
    /// Derives the keys from a traffic secret, with the labels of `version` (RFC 9001 section 5.1). Versions other
    /// than 2 take the labels of version 1.
    #[must_use]
    pub fn from_secret(provider: &dyn Provider, version: Version, suite: CipherSuite, secret: &Secret) -> Self {
        Self {
            header: header_key(provider, version, suite, secret),
            packet: packet_key(provider, version, suite, secret),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// The keys of both directions.
#[derive(Debug)]
pub struct KeyPair {
    /// For packets that we send.
    pub local: Keys,
    /// For packets that we receive.
    pub remote: Keys,
}

/// The longest key of any suite.
const MAX_KEY_LEN: usize = 32;

fn with_key<R>(
    provider: &dyn Provider,
    suite: CipherSuite,
    secret: &Secret,
    label: &[u8],
    f: impl FnOnce(&[u8]) -> R,
) -> R {
    let mut buffer = [0; MAX_KEY_LEN];
    let (key, _) = buffer.split_at_mut(suite.key_len().min(MAX_KEY_LEN));
    provider.hkdf_expand_label(suite.hash(), secret, label, key);
    let made = f(key);
    buffer.zeroize();
    made
}

fn header_key(provider: &dyn Provider, version: Version, suite: CipherSuite, secret: &Secret) -> Box<dyn HeaderKey> {
    with_key(provider, suite, secret, Parameters::of(version).hp_label, |key| provider.header_key(suite, key))
}

fn packet_key(provider: &dyn Provider, version: Version, suite: CipherSuite, secret: &Secret) -> Box<dyn PacketKey> {
    let parameters = Parameters::of(version);
    let mut iv = [0; NONCE_LEN];
    provider.hkdf_expand_label(suite.hash(), secret, parameters.iv_label, &mut iv);
    with_key(provider, suite, secret, parameters.key_label, |key| provider.packet_key(suite, key, iv))
}

/// The secret after `secret` (RFC 9001 section 6.1).
fn next_secret(provider: &dyn Provider, version: Version, suite: CipherSuite, secret: &Secret) -> Secret {
    let mut next = Secret::zeroed(suite.hash().len());
    provider.hkdf_expand_label(suite.hash(), secret, Parameters::of(version).ku_label, next.as_mut_slice());
    next
}
