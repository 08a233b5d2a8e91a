//! Stream states, frames and limits: RFC 9000 sections 2, 3 and 4.6, rule by rule.

mod stream_pair;

use bytes::Bytes;
use quillon::error::TransportErrorCode;
use quillon::stream::{
    AbortError, Control, FlowControl, OpenError, ReadError, ReceiveState, SendState, Settings, StreamEvent, Streams,
    WriteError,
};
use quillon::wire::{Dir, Side, StreamId};
use stream_pair::*;

const STREAM_STATE: TransportErrorCode = TransportErrorCode::STREAM_STATE_ERROR;
const STREAM_LIMIT: TransportErrorCode = TransportErrorCode::STREAM_LIMIT_ERROR;
const FINAL_SIZE: TransportErrorCode = TransportErrorCode::FINAL_SIZE_ERROR;

// Sending part, section 3.1.

#[test]
fn the_sending_part_goes_from_ready_over_send_and_data_sent_to_data_received() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    assert_eq!(id, CLIENT_UNI);
    assert_eq!(client.send_state(id), Some(SendState::Ready));
    assert_eq!(client.write(id, b"hello").unwrap(), 5);
    assert_eq!(client.send_state(id), Some(SendState::Ready), "buffered, not sent");
    let first = client.next_data(ROOM).unwrap();
    assert_eq!((first.offset, first.len, first.fin), (0, 5, false));
    assert_eq!(client.send_state(id), Some(SendState::Send));
    client.finish(id).unwrap();
    assert_eq!(client.send_state(id), Some(SendState::Send));
    let fin = client.next_data(ROOM).unwrap();
    assert_eq!((fin.offset, fin.len, fin.fin), (5, 0, true));
    assert_eq!(client.send_state(id), Some(SendState::DataSent));
    client.on_data_acked(&fin);
    assert_eq!(client.send_state(id), Some(SendState::DataSent), "data is missing");
    client.on_data_acked(&first);
    assert_eq!(client.send_state(id), Some(SendState::DataReceived));
    assert_eq!(events(&mut client), [StreamEvent::Finished { id }, StreamEvent::Closed { id, error: None }]);
    assert_eq!(client.send_state(id), None);
    assert_eq!((client.len(), client.memory_used()), (0, 0));
}

/// W5: the FIN is not on a frame that leaves bytes behind. Ours needs no second call for it.
#[test]
fn the_fin_goes_with_the_last_byte_and_not_before() {
    let mut client = client();
    let id = client.open(Dir::Bidi).unwrap();
    client.write(id, &[1; 100]).unwrap();
    client.finish(id).unwrap();
    let first = client.next_data(64).unwrap();
    assert!(first.len < 100 && !first.fin);
    let second = client.next_data(ROOM).unwrap();
    assert_eq!((second.offset, second.len, second.fin), (first.len as u64, 100 - first.len, true));
    assert!(client.next_data(ROOM).is_none() && !client.has_data());
}

#[test]
fn a_lost_fin_is_sent_again_until_acknowledged() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    client.finish(id).unwrap();
    for _ in 0..3 {
        let fin = client.next_data(ROOM).unwrap();
        assert_eq!((fin.offset, fin.len, fin.fin), (0, 0, true));
        client.on_data_lost(&fin);
    }
    let fin = client.next_data(ROOM).unwrap();
    client.on_data_acked(&fin);
    client.on_data_lost(&fin);
    assert!(!client.has_data());
    assert_eq!(events(&mut client), [StreamEvent::Finished { id }, StreamEvent::Closed { id, error: None }]);
}

/// W9: what was lost goes first; ours fills the rest of the packet with new data.
#[test]
fn lost_data_is_sent_before_new_data() {
    let mut client = client();
    let (a, b) = (client.open(Dir::Uni).unwrap(), client.open(Dir::Uni).unwrap());
    client.write(a, &[1; 200]).unwrap();
    let lost = client.next_data(120).unwrap();
    client.write(b, &[2; 200]).unwrap();
    client.on_data_lost(&lost);
    assert_eq!(client.next_data(ROOM).unwrap(), lost);
    assert_ne!(client.next_data(ROOM).unwrap().offset, lost.offset + 1);
}

