//! TLS sessions whose secrets a test sees, and whose words it changes.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use quillon::crypto::{CipherSuite, Secret};
use quillon::tls::{self, ClientHello, Output, Session, Start, TlsError};
use quillon::wire::Level;

type Words = Box<dyn FnMut(Level, Vec<u8>) -> Vec<u8> + Send>;
type Parameters = Box<dyn FnMut(Vec<u8>) -> Vec<u8> + Send>;

/// What a test holds of the sessions of one end.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    write_secrets: Vec<(Level, CipherSuite, Secret)>,
    said: Vec<(Level, usize)>,
    words: Option<Words>,
    parameters: Option<Parameters>,
}

impl Tap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The secret under which this end sends at `level`: of the latest session.
    pub fn secret(&self, level: Level) -> (CipherSuite, Secret) {
        let state = self.state();
        let found = state.write_secrets.iter().rfind(|secret| secret.0 == level).expect("the session has got so far");
        (found.1, found.2.clone())
    }

    /// How many bytes of CRYPTO data this end has given to `level`.
    pub fn said(&self, level: Level) -> u64 {
        self.state().said.iter().filter(|said| said.0 == level).map(|said| said.1 as u64).sum()
    }

    /// Changes the CRYPTO data that this end sends.
    pub fn rewrite(&self, words: impl FnMut(Level, Vec<u8>) -> Vec<u8> + Send + 'static) {
        self.state().words = Some(Box::new(words));
    }

    /// Changes the transport parameters that this end sends.
    pub fn rewrite_parameters(&self, parameters: impl FnMut(Vec<u8>) -> Vec<u8> + Send + 'static) {
        self.state().parameters = Some(Box::new(parameters));
    }

    fn parameters(&self, own: &[u8]) -> Vec<u8> {
        match &mut self.state().parameters {
            Some(rewrite) => rewrite(own.to_vec()),
            None => own.to_vec(),
        }
    }

    /// A configuration with this tap on it.
    pub fn client(&self, config: &quillon::ClientConfig) -> quillon::ClientConfig {
        let tls = Arc::new(TappedClient { inner: Arc::clone(&config.tls), tap: self.clone() });
        quillon::ClientConfig { tls, ..config.clone() }
    }

    /// A configuration with this tap on it.
    pub fn server(&self, config: &quillon::ServerConfig) -> Arc<quillon::ServerConfig> {
        let tls = Arc::new(TappedServer { inner: Arc::clone(&config.tls), tap: self.clone() });
        Arc::new(quillon::ServerConfig { tls, ..config.clone() })
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

#[derive(Debug)]
struct TappedClient {
    inner: Arc<dyn tls::ClientConfig>,
    tap: Tap,
}

impl tls::ClientConfig for TappedClient {
    fn start(&self, server_name: &str, start: Start<'_>) -> Result<Box<dyn Session>, TlsError> {
        let parameters = self.tap.parameters(start.transport_parameters);
        let inner = self.inner.start(server_name, Start { transport_parameters: &parameters, ..start })?;
        Ok(Box::new(TappedSession { inner, tap: self.tap.clone() }))
    }
}

#[derive(Debug)]
struct TappedServer {
    inner: Arc<dyn tls::ServerConfig>,
    tap: Tap,
}

impl tls::ServerConfig for TappedServer {
    fn start(&self, hello: &ClientHello, start: Start<'_>) -> Result<Box<dyn Session>, TlsError> {
        let parameters = self.tap.parameters(start.transport_parameters);
        let inner = self.inner.start(hello, Start { transport_parameters: &parameters, ..start })?;
        Ok(Box::new(TappedSession { inner, tap: self.tap.clone() }))
    }
}

struct TappedSession {
    inner: Box<dyn Session>,
    tap: Tap,
}

impl Session for TappedSession {
    fn read_crypto(&mut self, level: Level, data: &[u8]) -> Result<(), TlsError> {
        self.inner.read_crypto(level, data)
    }

    fn poll_output(&mut self) -> Option<Output> {
        let mut output = self.inner.poll_output()?;
        let mut state = self.tap.state();
        match &mut output {
            Output::Crypto { level, data } => {
                if let Some(words) = &mut state.words {
                    *data = words(*level, core::mem::take(data));
                }
                state.said.push((*level, data.len()));
            }
            Output::WriteSecret { level, suite, secret } => state.write_secrets.push((*level, *suite, secret.clone())),
            _ => {}
        }
        Some(output)
    }

    fn peer_transport_parameters(&self) -> Option<&[u8]> {
        self.inner.peer_transport_parameters()
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.inner.alpn()
    }

    fn server_name(&self) -> Option<&str> {
        self.inner.server_name()
    }

    fn cipher_suite(&self) -> Option<CipherSuite> {
        self.inner.cipher_suite()
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.inner.peer_certificates()
    }

    fn is_resumed(&self) -> bool {
        self.inner.is_resumed()
    }

    fn export_keying_material(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), TlsError> {
        self.inner.export_keying_material(out, label, context)
    }
}
