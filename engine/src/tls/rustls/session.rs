use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use std::sync::{Mutex, PoisonError};

use ::rustls::client::Tls13ClientSessionValue;
use ::rustls::quic::{Connection, KeyChange};
use ::rustls::{HandshakeKind, NamedGroup};
use quillon_ambient::Surroundings;

use super::explain::{explain, internal};
use super::scope::{self, Binding, Exchange, Logged, SecretKind};
use crate::crypto::{CipherSuite, Secret};
use crate::tls::{Output, Session, SessionTicket, TlsError, alert};
use crate::wire::{Level, Side};

/// How many tickets of a server are passed on; those after them are dropped.
const MAX_TICKETS: usize = 8;

/// How a config wants its sessions.
pub(super) struct Options {
    /// The server's name, at a client.
    pub(super) server_name: Option<String>,
    /// Whether secrets go to the caller's key log too.
    pub(super) key_log: bool,
    /// Whether the caller judges the peer's certificate.
    pub(super) ask_for_verdict: bool,
    /// What to say where no application protocol is found.
    pub(super) no_protocol: String,
}

/// What is behind a [`SessionTicket`] of ours.
#[derive(Debug)]
pub(super) struct ClientTicket {
    pub(super) server_name: Option<String>,
    pub(super) group: Option<NamedGroup>,
    value: Mutex<Option<Tls13ClientSessionValue>>,
}

impl ClientTicket {
    /// The session, once: a ticket that was used twice would tell who looks on that both are of one client (RFC 8446
    /// appendix C.4).
    pub(super) fn take(&self) -> Option<Tls13ClientSessionValue> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a client's early data has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlyData {
    /// None was offered, or its fate was told.
    Settled,
    Offered,
}

/// The caller's judgement on the peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing is to be judged, yet.
    NotAsked,
    /// The outputs from the question on are held back.
    Asked {
        /// How many outputs came before it, and the question itself.
        ahead: usize,
    },
    Accepted,
}

/// A session of rustls, either role.
pub(super) struct RustlsSession {
    connection: Connection,
    /// `None` only while a call runs.
    surroundings: Option<Surroundings>,
    options: Options,
    framing: Framing,
    read_level: Level,
    write_level: Level,
    /// Secrets that were logged and wait for rustls to say that they are in use.
    secrets: Vec<(SecretKind, Secret)>,
    outputs: VecDeque<Output>,
    is_complete: bool,
    failed: Option<TlsError>,
    /// Whether the session began with the peer's transport parameters of an earlier one.
    remembers: bool,
    early_data: EarlyData,
    /// See [`Exchange`].
    group: Option<NamedGroup>,
    binding: Option<Arc<Binding>>,
    tickets: usize,
    verdict: Verdict,
}

impl RustlsSession {
    /// Makes the connection in its scope, and takes its first flight.
    pub(super) fn start(
        surroundings: Surroundings,
        exchange: Exchange,
        options: Options,
        connect: impl FnOnce() -> Result<Connection, ::rustls::Error>,
    ) -> Result<Box<dyn Session>, TlsError> {
        let (remembers, binding) = (exchange.resume.is_some(), exchange.binding.clone());
        let (connection, exchange, surroundings) = scope::run(surroundings, exchange, connect);
        let connection = connection.map_err(|error| explain(&error, None, &options))?;
        let mut session = Self {
            connection,
            surroundings: Some(surroundings),
            options,
            framing: Framing::default(),
            read_level: Level::Initial,
            write_level: Level::Initial,
            secrets: Vec::new(),
            outputs: VecDeque::new(),
            is_complete: false,
            failed: None,
            remembers,
            early_data: EarlyData::Settled,
            group: None,
            binding,
            tickets: 0,
            verdict: Verdict::NotAsked,
        };
        session.settle(exchange);
        session.drain()?;
        if session.side().is_client() && session.release_early_secret(true) {
            session.early_data = EarlyData::Offered;
        }
        Ok(Box::new(session))
    }

    fn side(&self) -> Side {
        match self.connection {
            Connection::Client(_) => Side::Client,
            Connection::Server(_) => Side::Server,
        }
    }

    /// Takes the bytes one message at a time, so that a message never follows at a level whose keys are superseded.
    fn read(&mut self, level: Level, data: &[u8]) -> Result<(), TlsError> {
        let mut rest = data;
        while !rest.is_empty() {
            if level != self.read_level {
                let reason = alloc::format!("TLS data in {level:?} packets, where {:?} is due", self.read_level);
                return Err(TlsError::new(alert::UNEXPECTED_MESSAGE, reason));
            }
            let (message, after) = self.framing.split(rest)?;
            self.call(message)?;
            self.drain()?;
            rest = after;
        }
        Ok(())
    }

    fn call(&mut self, data: &[u8]) -> Result<(), TlsError> {
        let surroundings = self.surroundings.take().ok_or_else(|| internal("an earlier call did not return"))?;
        let exchange = Exchange { group: self.group, binding: self.binding.clone(), ..Exchange::default() };
        let connection = &mut self.connection;
        let (result, exchange, surroundings) = scope::run(surroundings, exchange, || connection.read_hs(data));
        self.surroundings = Some(surroundings);
        self.settle(exchange);
        result.map_err(|error| explain(&error, self.connection.alert(), &self.options))?;
        self.ask_for_verdict();
        if !self.side().is_client() {
            self.release_early_secret(false);
        }
        self.tell_early_data();
        Ok(())
    }

