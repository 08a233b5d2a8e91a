use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use ::rustls::ServerConfig;
use ::rustls::quic::{Connection, ServerConnection};
use ::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::certificates::{Certificate, Certificates};
use super::scope::{Binding, Exchange, ScopeTime, Tap, surroundings};
use super::session::{Options, RustlsSession};
use super::session_store::{BoundSessions, SessionStore};
use super::tickets::{SealedTickets, TicketKeys};
use super::verification::{ClientAuthentication, client_verifier};
use super::{ConfigError, KeyExchangeGroup, check_protocols, crypto_provider, list_protocols, quic_version};
use crate::crypto::{self, CipherSuite};
use crate::tls::{ClientHello, Session, Start, TlsError};

/// A server's TLS settings, shared by its connections.
pub struct RustlsServer {
    config: Arc<ServerConfig>,
    /// See [`Binding`].
    client_authentication: [u8; 32],
    key_log: bool,
    ask_for_verdict: bool,
}

/// Makes a [`RustlsServer`].
pub struct ServerBuilder {
    certificates: Vec<Certificate>,
    alpn: Vec<Vec<u8>>,
    cipher_suites: Vec<CipherSuite>,
    groups: Vec<KeyExchangeGroup>,
    key_log: bool,
    resumption: Resumption,
    tickets: usize,
    early_data: bool,
    client_certificates: Option<(Vec<Vec<u8>>, ClientAuthentication)>,
    ask_for_verdict: bool,
}

/// Where a server keeps what it needs to resume sessions.
#[derive(Debug)]
enum Resumption {
    None,
    Store(Arc<SessionStore>),
    Tickets(TicketKeys),
}

/// How many tickets a connection gets at most.
const MAX_TICKETS: usize = 8;

impl RustlsServer {
    /// Settings with this certificate, no application protocol, every cipher suite in the order of
    /// [`CipherSuite::ALL`], no key log, and no resumption.
    ///
    /// `chain` is the server's certificate followed by those of the authorities that lead to a root, in DER; `key` its
    /// private key in DER (PKCS#8, SEC1 or PKCS#1): ECDSA on P-256 or P-384, Ed25519, or RSA.
    #[must_use]
    pub fn builder(chain: impl IntoIterator<Item = impl Into<Vec<u8>>>, key: &[u8]) -> ServerBuilder {
        ServerBuilder {
            certificates: vec![Certificate::new(None, chain, key)],
            alpn: Vec::new(),
            cipher_suites: CipherSuite::ALL.to_vec(),
            groups: KeyExchangeGroup::ALL.to_vec(),
            key_log: false,
            resumption: Resumption::None,
            tickets: 2,
            early_data: true,
            client_certificates: None,
            ask_for_verdict: false,
        }
    }
}

impl ServerBuilder {
    /// Adds a certificate for clients that ask for `name` (RFC 6066 section 3): a DNS name, or `*.` and a DNS name for
    /// all names with one more label. The first that was added for a name goes; clients that ask for none of them, or
    /// do not ask, get the builder's own.
    #[must_use]
    pub fn certificate_for(
        mut self,
        name: &str,
        chain: impl IntoIterator<Item = impl Into<Vec<u8>>>,
        key: &[u8],
    ) -> Self {
        self.certificates.push(Certificate::new(Some(name), chain, key));
        self
    }

