//! Packets of a peer that holds the keys and keeps no rules.

use quillon::crypto::{self, CipherSuite, Keys, Secret, TAG_LEN, initial_keys};
use quillon::packet::{self, Frame, LongHeader, PacketType, ShortHeader};
use quillon::wire::{ConnectionId, Version, Writer};
use quillon::{Event, Side};

use crate::pair::{Node, Sent};

/// Every packet number is written in full, so that it can be far ahead.
const PN_LEN: usize = 4;

enum Header {
    Initial { dcid: ConnectionId, scid: ConnectionId },
    OneRtt { dcid: ConnectionId },
}

/// Seals packets of one direction and level of a connection.
pub struct Forge {
    header: Header,
    keys: Keys,
    packet_number: u64,
}

impl Forge {
    /// Initial packets of the client whose first datagram this is: anyone who sees it can make them.
    ///
    /// # Panics
    /// Where it is not an Initial.
    #[must_use]
    pub fn initial(first: &[u8]) -> Self {
        let layout = packet::parse(first, 8).expect("a packet");
        assert_eq!(layout.ty, PacketType::Initial);
        let keys = initial_keys(crypto::ring::provider().as_ref(), Version::V1, &layout.dcid, Side::Client).local;
        Self { header: Header::Initial { dcid: layout.dcid, scid: layout.scid }, keys, packet_number: 1000 }
    }

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
        let keys = Keys::from_secret(crypto::ring::provider().as_ref(), Version::V1, suite, &secret);
        Self { header: Header::OneRtt { dcid }, keys, packet_number: 1000 }
    }

    /// The next packet, with exactly this payload.
    ///
    /// # Panics
    /// Where the payload does not fit a datagram.
    pub fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; 65_527];
        let mut writer = Writer::new(&mut buffer);
        let pn_offset = match self.header {
            Header::OneRtt { dcid } => {
                ShortHeader { dcid, spin: false, key_phase: false }.encode(&mut writer, self.packet_number, PN_LEN)
            }
            Header::Initial { dcid, scid } => {
                let header = LongHeader { ty: PacketType::Initial, version: Version::V1, dcid, scid, token: &[] };
                let offsets = header.encode(&mut writer, self.packet_number, PN_LEN);
                packet::set_length(writer.written_mut(), offsets.length, PN_LEN + payload.len() + TAG_LEN);
                offsets.pn
            }
        };
        let header_len = writer.position();
        writer.bytes(payload);
        writer.zeros(TAG_LEN);
        assert!(!writer.overflowed(), "{} bytes", payload.len());
        let len = writer.position();
        buffer.truncate(len);
        self.keys.packet.seal(self.packet_number, &mut buffer, header_len);
        let sample = packet::sample(&buffer, pn_offset).expect("four bytes of packet number and a tag");
        packet::mask(&mut buffer, pn_offset, PN_LEN, self.keys.header.mask(&sample));
        self.packet_number += 1;
        buffer
    }

    /// A datagram with the next packet. What an Initial lacks to 1200 bytes follows behind the packet, as bytes that
    /// are none.
    pub fn datagram(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut datagram = self.packet(payload);
        if matches!(self.header, Header::Initial { .. }) && datagram.len() < 1200 {
            datagram.resize(1200, 0);
        }
        datagram
    }
}

/// The frame's bytes.
///
/// # Panics
/// Where it is longer than a datagram.
#[must_use]
pub fn encode(frame: &Frame<'_>) -> Vec<u8> {
    let mut buffer = vec![0; 65_527];
    let mut writer = Writer::new(&mut buffer);
    frame.encode(&mut writer);
    assert!(!writer.overflowed(), "{frame:?}");
    writer.written().to_vec()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
