//! Credit: windows that grow by themselves, credit that the caller gives, and what there is to use.

mod keyed;
mod pair;

use keyed::Keyed;
use pair::MILLISECOND;
use quillon::packet::Frame;
use quillon::stream::{CreditError, OpenError, ReadError, WriteError};
use quillon::{Dir, Event, FlowControl, Idle, Side, StreamId, Transmit, TransportSettings};

const WINDOW: u64 = 20_000;

/// Small windows at first.
fn small(flow_control: FlowControl) -> TransportSettings {
    TransportSettings {
        initial_max_data: 2 * WINDOW,
        initial_max_stream_data_uni: WINDOW,
        initial_max_stream_data_bidi_remote: WINDOW,
        initial_max_streams_uni: 2,
        initial_max_streams_bidi: 2,
        flow_control,
        ..TransportSettings::default()
    }
}

fn to_server_with(flow_control: FlowControl) -> Keyed {
    Keyed::with(TransportSettings::default(), small(flow_control))
}

/// Writes as much as is taken.
fn fill(keyed: &mut Keyed, id: StreamId) -> u64 {
    let client = keyed.client;
    let mut written = 0;
    while let Ok(len) = keyed.pair.client.connection(client).write(id, &[7; 100_000]) {
        written += len as u64;
    }
    written
}

/// Reads at the server all there is.
fn drain(keyed: &mut Keyed, id: StreamId) -> u64 {
    let server = keyed.server;
    let mut read = 0;
    let mut buffer = [0; 10_000];
    while let Ok(now) = keyed.pair.server.connection(server).read(id, &mut buffer) {
        read += now.len as u64;
        if now.finished {
            break;
        }
    }
    read
}

/// Writes at the client and reads at the server, every so often. Returns the largest leads of the limits announced over
/// what was read: of the stream and of the connection.
fn transfer(keyed: &mut Keyed, rounds: usize, every: u64, most: usize) -> (u64, u64) {
    let client = keyed.client;
    let server = keyed.server;
    let id = keyed.pair.client.connection(client).open(Dir::Uni).unwrap();
    let (mut read, mut seen, mut leads) = (0, keyed.pair.server.sent.len(), (0, 0));
    for _ in 0..rounds {
        fill(keyed, id);
        keyed.pair.run_for(every);
        if let Ok(now) = keyed.pair.server.connection(server).read(id, &mut vec![0; most]) {
            read += now.len as u64;
        }
        keyed.pair.run_for(0);
        let limits = keyed.frames(Side::Server, seen, |frame| match *frame {
            Frame::MaxStreamData { limit, .. } => Some((limit, 0)),
            Frame::MaxData { limit } => Some((0, limit)),
            _ => None,
        });
        seen = keyed.pair.server.sent.len();
        for (stream, connection) in limits {
            leads = (leads.0.max(stream.saturating_sub(read)), leads.1.max(connection.saturating_sub(read)));
        }
    }
    leads
}

#[test]
fn windows_double_up_to_their_maxima_while_the_reader_keeps_up() {
    let automatic = FlowControl::Automatic { max_window: 200_000, max_stream_window: 100_000 };
    let mut keyed = to_server_with(automatic);
    let leads = transfer(&mut keyed, 300, 5 * MILLISECOND, 1 << 20);
    assert_eq!(leads, (100_000, 200_000));
}

#[test]
fn windows_stay_as_they_are_for_a_slow_reader() {
    let mut keyed = to_server_with(FlowControl::default());
    // Half of the window, the least that is announced, takes five round trips to read.
    let leads = transfer(&mut keyed, 60, 50 * MILLISECOND, WINDOW as usize / 4);
    assert!(leads.0 <= WINDOW && leads.1 <= 2 * WINDOW, "{leads:?}");
}

#[test]
fn windows_that_start_above_their_maximum_keep_their_size() {
    let mut keyed = to_server_with(FlowControl::Automatic { max_window: 0, max_stream_window: 0 });
    let leads = transfer(&mut keyed, 100, 5 * MILLISECOND, 1 << 20);
    assert_eq!(leads, (WINDOW, 2 * WINDOW));
}

