//! The receiving part of a stream (RFC 9000 section 3.2).

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

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
    /// The end was read, or the stream reset or stopped: the engine needs no more of us.
    done: bool,
}

impl fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RecvStream {
    pub(crate) fn new(connection: Arc<Inner>, id: StreamId) -> Self {
        Self { connection, id, done: false }
    }

    /// The stream's identifier.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
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
        let start = buffer.filled().len();
        if self.done || buffer.remaining() == 0 {
            return Poll::Ready(Ok(0));
        }
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        let handle = state.handle(*key).map_err(ReadError::Connection)?;
        let refused = loop {
            let len = match state.backend.peek(handle, self.id) {
                Ok(Peek { finished: true, .. }) => {
                    self.done = true;
                    break None;
                }
                Ok(Peek { data, .. }) => {
                    let len = data.len().min(buffer.remaining());
                    buffer.put_slice(&data[..len]);
                    len
                }
                Err(error) => break Some(error),
            };
            if let Err(error) = state.backend.consume(handle, self.id, len) {
                break Some(error);
            }
            if buffer.remaining() == 0 {
                break None;
            }
        };
        let read = buffer.filled().len() - start;
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
        if let Ok(handle) = state.handle(*key)
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
        self.connection.release(self.id);
    }
}
