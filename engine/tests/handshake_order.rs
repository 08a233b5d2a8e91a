//! The order in which a handshake makes things possible and tells of them (RFC 9001 section 4.1).

mod pair;

use std::time::Duration;

use pair::{MILLISECOND, Pair, SECOND, client_config};
use quillon::rng::Rng;
use quillon::stream::OpenError;
use quillon::{Dir, EndpointConfig, Event, TransportSettings};

/// H1: streams become available after the handshake is complete, bidirectional ones first.
#[test]
fn completion_is_told_before_what_it_makes_possible() {
    let mut pair = Pair::default();
    let client = pair.connect();
    for dir in [Dir::Uni, Dir::Bidi] {
        assert_eq!(pair.client.connection(client).open(dir), Err(OpenError::Blocked(dir)));
    }
    pair.run_for(25 * MILLISECOND);
    let events: Vec<Event> = pair.client.events.drain(..).map(|(_, event)| event).collect();
    let told = [
        Event::HandshakeComplete,
        Event::StreamsAvailable { dir: Dir::Bidi },
        Event::StreamsAvailable { dir: Dir::Uni },
    ];
    assert_eq!(events, told);
}

/// H2: a client confirms the handshake when HANDSHAKE_DONE arrives, and not before.
#[test]
fn a_client_waits_for_handshake_done() {
    let mut pair = Pair::default();
    let start = pair.now;
    // The server's answer to the client's Finished is lost for a while.
    pair.server.outbound_filter =
        Some(Box::new(move |now, _| now < start + 25 * MILLISECOND || now > start + 300 * MILLISECOND));
    let client = pair.connect();
    pair.run_for(250 * MILLISECOND);
    let connection = pair.client.connection(client);
    assert!(connection.is_handshake_complete() && !connection.is_handshake_confirmed());
    assert_eq!(pair.client.saw(&Event::HandshakeConfirmed), None);
    pair.run_for(3 * SECOND);
    assert!(pair.client.connection(client).is_handshake_confirmed());
    assert_eq!(pair.client.saw(&Event::HandshakeConfirmed), Some(client));
}

/// H3: for a server the handshake is confirmed when it is complete. Unlike the reference, it is told so too: the events
/// are the same at both ends.
#[test]
fn a_server_confirms_with_completion() {
    let mut pair = Pair::default();
    pair.connect();
    pair.run_for(35 * MILLISECOND);
    let at = |pair: &Pair, event: &Event| pair.server.events.iter().position(|(_, seen)| seen == event);
    let complete = at(&pair, &Event::HandshakeComplete).expect("the server completes with the client's Finished");
    let confirmed = at(&pair, &Event::HandshakeConfirmed).expect("and confirms");
    assert!(complete < confirmed);
}

/// H5: a server can open streams and send on them before the handshake is complete; the client has the data with it.
#[test]
fn a_server_sends_data_with_its_first_flight() {
    let mut pair = Pair::default();
    let client = pair.connect();
    pair.run_for(12 * MILLISECOND);
    let server = pair.server.saw(&Event::Accepted).unwrap();
    let connection = pair.server.connection(server);
    assert!(!connection.is_handshake_complete());
    let id = connection.open(Dir::Uni).expect("the client's limits are known");
    connection.write(id, b"greeting").unwrap();
    pair.run_for(11 * MILLISECOND);
    assert!(!pair.server.connection(server).is_handshake_complete());
    let mut buffer = [0; 16];
    let connection = pair.client.connection(client);
    assert!(connection.is_handshake_complete());
    assert_eq!(connection.read(id, &mut buffer).map(|read| read.len), Ok(8));
}

/// H5: data that a server sends with its first flight does not get in the way of the handshake, also where much of both
/// is lost.
#[test]
fn early_data_of_a_server_survives_a_lossy_path() {
    for seed in 0..60u8 {
        let patient = TransportSettings {
            handshake_timeout: None,
            max_idle_timeout: Duration::ZERO,
            ..TransportSettings::default()
        };
        let mut pair = Pair::new(EndpointConfig::default(), patient.clone());
        for (end, salt) in [(&mut pair.client, 0), (&mut pair.server, 1)] {
            let mut rng = Rng::from_seed([seed.wrapping_mul(2) + salt; 32]);
            end.outbound_filter = Some(Box::new(move |_, _| !rng.u64().is_multiple_of(6)));
        }
        let client = pair.connect_with(&client_config(patient), "localhost");
        let (mut server, mut received) = (None, Vec::new());
        for _ in 0..1_000 {
            pair.run_for(100 * MILLISECOND);
            if let Some(handle) = pair.server.saw(&Event::Accepted) {
                let connection = pair.server.connection(handle);
                let id = connection.open(Dir::Uni).unwrap();
                assert_eq!(connection.write(id, &[seed; 60_000]), Ok(60_000));
                connection.finish(id).unwrap();
                server = Some(id);
            }
            let mut buffer = [0; 4096];
            while let Some(id) = server
                && let Ok(read) = pair.client.connection(client).read(id, &mut buffer)
            {
                received.extend_from_slice(&buffer[..read.len]);
                if read.finished {
                    break;
                }
            }
            if received.len() == 60_000 {
                break;
            }
        }
        assert!(received == [seed; 60_000], "seed {seed}: {} bytes", received.len());
        assert!(pair.client.connection(client).is_handshake_complete());
    }
}

/// H5: a client can open streams as soon as the handshake is complete, and sends with its Finished.
#[test]
fn a_client_sends_data_with_its_finished() {
    let mut pair = Pair::default();
    let client = pair.connect();
    while pair.client.saw(&Event::HandshakeComplete).is_none() {
        pair.run_for(MILLISECOND);
    }
    let id = pair.client.connection(client).open(Dir::Bidi).unwrap();
    pair.client.connection(client).write(id, b"request").unwrap();
    pair.run_for(12 * MILLISECOND);
    assert!(pair.server.saw(&Event::StreamOpened { id }).is_some());
}
