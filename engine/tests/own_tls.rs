//! TLS outside the engine: the caller carries handshake bytes and installs secrets.
#![cfg(feature = "ring")]

mod toy_tls;

use std::net::SocketAddr;
use std::sync::Arc;

use quillon::crypto::{self, CipherSuite, Provider, Secret};
use quillon::error::TransportErrorCode;
use quillon::tls::external::{Agreement, Direction, ExternalTls, ExternalTlsError};
use quillon::transport_parameters::{TransportParameters, VersionInformation};
use quillon::wire::{Level, Side, Version};
use quillon::{
    ClientConfig, ConnectionError, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple,
    ServerConfig, Time, Transmit, TransportSettings, VersionSettings,
};
use toy_tls::ToyTls;

/// One end whose TLS is a toy.
struct End {
    endpoint: Endpoint,
    path: FourTuple,
    tls: ToyTls,
    handle: Option<ConnectionHandle>,
    events: Vec<Event>,
}

impl End {
    fn new(side: Side, local: SocketAddr, remote: SocketAddr) -> Self {
        let endpoint = Endpoint::new(EndpointConfig::default(), [side as u8; 32]);
        Self { endpoint, path: FourTuple { local, remote }, tls: ToyTls::new(side), handle: None, events: Vec::new() }
    }

    fn connection(&mut self) -> &mut quillon::Connection {
        self.endpoint.connection_mut(self.handle.unwrap()).unwrap()
    }

    fn turn(&mut self, now: Time) -> Vec<Vec<u8>> {
        self.endpoint.handle_timeout(now);
        while let Some((handle, event)) = self.endpoint.poll_event() {
            self.handle = Some(handle);
            if event == Event::CryptoReceived {
                let connection = self.endpoint.connection_mut(handle).unwrap();
                let driven = self.tls.drive(connection, now);
                assert!(driven.is_ok() || connection.is_closed(), "{driven:?}");
            }
            self.events.push(event);
        }
        self.transmit(now)
    }

    fn transmit(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut buffer = vec![0; 65_535];
        let mut datagrams = Vec::new();
        while let Transmit::Send(batch) = self.endpoint.transmit(now, &mut buffer) {
            datagrams.extend(buffer[..batch.len].chunks(batch.segment_size).map(<[u8]>::to_vec));
        }
        datagrams
    }

    fn receive(&mut self, now: Time, datagrams: Vec<Vec<u8>>) {
        for mut datagram in datagrams {
            self.endpoint.receive(now, self.path, Ecn::NotEct, &mut datagram);
        }
    }
}

/// A client that has sent its first message, and a server.
fn pair(provider: &Arc<dyn Provider>) -> (End, End) {
    pair_with(provider, TransportSettings::default(), false, [|_| {}; 2])
}

/// The same, with settings of the client and of the server, and with the transport parameters of both changed.
fn pair_with(
    provider: &Arc<dyn Provider>,
    transport: TransportSettings,
    ask_on_client_hello: bool,
    alter: [fn(&mut TransportParameters); 2],
) -> (End, End) {
    let addresses: [SocketAddr; 2] = ["192.0.2.1:1000".parse().unwrap(), "192.0.2.2:2000".parse().unwrap()];
    let mut client = End::new(Side::Client, addresses[0], addresses[1]);
    let mut server = End::new(Side::Server, addresses[1], addresses[0]);
    (client.tls.alter, server.tls.alter) = (alter[0], alter[1]);
    let crypto = provider.clone();
    let config = ServerConfig { crypto, ask_on_client_hello, ..ServerConfig::new(Arc::new(ExternalTls)) };
    server.endpoint.set_server(Some(Arc::new(config))).unwrap();
    let config = ClientConfig { crypto: provider.clone(), transport, ..ClientConfig::new(Arc::new(ExternalTls)) };
    client.handle = Some(client.endpoint.connect(0, &config, "localhost", client.path).unwrap());
    let handle = client.handle.unwrap();
    client.tls.start(client.endpoint.connection_mut(handle).unwrap(), 0).unwrap();
    (client, server)
}

fn run(client: &mut End, server: &mut End) {
    for now in (0..20).map(|n| n * 1_000_000) {
        let datagrams = client.turn(now);
        server.receive(now, datagrams);
        let datagrams = server.turn(now);
        client.receive(now, datagrams);
    }
}

#[test]
fn a_handshake_and_data_with_every_provider() {
    for provider in [crypto::null::provider(), crypto::ring::provider()] {
        let (mut client, mut server) = pair(&provider);
        run(&mut client, &mut server);
        for end in [&mut client, &mut server] {
            assert!(end.events.contains(&Event::HandshakeConfirmed), "{:?}", end.events);
            assert_eq!(end.connection().alpn(), Some(&b"toy"[..]));
        }
        assert_eq!(server.connection().server_name(), None, "the toy's ClientHello has none");
        let id = client.connection().open(Dir::Uni).unwrap();
        client.connection().write(id, b"without TLS inside").unwrap();
        run(&mut client, &mut server);
        let mut data = [0; 32];
        let read = server.connection().read(id, &mut data).unwrap();
        assert_eq!(&data[..read.len], b"without TLS inside");
    }
}

