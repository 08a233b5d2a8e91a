//! The handshake of two endpoints (RFC 9000 section 7, RFC 9001 section 4).

mod pair;

use pair::{MILLISECOND, Pair, SECOND, client_config};
use quillon::error::TransportErrorCode;
use quillon::packet::first_look;
use quillon::{ConnectionError, Dir, Event, Idle, StreamId, Time, Transmit, TransportSettings};

#[test]
fn both_ends_complete_and_confirm() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let client = pair.client.connection(client);
    assert!(client.is_handshake_complete() && client.is_handshake_confirmed());
    assert_eq!(client.alpn(), Some(&b"test"[..]));
    assert_eq!(client.peer_certificates().len(), 1);
    let stats = client.stats();
    assert_eq!(stats.handshake_duration, Some(20 * MILLISECOND), "one round trip");
    assert_eq!(stats.packets_lost, 0);
    let server = pair.server.connection(server);
    assert_eq!(server.server_name(), Some("localhost"));
    assert_eq!(server.alpn(), Some(&b"test"[..]));
}

#[test]
fn every_client_initial_fills_1200_bytes() {
    let mut pair = Pair::default();
    pair.connected();
    let initial = |datagram: &&Vec<u8>| datagram[0] & 0xf0 == 0xc0;
    assert!(pair.client.sent.iter().filter(initial).count() > 0);
    assert!(pair.client.sent.iter().filter(initial).all(|datagram| datagram.len() == 1200));
}

#[test]
fn data_flows_both_ways() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client.connection(client).open(Dir::Bidi).unwrap();
    assert_eq!(id, StreamId(0));
    let request: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    assert_eq!(pair.client.connection(client).write(id, &request), Ok(request.len()));
    pair.client.connection(client).finish(id).unwrap();
    pair.settle();
    assert!(pair.server.saw(&Event::StreamOpened { id }).is_some());
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let connection = pair.server.connection(server);
    loop {
        let read = connection.read(id, &mut buffer).unwrap();
        received.extend_from_slice(&buffer[..read.len]);
        if read.finished {
            break;
        }
    }
    assert!(received == request);
    assert_eq!(connection.write(id, b"answer"), Ok(6));
    connection.finish(id).unwrap();
    pair.settle();
    let read = pair.client.connection(client).read(id, &mut buffer).unwrap();
    assert_eq!((&buffer[..read.len], read.finished), (&b"answer"[..], true));
    assert!(pair.client.saw(&Event::StreamFinished { id }).is_some());
}

#[test]
fn a_lost_flight_is_sent_again() {
    for lost in 0..6 {
        let mut pair = Pair::default();
        let mut count = 0;
        pair.client.outbound_filter = Some(Box::new(move |_, _| {
            count += 1;
            count - 1 != lost
        }));
        let mut count = 0;
        pair.server.outbound_filter = Some(Box::new(move |_, _| {
            count += 1;
            count - 1 != lost
        }));
        let client = pair.connect();
        pair.run_for(8 * SECOND);
        assert!(pair.client.connection(client).is_handshake_confirmed(), "datagram {lost} of both ends lost");
    }
}

#[test]
fn an_application_protocol_that_the_server_does_not_speak() {
    let mut pair = Pair::default();
    let tls = quillon::tls::rustls::RustlsClient::builder()
        .alpn([b"other".as_slice()])
        .roots([include_bytes!("data/ca.der").as_slice()])
        .build()
        .unwrap();
    let config = quillon::ClientConfig::new(std::sync::Arc::new(tls));
    pair.connect_with(&config, "localhost");
    pair.settle();
    let Some(ConnectionError::Transport { code, by_peer: true, .. }) = pair.client.closed() else { panic!() };
    assert_eq!(code, TransportErrorCode::crypto(120));
}

#[test]
fn a_certificate_for_another_name() {
    let mut pair = Pair::default();
    pair.connect_with(&client_config(TransportSettings::default()), "example.org");
    pair.settle();
    let Some(ConnectionError::Transport { code, by_peer: false, reason, .. }) = pair.client.closed() else { panic!() };
    assert_eq!(code.alert(), Some(42), "{reason}");
    assert!(matches!(pair.server.closed(), Some(ConnectionError::Transport { by_peer: true, .. })));
}

