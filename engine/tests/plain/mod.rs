//! Two endpoints without packet protection, and a reader of what they put on the wire.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::sync::Arc;

use quillon::packet::{self, Frame, Frames, PacketType, SAMPLE_LEN};
use quillon::tls::client_hello::{self, Progress};
use quillon::transport_parameters::TransportParameters;
use quillon::{ClientConfig, ConnectionHandle, EndpointConfig, Event, ServerConfig, Side, TransportSettings, crypto};

use crate::pair::{Pair, client_config, server_config};

/// The length of the connection IDs that endpoints choose by default.
const CONNECTION_ID_LEN: usize = 8;

/// A packet as it was on the wire.
pub struct Packet {
    pub ty: PacketType,
    pub pn: u64,
    pub pn_len: usize,
    /// Its bytes, header and tag included.
    pub len: usize,
    pub frames: Vec<Frame<'static>>,
}

pub fn client(transport: TransportSettings) -> ClientConfig {
    ClientConfig { crypto: crypto::null::provider(), ..client_config(transport) }
}

pub fn server(transport: TransportSettings) -> Arc<ServerConfig> {
    let config = Arc::unwrap_or_clone(server_config(transport));
    Arc::new(ServerConfig { crypto: crypto::null::provider(), ..config })
}

/// A client and a server that understand each other and hide nothing.
pub fn pair(transport: TransportSettings) -> Pair {
    let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
    pair.server.endpoint.set_server(Some(server(transport))).unwrap();
    pair
}

/// Connects and completes the handshake: the client's handle and the server's.
pub fn connected(pair: &mut Pair, transport: TransportSettings) -> (ConnectionHandle, ConnectionHandle) {
    let handle = pair.connect_with(&client(transport), "localhost");
    pair.settle();
    assert!(pair.client.saw(&Event::HandshakeConfirmed).is_some(), "{:?}", pair.client.events);
    (handle, pair.server.saw(&Event::HandshakeConfirmed).expect("the server confirms"))
}

/// The packets of these datagrams, in order. Packet numbers are as truncated as they were sent.
pub fn packets(datagrams: &[Vec<u8>]) -> Vec<Packet> {
    let mut packets = Vec::new();
    for datagram in datagrams {
        let mut rest: &'static mut [u8] = datagram.clone().leak();
        while !rest.is_empty() {
            let layout = packet::parse_greased(rest, CONNECTION_ID_LEN).expect("a packet of ours");
            let (packet, next) = rest.split_at_mut(layout.len);
            rest = next;
            if layout.ty.level().is_none() {
                packets.push(Packet { ty: layout.ty, pn: 0, pn_len: 0, len: packet.len(), frames: Vec::new() });
                continue;
            }
            assert!(packet.len() >= layout.pn_offset + 4 + SAMPLE_LEN, "room for the sample");
            let unmasked = packet::unmask(packet, layout.pn_offset, [0; 5]).unwrap();
            let len = packet.len();
            let payload = &packet[unmasked.header_len(layout.pn_offset)..len - crypto::TAG_LEN];
            let frames = Frames::new(payload).map(|frame| frame.unwrap().1).collect();
            packets.push(Packet { ty: layout.ty, pn: unmasked.truncated_pn, pn_len: unmasked.pn_len, len, frames });
        }
    }
    packets
}

/// The transport parameters in the ClientHello that these packets of a client begin with.
pub fn client_parameters(packets: &[Packet]) -> TransportParameters {
    let mut hello = Vec::new();
    for frame in packets.iter().filter(|packet| packet.ty == PacketType::Initial).flat_map(|packet| &packet.frames) {
        if let Frame::Crypto { offset, data } = *frame
            && offset == hello.len() as u64
        {
            hello.extend_from_slice(data);
        }
    }
    let Ok(Progress::Done(hello)) = client_hello::parse(&hello) else { panic!("no ClientHello") };
    TransportParameters::decode(&hello.transport_parameters, Side::Client).unwrap()
}