    /// Asks for the caller's judgement as soon as the peer's certificate has passed ours: in a full handshake before
    /// its Finished is read, in a resumed one with the message that resumes it. What comes up later waits for the answer.
    fn ask_for_verdict(&mut self) {
        let certificates = self.connection.peer_certificates().unwrap_or_default();
        if self.options.ask_for_verdict && self.verdict == Verdict::NotAsked && !certificates.is_empty() {
            self.outputs.push_back(Output::PeerCertificate);
            self.verdict = Verdict::Asked { ahead: self.outputs.len() };
        }
    }

    /// Takes over what a call has left.
    fn settle(&mut self, exchange: Exchange) {
        exchange.logged.into_iter().for_each(|logged| self.keep(logged));
        self.group = exchange.group;
        for value in exchange.tickets {
            if self.tickets < MAX_TICKETS {
                self.tickets += 1;
                let allows_early_data = value.max_early_data_size() > 0;
                let server_name = self.options.server_name.clone();
                let ticket = ClientTicket { server_name, group: self.group, value: Mutex::new(Some(value)) };
                self.outputs.push_back(Output::SessionTicket(SessionTicket::new(Arc::new(ticket), allows_early_data)));
            }
        }
    }

    /// Gives the secret of 0-RTT packets, where rustls uses it: a server logs it also where it takes no early data.
    fn release_early_secret(&mut self, for_writing: bool) -> bool {
        let position = self.secrets.iter().position(|(kind, _)| *kind == SecretKind::ClientEarly);
        let Some((_, secret)) = position.map(|position| self.secrets.swap_remove(position)) else { return false };
        let (true, Some(suite)) = (self.connection.zero_rtt_keys().is_some(), self.cipher_suite()) else {
            return false;
        };
        let level = Level::ZeroRtt;
        self.outputs.push_back(match for_writing {
            true => Output::WriteSecret { level, suite, secret },
            false => Output::ReadSecret { level, suite, secret },
        });
        true
    }

    /// Tells what became of the early data, as soon as the server has said it: in EncryptedExtensions, or by a
    /// HelloRetryRequest, which refuses it.
    fn tell_early_data(&mut self) {
        if let Connection::Client(connection) = &self.connection
            && self.early_data == EarlyData::Offered
            && connection.handshake_kind().is_some()
        {
            self.early_data = EarlyData::Settled;
            self.outputs.push_back(Output::EarlyData { accepted: connection.is_early_data_accepted() });
        }
    }

    fn keep(&mut self, logged: Logged) {
        let Logged { kind, client_random, secret } = logged;
        if self.options.key_log {
            self.outputs.push_back(Output::KeyLog { label: kind.label(), client_random, secret: secret.clone() });
        }
        match kind {
            // The exporter secret stays in rustls, which serves it.
            SecretKind::Exporter => {}
            kind => self.secrets.push((kind, secret)),
        }
    }

    /// Turns what rustls has to say into outputs.
    fn drain(&mut self) -> Result<(), TlsError> {
        loop {
            let mut data = Vec::new();
            let change = self.connection.write_hs(&mut data);
            if data.is_empty() && change.is_none() {
                break;
            }
            if !data.is_empty() {
                self.outputs.push_back(Output::Crypto { level: self.write_level, data });
            }
            match change {
                Some(KeyChange::Handshake { .. }) => {
                    self.release_read(Level::Handshake)?;
                    self.release_write(Level::Handshake)?;
                }
                Some(KeyChange::OneRtt { .. }) => {
                    // RFC 9001 section 5.7: a server does not read 1-RTT packets before the handshake is complete.
                    if self.side().is_client() {
                        self.release_read(Level::OneRtt)?;
                    }
                    self.release_write(Level::OneRtt)?;
                }
                None => {}
            }
        }
        if !self.is_complete && !self.connection.is_handshaking() {
            if !self.side().is_client() {
                self.release_read(Level::OneRtt)?;
            }
            self.is_complete = true;
            self.outputs.push_back(Output::HandshakeComplete);
        }
        Ok(())
    }

    fn release_read(&mut self, level: Level) -> Result<(), TlsError> {
        let (suite, secret) = self.take_secret(level, self.side().peer())?;
        self.read_level = level;
        self.outputs.push_back(Output::ReadSecret { level, suite, secret });
        Ok(())
    }

    fn release_write(&mut self, level: Level) -> Result<(), TlsError> {
        let (suite, secret) = self.take_secret(level, self.side())?;
        self.write_level = level;
        self.outputs.push_back(Output::WriteSecret { level, suite, secret });
        Ok(())
    }

