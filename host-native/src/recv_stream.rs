//! The receiving part of a stream (RFC 9000 section 3.2).

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use quillon::StreamId;
use tokio::io::{AsyncRead, ReadBuf};

use crate::backend::{BackendError, Peek};
use crate::connection::Inner;
use crate::error::ReadError;

/// Receives bytes in order.
///
/// Dropping it before the end asks the peer to stop, with code 0.
pub struct RecvStream {
    connection: Arc<Inner>,
    id: StreamId,
    /// Opened by this end before the handshake was complete.
    early: bool,
    /// The peer opened it in early data.
    early_data: bool,
    /// The end was read, or the stream reset or stopped: the engine needs no more of us.
    done: bool,
    /// The allocation that [`poll_read_chunk`](Self::poll_read_chunk) hands out parts of.
    chunk: BytesMut,
}

impl fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RecvStream {
    pub(crate) fn new(connection: Arc<Inner>, id: StreamId, early: bool, early_data: bool) -> Self {
        Self { connection, id, early, early_data, done: false, chunk: BytesMut::new() }
    }

    /// The stream's identifier.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// At a server: whether the client opened the stream in early data, which an attacker may have sent to another server
    /// too (RFC 9001 section 9.2).
    #[must_use]
    pub const fn is_early_data(&self) -> bool {
        self.early_data
    }

    /// Reads as much as is there and fits; waits while nothing is there. 0 is the end.
    ///
    /// # Errors
    ///
    /// The peer reset the stream, this end stopped it, or the connection ended.
    pub fn poll_read_some(
        &mut self,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<usize, ReadError>> {
        let room = buffer.remaining();
        self.poll_read_pieces(context, room, |piece| buffer.put_slice(piece))
    }

    /// Reads as much as is there, up to `max_len` bytes, as a buffer of its own; waits while nothing is there. `None`
    /// is the end. Chunks that are dropped before the next is read share one allocation.
    ///
    /// # Errors
    ///
    /// The peer reset the stream, this end stopped it, or the connection ended.
    pub fn poll_read_chunk(&mut self, context: &Context<'_>, max_len: usize) -> Poll<Result<Option<Bytes>, ReadError>> {
        let mut chunk = std::mem::take(&mut self.chunk);
        let read = self.poll_read_pieces(context, max_len.max(1), |piece| chunk.extend_from_slice(piece));
        let bytes = chunk.split().freeze();
        self.chunk = chunk;
        read.map_ok(|len| (len > 0).then_some(bytes))
    }

    /// Reads the next chunk of up to `max_len` bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// The peer reset the stream, this end stopped it, or the connection ended.
    pub async fn read_chunk(&mut self, max_len: usize) -> Result<Option<Bytes>, ReadError> {
        poll_fn(|context| self.poll_read_chunk(context, max_len)).await
    }

    /// Hands what is there, up to `max_len` bytes, to `take`; gives their number, 0 at the end.
    fn poll_read_pieces(
        &mut self,
        context: &Context<'_>,
        max_len: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Poll<Result<usize, ReadError>> {
        if self.done || max_len == 0 {
            return Poll::Ready(Ok(0));
        }
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        let handle = state.stream_handle(*key, self.early).map_err(ReadError::Connection)?;
        let mut read = 0;
        let refused = loop {
            let len = match state.backend.peek(handle, self.id) {
                Ok(Peek { finished: true, .. }) => {
                    self.done = true;
                    break None;
                }
                Ok(Peek { data, .. }) => {
                    let len = data.len().min(max_len - read);
                    take(&data[..len]);
                    len
                }
                Err(error) => break Some(error),
            };
            read += len;
            if let Err(error) = state.backend.consume(handle, self.id, len) {
                break Some(error);
            }
            if read == max_len {
                break None;
            }
        };
        if read > 0 || refused.is_none() {
            drop(state);
            // The peer may be granted more.
            shared.wake.notify_one();
            return Poll::Ready(Ok(read));
        }
        let error = refused.unwrap_or(BackendError::Blocked);
        let reset = state.stream_mut(*key, self.id).and_then(|stream| stream.reset);
        if let (BackendError::Reset(code), _) | (_, Some(code)) = (error.clone(), reset) {
            self.done = true;
            return Poll::Ready(Err(ReadError::Reset(code)));
        }
        match state.end_behind(shared, *key, &error) {
            Some(end) => Poll::Ready(Err(ReadError::Connection(end))),
            None if error == BackendError::Blocked => {
                if let Some(stream) = state.stream_mut(*key, self.id) {
                    stream.wait_to_read(context);
                }
                Poll::Pending
            }
            None => Poll::Ready(Err(ReadError::Closed)),
        }
    }

    /// Asks the peer to stop sending, with this code, below 2^62 (RFC 9000 section 3.5).
    pub fn stop(&mut self, code: u64) {
        self.done = true;
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        if let Ok(handle) = state.stream_handle(*key, self.early)
            && let Err(error) = state.backend.stop_sending(handle, self.id, code)
        {
            // The stream has ended already, which is what was asked for.
            state.end_behind(shared, *key, &error);
        }
        drop(state);
        shared.wake.notify_one();
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_read_some(context, buffer))?;
        Poll::Ready(Ok(()))
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if !self.done {
            self.stop(0);
        }
        self.connection.release(self.id, self.early);
    }
}
