//! The life of a stream through whole connections: opening, writing, half-close each way, abandoning, the end (RFC 9000
//! section 3).

mod keyed;
mod pair;

use keyed::Keyed;
use pair::MILLISECOND;
use quillon::packet::Frame;
use quillon::stream::{AbortError, ReadError, ReceiveState, SendState, WriteError};
use quillon::{Dir, Event, Idle, Side, StreamId, Transmit, TransportSettings};

/// What STREAM frames the client sent since `after`: offset, length, FIN.
fn stream_frames(keyed: &Keyed, after: usize, wanted: StreamId) -> Vec<(u64, usize, bool)> {
    keyed.frames(Side::Client, after, |frame| match frame {
        Frame::Stream { id, offset, fin, data } if *id == wanted => Some((*offset, data.len(), *fin)),
        _ => None,
    })
}

/// A connected pair whose client has opened a bidirectional stream and written to it.
fn with_stream() -> (Keyed, StreamId) {
    let mut keyed = Keyed::new();
    let client = keyed.client;
    let connection = keyed.pair.client.connection(client);
    let id = connection.open(Dir::Bidi).unwrap();
    connection.write(id, b"request").unwrap();
    keyed.pair.settle();
    (keyed, id)
}

/// What the closed events of both ends say of a stream, where they came.
fn closed(keyed: &mut Keyed, wanted: StreamId) -> (Option<Option<u64>>, Option<Option<u64>>) {
    let error = |event: &Event| match event {
        Event::StreamClosed { id, error } if *id == wanted => Some(*error),
        _ => None,
    };
    (keyed.pair.client.take(error).map(|found| found.1), keyed.pair.server.take(error).map(|found| found.1))
}

/// W1: also on a connection that is closing.
#[test]
fn a_write_to_an_unknown_stream_is_refused() {
    let (mut keyed, id) = with_stream();
    let (client, now) = (keyed.client, keyed.pair.now);
    let connection = keyed.pair.client.connection(client);
    assert_eq!(connection.write(StreamId(4000), b"x"), Err(WriteError::UnknownStream));
    connection.close(now, 0, b"");
    assert_eq!(connection.write(StreamId(4000), b"x"), Err(WriteError::UnknownStream));
    assert_eq!(connection.write(id, b"x"), Err(WriteError::UnknownStream));
}

/// W2: the reason tells an end from a reset, and a reset of ours from one that the peer asked for.
#[test]
fn a_write_after_the_end_is_refused_with_the_reason() {
    let (mut keyed, id) = with_stream();
    let (client, server) = (keyed.client, keyed.server);
    let connection = keyed.pair.client.connection(client);
    connection.finish(id).unwrap();
    assert_eq!(connection.write(id, b"x"), Err(WriteError::Finished));
    assert_eq!(connection.finish(id), Err(WriteError::Finished));
    let reset = connection.open(Dir::Bidi).unwrap();
    connection.reset(reset, 1).unwrap();
    assert_eq!(connection.write(reset, b"x"), Err(WriteError::Reset));
    let stopped = connection.open(Dir::Bidi).unwrap();
    connection.write(stopped, b"x").unwrap();
    keyed.pair.settle();
    keyed.pair.server.connection(server).stop_sending(stopped, 7).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.saw(&Event::StreamStopped { id: stopped, code: 7 }).is_some());
    assert_eq!(keyed.pair.client.connection(client).write(stopped, b"x"), Err(WriteError::Stopped(7)));
}

/// W4, W6: nothing written puts nothing on the wire, also on a fresh stream, which the reference announces; a stream
/// that ends without data is a frame of length 0 with the FIN.
#[test]
fn an_empty_write_sends_nothing_and_an_empty_stream_one_frame() {
    let mut keyed = Keyed::new();
    let (client, server, now) = (keyed.client, keyed.server, keyed.pair.now);
    let sent = keyed.pair.client.sent.len();
    let connection = keyed.pair.client.connection(client);
    let id = connection.open(Dir::Uni).unwrap();
    assert_eq!(connection.write(id, b""), Ok(0));
    assert_eq!(connection.transmit(now, &mut [0; 1500]), Transmit::Idle(Idle::Nothing));
    connection.finish(id).unwrap();
    keyed.pair.settle();
    assert_eq!(stream_frames(&keyed, sent, id), [(0, 0, true)]);
    let read = keyed.pair.server.connection(server).read(id, &mut [0; 10]).unwrap();
    assert_eq!((read.len, read.finished), (0, true));
}

