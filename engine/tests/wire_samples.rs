//! Datagrams that ngtcp2 wrote under its null cipher: read to the last frame, and taken by a connection.

mod toy_tls;

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use quillon::connection_id::{Generator, IdGeneration};
use quillon::error::TransportErrorCode;
use quillon::packet::{self, Frame, Frames, LongHeader, PacketType, ShortHeader, number};
use quillon::rng::Rng;
use quillon::tls::client_hello::{self, Progress};
use quillon::tls::external::ExternalTls;
use quillon::transport_parameters::TransportParameters;
use quillon::wire::{ConnectionId, Side, StreamId, Version, Writer};
use quillon::{
    Connection, ConnectionError, ConnectionHandle, Ecn, Endpoint, EndpointConfig, Event, FourTuple, ServerConfig,
    Transmit, TransportSettings, crypto,
};
use toy_tls::ToyTls;

/// What all connection IDs of the server in `read_write_pkt` are long.
const SERVER_ID_LEN: usize = 18;

fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpora/ngtcp2").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A packet of a datagram, without its protection.
struct Plain {
    layout: packet::Layout,
    /// As many bytes of the packet number as are on the wire.
    truncated_pn: u64,
    pn_len: usize,
    /// Where the payload lies in the datagram.
    payload: std::ops::Range<usize>,
}

fn packets(datagram: &[u8]) -> Vec<Plain> {
    packets_for(datagram, SERVER_ID_LEN)
}

/// The packets of a datagram to an end whose connection IDs have `id_len` bytes.
fn packets_for(datagram: &[u8], id_len: usize) -> Vec<Plain> {
    let (mut packets, mut start) = (Vec::new(), 0);
    while start < datagram.len() {
        let rest = &datagram[start..];
        // Behind the packets lie zeros, which are no packet: RFC 9000 section 12.2 lets them be.
        if rest.iter().all(|byte| *byte == 0) {
            break;
        }
        let layout = packet::parse_greased(rest, id_len).unwrap();
        let mut packet = rest[..layout.len].to_vec();
        let unmasked = packet::unmask(&mut packet, layout.pn_offset, [0; 5]).unwrap();
        assert!(!unmasked.reserved_bits_set());
        let end = start + layout.len - crypto::TAG_LEN;
        assert_eq!(datagram[end..start + layout.len], [0; crypto::TAG_LEN], "the null cipher's tag");
        let payload = start + unmasked.header_len(layout.pn_offset)..end;
        start += layout.len;
        packets.push(Plain { layout, truncated_pn: unmasked.truncated_pn, pn_len: unmasked.pn_len, payload });
    }
    packets
}

/// A line for each packet: type, packet number as sent, frames.
fn contents(datagram: &[u8]) -> String {
    contents_of(datagram, packets(datagram))
}

/// The same for a datagram of ours to the client with this connection ID.
fn contents_for_client(datagram: &[u8], id: ConnectionId) -> String {
    let packets = packets_for(datagram, id.as_slice().len());
    assert!(packets.iter().all(|packet| packet.layout.dcid == id));
    contents_of(datagram, packets)
}

fn contents_of(datagram: &[u8], packets: Vec<Plain>) -> String {
    let mut out = String::new();
    for packet in packets {
        write!(out, "{:?} {:#x}:", packet.layout.ty, packet.truncated_pn).unwrap();
        for frame in Frames::new(&datagram[packet.payload]) {
            match frame.unwrap().1 {
                Frame::Padding { len } => write!(out, " PADDING({len})"),
                Frame::Ping => write!(out, " PING"),
                Frame::Ack(ack) => {
                    let ecn = if ack.ecn.is_some() { "_ECN" } else { "" };
                    write!(out, " ACK{ecn}").unwrap();
                    let ranges: Vec<_> = ack.ranges().collect();
                    write!(out, "{ranges:?}")
                }
                Frame::Crypto { offset, data } => write!(out, " CRYPTO({offset}, {})", data.len()),
                Frame::Stream { id, offset, fin, data } => {
                    let fin = if fin { ", FIN" } else { "" };
                    write!(out, " STREAM({}, {offset}, {}{fin})", id.0, data.len())
                }
                Frame::NewConnectionId { sequence, .. } => write!(out, " NEW_CONNECTION_ID({sequence})"),
                Frame::ConnectionClose(packet::ConnectionClose::Transport { code, frame_type, reason }) => {
                    write!(out, " CONNECTION_CLOSE({}, {frame_type}, {})", code.0, reason.len())
                }
                other => write!(out, " {other:?}"),
            }
            .unwrap();
        }
        out.push('\n');
    }
    out
}

