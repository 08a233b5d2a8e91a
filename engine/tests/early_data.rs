//! Early data: 0-RTT packets (RFC 9000 sections 7.4.1, 12.4 and 17.2.3, RFC 9001 section 4.6).

mod resumable;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use quillon::error::TransportErrorCode;
use quillon::stream::{OpenError, WriteError};
use quillon::tls::rustls::RustlsClient;
use quillon::wire::Version;
use quillon::{
    Admission, ClientConfig, ConnectionError, ConnectionHandle, DatagramSettings, Dir, EarlyDataStatus, EndpointConfig,
    Event, SavedSession, ServerConfig, StreamId, TransportSettings, VersionSettings,
};

use quillon::rng::Rng;
use resumable::pair::{Filter, MILLISECOND, Pair, SECOND};
use resumable::{Resumable, server_builder};

/// The first packet of a datagram is a 0-RTT packet of version 1.
fn is_zero_rtt(datagram: &[u8]) -> bool {
    datagram[0] & 0xf0 == 0xd0
}

/// Resumes, and writes `data` to a bidirectional stream before anything is sent.
fn resume_with(resumable: &mut Resumable, session: SavedSession, data: &[u8]) -> (ConnectionHandle, StreamId) {
    let client = resumable.resume(session);
    let connection = resumable.pair.client.connection(client);
    assert_eq!(connection.early_data_status(), EarlyDataStatus::Offered);
    let id = connection.open(Dir::Bidi).expect("the remembered limits allow a stream");
    assert_eq!(connection.write(id, data), Ok(data.len()));
    connection.finish(id).unwrap();
    (client, id)
}

fn read_all(connection: &mut quillon::Connection, id: StreamId) -> Vec<u8> {
    let (mut data, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read) = connection.read(id, &mut buffer) {
        data.extend_from_slice(&buffer[..read.len]);
        if read.finished {
            break;
        }
    }
    data
}

/// Z2: what a server reads before the handshake is complete is flagged as early data.
#[test]
fn a_request_arrives_with_the_first_flight_and_is_flagged() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let started = resumable.pair.now;
    let (client, id) = resume_with(&mut resumable, session, b"request");
    resumable.pair.run_until(started + 15 * MILLISECOND);
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_some());
    assert!(resumable.pair.server.saw(&Event::StreamOpened { id }).is_some());
    let connection = resumable.pair.server.connection(server);
    assert!(!connection.is_handshake_complete());
    assert!(connection.is_early_data(id));
    assert!(!connection.is_early_data(StreamId(4)), "a stream that there is not");
    assert_eq!(read_all(connection, id), b"request");
    assert_eq!(connection.write(id, b"answer"), Ok(6));
    connection.finish(id).unwrap();
    resumable.pair.run_until(started + 25 * MILLISECOND);
    let connection = resumable.pair.client.connection(client);
    assert_eq!(connection.early_data_status(), EarlyDataStatus::Accepted);
    assert_eq!(read_all(connection, id), b"answer", "after one round trip");
    assert!(resumable.pair.client.saw(&Event::EarlyDataAccepted).is_some());
    resumable.pair.settle();
    let connection = resumable.pair.server.connection(server);
    assert!(connection.is_handshake_complete() && connection.is_resumed());
    assert_eq!(connection.early_data_status(), EarlyDataStatus::Accepted);
    assert_eq!(resumable.pair.client.closed(), None);
}

/// Z2: once the handshake is complete nothing is flagged: no one could have sent it in the client's place.
#[test]
fn nothing_is_early_data_once_the_handshake_is_complete() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let (client, id) = resume_with(&mut resumable, session, b"request");
    resumable.pair.settle();
    let server = resumable.accepted();
    assert!(!resumable.pair.server.connection(server).is_early_data(id));
    assert!(!resumable.pair.client.connection(client).is_early_data(id));
    assert_eq!(read_all(resumable.pair.server.connection(server), id), b"request");
}

#[test]
fn early_data_of_many_packets_arrives_whole() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let data: Vec<u8> = (0..60_000u32).map(|n| n as u8).collect();
    let (client, id) = resume_with(&mut resumable, session, &data);
    resumable.pair.settle();
    let server = resumable.accepted();
    assert!(read_all(resumable.pair.server.connection(server), id) == data);
    assert!(resumable.pair.client.sent.iter().filter(|datagram| is_zero_rtt(datagram)).count() > 5);
    assert_eq!(resumable.pair.client.connection(client).stats().packets_lost, 0);
}

