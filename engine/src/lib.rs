//! Quillon: a QUIC engine with no socket, clock, thread or entropy of its own.
//!
//! Inputs go in (datagrams, the time, a seed, the caller's commands); outputs come out (datagrams,
//! events, the next deadline). The same inputs give the same bytes on every target, native or WebAssembly.
//!
//! # Floors
//!
//! Imports run downwards. Rooms on one floor do not import each other.
//!
//! - [`endpoint`]: demultiplexing, accepting, version negotiation, the memory budget.
//! - [`connection`]: the conductor. Ingress, egress, timers, close, events.
//! - `packet`, `crypto`, `tls`, `stream`, `recovery`, `congestion`, `path`, `connection_id`: one concept of
//!   the RFCs each, with its state.
//! - [`wire`], [`error`], [`ranges`], [`rng`]: the vocabulary.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod congestion;
pub mod connection;
pub mod connection_id;
pub mod crypto;
pub mod diagnostics;
pub mod endpoint;
pub mod error;
pub mod packet;
pub mod path;
pub mod ranges;
pub mod recovery;
pub mod rng;
mod settings;
pub mod stream;
pub mod tls;
pub mod transport_parameters;
pub mod wire;

pub use connection::{ConnectError, Connection, ConnectionError, Event, Idle, Outgoing, Transmit};
pub use diagnostics::Stats;
pub use endpoint::{ConnectionHandle, Endpoint, EndpointConfig};
pub use settings::{ClientConfig, ServerConfig, TransportSettings};
pub use wire::{Dir, Ecn, FourTuple, Side, StreamId, Time};