    fn take_secret(&mut self, level: Level, sender: Side) -> Result<(CipherSuite, Secret), TlsError> {
        let kind = match (level, sender) {
            (Level::Handshake, Side::Client) => SecretKind::ClientHandshake,
            (Level::Handshake, Side::Server) => SecretKind::ServerHandshake,
            (_, Side::Client) => SecretKind::ClientTraffic,
            (_, Side::Server) => SecretKind::ServerTraffic,
        };
        let position = self.secrets.iter().position(|(logged, _)| *logged == kind);
        match (self.cipher_suite(), position) {
            (Some(suite), Some(position)) => Ok((suite, self.secrets.swap_remove(position).1)),
            _ => Err(internal("a traffic secret did not appear")),
        }
    }
}

impl Session for RustlsSession {
    fn read_crypto(&mut self, level: Level, data: &[u8]) -> Result<(), TlsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.read(level, data).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn poll_output(&mut self) -> Option<Output> {
        if let Verdict::Asked { ahead } = &mut self.verdict {
            *ahead = ahead.checked_sub(1)?;
        }
        self.outputs.pop_front()
    }

    fn accept_peer_certificate(&mut self) {
        if matches!(self.verdict, Verdict::Asked { .. }) {
            self.verdict = Verdict::Accepted;
        }
    }

    fn peer_transport_parameters(&self) -> Option<&[u8]> {
        // With a session to resume, rustls starts out with the parameters of that, and has new ones when it has read
        // EncryptedExtensions.
        let arrived = !self.remembers
            || match self.connection.handshake_kind() {
                Some(HandshakeKind::Full | HandshakeKind::Resumed) => true,
                Some(HandshakeKind::FullWithHelloRetryRequest) | None => self.is_complete,
            };
        self.connection.quic_transport_parameters().filter(|_| arrived)
    }

    fn alpn(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    fn server_name(&self) -> Option<&str> {
        match &self.connection {
            Connection::Client(_) => self.options.server_name.as_deref(),
            Connection::Server(connection) => connection.server_name(),
        }
    }

    fn cipher_suite(&self) -> Option<CipherSuite> {
        CipherSuite::from_iana(self.connection.negotiated_cipher_suite()?.suite().into())
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        let chain = self.connection.peer_certificates().unwrap_or_default();
        chain.iter().map(|certificate| certificate.to_vec()).collect()
    }

    fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn export_keying_material(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), TlsError> {
        match self.connection.export_keying_material(out, label, Some(context)) {
            Ok(_) => Ok(()),
            Err(error) => Err(explain(&error, None, &self.options)),
        }
    }
}

impl fmt::Debug for RustlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsSession")
            .field("side", &self.side())
            .field("read_level", &self.read_level)
            .field("is_complete", &self.is_complete)
            .finish_non_exhaustive()
    }
}

/// Where the handshake messages of a stream begin and end: each is a type, a length of three bytes, and as many bytes
/// (RFC 8446 section 4).
#[derive(Default)]
struct Framing {
    header: [u8; 4],
    header_len: usize,
    body_left: usize,
}

/// The longest message that rustls takes; of all messages, certificate chains come nearest.
const MAX_MESSAGE_LEN: usize = 0xffff;

impl Framing {
    /// Splits off what belongs to the message that `data` continues or starts.
    fn split<'a>(&mut self, data: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), TlsError> {
        let mut header_bytes = 0;
        if self.body_left == 0 {
            let free = self.header.iter_mut().skip(self.header_len);
            header_bytes = free.zip(data).map(|(slot, byte)| *slot = *byte).count();
            self.header_len += header_bytes;
            if self.header_len < self.header.len() {
                return Ok((data, &[]));
            }
            let [_, a, b, c] = self.header;
            self.header_len = 0;
            self.body_left = u32::from_be_bytes([0, a, b, c]) as usize;
            if self.body_left > MAX_MESSAGE_LEN {
                return Err(TlsError::new(alert::DECODE_ERROR, "the peer's TLS message is longer than 64 KiB"));
            }
        }
        let body = self.body_left.min(data.len() - header_bytes);
        self.body_left -= body;
        data.split_at_checked(header_bytes + body).ok_or_else(|| internal("a message ends after its bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_are_found_however_the_stream_is_cut(
            lens in prop::collection::vec(0usize..300, 1..6),
            cuts in prop::collection::vec(1usize..200, 1..50),
        ) {
            let mut stream = Vec::new();
            let mut ends = vec![0];
            for len in &lens {
                stream.extend_from_slice(&[1, 0, (len >> 8) as u8, *len as u8]);
                stream.resize(stream.len() + len, 0xff);
                ends.push(stream.len());
            }
            let (mut framing, mut at, mut seen) = (Framing::default(), 0, vec![0]);
            let mut cuts = cuts.into_iter().cycle();
            while at < stream.len() {
                let end = stream.len().min(at + cuts.next().unwrap_or(1));
                let mut rest = &stream[at..end];
                while !rest.is_empty() {
                    let (piece, after) = framing.split(rest).unwrap();
                    prop_assert!(!piece.is_empty());
                    at += piece.len();
                    if framing.body_left == 0 && framing.header_len == 0 {
                        seen.push(at);
                    }
                    rest = after;
                }
            }
            prop_assert_eq!(seen, ends);
        }
    }
}