#[test]
fn data_acknowledged_after_it_was_called_lost_is_not_sent_again() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    client.write(id, &[1; 200]).unwrap();
    let chunk = client.next_data(ROOM).unwrap();
    client.on_data_lost(&chunk);
    client.on_data_acked(&chunk);
    assert!(!client.has_data() && client.next_data(ROOM).is_none());
    assert_eq!(client.memory_used(), 0);
}

#[test]
fn streams_take_turns() {
    let mut client = client();
    let ids: Vec<_> = (0..3).map(|_| client.open(Dir::Bidi).unwrap()).collect();
    for id in &ids {
        client.write(*id, &[0; 5000]).unwrap();
    }
    let order: Vec<_> = (0..6).map(|_| client.next_data(ROOM).unwrap().id).collect();
    assert_eq!(order, [ids[0], ids[1], ids[2], ids[0], ids[1], ids[2]]);
}

#[test]
fn no_chunk_is_larger_than_its_room() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    client.write(id, &[0; 10_000]).unwrap();
    assert!(client.next_data(10).is_none());
    assert!(client.next_data(64).is_some());
    let chunk = client.next_data(ROOM).unwrap();
    // Type, stream ID 2, an offset of one byte, a length of two bytes.
    assert_eq!(chunk.len, ROOM - 1 - 1 - 1 - 2);
}

#[test]
fn a_reset_drops_what_was_not_sent_and_names_the_final_size() {
    let mut client = client();
    let id = client.open(Dir::Bidi).unwrap();
    client.write(id, &[1; 5000]).unwrap();
    let sent = client.next_data(ROOM).unwrap();
    client.reset(id, 9).unwrap();
    assert_eq!(client.send_state(id), Some(SendState::ResetSent));
    assert_eq!(client.memory_used(), 0);
    assert!(!client.has_data());
    let reset = Control::ResetStream { id, code: 9, final_size: sent.len as u64 };
    assert_eq!(controls(&mut client), [reset]);
    client.on_data_lost(&sent);
    assert!(!client.has_data(), "no STREAM frame after a reset");
    client.on_control_lost(&reset);
    assert_eq!(controls(&mut client), [reset], "the content must not change");
    client.on_control_acked(&reset);
    assert_eq!(client.send_state(id), Some(SendState::ResetReceived));
    client.on_control_lost(&reset);
    assert!(!client.has_control());
}

#[test]
fn a_reset_may_be_the_first_frame_of_a_stream() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Uni).unwrap();
    client.reset(id, 5).unwrap();
    settle(&mut client, &mut server);
    let closed = StreamEvent::Closed { id, error: Some(5) };
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }, StreamEvent::Reset { id, code: 5 }, closed]);
    assert_eq!((client.len(), server.len()), (0, 0));
}

#[test]
fn a_reset_or_a_finish_of_what_is_delivered_changes_nothing() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    client.finish(id).unwrap();
    settle(&mut client, &mut server);
    client.reset(id, 1).unwrap();
    assert_eq!(client.send_state(id), Some(SendState::DataReceived));
    assert!(!client.has_control());
    assert_eq!(client.finish(id), Err(WriteError::Finished));
}

#[test]
fn writing_says_why_it_is_refused() {
    let mut client = client();
    let id = client.open(Dir::Bidi).unwrap();
    assert_eq!(client.write(SERVER_UNI, b"x"), Err(WriteError::UnknownStream));
    assert_eq!(client.write(StreamId(400), b"x"), Err(WriteError::UnknownStream));
    assert_eq!(client.write(id, b""), Ok(0));
    client.finish(id).unwrap();
    assert_eq!(client.write(id, b"x"), Err(WriteError::Finished));
    client.reset(id, 1).unwrap();
    assert_eq!(client.write(id, b"x"), Err(WriteError::Reset));
    assert_eq!(client.finish(id), Err(WriteError::Reset));
    let id = client.open(Dir::Bidi).unwrap();
    client.on_stop_sending(id, 33).unwrap();
    assert_eq!(client.write(id, b"x"), Err(WriteError::Stopped(33)));
    assert_eq!(client.reset(id, 1 << 62), Err(AbortError::InvalidCode));
    assert_eq!(client.stop_sending(id, u64::MAX), Err(AbortError::InvalidCode));
    assert_eq!(client.reset(SERVER_UNI, 0), Err(AbortError::UnknownStream));
    assert_eq!(client.stop_sending(CLIENT_UNI, 0), Err(AbortError::UnknownStream));
}