/// The datagrams of each file, by the reference's account of them.
const CONTENTS: [(&str, usize, &str); 11] = [
    ("read_write_pkt/packet-0", 1200, "Initial 0x1: CRYPTO(0, 245) PADDING(887)\n"),
    (
        "read_write_pkt/packet-1",
        1200,
        "Initial 0x2: ACK_ECN[1765658439..=1765658439]\n\
         Handshake 0x1: ACK_ECN[1765658439..=1765658440] CRYPTO(0, 36)\n\
         OneRtt 0x1: NEW_CONNECTION_ID(6) NEW_CONNECTION_ID(5) NEW_CONNECTION_ID(4) NEW_CONNECTION_ID(3) \
         NEW_CONNECTION_ID(2) NEW_CONNECTION_ID(1) STREAM(2, 0, 18) STREAM(10, 0, 1) STREAM(6, 0, 1) \
         STREAM(6, 1, 33) STREAM(0, 0, 676)\n",
    ),
    ("read_write_pkt/packet-2", 1406, "OneRtt 0x2: PING PADDING(1369)\n"),
    ("read_write_pkt/packet-3", 463, "OneRtt 0x3: STREAM(0, 676, 421, FIN)\n"),
    ("read_write_pkt/packet-4", 52, "OneRtt 0x4: ACK_ECN[1765658439..=1765658439]\n"),
    ("read_write_pkt/packet-5", 1444, "OneRtt 0x5: PING PADDING(1407)\n"),
    ("read_write_pkt/packet-6", 56, "OneRtt 0x6: ACK_ECN[1765658440..=1765658442] STREAM(10, 1, 1)\n"),
    ("read_write_pkt/packet-7", 51, "OneRtt 0x7: ACK_ECN[1765658443..=1765658444]\n"),
    ("read_write_pkt/packet-8", 40, "OneRtt 0x8: CONNECTION_CLOSE(0, 0, 0)\n"),
    ("read_write_handshake_pkt/packet-0", 1200, "Initial 0xa45789: CRYPTO(0, 339) PADDING(790)\n"),
    (
        "read_write_handshake_pkt/packet-1",
        1200,
        "Initial 0x8a: ACK_ECN[1843813591..=1843813591]\n\
         Handshake 0xa45789: ACK_ECN[1843813591..=1843813592] CRYPTO(0, 36)\n\
         OneRtt 0xa45789: ACK_ECN[1843813591..=1843813591] NEW_CONNECTION_ID(6) NEW_CONNECTION_ID(5) \
         NEW_CONNECTION_ID(4) NEW_CONNECTION_ID(3) NEW_CONNECTION_ID(2) NEW_CONNECTION_ID(1) STREAM(2, 0, 18) \
         STREAM(10, 0, 1) STREAM(6, 0, 1) STREAM(6, 1, 33) STREAM(0, 0, 17, FIN) PADDING(639)\n",
    ),
];

