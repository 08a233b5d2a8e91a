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
pub mod crypto;
pub mod error;
pub mod packet;
pub mod ranges;
pub mod recovery;
pub mod rng;
pub mod stream;
pub mod tls;
pub mod transport_parameters;
pub mod wire;