#[test]
fn owned_bytes_keep_what_was_not_taken() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Uni).unwrap();
    let all: Vec<u8> = (0..12_000u32).map(|at| at as u8).collect();
    let mut data = Bytes::from(all.clone());
    assert_eq!(client.write_bytes(id, &mut data), Ok(WINDOW as usize));
    assert_eq!(data, all[WINDOW as usize..]);
    assert_eq!(client.write_bytes(id, &mut data), Err(WriteError::Blocked));
    assert_eq!(data.len(), 2000);
    settle(&mut client, &mut server);
    assert_eq!(read_all(&mut server, id), Ok((all[..WINDOW as usize].to_vec(), false)));
    settle(&mut client, &mut server);
    assert_eq!(events(&mut client), [StreamEvent::Writable { id }]);
    assert_eq!(client.write_bytes(id, &mut data), Ok(2000));
    client.finish(id).unwrap();
    settle(&mut client, &mut server);
    assert_eq!(read_all(&mut server, id), Ok((all[WINDOW as usize..].to_vec(), true)));
}

// STOP_SENDING, section 3.5.

#[test]
fn stop_sending_is_answered_by_a_reset_with_the_same_code() {
    let mut client = client();
    let id = client.open(Dir::Bidi).unwrap();
    client.write(id, b"abc").unwrap();
    client.on_stop_sending(id, 7).unwrap();
    client.on_stop_sending(id, 8).unwrap();
    assert_eq!(events(&mut client), [StreamEvent::Stopped { id, code: 7 }]);
    assert_eq!(controls(&mut client), [Control::ResetStream { id, code: 7, final_size: 0 }]);
}

#[test]
fn stop_sending_in_data_sent_resets_instead_of_sending_again() {
    let mut client = client();
    let id = client.open(Dir::Uni).unwrap();
    client.write(id, b"abc").unwrap();
    client.finish(id).unwrap();
    let chunk = client.next_data(ROOM).unwrap();
    client.on_stop_sending(id, 7).unwrap();
    client.on_data_lost(&chunk);
    assert!(client.next_data(ROOM).is_none());
    assert_eq!(controls(&mut client), [Control::ResetStream { id, code: 7, final_size: 3 }]);
}

/// S2
#[test]
fn stop_sending_alone_does_not_end_the_other_direction() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    client.write(id, b"request").unwrap();
    settle(&mut client, &mut server);
    server.stop_sending(id, 3).unwrap();
    settle(&mut client, &mut server);
    assert_eq!(events(&mut client), [StreamEvent::Stopped { id, code: 3 }]);
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }], "we stopped: the answer is no news");
    server.write(id, b"answer").unwrap();
    server.finish(id).unwrap();
    settle(&mut client, &mut server);
    assert_eq!(read_all(&mut client, id), Ok((b"answer".to_vec(), true)));
    events(&mut server);
    assert_eq!((client.len(), server.len()), (0, 0));
}

#[test]
fn stopped_streams_drop_what_arrives() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, b"abc").unwrap();
    server.stop_sending(CLIENT_UNI, 1).unwrap();
    assert_eq!(read_all(&mut server, CLIENT_UNI), Err(ReadError::Stopped));
    server.on_stream(CLIENT_UNI, 3, false, &[0; 5000]).unwrap();
    assert_eq!(events(&mut server), [StreamEvent::Opened { id: CLIENT_UNI }]);
    // The one spare block.
    assert!(server.memory_used() <= 2048);
}

#[test]
fn stop_sending_is_repeated_until_it_arrived() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, b"abc").unwrap();
    events(&mut server);
    server.stop_sending(CLIENT_UNI, 1).unwrap();
    server.stop_sending(CLIENT_UNI, 2).unwrap();
    let stop = Control::StopSending { id: CLIENT_UNI, code: 1 };
    for _ in 0..2 {
        assert_eq!(controls(&mut server), [stop]);
        server.on_control_lost(&stop);
    }
    assert_eq!(controls(&mut server), [stop]);
    server.on_stream(CLIENT_UNI, 3, true, b"").unwrap();
    assert_eq!(server.len(), 1, "size known; the peer may not know that we stopped");
    server.on_control_acked(&stop);
    assert_eq!(server.len(), 0);
}

