//! Sessions, paths, keys, datagrams, logs, by the engine's own API.

use std::net::SocketAddr;

use bytes::Bytes;
use quillon::endpoint::LastLogs;
use quillon::{ConnectionHandle, Migration, Priority, SendDatagramError, StreamId, Time};

use super::{Native, write_error};
use crate::backend::{BackendError, Facts, Handle, Log, SessionHandle, Transport};

/// Connections whose last logs wait to be taken; those of earlier ones are dropped.
const MAX_LAST_LOGS: usize = 16;

impl Transport for Native {
    fn facts(&mut self, connection: Handle) -> Result<Facts, BackendError> {
        let connection = self.connection(connection)?;
        let (active, others): (Vec<_>, Vec<_>) = connection.path_stats().partition(|path| path.active);
        Ok(Facts {
            version: connection.version(),
            is_resumed: connection.is_resumed(),
            early_data: connection.early_data_status(),
            paths: active.iter().chain(&others).map(|path| path.addresses).collect(),
        })
    }

    fn update_key(&mut self, now: Time, connection: Handle) -> Result<(), BackendError> {
        self.connection(connection)?.initiate_key_update(now).map_err(unavailable)
    }

    fn migrate(
        &mut self,
        now: Time,
        connection: Handle,
        local: SocketAddr,
        migration: Migration,
    ) -> Result<(), BackendError> {
        self.connection(connection)?.migrate(now, local, migration).map_err(unavailable)
    }

    fn send_datagram(&mut self, connection: Handle, data: Bytes) -> Result<(), BackendError> {
        self.connection(connection)?.send_datagram(data).map(drop).map_err(|error| match error {
            SendDatagramError::Unsupported => BackendError::Unsupported,
            SendDatagramError::TooLargeForPeer { max } | SendDatagramError::TooLargeForPath { max } => {
                BackendError::TooLarge(max)
            }
            SendDatagramError::QueueFull => BackendError::Blocked,
            _ => BackendError::Closed,
        })
    }

    fn receive_datagram(&mut self, connection: Handle) -> Result<Bytes, BackendError> {
        self.connection(connection)?.recv_datagram().ok_or(BackendError::Blocked)
    }

    fn max_datagram_size(&mut self, connection: Handle) -> Result<usize, BackendError> {
        self.connection(connection)?.max_datagram_size().ok_or(BackendError::Unsupported)
    }

    fn set_priority(&mut self, connection: Handle, stream: StreamId, priority: Priority) -> Result<(), BackendError> {
        self.connection(connection)?.set_priority(stream, priority).map_err(write_error)
    }

    fn export_keying_material(
        &mut self,
        connection: Handle,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), BackendError> {
        self.connection(connection)?.export_keying_material(out, label, context).map_err(unavailable)
    }

    fn free_session(&mut self, session: SessionHandle) -> Result<(), BackendError> {
        self.sessions.remove(&session);
        Ok(())
    }

    fn poll_log(&mut self, connection: Handle, log: Log) -> Result<Option<String>, BackendError> {
        if let Ok(connection) = self.connection(connection) {
            return Ok(match log {
                Log::Qlog => connection.poll_qlog(),
                Log::Text => connection.poll_text_log(),
            });
        }
        while let Some(logs) = self.endpoint.poll_last_logs() {
            if self.last_logs.len() >= MAX_LAST_LOGS {
                self.last_logs.pop_front();
            }
            self.last_logs.push_back(logs);
        }
        let handle = ConnectionHandle::from_raw(connection);
        let last = self.last_logs.iter_mut().find(|logs| logs.connection == handle);
        Ok(last.and_then(|logs: &mut LastLogs| match log {
            Log::Qlog => logs.qlog.take(),
            Log::Text => logs.text_log.take(),
        }))
    }
}

fn unavailable(error: impl ToString) -> BackendError {
    BackendError::Unavailable(error.to_string())
}
