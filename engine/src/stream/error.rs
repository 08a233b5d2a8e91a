//! What the caller of a stream can be refused.

use core::fmt;

use crate::wire::Dir;

/// Why a stream cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The peer allows no more streams of this direction now (RFC 9000 section 4.6).
    /// [`StreamEvent::Available`](super::StreamEvent::Available) follows when it does.
    Blocked(Dir),
    /// This end is shutting down: it opens no more streams.
    ShutDown,
    /// The connection is closed.
    Closed,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked(Dir::Bidi) => f.write_str("the peer allows no more bidirectional streams now"),
            Self::Blocked(Dir::Uni) => f.write_str("the peer allows no more unidirectional streams now"),
            Self::ShutDown => f.write_str("this end is shutting down and opens no more streams"),
            Self::Closed => f.write_str("the connection is closed"),
        }
    }
}

impl core::error::Error for OpenError {}

/// Why bytes cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// No such stream, or it is over, or it is one on which only the peer sends.
    UnknownStream,
    /// The stream was finished.
    Finished,
    /// The stream was reset by us.
    Reset,
    /// The peer does not want more; this is its code.
    Stopped(u64),
    /// Nothing can be taken now. [`StreamEvent::Writable`](super::StreamEvent::Writable) follows when it can.
    Blocked,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStream => f.write_str("no such stream to write to"),
            Self::Finished => f.write_str("the stream was finished"),
            Self::Reset => f.write_str("the stream was reset"),
            Self::Stopped(code) => write!(f, "the peer stopped the stream with code {code}"),
            Self::Blocked => f.write_str("nothing can be written now; wait until the stream is writable"),
        }
    }
}

impl core::error::Error for WriteError {}

/// Why bytes cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// No such stream, or it is over, or it is one on which only we send.
    UnknownStream,
    /// The peer reset the stream with this code.
    Reset(u64),
    /// We stopped the stream.
    Stopped,
    /// Nothing to read now. [`StreamEvent::Readable`](super::StreamEvent::Readable) follows when there is.
    Blocked,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownStream => f.write_str("no such stream to read from"),
            Self::Reset(code) => write!(f, "the peer reset the stream with code {code}"),
            Self::Stopped => f.write_str("reading was stopped"),
            Self::Blocked => f.write_str("nothing to read now; wait until the stream is readable"),
        }
    }
}

impl core::error::Error for ReadError {}

/// Why a stream cannot be reset or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AbortError {
    /// No such stream, or it is over, or it has no such part.
    UnknownStream,
    /// The error code is above 2^62 - 1 (RFC 9000 section 20.2).
    InvalidCode,
}

impl fmt::Display for AbortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownStream => "no such stream to end",
            Self::InvalidCode => "an error code must be below 2^62",
        })
    }
}

impl core::error::Error for AbortError {}

/// Why the caller cannot give credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreditError {
    /// The settings have credit grow by itself.
    Automatic,
    /// No such stream, or it is over, or it is one on which only we send.
    UnknownStream,
    /// The connection is closed.
    Closed,
}

impl fmt::Display for CreditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Automatic => "credit grows by itself: choose manual flow control in the settings",
            Self::UnknownStream => "no such stream to receive on",
            Self::Closed => "the connection is closed",
        })
    }
}

impl core::error::Error for CreditError {}