#[test]
fn windows_do_not_grow_into_memory_that_is_not_there() {
    let mut keyed = to_server_with(FlowControl::default());
    let server = keyed.server;
    let id = keyed.pair.client.connection(keyed.client).open(Dir::Uni).unwrap();
    let mut announced = 0;
    for _ in 0..50 {
        fill(&mut keyed, id);
        keyed.pair.server.connection(server).set_memory_headroom(15_000);
        keyed.pair.run_for(5 * MILLISECOND);
        let read = drain(&mut keyed, id);
        announced += read;
    }
    let limits = keyed.frames(Side::Server, 0, |frame| match *frame {
        Frame::MaxStreamData { limit, .. } => Some(limit),
        _ => None,
    });
    assert!(!limits.is_empty() && limits.iter().all(|limit| *limit <= announced + WINDOW));
}

/// S10: in manual mode reading gives no credit; both levels are the caller's.
#[test]
fn manual_credit_comes_by_calls_alone() {
    let mut keyed = to_server_with(FlowControl::Manual);
    let (client, server) = (keyed.client, keyed.server);
    let id = keyed.pair.client.connection(client).open(Dir::Uni).unwrap();
    assert_eq!(fill(&mut keyed, id), WINDOW);
    keyed.pair.settle();
    assert_eq!(drain(&mut keyed, id), WINDOW);
    keyed.pair.settle();
    assert_eq!(fill(&mut keyed, id), 0, "read, and nothing given");
    keyed.pair.server.connection(server).extend_max_stream_data(id, 5000).unwrap();
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.connection(client).stream_send_credit(id), Some(5000));
    assert!(keyed.pair.client.saw(&Event::StreamWritable { id }).is_some());
    assert_eq!(fill(&mut keyed, id), 5000);
    // The stream's credit alone is not enough.
    keyed.pair.server.connection(server).extend_max_stream_data(id, 10 * WINDOW).unwrap();
    keyed.pair.settle();
    assert_eq!(fill(&mut keyed, id), WINDOW - 5000);
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.connection(client).send_credit(), 0);
    keyed.pair.server.connection(server).extend_max_data(1).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.saw(&Event::DataCreditAvailable).is_some());
    assert_eq!(fill(&mut keyed, id), 1);
}

/// S9: in manual mode a closed stream of the peer's makes room only when the caller says so.
#[test]
fn manual_stream_counts_come_by_calls_alone() {
    let mut keyed = to_server_with(FlowControl::Manual);
    let (client, server) = (keyed.client, keyed.server);
    for left in [2, 1] {
        let connection = keyed.pair.client.connection(client);
        assert_eq!(connection.streams_left(Dir::Uni), left);
        let id = connection.open(Dir::Uni).unwrap();
        connection.finish(id).unwrap();
        keyed.pair.settle();
        assert_eq!(drain(&mut keyed, id), 0);
        keyed.pair.settle();
    }
    assert_eq!(keyed.pair.client.connection(client).open(Dir::Uni), Err(OpenError::Blocked(Dir::Uni)));
    keyed.pair.server.connection(server).extend_max_streams(Dir::Uni, 3).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.saw(&Event::StreamsAvailable { dir: Dir::Uni }).is_some());
    assert_eq!(keyed.pair.client.connection(client).streams_left(Dir::Uni), 3);
    assert_eq!(keyed.pair.client.connection(client).streams_left(Dir::Bidi), 2);
}

/// S5, S6: bytes that the caller never sees give the connection's credit back by themselves, in manual mode too.
#[test]
fn what_a_stop_or_a_reset_drops_is_given_back_in_manual_mode_too() {
    let mut keyed = to_server_with(FlowControl::Manual);
    let (client, server) = (keyed.client, keyed.server);
    let stopped = keyed.pair.client.connection(client).open(Dir::Uni).unwrap();
    fill(&mut keyed, stopped);
    keyed.pair.settle();
    keyed.pair.server.connection(server).stop_sending(stopped, 1).unwrap();
    assert_eq!(keyed.pair.server.connection(server).peek(stopped), Err(ReadError::Stopped));
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.connection(client).send_credit(), 2 * WINDOW);
    let reset = keyed.pair.client.connection(client).open(Dir::Uni).unwrap();
    fill(&mut keyed, reset);
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.connection(client).send_credit(), WINDOW);
    keyed.pair.client.connection(client).reset(reset, 2).unwrap();
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.connection(client).send_credit(), 2 * WINDOW);
}