/// H8: remembered limits tell the caller nothing: streams can be opened before any event.
#[test]
fn remembered_limits_fire_no_events() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let client = resumable.resume(session);
    assert_eq!(resumable.pair.client.endpoint.poll_event(), None);
    assert!(resumable.pair.client.connection(client).open(Dir::Uni).is_ok());
    assert_eq!(resumable.pair.client.endpoint.poll_event(), None);
}

#[test]
fn early_data_is_sent_only_where_asked_for() {
    let mut resumable = Resumable::default();
    let mut sessions = resumable.sessions();
    resumable.client.early_data = false;
    let client = resumable.resume(sessions.pop().unwrap());
    let connection = resumable.pair.client.connection(client);
    assert_eq!(connection.early_data_status(), EarlyDataStatus::None);
    assert_eq!(connection.open(Dir::Bidi), Err(OpenError::Blocked(Dir::Bidi)));
    resumable.pair.settle();
    assert!(resumable.pair.client.connection(client).is_resumed());
    // A server that does not take any says so with its tickets.
    let tls = server_builder().session_store(resumable.store.clone()).early_data(false);
    resumable.serve_with(tls, TransportSettings::default());
    resumable.client.early_data = true;
    let session = resumable.session();
    assert!(!session.allows_early_data());
    let client = resumable.resume(session);
    assert_eq!(resumable.pair.client.connection(client).early_data_status(), EarlyDataStatus::None);
}

/// What a client sees whose early data is not taken, and what it can do then.
fn assert_rejected(resumable: &mut Resumable, client: ConnectionHandle, id: StreamId) {
    resumable.pair.settle();
    assert!(resumable.pair.client.saw(&Event::EarlyDataRejected).is_some(), "{:?}", resumable.pair.client.events);
    assert_eq!(resumable.pair.client.closed(), None);
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_none());
    assert!(resumable.pair.server.take(|event| matches!(event, Event::StreamOpened { .. }).then_some(())).is_none());
    let connection = resumable.pair.client.connection(client);
    assert!(connection.is_handshake_confirmed());
    assert_eq!(connection.early_data_status(), EarlyDataStatus::Rejected);
    assert_eq!(connection.write(id, b"more"), Err(WriteError::UnknownStream));
    assert_eq!(connection.stats().bytes_in_flight, 0);
    assert_eq!(connection.open(Dir::Bidi), Ok(id), "stream IDs start again");
    connection.write(id, b"again").unwrap();
    connection.finish(id).unwrap();
    resumable.pair.settle();
    assert_eq!(read_all(resumable.pair.server.connection(server), id), b"again");
    assert!(resumable.pair.client.saw(&Event::StreamFinished { id }).is_some());
}

/// Z1: a server that was restarted does not take early data; streams are gone, and start again.
#[test]
fn a_restarted_server_rejects_early_data() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.store.clear();
    let (client, id) = resume_with(&mut resumable, session, &[1; 20_000]);
    assert_rejected(&mut resumable, client, id);
    assert!(!resumable.pair.client.connection(client).is_resumed());
}

/// Z1, Z3: a server whose limits have changed does not take early data that was sent under the old ones.
#[test]
fn a_server_with_lower_limits_rejects_early_data() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.serve(TransportSettings { initial_max_data: 1000, ..TransportSettings::default() });
    let (client, id) = resume_with(&mut resumable, session, &[1; 20_000]);
    assert_rejected(&mut resumable, client, id);
}

/// Z1: limits of rejected early data do not outlive it.
#[test]
fn after_a_rejection_the_new_limits_hold() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let server = TransportSettings {
        initial_max_data: 1000,
        initial_max_streams_bidi: 1,
        initial_max_streams_uni: 0,
        ..TransportSettings::default()
    };
    resumable.serve(server);
    let (client, _) = resume_with(&mut resumable, session, &[1; 20_000]);
    resumable.pair.settle();
    assert!(resumable.pair.client.saw(&Event::EarlyDataRejected).is_some());
    let connection = resumable.pair.client.connection(client);
    assert_eq!(connection.open(Dir::Uni), Err(OpenError::Blocked(Dir::Uni)));
    let id = connection.open(Dir::Bidi).unwrap();
    assert_eq!(connection.open(Dir::Bidi), Err(OpenError::Blocked(Dir::Bidi)));
    assert_eq!(connection.write(id, &[2; 5000]), Ok(1000));
    resumable.pair.settle();
    assert_eq!(resumable.pair.client.closed(), None);
}