#[cfg(feature = "rustls")]
#[test]
fn a_handshake_of_rustls_outside() {
    let root = include_bytes!("data/ca.der");
    let chain = include_bytes!("data/localhost.der");
    let key = include_bytes!("data/localhost.key.der");
    let (received, alpn) = example::run(root, chain, key).unwrap();
    assert_eq!((received.as_slice(), alpn.as_slice()), (&b"TLS of our own"[..], &b"own"[..]));
}

#[cfg(feature = "rustls")]
#[path = "../examples/own_tls.rs"]
#[allow(dead_code, reason = "its `main` is not called")]
mod example;

/// H6: a TLS error closes the connection with its alert.
#[test]
fn a_failure_outside_closes_the_connection() {
    let (mut client, mut server) = pair(&crypto::ring::provider());
    let datagrams = client.turn(0);
    server.receive(0, datagrams);
    let (handle, _) = server.endpoint.poll_event().unwrap();
    server.handle = Some(handle);
    server.connection().fail_tls(0, 40, "nothing in common").unwrap();
    run(&mut client, &mut server);
    let expected = |by_peer| {
        let code = TransportErrorCode::crypto(40);
        Event::Closed(ConnectionError::Transport { code, frame_type: 0, reason: "nothing in common".into(), by_peer })
    };
    assert!(client.events.contains(&expected(true)), "{:?}", client.events);
    assert!(server.events.contains(&expected(false)), "{:?}", server.events);
    assert_eq!(client.connection().submit_crypto(0, Level::Initial, b"x"), Err(ExternalTlsError::NoSession));
}

#[test]
fn calls_out_of_order_are_errors_without_effect() {
    let (mut client, mut server) = pair(&crypto::ring::provider());
    let suite = CipherSuite::Aes128Gcm;
    let secret = |len: usize| Secret::new(&vec![1; len]).unwrap();
    {
        let connection = client.connection();
        assert_eq!(connection.submit_crypto(0, Level::Handshake, b"x"), Err(ExternalTlsError::Level));
        assert_eq!(connection.submit_crypto(0, Level::ZeroRtt, b"x"), Err(ExternalTlsError::Level));
        let mut install = |level, len| connection.install_secret(0, level, Direction::Write, suite, secret(len));
        assert_eq!(install(Level::Initial, 32), Err(ExternalTlsError::Secret));
        assert_eq!(install(Level::Handshake, 48), Err(ExternalTlsError::Secret));
        assert_eq!(connection.complete_tls(0, Agreement::default()), Err(ExternalTlsError::NotComplete));
        let long = vec![0; (1 << 20) + 1];
        assert_eq!(connection.submit_crypto(0, Level::Initial, &long), Err(ExternalTlsError::TooMuch));
        assert_eq!(connection.take_crypto(), None);
        assert_eq!(connection.version(), Version::V1);
    }
    run(&mut client, &mut server);
    let connection = server.connection();
    assert!(connection.is_handshake_confirmed());
    assert_eq!(connection.complete_tls(0, Agreement::default()), Err(ExternalTlsError::NotComplete));
    let again = connection.install_secret(0, Level::OneRtt, Direction::Read, suite, secret(32));
    assert_eq!(again, Err(ExternalTlsError::Secret));
    let again = connection.set_peer_transport_parameters(0, &[]);
    assert_eq!(again, Err(ExternalTlsError::TransportParameters));
    let error = connection.export_keying_material(&mut [0; 8], b"label", b"").unwrap_err();
    assert!(error.reason.contains("outside"));
}

/// RFC 9001 section 5.7: the toy's server installs the secret to read 1-RTT packets with its first flight, and yet reads
/// none before the client's Finished.
#[test]
fn a_server_reads_no_1_rtt_packets_before_the_handshake_is_complete() {
    let (mut client, mut server) = pair(&crypto::ring::provider());
    let first = client.turn(0);
    server.receive(0, first);
    let flight = server.turn(0);
    client.receive(0, flight);
    let mut datagrams = client.turn(0);
    let id = client.connection().open(Dir::Uni).unwrap();
    client.connection().write(id, b"early").unwrap();
    let data = client.turn(0);
    assert!(!data.is_empty());
    server.receive(0, data);
    assert!(!server.connection().is_handshake_complete());
    assert!(server.connection().read(id, &mut [0; 8]).is_err());
    datagrams.retain(|datagram| !datagram.is_empty());
    server.receive(0, datagrams);
    run(&mut client, &mut server);
    let mut buffer = [0; 8];
    let read = server.connection().read(id, &mut buffer).unwrap();
    assert_eq!(&buffer[..read.len], b"early");
}

