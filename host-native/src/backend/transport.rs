//! What the engine does beside streams: sessions, paths, keys, datagrams, logs.

use bytes::Bytes;
use quillon::wire::Version;
use quillon::{EarlyDataStatus, Event, FourTuple, Migration, Priority, StreamId, Time};

use super::{BackendError, Handle};
use std::net::SocketAddr;

/// A session that the backend keeps.
pub(crate) type SessionHandle = u32;

/// What a backend has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// An event of the engine's.
    Event(Event),
    /// A session can be resumed: the backend keeps it until it is freed.
    Session(SessionHandle),
}

/// Which log of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Qlog,
    Text,
}

/// What is known of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: Version,
    pub(crate) is_resumed: bool,
    pub(crate) early_data: EarlyDataStatus,
    /// The one in use first.
    pub(crate) paths: Vec<FourTuple>,
}

/// The engine's features beside streams.
pub(crate) trait Transport {
    fn facts(&mut self, connection: Handle) -> Result<Facts, BackendError>;

    fn update_key(&mut self, now: Time, connection: Handle) -> Result<(), BackendError>;

    fn migrate(
        &mut self,
        now: Time,
        connection: Handle,
        local: SocketAddr,
        migration: Migration,
    ) -> Result<(), BackendError>;

    fn send_datagram(&mut self, connection: Handle, data: Bytes) -> Result<(), BackendError>;

    /// The oldest received datagram, or blocked.
    fn receive_datagram(&mut self, connection: Handle) -> Result<Bytes, BackendError>;

    fn max_datagram_size(&mut self, connection: Handle) -> Result<usize, BackendError>;

    fn set_priority(&mut self, connection: Handle, stream: StreamId, priority: Priority) -> Result<(), BackendError>;

    fn export_keying_material(
        &mut self,
        connection: Handle,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), BackendError>;

    fn free_session(&mut self, session: SessionHandle) -> Result<(), BackendError>;

    /// What a log has recorded since the last call; once more after the connection's end.
    fn poll_log(&mut self, connection: Handle, log: Log) -> Result<Option<String>, BackendError>;
}
