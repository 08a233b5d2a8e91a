//! A pair of which either end can be made to say anything: a test holds the keys of both.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

#[path = "../forge/mod.rs"]
pub mod forge;
#[path = "../pair/mod.rs"]
pub mod pair;
pub mod tapped_tls;

use std::sync::Arc;

use quillon::error::TransportErrorCode;
use quillon::packet::{self, PacketType};
use quillon::wire::{ConnectionId, Level};
use quillon::{ClientConfig, ConnectionError, ConnectionHandle, EndpointConfig, ServerConfig, Side, TransportSettings};

use forge::Forge;
use pair::{MILLISECOND, Pair};
use tapped_tls::Tap;

/// A pair, and a tap on the TLS of each end.
pub struct Puppets {
    pub pair: Pair,
    pub client_tap: Tap,
    pub server_tap: Tap,
    client_config: ClientConfig,
}

impl Default for Puppets {
    fn default() -> Self {
        Self::new(TransportSettings::default())
    }
}

impl Puppets {
    /// Both ends with these settings.
    pub fn new(transport: TransportSettings) -> Self {
        Self::with_configs(&pair::client_config(transport.clone()), &pair::server_config(transport))
    }

    pub fn with_configs(client: &ClientConfig, server: &Arc<ServerConfig>) -> Self {
        let (client_tap, server_tap) = (Tap::default(), Tap::default());
        let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
        pair.server.endpoint.set_server(Some(server_tap.server(server))).unwrap();
        let client_config = client_tap.client(client);
        Self { pair, client_tap, server_tap, client_config }
    }

    pub fn tap(&self, side: Side) -> &Tap {
        match side {
            Side::Client => &self.client_tap,
            Side::Server => &self.server_tap,
        }
    }

    /// Starts a connection, which the test lets go on.
    pub fn connect(&mut self) -> ConnectionHandle {
        let config = self.client_config.clone();
        self.pair.connect_with(&config, "localhost")
    }

    /// A pair with a confirmed connection, and its handles, the client's first.
    pub fn connected(transport: TransportSettings) -> (Self, [ConnectionHandle; 2]) {
        let mut puppets = Self::new(transport);
        let client = puppets.connect();
        puppets.pair.settle();
        assert!(puppets.pair.client.saw(&quillon::Event::HandshakeConfirmed).is_some(), "the handshake succeeds");
        let server = puppets.pair.server.saw(&quillon::Event::HandshakeComplete).expect("on both ends");
        (puppets, [client, server])
    }

    /// What seals packets of `side`, which has sent packets of that level before.
    pub fn forge(&mut self, side: Side, level: Level) -> Forge {
        let (suite, secret) = self.tap(side).secret(level);
        let sent = &self.pair.end(side).sent;
        if level == Level::OneRtt {
            let short = sent.iter().rfind(|datagram| datagram[0] & 0x80 == 0).expect("a short header");
            return Forge::short(ConnectionId::new(&short[1..9]).unwrap(), suite, &secret);
        }
        let long = sent.iter().rfind(|datagram| datagram[0] & 0x80 != 0).expect("a long header");
        let layout = packet::parse_greased(long, 8).unwrap();
        let ty = if level == Level::Handshake { PacketType::Handshake } else { PacketType::ZeroRtt };
        Forge::long(ty, layout.dcid, layout.scid, suite, &secret)
    }

    /// Gives the end on `side` a datagram as if its peer had sent it.
    pub fn inject(&mut self, side: Side, datagram: Vec<u8>) {
        let now = self.pair.now;
        self.pair.end(side).inject(now, datagram);
    }

    /// Why each end closed, the one on `side` first, after what that end said of it has arrived.
    pub fn outcome(&mut self, side: Side) -> [Option<ConnectionError>; 2] {
        self.pair.run_for(100 * MILLISECOND);
        [self.pair.end(side).closed(), self.pair.end(side.peer()).closed()]
    }

    /// Asserts that the end on `side` has closed with `code`, and that its peer read that on the wire.
    pub fn assert_closes(&mut self, side: Side, code: TransportErrorCode, case: &str) {
        let outcome = self.outcome(side);
        for (error, told_by_peer) in outcome.iter().zip([false, true]) {
            match error {
                Some(ConnectionError::Transport { code: found, by_peer, .. }) => {
                    assert_eq!((*found, *by_peer), (code, told_by_peer), "{case}: {outcome:?}");
                }
                _ => panic!("{case}: the {side:?} should close with {code}: {outcome:?}"),
            }
        }
    }

    /// Asserts that neither end has closed.
    pub fn assert_open(&mut self, case: &str) {
        let outcome = self.outcome(Side::Client);
        assert_eq!(outcome, [None, None], "{case}");
    }
}