/// W5: the FIN is on the last frame alone, and needs no second call.
#[test]
fn the_fin_is_on_the_frame_with_the_last_byte() {
    let mut keyed = Keyed::new();
    let client = keyed.client;
    let sent = keyed.pair.client.sent.len();
    let connection = keyed.pair.client.connection(client);
    let id = connection.open(Dir::Uni).unwrap();
    connection.write(id, &[1; 5000]).unwrap();
    connection.finish(id).unwrap();
    keyed.pair.settle();
    let frames = stream_frames(&keyed, sent, id);
    assert!(frames.len() > 3);
    let (last, before) = frames.split_last().unwrap();
    assert_eq!((last.0 + last.1 as u64, last.2), (5000, true));
    assert!(before.iter().all(|(_, _, fin)| !fin));
}

/// W12: there is nothing to flush: what was written goes with the next `transmit`, together where it fits.
#[test]
fn writes_to_several_streams_share_a_packet() {
    let mut keyed = Keyed::new();
    let client = keyed.client;
    let sent = keyed.pair.client.sent.len();
    for n in 0..5 {
        let connection = keyed.pair.client.connection(client);
        let id = connection.open(Dir::Uni).unwrap();
        connection.write(id, &[n; 100]).unwrap();
    }
    keyed.pair.run_for(MILLISECOND);
    assert_eq!(keyed.pair.client.sent.len(), sent + 1);
}

/// W17: a setting, where the reference has a flag for each call. Bare acknowledgments keep their size.
#[test]
fn packets_that_ask_for_an_acknowledgment_can_be_padded_to_the_size_of_the_path() {
    let padded = TransportSettings {
        pad_packets: true,
        max_udp_payload_size: 1400,
        mtu_discovery_sizes: vec![],
        ..TransportSettings::default()
    };
    let mut keyed = Keyed::with(padded, TransportSettings::default());
    let (client, server) = (keyed.client, keyed.server);
    let sent = keyed.pair.client.sent.len();
    let connection = keyed.pair.client.connection(client);
    let max = connection.max_datagram_size().unwrap();
    connection.send_datagram(vec![3; max].into()).unwrap();
    connection.send_datagram(vec![4; 5].into()).unwrap();
    let id = connection.open(Dir::Bidi).unwrap();
    connection.write(id, b"x").unwrap();
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.sent[sent..].iter().map(Vec::len).collect::<Vec<_>>(), [1400; 2]);
    keyed.pair.server.connection(server).write(id, b"y").unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.sent.last().unwrap().len() < 60, "an acknowledgment");
    let connection = keyed.pair.server.connection(server);
    assert_eq!(connection.recv_datagram().unwrap(), vec![3; max]);
    assert_eq!(connection.recv_datagram().unwrap(), vec![4; 5]);
    assert_eq!(connection.peek(id).unwrap().data, b"x");
}

/// S1: a stream is closed when each end has everything and was told, and not before. Each direction ends alone.
#[test]
fn a_stream_is_closed_when_both_directions_are_delivered() {
    let (mut keyed, id) = with_stream();
    let (client, server) = (keyed.client, keyed.server);
    keyed.pair.client.connection(client).finish(id).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.saw(&Event::StreamFinished { id }).is_some());
    assert!(keyed.pair.server.connection(server).read(id, &mut [0; 100]).unwrap().finished);
    keyed.pair.settle();
    assert_eq!(closed(&mut keyed, id), (None, None), "half-closed");
    let connection = keyed.pair.client.connection(client);
    assert_eq!(connection.send_state(id), Some(SendState::DataReceived));
    assert_eq!(connection.receive_state(id), Some(ReceiveState::Receive));
    let connection = keyed.pair.server.connection(server);
    assert_eq!(connection.receive_state(id), Some(ReceiveState::DataRead));
    connection.write(id, b"response").unwrap();
    connection.finish(id).unwrap();
    keyed.pair.settle();
    assert_eq!(closed(&mut keyed, id), (None, Some(None)), "the client has not read it");
    assert!(keyed.pair.client.connection(client).read(id, &mut [0; 100]).unwrap().finished);
    keyed.pair.settle();
    assert_eq!(closed(&mut keyed, id), (Some(None), None));
    assert_eq!(keyed.pair.client.connection(client).send_state(id), None);
    assert_eq!(keyed.pair.client.connection(client).peek(id), Err(ReadError::UnknownStream));
}