#[test]
fn nobody_answers() {
    let mut pair = Pair::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect();
    pair.run_for(11 * SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::HandshakeTimeout));
    assert!(pair.client.saw(&Event::Drained).is_some());
    assert_eq!(pair.client.endpoint.connection_count(), 0);
}

/// The time of day goes on with the caller's clock: an endpoint that runs for long does not take expired certificates.
#[test]
fn certificates_are_judged_at_the_time_of_the_connection() {
    const YEAR: Time = 366 * 24 * 3_600 * SECOND;
    let mut pair = Pair::default();
    pair.connected();
    // The test certificates were made for a hundred years.
    pair.now += 100 * YEAR;
    pair.connect();
    pair.settle();
    let closed: Vec<_> = core::iter::from_fn(|| pair.client.closed()).collect();
    let expired = |error: &ConnectionError| match error {
        ConnectionError::Transport { code, .. } => code.alert() == Some(45),
        _ => false,
    };
    assert!(closed.iter().any(expired), "{closed:?}");
}

/// C5: to open a connection sends nothing; the first flight goes with the first call of `transmit`.
#[test]
fn c5_nothing_is_sent_before_the_first_transmit() {
    let mut pair = Pair::default();
    let client = pair.connect();
    assert_eq!(pair.client.connection(client).stats().datagrams_sent, 0);
    assert!(pair.client.endpoint.poll_event().is_none());
    let first = pair.client.transmit(pair.now);
    assert!(!first.is_empty() && first.iter().all(|datagram| datagram.len() >= 1200));
    assert_eq!(pair.client.connection(client).stats().datagrams_sent, first.len() as u64);
}

/// H3b: the client invents a connection ID of at least 8 bytes for the server, another for each connection; the server
/// answers to the client's own, and from one of its own that is not the invented one (RFC 9000 section 7.2).
#[test]
fn h3b_each_end_chooses_its_own_connection_id() {
    let mut invented = Vec::new();
    let mut pair = Pair::default();
    for _ in 0..2 {
        pair.connect();
        let first = pair.client.transmit(pair.now);
        let look = first_look(&first[0], 8).unwrap();
        let (dcid, scid) = (look.dcid.to_vec(), look.scid.to_vec());
        assert!(dcid.len() >= 8 && dcid != scid);
        first.iter().for_each(|datagram| pair.server.inject(pair.now, datagram.clone()));
        let answer = pair.server.transmit(pair.now);
        let look = first_look(&answer[0], 8).unwrap();
        assert_eq!(look.dcid, scid);
        assert!(look.scid != dcid && !look.scid.is_empty());
        invented.push(dcid);
    }
    assert_ne!(invented[0], invented[1]);
}

/// W14: after a datagram and after a timeout there may be something to send, and `transmit` says when there is no more.
#[test]
fn w14_every_input_is_followed_by_what_it_makes_possible() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let nothing = Transmit::Idle(Idle::Nothing);
    let mut buffer = [0; 2_000];
    assert_eq!(pair.server.endpoint.transmit(pair.now, &mut buffer), nothing);
    // A datagram: two packets that ask for an acknowledgment are answered at once.
    let connection = pair.client.connection(client);
    let id = connection.open(Dir::Uni).unwrap();
    connection.write(id, &[1; 4_000]).unwrap();
    for datagram in pair.client.transmit(pair.now) {
        pair.server.inject(pair.now, datagram);
    }
    assert!(matches!(pair.server.endpoint.transmit(pair.now, &mut buffer), Transmit::Send(_)));
    assert_eq!(pair.server.endpoint.transmit(pair.now, &mut buffer), nothing);
    // A timeout: what was not acknowledged in time is probed for.
    assert!(matches!(pair.client.endpoint.transmit(pair.now, &mut buffer), Transmit::Idle(_)));
    pair.now = pair.client.endpoint.timeout().expect("the probe timeout");
    assert!(matches!(pair.client.endpoint.transmit(pair.now, &mut buffer), Transmit::Idle(_)), "not by itself");
    pair.client.endpoint.handle_timeout(pair.now);
    assert!(matches!(pair.client.endpoint.transmit(pair.now, &mut buffer), Transmit::Send(_)));
}
