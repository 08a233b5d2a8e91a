//! Two sessions driven against each other in memory.
// Each test file uses its part of this.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::time::Duration;

use quillon::crypto::{CipherSuite, Secret};
use quillon::error::alert_name;
use quillon::rng::Rng;
use quillon::tls::client_hello::{Progress, parse};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::tls::{ClientConfig, Output, ServerConfig, Session, SessionTicket, Start, TlsError};
use quillon::wire::{Level, Side, Version};

pub(crate) const CA: &[u8] = include_bytes!("../data/ca.der");
pub(crate) const CERTIFICATE: &[u8] = include_bytes!("../data/localhost.der");
pub(crate) const KEY: &[u8] = include_bytes!("../data/localhost.key.der");

/// 2025-06-15, within the validity of the certificates above.
pub(crate) const NOW: Duration = Duration::from_secs(1_750_000_000);

pub(crate) fn client() -> RustlsClient {
    RustlsClient::builder().alpn(["h3"]).roots([CA]).build().unwrap()
}

pub(crate) fn server() -> RustlsServer {
    RustlsServer::builder([CERTIFICATE], KEY).alpn(["hq-interop", "h3"]).build().unwrap()
}

pub(crate) fn start(parameters: &'static [u8], seed: [u8; 32]) -> Start<'static> {
    Start {
        version: Version::V1,
        transport_parameters: parameters,
        rng: Rng::from_seed(seed),
        unix_time: NOW,
        resume: None,
        early_data: false,
        early_data_context: &[],
    }
}

/// One end, with what it has said so far.
pub(crate) struct End {
    pub(crate) session: Box<dyn Session>,
    /// In order: `crypto Initial`, `read Handshake`, ...
    pub(crate) events: Vec<String>,
    pub(crate) flights: Vec<(Level, Vec<u8>)>,
    pub(crate) unsent: VecDeque<(Level, Vec<u8>)>,
    pub(crate) read: Vec<(Level, CipherSuite, Secret)>,
    pub(crate) write: Vec<(Level, CipherSuite, Secret)>,
    pub(crate) key_log: Vec<(&'static str, [u8; 32], Secret)>,
    pub(crate) tickets: Vec<SessionTicket>,
    pub(crate) complete: bool,
}

impl End {
    pub(crate) fn new(session: Box<dyn Session>) -> Self {
        let mut end = Self {
            session,
            events: Vec::new(),
            flights: Vec::new(),
            unsent: VecDeque::new(),
            read: Vec::new(),
            write: Vec::new(),
            key_log: Vec::new(),
            tickets: Vec::new(),
            complete: false,
        };
        end.poll();
        end
    }

    pub(crate) fn poll(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Crypto { level, data } => {
                    self.events.push(format!("crypto {level:?}"));
                    self.flights.push((level, data.clone()));
                    self.unsent.push_back((level, data));
                }
                Output::ReadSecret { level, suite, secret } => {
                    self.events.push(format!("read {level:?}"));
                    self.read.push((level, suite, secret));
                }
                Output::WriteSecret { level, suite, secret } => {
                    self.events.push(format!("write {level:?}"));
                    self.write.push((level, suite, secret));
                }
                Output::EarlyData { accepted } => self.events.push(format!("early data {accepted}")),
                Output::SessionTicket(ticket) => self.tickets.push(ticket),
                Output::KeyLog { label, client_random, secret } => self.key_log.push((label, client_random, secret)),
                Output::PeerCertificate => self.events.push("certificate".into()),
                Output::HandshakeComplete => {
                    self.events.push("complete".into());
                    self.complete = true;
                }
            }
        }
    }

    pub(crate) fn read(&mut self, level: Level, data: &[u8]) -> Result<(), TlsError> {
        let result = self.session.read_crypto(level, data);
        self.poll();
        result
    }
}

/// A handshake in progress.
pub(crate) struct Pair {
    pub(crate) client: End,
    pub(crate) server: End,
}

/// Who gave up, and why.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) side: Side,
    pub(crate) error: TlsError,
}

impl Failure {
    pub(crate) fn alert(&self) -> (Side, &'static str) {
        assert!(!self.error.reason.contains('\n'), "one line: {:?}", self.error.reason);
        (self.side, alert_name(self.error.alert))
    }
}

impl Pair {
    pub(crate) fn new(client: &RustlsClient, server: &RustlsServer, name: &str, seed: u8) -> Self {
        let client = End::new(client.start(name, start(b"client parameters", [seed; 32])).unwrap());
        let Ok(Progress::Done(hello)) = parse(&client.unsent[0].1) else { panic!("no ClientHello") };
        let server = End::new(server.start(&hello, start(b"server parameters", [!seed; 32])).unwrap());
        Self { client, server }
    }

    /// Delivers one flight in pieces of at most `piece` bytes; false when there is none.
    pub(crate) fn step(&mut self, piece: usize) -> Result<bool, Failure> {
        for side in [Side::Client, Side::Server] {
            let (from, to) = match side {
                Side::Client => (&mut self.client, &mut self.server),
                Side::Server => (&mut self.server, &mut self.client),
            };
            if let Some((level, data)) = from.unsent.pop_front() {
                for piece in data.chunks(piece) {
                    to.read(level, piece).map_err(|error| Failure { side: side.peer(), error })?;
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn run(mut self) -> Result<Self, Failure> {
        while self.step(usize::MAX)? {}
        assert!(self.client.complete && self.server.complete);
        Ok(self)
    }

    /// Every byte of both ends.
    pub(crate) fn bytes(&self) -> Vec<(Level, Vec<u8>)> {
        [&self.client.flights[..], &self.server.flights].concat()
    }
}

pub(crate) fn connect(client: &RustlsClient, server: &RustlsServer, name: &str) -> Result<Pair, Failure> {
    Pair::new(client, server, name, 7).run()
}
