//! Flow control of streams and of the connection: RFC 9000 sections 4.1 and 4.2, rule by rule.

mod stream_pair;

use quillon::error::TransportErrorCode;
use quillon::stream::{Control, FlowControl, Limits, Settings, StreamEvent, Streams, WriteError};
use quillon::wire::{Dir, Side, StreamId, varint};
use stream_pair::*;

const FLOW_CONTROL: TransportErrorCode = TransportErrorCode::FLOW_CONTROL_ERROR;

fn client_uni(index: u64) -> StreamId {
    StreamId::new(Side::Client, Dir::Uni, index)
}

// What we allow.

#[test]
fn data_up_to_the_streams_limit_is_taken_and_one_byte_more_is_an_error() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, WINDOW - 1, false, b"x").unwrap();
    assert_eq!(code(server.on_stream(CLIENT_UNI, WINDOW, false, b"x")), FLOW_CONTROL);
}

#[test]
fn each_kind_of_stream_has_its_own_limit() {
    let receive = Limits {
        max_data: 1000,
        max_stream_data_bidi_local: 1,
        max_stream_data_bidi_remote: 2,
        max_stream_data_uni: 3,
        max_streams_bidi: 1,
        max_streams_uni: 1,
    };
    let mut server =
        Streams::new(Side::Server, &Settings { receive, flow_control: FlowControl::default(), send_buffer: 1000 });
    // The view of the end that announces: what it calls local, the other end calls remote.
    server.set_peer_limits(&receive);
    for (id, limit) in [(SERVER_BIDI, 1), (CLIENT_BIDI, 2), (CLIENT_UNI, 3)] {
        if id == SERVER_BIDI {
            server.open(Dir::Bidi).unwrap();
        }
        server.on_stream(id, 0, false, &vec![0; limit]).unwrap();
        assert_eq!(code(server.on_stream(id, limit as u64, false, b"x")), FLOW_CONTROL);
    }
    server.open(Dir::Uni).unwrap();
    for (id, limit) in [(SERVER_BIDI, 2), (CLIENT_BIDI, 1), (SERVER_UNI, 3)] {
        assert_eq!(server.write(id, &[0; 10]), Ok(limit));
    }
}

#[test]
fn data_beyond_the_connections_limit_is_an_error() {
    let mut server = server();
    server.on_stream(client_uni(0), WINDOW - 1, false, b"x").unwrap();
    server.on_stream(client_uni(1), WINDOW - 1, false, b"x").unwrap();
    let left = CONNECTION_WINDOW - 2 * WINDOW;
    server.on_stream(client_uni(2), left - 1, false, b"x").unwrap();
    server.on_stream(client_uni(2), 0, false, b"below the largest offset").unwrap();
    assert_eq!(code(server.on_stream(client_uni(2), left, false, b"x")), FLOW_CONTROL);
}

#[test]
fn the_final_size_of_a_reset_counts_at_both_levels() {
    let mut server = server();
    assert_eq!(code(server.on_reset_stream(client_uni(0), 0, WINDOW + 1)), FLOW_CONTROL);
    server.on_reset_stream(client_uni(0), 0, WINDOW).unwrap();
    server.on_stream(client_uni(1), WINDOW - 1, false, b"x").unwrap();
    assert_eq!(code(server.on_reset_stream(client_uni(2), 0, WINDOW)), FLOW_CONTROL);
}

#[test]
fn offsets_beyond_the_largest_integer_are_errors() {
    let mut server = server();
    assert_eq!(code(server.on_stream(CLIENT_UNI, varint::MAX, false, b"x")), FLOW_CONTROL);
    assert_eq!(code(server.on_stream(CLIENT_UNI, u64::MAX, false, b"x")), FLOW_CONTROL);
    assert_eq!(code(server.on_reset_stream(CLIENT_UNI, 0, varint::MAX)), FLOW_CONTROL);
}

#[test]
fn blocked_frames_beyond_our_limits_are_errors() {
    let mut server = server();
    server.on_data_blocked(CONNECTION_WINDOW).unwrap();
    assert_eq!(code(server.on_data_blocked(CONNECTION_WINDOW + 1)), FLOW_CONTROL);
    server.on_stream_data_blocked(CLIENT_UNI, WINDOW).unwrap();
    assert_eq!(code(server.on_stream_data_blocked(CLIENT_UNI, WINDOW + 1)), FLOW_CONTROL);
}

