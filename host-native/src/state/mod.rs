//! What the driver and the handles of one endpoint share: the backend, the connections, and who waits for what.
//!
//! Everything here happens under one lock. A waker is registered in the same critical section as the refused call,
//! and events are handed out in the same critical section as the call that caused them: no wake-up is lost.

mod connection;
mod log;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quillon::{Dir, Event, FourTuple, StreamId, Time};
use tokio::sync::Notify;

use crate::backend::{self, Backend, BackendError, Handle, SessionHandle, Told, if_there};
use crate::config::{ClientConfig, ServerConfig};
use crate::engine::{Engine, EngineError};
use crate::error::ConnectionError;
use crate::key_log::KeyLog;
use crate::session::Session;
use crate::socket::Socket;

pub(crate) use connection::{ConnectionState, StreamState};
pub(crate) use log::Logs;

/// Connections that wait for an `accept`; more are closed at once.
const MAX_INCOMING: usize = 1024;

/// A connection of this endpoint: the instance that it lives in, and its handle there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionKey {
    pub(crate) instance: u64,
    pub(crate) handle: Handle,
}

/// The shared half of an endpoint.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes the driver: there may be something to send, or an end.
    pub(crate) wake: Notify,
    /// Something changed for those who accept or wait for the end.
    pub(crate) changed: Notify,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), wake: Notify::new(), changed: Notify::new() }
    }

    /// A panic under the lock is a bug of ours; the state is still good enough to close connections.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket on its way to the driver.
pub(crate) enum NewSocket {
    /// Beside those that are there.
    Another(Socket),
    /// In place of the first, and under its address as far as the engine knows.
    Instead(Socket),
}

/// One endpoint.
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) backend: Box<dyn Backend>,
    settings: quillon::EndpointConfig,
    server: Option<ServerConfig>,
    key_log: Option<KeyLog>,
    logs: Logs,
    /// Sockets on their way to the driver.
    pub(crate) new_sockets: Vec<NewSocket>,
    /// Counts the backend's instances: a trap starts a new one.
    instance: u64,
    connections: BTreeMap<ConnectionKey, ConnectionState>,
    /// Connections with a completed handshake that nobody accepted yet, at most [`MAX_INCOMING`].
    incoming: VecDeque<ConnectionKey>,
    /// `close` was called: nothing new comes in or goes out.
    pub(crate) closed: bool,
    /// No `Endpoint` is left: the driver ends with the last connection.
    abandoned: bool,
    /// The largest datagram that a configuration of this endpoint lets the engine send.
    max_udp_payload_size: u16,
    origin: Instant,
    wall_clock_set: Option<Instant>,
}

impl State {
    pub(crate) fn new(
        engine: Engine,
        settings: quillon::EndpointConfig,
        key_log: Option<KeyLog>,
        logs: Logs,
    ) -> Result<Self, EngineError> {
        Ok(Self {
            engine,
            backend: backend::new(engine, &settings)?,
            settings,
            server: None,
            key_log,
            logs,
            new_sockets: Vec::new(),
            instance: 0,
            connections: BTreeMap::new(),
            incoming: VecDeque::new(),
            closed: false,
            abandoned: false,
            max_udp_payload_size: 1200,
            origin: Instant::now(),
            wall_clock_set: None,
        })
    }

    /// Monotonic time in the engine's unit.
    pub(crate) fn now(&self) -> Time {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The instant of an engine's deadline.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.origin + Duration::from_nanos(time)
    }

