//! The streams of two ends, joined without packets.
#![allow(dead_code, reason = "each test file uses its part")]

use quillon::error::{TransportError, TransportErrorCode};
use quillon::stream::{Chunk, Control, FlowControl, Limits, ReadError, Settings, StreamEvent, Streams};
use quillon::wire::{Dir, Side, StreamId};

pub(crate) const WINDOW: u64 = 10_000;
pub(crate) const CONNECTION_WINDOW: u64 = 25_000;
pub(crate) const COUNT: u64 = 4;
pub(crate) const SEND_BUFFER: u64 = 100_000;
/// Larger than any header, smaller than a packet.
pub(crate) const ROOM: usize = 1200;

pub(crate) const CLIENT_BIDI: StreamId = StreamId::new(Side::Client, Dir::Bidi, 0);
pub(crate) const CLIENT_UNI: StreamId = StreamId::new(Side::Client, Dir::Uni, 0);
pub(crate) const SERVER_BIDI: StreamId = StreamId::new(Side::Server, Dir::Bidi, 0);
pub(crate) const SERVER_UNI: StreamId = StreamId::new(Side::Server, Dir::Uni, 0);

pub(crate) fn limits() -> Limits {
    Limits {
        max_data: CONNECTION_WINDOW,
        max_stream_data_bidi_local: WINDOW,
        max_stream_data_bidi_remote: WINDOW,
        max_stream_data_uni: WINDOW,
        max_streams_bidi: COUNT,
        max_streams_uni: COUNT,
    }
}

pub(crate) fn settings() -> Settings {
    Settings { receive: limits(), flow_control: FlowControl::default(), send_buffer: SEND_BUFFER }
}

/// One end that knows its peer's limits.
pub(crate) fn end(side: Side) -> Streams {
    let mut streams = Streams::new(side, &settings());
    streams.set_peer_limits(&limits());
    streams
}

pub(crate) fn server() -> Streams {
    end(Side::Server)
}

pub(crate) fn client() -> Streams {
    end(Side::Client)
}

/// Hands a control frame to the end that receives it.
pub(crate) fn deliver_control(to: &mut Streams, control: Control) -> Result<(), TransportError> {
    match control {
        Control::MaxData { limit } => to.on_max_data(limit),
        Control::MaxStreamData { id, limit } => to.on_max_stream_data(id, limit)?,
        Control::MaxStreams { dir, limit } => to.on_max_streams(dir, limit)?,
        Control::ResetStream { id, code, final_size } => to.on_reset_stream(id, code, final_size)?,
        Control::StopSending { id, code } => to.on_stop_sending(id, code)?,
        Control::DataBlocked { limit } => to.on_data_blocked(limit)?,
        Control::StreamDataBlocked { id, limit } => to.on_stream_data_blocked(id, limit)?,
        Control::StreamsBlocked { dir, limit } => to.on_streams_blocked(dir, limit)?,
    }
    Ok(())
}

pub(crate) fn bytes_of(from: &Streams, chunk: &Chunk) -> Vec<u8> {
    let mut data = vec![0; chunk.len];
    from.copy_chunk(chunk, &mut data);
    data
}

/// Sends everything that `from` has, and acknowledges it. Returns whether there was anything.
pub(crate) fn send_all(from: &mut Streams, to: &mut Streams) -> bool {
    let mut sent = false;
    while let Some(control) = from.next_control() {
        deliver_control(to, control).unwrap();
        from.on_control_acked(&control);
        sent = true;
    }
    while let Some(chunk) = from.next_data(ROOM) {
        let data = bytes_of(from, &chunk);
        to.on_stream(chunk.id, chunk.offset, chunk.fin, &data).unwrap();
        from.on_data_acked(&chunk);
        sent = true;
    }
    sent
}

/// Exchanges everything until both ends are quiet.
pub(crate) fn settle(a: &mut Streams, b: &mut Streams) {
    while send_all(a, b) | send_all(b, a) {}
}

pub(crate) fn events(streams: &mut Streams) -> Vec<StreamEvent> {
    core::iter::from_fn(|| streams.poll_event()).collect()
}

pub(crate) fn controls(streams: &mut Streams) -> Vec<Control> {
    let all = core::iter::from_fn(|| streams.next_control()).collect();
    assert!(!streams.has_control());
    all
}

/// Reads what there is. Returns the bytes, and whether the stream ended.
pub(crate) fn read_all(streams: &mut Streams, id: StreamId) -> Result<(Vec<u8>, bool), ReadError> {
    let mut all = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match streams.read(id, &mut buffer) {
            Ok(read) => {
                all.extend_from_slice(&buffer[..read.len]);
                if read.finished {
                    return Ok((all, true));
                }
            }
            Err(ReadError::Blocked) => return Ok((all, false)),
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn code<T: core::fmt::Debug>(result: Result<T, TransportError>) -> TransportErrorCode {
    result.unwrap_err().code
}
