//! The engine as Rust.

mod transport;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quillon::endpoint::LastLogs;
use quillon::stream::{OpenError, ReadError, WriteError};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::tls::rustls::{SessionStore, TicketKeys};
use quillon::{
    Connection, ConnectionHandle, Dir, Endpoint, EndpointConfig, Event, FourTuple, SavedSession, Stats, StreamId, Time,
    Transmit,
};

use super::configs::Configs;
use super::{Backend, BackendError, Batch, Handle, Peek, RECEIVE_LEN, Received, SessionHandle, TRANSMIT_LEN, Told};
use crate::config::{ClientConfig, ServerConfig};
use crate::engine::Engine;
use crate::error::ConnectError;

pub(super) struct Native {
    endpoint: Endpoint,
    receive: Box<[u8]>,
    transmit: Box<[u8]>,
    batches: Vec<Batch>,
    /// rustls resumes a session only with the configuration that it comes from.
    configs: Configs<Arc<RustlsClient>>,
    sessions: BTreeMap<SessionHandle, SavedSession>,
    next_session: SessionHandle,
    last_logs: VecDeque<LastLogs>,
}

impl Native {
    pub(super) fn new(config: &EndpointConfig, seed: [u8; 32]) -> Self {
        Self {
            endpoint: Endpoint::new(config.clone(), seed),
            receive: vec![0; RECEIVE_LEN].into(),
            transmit: vec![0; TRANSMIT_LEN].into(),
            batches: Vec::new(),
            configs: Configs::default(),
            sessions: BTreeMap::new(),
            next_session: 1,
            last_logs: VecDeque::new(),
        }
    }

    fn keep_session(&mut self, session: SavedSession) -> SessionHandle {
        let handle = self.next_session;
        self.next_session = handle.wrapping_add(1);
        self.sessions.insert(handle, session);
        handle
    }

    fn connection(&mut self, handle: Handle) -> Result<&mut Connection, BackendError> {
        self.endpoint.connection_mut(ConnectionHandle::from_raw(handle)).ok_or(BackendError::Closed)
    }
}

impl Backend for Native {
    fn receive_buffer(&mut self) -> &mut [u8] {
        &mut self.receive
    }

    fn receive(&mut self, now: Time, batch: &[Received]) -> Result<(), BackendError> {
        for received in batch {
            let Some(bytes) = self.receive.get_mut(received.offset..received.offset + received.len) else { continue };
            for datagram in bytes.chunks_mut(received.stride.max(1)) {
                self.endpoint.receive(now, received.path, received.ecn, datagram);
            }
        }
        Ok(())
    }

    fn transmit(&mut self, now: Time, max_segments: usize) -> Result<usize, BackendError> {
        self.batches.clear();
        let mut start = 0;
        while let Some(room) = self.transmit.get_mut(start..)
            && let Transmit::Send(sent) = self.endpoint.transmit(now, room)
        {
            let (end, longest) = (start + sent.len, sent.segment_size.saturating_mul(max_segments).max(1));
            self.batches.extend((start..end).step_by(longest).map(|offset| Batch {
                offset,
                len: (end - offset).min(longest),
                segment_size: sent.segment_size,
                ecn: sent.ecn,
                path: sent.path,
            }));
            start = end;
        }
        Ok(self.batches.len())
    }

    fn batch(&self, index: usize) -> Option<Batch> {
        self.batches.get(index).copied()
    }

    fn contents(&self, batch: &Batch) -> &[u8] {
        self.transmit.get(batch.offset..batch.offset + batch.len).unwrap_or_default()
    }

    fn timeout(&mut self) -> Result<Option<Time>, BackendError> {
        Ok(self.endpoint.timeout())
    }

    fn handle_timeout(&mut self, now: Time) -> Result<(), BackendError> {
        self.endpoint.handle_timeout(now);
        Ok(())
    }

    fn poll_event(&mut self) -> Result<Option<(Handle, Told)>, BackendError> {
        let Some((handle, event)) = self.endpoint.poll_event() else { return Ok(None) };
        let told = match event {
            Event::NewSession(session) => Told::Session(self.keep_session(*session)),
            event => Told::Event(event),
        };
        Ok(Some((handle.raw(), told)))
    }

    fn set_unix_time(&mut self, time: Duration) -> Result<(), BackendError> {
        self.endpoint.set_unix_time(time);
        Ok(())
    }

    fn listen(&mut self, config: &ServerConfig, key_log: bool) -> Result<(), BackendError> {
        let identity = &config.identity;
        let mut builder = RustlsServer::builder(identity.chain.iter().cloned(), &identity.key)
            .alpn(config.alpn.iter().cloned())
            .cipher_suites(config.suites(Engine::Native))
            .early_data(config.early_data)
            .key_log(key_log);
        if config.session_store > 0 {
            builder = builder.session_store(SessionStore::new(config.session_store));
        }
        if let Some((current, previous)) = config.ticket_keys {
            let keys = TicketKeys::new(current);
            builder = builder.ticket_keys(match previous {
                Some(previous) => keys.with_previous(previous),
                None => keys,
            });
        }
        let tls = builder.build().map_err(refused)?;
        let mut server = quillon::ServerConfig::new(Arc::new(tls));
        server.transport = config.transport.clone();
        self.endpoint.set_server(Some(Arc::new(server))).map_err(refused)
    }