    /// Tells the engine the time of day, at most once a second.
    pub(crate) fn refresh_wall_clock(&mut self) -> Result<(), BackendError> {
        if self.wall_clock_set.is_some_and(|at| at.elapsed() < Duration::from_secs(1)) {
            return Ok(());
        }
        self.wall_clock_set = Some(Instant::now());
        self.backend.set_unix_time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    pub(crate) fn listen(&mut self, mut config: ServerConfig) -> Result<(), BackendError> {
        self.refresh_wall_clock()?;
        self.logs.ask(&mut config.transport);
        self.backend.listen(&config, self.key_log.is_some())?;
        self.max_udp_payload_size = self.max_udp_payload_size.max(config.transport.max_udp_payload_size);
        self.server = Some(config);
        Ok(())
    }

    pub(crate) fn connection(&self, key: ConnectionKey) -> Option<&ConnectionState> {
        self.connections.get(&key)
    }

    pub(crate) fn connection_mut(&mut self, key: ConnectionKey) -> Option<&mut ConnectionState> {
        self.connections.get_mut(&key)
    }

    pub(crate) fn stream_mut(&mut self, key: ConnectionKey, stream: StreamId) -> Option<&mut StreamState> {
        self.connections.get_mut(&key)?.streams.get_mut(&stream)
    }

    /// Why calls on this connection fail, if they do.
    pub(crate) fn closed(&self, key: ConnectionKey) -> Option<ConnectionError> {
        match self.connections.get(&key) {
            Some(connection) => connection.closed.clone(),
            None => Some(ConnectionError::EndpointClosed),
        }
    }

    pub(crate) fn connect(
        &mut self,
        shared: &Arc<Shared>,
        config: &ClientConfig,
        server_name: &str,
        path: FourTuple,
    ) -> Result<ConnectionKey, BackendError> {
        self.refresh_wall_clock()?;
        let now = self.now();
        let mut config = config.clone();
        self.logs.ask(&mut config.transport);
        let session = config.session.as_ref().and_then(|session| session.handle_in(shared, self.instance));
        let handle = self.backend.connect(now, &config, session, self.key_log.is_some(), server_name, path)?;
        self.max_udp_payload_size = self.max_udp_payload_size.max(config.transport.max_udp_payload_size);
        let key = ConnectionKey { instance: self.instance, handle };
        self.connections.insert(key, ConnectionState::new(path.remote, true));
        Ok(key)
    }

    pub(crate) fn max_udp_payload_size(&self) -> usize {
        usize::from(self.max_udp_payload_size)
    }

    /// The next connection that nobody accepted yet.
    pub(crate) fn accept(&mut self) -> Option<ConnectionKey> {
        self.incoming.pop_front()
    }

    /// Closes a connection for this end's application; again is nothing.
    pub(crate) fn close(&mut self, key: ConnectionKey, code: u64, reason: &[u8]) -> Result<(), BackendError> {
        if key.instance != self.instance || self.closed(key).is_some() {
            return Ok(());
        }
        let stats = if_there(self.backend.stats(key.handle))?;
        let now = self.now();
        if_there(self.backend.close(now, key.handle, code, reason))?;
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.last_stats = stats;
            let reason = reason.to_vec();
            connection.end(ConnectionError::Quic(quillon::ConnectionError::Application {
                code,
                reason,
                by_peer: false,
            }));
        }
        Ok(())
    }

    /// Closes every connection.
    pub(crate) fn close_all(&mut self, code: u64, reason: &[u8]) -> Result<(), BackendError> {
        self.closed = true;
        self.release_incoming();
        let keys: Vec<_> = self.connections.keys().copied().collect();
        keys.into_iter().try_for_each(|key| self.close(key, code, reason))
    }

    /// No `Endpoint` is left to accept: closes the connections that wait for it, and those that come.
    pub(crate) fn abandon(&mut self) -> Result<(), BackendError> {
        self.abandoned = true;
        let waiting = self.release_incoming();
        waiting.into_iter().try_for_each(|key| self.close(key, 0, b""))
    }

    /// Nobody will accept the connections that wait for it.
    fn release_incoming(&mut self) -> VecDeque<ConnectionKey> {
        let waiting = std::mem::take(&mut self.incoming);
        waiting.iter().for_each(|key| self.release(*key));
        waiting
    }