/// Packets, numbers and frames are what ngtcp2 says that it sent.
#[test]
fn the_datagrams_of_ngtcp2_are_read_to_the_last_frame() {
    for (name, len, expected) in CONTENTS {
        let datagram = sample(name);
        assert_eq!((datagram.len(), contents(&datagram).as_str()), (len, expected), "{name}");
    }
    // The ClientHellos, with the transport parameters in them.
    for (name, len) in [("read_write_pkt/packet-0", 245), ("read_write_handshake_pkt/packet-0", 339)] {
        let datagram = sample(name);
        let [packet] = &packets(&datagram)[..] else { panic!("one packet") };
        let first = Frames::new(&datagram[packet.payload.clone()]).next();
        let Some(Ok((_, Frame::Crypto { data, .. }))) = first else { panic!("{first:?}") };
        let Ok(Progress::Done(hello)) = client_hello::parse(data) else { panic!("not {len} bytes of a ClientHello") };
        assert_eq!(hello.server_name.as_deref(), Some("localhost"), "{name}");
        let parameters = TransportParameters::decode(&hello.transport_parameters, Side::Client).unwrap();
        assert_eq!(parameters.initial_source_connection_id, Some(packet.layout.scid), "{name}");
        assert_eq!(packet.layout.scid.as_slice().len(), 17, "{name}");
    }
}

/// What was read is written again: every frame byte for byte, and every header to the same fields. Ours have the fixed
/// bit, which ngtcp2 cleared in some, and two bytes of length where ngtcp2 took four.
#[test]
fn the_datagrams_of_ngtcp2_are_written_again() {
    for (name, ..) in CONTENTS {
        let datagram = sample(name);
        for Plain { layout, truncated_pn, pn_len, payload } in packets(&datagram) {
            let payload = &datagram[payload];
            let mut buffer = [0; 2_000];
            let mut writer = Writer::new(&mut buffer);
            for frame in Frames::new(payload) {
                let (ty, frame) = frame.unwrap();
                if frame.frame_type() == ty { frame.encode(&mut writer) } else { frame.encode_to_end(&mut writer) }
            }
            assert_eq!(writer.written(), payload, "{name}");

            let mut buffer = [0; 2_000];
            let mut writer = Writer::new(&mut buffer);
            let (ty, dcid, scid) = (layout.ty, layout.dcid, layout.scid);
            if ty == PacketType::OneRtt {
                ShortHeader { dcid, spin: false, key_phase: false }.encode(&mut writer, truncated_pn, pn_len);
                writer.bytes(payload);
            } else {
                let header = LongHeader { ty, version: Version::V1, dcid, scid, token: &[] };
                let offsets = header.encode(&mut writer, truncated_pn, pn_len);
                writer.bytes(payload);
                let len = pn_len + payload.len() + crypto::TAG_LEN;
                packet::set_length(writer.written_mut(), offsets.length, len);
            }
            writer.zeros(crypto::TAG_LEN);
            let again = packets(writer.written());
            let [again_packet] = &again[..] else { panic!("{name}: one packet") };
            let fields = |layout: &packet::Layout| (layout.ty, layout.version, layout.dcid, layout.scid);
            assert_eq!(fields(&again_packet.layout), fields(&layout), "{name}");
            assert_eq!((again_packet.truncated_pn, again_packet.pn_len), (truncated_pn, pn_len), "{name}");
            assert_eq!(&writer.written()[again_packet.payload.clone()], payload, "{name}");
        }
    }
}

/// The connection ID of the recorded server comes first, then others.
#[derive(Debug)]
struct Recorded {
    first: ConnectionId,
    made: AtomicU8,
}

impl Generator for Recorded {
    fn id_len(&self) -> usize {
        self.first.as_slice().len()
    }

    fn generate(&self, _: &mut Rng) -> ConnectionId {
        match self.made.fetch_add(1, Ordering::Relaxed) {
            0 => self.first,
            n => ConnectionId::new(&[n; SERVER_ID_LEN]).unwrap(),
        }
    }
}

/// A server in the place of the recorded one, under the null cipher, with the toy's TLS: the recorded Finished is good
/// enough for it.
struct Server {
    endpoint: Endpoint,
    path: FourTuple,
    tls: ToyTls,
    handle: Option<ConnectionHandle>,
    events: Vec<Event>,
}

