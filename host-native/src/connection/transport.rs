//! What a connection does beside streams: sessions, paths, keys, datagrams.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use quillon::wire::Version;
use quillon::{EarlyDataStatus, FourTuple, Migration};

use super::{Connection, Inner};
use crate::backend::{BackendError, Facts, Handle};
use crate::error::{ConnectionError, SendDatagramError, TransportError};
use crate::session::Session;
use crate::socket::{self, Socket};
use crate::state::{ConnectionState, NewSocket, State};

impl Connection {
    /// Waits until the handshake is confirmed: keys can be updated and paths changed then (RFC 9001 section 4.1.2).
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn confirmed(&self) -> Result<(), ConnectionError> {
        self.once(|connection| connection.handshake_confirmed.then_some(())).await
    }

    /// The next session that the server gives, for a later connection to resume; at a server there is none.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn session(&self) -> Result<Session, ConnectionError> {
        let Inner { shared, key, .. } = &*self.inner;
        let check = |state: &mut State| match state.take_session(shared, *key) {
            Some(session) => Some(Ok(session)),
            None => state.closed(*key).map(Err),
        };
        poll_fn(|context| self.poll_state(context, check)).await
    }

    /// A session that the server has given, if there is one that was not taken yet.
    #[must_use]
    pub fn take_session(&self) -> Option<Session> {
        let Inner { shared, key, .. } = &*self.inner;
        shared.lock().take_session(shared, *key)
    }

    /// The next address token that the server gives, for [`ClientConfig::token`](crate::ClientConfig::token).
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn token(&self) -> Result<Vec<u8>, ConnectionError> {
        self.once(|connection| connection.tokens.pop_front()).await
    }

    /// An address token that the server has given, if there is one that was not taken yet.
    #[must_use]
    pub fn take_token(&self) -> Option<Vec<u8>> {
        self.inner.shared.lock().connection_mut(self.inner.key)?.tokens.pop_front()
    }

    /// Waits for something of the connection's.
    async fn once<T>(&self, mut find: impl FnMut(&mut ConnectionState) -> Option<T>) -> Result<T, ConnectionError> {
        let key = self.inner.key;
        poll_fn(|context| {
            self.poll_state(context, |state| match state.connection_mut(key).and_then(&mut find) {
                Some(found) => Some(Ok(found)),
                None => state.closed(key).map(Err),
            })
        })
        .await
    }

    fn facts(&self) -> Option<Facts> {
        let mut state = self.inner.shared.lock();
        let handle = state.handle(self.inner.key).ok()?;
        state.backend.facts(handle).ok()
    }

    /// The version of QUIC in use; `None` when the connection is over.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.facts().map(|facts| facts.version)
    }

    /// Whether the handshake resumed an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.facts().is_some_and(|facts| facts.is_resumed)
    }

    /// What early data has come to.
    #[must_use]
    pub fn early_data_status(&self) -> EarlyDataStatus {
        self.facts().map(|facts| facts.early_data).unwrap_or_default()
    }

    /// Every path, the one in use first; none when the connection is over.
    #[must_use]
    pub fn paths(&self) -> Vec<FourTuple> {
        self.facts().map(|facts| facts.paths).unwrap_or_default()
    }

    /// Updates the keys of packets (RFC 9001 section 6).
    ///
    /// # Errors
    ///
    /// It is too early: see [`confirmed`](Self::confirmed), or the connection ended.
    pub fn update_key(&self) -> Result<(), TransportError> {
        self.command(|state, handle| {
            let now = state.now();
            state.backend.update_key(now, handle)
        })
    }

    /// Moves a client to another of its addresses (RFC 9000 section 9): a new socket is bound there, port 0 for any, and
    /// an unspecified IP address for the one that leads to the server. The path is validated meanwhile or before, as
    /// `migration` says. Gives the new local address.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, it is too early, see [`confirmed`](Self::confirmed), the server does not allow it, or
    /// the connection ended.
    pub fn migrate(&self, local: SocketAddr, migration: Migration) -> Result<SocketAddr, TransportError> {
        let remote = self.paths().first().map_or(self.inner.remote, |path| path.remote);
        let socket = Socket::bind(local, true).map_err(TransportError::Socket)?;
        let local = socket::local_towards(socket.local_addr(), remote).map_err(TransportError::Socket)?;
        self.command(|state, handle| {
            let now = state.now();
            state.backend.migrate(now, handle, local, migration)?;
            state.new_sockets.push(NewSocket::Another(socket));
            Ok(())
        })?;
        Ok(local)
    }

    /// Derives keying material from the handshake, for a label and a context (RFC 8446 section 7.5).
    ///
    /// # Errors
    ///
    /// The handshake is not complete, too much is asked for, or the connection ended.
    pub fn export_keying_material(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), TransportError> {
        self.command(|state, handle| state.backend.export_keying_material(handle, out, label, context))
    }

    /// A call on the connection, after which there may be something to send.
    fn command<T>(
        &self,
        call: impl FnOnce(&mut State, Handle) -> Result<T, BackendError>,
    ) -> Result<T, TransportError> {
        let Inner { shared, key, .. } = &*self.inner;
        let mut state = shared.lock();
        if let Some(end) = state.closed(*key) {
            return Err(TransportError::Connection(end));
        }
        let handle = state.handle(*key).map_err(TransportError::Connection)?;
        let result = call(&mut state, handle).map_err(|error| match state.end_behind(shared, *key, &error) {
            Some(end) => TransportError::Connection(end),
            None => TransportError::Unavailable(error.to_string()),
        });
        drop(state);
        shared.wake.notify_one();
        result
    }

    /// Queues a datagram: it is sent once or not at all, before stream data (RFC 9221).
    ///
    /// # Errors
    ///
    /// The peer takes none, it is too large, too many wait, or the connection ended.
    pub fn send_datagram(&self, data: Bytes) -> Result<(), SendDatagramError> {
        let Inner { shared, key, .. } = &*self.inner;
        let mut state = shared.lock();
        if let Some(end) = state.closed(*key) {
            return Err(SendDatagramError::Connection(end));
        }
        let handle = state.handle(*key).map_err(SendDatagramError::Connection)?;
        let sent = state.backend.send_datagram(handle, data);
        let result = sent.map_err(|error| match (state.end_behind(shared, *key, &error), error) {
            (Some(end), _) => SendDatagramError::Connection(end),
            (None, BackendError::TooLarge(max)) => SendDatagramError::TooLarge { max },
            (None, BackendError::Unsupported) => SendDatagramError::Unsupported,
            (None, _) => SendDatagramError::QueueFull,
        });
        drop(state);
        shared.wake.notify_one();
        result
    }

    /// The next datagram of the peer's.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn read_datagram(&self) -> Result<Bytes, ConnectionError> {
        poll_fn(|context| self.poll_read_datagram(context)).await
    }

    /// [`read_datagram`](Self::read_datagram) for those who poll.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub fn poll_read_datagram(&self, context: &Context<'_>) -> Poll<Result<Bytes, ConnectionError>> {
        let Inner { shared, key, .. } = &*self.inner;
        self.poll_state(context, |state| {
            let received = match state.handle(*key) {
                Ok(handle) => state.backend.receive_datagram(handle),
                Err(error) => return Some(Err(error)),
            };
            match received {
                Ok(datagram) => Some(Ok(datagram)),
                Err(error) => state.end_behind(shared, *key, &error).map(Err),
            }
        })
    }

    /// The most bytes that a datagram may have now; `None` where the peer takes none. It changes with the path.
    #[must_use]
    pub fn max_datagram_size(&self) -> Option<usize> {
        let mut state = self.inner.shared.lock();
        let handle = state.handle(self.inner.key).ok()?;
        state.backend.max_datagram_size(handle).ok()
    }
}
