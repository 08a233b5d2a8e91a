//! The caller's stream commands, and the settings that rooms take from the connection's.

use bytes::Bytes;

use super::close::State;
use super::{Connection, Event};
use crate::diagnostics::{StreamState, TraceEvent};
use crate::recovery;
use crate::settings::TransportSettings;
use crate::stream::{
    self, AbortError, CreditError, OpenError, Pace, Peek, Priority, Read, ReadChunk, ReadError, ReceiveState,
    SendState, StreamEvent, WriteError,
};
use crate::wire::{Dir, StreamId, Time};

/// What we allow the peer: in our transport parameters, and in the stream room that holds it to them.
pub(super) fn receive_limits(settings: &TransportSettings) -> stream::Limits {
    stream::Limits {
        max_data: settings.initial_max_data,
        max_stream_data_bidi_local: settings.initial_max_stream_data_bidi_local,
        max_stream_data_bidi_remote: settings.initial_max_stream_data_bidi_remote,
        max_stream_data_uni: settings.initial_max_stream_data_uni,
        max_streams_bidi: settings.initial_max_streams_bidi,
        max_streams_uni: settings.initial_max_streams_uni,
    }
    .clamped()
}

pub(super) fn stream_settings(settings: &TransportSettings) -> stream::Settings {
    stream::Settings {
        receive: receive_limits(settings),
        flow_control: settings.flow_control,
        send_buffer: settings.send_buffer,
    }
}

pub(super) fn recovery_settings(settings: &TransportSettings) -> recovery::Settings {
    let initial_rtt = u64::try_from(settings.initial_rtt.as_nanos()).unwrap_or(u64::MAX);
    recovery::Settings {
        initial_rtt,
        ack_eliciting_threshold: settings.ack_eliciting_threshold.into(),
        initial_packet_number: settings.initial_packet_number.into(),
    }
}

pub(super) const fn event(event: StreamEvent) -> Event {
    match event {
        StreamEvent::AllOver => Event::StreamsFinished,
        StreamEvent::Opened { id } => Event::StreamOpened { id },
        StreamEvent::Readable { id } => Event::StreamReadable { id },
        StreamEvent::Writable { id } => Event::StreamWritable { id },
        StreamEvent::Acked { id, offset } => Event::StreamAcked { id, offset },
        StreamEvent::Closed { id, error } => Event::StreamClosed { id, error },
        StreamEvent::Finished { id } => Event::StreamFinished { id },
        StreamEvent::Reset { id, code } => Event::StreamReset { id, code },
        StreamEvent::Stopped { id, code } => Event::StreamStopped { id, code },
        StreamEvent::CreditAvailable => Event::DataCreditAvailable,
        StreamEvent::Available { dir } => Event::StreamsAvailable { dir },
    }
}

/// Stream commands. On a closed connection streams are unknown to those that send; what was received before the close
/// can be read until [`Event::Drained`].
impl Connection {
    fn streams_open(&mut self) -> Option<&mut stream::Streams> {
        matches!(self.state, State::Open).then_some(&mut self.streams)
    }

    /// Tells the stream room what its windows grow by.
    pub(super) fn pace_streams(&mut self, now: Time) {
        let smoothed_rtt = self.recovery.rtt().smoothed;
        let headroom = u64::try_from(self.memory_headroom).unwrap_or(u64::MAX);
        self.streams.set_pace(Pace { now, smoothed_rtt, headroom });
    }

    /// Bytes that can be written on all streams together before the peer gives more credit
    /// ([`Event::DataCreditAvailable`]); the send buffer and the congestion window may allow less.
    #[must_use]
    pub fn send_credit(&self) -> u64 {
        self.streams.send_credit()
    }

    /// Bytes that can be written on a stream before the peer gives it more credit; `None` where we do not send on it.
    #[must_use]
    pub fn stream_send_credit(&self, id: StreamId) -> Option<u64> {
        self.streams.stream_send_credit(id)
    }

    /// Streams that can be opened before the peer allows more ([`Event::StreamsAvailable`]).
    #[must_use]
    pub fn streams_left(&self, dir: Dir) -> u64 {
        self.streams.streams_left(dir)
    }

    /// With [`FlowControl::Manual`](stream::FlowControl::Manual): allows the peer `bytes` more on all streams together.
    pub fn extend_max_data(&mut self, bytes: u64) -> Result<(), CreditError> {
        self.streams_open().ok_or(CreditError::Closed)?.extend_max_data(bytes)
    }

    /// With [`FlowControl::Manual`](stream::FlowControl::Manual): allows the peer `bytes` more on a stream.
    pub fn extend_max_stream_data(&mut self, id: StreamId, bytes: u64) -> Result<(), CreditError> {
        self.streams_open().ok_or(CreditError::Closed)?.extend_max_stream_data(id, bytes)
    }

    /// With [`FlowControl::Manual`](stream::FlowControl::Manual): allows the peer to open `count` more streams.
    pub fn extend_max_streams(&mut self, dir: Dir, count: u64) -> Result<(), CreditError> {
        self.streams_open().ok_or(CreditError::Closed)?.extend_max_streams(dir, count)
    }