    /// The application protocols to speak, in order of preference, which goes before the client's (RFC 7301). With some
    /// of them a client that offers none of them is refused; with none a client that offers any is
    /// (RFC 9001 section 8.1).
    #[must_use]
    pub fn alpn(mut self, protocols: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// The cipher suites to accept, in order of preference. The client's order goes before ours, unless ours begins
    /// with ChaCha20-Poly1305: so the end that has no AES instructions gets what it is fast at.
    #[must_use]
    pub fn cipher_suites(mut self, suites: &[CipherSuite]) -> Self {
        self.cipher_suites = suites.to_vec();
        self
    }

    /// The groups to exchange keys in, in order of preference. A client that has tried another is asked for one of these,
    /// at the price of a round trip (RFC 8446 section 4.1.4). Default: all, X25519 first.
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

    /// Lets clients resume their sessions from a store in this process, and send early data with them: a session in the
    /// store serves once, so that an attacker who repeats a client's first flight gets nothing out of it (RFC 8446
    /// section 8.1). Takes the place of [`ticket_keys`](Self::ticket_keys). Default: no resumption.
    ///
    /// Early data is taken only where the client's clock has kept pace with ours, to a minute, since the session was made
    /// (RFC 8446 section 8.3).
    ///
    /// Servers that share the store resume each other's sessions. Where bytes have to be the same again, each endpoint
    /// has a store of its own, and starts with an empty one.
    #[must_use]
    pub fn session_store(mut self, store: Arc<SessionStore>) -> Self {
        self.resumption = Resumption::Store(store);
        self
    }

    /// Lets clients resume their sessions with tickets that hold all there is to know, sealed under keys that other
    /// processes may share. Nothing is stored, so nothing can tell that a ticket comes a second time: early data is not
    /// taken. Takes the place of [`session_store`](Self::session_store). Default: no resumption.
    #[must_use]
    pub fn ticket_keys(mut self, keys: TicketKeys) -> Self {
        self.resumption = Resumption::Tickets(keys);
        self
    }

    /// How many tickets a client is sent when its handshake is complete, where resumption is on; 0 to 8, more are 8.
    /// Each serves one connection. Default: 2.
    #[must_use]
    pub fn tickets(mut self, count: usize) -> Self {
        self.tickets = count.min(MAX_TICKETS);
        self
    }

    /// Whether early data is taken, where there is a [`session_store`](Self::session_store). Default: yes.
    #[must_use]
    pub fn early_data(mut self, on: bool) -> Self {
        self.early_data = on;
        self
    }

    /// Asks clients for a certificate that leads to one of these roots, in DER (RFC 8446 section 4.3.2). Without any
    /// root every certificate passes whose key the client proves to have: then the caller judges, see
    /// [`ask_for_verdict`](Self::ask_for_verdict). Default: clients are not asked.
    #[must_use]
    pub fn client_certificates(
        mut self,
        roots: impl IntoIterator<Item = impl Into<Vec<u8>>>,
        authentication: ClientAuthentication,
    ) -> Self {
        self.client_certificates = Some((roots.into_iter().map(Into::into).collect(), authentication));
        self
    }

    /// Whether the caller has the last word on a client's certificate, once the checks that were asked for have passed:
    /// [`Event::PeerCertificate`](crate::Event::PeerCertificate) is told, and the handshake waits for
    /// [`Connection::accept_certificate`](crate::Connection::accept_certificate). Asked also where a session is resumed,
    /// not where a client shows none. Default: false.
    #[must_use]
    pub const fn ask_for_verdict(mut self, on: bool) -> Self {
        self.ask_for_verdict = on;
        self
    }

    /// The settings. An error where the key or the chain cannot be read, where they do not belong together, where a
    /// protocol's name is empty or longer than 255 bytes, or where no cipher suite or group is left.
    pub fn build(self) -> Result<RustlsServer, ConfigError> {
        check_protocols(&self.alpn)?;
        let provider = crypto_provider(&self.cipher_suites, &self.groups)?;
        let certificates = Certificates::load(&self.certificates, &provider)?;
        let verifier = match &self.client_certificates {
            Some((roots, _)) if roots.is_empty() && !self.ask_for_verdict => {
                return Err(ConfigError::new("no root for client certificates: pass one, or ask for the verdict"));
            }
            Some((roots, authentication)) => client_verifier(&provider, roots, *authentication)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(ScopeTime))
            .with_protocol_versions(&[&::rustls::version::TLS13])
            .map_err(|error| ConfigError::new(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = self.alpn;
        config.key_log = Arc::new(Tap);
        config.ignore_client_order = self.cipher_suites.first() == Some(&CipherSuite::ChaCha20Poly1305);
        // What one connection leaves must not show in the next one's bytes: what is kept is where the caller says.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        match self.resumption {
            Resumption::None => {}
            Resumption::Store(store) => {
                config.session_storage = Arc::new(BoundSessions(store));
                config.send_tls13_tickets = self.tickets;
                // QUIC knows only these two values (RFC 9001 section 4.6.1).
                config.max_early_data_size = if self.early_data { u32::MAX } else { 0 };
            }
            Resumption::Tickets(keys) => {
                config.ticketer = Arc::new(SealedTickets::new(&keys));
                config.send_tls13_tickets = self.tickets;
            }
        }
        Ok(RustlsServer {
            config: Arc::new(config),
            client_authentication: digest_of(self.client_certificates.as_ref()),
            key_log: self.key_log,
            ask_for_verdict: self.ask_for_verdict,
        })
    }
}

/// What a server asks of its clients' certificates, in brief.
fn digest_of(client_certificates: Option<&(Vec<Vec<u8>>, ClientAuthentication)>) -> [u8; 32] {
    let mut text = Vec::new();
    if let Some((roots, authentication)) = client_certificates {
        text.push(match authentication {
            ClientAuthentication::Optional => 1,
            ClientAuthentication::Required => 2,
        });
        for root in roots {
            text.extend_from_slice(&(root.len() as u64).to_be_bytes());
            text.extend_from_slice(root);
        }
    }
    crypto::ring::provider().hmac_sha256(b"quillon client authentication", &text)
}

impl crate::tls::ServerConfig for RustlsServer {
    fn start(&self, hello: &ClientHello, start: Start<'_>) -> Result<Box<dyn Session>, TlsError> {
        let ours = &self.config.alpn_protocols;
        let options = Options {
            server_name: None,
            key_log: self.key_log,
            ask_for_verdict: self.ask_for_verdict,
            no_protocol: if ours.iter().any(|protocol| hello.alpn.contains(protocol)) {
                String::new()
            } else {
                format!(
                    "no application protocol in common: the client offers {}, the server speaks {}",
                    list_protocols(&hello.alpn),
                    list_protocols(ours)
                )
            },
        };
        let binding = Binding {
            version: start.version,
            client_authentication: self.client_authentication,
            early_data_context: start.early_data_context.to_vec(),
        };
        let exchange = Exchange { binding: Some(Arc::new(binding)), ..Exchange::default() };
        RustlsSession::start(surroundings(start.rng, start.unix_time), exchange, options, || {
            let parameters = start.transport_parameters.to_vec();
            ServerConnection::new(self.config.clone(), quic_version(start.version), parameters).map(Connection::Server)
        })
    }
}

impl fmt::Debug for RustlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsServer")
            .field("alpn", &list_protocols(&self.config.alpn_protocols))
            .field("key_log", &self.key_log)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder").field("alpn", &list_protocols(&self.alpn)).finish_non_exhaustive()
    }
}
