//! HTTP/3 (RFC 9114), by the crate `h3`.
//!
//! [`Connection`] implements that crate's `quic` traits, so that everything built on `h3` runs over either engine.
//! [`Client`] and [`Server`] are the little that fetching and serving files needs.
//!
//! ```no_run
//! # async fn download(connection: quillon_host::Connection) -> Result<Vec<u8>, quillon_host::http3::Error> {
//! let mut client = quillon_host::http3::Client::new(connection).await?;
//! let mut response = client.get("example.org", "/").await?;
//! let mut body = Vec::new();
//! while let Some(chunk) = response.chunk().await? {
//!     body.extend_from_slice(&chunk);
//! }
//! # Ok(body)
//! # }
//! ```

mod client;
mod error;
mod server;
mod transport;

pub use client::{Client, Response};
pub use error::Error;
pub use server::{Request, Server};
pub use transport::{BidiStream, Connection, RecvStream, SendStream};

/// The application protocol's name.
pub const ALPN: &str = "h3";

/// The code of a close without an error: H3_NO_ERROR (RFC 9114 section 8.1).
pub const NO_ERROR: u64 = 0x100;
