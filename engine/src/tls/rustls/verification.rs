//! Which certificates of the peer are accepted, where the roots of the web are not the measure.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use ::rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use ::rustls::crypto::hash::Hash;
use ::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use ::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use ::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use ::rustls::server::WebPkiClientVerifier;
use ::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use ::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};

use super::ConfigError;
use super::x509;

/// What a certificate has to be, beside having a known hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashRule {
    /// Nothing more: its dates are not looked at.
    Any,
    /// What the web asks of `serverCertificateHashes` (W3C WebTransport, "custom certificate requirements"): valid now,
    /// valid for no more than 14 days in all, and not with an RSA key.
    WebTransport,
}

/// How a server asks for certificates of its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// A client may come without one.
    Optional,
    /// A client without one is refused with the alert certificate_required.
    Required,
}

/// How a client judges a server's certificate.
pub(super) fn server_verifier(
    provider: &Arc<CryptoProvider>,
    roots: &[Vec<u8>],
) -> Result<Arc<dyn ServerCertVerifier>, ConfigError> {
    let roots = Arc::new(root_store(roots)?);
    match WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(unusable_roots(&error)),
    }
}

/// How a server judges a client's certificate: by `roots`; without any, the signature alone counts.
pub(super) fn client_verifier(
    provider: &Arc<CryptoProvider>,
    roots: &[Vec<u8>],
    authentication: ClientAuthentication,
) -> Result<Arc<dyn ClientCertVerifier>, ConfigError> {
    if roots.is_empty() {
        return Ok(Arc::new(AcceptAny { provider: provider.clone(), authentication }));
    }
    let roots = Arc::new(root_store(roots)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    if authentication == ClientAuthentication::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|error| unusable_roots(&error))
}

fn unusable_roots(error: &VerifierBuilderError) -> ConfigError {
    ConfigError::new(format!("the trusted roots cannot be used: {error}"))
}

fn root_store(roots: &[Vec<u8>]) -> Result<RootCertStore, ConfigError> {
    if roots.is_empty() {
        return Err(ConfigError::new("no trusted root: pass a CA certificate, or accept any certificate in a test"));
    }
    let mut store = RootCertStore::empty();
    for (index, root) in roots.iter().enumerate() {
        store.add(CertificateDer::from_slice(root)).map_err(|error| {
            let hint = if root.starts_with(b"-----") { "it is PEM, DER is needed" } else { "DER is needed" };
            ConfigError::new(format!("trusted root {} of {} cannot be read, {hint}: {error}", index + 1, roots.len()))
        })?;
    }
    Ok(store)
}

/// The SHA-256 of `data`.
fn sha256(data: &[u8]) -> Option<[u8; 32]> {
    let hash: &dyn Hash = TLS13_AES_128_GCM_SHA256.tls13()?.common.hash_provider;
    hash.hash(data).as_ref().try_into().ok()
}

/// Trusts every certificate, but wants proof of its key.
#[derive(Debug)]
pub(super) struct AcceptAny {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) authentication: ClientAuthentication,
}

/// Trusts the certificates that have these hashes, and wants proof of the key.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) hashes: Vec<[u8; 32]>,
    pub(super) rule: HashRule,
}

impl Pinned {
    fn check(&self, certificate: &[u8], now: UnixTime) -> Result<(), Error> {
        if !sha256(certificate).is_some_and(|hash| self.hashes.contains(&hash)) {
            return Err(refusal("its SHA-256 is none of those that were asked for"));
        }
        if self.rule == HashRule::Any {
            return Ok(());
        }
        let facts = x509::read(certificate).ok_or(CertificateError::BadEncoding)?;
        if facts.not_before > now.as_secs() {
            return Err(CertificateError::NotValidYet.into());
        }
        if facts.not_after < now.as_secs() {
            return Err(CertificateError::Expired.into());
        }
        if facts.not_after - facts.not_before > x509::FOURTEEN_DAYS {
            return Err(refusal("it is valid for more than 14 days"));
        }
        if facts.is_rsa {
            return Err(refusal("its key is RSA"));
        }
        Ok(())
    }
}

/// The certificate is not acceptable, for this reason.
fn refusal(reason: &'static str) -> Error {
    CertificateError::Other(OtherError(Arc::new(Refusal(reason)))).into()
}

#[derive(Debug)]
struct Refusal(&'static str);

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for Refusal {}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for AcceptAny {
    fn client_auth_mandatory(&self) -> bool {
        self.authentication == ClientAuthentication::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
