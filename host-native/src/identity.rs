//! Certificates and keys: from PEM or DER files, or made on the spot.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::pem::{Error as PemError, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// A certificate chain and its private key, in DER.
#[derive(Clone)]
pub struct Identity {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Identity {
    /// An identity of DER parts: the chain, leaf first, and the key (PKCS#8, SEC1 or PKCS#1).
    #[must_use]
    pub fn from_der(chain: Vec<Vec<u8>>, key: Vec<u8>) -> Self {
        Self { chain, key }
    }

    /// Reads a chain and a key, each in PEM.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or that holds no certificate or key.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let chain = certificates_from_pem(certificate)?;
        let text = read(key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| IdentityError::malformed(key, "key", &error))?;
        Ok(Self { chain, key: key.secret_der().to_vec() })
    }

    /// A fresh ECDSA P-256 key and a certificate that it signs itself, for these host names and IP addresses; valid
    /// for 14 days from yesterday on, which is what browsers accept by hash.
    ///
    /// # Errors
    ///
    /// A host name that is not ASCII, or a failure of the random generator.
    pub fn self_signed(hosts: &[&str]) -> Result<Self, IdentityError> {
        let failed = |error: rcgen::Error| IdentityError::Generation(error.to_string());
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
        let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).map_err(failed)?;
        // A name of its own: with another certificate of ours at hand verifiers say "unknown", not "forged".
        let mut tag = [0; 4];
        getrandom::fill(&mut tag).map_err(|error| IdentityError::Generation(error.to_string()))?;
        let name = format!("Quillon self-signed {:08x}", u32::from_be_bytes(tag));
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.not_before = OffsetDateTime::now_utc() - Duration::days(1);
        parameters.not_after = parameters.not_before + Duration::days(14);
        let certificate = parameters.self_signed(&key).map_err(failed)?;
        Ok(Self { chain: vec![certificate.der().to_vec()], key: key.serialize_der() })
    }

    /// The leaf certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.chain.first().map(Vec::as_slice)
    }

    /// The chain in PEM, for clients that are to trust it.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let blocks: Vec<_> = self.chain.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_slice())).collect();
        pem::encode_many_config(&blocks, config)
    }
}

/// Reads every certificate of a PEM file, or the one of a DER file.
///
/// # Errors
///
/// A file that cannot be read, or that holds no certificate.
pub fn certificates_from_pem(path: &Path) -> Result<Vec<Vec<u8>>, IdentityError> {
    let text = read(path)?;
    // A DER certificate is a SEQUENCE of at least 128 bytes: it starts with 0x30 0x8x, which no PEM file does.
    if let [0x30, 0x81..=0x84, ..] = text.as_slice() {
        return Ok(vec![text]);
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| IdentityError::malformed(path, "certificate", &error))?;
    if chain.is_empty() {
        return Err(IdentityError::malformed(path, "certificate", &PemError::NoItemsFound));
    }
    Ok(chain.into_iter().map(|der| der.to_vec()).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|error| IdentityError::Read { path: path.to_owned(), error })
}

/// Why there is no identity.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// A file holds not what it should.
    Malformed(String),
    /// No key or certificate could be made.
    Generation(String),
}

impl IdentityError {
    fn malformed(path: &Path, what: &str, error: &PemError) -> Self {
        let path = path.display();
        Self::Malformed(match error {
            PemError::NoItemsFound => format!("{path} holds no {what}: a PEM file with a {what} is needed"),
            error => format!("{path} is not a valid PEM file: {error}"),
        })
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Malformed(reason) => f.write_str(reason),
            Self::Generation(reason) => write!(f, "cannot make a certificate: {reason}"),
        }
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn self_signed_round_trips_through_pem() {
        let identity = Identity::self_signed(&["localhost", "127.0.0.1", "::1"]).expect("generated");
        let pem = identity.certificate_pem();
        let read = CertificateDer::from_pem_slice(pem.as_bytes()).expect("readable");
        assert_eq!(Some(&*read), identity.certificate());
    }
}