    fn connect(
        &mut self,
        now: Time,
        config: &ClientConfig,
        session: Option<SessionHandle>,
        key_log: bool,
        server_name: &str,
        path: FourTuple,
    ) -> Result<Handle, BackendError> {
        let tls = match self.configs.find(config) {
            Some(tls) => Arc::clone(tls),
            None => {
                let tls = client_tls(config, key_log)?;
                let _ = self.configs.keep(config, Arc::clone(&tls));
                tls
            }
        };
        let mut client = quillon::ClientConfig::new(tls);
        client.transport = config.transport.clone();
        client.token.clone_from(&config.token);
        client.session = session.and_then(|session| self.sessions.get(&session).cloned());
        client.early_data = config.early_data;
        let handle = self.endpoint.connect(now, &Arc::new(client), server_name, path).map_err(refused)?;
        Ok(handle.raw())
    }

    fn open(&mut self, connection: Handle, dir: Dir) -> Result<StreamId, BackendError> {
        self.connection(connection)?.open(dir).map_err(open_error)
    }

    fn write(&mut self, connection: Handle, stream: StreamId, data: &[u8]) -> Result<usize, BackendError> {
        self.connection(connection)?.write(stream, data).map_err(write_error)
    }

    fn finish(&mut self, connection: Handle, stream: StreamId) -> Result<(), BackendError> {
        self.connection(connection)?.finish(stream).map_err(write_error)
    }

    fn reset(&mut self, connection: Handle, stream: StreamId, code: u64) -> Result<(), BackendError> {
        self.connection(connection)?.reset(stream, code).map_err(|_| BackendError::UnknownStream)
    }

    fn stop_sending(&mut self, connection: Handle, stream: StreamId, code: u64) -> Result<(), BackendError> {
        self.connection(connection)?.stop_sending(stream, code).map_err(|_| BackendError::UnknownStream)
    }

    fn peek(&mut self, connection: Handle, stream: StreamId) -> Result<Peek<'_>, BackendError> {
        let peek = self.connection(connection)?.peek(stream).map_err(read_error)?;
        Ok(Peek { data: peek.data, finished: peek.finished })
    }

    fn consume(&mut self, connection: Handle, stream: StreamId, len: usize) -> Result<(), BackendError> {
        self.connection(connection)?.consume(stream, len).map(drop).map_err(read_error)
    }

    fn close(&mut self, now: Time, connection: Handle, code: u64, reason: &[u8]) -> Result<(), BackendError> {
        self.connection(connection)?.close(now, code, reason);
        Ok(())
    }

    fn stats(&mut self, connection: Handle) -> Result<Stats, BackendError> {
        Ok(self.connection(connection)?.stats())
    }

    fn alpn(&mut self, connection: Handle) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.connection(connection)?.alpn().map(<[u8]>::to_vec))
    }

    fn remote(&mut self, connection: Handle) -> Result<SocketAddr, BackendError> {
        Ok(self.connection(connection)?.path().remote)
    }

    fn module_datagrams(&self) -> Option<u64> {
        None
    }
}

fn client_tls(config: &ClientConfig, key_log: bool) -> Result<Arc<RustlsClient>, BackendError> {
    let mut builder = RustlsClient::builder()
        .alpn(config.alpn.iter().cloned())
        .roots(config.roots.iter().cloned())
        .cipher_suites(config.suites(Engine::Native))
        .key_log(key_log);
    if !config.verify_peer {
        builder = builder.danger_accept_any_certificate();
    }
    builder.build().map(Arc::new).map_err(refused)
}

fn refused(error: impl ToString) -> BackendError {
    BackendError::Refused(ConnectError::Configuration(error.to_string()))
}

fn open_error(error: OpenError) -> BackendError {
    match error {
        OpenError::Blocked(_) => BackendError::Blocked,
        _ => BackendError::Closed,
    }
}

fn write_error(error: WriteError) -> BackendError {
    match error {
        WriteError::Blocked => BackendError::Blocked,
        WriteError::Finished => BackendError::Finished,
        WriteError::Reset => BackendError::Reset(0),
        WriteError::Stopped(code) => BackendError::Stopped(code),
        _ => BackendError::UnknownStream,
    }
}

fn read_error(error: ReadError) -> BackendError {
    match error {
        ReadError::Blocked => BackendError::Blocked,
        ReadError::Reset(code) => BackendError::Reset(code),
        ReadError::Stopped => BackendError::Stopped(0),
        _ => BackendError::UnknownStream,
    }
}