#[test]
fn credit_is_refused_where_it_grows_by_itself_and_where_there_is_no_stream() {
    let mut keyed = to_server_with(FlowControl::default());
    let (client, server) = (keyed.client, keyed.server);
    let id = keyed.pair.client.connection(client).open(Dir::Uni).unwrap();
    let automatic = Err(CreditError::Automatic);
    let connection = keyed.pair.server.connection(server);
    assert_eq!(connection.extend_max_data(1), automatic);
    assert_eq!(connection.extend_max_stream_data(id, 1), automatic);
    assert_eq!(connection.extend_max_streams(Dir::Uni, 1), automatic);
    let mut keyed = to_server_with(FlowControl::Manual);
    let server = keyed.server;
    let connection = keyed.pair.server.connection(server);
    assert_eq!(connection.extend_max_stream_data(id, 1), Err(CreditError::UnknownStream));
    let own = connection.open(Dir::Uni).unwrap();
    assert_eq!(connection.extend_max_stream_data(own, 1), Err(CreditError::UnknownStream));
    connection.extend_max_data(u64::MAX).unwrap();
    connection.extend_max_streams(Dir::Bidi, u64::MAX).unwrap();
    keyed.pair.settle();
    let client = keyed.client;
    assert_eq!(keyed.pair.client.connection(client).streams_left(Dir::Bidi), 1 << 60);
    let now = keyed.pair.now;
    keyed.pair.server.connection(server).close(now, 0, b"");
    assert_eq!(keyed.pair.server.connection(server).extend_max_data(1), Err(CreditError::Closed));
}

/// W20: what is left is asked for before data is offered; here a write that is too large takes what is left and says so.
#[test]
fn credit_left_tells_what_a_write_takes() {
    let mut keyed = to_server_with(FlowControl::default());
    let client = keyed.client;
    let connection = keyed.pair.client.connection(client);
    assert_eq!((connection.send_credit(), connection.streams_left(Dir::Uni)), (2 * WINDOW, 2));
    let id = connection.open(Dir::Uni).unwrap();
    assert_eq!((connection.stream_send_credit(id), connection.streams_left(Dir::Uni)), (Some(WINDOW), 1));
    assert_eq!(connection.write(id, &[0; 5000]), Ok(5000));
    assert_eq!((connection.send_credit(), connection.stream_send_credit(id)), (35_000, Some(15_000)));
    assert_eq!(connection.write(id, &[0; 100_000]), Ok(15_000));
    assert_eq!(connection.write(id, &[0; 1]), Err(WriteError::Blocked));
    let unknown = StreamId::new(Side::Server, Dir::Uni, 0);
    assert_eq!(connection.stream_send_credit(unknown), None);
}

/// W7, W8: what blocks a stream is told on the wire once, and `transmit` says why it has nothing to send. The stream's
/// own credit holds up no other stream.
#[test]
fn blocked_frames_name_what_blocks_and_transmit_says_flow_control() {
    let mut keyed = to_server_with(FlowControl::Manual);
    let client = keyed.client;
    let sent = keyed.pair.client.sent.len();
    let first = keyed.pair.client.connection(client).open(Dir::Uni).unwrap();
    let second = keyed.pair.client.connection(client).open(Dir::Bidi).unwrap();
    assert_eq!(fill(&mut keyed, first), WINDOW);
    keyed.pair.settle();
    assert_eq!(fill(&mut keyed, second), WINDOW, "blocked alone");
    keyed.pair.settle();
    assert_eq!(fill(&mut keyed, second), 0);
    assert_eq!(keyed.pair.client.connection(client).open(Dir::Uni).map(|_| ()), Ok(()));
    assert!(keyed.pair.client.connection(client).open(Dir::Uni).is_err());
    keyed.pair.settle();
    let blocked = keyed.frames(Side::Client, sent, |frame| match *frame {
        Frame::DataBlocked { limit } => Some((None, limit)),
        Frame::StreamDataBlocked { id, limit } => Some((Some(id), limit)),
        Frame::StreamsBlocked { dir: Dir::Uni, limit } => Some((None, limit)),
        _ => None,
    });
    assert_eq!(blocked, [(Some(first), WINDOW), (Some(second), WINDOW), (None, 2)]);
    let now = keyed.pair.now;
    let mut buffer = vec![0; 1500];
    let connection = keyed.pair.client.connection(client);
    assert_eq!(connection.transmit(now, &mut buffer), Transmit::Idle(Idle::FlowControl));
    // A stream with credit of its own, on a connection without.
    let third = StreamId::new(Side::Client, Dir::Uni, 1);
    assert_eq!(connection.write(third, b"x"), Err(WriteError::Blocked));
    keyed.pair.settle();
    let blocked = keyed.frames(Side::Client, sent, |frame| match *frame {
        Frame::DataBlocked { limit } => Some(limit),
        _ => None,
    });
    assert_eq!(blocked, [2 * WINDOW]);
}
