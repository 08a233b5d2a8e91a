//! The C ABI of Quillon: what the WebAssembly module exports to any host, and what a native static library gives
//! to C.
//!
//! `quillon.h` declares it, `ABI.md` explains it; a test holds the three together. The names, settings, events and
//! errors are the engine's own, in C's spelling.
//!
//! Invariants:
//!
//! - `unsafe` is in this crate and nowhere else in the engine. Every address that crosses the boundary is turned into
//!   a slice in [`memory`], and nowhere else.
//! - Objects are named by handles that are checked, never by addresses. A stale or invented handle is an error.
//! - No unwinding crosses the boundary: `extern "C"` aborts natively and traps in the module.
//! - The module's structures are little-endian bytes at fixed offsets, the same on every target.
//! - A call works on one instance: one for each WebAssembly instance, natively one for each thread.

pub mod config;
pub mod connection;
pub mod constants;
pub mod datagram;
pub mod decision;
pub mod endpoint;
mod event;
mod failure;
mod handles;
pub mod incoming;
pub mod instance;
mod layout;
pub mod log;
pub mod memory;
pub mod path;
pub mod session;
pub mod stream;
pub mod tls;

pub use config::*;
pub use connection::*;
pub use constants::*;
pub use datagram::*;
pub use decision::*;
pub use endpoint::*;
pub use incoming::*;
pub use instance::*;
pub use log::*;
pub use memory::{quillon_alloc, quillon_free};
pub use path::*;
pub use session::*;
pub use stream::*;
pub use tls::*;