/// Z1: RFC 9001 section 4.6.3: early data is for one application protocol.
#[test]
fn another_application_protocol_rejects_early_data() {
    let mut resumable = Resumable::default();
    let tls = RustlsClient::builder()
        .alpn([b"test".as_slice(), b"other".as_slice()])
        .roots([include_bytes!("data/ca.der").as_slice()])
        .build()
        .unwrap();
    resumable.client = ClientConfig { early_data: true, ..ClientConfig::new(std::sync::Arc::new(tls)) };
    let session = resumable.session();
    let tls = server_builder().alpn([b"other".as_slice()]).session_store(resumable.store.clone());
    resumable.serve_with(tls, TransportSettings::default());
    let (client, id) = resume_with(&mut resumable, session, b"for the other protocol");
    assert_rejected(&mut resumable, client, id);
    let connection = resumable.pair.client.connection(client);
    assert!(connection.is_resumed(), "the session is resumed all the same");
    assert_eq!(connection.alpn(), Some(&b"other"[..]));
}

/// Early data is taken once: what an attacker sends a second time is dropped.
#[test]
fn a_repeated_first_flight_is_not_taken() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let (_, id) = resume_with(&mut resumable, session, b"pay");
    resumable.pair.run_for(MILLISECOND);
    let flight = resumable.pair.client.sent.clone();
    resumable.pair.settle();
    resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::StreamOpened { id }).is_some());
    // The first connection's routes go with it; the flight then looks like that of a new one.
    resumable.pair.run_for(40 * SECOND);
    resumable.pair.server.events.clear();
    let now = resumable.pair.now;
    flight.into_iter().for_each(|datagram| resumable.pair.server.inject(now, datagram));
    resumable.pair.run_for(MILLISECOND);
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_none());
    assert!(resumable.pair.server.saw(&Event::StreamOpened { id }).is_none());
    assert_eq!(resumable.pair.server.connection(server).early_data_status(), EarlyDataStatus::None);
}

#[test]
fn lost_0_rtt_packets_are_sent_again() {
    for lost in 0..8 {
        let mut resumable = Resumable::default();
        let session = resumable.session();
        let data: Vec<u8> = (0..8_000u32).map(|n| (n / 7) as u8).collect();
        let mut count = 0;
        resumable.pair.client.outbound_filter = Some(Box::new(move |_, _| {
            count += 1;
            count - 1 != lost
        }));
        let (client, id) = resume_with(&mut resumable, session, &data);
        resumable.pair.run_for(5 * SECOND);
        let server = resumable.accepted();
        assert!(read_all(resumable.pair.server.connection(server), id) == data, "datagram {lost} lost");
        assert!(resumable.pair.client.connection(client).is_handshake_confirmed());
    }
}

/// All 0-RTT packets but those with the Initial are lost: 1-RTT packets carry the data.
#[test]
fn early_data_that_is_lost_goes_on_in_1_rtt_packets() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.pair.client.outbound_filter = Some(Box::new(|_, datagram| !is_zero_rtt(datagram)));
    let (client, id) = resume_with(&mut resumable, session, &[5; 9_000]);
    resumable.pair.run_for(3 * SECOND);
    let server = resumable.accepted();
    assert!(read_all(resumable.pair.server.connection(server), id) == [5; 9_000]);
    assert!(resumable.pair.client.connection(client).stats().packets_lost > 0);
}

/// RFC 9001 section 5.7: 0-RTT packets that overtake the Initial, within what the server holds back, are not lost.
#[test]
fn a_handshake_survives_0_rtt_packets_before_the_initial() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let held: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let filter = Rc::clone(&held);
    let mut first = true;
    resumable.pair.client.outbound_filter = Some(Box::new(move |_, datagram| {
        if core::mem::take(&mut first) {
            filter.borrow_mut().push(datagram.clone());
            return false;
        }
        true
    }));
    let (_, id) = resume_with(&mut resumable, session, &[6; 4_000]);
    resumable.pair.run_for(15 * MILLISECOND);
    let now = resumable.pair.now;
    let late = held.borrow_mut().pop().unwrap();
    resumable.pair.server.inject(now, late);
    resumable.pair.run_for(3 * SECOND);
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_some());
    assert!(read_all(resumable.pair.server.connection(server), id) == [6; 4_000]);
}