    /// Fails the handshake towards a host that says that nobody listens. The host does not say on which port: more
    /// than one handshake towards it is left to the timeout, and so is one that the peer has answered before.
    pub(crate) fn fail_unreachable(&mut self, host: IpAddr) -> Result<(), BackendError> {
        let is_waiting = |connection: &ConnectionState| {
            connection.is_client
                && !connection.handshake_complete
                && connection.closed.is_none()
                && connection.remote.ip() == host
        };
        let mut waiting = self.connections.iter().filter(|(_, connection)| is_waiting(connection));
        let (Some((&key, _)), None) = (waiting.next(), waiting.next()) else { return Ok(()) };
        if if_there(self.backend.stats(key.handle))?.is_some_and(|stats| stats.packets_received > 0) {
            return Ok(());
        }
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.end(ConnectionError::Unreachable(connection.remote));
        }
        let now = self.now();
        if_there(self.backend.close(now, key.handle, 0, b"")).map(drop)
    }

    /// Whether nobody is left whom the driver could serve.
    pub(crate) fn is_over(&self) -> bool {
        self.abandoned && self.is_idle()
    }

    /// Whether the engine has forgotten every connection.
    pub(crate) fn is_idle(&self) -> bool {
        self.connections.values().all(|connection| connection.drained)
    }

    /// Lets go of a connection that no handle refers to any more.
    pub(crate) fn release(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.referenced = false;
            if connection.drained {
                self.forget(key);
            }
        }
    }

    /// Forgets a connection, with the sessions that nobody took.
    fn forget(&mut self, key: ConnectionKey) {
        let sessions = self.connections.remove(&key).map(|connection| connection.sessions).unwrap_or_default();
        sessions.into_iter().for_each(|session| self.free_session(key.instance, session));
    }

    /// Hands out what the engine has to tell, up to `limit` events; gives their number.
    pub(crate) fn dispatch(&mut self, shared: &Arc<Shared>, limit: usize) -> Result<usize, BackendError> {
        for count in 0..limit {
            let Some((handle, told)) = self.backend.poll_event()? else { return Ok(count) };
            match told {
                Told::Event(event) => self.handle_event(shared, handle, event)?,
                Told::Session(session) => self.receive_session(handle, session)?,
            }
        }
        Ok(limit)
    }

    /// A session that can be resumed: it is the connection's to give away.
    fn receive_session(&mut self, handle: Handle, session: SessionHandle) -> Result<(), BackendError> {
        let key = ConnectionKey { instance: self.instance, handle };
        let given_up = match self.connections.get_mut(&key).filter(|connection| connection.referenced) {
            Some(connection) => connection.add_session(session),
            None => Some(session),
        };
        given_up.map_or(Ok(()), |session| self.backend.free_session(session))
    }

    /// A session of the connection that nobody took yet.
    pub(crate) fn take_session(&mut self, shared: &Arc<Shared>, key: ConnectionKey) -> Option<Session> {
        let session = self.connection_mut(key)?.sessions.pop_front()?;
        Some(Session::new(shared, key.instance, session))
    }

    /// Lets go of a session; one whose instance is gone is gone with it.
    pub(crate) fn free_session(&mut self, instance: u64, session: SessionHandle) {
        if instance == self.instance {
            // A trap shows at the next call.
            let _ = self.backend.free_session(session);
        }
    }

    fn handle_event(&mut self, shared: &Shared, handle: Handle, event: Event) -> Result<(), BackendError> {
        let key = ConnectionKey { instance: self.instance, handle };
        match event {
            Event::Accepted => {
                if let Some(remote) = if_there(self.backend.remote(handle))? {
                    self.connections.insert(key, ConnectionState::new(remote, false));
                }
                return Ok(());
            }
            Event::KeyLog(line) => {
                // The connection is worth more than its log.
                let _ = self.key_log.as_mut().map(|log| log.write(&line));
                return Ok(());
            }
            _ => {}
        }
        let Some(connection) = self.connections.get_mut(&key) else { return Ok(()) };
        match event {
            Event::HandshakeComplete => {
                connection.handshake_complete = true;
                connection.alpn = if_there(self.backend.alpn(handle))?.flatten();
                connection.wake_all();
                if !connection.is_client {
                    self.receive_connection(shared, key)?;
                }
            }
            Event::StreamOpened { id } => {
                connection.opened[direction(id.dir())].push_back(id);
                let early = !connection.is_client && !connection.handshake_complete;
                connection.streams.insert(id, StreamState::opened_by_peer(early));
                connection.wake_all();
            }
            Event::HandshakeConfirmed => {
                connection.handshake_confirmed = true;
                connection.wake_all();
            }
            Event::NewToken { token } => connection.add_token(token),
            Event::EarlyDataRejected => connection.reject_early_data(),
            Event::StreamsAvailable { .. }
            | Event::DatagramReceived
            | Event::DatagramAcked { .. }
            | Event::DatagramLost { .. }
            | Event::EarlyDataAccepted
            | Event::PathChanged { .. }
            | Event::PathFailed { .. }
            | Event::PathValidated { .. }
            | Event::KeysUpdated { .. } => connection.wake_all(),
            Event::Closed(error) => {
                connection.last_stats = if_there(self.backend.stats(handle))?;
                connection.end(ConnectionError::Quic(error));
            }
            Event::Drained => {
                let log = self.logs.take(&mut *self.backend, key, connection.is_client);
                connection.drained = true;
                connection.end(ConnectionError::EndpointClosed);
                if !connection.referenced {
                    self.forget(key);
                }
                self.logs.end(key);
                shared.changed.notify_waiters();
                log?;
            }
            event => connection.stream_event(&event),
        }
        Ok(())
    }

    /// A client has completed its handshake: it waits for an `accept`, which tells of its end too if that comes first.
    fn receive_connection(&mut self, shared: &Shared, key: ConnectionKey) -> Result<(), BackendError> {
        if self.closed || self.abandoned || self.incoming.len() >= MAX_INCOMING {
            return self.close(key, 0, b"");
        }
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.referenced = true;
        }
        self.incoming.push_back(key);
        shared.changed.notify_waiters();
        Ok(())
    }

    /// Puts a new instance in place of one that trapped. Its connections end.
    pub(crate) fn replace_backend(&mut self, shared: &Shared, trap: &str) -> Result<(), EngineError> {
        self.end_all(&ConnectionError::Trapped(trap.to_owned()));
        self.instance += 1;
        self.wall_clock_set = None;
        self.backend = backend::new(self.engine, &self.settings)?;
        let refused = |error: BackendError| EngineError::Module(error.to_string());
        if let Some(server) = self.server.clone().filter(|_| !self.closed) {
            self.listen(server).map_err(refused)?;
        }
        shared.changed.notify_waiters();
        Ok(())
    }

    /// Ends the endpoint: there is no backend or no socket any more.
    pub(crate) fn fail(&mut self, shared: &Shared, error: &ConnectionError) {
        self.end_all(error);
        self.closed = true;
        shared.changed.notify_waiters();
    }

    fn end_all(&mut self, error: &ConnectionError) {
        self.release_incoming();
        for connection in self.connections.values_mut() {
            connection.drained = true;
            connection.end(error.clone());
        }
        self.connections.retain(|_, connection| connection.referenced);
    }

    /// Writes what the logs of all connections have recorded.
    pub(crate) fn write_logs(&mut self) -> Result<(), BackendError> {
        if !self.logs.is_on() {
            return Ok(());
        }
        for (key, connection) in self.connections.iter().filter(|(_, connection)| !connection.drained) {
            if key.instance == self.instance {
                self.logs.take(&mut *self.backend, *key, connection.is_client)?;
            }
        }
        Ok(())
    }

    /// [`handle`](Self::handle), for a stream; with `early`, one that was opened before the handshake was complete.
    pub(crate) fn stream_handle(&self, key: ConnectionKey, early: bool) -> Result<Handle, ConnectionError> {
        if early && self.connection(key).is_some_and(|connection| connection.early_data_rejected) {
            return Err(ConnectionError::EarlyDataRejected);
        }
        self.handle(key)
    }

    /// The backend's handle of a connection, also of a closed one; not of one whose instance is gone.
    pub(crate) fn handle(&self, key: ConnectionKey) -> Result<Handle, ConnectionError> {
        if key.instance == self.instance {
            return Ok(key.handle);
        }
        Err(self.closed(key).unwrap_or(ConnectionError::EndpointClosed))
    }

    /// The end of the connection, where that is why a call was refused.
    pub(crate) fn end_behind(
        &mut self,
        shared: &Shared,
        key: ConnectionKey,
        error: &BackendError,
    ) -> Option<ConnectionError> {
        if let BackendError::Trapped(trap) = error {
            // A failure to start again is the driver's to find and report.
            let _ = self.replace_backend(shared, trap);
            shared.wake.notify_one();
        }
        let gone = || (*error == BackendError::Closed).then_some(ConnectionError::EndpointClosed);
        self.closed(key).or_else(gone)
    }
}

