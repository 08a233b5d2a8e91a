//! Frames from the peer (RFC 9000 section 19). An error closes the connection.

use super::Streams;
use super::concurrency::MAX_STREAMS;
use super::events::EventSet;
use super::receive::BEYOND_CONNECTION_LIMIT;
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{Dir, StreamId};

impl Streams {
    /// How many frames had no effect since this was last asked: those for streams that are over, and credit that is
    /// none.
    pub fn take_glitches(&mut self) -> u64 {
        core::mem::take(&mut self.table.glitches)
    }

    /// STREAM (RFC 9000 section 19.8). Data of a stream that is over is ignored.
    ///
    /// # Errors
    /// STREAM_STATE_ERROR, STREAM_LIMIT_ERROR, FINAL_SIZE_ERROR, FLOW_CONTROL_ERROR; PROTOCOL_VIOLATION for data
    /// in more pieces than any honest sender makes.
    pub fn on_stream(&mut self, id: StreamId, offset: u64, fin: bool, data: &[u8]) -> Result<(), TransportError> {
        let Some(stream) = self.table.receiving(id)? else { return Ok(()) };
        let Some(receive) = &mut stream.receive else { return Ok(()) };
        if receive.on_stream(offset, fin, data, &mut self.receive_window, &mut self.pool)? {
            stream.events.insert(EventSet::READABLE);
        }
        self.queues.settle(id, stream);
        if stream.is_over() {
            self.settle(id);
        }
        Ok(())
    }

    /// RESET_STREAM (RFC 9000 section 19.4).
    ///
    /// # Errors
    /// STREAM_STATE_ERROR, STREAM_LIMIT_ERROR, FINAL_SIZE_ERROR, FLOW_CONTROL_ERROR.
    pub fn on_reset_stream(&mut self, id: StreamId, code: u64, final_size: u64) -> Result<(), TransportError> {
        let Some(stream) = self.table.receiving(id)? else { return Ok(()) };
        let Some(receive) = &mut stream.receive else { return Ok(()) };
        if receive.on_reset(code, final_size, &mut self.receive_window, &mut self.pool)? {
            stream.error.get_or_insert(code);
            stream.events.remove(EventSet::READABLE);
            stream.events.insert(EventSet::RESET);
        }
        self.settle(id);
        Ok(())
    }

    /// STOP_SENDING (RFC 9000 section 19.5): the stream is reset with the peer's code (RFC 9000 section 3.5).
    ///
    /// # Errors
    /// STREAM_STATE_ERROR, STREAM_LIMIT_ERROR.
    pub fn on_stop_sending(&mut self, id: StreamId, code: u64) -> Result<(), TransportError> {
        if self.table.sending(id)?.is_some() && !self.abandon(id, code, true) {
            self.settle(id);
        }
        Ok(())
    }

    /// MAX_DATA (RFC 9000 section 19.9).
    pub fn on_max_data(&mut self, limit: u64) {
        let used_up = self.send_credit.available() == 0;
        if self.send_credit.raise(limit) {
            self.credit_available |= used_up;
            self.wake_writers();
        } else {
            self.table.glitches += 1;
        }
    }

    /// MAX_STREAM_DATA (RFC 9000 section 19.10).
    ///
    /// # Errors
    /// STREAM_STATE_ERROR, STREAM_LIMIT_ERROR.
    pub fn on_max_stream_data(&mut self, id: StreamId, limit: u64) -> Result<(), TransportError> {
        let Some(stream) = self.table.sending(id)? else { return Ok(()) };
        if stream.send.as_mut().is_some_and(|send| send.raise_limit(limit)) {
            self.resume_writer(id);
        } else {
            self.queues.settle(id, stream);
        }
        Ok(())
    }

    /// MAX_STREAMS (RFC 9000 section 19.11).
    ///
    /// # Errors
    /// FRAME_ENCODING_ERROR above 2^60.
    pub fn on_max_streams(&mut self, dir: Dir, limit: u64) -> Result<(), TransportError> {
        check_stream_count(limit)?;
        let raised = self.table.local.get_mut(dir).raise(limit);
        self.table.glitches += u64::from(!raised);
        Ok(())
    }

    /// DATA_BLOCKED (RFC 9000 section 19.12): credit that waits for more to go with it is given at once.
    ///
    /// # Errors
    /// FLOW_CONTROL_ERROR where the peer says that it used more than it was given.
    pub fn on_data_blocked(&mut self, limit: u64) -> Result<(), TransportError> {
        if limit > self.receive_window.limit() {
            return Err(BEYOND_CONNECTION_LIMIT);
        }
        self.receive_window.on_peer_blocked(limit);
        Ok(())
    }

    /// STREAM_DATA_BLOCKED (RFC 9000 section 19.13): credit that waits for more to go with it is given at once.
    ///
    /// # Errors
    /// STREAM_STATE_ERROR, STREAM_LIMIT_ERROR; FLOW_CONTROL_ERROR where the peer says that it used more than it
    /// was given.
    pub fn on_stream_data_blocked(&mut self, id: StreamId, limit: u64) -> Result<(), TransportError> {
        let Some(stream) = self.table.receiving(id)? else { return Ok(()) };
        if let Some(receive) = &mut stream.receive {
            receive.on_peer_blocked(limit)?;
        }
        self.queues.settle(id, stream);
        Ok(())
    }

    /// STREAMS_BLOCKED (RFC 9000 section 19.14).
    ///
    /// # Errors
    /// FRAME_ENCODING_ERROR above 2^60; STREAM_LIMIT_ERROR where the peer says that it opened more than it may.
    pub fn on_streams_blocked(&mut self, dir: Dir, limit: u64) -> Result<(), TransportError> {
        check_stream_count(limit)?;
        if limit > self.table.remote.get(dir).limit() {
            return Err(TransportError::new(TransportErrorCode::STREAM_LIMIT_ERROR, "blocked beyond the stream limit"));
        }
        Ok(())
    }
}

/// RFC 9000 section 4.6.
fn check_stream_count(count: u64) -> Result<(), TransportError> {
    if count <= MAX_STREAMS {
        return Ok(());
    }
    Err(TransportError::new(TransportErrorCode::FRAME_ENCODING_ERROR, "more than 2^60 streams"))
}
