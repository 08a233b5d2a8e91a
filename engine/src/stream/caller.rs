//! What the caller does with streams.

use bytes::Bytes;

use super::events::EventSet;
use super::receive::Readiness;
use super::send_buffer::SendBuffer;
use super::shutdown::Shutdown;
use super::{AbortError, OpenError, Peek, Priority, Read, ReadChunk, ReadError, Streams, WriteError};
use crate::wire::{Dir, StreamId, varint};

impl Streams {
    /// Opens a stream. The peer learns of it with the first frame on it.
    ///
    /// # Errors
    /// [`OpenError::Blocked`] at the peer's limit, which is zero until its transport parameters are known;
    /// [`OpenError::ShutDown`] after [`Self::shut_down`].
    pub fn open(&mut self, dir: Dir) -> Result<StreamId, OpenError> {
        if self.shutdown != Shutdown::No {
            return Err(OpenError::ShutDown);
        }
        self.table.open(dir).ok_or(OpenError::Blocked(dir))
    }

    /// Sets a stream's place among those that have something to send. It holds from the next packet on, and for what
    /// is sent again. An urgency above 7 counts as 7.
    ///
    /// # Errors
    /// [`WriteError::UnknownStream`].
    pub fn set_priority(&mut self, id: StreamId, priority: Priority) -> Result<(), WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::UnknownStream)?;
        stream.send.as_ref().ok_or(WriteError::UnknownStream)?;
        self.queues.scheduler.set_priority(id, &mut stream.in_scheduler, priority.clamped());
        self.queues.sweep(&self.table);
        Ok(())
    }

    /// A stream's place among those that have something to send, while the stream is not over.
    #[must_use]
    pub fn priority(&self, id: StreamId) -> Option<Priority> {
        let stream = self.table.get(id)?;
        stream.send.as_ref().map(|_| stream.in_scheduler.priority())
    }

    /// Copies `data` into the stream. Returns how many bytes were taken: at most what the send buffer and the
    /// peer's credit leave. Where that is not all, [`StreamEvent::Writable`](super::StreamEvent::Writable)
    /// follows when more can be taken.
    ///
    /// # Errors
    /// [`WriteError`]; [`WriteError::Blocked`] where not one byte of some could be taken.
    pub fn write(&mut self, id: StreamId, data: &[u8]) -> Result<usize, WriteError> {
        self.append(id, data.len(), |buffer, len| buffer.append(data.get(..len).unwrap_or(data)))
    }

    /// Like [`Self::write`] for bytes that are handed over: not copied, unless few. `data` keeps the rest.
    ///
    /// # Errors
    /// As [`Self::write`]; `data` is left whole.
    pub fn write_bytes(&mut self, id: StreamId, data: &mut Bytes) -> Result<usize, WriteError> {
        self.append(id, data.len(), |buffer, len| buffer.append_owned(data.split_to(len)))
    }

    /// Appends as much of `wanted` bytes as fits.
    fn append(
        &mut self,
        id: StreamId,
        wanted: usize,
        append: impl FnOnce(&mut SendBuffer, usize),
    ) -> Result<usize, WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::UnknownStream)?;
        let send = stream.send.as_mut().ok_or(WriteError::UnknownStream)?;
        send.check_open()?;
        if wanted == 0 {
            return Ok(0);
        }
        let own = send.credit.available();
        let room = self.send.room().min(self.send_credit.available()).min(own);
        let len = usize::try_from(room).map_or(wanted, |room| room.min(wanted));
        if len > 0 {
            self.send.track(send, |send| append(&mut send.buffer, len));
            send.credit.take(len as u64);
            self.send_credit.take(len as u64);
        }
        if len < wanted {
            stream.refused = (wanted - len) as u64;
            if len as u64 == own {
                send.set_blocked();
            } else {
                self.queues.waiting.set(id, &mut stream.in_waiting, true);
            }
        }
        self.queues.settle(id, stream);
        if len == 0 { Err(WriteError::Blocked) } else { Ok(len) }
    }

    /// Chooses whether [`StreamEvent::Acked`](super::StreamEvent::Acked) tells of what the peer has. Not at first.
    ///
    /// # Errors
    /// [`WriteError::UnknownStream`].
    pub fn set_acked_events(&mut self, id: StreamId, enabled: bool) -> Result<(), WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::UnknownStream)?;
        stream.send.as_ref().ok_or(WriteError::UnknownStream)?;
        stream.acked_events = enabled;
        if !enabled {
            stream.events.remove(EventSet::ACKED);
        }
        self.queues.settle(id, stream);
        Ok(())
    }

    /// Ends the stream after what was written. [`StreamEvent::Finished`](super::StreamEvent::Finished) follows
    /// when the peer has everything.
    ///
    /// # Errors
    /// [`WriteError`], never [`WriteError::Blocked`].
    pub fn finish(&mut self, id: StreamId) -> Result<(), WriteError> {
        let stream = self.table.get_mut(id).ok_or(WriteError::UnknownStream)?;
        stream.send.as_mut().ok_or(WriteError::UnknownStream)?.finish()?;
        stream.events.remove(EventSet::WRITABLE);
        self.queues.settle(id, stream);
        Ok(())
    }

    /// Ends our sending abruptly with RESET_STREAM: what was not delivered is dropped (RFC 9000 section 3.1). A
    /// stream that is reset already, or delivered, is left as it is.
    ///
    /// # Errors
    /// [`AbortError`].
    pub fn reset(&mut self, id: StreamId, code: u64) -> Result<(), AbortError> {
        if code > varint::MAX {
            return Err(AbortError::InvalidCode);
        }
        let stream = self.table.get(id).ok_or(AbortError::UnknownStream)?;
        stream.send.as_ref().ok_or(AbortError::UnknownStream)?;
        self.abandon(id, code, false);
        Ok(())
    }

    /// Resets the sending part. Returns whether that changed anything.
    pub(super) fn abandon(&mut self, id: StreamId, code: u64, stopped: bool) -> bool {
        let Some(stream) = self.table.get_mut(id) else { return false };
        let Some(send) = &mut stream.send else { return false };
        let Some(unsent) = self.send.track(send, |send| send.reset(code, stopped)) else {
            return false;
        };
        stream.error.get_or_insert(code);
        stream.events.remove(EventSet::ACKED);
        self.send_credit.give_back(unsent);
        stream.events.remove(EventSet::WRITABLE);
        if stopped {
            stream.events.insert(EventSet::STOPPED);
        }
        self.settle(id);
        self.wake_writers();
        true
    }

    /// Ends our reading: what arrived and what will is dropped, and the peer is asked to stop with STOP_SENDING
    /// (RFC 9000 section 3.5). A stream that is over already is left as it is.
    ///
    /// # Errors
    /// [`AbortError`].
    pub fn stop_sending(&mut self, id: StreamId, code: u64) -> Result<(), AbortError> {
        if code > varint::MAX {
            return Err(AbortError::InvalidCode);
        }
        let stream = self.table.get_mut(id).ok_or(AbortError::UnknownStream)?;
        let receive = stream.receive.as_mut().ok_or(AbortError::UnknownStream)?;
        if receive.stop(code, &mut self.receive_window, &mut self.pool) {
            stream.error.get_or_insert(code);
        }
        stream.events.remove(EventSet::READABLE);
        stream.events.remove(EventSet::RESET);
        self.settle(id);
        Ok(())
    }

    /// The readable bytes, in place, as many as lie in one piece; [`Self::consume`] drops them.
    ///
    /// The end of the stream is reported once with certainty: a stream that is over on both sides is gone then.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Blocked`] where there is nothing, and no end either.
    pub fn peek(&mut self, id: StreamId) -> Result<Peek<'_>, ReadError> {
        if self.readiness(id)? == Readiness::Finished {
            self.on_end_read(id);
            return Ok(Peek { data: &[], finished: true });
        }
        let receive = self.table.get(id).and_then(|stream| stream.receive.as_ref());
        Ok(Peek { data: receive.ok_or(ReadError::UnknownStream)?.peek(), finished: false })
    }

    /// Drops up to `len` readable bytes, and gives the peer credit for them. Returns how many.
    ///
    /// # Errors
    /// [`ReadError`], never [`ReadError::Blocked`].
    pub fn consume(&mut self, id: StreamId, len: usize) -> Result<usize, ReadError> {
        let stream = self.table.get_mut(id).ok_or(ReadError::UnknownStream)?;
        let receive = stream.receive.as_mut().ok_or(ReadError::UnknownStream)?;
        match receive.readiness() {
            Ok(Readiness::Data) => {}
            Ok(Readiness::Finished) | Err(ReadError::Blocked) => return Ok(0),
            Err(error) => return Err(error),
        }
        let consumed = receive.consume(len as u64, &mut self.receive_window, &mut self.pool);
        self.queues.settle(id, stream);
        Ok(consumed as usize)
    }

    /// Copies readable bytes to `out`, and gives the peer credit for them.
    ///
    /// The end of the stream is reported once with certainty: a stream that is over on both sides is gone then.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Blocked`] where there is nothing, and no end either.
    pub fn read(&mut self, id: StreamId, out: &mut [u8]) -> Result<Read, ReadError> {
        let mut readiness = self.readiness(id)?;
        let mut len = 0;
        let stream = self.table.get_mut(id).ok_or(ReadError::UnknownStream)?;
        let receive = stream.receive.as_mut().ok_or(ReadError::UnknownStream)?;
        while let Some(target) = out.get_mut(len..).filter(|_| readiness == Readiness::Data) {
            let data = receive.peek();
            let piece = data.len().min(target.len());
            let (Some(to), Some(from)) = (target.get_mut(..piece), data.get(..piece)) else { break };
            if piece == 0 {
                break;
            }
            to.copy_from_slice(from);
            receive.consume(piece as u64, &mut self.receive_window, &mut self.pool);
            len += piece;
            match receive.readiness() {
                Ok(next) => readiness = next,
                Err(_) => break,
            }
        }
        self.queues.settle(id, stream);
        let finished = readiness == Readiness::Finished;
        if finished {
            self.on_end_read(id);
        }
        Ok(Read { len, finished })
    }

    /// Takes up to `max` readable bytes, as many as lie in one piece, and gives the peer credit for them. A piece that
    /// fills a quarter of its block, which are 16 KiB but for a stream's first 2 KiB, is handed over without a copy.
    ///
    /// The end of the stream is reported as by [`Self::read`].
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Blocked`] where there is nothing, and no end either.
    pub fn read_chunk(&mut self, id: StreamId, max: usize) -> Result<ReadChunk, ReadError> {
        self.readiness(id)?;
        let stream = self.table.get_mut(id).ok_or(ReadError::UnknownStream)?;
        let receive = stream.receive.as_mut().ok_or(ReadError::UnknownStream)?;
        let data = receive.take(max, &mut self.receive_window, &mut self.pool);
        let finished = receive.readiness() == Ok(Readiness::Finished);
        self.queues.settle(id, stream);
        if finished {
            self.on_end_read(id);
        }
        Ok(ReadChunk { data, finished })
    }

    fn readiness(&self, id: StreamId) -> Result<Readiness, ReadError> {
        let stream = self.table.get(id).ok_or(ReadError::UnknownStream)?;
        stream.receive.as_ref().ok_or(ReadError::UnknownStream)?.readiness()
    }

    /// The caller saw the end: the receiving part is over.
    fn on_end_read(&mut self, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        if let Some(receive) = &mut stream.receive {
            receive.on_end_read();
            stream.events.remove(EventSet::READABLE);
        }
        self.settle(id);
    }
}