#[test]
fn reading_half_of_a_window_gives_credit() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, &[0; WINDOW as usize]).unwrap();
    assert_eq!(server.consume(CLIENT_UNI, 1), Ok(1));
    assert!(!server.has_control());
    assert_eq!(server.consume(CLIENT_UNI, WINDOW as usize / 2 - 1), Ok(WINDOW as usize / 2 - 1));
    let update = Control::MaxStreamData { id: CLIENT_UNI, limit: WINDOW + WINDOW / 2 };
    assert_eq!(controls(&mut server), [update]);
    server.on_control_lost(&update);
    server.consume(CLIENT_UNI, 10).unwrap();
    let newer = Control::MaxStreamData { id: CLIENT_UNI, limit: WINDOW + WINDOW / 2 + 10 };
    assert_eq!(controls(&mut server), [newer], "the current value, not the lost one");
    server.on_control_lost(&update);
    assert!(!server.has_control(), "superseded");
    server.on_stream(CLIENT_UNI, WINDOW, false, &[0; WINDOW as usize / 2]).unwrap();
}

#[test]
fn a_stream_whose_size_is_known_gets_no_more_credit() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, &[0; 8000]).unwrap();
    server.consume(CLIENT_UNI, 6000).unwrap();
    assert!(server.has_control());
    server.on_stream(CLIENT_UNI, 8001, true, b"").unwrap();
    assert!(!server.has_control());
}

#[test]
fn reading_on_any_stream_gives_the_connections_credit() {
    let mut server = server();
    for index in 0..2 {
        server.on_stream(client_uni(index), 0, true, &[0; 7000]).unwrap();
        assert_eq!(read_all(&mut server, client_uni(index)).unwrap().0.len(), 7000);
    }
    let update = Control::MaxData { limit: CONNECTION_WINDOW + 14_000 };
    assert_eq!(controls(&mut server), [update]);
    server.on_control_lost(&update);
    assert_eq!(controls(&mut server), [update]);
}

#[test]
fn what_a_reset_drops_counts_as_consumed() {
    let mut server = server();
    server.on_stream(client_uni(0), 0, false, &[0; 3000]).unwrap();
    server.read(client_uni(0), &mut [0; 1000]).unwrap();
    server.on_reset_stream(client_uni(0), 0, WINDOW).unwrap();
    server.on_reset_stream(client_uni(1), 0, WINDOW).unwrap();
    assert_eq!(controls(&mut server), [Control::MaxData { limit: CONNECTION_WINDOW + 2 * WINDOW }]);
}

#[test]
fn what_a_stop_drops_counts_as_consumed_now_and_later() {
    let mut server = server();
    for index in 0..2 {
        let id = client_uni(index);
        server.on_stream(id, 0, false, &[0; 3000]).unwrap();
        server.stop_sending(id, 0).unwrap();
        server.on_stream(id, 5000, false, &[0; 1000]).unwrap();
    }
    server.on_reset_stream(client_uni(0), 0, 7000).unwrap();
    server.on_stream(client_uni(1), 6000, true, &[0; 1000]).unwrap();
    let all = controls(&mut server);
    assert!(all.contains(&Control::MaxData { limit: CONNECTION_WINDOW + 14_000 }), "{all:?}");
}

#[test]
fn a_blocked_peer_gets_what_there_is_at_once() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, &[0; WINDOW as usize]).unwrap();
    server.on_data_blocked(CONNECTION_WINDOW).unwrap();
    server.on_stream_data_blocked(CLIENT_UNI, WINDOW).unwrap();
    assert!(!server.has_control(), "there is nothing to give");
    server.consume(CLIENT_UNI, 10).unwrap();
    server.on_data_blocked(CONNECTION_WINDOW).unwrap();
    server.on_stream_data_blocked(CLIENT_UNI, WINDOW).unwrap();
    assert_eq!(
        controls(&mut server),
        [
            Control::MaxData { limit: CONNECTION_WINDOW + 10 },
            Control::MaxStreamData { id: CLIENT_UNI, limit: WINDOW + 10 },
        ]
    );
}

// What we are allowed.

#[test]
fn no_more_is_sent_than_the_streams_limit_allows() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    assert_eq!(client.write(id, &[0; 2 * WINDOW as usize]), Ok(WINDOW as usize));
    assert_eq!(client.write(id, b"x"), Err(WriteError::Blocked));
    assert!(client.is_blocked_by_flow_control());
    assert!(!client.has_control(), "there is still something to send");
    while client.next_data(ROOM).is_some() {}
    let blocked = Control::StreamDataBlocked { id, limit: WINDOW };
    assert_eq!(controls(&mut client), [blocked]);
    client.on_control_lost(&blocked);
    assert_eq!(controls(&mut client), [blocked]);
    client.on_max_stream_data(id, WINDOW).unwrap();
    client.on_max_stream_data(id, WINDOW - 1).unwrap();
    assert_eq!(events(&mut client), [], "limits that do not rise are ignored");
    client.on_max_stream_data(id, WINDOW + 5).unwrap();
    assert_eq!(events(&mut client), [StreamEvent::Writable { id }]);
    client.on_control_lost(&blocked);
    assert!(!client.has_control() && !client.is_blocked_by_flow_control());
    assert_eq!(client.write(id, &[0; 10]), Ok(5));
}

