//! The vocabulary of the wire: variable-length integers, cursors, identifiers.
//!
//! Nothing here holds protocol state. A [`Reader`] never reads past its input and a [`Writer`] never writes
//! past its buffer; neither panics.

mod connection_id;
mod reader;
mod stream_id;
pub mod varint;
mod writer;

pub use connection_id::ConnectionId;
pub use reader::{Reader, UnexpectedEnd};
pub use stream_id::{Dir, StreamId};
pub use writer::Writer;

use core::net::SocketAddr;

/// Nanoseconds on the caller's monotonic clock, of any origin.
pub type Time = u64;

/// Which end of a connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The end that opened the connection.
    Client,
    /// The end that accepted it.
    Server,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Whether this is the client.
    #[must_use]
    pub const fn is_client(self) -> bool {
        matches!(self, Self::Client)
    }
}

/// A QUIC version number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// QUIC version 1 (RFC 9000).
    pub const V1: Self = Self(1);
    /// QUIC version 2 (RFC 9369 section 3.1).
    pub const V2: Self = Self(0x6b33_43cf);
    /// The number that marks a Version Negotiation packet (RFC 8999 section 6).
    pub const NEGOTIATION: Self = Self(0);

    /// Whether this crate speaks it: versions 1 and 2.
    #[must_use]
    pub const fn is_supported(self) -> bool {
        self.0 == Self::V1.0 || self.0 == Self::V2.0
    }

    /// Whether the number is reserved to exercise version negotiation (RFC 9000 section 15).
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        self.0 & 0x0f0f_0f0f == 0x0a0a_0a0a
    }

    /// One of the reserved numbers, made of the upper four bits of each byte of `bits`.
    #[must_use]
    pub const fn reserved(bits: u32) -> Self {
        Self(bits & 0xf0f0_f0f0 | 0x0a0a_0a0a)
    }
}

/// The four packet types that carry frames, each with its own keys (RFC 9001 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Initial packets.
    Initial,
    /// 0-RTT packets.
    ZeroRtt,
    /// Handshake packets.
    Handshake,
    /// 1-RTT packets.
    OneRtt,
}

impl Level {
    /// The packet number space that this level counts in (RFC 9000 section 12.3).
    #[must_use]
    pub const fn space(self) -> Space {
        match self {
            Self::Initial => Space::Initial,
            Self::Handshake => Space::Handshake,
            Self::ZeroRtt | Self::OneRtt => Space::Application,
        }
    }
}

/// The packet number spaces (RFC 9000 section 12.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// Initial packets.
    Initial,
    /// Handshake packets.
    Handshake,
    /// 0-RTT and 1-RTT packets.
    Application,
}

impl Space {
    /// Every space, in the order of the handshake.
    pub const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::Application];
}

/// An ECN codepoint (RFC 3168): the low two bits of the IP header's traffic class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct = 0,
    /// ECT(1).
    Ect1 = 1,
    /// ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The codepoint in the low two bits of `bits`.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            1 => Self::Ect1,
            2 => Self::Ect0,
            3 => Self::Ce,
            _ => Self::NotEct,
        }
    }
}

/// How many packets arrived with each ECN codepoint, in a packet number space so far (RFC 9000 section 19.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// With ECT(0).
    pub ect0: u64,
    /// With ECT(1).
    pub ect1: u64,
    /// With ECN-CE.
    pub ce: u64,
}

/// The two addresses of a network path. The engine compares them and hands them back; it never resolves or
/// opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FourTuple {
    /// Our address. An unspecified IP address means that the host does not know it.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}
