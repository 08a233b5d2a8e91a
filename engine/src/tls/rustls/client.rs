use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use ::rustls::client::{Resumption, WebPkiServerVerifier};
use ::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use ::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use ::rustls::quic::{ClientConnection, Connection};
use ::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::scope::{Exchange, ScopeTime, Tap, surroundings};
use super::session::{ClientTicket, Options, RustlsSession};
use super::{ConfigError, check_protocols, crypto_provider, list_protocols, quic_version};
use crate::crypto::CipherSuite;
use crate::tls::{Session, Start, TlsError, alert};

/// A client's TLS settings, shared by its connections.
pub struct RustlsClient {
    config: Arc<ClientConfig>,
    /// The same, for sessions that offer early data.
    with_early_data: Arc<ClientConfig>,
    key_log: bool,
}

/// Makes a [`RustlsClient`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    alpn: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
    accept_any_certificate: bool,
    cipher_suites: Vec<CipherSuite>,
    key_log: bool,
}

impl RustlsClient {
    /// Settings with no application protocol, no trusted roots, every cipher suite in the order of
    /// [`CipherSuite::ALL`], and no key log.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            alpn: Vec::new(),
            roots: Vec::new(),
            accept_any_certificate: false,
            cipher_suites: CipherSuite::ALL.to_vec(),
            key_log: false,
        }
    }
}

impl ClientBuilder {
    /// The application protocols to offer, in order of preference (RFC 7301). With none the server may choose none;
    /// with some it must choose one of them (RFC 9001 section 8.1).
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Adds trusted roots: certificates in DER, of authorities or of the very server (self-signed).
    #[must_use]
    pub fn roots(mut self, certificates: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.roots.extend(certificates.into_iter().map(Into::into));
        self
    }

    /// Accepts any certificate: anyone on the path can pose as the server. Only for tests. The server still proves
    /// that it has the key of the certificate it sends.
    #[must_use]
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.accept_any_certificate = true;
        self
    }

    /// The cipher suites to offer, in order of preference.
    #[must_use]
    pub fn cipher_suites(mut self, suites: &[CipherSuite]) -> Self {
        self.cipher_suites = suites.to_vec();
        self
    }

    /// Whether sessions give their secrets for a key log ([`Output::KeyLog`](crate::tls::Output::KeyLog)): who has it
    /// can read the connections.
    #[must_use]
    pub fn key_log(mut self, on: bool) -> Self {
        self.key_log = on;
        self
    }

    /// The settings. An error where there is no root and certificates are to be verified, where a root cannot be
    /// read, where a protocol's name is empty or longer than 255 bytes, or where no cipher suite is left.
    pub fn build(self) -> Result<RustlsClient, ConfigError> {
        check_protocols(&self.alpn)?;
        let provider = crypto_provider(&self.cipher_suites)?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.accept_any_certificate {
            Arc::new(AcceptAny(provider.clone()))
        } else {
            let roots = Arc::new(root_store(&self.roots)?);
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| ConfigError::new(format!("the trusted roots cannot be used: {error}")))?
        };
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(ScopeTime))
            .with_protocol_versions(&[&::rustls::version::TLS13])
            .map_err(|error| ConfigError::new(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        config.alpn_protocols = self.alpn;
        config.key_log = Arc::new(Tap);
        // What one connection learns must not show in the next one's bytes: sessions and key shares that rustls would
        // cache become tickets, which the caller keeps.
        config.resumption = Resumption::store(Arc::new(Tap));
        let mut with_early_data = config.clone();
        with_early_data.enable_early_data = true;
        let (config, with_early_data) = (Arc::new(config), Arc::new(with_early_data));
        Ok(RustlsClient { config, with_early_data, key_log: self.key_log })
    }
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

impl crate::tls::ClientConfig for RustlsClient {
    fn start(&self, server_name: &str, start: Start<'_>) -> Result<Box<dyn Session>, TlsError> {
        let name = ServerName::try_from(server_name.to_owned()).map_err(|_| {
            let reason = format!("{server_name:?} is neither a DNS name nor an IP address");
            TlsError::new(alert::INTERNAL_ERROR, reason)
        })?;
        let options = Options {
            server_name: Some(server_name.to_owned()),
            key_log: self.key_log,
            no_protocol: format!(
                "the server chose none of our application protocols ({})",
                list_protocols(&self.config.alpn_protocols)
            ),
        };
        let ticket = start.resume.and_then(|ticket| ticket.state().downcast_ref::<ClientTicket>());
        let ticket = ticket.filter(|ticket| ticket.server_name.as_deref() == Some(server_name));
        let exchange = Exchange {
            resume: ticket.and_then(ClientTicket::take),
            group: ticket.and_then(|ticket| ticket.group),
            ..Exchange::default()
        };
        let config = if start.early_data { &self.with_early_data } else { &self.config };
        RustlsSession::start(surroundings(start.rng, start.unix_time), exchange, options, || {
            let parameters = start.transport_parameters.to_vec();
            ClientConnection::new(config.clone(), quic_version(start.version), name, parameters).map(Connection::Client)
        })
    }
}

impl fmt::Debug for RustlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsClient")
            .field("alpn", &list_protocols(&self.config.alpn_protocols))
            .field("key_log", &self.key_log)
            .finish_non_exhaustive()
    }
}

/// Trusts every certificate, but wants proof of its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

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
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