#[test]
fn no_more_is_sent_than_the_connections_limit_allows() {
    let mut client = client();
    let ids: Vec<_> = (0..COUNT).map(|_| client.open(Dir::Uni).unwrap()).collect();
    let taken: Vec<_> = ids.iter().map(|id| client.write(*id, &[0; 9000])).collect();
    assert_eq!(taken, [Ok(9000), Ok(9000), Ok(7000), Err(WriteError::Blocked)]);
    assert!(client.is_blocked_by_flow_control());
    while client.next_data(ROOM).is_some() {}
    let blocked = Control::DataBlocked { limit: CONNECTION_WINDOW };
    assert_eq!(controls(&mut client), [blocked]);
    client.on_control_lost(&blocked);
    assert_eq!(controls(&mut client), [blocked]);
    client.on_max_data(CONNECTION_WINDOW);
    assert_eq!(events(&mut client), []);
    client.on_max_data(CONNECTION_WINDOW + 5000);
    let writable = [StreamEvent::Writable { id: ids[2] }, StreamEvent::Writable { id: ids[3] }];
    let events = events(&mut client);
    assert_eq!(events.first(), Some(&StreamEvent::CreditAvailable), "it was used up");
    assert_eq!(events[1..], writable, "in the order in which they were refused");
    assert_eq!(client.write(ids[3], &[0; 9000]), Ok(5000));
}

#[test]
fn credit_of_bytes_that_were_never_sent_returns_with_a_reset() {
    let mut client = client();
    let ids: Vec<_> = (0..COUNT).map(|_| client.open(Dir::Uni).unwrap()).collect();
    for id in &ids[..3] {
        client.write(*id, &[0; WINDOW as usize]).unwrap();
    }
    assert_eq!(client.write(ids[3], b"x"), Err(WriteError::Blocked));
    let sent = client.next_data(ROOM).unwrap();
    assert_eq!(sent.id, ids[0]);
    client.reset(ids[0], 0).unwrap();
    assert_eq!(events(&mut client), [StreamEvent::Writable { id: ids[2] }, StreamEvent::Writable { id: ids[3] }]);
    assert_eq!(client.write(ids[3], &[0; WINDOW as usize]), Ok(WINDOW as usize - sent.len));
}

#[test]
fn a_fin_needs_no_credit() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    client.write(id, &[0; 2 * WINDOW as usize]).unwrap();
    while client.next_data(ROOM).is_some() {}
    client.finish(id).unwrap();
    let fin = client.next_data(ROOM).unwrap();
    assert_eq!((fin.offset, fin.len, fin.fin), (WINDOW, 0, true));
    assert!(!client.has_control(), "who finished is not blocked");
}

#[test]
fn the_send_buffer_is_bounded_and_frees_with_acknowledgments() {
    let settings = Settings { receive: limits(), flow_control: FlowControl::default(), send_buffer: 4000 };
    let mut client = Streams::new(Side::Client, &settings);
    client.set_peer_limits(&limits());
    let (a, b) = (client.open(Dir::Uni).unwrap(), client.open(Dir::Uni).unwrap());
    assert_eq!(client.write(a, &[0; 9000]), Ok(4000));
    assert_eq!(client.write(b, b"x"), Err(WriteError::Blocked));
    assert!(!client.is_blocked_by_flow_control(), "the buffer is full, that is all");
    let first = client.next_data(ROOM).unwrap();
    assert!(!client.has_control());
    client.on_data_acked(&first);
    assert_eq!(events(&mut client), [StreamEvent::Writable { id: a }]);
    assert_eq!(client.write(a, &[0; 5000]), Ok(first.len));
    assert!(client.memory_used() <= 3 * 4000);
    let second = client.next_data(ROOM).unwrap();
    client.on_data_acked(&second);
    assert_eq!(events(&mut client), [StreamEvent::Writable { id: b }, StreamEvent::Writable { id: a }], "in turn");
}