#[test]
fn there_is_nothing_to_stop_once_all_data_or_a_reset_arrived() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, true, b"abc").unwrap();
    server.on_stream(CLIENT_BIDI, 0, false, b"abc").unwrap();
    server.on_reset_stream(CLIENT_BIDI, 4, 3).unwrap();
    server.stop_sending(CLIENT_UNI, 1).unwrap();
    server.stop_sending(CLIENT_BIDI, 1).unwrap();
    assert!(controls(&mut server).iter().all(|control| !matches!(control, Control::StopSending { .. })));
    assert_eq!(
        events(&mut server),
        [
            StreamEvent::Opened { id: CLIENT_UNI },
            StreamEvent::Opened { id: CLIENT_BIDI },
            StreamEvent::Closed { id: CLIENT_UNI, error: Some(1) }
        ],
        "who stopped wants no news"
    );
}

// Receiving part, section 3.2.

#[test]
fn the_receiving_part_goes_from_receive_over_size_known_to_data_read() {
    let mut server = server();
    let id = CLIENT_UNI;
    server.on_stream(id, 0, false, b"ab").unwrap();
    assert_eq!(server.receive_state(id), Some(ReceiveState::Receive));
    server.on_stream(id, 4, true, b"ef").unwrap();
    assert_eq!(server.receive_state(id), Some(ReceiveState::SizeKnown));
    server.on_stream(id, 1, false, b"bcde").unwrap();
    assert_eq!(server.receive_state(id), Some(ReceiveState::DataReceived));
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }, StreamEvent::Readable { id }]);
    let peek = server.peek(id).unwrap();
    assert_eq!((peek.data, peek.finished), (&b"abcdef"[..], false));
    assert_eq!(server.consume(id, 6), Ok(6));
    assert_eq!(server.receive_state(id), Some(ReceiveState::DataReceived), "the end was not seen");
    let peek = server.peek(id).unwrap();
    assert_eq!((peek.data, peek.finished), (&b""[..], true));
    assert_eq!(server.receive_state(id), None, "over");
    assert_eq!(server.peek(id), Err(ReadError::UnknownStream));
}

#[test]
fn the_end_of_one_direction_can_be_asked_for_again_while_the_other_lives() {
    let mut server = server();
    server.on_stream(CLIENT_BIDI, 0, true, b"").unwrap();
    for _ in 0..2 {
        assert_eq!(read_all(&mut server, CLIENT_BIDI), Ok((vec![], true)));
        assert_eq!(server.receive_state(CLIENT_BIDI), Some(ReceiveState::DataRead));
    }
}

#[test]
fn duplicates_bring_nothing_new() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, b"abc").unwrap();
    events(&mut server);
    server.on_stream(CLIENT_UNI, 0, false, b"abc").unwrap();
    server.on_stream(CLIENT_UNI, 1, false, b"b").unwrap();
    assert_eq!(events(&mut server), []);
    server.on_stream(CLIENT_UNI, 2, false, b"cd").unwrap();
    server.on_stream(CLIENT_UNI, 4, true, b"").unwrap();
    server.on_stream(CLIENT_UNI, 4, true, b"").unwrap();
    assert_eq!(events(&mut server), [StreamEvent::Readable { id: CLIENT_UNI }], "one for both");
    assert_eq!(read_all(&mut server, CLIENT_UNI), Ok((b"abcd".to_vec(), true)));
    server.on_stream(CLIENT_UNI, 0, true, b"abcd").unwrap();
    let closed = StreamEvent::Closed { id: CLIENT_UNI, error: None };
    assert_eq!((server.len(), events(&mut server)), (0, vec![closed]), "a late frame does not revive the stream");
}

