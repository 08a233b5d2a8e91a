//! Packets of a peer that holds the keys and keeps no rules.

#[path = "../../engine/tests/forge/mod.rs"]
mod packets;

use quillon::crypto::{CipherSuite, Secret};
use quillon::wire::ConnectionId;
use quillon::{Event, Side};

use crate::pair::{Node, Sent};

pub use packets::{Forge, encode};

impl Forge {
    /// 1-RTT packets of `side`, by the key log of a host whose TLS configuration asks for it, and by what the side
    /// has sent so far: its last short header names the connection.
    ///
    /// # Panics
    /// Where either lacks.
    #[must_use]
    pub fn one_rtt<H>(side: Side, suite: CipherSuite, key_log: &Node<H>, sent: &[Sent]) -> Self {
        let label = match side {
            Side::Client => "CLIENT_TRAFFIC_SECRET_0 ",
            Side::Server => "SERVER_TRAFFIC_SECRET_0 ",
        };
        let mut lines = key_log.events.iter().filter_map(|(_, event)| match event {
            Event::KeyLog(line) if line.starts_with(label) => line.rsplit(' ').next(),
            _ => None,
        });
        let secret = lines.next_back().and_then(from_hex).expect("the key log has the secret");
        let secret = Secret::new(&secret).expect("secrets have 48 bytes at most");
        let short = sent.iter().rfind(|sent| sent.from == side && sent.bytes[0] & 0x80 == 0).expect("a short header");
        let dcid = ConnectionId::new(&short.bytes[1..9]).expect("eight bytes");
        Self::short(dcid, suite, &secret)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
