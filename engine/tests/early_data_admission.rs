//! Early data, and a server that does not take its Initial at once: a Retry, a decision that takes time, datagrams out
//! of order.

mod resumable;

use quillon::{Admission, ConnectionHandle, Dir, EarlyDataStatus, Event, StreamId};

use resumable::Resumable;
use resumable::pair::MILLISECOND;

/// What is written before anything is sent: more than the datagram of the Initial holds.
const REQUEST: [u8; 3_000] = [7; 3_000];

fn is_zero_rtt(datagram: &[u8]) -> bool {
    datagram[0] & 0xf0 == 0xd0
}

/// A client that resumes and has written its request, and a server with this admission.
fn resuming(admission: Admission) -> (Resumable, ConnectionHandle, StreamId) {
    let mut resumable = Resumable::default();
    let session = resumable.session();
    resumable.pair.server.endpoint.set_admission(admission);
    let client = resumable.resume(session);
    let connection = resumable.pair.client.connection(client);
    let id = connection.open(Dir::Bidi).unwrap();
    assert_eq!(connection.write(id, &REQUEST), Ok(REQUEST.len()));
    connection.finish(id).unwrap();
    (resumable, client, id)
}

/// What the server has read of the request so far, in a handshake that is not complete.
fn assert_read_early(resumable: &mut Resumable, id: StreamId) {
    let server = resumable.accepted();
    assert!(resumable.pair.server.saw(&Event::EarlyDataAccepted).is_some());
    let connection = resumable.pair.server.connection(server);
    assert!(!connection.is_handshake_complete());
    let mut data = [0; 4_096];
    let read = connection.read(id, &mut data).unwrap();
    assert_eq!((&data[..read.len], read.finished), (&REQUEST[..], true));
}

/// C2: after a Retry the client sends its early data again, at once, and with packet numbers that go on (RFC 9000
/// section 17.2.5.3).
#[test]
fn early_data_is_sent_again_after_a_retry() {
    let (mut resumable, client, id) = resuming(Admission::AutomaticWithRetry { threshold: 0 });
    let started = resumable.pair.now;
    resumable.pair.run_until(started + 35 * MILLISECOND);
    assert_read_early(&mut resumable, id);
    resumable.pair.settle();
    let connection = resumable.pair.client.connection(client);
    assert_eq!(connection.early_data_status(), EarlyDataStatus::Accepted);
    assert!(resumable.pair.client.saw(&Event::HandshakeConfirmed).is_some());
}

/// While the caller decides, early data waits with the Initial.
#[test]
fn early_data_waits_for_the_decision() {
    let (mut resumable, client, id) = resuming(Admission::Ask);
    // What is sent again is lost.
    let started = resumable.pair.now;
    resumable.pair.client.outbound_filter = Some(Box::new(move |now, _| now == started));
    resumable.pair.run_until(started + 500 * MILLISECOND);
    let now = resumable.pair.now;
    let incoming = resumable.pair.server.endpoint.poll_incoming().expect("a question");
    resumable.pair.server.endpoint.accept(now, incoming, None).unwrap();
    resumable.pair.run_for(5 * MILLISECOND);
    assert_read_early(&mut resumable, id);
    resumable.pair.client.outbound_filter = None;
    resumable.pair.settle();
    let connection = resumable.pair.client.connection(client);
    assert_eq!(connection.early_data_status(), EarlyDataStatus::Accepted);
}

/// RFC 9000 section 5.2.2: 0-RTT packets that overtake the Initial are kept, and read as soon as it comes.
#[test]
fn early_data_that_overtakes_its_initial_is_read_with_it() {
    for admission in [Admission::Automatic, Admission::Ask] {
        let (mut resumable, _, id) = resuming(admission);
        let started = resumable.pair.now;
        resumable.pair.run_until(started + MILLISECOND);
        // The datagrams of the first flight, the last one first.
        let flight: Vec<_> = resumable.pair.server.inbound.drain(..).map(|(_, datagram)| datagram).collect();
        assert!(flight.len() > 1 && flight[1..].iter().all(|datagram| is_zero_rtt(datagram)));
        resumable.pair.client.outbound_filter = Some(Box::new(|_, _| false));
        for datagram in flight.into_iter().rev() {
            resumable.pair.server.inject(started, datagram);
        }
        if let Some(incoming) = resumable.pair.server.endpoint.poll_incoming() {
            resumable.pair.server.endpoint.accept(started, incoming, None).unwrap();
        }
        resumable.pair.run_for(MILLISECOND);
        assert_read_early(&mut resumable, id);
    }
}