#[test]
fn events_of_one_kind_do_not_pile_up() {
    let mut server = server();
    for at in 0..1000 {
        server.on_stream(CLIENT_UNI, at, false, b"a").unwrap();
    }
    let id = CLIENT_UNI;
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }, StreamEvent::Readable { id }]);
}

#[test]
fn a_readable_event_that_is_out_of_date_is_not_told() {
    let mut server = server();
    server.on_stream(CLIENT_BIDI, 0, false, b"abc").unwrap();
    assert_eq!(read_all(&mut server, CLIENT_BIDI), Ok((b"abc".to_vec(), false)));
    assert_eq!(events(&mut server), [StreamEvent::Opened { id: CLIENT_BIDI }]);
}

#[test]
fn a_reset_drops_unread_data_and_is_told() {
    let mut server = server();
    let id = CLIENT_BIDI;
    server.on_stream(id, 0, false, b"abc").unwrap();
    server.on_reset_stream(id, 77, 10).unwrap();
    server.on_reset_stream(id, 77, 10).unwrap();
    assert_eq!(server.receive_state(id), Some(ReceiveState::ResetReceived));
    assert_eq!(server.read(id, &mut [0; 10]), Err(ReadError::Reset(77)));
    assert_eq!(server.consume(id, 1), Err(ReadError::Reset(77)));
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }, StreamEvent::Reset { id, code: 77 }]);
    assert_eq!(server.receive_state(id), Some(ReceiveState::ResetRead));
    assert_eq!(server.peek(id), Err(ReadError::Reset(77)));
    server.on_stream(id, 3, false, b"defg").unwrap();
    assert_eq!(events(&mut server), []);
}

#[test]
fn a_reset_after_all_data_arrived_is_suppressed() {
    let mut server = server();
    let id = CLIENT_UNI;
    server.on_stream(id, 0, true, b"abc").unwrap();
    server.on_reset_stream(id, 1, 3).unwrap();
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }, StreamEvent::Readable { id }]);
    assert_eq!(read_all(&mut server, id), Ok((b"abc".to_vec(), true)));
}

#[test]
fn a_reset_at_the_end_of_the_data_is_no_fin() {
    let mut server = server();
    let id = CLIENT_UNI;
    server.on_stream(id, 0, false, b"abc").unwrap();
    server.on_reset_stream(id, 1, 3).unwrap();
    let closed = StreamEvent::Closed { id, error: Some(1) };
    assert_eq!(events(&mut server), [StreamEvent::Opened { id }, StreamEvent::Reset { id, code: 1 }, closed]);
}

#[test]
fn one_direction_lives_on_when_the_other_is_reset() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    client.reset(id, 1).unwrap();
    settle(&mut client, &mut server);
    server.write(id, b"still here").unwrap();
    server.finish(id).unwrap();
    settle(&mut client, &mut server);
    assert_eq!(read_all(&mut client, id), Ok((b"still here".to_vec(), true)));
    assert_eq!(
        events(&mut server),
        [
            StreamEvent::Opened { id },
            StreamEvent::Reset { id, code: 1 },
            StreamEvent::Finished { id },
            StreamEvent::Closed { id, error: Some(1) }
        ]
    );
    assert_eq!((client.len(), server.len()), (0, 0));
}

#[test]
fn a_stream_stays_until_both_directions_are_over() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    client.finish(id).unwrap();
    settle(&mut client, &mut server);
    assert_eq!(events(&mut client), [StreamEvent::Finished { id }]);
    assert_eq!(client.len(), 1);
    server.finish(id).unwrap();
    settle(&mut client, &mut server);
    events(&mut server);
    assert_eq!(server.len(), 1, "the end was not read");
    assert_eq!(read_all(&mut server, id), Ok((vec![], true)));
    assert_eq!(read_all(&mut client, id), Ok((vec![], true)));
    assert_eq!((client.len(), server.len()), (0, 0));
}

// Final size, section 4.5.

#[test]
fn the_final_size_must_not_change() {
    for (offset, fin, data) in [(0, true, &b"ab"[..]), (0, true, b"abcd"), (3, false, b"d"), (5, true, b"")] {
        let mut server = server();
        server.on_stream(CLIENT_UNI, 0, true, b"abc").unwrap();
        assert_eq!(code(server.on_stream(CLIENT_UNI, offset, fin, data)), FINAL_SIZE);
    }
}