/// RFC 9001 section 4.9.3: a server reads 0-RTT packets that were overtaken by 1-RTT packets, for a while.
#[test]
fn overtaken_0_rtt_packets_are_read_for_three_probe_timeouts() {
    for (delay, expected) in [(45 * MILLISECOND, true), (3 * SECOND, false)] {
        let mut resumable = Resumable::default();
        let session = resumable.session();
        let held: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let filter = Rc::clone(&held);
        resumable.pair.client.outbound_filter = Some(Box::new(move |_, datagram| {
            if is_zero_rtt(datagram) {
                filter.borrow_mut().push(datagram.clone());
            }
            !is_zero_rtt(datagram)
        }));
        resume_with(&mut resumable, session, &[7; 2_000]);
        resumable.pair.run_for(delay);
        let server = resumable.accepted();
        let before = resumable.pair.server.connection(server).stats();
        let now = resumable.pair.now;
        let late: Vec<_> = held.borrow_mut().drain(..).collect();
        assert!(!late.is_empty());
        late.into_iter().for_each(|datagram| resumable.pair.server.inject(now, datagram));
        let after = resumable.pair.server.connection(server).stats();
        assert_eq!(after.packets_received > before.packets_received, expected, "after {delay} ns");
    }
}

/// RFC 9001 section 5.6: with 1-RTT keys a client sends no more 0-RTT packets.
#[test]
fn no_0_rtt_packets_after_the_handshake() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let (client, _) = resume_with(&mut resumable, session, &[8; 3_000]);
    resumable.pair.settle();
    let early = resumable.pair.client.sent.iter().filter(|datagram| is_zero_rtt(datagram)).count();
    let id = resumable.pair.client.connection(client).open(Dir::Uni).unwrap();
    resumable.pair.client.connection(client).write(id, &[9; 30_000]).unwrap();
    resumable.pair.settle();
    assert_eq!(resumable.pair.client.sent.iter().filter(|datagram| is_zero_rtt(datagram)).count(), early);
}

/// RFC 9000 section 12.3: 0-RTT and 1-RTT packets share their numbers, also after a rejection.
#[test]
fn packet_numbers_go_on_after_a_rejection() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.store.clear();
    let (client, _) = resume_with(&mut resumable, session, &[1; 12_000]);
    resumable.pair.settle();
    let id = resumable.pair.client.connection(client).open(Dir::Uni).unwrap();
    resumable.pair.client.connection(client).write(id, b"after").unwrap();
    resumable.pair.settle();
    // A number used twice under new keys would be harmless; acknowledgments of numbers never sent close.
    assert_eq!(resumable.pair.client.closed(), None);
    assert_eq!(resumable.pair.server.closed(), None);
}

/// A close before the handshake is complete reaches the server although only early data was sent.
#[test]
fn a_client_can_close_while_early_data_is_on_its_way() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let (client, _) = resume_with(&mut resumable, session, b"never mind");
    resumable.pair.run_for(MILLISECOND);
    let now = resumable.pair.now;
    resumable.pair.client.connection(client).close(now, 7, b"changed my mind");
    resumable.pair.run_for(SECOND);
    let Some(ConnectionError::Transport { code, by_peer: true, .. }) = resumable.pair.server.closed() else { panic!() };
    assert_eq!(code, TransportErrorCode::APPLICATION_ERROR);
}

/// All early data is lost, and it fills the congestion window: the handshake goes on all the same.
#[test]
fn a_handshake_completes_behind_a_window_full_of_lost_early_data() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.pair.client.outbound_filter = Some(Box::new(|_, datagram| !is_zero_rtt(datagram)));
    let data: Vec<u8> = (0..60_000u32).map(|n| (n / 3) as u8).collect();
    let (client, id) = resume_with(&mut resumable, session, &data);
    resumable.pair.run_for(3 * SECOND);
    assert!(resumable.pair.client.connection(client).is_handshake_confirmed());
    let server = resumable.accepted();
    assert!(read_all(resumable.pair.server.connection(server), id) == data);
}

