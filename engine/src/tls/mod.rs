//! The seam to TLS 1.3 (RFC 9001 section 4): CRYPTO bytes per level go in and out, traffic secrets come out.
//!
//! A [`Session`] is one handshake; a [`ClientConfig`] or [`ServerConfig`] makes it. Packet keys are none of its
//! business: they are derived from the secrets by `crypto`, so that key updates and other versions of QUIC need nothing
//! of TLS. A server reads the [`ClientHello`] itself before there is a session: what it chooses may depend on it.
//!
//! Invariants of a session: its outputs come in the order in which they are to be acted on; a server gives the secret
//! that reads 1-RTT packets only once the handshake is complete (RFC 9001 section 5.7); after an error it gives that
//! error to every later call. With the same [`Start`] and the same input it gives the same output.

pub mod client_hello;
pub mod external;
#[cfg(feature = "rustls")]
pub mod rustls;

pub use client_hello::ClientHello;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;
use core::time::Duration;

use crate::crypto::{CipherSuite, Secret};
use crate::error::{TransportErrorCode, alert_name};
use crate::rng::Rng;
use crate::wire::{Level, Version};

/// What a session wants done, in order.
#[derive(Debug)]
pub enum Output {
    /// Bytes for CRYPTO frames of a level. They follow those of the same level that came before.
    Crypto {
        /// The level to send at.
        level: Level,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The secret of packets that the peer sends at a level.
    ReadSecret {
        /// The level.
        level: Level,
        /// The cipher suite of the level's packets.
        suite: CipherSuite,
        /// The traffic secret.
        secret: Secret,
    },
    /// The secret of packets that we send at a level. Data of that level follows.
    WriteSecret {
        /// The level.
        level: Level,
        /// The cipher suite of the level's packets.
        suite: CipherSuite,
        /// The traffic secret.
        secret: Secret,
    },
    /// A line for a key log in NSS format, where the config asks for it.
    KeyLog {
        /// The label, such as `CLIENT_TRAFFIC_SECRET_0`.
        label: &'static str,
        /// The client's random, which identifies the connection.
        client_random: [u8; 32],
        /// The secret.
        secret: Secret,
    },
    /// Whether the server takes the early data that was offered (RFC 9001 section 4.6.2). At a client that gave a
    /// secret to write 0-RTT packets: once, before the handshake is complete. At a server never: the secret that reads
    /// 0-RTT packets says that early data is taken.
    EarlyData {
        /// Whether it is taken. Where not, what was sent so far is as if it had never been sent.
        accepted: bool,
    },
    /// At a client, once the handshake is complete: what a later connection resumes this session with (RFC 8446
    /// section 4.6.1).
    SessionTicket(SessionTicket),
    /// The peer has shown a certificate, which the caller is to judge. What would follow, our Finished among it, waits
    /// for [`Session::accept_peer_certificate`].
    PeerCertificate,
    /// The handshake is complete (RFC 9001 section 4.1.1): the peer is authenticated, transport parameters and the
    /// application protocol are settled. Every secret of the handshake came before.
    HandshakeComplete,
}

/// One TLS handshake over CRYPTO streams, and what it agreed on.
pub trait Session: Send {
    /// Takes the next bytes of a level's CRYPTO stream, in order. An error ends the connection with the alert it
    /// names; output that came up before the fault can still be polled.
    fn read_crypto(&mut self, level: Level, data: &[u8]) -> Result<(), TlsError>;

    /// The next thing to do, if any.
    fn poll_output(&mut self) -> Option<Output>;

    /// The peer's transport parameters, encoded, as soon as they have arrived; never those of a session that is
    /// resumed. They are authenticated when the handshake completes.
    fn peer_transport_parameters(&self) -> Option<&[u8]>;

    /// The application protocol that was agreed on.
    fn alpn(&self) -> Option<&[u8]>;

    /// The name of the server: at a client the one it asked for, at a server the one that the client sent.
    fn server_name(&self) -> Option<&str>;

    /// The cipher suite, once it is chosen.
    fn cipher_suite(&self) -> Option<CipherSuite>;

    /// The peer's certificate chain in DER, its own certificate first; empty where it sent none.
    fn peer_certificates(&self) -> Vec<Vec<u8>>;

    /// Whether the handshake resumes an earlier session, once it is complete. The peer's certificates are then those of
    /// the earlier one.
    fn is_resumed(&self) -> bool {
        false
    }

    /// Goes on after [`Output::PeerCertificate`].
    fn accept_peer_certificate(&mut self) {}

    /// Bytes that wait for the caller, for the memory budget.
    fn memory_used(&self) -> usize {
        0
    }

    /// The session itself, where its handshake is run by the caller; `None` for all others.
    fn external(&mut self) -> Option<&mut external::ExternalSession> {
        None
    }

    /// Fills `out` with keying material that both ends can derive, and nobody else (RFC 8446 section 7.5). An error
    /// before the handshake is complete.
    fn export_keying_material(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), TlsError>;
}

/// A failed handshake.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsError {
    /// The alert that tells the peer (RFC 8446 section 6).
    pub alert: u8,
    /// What went wrong, in one line for people, with what to do about it where that is known.
    pub reason: String,
    /// Where not an alert but a code of the transport tells the peer.
    transport: Option<TransportErrorCode>,
}

