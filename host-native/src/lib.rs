//! QUIC over UDP with the Quillon engine: an async API over two interchangeable backends.
//!
//! The engine has no socket, clock or entropy; this crate gives it all three. [`Engine::Native`] runs it as Rust,
//! [`Engine::Wasm`] runs `quillon.wasm`, embedded in this crate, inside wasmtime. The rest is the same code: one
//! driver task per endpoint moves datagrams between the socket and the backend in batches, and the handles
//! ([`Endpoint`], [`Connection`], [`SendStream`], [`RecvStream`]) call the backend under the endpoint's lock.
//!
//! - A handle never blocks its task: what cannot go on waits for the event that the engine promises.
//! - Backpressure is the engine's: a write takes what the send buffer holds, and what is not read is not granted
//!   again to the peer.
//! - HTTP/3 comes from the crate `h3`, whose traits [`http3`] implements for these handles; [`hq`] is the small protocol
//!   of the interop runner.
//! - A module that traps ends its connections with an error that says so; the next call gets a new instance.
//!
//! ```no_run
//! # async fn download() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//! use quillon_host::{ClientConfig, Endpoint, Engine};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let endpoint = Endpoint::client(Engine::Wasm, "0.0.0.0:0".parse()?)?;
//! let config = ClientConfig::new(["hq-interop"]);
//! let connection = endpoint.connect("192.0.2.1:443".parse()?, "example.org", &config).await?;
//! let (mut send, mut receive) = connection.open_bi().await?;
//! send.write_all(b"GET /\r\n").await?;
//! send.finish()?;
//! let mut body = Vec::new();
//! receive.read_to_end(&mut body).await?;
//! connection.close(0, b"");
//! # Ok(body)
//! # }
//! ```
#![forbid(unsafe_code)]

mod backend;
mod config;
mod connection;
mod driver;
mod endpoint;
mod engine;
mod error;
pub mod files;
pub mod hq;
pub mod http3;
mod identity;
mod key_log;
mod recv_stream;
mod send_stream;
mod session;
mod socket;
mod state;

/// The examples in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use config::{ClientConfig, ServerConfig};
pub use connection::Connection;
pub use endpoint::{Endpoint, EndpointConfig};
pub use engine::{Engine, EngineError};
pub use error::{
    ConnectError, ConnectionError, EndpointError, ReadError, SendDatagramError, TransportError, WriteError,
};
pub use identity::{Identity, IdentityError, certificates_from_pem};
pub use key_log::KeyLog;
pub use recv_stream::RecvStream;
pub use send_stream::SendStream;
pub use session::Session;

/// The engine's own words, as they appear in this crate's API.
pub use quillon::crypto::{CipherSuite, StaticKey};
pub use quillon::wire::Version;
pub use quillon::{
    Admission, Dir, EarlyDataStatus, FourTuple, Migration, Priority, Stats, StreamId, TokenSettings, TransportSettings,
    VersionSettings,
};
