//! Connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use quillon::{Dir, Stats, StreamId};
use tokio::sync::Notify;

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
    changed: Arc<Notify>,
    remote: SocketAddr,
}

impl Inner {
    /// Takes note that a handle of a stream is gone.
    pub(crate) fn release(&self, id: StreamId) {
        let mut state = self.shared.lock();
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
        let (changed, remote) =
            state.connection(key).map_or_else(|| (Arc::default(), unspecified), |c| (Arc::clone(&c.changed), c.remote));
        Self { inner: Arc::new(Inner { shared, key, changed, remote }) }
    }

    /// Waits for what `check` finds in the state; it is asked again whenever the connection changes.
    async fn wait<T>(
        &self,
        mut check: impl FnMut(&mut State) -> Option<Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        loop {
            let changed = self.inner.changed.notified();
            if let Some(result) = check(&mut self.inner.shared.lock()) {
                return result;
            }
            changed.await;
        }
    }

    /// Waits until the handshake is complete.
    pub(crate) async fn established(&self) -> Result<(), ConnectionError> {
        let key = self.inner.key;
        self.wait(|state| match state.connection(key) {
            Some(connection) if connection.handshake_complete => Some(Ok(())),
            _ => state.closed(key).map(Err),
        })
        .await
    }

    /// Opens a stream in both directions; waits while the peer's limit is reached.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let id = self.open(Dir::Bidi).await?;
        Ok((SendStream::new(Arc::clone(&self.inner), id), RecvStream::new(Arc::clone(&self.inner), id)))
    }

    /// Opens a stream towards the peer; waits while the peer's limit is reached.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        Ok(SendStream::new(Arc::clone(&self.inner), self.open(Dir::Uni).await?))
    }

    /// The next stream in both directions that the peer opened.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let id = self.accept(Dir::Bidi).await?;
        Ok((SendStream::new(Arc::clone(&self.inner), id), RecvStream::new(Arc::clone(&self.inner), id)))
    }

    /// The next stream from the peer to us that the peer opened.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        Ok(RecvStream::new(Arc::clone(&self.inner), self.accept(Dir::Uni).await?))
    }

    async fn open(&self, dir: Dir) -> Result<StreamId, ConnectionError> {
        let Inner { shared, key, .. } = &*self.inner;
        self.wait(|state| {
            let handle = match state.handle(*key) {
                Ok(handle) => handle,
                Err(error) => return Some(Err(error)),
            };
            match state.backend.open(handle, dir) {
                Ok(id) => {
                    let handles = if dir == Dir::Bidi { 2 } else { 1 };
                    if let Some(connection) = state.connection_mut(*key) {
                        connection.streams.entry(id).or_default().handles = handles;
                    }
                    Some(Ok(id))
                }
                Err(error) => state.end_behind(shared, *key, &error).map(Err),
            }
        })
        .await
    }

    async fn accept(&self, dir: Dir) -> Result<StreamId, ConnectionError> {
        let key = self.inner.key;
        self.wait(|state| {
            let Some(connection) = state.connection_mut(key) else {
                return Some(Err(ConnectionError::EndpointClosed));
            };
            let Some(id) = connection.opened[direction(dir)].pop_front() else {
                return connection.closed.clone().map(Err);
            };
            connection.streams.entry(id).or_default().handles = if dir == Dir::Bidi { 2 } else { 1 };
            Some(Ok(id))
        })
        .await
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
        let end = self.wait(|state| state.closed(key).map(Ok::<_, ConnectionError>)).await;
        end.unwrap_or_else(|error| error)
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
