//! Connections.

mod transport;

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use quillon::{Dir, Stats, StreamId};

use crate::backend::BackendError;
use crate::error::ConnectionError;
use crate::recv_stream::RecvStream;
use crate::send_stream::SendStream;
use crate::state::{ConnectionKey, Shared, State, direction};

/// A connection whose handshake is complete. Clones are the same connection.
///
/// When the last clone and the last stream are dropped the connection is closed with code 0.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

/// What a connection and its streams hold on to.
pub(crate) struct Inner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: ConnectionKey,
    remote: SocketAddr,
}

impl Inner {
    /// Whether everything sent on a stream was acknowledged, `None`, or the peer stopped it, with which code.
    pub(crate) fn poll_stopped(
        &self,
        context: &Context<'_>,
        id: StreamId,
        early: bool,
    ) -> Poll<Result<Option<u64>, ConnectionError>> {
        let mut state = self.shared.lock();
        if let Err(error @ ConnectionError::EarlyDataRejected) = state.stream_handle(self.key, early) {
            return Poll::Ready(Err(error));
        }
        let end = state.closed(self.key);
        let Some(stream) = state.stream_mut(self.key, id) else {
            return Poll::Ready(Err(end.unwrap_or(ConnectionError::EndpointClosed)));
        };
        if let Some(code) = stream.stopped {
            return Poll::Ready(Ok(Some(code)));
        }
        if stream.acknowledged {
            return Poll::Ready(Ok(None));
        }
        match end {
            Some(end) => Poll::Ready(Err(end)),
            None => {
                stream.wait_to_write(context);
                Poll::Pending
            }
        }
    }

    /// Takes note that a handle of a stream is gone.
    pub(crate) fn release(&self, id: StreamId, early: bool) {
        let mut state = self.shared.lock();
        // The number may be another stream's by now.
        if state.stream_handle(self.key, early) == Err(ConnectionError::EarlyDataRejected) {
            return;
        }
        let Some(connection) = state.connection_mut(self.key) else { return };
        if let Some(stream) = connection.streams.get_mut(&id) {
            stream.handles = stream.handles.saturating_sub(1);
            if stream.handles == 0 {
                connection.streams.remove(&id);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Err(BackendError::Trapped(trap)) = state.close(self.key, 0, b"") {
            let _ = state.replace_backend(&self.shared, &trap);
        }
        state.release(self.key);
        drop(state);
        self.shared.wake.notify_one();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("remote", &self.inner.remote).finish_non_exhaustive()
    }
}

impl Connection {
    /// The handle of a connection that `state` has just been asked for.
    pub(crate) fn new(shared: Arc<Shared>, key: ConnectionKey, state: &State) -> Self {
        let unspecified = SocketAddr::from(([0, 0, 0, 0], 0));
        let remote = state.connection(key).map_or(unspecified, |connection| connection.remote);
        Self { inner: Arc::new(Inner { shared, key, remote }) }
    }

    /// What `check` finds in the state. Where it finds nothing the task is woken when the connection changes.
    fn poll_state<T>(
        &self,
        context: &Context<'_>,
        check: impl FnOnce(&mut State) -> Option<Result<T, ConnectionError>>,
    ) -> Poll<Result<T, ConnectionError>> {
        let mut state = self.inner.shared.lock();
        if let Some(result) = check(&mut state) {
            return Poll::Ready(result);
        }
        match state.connection_mut(self.inner.key) {
            Some(connection) => {
                connection.wait(context);
                Poll::Pending
            }
            None => Poll::Ready(Err(ConnectionError::EndpointClosed)),
        }
    }

    /// Waits until the handshake is complete: at once, but after [`Endpoint::connect_early`](crate::Endpoint::connect_early).
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn established(&self) -> Result<(), ConnectionError> {
        let key = self.inner.key;
        let check = |state: &mut State| match state.connection(key) {
            Some(connection) if connection.handshake_complete => Some(Ok(())),
            _ => state.closed(key).map(Err),
        };
        poll_fn(|context| self.poll_state(context, check)).await
    }

    /// Opens a stream in both directions; waits while the peer's limit is reached.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        poll_fn(|context| self.poll_open_bi(context)).await
    }

    /// Opens a stream towards the peer; waits while the peer's limit is reached.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        poll_fn(|context| self.poll_open_uni(context)).await
    }

