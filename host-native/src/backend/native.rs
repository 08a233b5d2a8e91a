//! The engine as Rust.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quillon::stream::{OpenError, ReadError, WriteError};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{
    Connection, ConnectionHandle, Dir, Endpoint, EndpointConfig, Event, FourTuple, Stats, StreamId, Time, Transmit,
};

use super::{Backend, BackendError, Batch, Handle, Peek, RECEIVE_LEN, Received, TRANSMIT_LEN};
use crate::config::{ClientConfig, ServerConfig};
use crate::engine::Engine;
use crate::error::ConnectError;

pub(super) struct Native {
    endpoint: Endpoint,
    receive: Box<[u8]>,
    transmit: Box<[u8]>,
    batches: Vec<Batch>,
}

impl Native {
    pub(super) fn new(config: &EndpointConfig, seed: [u8; 32]) -> Self {
        Self {
            endpoint: Endpoint::new(config.clone(), seed),
            receive: vec![0; RECEIVE_LEN].into(),
            transmit: vec![0; TRANSMIT_LEN].into(),
            batches: Vec::new(),
        }
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

    fn poll_event(&mut self) -> Result<Option<(Handle, Event)>, BackendError> {
        Ok(self.endpoint.poll_event().map(|(handle, event)| (handle.raw(), event)))
    }

    fn set_unix_time(&mut self, time: Duration) -> Result<(), BackendError> {
        self.endpoint.set_unix_time(time);
        Ok(())
    }

    fn listen(&mut self, config: &ServerConfig, key_log: bool) -> Result<(), BackendError> {
        let identity = &config.identity;
        let tls = RustlsServer::builder(identity.chain.iter().cloned(), &identity.key)
            .alpn(config.alpn.iter().cloned())
            .cipher_suites(config.suites(Engine::Native))
            .key_log(key_log)
            .build()
            .map_err(refused)?;
        let mut server = quillon::ServerConfig::new(Arc::new(tls));
        server.transport = config.transport.clone();
        self.endpoint.set_server(Some(Arc::new(server))).map_err(refused)
    }

    fn connect(
        &mut self,
        now: Time,
        config: &ClientConfig,
        key_log: bool,
        server_name: &str,
        path: FourTuple,
    ) -> Result<Handle, BackendError> {
        let mut builder = RustlsClient::builder()
            .alpn(config.alpn.iter().cloned())
            .roots(config.roots.iter().cloned())
            .cipher_suites(config.suites(Engine::Native))
            .key_log(key_log);
        if !config.verify_peer {
            builder = builder.danger_accept_any_certificate();
        }
        let tls = builder.build().map_err(refused)?;
        let mut client = quillon::ClientConfig::new(Arc::new(tls));
        client.transport = config.transport.clone();
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
