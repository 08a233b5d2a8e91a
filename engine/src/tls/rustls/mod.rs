//! TLS 1.3 by rustls, with ring.
//!
//! rustls draws randomness from its surroundings and keeps traffic secrets to itself. So every call that may draw runs
//! in a scope of `quillon_ambient` with the session's own generator and time of day, and the secrets come out through
//! rustls' `KeyLog`, caught by the scope of the session whose call is running. rustls' own packet keys are never used.
//!
//! What a client may resume comes out of its session as a [`SessionTicket`](super::SessionTicket) and goes into a later
//! one by its [`Start`](super::Start). A server either keeps sessions in a [`SessionStore`], each for one use, and may
//! then take early data; or it seals them into the client's tickets under [`TicketKeys`], and takes none.
//!
//! Invariants: nothing is shared between the sessions of a config that one of them could change (no cache of a client's
//! sessions, no remembered key share), but for the [`SessionStore`] that a server's caller puts there; so that each
//! session's output depends only on its config, that store, its [`Start`](super::Start) and its input. Loading a
//! server's key draws on bytes derived from that key alone.

mod certificates;
mod client;
mod explain;
mod scope;
mod server;
mod session;
mod session_store;
mod tickets;
mod verification;
mod x509;

pub use client::{ClientBuilder, RustlsClient};
pub use server::{RustlsServer, ServerBuilder};
pub use session_store::SessionStore;
pub use tickets::TicketKeys;
pub use verification::{ClientAuthentication, HashRule};

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use ::rustls::{SupportedCipherSuite, quic};

use crate::crypto::CipherSuite;
use crate::wire::Version;

/// Why a config cannot be made: one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConfigError {}

/// A group in which TLS agrees on its secrets (RFC 8446 section 4.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyExchangeGroup {
    /// Curve25519 (RFC 7748).
    X25519,
    /// NIST P-256.
    Secp256r1,
    /// NIST P-384.
    Secp384r1,
}

impl KeyExchangeGroup {
    /// Every group, in the order of preference that is the default.
    pub const ALL: [Self; 3] = [Self::X25519, Self::Secp256r1, Self::Secp384r1];
}

/// ring's algorithms with these cipher suites and groups, in this order.
fn crypto_provider(suites: &[CipherSuite], groups: &[KeyExchangeGroup]) -> Result<Arc<CryptoProvider>, ConfigError> {
    if suites.is_empty() {
        return Err(ConfigError::new("no cipher suite is enabled: name at least one"));
    }
    if groups.is_empty() {
        return Err(ConfigError::new("no key exchange group is enabled: name at least one"));
    }
    let cipher_suites = suites.iter().map(|suite| rustls_suite(*suite)).collect();
    let kx_groups = groups.iter().map(|group| rustls_group(*group)).collect();
    Ok(Arc::new(CryptoProvider { cipher_suites, kx_groups, ..ring::default_provider() }))
}

fn rustls_group(group: KeyExchangeGroup) -> &'static dyn SupportedKxGroup {
    match group {
        KeyExchangeGroup::X25519 => ring::kx_group::X25519,
        KeyExchangeGroup::Secp256r1 => ring::kx_group::SECP256R1,
        KeyExchangeGroup::Secp384r1 => ring::kx_group::SECP384R1,
    }
}

fn rustls_suite(suite: CipherSuite) -> SupportedCipherSuite {
    match suite {
        CipherSuite::Aes128Gcm => ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::Aes256Gcm => ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::ChaCha20Poly1305 => ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    }
}

/// rustls uses the version only for packet keys, which are not used, and for the transport parameters' code point,
/// which is the same for versions 1 and 2.
fn quic_version(_: Version) -> quic::Version {
    quic::Version::V1
}

/// Protocol names for people: `h3, hq-interop`. The peer's names may be many and long, and the text is one line.
fn list_protocols(protocols: &[Vec<u8>]) -> String {
    const SHOWN: usize = 4;
    const SHOWN_BYTES: usize = 32;
    if protocols.is_empty() {
        return "none".to_owned();
    }
    let shorten = |name: &Vec<u8>| name.get(..SHOWN_BYTES).unwrap_or(name).escape_ascii().to_string();
    let mut text = protocols.iter().take(SHOWN).map(shorten).collect::<Vec<_>>().join(", ");
    if let Some(more) = protocols.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// RFC 7301 section 3.1: a name has 1 to 255 bytes.
fn check_protocols(protocols: &[Vec<u8>]) -> Result<(), ConfigError> {
    match protocols.iter().find(|name| name.is_empty() || name.len() > 255) {
        Some(name) => {
            Err(ConfigError::new(format!("an application protocol's name has 1 to 255 bytes, this one {}", name.len())))
        }
        None => Ok(()),
    }
}
