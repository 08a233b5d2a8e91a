//! A handshake without cryptography, in the shape of TLS 1.3: what the seam needs, and nothing that needs `std`. Its
//! secrets are known to everyone.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
extern crate alloc;

use alloc::vec::Vec;

use quillon::crypto::{CipherSuite, Secret};
use quillon::tls::external::{Agreement, Direction, ExternalTlsError};
use quillon::transport_parameters::TransportParameters;
use quillon::wire::{Level, Side};
use quillon::{Connection, Time};

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const FINISHED: u8 = 20;

const SUITE: CipherSuite = CipherSuite::Aes128Gcm;

/// One end of the handshake.
pub struct ToyTls {
    side: Side,
    /// Changes our transport parameters before they are sent.
    pub alter: fn(&mut TransportParameters),
    /// Bytes of each level that are not whole messages yet.
    initial: Vec<u8>,
    handshake: Vec<u8>,
}

fn message(ty: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32).to_be_bytes();
    [&[ty], &len[1..], body].concat()
}

/// A ClientHello that offers the protocol `toy`.
fn client_hello(parameters: &[u8]) -> Vec<u8> {
    let list = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let alpn = [&16u16.to_be_bytes()[..], &list(&list(b"\x03toy"))].concat();
    let parameters = [&57u16.to_be_bytes()[..], &list(parameters)].concat();
    let extensions = list(&[alpn, parameters].concat());
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &extensions].concat();
    message(CLIENT_HELLO, &body)
}

fn secret(level: Level, sender: Side) -> Secret {
    Secret::new(&[16 * level as u8 + u8::from(sender.is_client()); 32]).expect("32 bytes")
}

impl ToyTls {
    pub fn new(side: Side) -> Self {
        Self { side, alter: |_| {}, initial: Vec::new(), handshake: Vec::new() }
    }

    /// Our transport parameters.
    fn parameters(&self, connection: &mut Connection) -> Result<Vec<u8>, ExternalTlsError> {
        let encoded = connection.local_transport_parameters().ok_or(ExternalTlsError::NoSession)?;
        let mut parameters = TransportParameters::decode(encoded, self.side).expect("ours can be read");
        (self.alter)(&mut parameters);
        let mut encoded = Vec::new();
        parameters.encode(&mut encoded, None);
        Ok(encoded)
    }

    /// A client's first message.
    pub fn start(&mut self, connection: &mut Connection, now: Time) -> Result<(), ExternalTlsError> {
        let parameters = self.parameters(connection)?;
        connection.submit_crypto(now, Level::Initial, &client_hello(&parameters))
    }

    /// To be called after `Event::CryptoReceived`.
    pub fn drive(&mut self, connection: &mut Connection, now: Time) -> Result<(), ExternalTlsError> {
        while let Some((level, data)) = connection.take_crypto() {
            let buffer = if level == Level::Initial { &mut self.initial } else { &mut self.handshake };
            buffer.extend_from_slice(&data);
            while let Some((ty, body)) = self.next_message(level) {
                self.on_message(connection, now, ty, &body)?;
            }
        }
        Ok(())
    }

    fn next_message(&mut self, level: Level) -> Option<(u8, Vec<u8>)> {
        let buffer = if level == Level::Initial { &mut self.initial } else { &mut self.handshake };
        let &[ty, a, b, c] = buffer.first_chunk()?;
        let len = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        let message: Vec<u8> = buffer.get(..len)?.to_vec();
        buffer.drain(..len);
        Some((ty, message[4..].to_vec()))
    }

    fn on_message(
        &mut self,
        connection: &mut Connection,
        now: Time,
        ty: u8,
        body: &[u8],
    ) -> Result<(), ExternalTlsError> {
        match (self.side, ty) {
            (Side::Server, CLIENT_HELLO) => {
                let parameters = self.parameters(connection)?;
                connection.submit_crypto(now, Level::Initial, &message(SERVER_HELLO, &[9; 32]))?;
                self.install(connection, now, Level::Handshake)?;
                let extensions = message(ENCRYPTED_EXTENSIONS, &parameters);
                connection.submit_crypto(now, Level::Handshake, &extensions)?;
                connection.submit_crypto(now, Level::Handshake, &message(FINISHED, b"done"))?;
                self.install(connection, now, Level::OneRtt)
            }
            (Side::Client, SERVER_HELLO) => self.install(connection, now, Level::Handshake),
            (Side::Client, ENCRYPTED_EXTENSIONS) => connection.set_peer_transport_parameters(now, body),
            (Side::Client, FINISHED) => {
                connection.submit_crypto(now, Level::Handshake, &message(FINISHED, b"done"))?;
                self.install(connection, now, Level::OneRtt)?;
                self.complete(connection, now)
            }
            (Side::Server, FINISHED) => self.complete(connection, now),
            _ => connection.fail_tls(now, 10, "a message out of turn"),
        }
    }

    fn install(&self, connection: &mut Connection, now: Time, level: Level) -> Result<(), ExternalTlsError> {
        connection.install_secret(now, level, Direction::Read, SUITE, secret(level, self.side.peer()))?;
        connection.install_secret(now, level, Direction::Write, SUITE, secret(level, self.side))
    }

    fn complete(&self, connection: &mut Connection, now: Time) -> Result<(), ExternalTlsError> {
        let agreement = Agreement { alpn: Some(b"toy".to_vec()), ..Agreement::default() };
        connection.complete_tls(now, agreement)
    }
}
