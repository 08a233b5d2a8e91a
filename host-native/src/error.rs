//! Why things end. Each error is one line that says what to do where something can be done.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::engine::EngineError;

/// Why a connection is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// One of QUIC's reasons: closed by either end, timed out, reset.
    Quic(quillon::ConnectionError),
    /// The operating system was told that nobody listens there, before the peer sent anything.
    Unreachable(SocketAddr),
    /// The module trapped. The endpoint lives on with a new instance; its earlier connections do not.
    Trapped(String),
    /// This end's endpoint was closed, or its socket failed.
    EndpointClosed,
    /// Of a stream that was opened before the handshake was complete: the server does not take the early data. The
    /// connection goes on; what was sent is to be sent again, on a new stream.
    EarlyDataRejected,
}

impl ConnectionError {
    /// The code with which the peer's application closed the connection, where that is how it ended.
    #[must_use]
    pub fn application_close(&self) -> Option<u64> {
        match self {
            Self::Quic(quillon::ConnectionError::Application { code, by_peer: true, .. }) => Some(*code),
            _ => None,
        }
    }

    /// Whether this end closed the connection itself, without an error.
    #[must_use]
    pub fn is_local_close(&self) -> bool {
        matches!(self, Self::Quic(quillon::ConnectionError::Application { by_peer: false, .. }))
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quic(error) => error.fmt(f),
            Self::Unreachable(address) => {
                write!(f, "nobody listens on UDP {address}: check the port, and that the server runs")
            }
            Self::Trapped(trap) => write!(f, "the engine's module trapped and its connections are lost: {trap}"),
            Self::EndpointClosed => f.write_str("the endpoint is closed"),
            Self::EarlyDataRejected => f.write_str("the server did not take the early data: send it again"),
        }
    }
}

impl std::error::Error for ConnectionError {}

/// Why no connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The configuration or the server's name was refused.
    Configuration(String),
    /// The endpoint has as many connections, or as much memory in use, as its settings allow.
    Exhausted(String),
    /// No local address reaches the remote one.
    NoRoute(String),
    /// The handshake failed.
    Connection(ConnectionError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(reason) | Self::Exhausted(reason) | Self::NoRoute(reason) => f.write_str(reason),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectionError> for ConnectError {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

/// Why an endpoint could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum EndpointError {
    /// The socket.
    Socket {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// The backend.
    Engine(EngineError),
    /// The server's configuration was refused.
    Configuration(String),
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "cannot bind UDP {address}: another process has it; choose another port, or 0 for any")
            }
            Self::Socket { address, error } if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "cannot bind UDP {address}: not permitted; choose a port from 1024 upwards")
            }
            Self::Socket { address, error } => write!(f, "cannot bind UDP {address}: {error}"),
            Self::Engine(error) => error.fmt(f),
            Self::Configuration(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for EndpointError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket { error, .. } => Some(error),
            Self::Engine(error) => Some(error),
            Self::Configuration(_) => None,
        }
    }
}

impl From<EngineError> for EndpointError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Why a stream takes no more data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The peer asked us to stop, with this code (RFC 9000 section 3.5).
    Stopped(u64),
    /// The stream was finished or reset by this end.
    Closed,
    /// The connection ended.
    Connection(ConnectionError),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(code) => write!(f, "the peer stopped reading the stream (code {code})"),
            Self::Closed => f.write_str("the stream is finished"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<WriteError> for io::Error {
    fn from(error: WriteError) -> Self {
        let kind = match error {
            WriteError::Stopped(_) => io::ErrorKind::ConnectionReset,
            WriteError::Closed => io::ErrorKind::BrokenPipe,
            WriteError::Connection(_) => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

/// Why a stream gives no more data, other than at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer reset the stream, with this code (RFC 9000 section 3.2).
    Reset(u64),
    /// This end stopped reading it.
    Closed,
    /// The connection ended.
    Connection(ConnectionError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reset(code) => write!(f, "the peer reset the stream (code {code})"),
            Self::Closed => f.write_str("the stream was stopped"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        let kind = match error {
            ReadError::Reset(_) => io::ErrorKind::ConnectionReset,
            ReadError::Closed => io::ErrorKind::BrokenPipe,
            ReadError::Connection(_) => io::ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

/// Why a datagram was not queued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendDatagramError {
    /// The peer takes no datagrams, or has not said so yet (RFC 9221 section 3).
    Unsupported,
    /// It has more bytes than fit now.
    TooLarge {
        /// The most bytes that fit now.
        max: usize,
    },
    /// Too many wait to be sent.
    QueueFull,
    /// The connection ended.
    Connection(ConnectionError),
}

impl fmt::Display for SendDatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the peer takes no datagrams"),
            Self::TooLarge { max } => write!(f, "a datagram has at most {max} bytes now"),
            Self::QueueFull => f.write_str("too many datagrams wait to be sent"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SendDatagramError {}

/// Why the transport does not do what was asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum TransportError {
    /// It is too early or too late for it, for the reason given.
    Unavailable(String),
    /// The socket.
    Socket(io::Error),
    /// The connection ended.
    Connection(ConnectionError),
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(reason) => f.write_str(reason),
            Self::Socket(error) => write!(f, "no socket: {error}"),
            Self::Connection(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TransportError {}
