//! The end of a connection (RFC 9000 section 10).

mod pair;

use pair::{MILLISECOND, Pair, SECOND};
use quillon::error::{TransportError, TransportErrorCode};
use quillon::packet::{PacketType, parse_greased};
use quillon::{ConnectionError, Dir, Event, Idle, Transmit, TransportSettings};
use std::time::Duration;

#[test]
fn an_application_close_reaches_the_peer() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"done");
    pair.run_for(100 * MILLISECOND);
    let expected = |by_peer| ConnectionError::Application { code: 7, reason: b"done".to_vec(), by_peer };
    assert_eq!(pair.client.closed(), Some(expected(false)));
    assert_eq!(pair.server.closed(), Some(expected(true)));
    pair.settle();
    assert!(pair.client.saw(&Event::Drained).is_some() && pair.server.saw(&Event::Drained).is_some());
    assert_eq!((pair.client.endpoint.connection_count(), pair.server.endpoint.connection_count()), (0, 0));
    assert_eq!(pair.server.endpoint.memory_used(), 0);
    assert_eq!(pair.server.endpoint.timeout(), None, "nothing is left to wait for");
}

/// L5: the application's code and reason are for 1-RTT packets only (RFC 9000 section 10.2.3).
#[test]
fn l5_a_close_during_the_handshake_hides_the_applications_code() {
    let mut pair = Pair::default();
    let client = pair.connect();
    // The ClientHello is out, nothing came back.
    pair.run_for(pair.latency);
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"private");
    pair.settle();
    let Some(ConnectionError::Transport { code, reason, by_peer: true, .. }) = pair.server.closed() else { panic!() };
    assert_eq!((code, reason.as_str()), (TransportErrorCode::APPLICATION_ERROR, ""));
}

/// L1: there is nobody to tell.
#[test]
fn l1_a_client_that_has_sent_nothing_vanishes() {
    let mut pair = Pair::default();
    let client = pair.connect();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"");
    pair.settle();
    assert!(pair.client.sent.is_empty());
    assert!(pair.client.closed().is_some() && pair.client.saw(&Event::Drained).is_some());
}

/// L6: while closing, what arrives is answered more and more rarely (RFC 9000 section 10.2.1).
#[test]
fn l6_the_close_is_repeated_with_growing_intervals() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let now = pair.now;
    // The server does not hear of the close, and goes on.
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.client.connection(client).close(now, 7, b"");
    let before = pair.client.sent.len();
    for _ in 0..20 {
        let id = pair.server.connection(server).open(Dir::Uni).unwrap();
        pair.server.connection(server).write(id, b"more").unwrap();
        pair.run_for(MILLISECOND);
    }
    let closes = pair.client.sent.len() - before;
    assert!((3..=6).contains(&closes), "{closes} for 20 datagrams");
}

#[test]
fn what_was_received_before_the_close_can_be_read() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"last words").unwrap();
    pair.client.connection(client).finish(id).unwrap();
    pair.run_for(5 * MILLISECOND);
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.run_for(30 * MILLISECOND);
    let kinds: Vec<_> = pair.server.events.iter().map(|(_, event)| event.clone()).collect();
    let readable = kinds.iter().position(|event| *event == Event::StreamReadable { id }).unwrap();
    let closed = kinds.iter().position(|event| matches!(event, Event::Closed(_))).unwrap();
    assert!(readable < closed);
    let mut buffer = [0; 64];
    let read = pair.server.connection(server).read(id, &mut buffer).unwrap();
    assert_eq!((&buffer[..read.len], read.finished), (&b"last words"[..], true));
}

/// T5: the smaller of both ends' values (RFC 9000 section 10.1).
#[test]
fn t5_the_smaller_idle_timeout_holds_on_both_ends() {
    let idle = TransportSettings { max_idle_timeout: Duration::from_secs(3), ..TransportSettings::default() };
    let mut pair = Pair::new(quillon::EndpointConfig::default(), idle);
    let _ = pair.connected();
    pair.run_for(SECOND);
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
    pair.run_for(3 * SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
    assert_eq!(pair.server.closed(), Some(ConnectionError::IdleTimeout));
}

/// T6: a PING in time keeps both ends from idling.
#[test]
fn t6_keep_alive_holds_the_connection_open() {
    let idle = TransportSettings { max_idle_timeout: Duration::from_secs(3), ..TransportSettings::default() };
    let mut pair = Pair::new(quillon::EndpointConfig::default(), idle);
    let keep_alive = TransportSettings { keep_alive: Some(Duration::from_secs(1)), ..TransportSettings::default() };
    pair.connect_with(&pair::client_config(keep_alive), "localhost");
    pair.run_for(30 * SECOND);
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
}

#[test]
fn a_late_wake_up_after_the_idle_timeout_is_an_idle_close_and_no_panic() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    pair.now += 3_600 * SECOND;
    let now = pair.now;
    pair.client.endpoint.handle_timeout(now);
    assert!(pair.client.connection(client).is_closed());
}