pub(crate) const fn direction(dir: Dir) -> usize {
    match dir {
        Dir::Bidi => 0,
        Dir::Uni => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_ends_the_connections_and_not_the_endpoint() {
        let state = State::new(Engine::Wasm, quillon::EndpointConfig::default(), None, Logs::default());
        let shared = Arc::new(Shared::new(state.expect("run `cargo xtask wasm` and build again")));
        let mut state = shared.lock();
        let config = ClientConfig { verify_peer: false, ..ClientConfig::new(["test"]) };
        let path = FourTuple { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() };
        let before = state.connect(&shared, &config, "localhost", path).expect("a connection");
        assert_eq!(state.closed(before), None);

        state.replace_backend(&shared, "out of bounds").expect("a new instance");
        let trapped = ConnectionError::Trapped("out of bounds".to_owned());
        assert_eq!(state.closed(before), Some(trapped.clone()));
        assert_eq!(state.handle(before), Err(trapped));
        assert!(state.close(before, 0, b"").is_ok() && state.is_idle());

        // The new instance starts its handles again: they are other connections.
        let after = state.connect(&shared, &config, "localhost", path).expect("a connection");
        assert!(after != before && state.closed(after).is_none());
        state.release(before);
        assert!(state.connection(before).is_none() && state.connection(after).is_some());
    }
}
