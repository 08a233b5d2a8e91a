//! What the TLS room is told.

use quillon::crypto::CipherSuite;
use quillon::tls::rustls::{ClientAuthentication, HashRule, RustlsClient, RustlsServer, SessionStore, TicketKeys};

use crate::failure::Failure;

#[derive(Debug, Default)]
pub(super) struct Tls {
    pub(super) external: bool,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) key: Vec<u8>,
    pub(super) suites: Vec<CipherSuite>,
    pub(super) verify_nothing: bool,
    pub(super) hashes: Vec<[u8; 32]>,
    pub(super) web_rule: bool,
    pub(super) ask_for_verdict: bool,
    pub(super) client_authentication: Option<ClientAuthentication>,
    pub(super) key_log: bool,
    pub(super) early_data: bool,
    pub(super) session_store: usize,
    pub(super) ticket_keys: Option<([u8; 32], Option<[u8; 32]>)>,
}

impl Tls {
    pub(super) fn client(&self) -> Result<RustlsClient, Failure> {
        let mut builder = RustlsClient::builder().alpn(self.alpn.clone()).key_log(self.key_log);
        builder = builder.roots(self.roots.clone()).ask_for_verdict(self.ask_for_verdict);
        if !self.hashes.is_empty() {
            let rule = if self.web_rule { HashRule::WebTransport } else { HashRule::Any };
            builder = builder.certificate_hashes(self.hashes.iter().copied(), rule);
        }
        if !self.chain.is_empty() {
            builder = builder.client_certificate(self.chain.clone(), &self.key);
        }
        if self.verify_nothing {
            builder = builder.danger_accept_any_certificate();
        }
        if !self.suites.is_empty() {
            builder = builder.cipher_suites(&self.suites);
        }
        Ok(builder.build()?)
    }

    pub(super) fn server(&self) -> Result<RustlsServer, Failure> {
        let mut builder = RustlsServer::builder(self.chain.clone(), &self.key).alpn(self.alpn.clone());
        builder = builder.key_log(self.key_log).ask_for_verdict(self.ask_for_verdict).early_data(self.early_data);
        if let Some(authentication) = self.client_authentication {
            builder = builder.client_certificates(self.roots.clone(), authentication);
        }
        if !self.suites.is_empty() {
            builder = builder.cipher_suites(&self.suites);
        }
        if self.session_store > 0 {
            builder = builder.session_store(SessionStore::new(self.session_store));
        }
        if let Some((current, previous)) = self.ticket_keys {
            let keys = TicketKeys::new(current);
            builder = builder.ticket_keys(match previous {
                Some(previous) => keys.with_previous(previous),
                None => keys,
            });
        }
        Ok(builder.build()?)
    }
}
