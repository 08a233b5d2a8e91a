//! A pair whose 1-RTT packets a test reads, and of which it can send any on behalf of either end.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::sync::Arc;

use quillon::crypto::{self, CipherSuite, Keys, Secret, TAG_LEN};
use quillon::packet::{self, Frame, Frames, PacketType, ShortHeader};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::wire::{ConnectionId, Version, Writer};
use quillon::{ClientConfig, ConnectionHandle, Ecn, Event, ServerConfig, Side, TransportSettings};

use crate::pair::{End, Pair};

const SUITE: CipherSuite = CipherSuite::Aes128Gcm;
const PN_LEN: usize = 4;
const CID_LEN: usize = 8;

/// A connected pair, and the keys of both directions.
pub struct Keyed {
    pub pair: Pair,
    pub client: ConnectionHandle,
    pub server: ConnectionHandle,
    client_keys: Keys,
    server_keys: Keys,
    /// Of the next forged packet: far ahead of those that the ends send themselves.
    next_pn: u64,
}

impl Keyed {
    /// Both ends with default settings.
    pub fn new() -> Self {
        Self::with(TransportSettings::default(), TransportSettings::default())
    }

    /// A client and a server with these settings.
    pub fn with(client: TransportSettings, server: TransportSettings) -> Self {
        let mut pair = Pair::default();
        pair.server.endpoint.set_server(Some(server_config(server))).unwrap();
        pair.connect_with(&client_config(client), "localhost");
        pair.settle();
        let client = pair.client.saw(&Event::HandshakeComplete).expect("the client completes the handshake");
        let server = pair.server.saw(&Event::HandshakeComplete).expect("the server completes the handshake");
        let client_keys = keys(&pair.client, "CLIENT_TRAFFIC_SECRET_0 ");
        let server_keys = keys(&pair.client, "SERVER_TRAFFIC_SECRET_0 ");
        Self { pair, client, server, client_keys, server_keys, next_pn: 10_000 }
    }

    fn end(&mut self, side: Side) -> &mut End {
        if side.is_client() { &mut self.pair.client } else { &mut self.pair.server }
    }

    /// Puts a packet with these frames before the peer of `from`, as if `from` had sent it.
    pub fn forge(&mut self, from: Side, frames: &[Frame<'_>]) {
        let mut payload = vec![0; 60_000];
        let mut writer = Writer::new(&mut payload);
        for frame in frames {
            frame.encode(&mut writer);
        }
        assert!(!writer.overflowed());
        let payload = writer.written().to_vec();
        self.forge_payload(from, &payload);
    }

    /// Like [`Self::forge`], byte for byte.
    pub fn forge_payload(&mut self, from: Side, payload: &[u8]) {
        let sent = &self.end(from).sent;
        let short = sent.iter().rfind(|datagram| datagram[0] & 0x80 == 0).expect("a short header");
        let dcid = ConnectionId::new(&short[1..=CID_LEN]).unwrap();
        let mut buffer = vec![0; payload.len() + 64];
        let mut writer = Writer::new(&mut buffer);
        let pn_offset = ShortHeader { dcid, spin: false, key_phase: false }.encode(&mut writer, self.next_pn, PN_LEN);
        let header_len = writer.position();
        writer.bytes(payload);
        // Header protection samples 16 bytes that begin 4 behind the packet number.
        writer.zeros(TAG_LEN);
        let len = writer.position();
        buffer.truncate(len);
        let keys = if from.is_client() { &self.client_keys } else { &self.server_keys };
        keys.packet.seal(self.next_pn, &mut buffer, header_len);
        let sample = packet::sample(&buffer, pn_offset).unwrap();
        packet::mask(&mut buffer, pn_offset, PN_LEN, keys.header.mask(&sample));
        self.next_pn += 1;
        let now = self.pair.now;
        let to = self.end(from.peer());
        let path = to.path();
        to.endpoint.receive(now, path, Ecn::NotEct, &mut buffer);
    }

    /// The payloads of the 1-RTT packets that `side` sent since `after` datagrams.
    pub fn payloads(&self, side: Side, after: usize) -> Vec<Vec<u8>> {
        let end = if side.is_client() { &self.pair.client } else { &self.pair.server };
        let keys = if side.is_client() { &self.client_keys } else { &self.server_keys };
        let (mut payloads, mut expected) = (Vec::new(), 0);
        for (at, datagram) in end.sent.iter().enumerate() {
            let mut datagram = datagram.clone();
            let Ok(layout) = packet::parse_greased(&datagram, CID_LEN) else { continue };
            if layout.ty != PacketType::OneRtt {
                continue;
            }
            let sample = packet::sample(&datagram, layout.pn_offset).unwrap();
            let unmasked = packet::unmask(&mut datagram, layout.pn_offset, keys.header.mask(&sample)).unwrap();
            let pn = packet::number::decode(unmasked.truncated_pn, unmasked.pn_len, expected);
            expected = pn + 1;
            let (header, payload) = datagram.split_at_mut(unmasked.header_len(layout.pn_offset));
            let opened = keys.packet.open(pn, header, payload).expect("the packet opens");
            if at >= after {
                payloads.push(opened.to_vec());
            }
        }
        payloads
    }

    /// What `f` finds in the frames that `side` sent since `after` datagrams.
    pub fn frames<T>(&self, side: Side, after: usize, mut f: impl FnMut(&Frame<'_>) -> Option<T>) -> Vec<T> {
        let payloads = self.payloads(side, after);
        let frames = payloads.iter().flat_map(|payload| Frames::new(payload));
        frames.filter_map(|frame| f(&frame.expect("a frame").1)).collect()
    }
}

fn keys(end: &End, label: &str) -> Keys {
    let secret = end.events.iter().find_map(|(_, event)| match event {
        Event::KeyLog(line) => line.starts_with(label).then(|| line.rsplit(' ').next().unwrap().to_owned()),
        _ => None,
    });
    let hex = secret.expect("the key log has the secret");
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let secret = Secret::new(&bytes).unwrap();
    Keys::from_secret(crypto::ring::provider().as_ref(), Version::V1, SUITE, &secret)
}

/// As the pair's, and with a key log.
pub fn client_config(transport: TransportSettings) -> ClientConfig {
    let tls = RustlsClient::builder()
        .alpn([b"test".as_slice()])
        .roots([include_bytes!("../data/ca.der").as_slice()])
        .cipher_suites(&[SUITE])
        .key_log(true)
        .build()
        .unwrap();
    ClientConfig { transport, ..ClientConfig::new(Arc::new(tls)) }
}

fn server_config(transport: TransportSettings) -> Arc<ServerConfig> {
    let chain = [include_bytes!("../data/localhost.der").as_slice()];
    let key = include_bytes!("../data/localhost.key.der");
    let tls = RustlsServer::builder(chain, key).alpn([b"test".as_slice()]).build().unwrap();
    Arc::new(ServerConfig { transport, ..ServerConfig::new(Arc::new(tls)) })
}