/// C2: after a Retry early data is sent again, and taken.
#[test]
fn early_data_is_sent_again_after_a_retry() {
    let admission = Admission::AutomaticWithRetry { threshold: 0 };
    let config = EndpointConfig { admission, ..EndpointConfig::default() };
    let pair = Pair::new(config, TransportSettings::default());
    let mut resumable = Resumable { pair, ..Resumable::default() };
    resumable.serve(TransportSettings::default());
    let session = resumable.session();
    let (client, id) = resume_with(&mut resumable, session, &[3; 5_000]);
    resumable.pair.run_for(15 * MILLISECOND);
    let before = resumable.pair.client.sent.iter().filter(|datagram| is_zero_rtt(datagram)).count();
    assert_eq!(resumable.pair.server.endpoint.connection_count(), 0, "a Retry, and nothing kept");
    resumable.pair.run_for(18 * MILLISECOND);
    let after = resumable.pair.client.sent.iter().filter(|datagram| is_zero_rtt(datagram)).count();
    assert_eq!(after, 2 * before, "all of it once more");
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_some());
    let connection = resumable.pair.server.connection(server);
    assert!(!connection.is_handshake_complete());
    assert_eq!(read_all(connection, id), [3; 5_000]);
    resumable.pair.settle();
    assert!(resumable.pair.client.connection(client).is_handshake_confirmed());
}

/// RFC 9369 section 3.2: 0-RTT packets of version 2 have a type of their own.
#[test]
fn early_data_in_version_2() {
    let versions = VersionSettings { chosen: Version::V2, ..VersionSettings::default() };
    let mut resumable = Resumable::default();
    resumable.client.transport.versions = versions;
    let session = resumable.session();
    let (_, id) = resume_with(&mut resumable, session, &[4; 5_000]);
    resumable.pair.run_for(15 * MILLISECOND);
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_some());
    assert_eq!(read_all(resumable.pair.server.connection(server), id), [4; 5_000]);
    let second = &resumable.pair.client.sent[1];
    assert_eq!((second[0] & 0xf0, &second[1..5]), (0xe0, &0x6b33_43cf_u32.to_be_bytes()[..]));
}

/// RFC 9221 section 3: datagrams go out as early data too, under the remembered limit.
#[test]
fn datagrams_are_early_data_too() {
    let datagrams = DatagramSettings { max_frame_size: 1200, ..DatagramSettings::default() };
    let mut resumable = Resumable::new(TransportSettings { datagrams, ..TransportSettings::default() });
    let session = resumable.session();
    let client = resumable.resume(session);
    let id = resumable.pair.client.connection(client).send_datagram(b"hello"[..].into()).unwrap();
    resumable.pair.run_for(15 * MILLISECOND);
    let server = resumable.accepted();
    let connection = resumable.pair.server.connection(server);
    assert!(!connection.is_handshake_complete());
    assert_eq!(connection.recv_datagram().as_deref(), Some(&b"hello"[..]));
    resumable.pair.settle();
    assert!(resumable.pair.client.saw(&Event::DatagramAcked { id }).is_some());
}

/// 0-RTT packets have longer headers: what is accepted for them fits into them, and does not keep stream data back.
#[test]
fn the_largest_datagrams_are_early_data_too() {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let (client, id) = resume_with(&mut resumable, session, b"request");
    let connection = resumable.pair.client.connection(client);
    let max = connection.max_datagram_size().unwrap();
    connection.send_datagram(vec![1; max].into()).unwrap();
    resumable.pair.run_for(15 * MILLISECOND);
    let server = resumable.accepted();
    let connection = resumable.pair.server.connection(server);
    assert!(!connection.is_handshake_complete());
    assert_eq!(connection.recv_datagram().map(|data| data.len()), Some(max));
    assert_eq!(read_all(connection, id), b"request");
    resumable.pair.settle();
    assert!(resumable.pair.client.connection(client).max_datagram_size().unwrap() > max, "short headers");
}

