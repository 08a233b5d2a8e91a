//! The engine behind one vocabulary, the ABI's, so that the driver and the handles need not know which one runs.
//!
//! Calls do not block and are bounded. What a call returns by reference lives in the backend's arenas and is valid
//! until the next call. A [`BackendError::Trapped`] is final for the backend.

mod configs;
mod native;
mod transport;
mod wasm;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use quillon::{Dir, Ecn, FourTuple, Stats, StreamId, Time};

use crate::config::{ClientConfig, ServerConfig};
use crate::engine::{Engine, EngineError};
use crate::error::ConnectError;

pub(crate) use transport::{Facts, Log, SessionHandle, Told, Transport};

/// Room for the largest datagram, or for the largest run of them that GRO hands over.
pub(crate) const SLOT_LEN: usize = 65_535;

/// Slots that one receive call may fill.
pub(crate) const RECEIVE_SLOTS: usize = 32;

/// The receive buffer's length.
pub(crate) const RECEIVE_LEN: usize = RECEIVE_SLOTS * SLOT_LEN;

/// The transmit buffer's length: what one call gives at most.
pub(crate) const TRANSMIT_LEN: usize = 512 * 1024;

/// Bytes that one send with segmentation offload takes.
pub(crate) const MAX_BATCH_LEN: usize = 65_507;

/// One or more received datagrams that lie in the receive buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    /// From the start of the receive buffer.
    pub(crate) offset: usize,
    pub(crate) len: usize,
    /// The size of each datagram but the last, which may be shorter.
    pub(crate) stride: usize,
    pub(crate) ecn: Ecn,
    pub(crate) path: FourTuple,
}

/// One or more equal-size datagrams that lie in the transmit buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// From the start of the transmit buffer.
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) segment_size: usize,
    pub(crate) ecn: Ecn,
    pub(crate) path: FourTuple,
}

/// What can be read of a stream without waiting.
#[derive(Debug)]
pub(crate) struct Peek<'a> {
    /// Contiguous bytes; none at the end.
    pub(crate) data: &'a [u8],
    /// The end was reached: the engine has told it, and may forget the stream.
    pub(crate) finished: bool,
}

/// Why a call was refused: the ABI's codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BackendError {
    /// Not now: an event will tell when.
    Blocked,
    /// The stream is gone.
    UnknownStream,
    /// This end finished the stream.
    Finished,
    /// The stream was reset.
    Reset(u64),
    /// The stream was stopped.
    Stopped(u64),
    /// The connection is closed, or gone.
    Closed,
    /// It is too early or too late for this, for the reason given.
    Unavailable(String),
    /// The peer does not take part in the extension.
    Unsupported,
    /// More than fits, which is this.
    TooLarge(usize),
    /// A configuration that TLS refused, or a memory or connection limit.
    Refused(ConnectError),
    /// The module trapped, or broke its contract.
    Trapped(String),
}

/// The result of a call on a connection that may be gone by now: then there is nothing. A trap stays an error.
pub(crate) fn if_there<T>(result: Result<T, BackendError>) -> Result<Option<T>, BackendError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ BackendError::Trapped(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("not now"),
            Self::UnknownStream => f.write_str("unknown stream"),
            Self::Finished => f.write_str("the stream is finished"),
            Self::Reset(code) => write!(f, "the stream was reset (code {code})"),
            Self::Stopped(code) => write!(f, "the stream was stopped (code {code})"),
            Self::Closed => f.write_str("the connection is closed"),
            Self::Unavailable(reason) => f.write_str(reason),
            Self::Unsupported => f.write_str("the peer does not take part"),
            Self::TooLarge(max) => write!(f, "at most {max} bytes fit"),
            Self::Refused(reason) => reason.fmt(f),
            Self::Trapped(reason) => f.write_str(reason),
        }
    }
}

/// A handle of the backend's.
pub(crate) type Handle = u32;

/// An engine's endpoint.
pub(crate) trait Backend: Transport + Send {
    /// Where received datagrams are laid, [`RECEIVE_LEN`] bytes: [`RECEIVE_SLOTS`] slots of [`SLOT_LEN`].
    fn receive_buffer(&mut self) -> &mut [u8];

    /// Takes in what was laid into the receive buffer; its contents are gone afterwards.
    fn receive(&mut self, now: Time, batch: &[Received]) -> Result<(), BackendError>;

    /// Fills the transmit buffer with batches of at most `max_segments` datagrams; gives their number, 0 when there is
    /// nothing to send now.
    fn transmit(&mut self, now: Time, max_segments: usize) -> Result<usize, BackendError>;

    /// A batch of the last transmit call.
    fn batch(&self, index: usize) -> Option<Batch>;

    /// The contents of a batch of the last transmit call.
    fn contents(&self, batch: &Batch) -> &[u8];

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    fn timeout(&mut self) -> Result<Option<Time>, BackendError>;

    fn handle_timeout(&mut self, now: Time) -> Result<(), BackendError>;

    fn poll_event(&mut self) -> Result<Option<(Handle, Told)>, BackendError>;

    /// The wall clock, since the Unix epoch: certificates are judged by it.
    fn set_unix_time(&mut self, time: Duration) -> Result<(), BackendError>;

    /// Accepts connections from now on.
    fn listen(&mut self, config: &ServerConfig, key_log: bool) -> Result<(), BackendError>;

    /// Opens a connection, which resumes `session` where it is of an earlier one with the same configuration.
    fn connect(
        &mut self,
        now: Time,
        config: &ClientConfig,
        session: Option<SessionHandle>,
        key_log: bool,
        server_name: &str,
        path: FourTuple,
    ) -> Result<Handle, BackendError>;

    fn open(&mut self, connection: Handle, dir: Dir) -> Result<StreamId, BackendError>;

    /// Takes a part of `data`, at least one byte, or is blocked.
    fn write(&mut self, connection: Handle, stream: StreamId, data: &[u8]) -> Result<usize, BackendError>;

    fn finish(&mut self, connection: Handle, stream: StreamId) -> Result<(), BackendError>;

    fn reset(&mut self, connection: Handle, stream: StreamId, code: u64) -> Result<(), BackendError>;

    fn stop_sending(&mut self, connection: Handle, stream: StreamId, code: u64) -> Result<(), BackendError>;

    fn peek(&mut self, connection: Handle, stream: StreamId) -> Result<Peek<'_>, BackendError>;

    fn consume(&mut self, connection: Handle, stream: StreamId, len: usize) -> Result<(), BackendError>;

    fn close(&mut self, now: Time, connection: Handle, code: u64, reason: &[u8]) -> Result<(), BackendError>;

    fn stats(&mut self, connection: Handle) -> Result<Stats, BackendError>;

    fn alpn(&mut self, connection: Handle) -> Result<Option<Vec<u8>>, BackendError>;

    fn remote(&mut self, connection: Handle) -> Result<SocketAddr, BackendError>;

    /// Datagrams that crossed the module's boundary so far; `None` natively, where there is none.
    fn module_datagrams(&self) -> Option<u64>;
}

/// A new endpoint of the engine, seeded by the operating system.
pub(crate) fn new(engine: Engine, config: &quillon::EndpointConfig) -> Result<Box<dyn Backend>, EngineError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| EngineError::Entropy(error.to_string()))?;
    Ok(match engine {
        Engine::Native => Box::new(native::Native::new(config, seed)),
        Engine::Wasm => Box::new(wasm::Wasm::new(config, seed)?),
    })
}

/// Does what the first wasm endpoint does once for all.
pub(crate) fn prepare() -> Result<(), EngineError> {
    wasm::prepare()
}