    /// The next stream in both directions that the peer opened.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        poll_fn(|context| self.poll_accept_bi(context)).await
    }

    /// The next stream from the peer to us that the peer opened.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        poll_fn(|context| self.poll_accept_uni(context)).await
    }

    /// [`open_bi`](Self::open_bi) for those who poll. Several tasks may wait at once, here and in the three below.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn poll_open_bi(&self, context: &Context<'_>) -> Poll<Result<(SendStream, RecvStream), ConnectionError>> {
        self.poll_open(context, Dir::Bidi).map_ok(|(id, early)| self.both_parts(id, early, false))
    }

    /// [`open_uni`](Self::open_uni) for those who poll.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn poll_open_uni(&self, context: &Context<'_>) -> Poll<Result<SendStream, ConnectionError>> {
        self.poll_open(context, Dir::Uni).map_ok(|(id, early)| SendStream::new(Arc::clone(&self.inner), id, early))
    }

    /// [`accept_bi`](Self::accept_bi) for those who poll.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn poll_accept_bi(&self, context: &Context<'_>) -> Poll<Result<(SendStream, RecvStream), ConnectionError>> {
        self.poll_accept(context, Dir::Bidi).map_ok(|(id, early)| self.both_parts(id, false, early))
    }

    /// [`accept_uni`](Self::accept_uni) for those who poll.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn poll_accept_uni(&self, context: &Context<'_>) -> Poll<Result<RecvStream, ConnectionError>> {
        self.poll_accept(context, Dir::Uni)
            .map_ok(|(id, early)| RecvStream::new(Arc::clone(&self.inner), id, false, early))
    }

    /// Waits until everything sent on a stream that still has a handle is acknowledged; `Some(code)` if the peer
    /// stopped it instead.
    pub(crate) async fn stopped(&self, id: StreamId) -> Result<Option<u64>, ConnectionError> {
        poll_fn(|context| self.inner.poll_stopped(context, id, false)).await
    }

    fn both_parts(&self, id: StreamId, early: bool, early_data: bool) -> (SendStream, RecvStream) {
        let send = SendStream::new(Arc::clone(&self.inner), id, early);
        (send, RecvStream::new(Arc::clone(&self.inner), id, early, early_data))
    }

    /// A stream, and whether it is opened before the handshake is complete.
    fn poll_open(&self, context: &Context<'_>, dir: Dir) -> Poll<Result<(StreamId, bool), ConnectionError>> {
        let Inner { shared, key, .. } = &*self.inner;
        self.poll_state(context, |state| {
            let handle = match state.handle(*key) {
                Ok(handle) => handle,
                Err(error) => return Some(Err(error)),
            };
            match state.backend.open(handle, dir) {
                Ok(id) => {
                    let handles = if dir == Dir::Bidi { 2 } else { 1 };
                    let mut early = false;
                    if let Some(connection) = state.connection_mut(*key) {
                        connection.streams.entry(id).or_default().handles = handles;
                        early = !connection.handshake_complete && !connection.early_data_rejected;
                    }
                    Some(Ok((id, early)))
                }
                Err(error) => state.end_behind(shared, *key, &error).map(Err),
            }
        })
    }

    /// A stream of the peer's, and whether it was opened in early data.
    fn poll_accept(&self, context: &Context<'_>, dir: Dir) -> Poll<Result<(StreamId, bool), ConnectionError>> {
        let key = self.inner.key;
        self.poll_state(context, |state| {
            let Some(connection) = state.connection_mut(key) else {
                return Some(Err(ConnectionError::EndpointClosed));
            };
            let Some(id) = connection.opened[direction(dir)].pop_front() else {
                return connection.closed.clone().map(Err);
            };
            let stream = connection.streams.entry(id).or_default();
            stream.handles = if dir == Dir::Bidi { 2 } else { 1 };
            Some(Ok((id, stream.early)))
        })
    }

    /// Closes the connection at once with this code, below 2^62, and reason; what was not acknowledged is lost.
    pub fn close(&self, code: u64, reason: &[u8]) {
        let Inner { shared, key, .. } = &*self.inner;
        let mut state = shared.lock();
        if let Err(error) = state.close(*key, code, reason) {
            state.end_behind(shared, *key, &error);
        }
        drop(state);
        shared.wake.notify_one();
    }

    /// Waits for the connection's end, and says why.
    pub async fn closed(&self) -> ConnectionError {
        let key = self.inner.key;
        let check = |state: &mut State| state.closed(key).map(Err::<(), _>);
        match poll_fn(|context| self.poll_state(context, check)).await {
            Err(end) => end,
            Ok(()) => ConnectionError::EndpointClosed,
        }
    }

    /// Why the connection ended, if it did.
    #[must_use]
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.inner.shared.lock().closed(self.inner.key)
    }

    /// Counts and measures; of a closed connection, as they were at its end.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut state = self.inner.shared.lock();
        let last = state.connection(self.inner.key).and_then(|connection| connection.last_stats);
        last.or_else(|| {
            let handle = state.handle(self.inner.key).ok()?;
            state.backend.stats(handle).ok()
        })
        .unwrap_or_default()
    }

    /// The application protocol that was agreed on.
    #[must_use]
    pub fn alpn(&self) -> Option<Vec<u8>> {
        self.inner.shared.lock().connection(self.inner.key)?.alpn.clone()
    }

    /// The peer's address when the connection began.
    #[must_use]
    pub fn remote_addr(&self) -> SocketAddr {
        self.inner.remote
    }

    /// Datagrams that crossed the module's boundary so far, of the whole endpoint; `None` natively.
    #[must_use]
    pub fn module_datagrams(&self) -> Option<u64> {
        self.inner.shared.lock().backend.module_datagrams()
    }
}