/// S1, S3: resets of both directions close the stream too; each end tells the code that it met first.
#[test]
fn the_first_error_code_is_that_of_the_closed_event() {
    let (mut keyed, id) = with_stream();
    let (client, server) = (keyed.client, keyed.server);
    keyed.pair.client.connection(client).reset(id, 11).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.server.saw(&Event::StreamReset { id, code: 11 }).is_some());
    keyed.pair.server.connection(server).reset(id, 22).unwrap();
    keyed.pair.settle();
    assert_eq!(closed(&mut keyed, id), (Some(Some(11)), Some(Some(11))));
}

/// S3: our STOP_SENDING comes before the reset that answers it.
#[test]
fn the_code_of_our_stop_is_the_first() {
    let (mut keyed, id) = with_stream();
    let (client, server) = (keyed.client, keyed.server);
    keyed.pair.server.connection(server).stop_sending(id, 33).unwrap();
    keyed.pair.server.connection(server).finish(id).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.connection(client).read(id, &mut [0; 10]).unwrap().finished);
    keyed.pair.settle();
    assert_eq!(closed(&mut keyed, id), (Some(Some(33)), Some(Some(33))));
}

/// S2: a stop ends one direction alone, and that only once the peer has answered.
#[test]
fn a_stop_alone_closes_nothing() {
    let (mut keyed, id) = with_stream();
    let (client, server) = (keyed.client, keyed.server);
    keyed.pair.server.connection(server).stop_sending(id, 1).unwrap();
    keyed.pair.settle();
    assert_eq!(closed(&mut keyed, id), (None, None));
    assert_eq!(keyed.pair.client.connection(client).send_state(id), Some(SendState::ResetReceived));
    keyed.pair.server.connection(server).write(id, b"still").unwrap();
    keyed.pair.settle();
    assert_eq!(keyed.pair.client.connection(client).peek(id).unwrap().data, b"still");
}

/// S4: the reference takes a call for an unknown stream without a word. Ours says so; a caller who does not care ignores
/// it. A direction that a stream does not have cannot be ended.
#[test]
fn only_what_exists_can_be_abandoned() {
    let mut keyed = Keyed::new();
    let (client, server) = (keyed.client, keyed.server);
    let connection = keyed.pair.client.connection(client);
    assert_eq!(connection.reset(StreamId(4000), 0), Err(AbortError::UnknownStream));
    assert_eq!(connection.stop_sending(StreamId(4000), 0), Err(AbortError::UnknownStream));
    let id = connection.open(Dir::Uni).unwrap();
    assert_eq!(connection.stop_sending(id, 0), Err(AbortError::UnknownStream));
    assert_eq!(connection.reset(id, 1 << 62), Err(AbortError::InvalidCode));
    connection.write(id, b"x").unwrap();
    keyed.pair.settle();
    assert_eq!(keyed.pair.server.connection(server).reset(id, 0), Err(AbortError::UnknownStream));
}

/// S5: after a stop nothing is read any more, and what still arrives takes no credit for good.
#[test]
fn after_a_stop_nothing_is_read() {
    let (mut keyed, id) = with_stream();
    let (client, server) = (keyed.client, keyed.server);
    keyed.pair.server.connection(server).stop_sending(id, 1).unwrap();
    keyed.pair.server.events.clear();
    keyed.pair.client.connection(client).write(id, b"late").unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.server.saw(&Event::StreamReadable { id }).is_none());
    assert_eq!(keyed.pair.server.connection(server).peek(id), Err(ReadError::Stopped));
}

/// S7: STOP_SENDING is told to the one who receives it; its sender knows.
#[test]
fn stop_sending_is_told_to_the_peer_alone() {
    let (mut keyed, id) = with_stream();
    let server = keyed.server;
    keyed.pair.server.connection(server).stop_sending(id, 5).unwrap();
    keyed.pair.settle();
    assert!(keyed.pair.client.saw(&Event::StreamStopped { id, code: 5 }).is_some());
    assert!(keyed.pair.server.saw(&Event::StreamStopped { id, code: 5 }).is_none());
    let answered = keyed.frames(Side::Client, 0, |frame| match *frame {
        Frame::ResetStream { id, code, final_size } => Some((id, code, final_size)),
        _ => None,
    });
    assert_eq!(answered, [(id, 5, 7)], "with the code of the stop");
}