/// What the caller does not take counts in the memory budget, and is bounded.
#[test]
fn data_that_is_not_taken_is_bounded() {
    let (mut client, mut server) = pair(&crypto::ring::provider());
    let idle = client.connection().memory_used();
    let mut most = 0;
    // The server gives far more than the client takes: nothing of it.
    for now in (0..400).map(|n| n * 1_000_000) {
        let datagrams = client.transmit(now);
        server.receive(now, datagrams);
        let datagrams = server.turn(now);
        client.receive(now, datagrams);
        let _ = server.connection().submit_crypto(now, Level::Initial, &[2; 2_000]);
        let datagrams = server.transmit(now);
        client.receive(now, datagrams);
        most = most.max(client.connection().memory_used() - idle);
        if client.connection().is_closed() {
            break;
        }
    }
    assert!((100 << 10..200 << 10).contains(&most), "{most}");
    assert!(client.connection().is_closed(), "more than 128 KiB wait");
}

/// What the client finds wrong with a server that changes its version information so; `None` where nothing.
fn judged_by_the_client(versions: VersionSettings, alter: fn(&mut TransportParameters)) -> Option<TransportErrorCode> {
    let transport = TransportSettings { versions, ..TransportSettings::default() };
    let (mut client, mut server) = pair_with(&crypto::ring::provider(), transport, false, [|_| {}, alter]);
    run(&mut client, &mut server);
    let closed = client.events.iter().find_map(|event| match event {
        Event::Closed(ConnectionError::Transport { code, by_peer: false, .. }) => Some(*code),
        Event::Closed(other) => panic!("{other:?}"),
        _ => None,
    });
    assert_eq!(closed.is_none(), client.events.contains(&Event::HandshakeConfirmed));
    closed
}

/// C4: what a client makes of a server's version information, with and without a Version Negotiation packet before it
/// (RFC 9368 sections 4 and 8).
#[test]
fn c4_a_client_checks_what_the_server_says_of_versions() {
    const MISMATCH: Option<TransportErrorCode> = Some(TransportErrorCode::VERSION_NEGOTIATION_ERROR);
    const RESERVED: Version = Version(0x1a2a_3a4a);
    fn information(parameters: &mut TransportParameters, available: &[Version]) {
        let chosen = parameters.version_information.as_ref().unwrap().chosen;
        parameters.version_information = Some(VersionInformation { chosen, available: available.to_vec() });
    }
    let first = |chosen| VersionSettings { chosen, ..VersionSettings::default() };
    let second = |chosen, preferred: &[Version]| VersionSettings {
        original: Some(RESERVED),
        preferred: preferred.to_vec(),
        ..first(chosen)
    };
    let (v1, v2) = (Version::V1, Version::V2);

    let missing: fn(&mut TransportParameters) = |parameters| parameters.version_information = None;
    assert_eq!(judged_by_the_client(first(v1), missing), None, "a server that knows no version information");
    assert_eq!(judged_by_the_client(second(v1, &[v2, v1]), missing), None, "as if it knew version 1 alone");
    assert_eq!(judged_by_the_client(second(v2, &[v2, v1]), missing), MISMATCH);

    let empty: fn(&mut TransportParameters) = |parameters| information(parameters, &[]);
    assert_eq!(judged_by_the_client(first(v1), empty), None);
    assert_eq!(judged_by_the_client(second(v1, &[v1]), empty), MISMATCH);

    let both: fn(&mut TransportParameters) = |parameters| information(parameters, &[Version::V1, Version::V2]);
    assert_eq!(judged_by_the_client(second(v1, &[v1, v2]), both), None);
    assert_eq!(judged_by_the_client(second(v1, &[v2, v1]), both), MISMATCH, "version 2 would have been better");
    // The version in use counts as listed, even where the server is about to give it up.
    let other: fn(&mut TransportParameters) = |parameters| information(parameters, &[Version::V2]);
    assert_eq!(judged_by_the_client(second(v1, &[v1, v2]), other), None);

    let elsewhere: fn(&mut TransportParameters) = |parameters| {
        parameters.version_information = Some(VersionInformation { chosen: Version::V2, available: vec![Version::V2] });
    };
    assert_eq!(judged_by_the_client(first(v1), elsewhere), MISMATCH, "not the version of its packets");
}

/// RFC 9368 section 4: a server goes on without a client's version information.
#[test]
fn a_client_need_not_say_anything_of_versions() {
    let alter: [fn(&mut TransportParameters); 2] = [|parameters| parameters.version_information = None, |_| {}];
    let (mut client, mut server) = pair_with(&crypto::ring::provider(), TransportSettings::default(), false, alter);
    run(&mut client, &mut server);
    assert!(client.events.contains(&Event::HandshakeConfirmed), "{:?}", client.events);
}

/// A client whose transport parameters are wrong is refused before anybody is asked about it.
#[test]
fn nobody_is_asked_about_a_client_that_cannot_be_served() {
    let alter: [fn(&mut TransportParameters); 2] = [|parameters| parameters.ack_delay_exponent = 21, |_| {}];
    let (mut client, mut server) = pair_with(&crypto::ring::provider(), TransportSettings::default(), true, alter);
    run(&mut client, &mut server);
    assert!(!server.events.contains(&Event::ClientHello), "{:?}", server.events);
    let refused = |event: &Event| match event {
        Event::Closed(ConnectionError::Transport { code, by_peer: true, .. }) => {
            *code == TransportErrorCode::TRANSPORT_PARAMETER_ERROR
        }
        _ => false,
    };
    assert!(client.events.iter().any(refused), "{:?}", client.events);
}
