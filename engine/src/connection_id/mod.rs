//! The connection IDs of a connection: those we issue and those the peer issues (RFC 9000 section 5.1).
//!
//! Invariants: sequence numbers grow by one; never more IDs are active than the other end's limit; the sets are
//! bounded whatever the peer sends.

mod generator;
mod local;
mod remote;

pub use generator::{Generator, IdGeneration, RandomIds, generate_free};
pub use local::{LocalIds, Route};
pub use remote::RemoteIds;

/// A connection ID as one end issues it (RFC 9000 section 19.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its sequence number.
    pub sequence: u64,
    /// The connection ID.
    pub id: crate::wire::ConnectionId,
    /// The token of a stateless reset for it.
    pub reset_token: [u8; 16],
}