#[test]
fn writers_are_woken_for_what_there_is_and_all_of_them_when_nothing_is_under_way() {
    let settings = Settings { receive: limits(), flow_control: FlowControl::default(), send_buffer: 1000 };
    let mut client = Streams::new(Side::Client, &settings);
    client.set_peer_limits(&limits());
    let ids: Vec<_> = (0..COUNT).map(|_| client.open(Dir::Uni).unwrap()).collect();
    assert_eq!(client.write(ids[0], &[0; 1500]), Ok(1000));
    for id in &ids[1..] {
        assert_eq!(client.write(*id, &[0; 400]), Err(WriteError::Blocked));
    }
    let (first, second) = (client.next_data(504).unwrap(), client.next_data(ROOM).unwrap());
    client.on_data_acked(&first);
    assert_eq!(events(&mut client), [StreamEvent::Writable { id: ids[0] }]);
    // Who was woken does nothing. The others must not wait for it.
    client.on_data_acked(&second);
    let woken: Vec<_> = ids[1..].iter().map(|id| StreamEvent::Writable { id: *id }).collect();
    assert_eq!(events(&mut client), woken);
}

#[test]
fn a_refused_writer_is_told_also_when_it_runs_out_of_other_credit_meanwhile() {
    let settings = Settings { receive: limits(), flow_control: FlowControl::default(), send_buffer: WINDOW - 100 };
    let mut client = Streams::new(Side::Client, &settings);
    client.set_peer_limits(&limits());
    let (a, b) = (client.open(Dir::Uni).unwrap(), client.open(Dir::Uni).unwrap());
    assert_eq!(client.write(a, &[0; WINDOW as usize]), Ok(WINDOW as usize - 100));
    assert_eq!(client.write(b, b"x"), Err(WriteError::Blocked));
    let (first, second) = (client.next_data(604).unwrap(), client.next_data(ROOM).unwrap());
    client.on_data_acked(&first);
    assert_eq!(events(&mut client), [], "too little room to wake anybody");
    assert_eq!(client.write(a, &[0; 100]), Ok(100));
    client.on_data_acked(&second);
    assert_eq!(events(&mut client), [StreamEvent::Writable { id: b }]);
    client.on_max_stream_data(a, WINDOW + 1).unwrap();
    assert_eq!(events(&mut client), [StreamEvent::Writable { id: a }]);
}

#[test]
fn a_stream_that_is_not_read_does_not_hold_up_the_others() {
    let (mut client, mut server) = (client(), server());
    let (slow, quick) = (client.open(Dir::Uni).unwrap(), client.open(Dir::Uni).unwrap());
    let (mut moved, mut stuck) = (0, 0);
    while moved < 200_000 {
        stuck += client.write(slow, &[1; 5000]).unwrap_or(0);
        client.write(quick, &[2; 5000]).unwrap();
        settle(&mut client, &mut server);
        moved += read_all(&mut server, quick).unwrap().0.len();
        settle(&mut client, &mut server);
    }
    assert_eq!(stuck as u64, WINDOW);
}

#[test]
fn limits_raised_by_a_later_handshake_wake_writers() {
    let mut client = Streams::new(Side::Client, &settings());
    let mut remembered = limits();
    remembered.max_stream_data_uni = 10;
    client.set_peer_limits(&remembered);
    let id = client.open(Dir::Uni).unwrap();
    assert_eq!(client.write(id, &[0; 100]), Ok(10));
    client.set_peer_limits(&limits());
    assert_eq!(events(&mut client), [StreamEvent::Writable { id }]);
    assert_eq!(client.write(id, &[0; 90]), Ok(90));
}

#[test]
fn windows_out_of_range_are_clamped() {
    let all = Limits {
        max_data: u64::MAX,
        max_stream_data_bidi_local: u64::MAX,
        max_stream_data_bidi_remote: u64::MAX,
        max_stream_data_uni: u64::MAX,
        max_streams_bidi: u64::MAX,
        max_streams_uni: u64::MAX,
    };
    let mut server = Streams::new(
        Side::Server,
        &Settings { receive: all, flow_control: FlowControl::default(), send_buffer: u64::MAX },
    );
    server.set_peer_limits(&all);
    let limit = all.clamped().max_stream_data_uni;
    server.on_stream(CLIENT_UNI, limit - 1, false, b"x").unwrap();
    assert_eq!(code(server.on_stream(CLIENT_UNI, limit, false, b"x")), FLOW_CONTROL);
    let id = server.open(Dir::Bidi).unwrap();
    assert_eq!(server.write(id, b"abc"), Ok(3));
    assert!(!server.has_control());
}
