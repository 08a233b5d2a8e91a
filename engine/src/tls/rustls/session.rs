use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ::rustls::quic::{Connection, KeyChange};
use quillon_ambient::Surroundings;

use super::explain::{explain, internal};
use super::scope::{self, Logged, SecretKind};
use crate::crypto::{CipherSuite, Secret};
use crate::tls::{Output, Session, TlsError, alert};
use crate::wire::{Level, Side};

/// How a config wants its sessions.
pub(super) struct Options {
    /// The server's name, at a client.
    pub(super) server_name: Option<String>,
    /// Whether secrets go to the caller's key log too.
    pub(super) key_log: bool,
    /// What to say where no application protocol is found.
    pub(super) no_protocol: String,
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
}

impl RustlsSession {
    /// Makes the connection in its scope, and takes its first flight.
    pub(super) fn start(
        surroundings: Surroundings,
        options: Options,
        connect: impl FnOnce() -> Result<Connection, ::rustls::Error>,
    ) -> Result<Box<dyn Session>, TlsError> {
        let (connection, _, surroundings) = scope::run(surroundings, connect);
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
        };
        session.drain()?;
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
        let connection = &mut self.connection;
        let (result, logged, surroundings) = scope::run(surroundings, || connection.read_hs(data));
        self.surroundings = Some(surroundings);
        logged.into_iter().for_each(|logged| self.keep(logged));
        result.map_err(|error| explain(&error, self.connection.alert(), &self.options))
    }

    fn keep(&mut self, logged: Logged) {
        let Logged { kind, client_random, secret } = logged;
        if self.options.key_log {
            self.outputs.push_back(Output::KeyLog { label: kind.label(), client_random, secret: secret.clone() });
        }
        match kind {
            // The exporter secret stays in rustls, which serves it; early data is not offered.
            SecretKind::Exporter | SecretKind::ClientEarly => {}
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
        self.outputs.pop_front()
    }

    fn peer_transport_parameters(&self) -> Option<&[u8]> {
        self.connection.quic_transport_parameters()
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