impl Server {
    /// In the place of the server that `answer`, the client's second datagram, is for.
    fn for_answer(answer: &[u8]) -> Self {
        let first = packets(answer)[0].layout.dcid;
        let generator = Recorded { first, made: AtomicU8::new(0) };
        let generation = IdGeneration::Custom(Arc::new(generator));
        let config = EndpointConfig { connection_id_generation: generation, ..EndpointConfig::default() };
        let mut endpoint = Endpoint::new(config, [1; 32]);
        let transport = TransportSettings { active_connection_id_limit: 8, ..TransportSettings::default() };
        let config =
            ServerConfig { crypto: crypto::null::provider(), transport, ..ServerConfig::new(Arc::new(ExternalTls)) };
        endpoint.set_server(Some(Arc::new(config))).unwrap();
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let path = FourTuple { local: address("192.0.2.2:443"), remote: address("192.0.2.1:1000") };
        Self { endpoint, path, tls: ToyTls::new(Side::Server), handle: None, events: Vec::new() }
    }

    fn connection(&mut self) -> &mut Connection {
        self.endpoint.connection_mut(self.handle.expect("a connection")).expect("it is alive")
    }

    /// Takes a datagram and returns the answers.
    fn receive(&mut self, mut datagram: Vec<u8>) -> Vec<Vec<u8>> {
        self.endpoint.receive(0, self.path, Ecn::NotEct, &mut datagram);
        let (mut sent, mut buffer) = (Vec::new(), vec![0; 65_535]);
        loop {
            while let Some((handle, event)) = self.endpoint.poll_event() {
                self.handle = Some(handle);
                if event == Event::CryptoReceived {
                    self.tls.drive(self.endpoint.connection_mut(handle).unwrap(), 0).unwrap();
                }
                self.events.push(event);
            }
            let Transmit::Send(batch) = self.endpoint.transmit(0, &mut buffer) else { return sent };
            sent.extend(buffer[..batch.len].chunks(batch.segment_size).map(<[u8]>::to_vec));
        }
    }

    /// Everything on a stream so far, and whether it ended.
    fn read(&mut self, id: u64) -> (Vec<u8>, bool) {
        let mut data = vec![0; 4_000];
        let read = self.connection().read(StreamId(id), &mut data).unwrap();
        data.truncate(read.len);
        (data, read.finished)
    }
}

/// The datagram with PADDING for its ACK frames, which are for packets of the recorded server.
fn without_acks(name: &str) -> Vec<u8> {
    let mut datagram = sample(name);
    for packet in packets(&datagram) {
        let payload = &mut datagram[packet.payload];
        // In these samples an ACK is the first frame, if any.
        let Some(Ok((_, frame @ Frame::Ack(_)))) = Frames::new(payload).next() else { continue };
        let len = frame.encoded_len();
        payload[..len].fill(0);
    }
    assert!(!contents(&datagram).contains("ACK"));
    datagram
}