/// E4: an idle connection ends without a word, on both ends.
#[test]
fn an_idle_close_is_silent() {
    let mut pair = Pair::default();
    pair.connected();
    let sent = (pair.client.sent.len(), pair.server.sent.len());
    pair.run_for(40 * SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
    assert_eq!(pair.server.closed(), Some(ConnectionError::IdleTimeout));
    assert_eq!((pair.client.sent.len(), pair.server.sent.len()), sent);
    assert_eq!((pair.client.endpoint.connection_count(), pair.server.endpoint.connection_count()), (0, 0));
}

/// The types of the packets in a datagram.
fn packet_types(datagram: &[u8]) -> Vec<PacketType> {
    let mut rest = datagram;
    let mut types = Vec::new();
    while let Ok(layout) = parse_greased(rest, 8) {
        types.push(layout.ty);
        rest = &rest[layout.len..];
    }
    types
}

/// L2: a close of what is closed, or closing by the peer's word, says and does nothing.
#[test]
fn l2_a_second_close_does_nothing() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"first");
    assert_eq!(pair.client.transmit(now).len(), 1);
    pair.client.connection(client).close(now, 8, b"second");
    assert!(pair.client.transmit(now).is_empty());
    assert!(matches!(pair.client.closed(), Some(ConnectionError::Application { code: 7, .. })));
    assert_eq!(pair.client.closed(), None);
    let first = pair.client.sent.last().unwrap().clone();
    pair.server.inject(now, first);
    let sent = pair.server.sent.len();
    pair.server.connection(server).close(now, 9, b"third");
    pair.settle();
    assert!(matches!(pair.server.closed(), Some(ConnectionError::Application { code: 7, by_peer: true, .. })));
    assert_eq!((pair.server.closed(), pair.server.sent.len()), (None, sent));
}

/// L3, L8: an end by timeout is silent, and leaves nothing.
#[test]
fn l3_l8_a_timeout_sends_nothing() {
    let idle = TransportSettings { max_idle_timeout: Duration::from_secs(3), ..TransportSettings::default() };
    let mut pair = Pair::new(quillon::EndpointConfig::default(), idle);
    let (client, _) = pair.connected();
    let sent = (pair.client.sent.len(), pair.server.sent.len());
    pair.run_for(4 * SECOND);
    assert_eq!((pair.client.sent.len(), pair.server.sent.len()), sent);
    assert!(pair.client.saw(&Event::Drained).is_some() && pair.server.saw(&Event::Drained).is_some());
    assert!(pair.client.endpoint.connection(client).is_none());
}

/// L4: where three times what an unvalidated client sent is used up, the close waits, the reason is told, and what the
/// client sends next makes room for it; repeated closes stay within that limit too.
#[test]
fn l4_a_close_waits_for_room_under_the_amplification_limit() {
    let mut pair = Pair::default();
    pair.connect();
    // The client falls silent after its first datagram; the server has data, and sends until it may send no more.
    let mut datagrams = 0;
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        datagrams += 1;
        datagrams == 1
    }));
    pair.server.outbound_filter = Some(Box::new(|_, _| false));
    pair.run_for(pair.latency);
    let server = pair.server.saw(&Event::Accepted).unwrap();
    let early = pair.server.connection(server).open(Dir::Uni).unwrap();
    pair.server.connection(server).write(early, &[1; 50_000]).unwrap();
    pair.run_for(SECOND);
    let bytes = |sent: &[Vec<u8>]| sent.iter().map(Vec::len).sum::<usize>();
    let mut received = pair.client.sent[0].len();
    assert!(bytes(&pair.server.sent) <= 3 * received && bytes(&pair.server.sent) > 2 * received);
    let id = parse_greased(&pair.server.sent[0], 8).unwrap().scid;
    let stray = [&[0x40], id.as_slice(), &[0; 12]].concat();
    let now = pair.now;
    pair.server.connection(server).close(now, 7, b"");
    let mut buffer = vec![0; 65_535];
    let (mut closes, mut refusals) = (0, 0);
    for _ in 0..200 {
        match pair.server.endpoint.transmit(now, &mut buffer) {
            Transmit::Send(batch) => {
                closes += 1;
                pair.server.sent.push(buffer[..batch.len].to_vec());
            }
            Transmit::Idle(Idle::Amplification) => refusals += 1,
            Transmit::Idle(_) => {}
        }
        assert!(bytes(&pair.server.sent) <= 3 * received);
        pair.server.inject(now, stray.clone());
        received += stray.len();
    }
    assert!(closes > 1 && refusals > 0, "{closes} closes, {refusals} refusals");
}

