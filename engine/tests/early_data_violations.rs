//! Early data against the rules, from a peer that holds the keys (RFC 9000 sections 7.4.1, 12.4 and 12.5).

mod puppet;

use std::sync::Arc;

use quillon::error::TransportErrorCode as Code;
use quillon::packet::Frame;
use quillon::tls::rustls::{RustlsServer, SessionStore};
use quillon::transport_parameters::TransportParameters;
use quillon::wire::Level;
use quillon::{
    ClientConfig, ConnectionHandle, DatagramSettings, Dir, Event, ServerConfig, Side, StreamId, TransportSettings,
};

use puppet::Puppets;
use puppet::forge::encode;
use puppet::pair::{MILLISECOND, client_config};

/// Puppets whose client has been there before, and what it resumes with.
fn acquainted() -> (Puppets, ClientConfig) {
    let datagrams = DatagramSettings { max_frame_size: 1200, ..DatagramSettings::default() };
    let transport = TransportSettings { datagrams, ..TransportSettings::default() };
    let chain = [include_bytes!("data/localhost.der").as_slice()];
    let tls = RustlsServer::builder(chain, include_bytes!("data/localhost.key.der"))
        .alpn([b"test".as_slice()])
        .session_store(SessionStore::new(8))
        .build()
        .unwrap();
    let server = Arc::new(ServerConfig { transport: transport.clone(), ..ServerConfig::new(Arc::new(tls)) });
    let client = ClientConfig { early_data: true, ..client_config(transport) };
    let mut puppets = Puppets::with_configs(&client, &server);
    puppets.connect();
    puppets.pair.settle();
    let take = |event: &Event| if let Event::NewSession(session) = event { Some((**session).clone()) } else { None };
    let (_, session) = puppets.pair.client.take(take).expect("a ticket came");
    let client = puppets.client_tap.client(&ClientConfig { session: Some(session), ..client });
    puppets.pair.client.events.clear();
    puppets.pair.server.events.clear();
    (puppets, client)
}

/// Starts a connection with some early data, which the server has when this returns.
fn resume(puppets: &mut Puppets, config: &ClientConfig) -> ConnectionHandle {
    let client = puppets.pair.connect_with(config, "localhost");
    let connection = puppets.pair.client.connection(client);
    let id = connection.open(Dir::Bidi).unwrap();
    connection.write(id, b"early").unwrap();
    puppets.pair.run_for(12 * MILLISECOND);
    assert!(puppets.pair.server.saw(&Event::EarlyDataAccepted).is_some());
    client
}

/// Z4: a frame that 0-RTT packets must not carry is a PROTOCOL_VIOLATION. RFC 9000 section 12.5 leaves
/// RETIRE_CONNECTION_ID to the server; it closes too.
#[test]
fn frames_that_0_rtt_packets_must_not_carry_close() {
    let frames = [
        ("ACK", vec![0x02, 0, 0, 0, 0]),
        ("CRYPTO", encode(&Frame::Crypto { offset: 0, data: &[1, 0, 0, 0] })),
        ("NEW_TOKEN", encode(&Frame::NewToken { token: b"token" })),
        ("PATH_RESPONSE", encode(&Frame::PathResponse([7; 8]))),
        ("RETIRE_CONNECTION_ID", encode(&Frame::RetireConnectionId { sequence: 0 })),
        ("HANDSHAKE_DONE", encode(&Frame::HandshakeDone)),
    ];
    for (name, frame) in frames {
        let (mut puppets, config) = acquainted();
        resume(&mut puppets, &config);
        let datagram = puppets.forge(Side::Client, Level::ZeroRtt).datagram(&frame);
        puppets.inject(Side::Server, datagram);
        puppets.assert_closes(Side::Server, Code::PROTOCOL_VIOLATION, name);
    }
}

/// RFC 9000 table 3: these may come in 0-RTT packets.
#[test]
fn frames_that_0_rtt_packets_may_carry_are_taken() {
    let id = StreamId::new(Side::Client, Dir::Uni, 3);
    let frames = [
        encode(&Frame::Ping),
        encode(&Frame::Stream { id, offset: 0, fin: false, data: b"x" }),
        encode(&Frame::ResetStream { id, code: 1, final_size: 1 }),
        encode(&Frame::MaxData { limit: 1 << 30 }),
        encode(&Frame::DataBlocked { limit: 1 }),
        encode(&Frame::PathChallenge([7; 8])),
        encode(&Frame::Datagram { data: b"datagram" }),
    ];
    let (mut puppets, config) = acquainted();
    resume(&mut puppets, &config);
    let datagram = puppets.forge(Side::Client, Level::ZeroRtt).datagram(&frames.concat());
    puppets.inject(Side::Server, datagram);
    puppets.pair.run_for(MILLISECOND);
    let (server, ()) = puppets.pair.server.take(|event| (*event == Event::StreamOpened { id }).then_some(())).unwrap();
    assert_eq!(puppets.pair.server.connection(server).recv_datagram().as_deref(), Some(&b"datagram"[..]));
}