#[test]
fn a_reset_must_not_change_the_final_size() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, true, b"abc").unwrap();
    assert_eq!(code(server.on_reset_stream(CLIENT_UNI, 0, 4)), FINAL_SIZE);
    server.on_reset_stream(CLIENT_BIDI, 0, 4).unwrap();
    assert_eq!(code(server.on_reset_stream(CLIENT_BIDI, 0, 3)), FINAL_SIZE);
    assert_eq!(code(server.on_stream(CLIENT_BIDI, 4, false, b"x")), FINAL_SIZE);
}

#[test]
fn the_final_size_is_not_below_what_was_received() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 5, false, b"abc").unwrap();
    assert_eq!(code(server.on_stream(CLIENT_UNI, 0, true, b"abcdefg")), FINAL_SIZE);
    assert_eq!(code(server.on_reset_stream(CLIENT_UNI, 0, 7)), FINAL_SIZE);
    server.on_reset_stream(CLIENT_UNI, 0, 8).unwrap();
}

#[test]
fn the_final_size_holds_for_stopped_streams() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, b"abc").unwrap();
    server.stop_sending(CLIENT_UNI, 0).unwrap();
    server.on_stream(CLIENT_UNI, 5, true, b"").unwrap();
    assert_eq!(code(server.on_stream(CLIENT_UNI, 5, false, b"x")), FINAL_SIZE);
}

// Frames for streams of the wrong kind, sections 19.4, 19.5, 19.8, 19.10 and 19.13.

#[test]
fn frames_of_a_sender_for_a_send_only_stream_are_errors() {
    let mut server = server();
    server.open(Dir::Uni).unwrap();
    assert_eq!(code(server.on_stream(SERVER_UNI, 0, false, b"")), STREAM_STATE);
    assert_eq!(code(server.on_reset_stream(SERVER_UNI, 0, 0)), STREAM_STATE);
    assert_eq!(code(server.on_stream_data_blocked(SERVER_UNI, 0)), STREAM_STATE);
}

#[test]
fn frames_of_a_receiver_for_a_receive_only_stream_are_errors() {
    let mut server = server();
    server.on_stream(CLIENT_UNI, 0, false, b"a").unwrap();
    assert_eq!(code(server.on_stop_sending(CLIENT_UNI, 0)), STREAM_STATE);
    assert_eq!(code(server.on_max_stream_data(CLIENT_UNI, 0)), STREAM_STATE);
}

#[test]
fn frames_for_a_stream_that_we_did_not_open_are_errors() {
    let mut server = server();
    assert_eq!(code(server.on_stream(SERVER_BIDI, 0, false, b"")), STREAM_STATE);
    assert_eq!(code(server.on_reset_stream(SERVER_BIDI, 0, 0)), STREAM_STATE);
    assert_eq!(code(server.on_stream_data_blocked(SERVER_BIDI, 0)), STREAM_STATE);
    assert_eq!(code(server.on_stop_sending(SERVER_BIDI, 0)), STREAM_STATE);
    assert_eq!(code(server.on_stop_sending(SERVER_UNI, 0)), STREAM_STATE);
    assert_eq!(code(server.on_max_stream_data(SERVER_BIDI, 0)), STREAM_STATE);
    assert_eq!(code(server.on_max_stream_data(SERVER_UNI, 0)), STREAM_STATE);
    server.open(Dir::Bidi).unwrap();
    server.on_max_stream_data(SERVER_BIDI, 0).unwrap();
    assert_eq!(code(server.on_stop_sending(StreamId::new(Side::Server, Dir::Bidi, 1), 0)), STREAM_STATE);
}

#[test]
fn every_frame_for_a_stream_that_is_over_is_ignored() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    client.reset(id, 0).unwrap();
    client.stop_sending(id, 0).unwrap();
    settle(&mut client, &mut server);
    events(&mut server);
    events(&mut client);
    assert_eq!((client.len(), server.len()), (0, 0));
    for end in [&mut client, &mut server] {
        end.on_stream(id, 0, true, b"late").unwrap();
        end.on_reset_stream(id, 0, 9).unwrap();
        end.on_stop_sending(id, 0).unwrap();
        end.on_max_stream_data(id, 1 << 40).unwrap();
        end.on_stream_data_blocked(id, 1 << 40).unwrap();
        assert_eq!((end.len(), events(end)), (0, vec![]));
    }
}