/// The recorded connection, from the client's first packet to its last: handshake, connection IDs, streams, probes of
/// the path's MTU, and the close.
#[test]
fn a_server_takes_a_whole_connection_of_ngtcp2() {
    let mut server = Server::for_answer(&sample("read_write_pkt/packet-1"));
    let first = sample("read_write_pkt/packet-0");
    let answers = server.receive(first.clone());
    let client_id = packets(&first)[0].layout.scid;
    let text: String = answers.iter().map(|answer| contents_for_client(answer, client_id)).collect();
    assert!(text.starts_with("Initial 0x0: ACK[1..=1] CRYPTO(0, 36)"), "{text}");
    assert!(text.contains("Handshake 0x0: CRYPTO(0, "), "{text}");
    assert!(answers.iter().map(Vec::len).sum::<usize>() <= 3 * first.len());

    server.receive(without_acks("read_write_pkt/packet-1"));
    assert!(server.events.contains(&Event::HandshakeConfirmed), "{:?}", server.events);
    let (text, finished) = server.read(0);
    assert_eq!((text.len(), finished), (676, false));
    assert_eq!(server.read(2).0.len(), 18, "HTTP/3 settings");
    let (encoder, decoder) = (server.read(6), server.read(10));
    assert_eq!((encoder.0.len(), decoder.0.len()), (34, 1), "QPACK");
    assert!(server.connection().rotate_remote_id(), "the client's other connection IDs are there");

    for n in 2..=7 {
        let answers = server.receive(without_acks(&format!("read_write_pkt/packet-{n}")));
        assert!(!server.connection().is_closed(), "packet-{n}: {:?}", server.events);
        drop(answers);
    }
    let (rest, finished) = server.read(0);
    assert_eq!((rest.len(), finished), (421, true));
    assert!(rest.ends_with(b"THE SOFTWARE.\n"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(server.read(10).0.len(), 1);

    server.receive(sample("read_write_pkt/packet-8"));
    let code = TransportErrorCode::NO_ERROR;
    let closed = ConnectionError::Transport { code, frame_type: 0, reason: String::new(), by_peer: true };
    assert!(server.events.contains(&Event::Closed(closed)), "{:?}", server.events);
}

/// The other recording, whose packet numbers start at 10,770,313.
#[test]
fn a_server_takes_a_handshake_of_ngtcp2_with_large_packet_numbers() {
    let mut server = Server::for_answer(&sample("read_write_handshake_pkt/packet-1"));
    let first = sample("read_write_handshake_pkt/packet-0");
    let client_id = packets(&first)[0].layout.scid;
    let answers = server.receive(first);
    let text = contents_for_client(&answers[0], client_id);
    assert!(text.starts_with("Initial 0x0: ACK[10770313..=10770313] CRYPTO(0, 36)"), "{text}");

    let answers = server.receive(without_acks("read_write_handshake_pkt/packet-1"));
    assert!(server.events.contains(&Event::HandshakeConfirmed), "{:?}", server.events);
    let (data, finished) = server.read(0);
    assert_eq!((data.len(), finished), (17, true));
    let text: String = answers.iter().map(|answer| contents_for_client(answer, client_id)).collect();
    assert!(text.contains("HandshakeDone"), "{text}");
    // RFC 9000 appendix A.3: a truncated number next to the largest of its space.
    assert_eq!(number::decode(0x8a, 1, 0xa4_578a), 0xa4_578a);
}

/// P5: the recorded acknowledgements are for packets that this server never sent.
#[test]
fn the_acknowledgements_of_another_connection_close_this_one() {
    let mut server = Server::for_answer(&sample("read_write_pkt/packet-1"));
    server.receive(sample("read_write_pkt/packet-0"));
    server.receive(sample("read_write_pkt/packet-1"));
    let violation = |event: &Event| match event {
        Event::Closed(ConnectionError::Transport { code, by_peer: false, .. }) => {
            *code == TransportErrorCode::PROTOCOL_VIOLATION
        }
        _ => false,
    };
    assert!(server.events.iter().any(violation), "{:?}", server.events);
}

/// Both ClientHellos get an answer from rustls too, under the null cipher.
#[cfg(feature = "rustls")]
#[test]
fn rustls_answers_the_client_hellos_of_ngtcp2() {
    use quillon::tls::rustls::RustlsServer;

    for recording in ["read_write_pkt", "read_write_handshake_pkt"] {
        let mut server = Server::for_answer(&sample(&format!("{recording}/packet-1")));
        let chain = [include_bytes!("data/localhost.der").as_slice()];
        let key = include_bytes!("data/localhost.key.der");
        let tls = RustlsServer::builder(chain, key).alpn([b"h3".as_slice()]).build().unwrap();
        let config = ServerConfig { crypto: crypto::null::provider(), ..ServerConfig::new(Arc::new(tls)) };
        server.endpoint.set_server(Some(Arc::new(config))).unwrap();
        let first = sample(&format!("{recording}/packet-0"));
        let client_id = packets(&first)[0].layout.scid;
        let answers = server.receive(first);
        let text: String = answers.iter().map(|answer| contents_for_client(answer, client_id)).collect();
        assert!(text.starts_with("Initial 0x0: ACK["), "{recording}: {text}");
        assert!(text.contains("Handshake 0x0: CRYPTO(0, "), "{recording}: {text}");
        assert_eq!(server.connection().server_name(), Some("localhost"));
    }
}
