//! Quillon: a QUIC engine with no socket, clock, thread or entropy of its own.
//!
//! Inputs go in (datagrams, the time, a seed, the caller's commands); outputs come out (datagrams,
//! events, the next deadline). The same inputs give the same bytes on every target, native or WebAssembly.
//!
//! # The loop of a host
//!
//! ```
//! use quillon::{Ecn, Endpoint, Event, FourTuple, Time, Transmit};
//!
//! fn turn(
//!     endpoint: &mut Endpoint,
//!     now: Time,
//!     received: &mut [(FourTuple, Vec<u8>)],
//!     send: &mut impl FnMut(FourTuple, &[u8]),
//! ) -> Option<Time> {
//!     for (path, datagram) in received {
//!         endpoint.receive(now, *path, Ecn::NotEct, datagram);
//!     }
//!     endpoint.handle_timeout(now);
//!     while let Some((connection, event)) = endpoint.poll_event() {
//!         if let (Event::StreamReadable { id }, Some(connection)) = (event, endpoint.connection_mut(connection)) {
//!             let mut data = [0; 4096];
//!             while let Ok(read) = connection.read(id, &mut data) {
//!                 println!("{} bytes on stream {id}", read.len);
//!                 if read.finished {
//!                     break;
//!                 }
//!             }
//!         }
//!     }
//!     let mut buffer = [0; 65_507];
//!     while let Transmit::Send(batch) = endpoint.transmit(now, &mut buffer) {
//!         for datagram in buffer[..batch.len].chunks(batch.segment_size) {
//!             send(batch.path, datagram);
//!         }
//!     }
//!     endpoint.timeout()
//! }
//! ```
//!
//! # Where to go on
//!
//! The programmers' guide, `GUIDE.md` beside this crate's sources and the module `guide` of its documentation, goes
//! through all of it, with examples, and has a table for those who know ngtcp2. `examples/echo_server.rs` and
//! `examples/echo_client.rs` are whole programs.
//!
//! # Floors
//!
//! Imports run downwards. Rooms on one floor do not import each other.
//!
//! - [`endpoint`]: demultiplexing, admission, Retry, version negotiation, stateless resets, the memory budget.
//! - [`connection`]: the conductor. Ingress, egress, timers, close, events.
//! - [`ClientConfig`], [`ServerConfig`], [`TransportSettings`]: what a caller chooses before; [`stateless`]: the
//!   datagrams that need no connection.
//! - [`resumption`]: the sessions that a client keeps; [`diagnostics`]: what a connection tells of itself.
//! - [`tls`], [`token`], [`stream`], [`datagram`], [`recovery`], [`congestion`], [`path`], [`connection_id`]: one concept
//!   of the RFCs each, with its state.
//! - [`packet`], [`crypto`]: the bytes of packets, and their protection.
//! - [`version_negotiation`]: which version to speak.
//! - [`transport_parameters`]: what the ends declare.
//! - [`flood`]: the budget for what achieves nothing.
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
pub mod datagram;
pub mod diagnostics;
pub mod endpoint;
pub mod error;
pub mod flood;
pub mod packet;
pub mod path;
pub mod ranges;
pub mod recovery;
pub mod resumption;
pub mod rng;
mod settings;
pub mod stateless;
pub mod stream;
pub mod tls;
pub mod token;
pub mod transport_parameters;
pub mod version_negotiation;
pub mod wire;

/// The programmers' guide.
#[cfg(all(any(doc, doctest), feature = "rustls"))]
#[doc = include_str!("../GUIDE.md")]
pub mod guide {}

pub use connection::{
    ConnectError, Connection, ConnectionError, DecisionError, EarlyDataStatus, Event, Idle, KeyUpdateError,
    MigrateError, Migration, Outgoing, Transmit,
};
pub use datagram::{DatagramId, DatagramSettings, DropPolicy, SendDatagramError};
pub use diagnostics::Stats;
pub use endpoint::{
    AcceptError, AddressValidation, Admission, AlreadyValidated, ConnectionHandle, Endpoint, EndpointConfig, Incoming,
    RateLimit, ReplyLimits,
};
pub use flood::FloodSettings;
pub use path::{EcnState, PathStats};
pub use resumption::{SavedSession, SessionCache};
pub use settings::{ClientConfig, ServerConfig, SettingsError, TransportSettings, TransportSettingsBuilder};
pub use stream::{FlowControl, Priority};
pub use token::TokenSettings;
pub use version_negotiation::VersionSettings;
pub use wire::{Dir, Ecn, FourTuple, Side, StreamId, Time};
