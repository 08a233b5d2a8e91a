//! What the sender of a datagram can be refused.

use core::fmt;

/// Why a datagram is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendDatagramError {
    /// The peer takes no datagrams, or has not said so yet: that is known when the handshake is complete
    /// (RFC 9221 section 3).
    Unsupported,
    /// Larger than the peer takes, whatever the path.
    TooLargeForPeer {
        /// The most bytes that the peer takes.
        max: usize,
    },
    /// Larger than a packet on the path now. Datagrams are not fragmented (RFC 9221 section 5).
    TooLargeForPath {
        /// The most bytes that fit now.
        max: usize,
    },
    /// As much waits to be sent, or to be told, as may. Congestion control holds it back, or events are not polled.
    QueueFull,
    /// The connection is closed.
    Closed,
}

impl fmt::Display for SendDatagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the peer takes no datagrams"),
            Self::TooLargeForPeer { max } => write!(f, "the peer takes datagrams of at most {max} bytes"),
            Self::TooLargeForPath { max } => write!(f, "the path carries datagrams of at most {max} bytes now"),
            Self::QueueFull => f.write_str("too many datagrams wait to be sent"),
            Self::Closed => f.write_str("the connection is closed"),
        }
    }
}

impl core::error::Error for SendDatagramError {}
