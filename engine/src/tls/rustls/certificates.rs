//! The certificates that an end shows, and which of them to show to whom.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use ::rustls::crypto::CryptoProvider;
use ::rustls::crypto::hash::Hash;
use ::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use ::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ::rustls::server::{ClientHello, ResolvesServerCert};
use ::rustls::sign::CertifiedKey;
use ::rustls::{Error, InconsistentKeys};
use zeroize::Zeroizing;

use super::ConfigError;
use super::scope::{self, Exchange, surroundings};
use crate::rng::Rng;

/// A certificate with its chain and key, not yet read.
#[derive(Clone)]
pub(super) struct Certificate {
    /// The name that clients ask for, in lower case; `None` for all others.
    name: Option<String>,
    chain: Vec<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
}

impl Certificate {
    pub(super) fn new(name: Option<&str>, chain: impl IntoIterator<Item = impl Into<Vec<u8>>>, key: &[u8]) -> Self {
        Self {
            name: name.map(str::to_ascii_lowercase),
            chain: chain.into_iter().map(Into::into).collect(),
            key: Zeroizing::new(key.to_vec()),
        }
    }

    /// Reads the chain and the key.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, ConfigError> {
        if self.chain.is_empty() {
            return Err(ConfigError::new("the server has no certificate: pass its chain"));
        }
        let key = PrivateKeyDer::try_from(self.key.as_slice()).map_err(|_| {
            let hint = if self.key.starts_with(b"-----") { "it is PEM, DER is needed" } else { "DER is needed" };
            ConfigError::new(format!("the private key cannot be read, {hint} (PKCS#8, SEC1 or PKCS#1)"))
        })?;
        let chain = self.chain.iter().cloned().map(CertificateDer::from).collect();
        let surroundings = surroundings(key_loading_rng(&self.key), Duration::ZERO);
        let (loaded, _, _) =
            scope::run(surroundings, Exchange::default(), || CertifiedKey::from_der(chain, key.clone_key(), provider));
        loaded.map_err(|error| ConfigError::new(key_error(&error)))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A server's certificates.
#[derive(Debug)]
pub(super) struct Certificates {
    default: Arc<CertifiedKey>,
    named: Vec<(String, Arc<CertifiedKey>)>,
}

impl Certificates {
    /// Reads them; the first without a name serves all who ask for no other.
    pub(super) fn load(certificates: &[Certificate], provider: &CryptoProvider) -> Result<Self, ConfigError> {
        let (mut default, mut named) = (None, Vec::new());
        for certificate in certificates {
            let loaded = Arc::new(certificate.load(provider)?);
            match &certificate.name {
                Some(name) => named.push((name.to_owned(), loaded)),
                None => default = default.or(Some(loaded)),
            }
        }
        let default = default.ok_or_else(|| ConfigError::new("the server has no certificate: pass its chain"))?;
        Ok(Self { default, named })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        let found = asked.and_then(|asked| self.named.iter().find(|(name, _)| covers(name, &asked)));
        Some(Arc::clone(found.map_or(&self.default, |(_, key)| key)))
    }
}

/// Whether `name`, which may begin with `*.`, covers the name that a client asks for (RFC 9525 section 6.3).
fn covers(name: &str, asked: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => asked.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == asked,
    }
}

/// The randomness for loading a key. ring keeps some of it beside an ECDSA key and mixes it into each signature's
/// nonce, with fresh randomness, the message and the key. Derived from the key it is as secret as the key, and a
/// server's signatures depend on nothing but its settings and the session's generator.
fn key_loading_rng(key: &[u8]) -> Rng {
    let mut seed = [0; 32];
    if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
        let hash: &dyn Hash = suite.common.hash_provider;
        let mut context = hash.start();
        context.update(b"quillon key loading");
        context.update(key);
        seed.iter_mut().zip(context.finish().as_ref()).for_each(|(seed, byte)| *seed = *byte);
    }
    Rng::from_seed(seed)
}

fn key_error(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the private key does not belong to the certificate: pass the pair that was made together".to_string()
        }
        Error::InvalidCertificate(_) => "the server's certificate cannot be read: DER is needed".to_string(),
        error => format!("the certificate or its private key cannot be used: {error}"),
    }
}