#[test]
fn any_frame_but_a_blocked_count_opens_a_stream_of_the_peers() {
    let mut server = server();
    let ids: Vec<_> = (0..COUNT).map(|index| StreamId::new(Side::Client, Dir::Bidi, index)).collect();
    server.on_stop_sending(ids[0], 1).unwrap();
    server.on_max_stream_data(ids[1], 1).unwrap();
    server.on_stream_data_blocked(ids[2], 1).unwrap();
    server.on_streams_blocked(Dir::Bidi, COUNT).unwrap();
    assert_eq!(
        events(&mut server),
        [
            StreamEvent::Opened { id: ids[0] },
            StreamEvent::Stopped { id: ids[0], code: 1 },
            StreamEvent::Opened { id: ids[1] },
            StreamEvent::Opened { id: ids[2] },
        ]
    );
}

// Counts, section 4.6.

#[test]
fn streams_beyond_the_limit_are_errors() {
    for dir in [Dir::Bidi, Dir::Uni] {
        let mut server = server();
        let last = StreamId::new(Side::Client, dir, COUNT - 1);
        let beyond = StreamId::new(Side::Client, dir, COUNT);
        server.on_stream(last, 0, false, b"").unwrap();
        assert_eq!(code(server.on_stream(beyond, 0, false, b"")), STREAM_LIMIT);
        assert_eq!(code(server.on_reset_stream(beyond, 0, 0)), STREAM_LIMIT);
        assert_eq!(code(server.on_stream_data_blocked(beyond, 0)), STREAM_LIMIT);
        if dir == Dir::Bidi {
            assert_eq!(code(server.on_stop_sending(beyond, 0)), STREAM_LIMIT);
            assert_eq!(code(server.on_max_stream_data(beyond, 0)), STREAM_LIMIT);
        }
    }
}

#[test]
fn counts_above_2_to_the_60_are_errors() {
    let mut server = server();
    let encoding = TransportErrorCode::FRAME_ENCODING_ERROR;
    server.on_max_streams(Dir::Bidi, 1 << 60).unwrap();
    assert_eq!(code(server.on_max_streams(Dir::Bidi, (1 << 60) + 1)), encoding);
    assert_eq!(code(server.on_streams_blocked(Dir::Uni, (1 << 60) + 1)), encoding);
    assert_eq!(code(server.on_streams_blocked(Dir::Uni, COUNT + 1)), STREAM_LIMIT);
}

/// S8: only streams that a frame names are told.
#[test]
fn a_higher_stream_opens_the_lower_ones_without_telling() {
    let mut server = server();
    let ids: Vec<_> = (0..COUNT).map(|index| StreamId::new(Side::Client, Dir::Uni, index)).collect();
    server.on_stream(ids[2], 0, false, b"c").unwrap();
    assert_eq!(server.len(), 1);
    assert_eq!(events(&mut server), [StreamEvent::Opened { id: ids[2] }, StreamEvent::Readable { id: ids[2] }]);
    server.on_stream(ids[0], 0, true, b"").unwrap();
    assert_eq!(events(&mut server), [StreamEvent::Opened { id: ids[0] }, StreamEvent::Readable { id: ids[0] }]);
}

#[test]
fn no_stream_opens_before_the_peers_limits_are_known() {
    let mut client = Streams::new(Side::Client, &settings());
    assert_eq!(client.open(Dir::Bidi), Err(OpenError::Blocked(Dir::Bidi)));
    assert!(!client.has_control(), "no limit to name yet");
    client.set_peer_limits(&limits());
    assert_eq!(events(&mut client), [StreamEvent::Available { dir: Dir::Bidi }]);
    assert_eq!(client.open(Dir::Bidi), Ok(CLIENT_BIDI));
}

