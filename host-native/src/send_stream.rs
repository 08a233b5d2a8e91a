//! The sending part of a stream (RFC 9000 section 3.1).

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quillon::{Priority, StreamId};
use tokio::io::AsyncWrite;

use crate::backend::BackendError;
use crate::connection::Inner;
use crate::error::{ConnectionError, WriteError};

/// Sends bytes in order.
///
/// Dropping it before [`finish`](Self::finish) resets the stream with code 0, so that the peer does not take a part
/// for the whole.
pub struct SendStream {
    connection: Arc<Inner>,
    id: StreamId,
    /// Opened by this end before the handshake was complete.
    early: bool,
    /// Finished or reset: the engine needs no more of us.
    done: bool,
}

impl fmt::Debug for SendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendStream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SendStream {
    pub(crate) fn new(connection: Arc<Inner>, id: StreamId, early: bool) -> Self {
        Self { connection, id, early, done: false }
    }

    /// The stream's identifier.
    #[must_use]
    pub const fn id(&self) -> StreamId {
        self.id
    }

    /// Takes as much of `data` as the send buffer has room for; waits while it has none.
    ///
    /// # Errors
    ///
    /// The peer stopped the stream, this end finished it, or the connection ended.
    pub fn poll_write_some(&mut self, context: &Context<'_>, data: &[u8]) -> Poll<Result<usize, WriteError>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        let handle = state.stream_handle(*key, self.early).map_err(WriteError::Connection)?;
        match state.backend.write(handle, self.id, data) {
            Ok(taken) => {
                drop(state);
                shared.wake.notify_one();
                Poll::Ready(Ok(taken))
            }
            Err(error) => match state.end_behind(shared, *key, &error) {
                Some(end) => Poll::Ready(Err(WriteError::Connection(end))),
                None if error == BackendError::Blocked => {
                    if let Some(stream) = state.stream_mut(*key, self.id) {
                        stream.wait_to_write(context);
                    }
                    Poll::Pending
                }
                None => {
                    let stopped = state.stream_mut(*key, self.id).and_then(|stream| stream.stopped);
                    Poll::Ready(Err(write_error(&error, stopped)))
                }
            },
        }
    }

    /// Ends the stream after what was written. What is under way goes on to arrive.
    ///
    /// # Errors
    ///
    /// The peer stopped the stream, this end finished or reset it before, or the connection ended.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        if self.done {
            return Err(WriteError::Closed);
        }
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        let handle = state.stream_handle(*key, self.early).map_err(WriteError::Connection)?;
        let result = state.backend.finish(handle, self.id);
        self.done = true;
        if let Err(error) = result {
            if let Some(end) = state.end_behind(shared, *key, &error) {
                return Err(WriteError::Connection(end));
            }
            let stopped = state.stream_mut(*key, self.id).and_then(|stream| stream.stopped);
            return Err(write_error(&error, stopped));
        }
        drop(state);
        shared.wake.notify_one();
        Ok(())
    }

    /// Abandons the stream with this code, below 2^62: what was not acknowledged is not sent again.
    pub fn reset(&mut self, code: u64) {
        self.done = true;
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        if let Ok(handle) = state.stream_handle(*key, self.early)
            && let Err(error) = state.backend.reset(handle, self.id, code)
        {
            // The stream has ended already, which is what was asked for.
            state.end_behind(shared, *key, &error);
        }
        drop(state);
        shared.wake.notify_one();
    }

    /// Sets what of the connection is sent first: see [`Priority`].
    ///
    /// # Errors
    ///
    /// The stream or the connection ended.
    pub fn set_priority(&self, priority: Priority) -> Result<(), WriteError> {
        let Inner { shared, key, .. } = &*self.connection;
        let mut state = shared.lock();
        let handle = state.stream_handle(*key, self.early).map_err(WriteError::Connection)?;
        state.backend.set_priority(handle, self.id, priority).map_err(|error| {
            match state.end_behind(shared, *key, &error) {
                Some(end) => WriteError::Connection(end),
                None => write_error(&error, None),
            }
        })
    }

    /// Waits until the peer has acknowledged everything, the end included; `Some(code)` if it stopped the stream
    /// instead.
    ///
    /// # Errors
    ///
    /// The connection ended before.
    pub async fn stopped(&mut self) -> Result<Option<u64>, ConnectionError> {
        poll_fn(|context| self.connection.poll_stopped(context, self.id, self.early)).await
    }
}

fn write_error(error: &BackendError, stopped: Option<u64>) -> WriteError {
    match (error, stopped) {
        (BackendError::Stopped(code), _) => WriteError::Stopped(*code),
        (_, Some(code)) => WriteError::Stopped(code),
        _ => WriteError::Closed,
    }
}

impl AsyncWrite for SendStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(self.poll_write_some(context, data))?))
    }

    /// What was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(if self.done { Ok(()) } else { self.finish().map_err(io::Error::from) })
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if !self.done {
            self.reset(0);
        }
        self.connection.release(self.id, self.early);
    }
}