/// L5: before confirmation a close goes out at every level that the peer may be able to read, in one datagram.
#[test]
fn l5_a_close_before_confirmation_is_in_every_level() {
    // The server, which has sent its flight and heard no more.
    let mut pair = Pair::default();
    pair.connect();
    pair.run_for(pair.latency);
    let server = pair.server.saw(&Event::Accepted).unwrap();
    let now = pair.now;
    pair.server.connection(server).close(now, 7, b"private");
    let datagrams = pair.server.transmit(now);
    assert_eq!(datagrams.len(), 1);
    assert_eq!(packet_types(&datagrams[0]), [PacketType::Initial, PacketType::Handshake, PacketType::OneRtt]);
    // The client that has the server's flight, and not its confirmation.
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.run_for(2 * pair.latency);
    assert!(pair.client.connection(client).is_handshake_complete());
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"private");
    let datagrams = pair.client.transmit(now);
    assert_eq!(datagrams.len(), 1);
    assert_eq!(packet_types(&datagrams[0]), [PacketType::Handshake, PacketType::OneRtt]);
    // After confirmation 1-RTT is enough.
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"private");
    let datagrams = pair.client.transmit(now);
    assert_eq!(datagrams.iter().map(|datagram| packet_types(datagram)).collect::<Vec<_>>(), [[PacketType::OneRtt]]);
}

/// L7: an end that was told of the close sends nothing any more, whatever arrives, and stays for three probe timeouts.
#[test]
fn l7_a_draining_end_is_silent() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.server.connection(server).open(Dir::Uni).unwrap();
    pair.server.connection(server).write(id, &[1; 50_000]).unwrap();
    let now = pair.now;
    pair.client.connection(client).close(now, 7, b"");
    let close = pair.client.transmit(now).remove(0);
    pair.server.inject(now, close.clone());
    let sent = pair.server.sent.len();
    for _ in 0..20 {
        pair.server.inject(now, close.clone());
        assert!(pair.server.transmit(now).is_empty());
    }
    let until = pair.server.connection(server).timeout().unwrap();
    let pto = (until - now) / 3;
    assert!((20 * MILLISECOND..500 * MILLISECOND).contains(&pto), "{pto}");
    pair.server.endpoint.handle_timeout(until - 1);
    pair.server.transmit(until - 1);
    assert_eq!(pair.server.saw(&Event::Drained), None);
    pair.server.endpoint.handle_timeout(until);
    pair.server.transmit(until);
    assert!(pair.server.saw(&Event::Drained).is_some());
    assert_eq!(pair.server.sent.len(), sent);
}

/// L9: a reason of any length is sent, cut to what fits; the reference sends none that does not fit.
#[test]
fn l9_long_reasons_are_cut() {
    for (len, least) in [(100, 100), (1024, 900), (100_000, 900)] {
        let mut pair = Pair::default();
        let (client, _) = pair.connected();
        let now = pair.now;
        pair.client.connection(client).close(now, 7, &vec![b'a'; len]);
        pair.settle();
        let Some(ConnectionError::Application { code: 7, reason, by_peer: true }) = pair.server.closed() else {
            panic!()
        };
        assert!((least.min(500)..=len.min(1024)).contains(&reason.len()), "{} of {len}", reason.len());
        assert!(reason.iter().all(|byte| *byte == b'a'));
    }
}

/// L10: a handshake that takes too long is given up, silently.
#[test]
fn l10_the_handshake_times_out() {
    let settings =
        TransportSettings { handshake_timeout: Some(Duration::from_secs(4)), ..TransportSettings::default() };
    let mut pair = Pair::default();
    pair.server.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect_with(&pair::client_config(settings), "localhost");
    pair.run_for(4 * SECOND - 1);
    assert_eq!(pair.client.closed(), None);
    pair.run_for(1);
    assert_eq!(pair.client.closed(), Some(ConnectionError::HandshakeTimeout));
    assert!(pair.client.saw(&Event::Drained).is_some());
    // The server's own is 10 s.
    pair.run_for(7 * SECOND);
    assert_eq!(pair.server.closed(), Some(ConnectionError::HandshakeTimeout));
}

/// L5: a transport error that the caller chooses is told at every level, code, reason and all.
#[test]
fn l5_a_transport_close_by_the_caller() {
    for confirmed in [false, true] {
        let mut pair = Pair::default();
        let client = pair.connect();
        pair.run_for(if confirmed { SECOND } else { pair.latency });
        let now = pair.now;
        let error = TransportError::new(TransportErrorCode::crypto(90), "canceled by the user");
        pair.client.connection(client).close_transport(now, error);
        pair.settle();
        let expected = |by_peer| ConnectionError::Transport {
            code: TransportErrorCode::crypto(90),
            frame_type: 0,
            reason: "canceled by the user".into(),
            by_peer,
        };
        assert_eq!(pair.client.closed(), Some(expected(false)));
        assert_eq!(pair.server.closed(), Some(expected(true)), "confirmed: {confirmed}");
    }
}