/// A datagram in rejected early data is lost, and said to be.
#[test]
fn rejected_datagrams_are_lost() {
    let datagrams = DatagramSettings { max_frame_size: 1200, ..DatagramSettings::default() };
    let mut resumable = Resumable::new(TransportSettings { datagrams, ..TransportSettings::default() });
    let session = resumable.session();
    resumable.store.clear();
    let client = resumable.resume(session);
    let id = resumable.pair.client.connection(client).send_datagram(b"hello"[..].into()).unwrap();
    resumable.pair.settle();
    assert!(resumable.pair.client.saw(&Event::EarlyDataRejected).is_some());
    assert!(resumable.pair.client.saw(&Event::DatagramLost { id }).is_some());
}

/// H7: early data that comes while a server's caller looks at the ClientHello is kept, and read once it has chosen.
#[test]
fn early_data_waits_for_a_decision_on_the_client_hello() {
    use std::sync::Arc;
    let mut resumable = Resumable::default();
    let session = resumable.session();
    let tls = server_builder().session_store(Arc::clone(&resumable.store));
    let config = resumable::server_config(tls, TransportSettings::default());
    let asking = ServerConfig { ask_on_client_hello: true, ..(*config).clone() };
    resumable.pair.server.endpoint.set_server(Some(Arc::new(asking))).unwrap();
    let (client, id) = resume_with(&mut resumable, session, b"request");
    let pair = &mut resumable.pair;
    pair.run_for(15 * MILLISECOND);
    let server = pair.server.saw(&Event::ClientHello).expect("the question");
    pair.run_for(200 * MILLISECOND);
    assert!(pair.server.saw(&Event::StreamOpened { id }).is_none());
    let now = pair.now;
    pair.server.connection(server).choose(now, &config).unwrap();
    assert!(pair.server.connection(server).is_early_data(id), "what was kept is read at once");
    assert_eq!(read_all(pair.server.connection(server), id), b"request");
    pair.settle();
    assert_eq!(pair.client.connection(client).early_data_status(), EarlyDataStatus::Accepted);
    assert!(pair.client.connection(client).is_handshake_confirmed());
}

/// Drops datagrams with a chance of one in six, the same ones for the same seed.
fn lossy(seed: u64) -> Filter {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let mut rng = Rng::from_seed(bytes);
    Box::new(move |_, _| !rng.u64().is_multiple_of(6))
}

/// On a path that loses one datagram in six a request in early data is answered, whether the server takes it or has
/// forgotten the session.
#[test]
fn early_data_survives_a_lossy_path() {
    for (seed, forgets) in (0..60).zip([false, true].into_iter().cycle()) {
        let patient = TransportSettings {
            handshake_timeout: None,
            max_idle_timeout: Duration::ZERO,
            ..TransportSettings::default()
        };
        let mut resumable = Resumable::new(patient.clone());
        resumable.client.transport = patient;
        let session = resumable.session();
        if forgets {
            resumable.store.clear();
        }
        let request: Vec<u8> = (0..25_000u32).map(|n| (n * n / 5) as u8).collect();
        resumable.pair.client.outbound_filter = Some(lossy(2 * seed));
        resumable.pair.server.outbound_filter = Some(lossy(2 * seed + 1));
        let (client, mut id) = resume_with(&mut resumable, session, &request);
        let (mut received, mut answer) = (Vec::new(), Vec::new());
        for _ in 0..1_000 {
            resumable.pair.run_for(200 * MILLISECOND);
            if resumable.pair.client.saw(&Event::EarlyDataRejected).is_some() {
                let connection = resumable.pair.client.connection(client);
                id = connection.open(Dir::Bidi).unwrap();
                connection.write(id, &request).unwrap();
                connection.finish(id).unwrap();
            }
            if let Some((server, ())) =
                resumable.pair.server.take(|event| (*event == Event::StreamReadable { id }).then_some(()))
            {
                let connection = resumable.pair.server.connection(server);
                received.extend(read_all(connection, id));
                if received.len() == request.len() && connection.write(id, b"thanks") == Ok(6) {
                    connection.finish(id).unwrap();
                }
            }
            if resumable.pair.client.saw(&Event::StreamReadable { id }).is_some() {
                answer.extend(read_all(resumable.pair.client.connection(client), id));
            }
            if answer == b"thanks" {
                break;
            }
        }
        assert!(received == request && answer == b"thanks", "seed {seed}, {:?}", resumable.pair.client.closed());
        let expected = if forgets { EarlyDataStatus::Rejected } else { EarlyDataStatus::Accepted };
        assert_eq!(resumable.pair.client.connection(client).early_data_status(), expected, "seed {seed}");
    }
}
