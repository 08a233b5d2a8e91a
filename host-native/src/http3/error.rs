//! Why a request fails, in words for people.

use std::fmt;

use h3::error::{Code, LocalError, StreamError};

use crate::error::ConnectionError;

/// Why a request failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The connection ended.
    Connection(ConnectionError),
    /// The peer gave up the request, with this code (RFC 9114 section 8.1).
    Stopped(u64),
    /// The peer takes no further request: it is about to close (RFC 9114 section 5.2).
    GoingAway,
    /// What the peer sent breaks the protocol.
    Protocol {
        /// The code that it was told (RFC 9114 section 8.1).
        code: u64,
        /// What is wrong.
        reason: String,
    },
    /// The request cannot be sent as it is.
    Request(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(ConnectionError::Quic(quillon::ConnectionError::Application {
                code,
                reason,
                by_peer: true,
            })) => {
                write!(f, "the peer closed the connection with {}", Name(*code))?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {}", String::from_utf8_lossy(reason)) }
            }
            Self::Connection(end) => end.fmt(f),
            Self::Stopped(code) if Code::H3_REQUEST_REJECTED == *code => {
                f.write_str("the peer turned the request down unseen (H3_REQUEST_REJECTED): try again")
            }
            Self::Stopped(code) => write!(f, "the peer gave up the request with {}", Name(*code)),
            Self::GoingAway => f.write_str("the peer is about to close, and takes no more requests: try again"),
            Self::Protocol { code, reason } => write!(f, "the peer breaks HTTP/3 ({}): {reason}", Name(*code)),
            Self::Request(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

/// A code by its name in RFC 9114 or RFC 9204, or in hexadecimal.
struct Name(u64);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Code::from(self.0).to_string();
        if name.starts_with("0x") { write!(f, "code {name}") } else { f.write_str(&name) }
    }
}

impl Error {
    /// What `h3` says of a connection; where it only passes on what the transport said, the transport's own word. The
    /// connection is closed at once for what breaks the protocol: `h3` leaves that to a task that may come too late.
    pub(super) fn of_connection(connection: &crate::Connection, error: &h3::error::ConnectionError) -> Self {
        match error {
            h3::error::ConnectionError::Local { error: LocalError::Application { code, reason, .. }, .. } => {
                connection.close(code.value(), reason.as_bytes());
                Self::Protocol { code: code.value(), reason: reason.clone() }
            }
            _ => Self::Connection(connection.close_reason().unwrap_or(ConnectionError::EndpointClosed)),
        }
    }

    /// What `h3` says of a request.
    pub(super) fn of_stream(connection: &crate::Connection, error: &StreamError) -> Self {
        match error {
            StreamError::StreamError { code, reason, .. } => {
                Self::Protocol { code: code.value(), reason: reason.clone() }
            }
            StreamError::RemoteTerminate { code, .. } => Self::Stopped(code.value()),
            StreamError::ConnectionError { 0: error, .. } => Self::of_connection(connection, error),
            StreamError::HeaderTooBig { actual_size, max_size, .. } => {
                Self::Request(format!("a header section of {actual_size} bytes is above the limit of {max_size}"))
            }
            StreamError::RemoteClosing { .. } => Self::GoingAway,
            error => Self::Request(error.to_string()),
        }
    }
}