/// S11
#[test]
fn a_refused_open_is_reported_and_told_when_there_is_more() {
    let mut client = client();
    for _ in 0..COUNT {
        client.open(Dir::Uni).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(client.open(Dir::Uni), Err(OpenError::Blocked(Dir::Uni)));
    }
    let blocked = Control::StreamsBlocked { dir: Dir::Uni, limit: COUNT };
    assert_eq!(controls(&mut client), [blocked]);
    client.on_control_lost(&blocked);
    assert_eq!(controls(&mut client), [blocked]);
    client.on_max_streams(Dir::Uni, COUNT).unwrap();
    client.on_max_streams(Dir::Uni, COUNT - 1).unwrap();
    assert_eq!(events(&mut client), [], "limits that do not rise are ignored");
    client.on_max_streams(Dir::Uni, COUNT + 2).unwrap();
    client.on_control_lost(&blocked);
    assert!(!client.has_control(), "no longer blocked");
    assert_eq!(events(&mut client), [StreamEvent::Available { dir: Dir::Uni }]);
    client.open(Dir::Uni).unwrap();
}

#[test]
fn closed_streams_of_the_peers_make_room_for_new_ones() {
    let (mut client, mut server) = (client(), server());
    for round in 0..100 {
        let id = client.open(Dir::Uni).unwrap();
        assert_eq!(id.index(), round);
        client.write(id, b"x").unwrap();
        client.finish(id).unwrap();
        settle(&mut client, &mut server);
        assert_eq!(read_all(&mut server, id), Ok((b"x".to_vec(), true)));
        events(&mut client);
        events(&mut server);
        settle(&mut client, &mut server);
    }
    assert_eq!((client.len(), server.len()), (0, 0));
    assert_eq!((client.memory_used(), server.memory_used()), (0, 0));
}

#[test]
fn a_lost_max_streams_is_repeated_unless_a_newer_one_went() {
    let mut server = server();
    for index in 0..2 {
        let id = StreamId::new(Side::Client, Dir::Uni, index);
        server.on_stream(id, 0, true, b"").unwrap();
        events(&mut server);
        read_all(&mut server, id).unwrap();
        let limit = COUNT + index + 1;
        assert_eq!(controls(&mut server), [Control::MaxStreams { dir: Dir::Uni, limit }]);
    }
    server.on_control_lost(&Control::MaxStreams { dir: Dir::Uni, limit: COUNT + 1 });
    assert!(!server.has_control());
    let newest = Control::MaxStreams { dir: Dir::Uni, limit: COUNT + 2 };
    server.on_control_lost(&newest);
    assert_eq!(controls(&mut server), [newest]);
}

// Many streams, many pieces.

#[test]
fn thousands_of_streams_do_not_slow_one_another() {
    const STREAMS: u64 = 20_000;
    let mut limits = limits();
    limits.max_streams_uni = STREAMS;
    limits.max_data = 1 << 30;
    let settings = Settings { receive: limits, flow_control: FlowControl::default(), send_buffer: 1 << 30 };
    let mut client = Streams::new(Side::Client, &settings);
    let mut server = Streams::new(Side::Server, &settings);
    client.set_peer_limits(&limits);
    server.set_peer_limits(&limits);
    let ids: Vec<_> = (0..STREAMS).map(|_| client.open(Dir::Uni).unwrap()).collect();
    for id in &ids {
        client.write(*id, &id.0.to_be_bytes()).unwrap();
        client.finish(*id).unwrap();
    }
    assert!(client.memory_used() <= 64 * STREAMS as usize);
    settle(&mut client, &mut server);
    for id in &ids {
        assert_eq!(read_all(&mut server, *id), Ok((id.0.to_be_bytes().to_vec(), true)));
    }
    assert_eq!(events(&mut client).len() as u64, 2 * STREAMS);
    assert_eq!(events(&mut server).len() as u64, 2 * STREAMS, "one Opened and Closed each; Readable is out of date");
    assert_eq!((client.len(), server.len()), (0, 0));
    assert_eq!((client.memory_used(), server.memory_used()), (0, 0));
}

#[test]
fn too_many_gaps_close_the_connection() {
    let mut server = server();
    let result = (0..5_000).try_for_each(|at| server.on_stream(CLIENT_UNI, 2 * at + 1, false, b"x"));
    assert_eq!(code(result), TransportErrorCode::PROTOCOL_VIOLATION);
}