    /// Begins a graceful end: no streams are opened from now on, and the peer is allowed no more than so far, while
    /// those that are open go on. [`Event::StreamsFinished`] follows when every stream is over; then
    /// [`close`](Self::close). An application protocol tells its peer to stop by a message of its own, such as GOAWAY.
    pub fn shutdown(&mut self) {
        if let Some(streams) = self.streams_open() {
            streams.shut_down();
        }
    }

    /// Opens a stream. Blocked where the peer grants no more; [`Event::StreamsAvailable`] follows when it does.
    pub fn open(&mut self, dir: Dir) -> Result<StreamId, OpenError> {
        let id = self.streams_open().ok_or(OpenError::Closed)?.open(dir)?;
        self.count_opened(id);
        Ok(id)
    }

    /// Sets a stream's place among those that have something to send: the peer does not learn of it. It holds from the
    /// next packet on. An urgency above 7 counts as 7.
    pub fn set_priority(&mut self, id: StreamId, priority: Priority) -> Result<(), WriteError> {
        self.streams_open().ok_or(WriteError::UnknownStream)?.set_priority(id, priority)
    }

    /// A stream's place among those that have something to send; `None` where it is unknown or only the peer sends.
    #[must_use]
    pub fn priority(&self, id: StreamId) -> Option<Priority> {
        self.streams.priority(id)
    }

    /// Appends `data` to a stream, copied; returns how many bytes were taken, at least one unless `data` is empty.
    pub fn write(&mut self, id: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        let written = self.streams_open().ok_or(WriteError::UnknownStream)?.write(id, data)?;
        self.trace_written(id, written, false);
        Ok(written)
    }

    /// Appends `data` to a stream without a copy, and takes what was accepted off its front.
    pub fn write_bytes(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        let written = self.streams_open().ok_or(WriteError::UnknownStream)?.write_bytes(id, data)?;
        self.trace_written(id, written, false);
        Ok(written)
    }

    /// Ends the sending side of a stream: what was written is delivered, then the end.
    pub fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        self.streams_open().ok_or(WriteError::UnknownStream)?.finish(id)?;
        self.trace_written(id, 0, true);
        Ok(())
    }

    /// Abandons the sending side of a stream, with an application error code (RFC 9000 section 19.4).
    pub fn reset(&mut self, id: StreamId, code: u64) -> Result<(), AbortError> {
        self.streams_open().ok_or(AbortError::UnknownStream)?.reset(id, code)?;
        self.tell(&TraceEvent::StreamStateUpdated { id, state: StreamState::ResetSent });
        Ok(())
    }

    /// Asks the peer to abandon its sending side (RFC 9000 section 19.5). What arrives is dropped.
    pub fn stop_sending(&mut self, id: StreamId, code: u64) -> Result<(), AbortError> {
        self.streams_open().ok_or(AbortError::UnknownStream)?.stop_sending(id, code)
    }

    /// The next bytes of a stream, as far as they lie in one piece, without a copy.
    pub fn peek(&mut self, id: StreamId) -> Result<Peek<'_>, ReadError> {
        self.streams.peek(id)
    }

    /// Takes `len` bytes off the front of a stream, as far as they are there: the peer may send as many more. Returns
    /// how many were taken.
    pub fn consume(&mut self, id: StreamId, len: usize) -> Result<usize, ReadError> {
        let consumed = self.streams.consume(id, len)?;
        self.trace_read(id, consumed);
        Ok(consumed)
    }

    /// Copies the next bytes of a stream into `out`.
    pub fn read(&mut self, id: StreamId, out: &mut [u8]) -> Result<Read, ReadError> {
        let read = self.streams.read(id, out)?;
        self.trace_read(id, read.len);
        Ok(read)
    }

    /// Takes up to `max` of the next bytes of a stream, as many as lie in one piece: without a copy where they fill a
    /// quarter of the block that holds them.
    pub fn read_chunk(&mut self, id: StreamId, max: usize) -> Result<ReadChunk, ReadError> {
        let chunk = self.streams.read_chunk(id, max)?;
        self.trace_read(id, chunk.data.len());
        Ok(chunk)
    }

    /// Chooses whether [`Event::StreamAcked`] tells how far the peer has a stream; not at first.
    pub fn set_acked_events(&mut self, id: StreamId, enabled: bool) -> Result<(), WriteError> {
        self.streams_open().ok_or(WriteError::UnknownStream)?.set_acked_events(id, enabled)
    }

    /// The state of the sending side of a stream (RFC 9000 section 3.1); `None` where it is gone or only the peer sends.
    #[must_use]
    pub fn send_state(&self, id: StreamId) -> Option<SendState> {
        self.streams.send_state(id)
    }

    /// The state of the receiving side of a stream (RFC 9000 section 3.2); `None` where it is gone or only we send.
    #[must_use]
    pub fn receive_state(&self, id: StreamId) -> Option<ReceiveState> {
        self.streams.receive_state(id)
    }
}
