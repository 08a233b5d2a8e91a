use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ::rustls::ClientConfig;
use ::rustls::client::Resumption;
use ::rustls::client::danger::ServerCertVerifier;
use ::rustls::pki_types::ServerName;
use ::rustls::quic::{ClientConnection, Connection};
use ::rustls::sign::SingleCertAndKey;

use super::certificates::Certificate;
use super::scope::{Exchange, ScopeTime, Tap, surroundings};
use super::session::{ClientTicket, Options, RustlsSession};
use super::verification::{AcceptAny, ClientAuthentication, HashRule, Pinned, server_verifier};
use super::{ConfigError, KeyExchangeGroup, check_protocols, crypto_provider, list_protocols, quic_version};
use crate::crypto::CipherSuite;
use crate::tls::{Session, Start, TlsError, alert};

/// A client's TLS settings, shared by its connections.
pub struct RustlsClient {
    config: Arc<ClientConfig>,
    /// The same, for sessions that offer early data.
    with_early_data: Arc<ClientConfig>,
    key_log: bool,
    ask_for_verdict: bool,
}

/// How many certificate hashes are held at most.
const MAX_HASHES: usize = 64;

/// Makes a [`RustlsClient`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    alpn: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
    accept_any_certificate: bool,
    hashes: Option<(Vec<[u8; 32]>, HashRule)>,
    certificate: Option<Certificate>,
    ask_for_verdict: bool,
    cipher_suites: Vec<CipherSuite>,
    groups: Vec<KeyExchangeGroup>,
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
            hashes: None,
            certificate: None,
            ask_for_verdict: false,
            cipher_suites: CipherSuite::ALL.to_vec(),
            groups: KeyExchangeGroup::ALL.to_vec(),
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

    /// Accepts the certificates that have one of these SHA-256 hashes, of their DER, and that follow the rule; in place
    /// of roots and names, and at most 64 hashes. The server proves that it has the key.
    #[must_use]
    pub fn certificate_hashes(mut self, hashes: impl IntoIterator<Item = [u8; 32]>, rule: HashRule) -> Self {
        self.hashes = Some((hashes.into_iter().collect(), rule));
        self
    }

    /// The certificate to show to servers that ask for one, with those of the authorities that lead to a root, in DER,
    /// and its private key in DER (PKCS#8, SEC1 or PKCS#1). Default: none is shown.
    #[must_use]
    pub fn client_certificate(mut self, chain: impl IntoIterator<Item = impl Into<Vec<u8>>>, key: &[u8]) -> Self {
        self.certificate = Some(Certificate::new(None, chain, key));
        self
    }

    /// Whether the caller has the last word on the server's certificate, once the checks that were asked for have
    /// passed: [`Event::PeerCertificate`](crate::Event::PeerCertificate) is told, and the end of the handshake waits for
    /// [`Connection::accept_certificate`](crate::Connection::accept_certificate). Asked also where a session is resumed;
    /// early data, which would go out before the answer, is then not sent. Default: false.
    #[must_use]
    pub const fn ask_for_verdict(mut self, on: bool) -> Self {
        self.ask_for_verdict = on;
        self
    }

    /// The cipher suites to offer, in order of preference.
    #[must_use]
    pub fn cipher_suites(mut self, suites: &[CipherSuite]) -> Self {
        self.cipher_suites = suites.to_vec();
        self
    }

    /// The groups to exchange keys in, in order of preference; the first is tried at once, and a server that wants
    /// another asks for it at the price of a round trip (RFC 8446 section 4.1.4). Default: all, X25519 first.
    #[must_use]
    pub fn key_exchange_groups(mut self, groups: &[KeyExchangeGroup]) -> Self {
        self.groups = groups.to_vec();
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
    /// read, where a protocol's name is empty or longer than 255 bytes, or where no cipher suite or group is left.
    pub fn build(self) -> Result<RustlsClient, ConfigError> {
        check_protocols(&self.alpn)?;
        let provider = crypto_provider(&self.cipher_suites, &self.groups)?;
        let verifier: Arc<dyn ServerCertVerifier> = if self.accept_any_certificate {
            let (provider, authentication) = (provider.clone(), ClientAuthentication::Optional);
            Arc::new(AcceptAny { provider, authentication })
        } else if let Some((hashes, rule)) = self.hashes {
            if hashes.is_empty() || hashes.len() > MAX_HASHES {
                return Err(ConfigError::new("certificate hashes: pass 1 to 64"));
            }
            Arc::new(Pinned { provider: provider.clone(), hashes, rule })
        } else {
            server_verifier(&provider, &self.roots)?
        };
        let certificate = self.certificate.map(|certificate| certificate.load(&provider)).transpose()?;
        let config = ClientConfig::builder_with_details(provider, Arc::new(ScopeTime))
            .with_protocol_versions(&[&::rustls::version::TLS13])
            .map_err(|error| ConfigError::new(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match certificate {
            Some(certificate) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate))),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        config.key_log = Arc::new(Tap);
        // What one connection learns must not show in the next one's bytes: sessions and key shares that rustls would
        // cache become tickets, which the caller keeps.
        config.resumption = Resumption::store(Arc::new(Tap));
        let mut with_early_data = config.clone();
        with_early_data.enable_early_data = true;
        let (config, with_early_data) = (Arc::new(config), Arc::new(with_early_data));
        Ok(RustlsClient { config, with_early_data, key_log: self.key_log, ask_for_verdict: self.ask_for_verdict })
    }
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
            ask_for_verdict: self.ask_for_verdict,
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
        let config = if start.early_data && !self.ask_for_verdict { &self.with_early_data } else { &self.config };
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