/// Only clients send 0-RTT packets: one at a client is dropped, whatever it holds.
#[test]
fn a_client_drops_0_rtt_packets() {
    let (mut puppets, config) = acquainted();
    let client = resume(&mut puppets, &config);
    let datagram = puppets.forge(Side::Client, Level::ZeroRtt).datagram(&encode(&Frame::HandshakeDone));
    let dropped = puppets.pair.client.connection(client).stats().packets_dropped;
    puppets.inject(Side::Client, datagram);
    // It is for the server's connection ID, which leads nowhere at the client's endpoint.
    assert_eq!(puppets.pair.client.connection(client).stats().packets_dropped, dropped);
    puppets.assert_open("a 0-RTT packet at a client");
}

/// Z3: a server that takes early data and lowers a limit that the client remembers is left.
#[test]
fn a_server_that_takes_early_data_and_lowers_a_limit_is_left() {
    type Lower = fn(&mut TransportParameters);
    let lower: [(&str, Lower); 8] = [
        ("active_connection_id_limit", |parameters| parameters.active_connection_id_limit -= 1),
        ("initial_max_data", |parameters| parameters.initial_max_data -= 1),
        ("initial_max_stream_data_bidi_local", |parameters| parameters.initial_max_stream_data_bidi_local -= 1),
        ("initial_max_stream_data_bidi_remote", |parameters| parameters.initial_max_stream_data_bidi_remote -= 1),
        ("initial_max_stream_data_uni", |parameters| parameters.initial_max_stream_data_uni -= 1),
        ("initial_max_streams_bidi", |parameters| parameters.initial_max_streams_bidi -= 1),
        ("initial_max_streams_uni", |parameters| parameters.initial_max_streams_uni = 0),
        ("max_datagram_frame_size", |parameters| parameters.max_datagram_frame_size = 0),
    ];
    for (name, lower) in lower {
        let (mut puppets, config) = acquainted();
        puppets.server_tap.rewrite_parameters(move |encoded| {
            let mut parameters = TransportParameters::decode(&encoded, Side::Server).unwrap();
            lower(&mut parameters);
            let mut encoded = Vec::new();
            parameters.encode(&mut encoded, None);
            encoded
        });
        resume(&mut puppets, &config);
        puppets.assert_closes(Side::Client, Code::PROTOCOL_VIOLATION, name);
    }
}

/// Z3: raised limits are fine, and hold at once.
#[test]
fn a_server_may_raise_limits_that_the_client_remembers() {
    let (mut puppets, config) = acquainted();
    puppets.server_tap.rewrite_parameters(move |encoded| {
        let mut parameters = TransportParameters::decode(&encoded, Side::Server).unwrap();
        parameters.initial_max_streams_uni += 1;
        let mut encoded = Vec::new();
        parameters.encode(&mut encoded, None);
        encoded
    });
    let client = resume(&mut puppets, &config);
    let open = |puppets: &mut Puppets| puppets.pair.client.connection(client).open(Dir::Uni).is_ok();
    let remembered = std::iter::from_fn(|| open(&mut puppets).then_some(())).count();
    puppets.pair.run_for(10 * MILLISECOND);
    let raised = std::iter::from_fn(|| open(&mut puppets).then_some(())).count();
    assert_eq!((remembered as u64, raised), (TransportSettings::default().initial_max_streams_uni, 1));
}

/// RFC 9001 section 4.6.1: in QUIC a ticket either allows any amount of early data or none.
#[test]
fn a_ticket_that_limits_early_data_otherwise_is_a_violation() {
    let (mut puppets, config) = acquainted();
    puppets.server_tap.rewrite(|level, mut words| {
        if level == Level::OneRtt {
            // The last four bytes of a NewSessionTicket whose only extension is early_data.
            let len = words.len();
            assert_eq!(words[len - 8..], [0, 42, 0, 4, 0xff, 0xff, 0xff, 0xff]);
            words[len - 4] = 0;
        }
        words
    });
    puppets.pair.connect_with(&config, "localhost");
    puppets.pair.run_for(60 * MILLISECOND);
    puppets.assert_closes(Side::Client, Code::PROTOCOL_VIOLATION, "max_early_data_size");
}