impl TlsError {
    /// An error.
    #[must_use]
    pub fn new(alert: u8, reason: impl Into<String>) -> Self {
        Self { alert, reason: reason.into(), transport: None }
    }

    /// An error that QUIC has a code of its own for, other than that of an alert.
    #[must_use]
    pub fn of_transport(code: TransportErrorCode, reason: impl Into<String>) -> Self {
        Self { alert: alert::ILLEGAL_PARAMETER, reason: reason.into(), transport: Some(code) }
    }

    /// The code that CONNECTION_CLOSE carries (RFC 9001 section 4.8).
    #[must_use]
    pub const fn code(&self) -> TransportErrorCode {
        match self.transport {
            Some(code) => code,
            None => TransportErrorCode::crypto(self.alert),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Debug for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsError({}, {:?})", alert_name(self.alert), self.reason)
    }
}

impl core::error::Error for TlsError {}

/// The alerts that the engine itself raises (RFC 8446 section 6).
pub mod alert {
    /// A message that must not come now.
    pub const UNEXPECTED_MESSAGE: u8 = 10;
    /// The peers have nothing in common.
    pub const HANDSHAKE_FAILURE: u8 = 40;
    /// A certificate that is broken.
    pub const BAD_CERTIFICATE: u8 = 42;
    /// A certificate that is not acceptable, for a reason that no other alert has.
    pub const CERTIFICATE_UNKNOWN: u8 = 46;
    /// A field with a value that it must not have.
    pub const ILLEGAL_PARAMETER: u8 = 47;
    /// A certificate that is valid, and whose owner may not come in.
    pub const ACCESS_DENIED: u8 = 49;
    /// A message that cannot be read.
    pub const DECODE_ERROR: u8 = 50;
    /// A fault of our own.
    pub const INTERNAL_ERROR: u8 = 80;
    /// An extension is missing that must be there.
    pub const MISSING_EXTENSION: u8 = 109;
    /// No application protocol in common (RFC 7301 section 3.2).
    pub const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// What a client resumes a session with (RFC 8446 section 4.6.1): a state that only the TLS that made it can read. It
/// holds secrets. Copies share the state, and it serves one connection: for a second one it is passed over.
#[derive(Clone)]
pub struct SessionTicket {
    state: Arc<dyn Any + Send + Sync>,
    allows_early_data: bool,
}

impl SessionTicket {
    /// A ticket with a state of the TLS implementation's own, and whether the server that issued it may take early data
    /// with it.
    #[must_use]
    pub fn new(state: Arc<dyn Any + Send + Sync>, allows_early_data: bool) -> Self {
        Self { state, allows_early_data }
    }

    /// The state, for the implementation that made it.
    #[must_use]
    pub fn state(&self) -> &(dyn Any + Send + Sync) {
        self.state.as_ref()
    }

    /// Whether the server said that it may take early data.
    #[must_use]
    pub const fn allows_early_data(&self) -> bool {
        self.allows_early_data
    }
}

/// Two tickets are equal where they are copies of one.
impl PartialEq for SessionTicket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }
}

impl Eq for SessionTicket {}

impl fmt::Debug for SessionTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTicket").field("allows_early_data", &self.allows_early_data).finish_non_exhaustive()
    }
}

/// What a session starts with.
#[derive(Debug)]
pub struct Start<'a> {
    /// The version of QUIC.
    pub version: Version,
    /// Our transport parameters, encoded.
    pub transport_parameters: &'a [u8],
    /// The session's own randomness: everything it draws comes from here.
    pub rng: Rng,
    /// The time of day since the Unix epoch, against which certificates are checked.
    pub unix_time: Duration,
    /// At a client: the session to resume, from a connection of this version of QUIC (RFC 9369 section 5). One that does
    /// not fit, as it was made with another config or for another name, or has expired, is passed over; the handshake is
    /// then a full one.
    pub resume: Option<&'a SessionTicket>,
    /// At a client: whether to offer early data where the session to resume allows it.
    pub early_data: bool,
    /// At a server: what clients remember of us for their early data (RFC 9000 section 7.4.1), encoded. It is kept with
    /// each session, beside the version of QUIC, and early data is taken only where both are still the same.
    pub early_data_context: &'a [u8],
}

/// What makes a client's sessions.
pub trait ClientConfig: Send + Sync + fmt::Debug {
    /// Starts a handshake with the server of this name, which its certificate must carry: a DNS name or an IP address.
    /// The first output is the ClientHello.
    fn start(&self, server_name: &str, start: Start<'_>) -> Result<Box<dyn Session>, TlsError>;
}

/// What makes a server's sessions.
pub trait ServerConfig: Send + Sync + fmt::Debug {
    /// Starts a handshake with the client that sent `hello`. The bytes of its CRYPTO stream, those that `hello` was
    /// read from included, go to the session's [`read_crypto`](Session::read_crypto).
    fn start(&self, hello: &ClientHello, start: Start<'_>) -> Result<Box<dyn Session>, TlsError>;
}
