use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{SocketAddrV4, SocketAddrV6};

use crate::datagram::DatagramId;
use crate::error::TransportErrorCode;
use crate::resumption::SavedSession;
use crate::wire::{Dir, FourTuple, StreamId, Version};

/// What happened on a connection. Polled, never called back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A server accepted this connection: the first event of it. The handshake goes on. What is written before
    /// [`HandshakeComplete`](Self::HandshakeComplete) goes out with the first flight, to a client that has not proved
    /// who it is (RFC 9001 section 5.7).
    Accepted,
    /// A server whose configuration asks has a client's whole ClientHello: see
    /// [`Connection::client_hello`](crate::Connection::client_hello). The handshake waits for
    /// [`choose`](crate::Connection::choose) or [`refuse`](crate::Connection::refuse).
    ClientHello,
    /// TLS data waits for a caller who runs the handshake: see
    /// [`Connection::take_crypto`](crate::Connection::take_crypto).
    CryptoReceived,
    /// The peer has shown a certificate that passed the checks of the configuration, and the configuration asks for the
    /// caller's verdict: [`Connection::peer_certificates`](crate::Connection::peer_certificates) has the chain. The
    /// handshake waits for [`accept_certificate`](crate::Connection::accept_certificate) or
    /// [`reject_certificate`](crate::Connection::reject_certificate).
    PeerCertificate,
    /// The TLS handshake is complete: the peer is authenticated as far as the configuration asks.
    HandshakeComplete,
    /// The handshake is confirmed (RFC 9001 section 4.1.2).
    HandshakeConfirmed,
    /// At a client: this session can be resumed, by one later connection. Comes after the handshake, once for each of
    /// the server's tickets.
    NewSession(Box<SavedSession>),
    /// The server takes the early data. At a server: early data may arrive, which can be of an attacker who repeats it:
    /// see [`is_early_data`](crate::Connection::is_early_data).
    EarlyDataAccepted,
    /// At a client: the server does not take the early data. Every stream so far is gone, and no event tells of them any
    /// more; stream IDs start again from the first, within the limits that the server grants now. What was written is to
    /// be written again.
    EarlyDataRejected,
    /// The peer opened a stream.
    StreamOpened {
        /// The stream.
        id: StreamId,
    },
    /// There is data, the end, or a reset to read. Told once; read until blocked.
    StreamReadable {
        /// The stream.
        id: StreamId,
    },
    /// A write that was blocked can go on.
    StreamWritable {
        /// The stream.
        id: StreamId,
    },
    /// All data of the stream and its end were acknowledged.
    StreamFinished {
        /// The stream.
        id: StreamId,
    },
    /// The peer has everything up to `offset`, more than when this was last told: buffers that were lent up to there are
    /// free. Only where [`Connection::set_acked_events`](super::Connection::set_acked_events) asks for it.
    StreamAcked {
        /// The stream.
        id: StreamId,
        /// Every byte below was acknowledged.
        offset: u64,
    },
    /// Both directions of the stream are over: everything was delivered and read, or was given up. The stream is
    /// gone, and this is its last event.
    StreamClosed {
        /// The stream.
        id: StreamId,
        /// The first application error code that ended a direction, of either end; `None` where both ended in good
        /// order.
        error: Option<u64>,
    },
    /// The peer reset its sending side.
    StreamReset {
        /// The stream.
        id: StreamId,
        /// The peer application's error code.
        code: u64,
    },
    /// The peer asks us to stop sending; our side has been reset.
    StreamStopped {
        /// The stream.
        id: StreamId,
        /// The peer application's error code.
        code: u64,
    },
    /// The peer gave the connection credit, after it had been used up. Streams whose writers waited are told apart, by
    /// [`StreamWritable`](Self::StreamWritable).
    DataCreditAvailable,
    /// An `open` that was blocked can go on.
    StreamsAvailable {
        /// The direction.
        dir: Dir,
    },
    /// Datagrams wait to be read. Told once; read until there is none.
    DatagramReceived,
    /// The peer acknowledged the packet of a datagram. It may have dropped the datagram nevertheless (RFC 9221
    /// section 5.2).
    DatagramAcked {
        /// What [`Connection::send_datagram`](super::Connection::send_datagram) returned.
        id: DatagramId,
    },
    /// The packet of a datagram counts as lost; it may have arrived nevertheless. It is not sent again.
    DatagramLost {
        /// What [`Connection::send_datagram`](super::Connection::send_datagram) returned.
        id: DatagramId,
    },
    /// An accepted datagram was never sent: it gave way to newer ones, or the path or the peer takes less than when
    /// it was accepted.
    DatagramDropped {
        /// What [`Connection::send_datagram`](super::Connection::send_datagram) returned.
        id: DatagramId,
    },
    /// Datagrams that arrived were dropped, because those that wait to be read fill their buffer.
    DatagramsOverflowed {
        /// How many since this was last told.
        count: u64,
    },
    /// After [`Connection::shutdown`](super::Connection::shutdown): every stream is over. Told again where the peer had
    /// leave to open another, and that is over too.
    StreamsFinished,
    /// The keys of 1-RTT packets were updated (RFC 9001 section 6). Nothing is to be done.
    KeysUpdated {
        /// Whether the peer initiated the update, or we.
        by_peer: bool,
    },
    /// The server gave a token for a later connection: save it, and present it once in
    /// [`ClientConfig::token`](crate::ClientConfig::token), to the same server, from the same IP address. It then need
    /// not prove the address again (RFC 9000 section 8.1.3). It is for the version in use, which
    /// [`Connection::version`](super::Connection::version) tells: not to be presented in another (RFC 9369 section 5). A
    /// token links the connections in which it is seen.
    NewToken {
        /// The token, opaque.
        token: Vec<u8>,
    },
    /// Packets go out on this path from now on: the peer has moved, a NAT has moved it, or we have (RFC 9000 section 9).
    /// After the failure of a path, it is the one that the connection goes back to.
    PathChanged {
        /// The addresses of the path.
        path: FourTuple,
    },
    /// A path is validated: the peer is reached on it (RFC 9000 section 8.2).
    PathValidated {
        /// The addresses of the path.
        path: FourTuple,
        /// It is in use, and the peer's IP address is another than on the path before: a server may send a token for
        /// it (RFC 9000 section 9.3).
        new_peer_address: bool,
    },
    /// Nothing came back on a path that was being validated. If it is in use, [`PathChanged`](Self::PathChanged) or
    /// [`Closed`](Self::Closed) follows.
    PathFailed {
        /// The addresses of the path.
        path: FourTuple,
    },
    /// The server says where it would rather be reached (RFC 9000 section 9.6). The settings say whether the client goes
    /// there.
    PreferredAddress {
        /// Its IPv4 address.
        ipv4: Option<SocketAddrV4>,
        /// Its IPv6 address.
        ipv6: Option<SocketAddrV6>,
    },
    /// A line for an NSS key log, where the TLS configuration asks for it. Secret: it decrypts the connection.
    KeyLog(String),
    /// The connection is over. Nothing more can be sent or read; it stays for a while to answer late packets.
    Closed(ConnectionError),
    /// The last event: nothing is left of the connection.
    Drained,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// One end's transport closed the connection.
    Transport {
        /// The error code of the transport.
        code: TransportErrorCode,
        /// The type of the frame at fault; 0 where it is not known.
        frame_type: u64,
        /// For people; may be empty.
        reason: String,
        /// Whether the peer closed, or we.
        by_peer: bool,
    },
    /// One end's application closed the connection.
    Application {
        /// The error code of the application.
        code: u64,
        /// What the application sent along; may be empty.
        reason: Vec<u8>,
        /// Whether the peer closed, or we.
        by_peer: bool,
    },
    /// Nothing was received for as long as the idle timeout.
    IdleTimeout,
    /// The handshake took longer than its timeout.
    HandshakeTimeout,
    /// The server does not speak the version that was tried. Another attempt may:
    /// [`ClientConfig::after_version_negotiation`](crate::ClientConfig::after_version_negotiation).
    VersionNegotiation {
        /// The versions that it speaks.
        supported: Vec<Version>,
    },
    /// The peer has lost the connection's state (RFC 9000 section 10.3).
    StatelessReset,
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport { code, reason, by_peer, .. } => {
                write!(f, "{} closed the connection: {code}", who(*by_peer))?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Application { code, reason, by_peer } => {
                write!(f, "{} application closed the connection with code {code:#x}", whose(*by_peer))?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {}", String::from_utf8_lossy(reason)) }
            }
            Self::IdleTimeout => f.write_str("nothing was received for the idle timeout: the peer or the path is gone"),
            Self::HandshakeTimeout => {
                f.write_str("the handshake timed out: check the address, the port, and that UDP passes")
            }
            Self::VersionNegotiation { supported } => {
                f.write_str("the server does not speak the QUIC version that was tried, but")?;
                supported.iter().try_for_each(|version| write!(f, " {:#010x}", version.0))
            }
            Self::StatelessReset => f.write_str("the peer lost the connection's state and reset it"),
        }
    }
}

impl core::error::Error for ConnectionError {}

const fn who(by_peer: bool) -> &'static str {
    if by_peer { "the peer" } else { "this end" }
}

const fn whose(by_peer: bool) -> &'static str {
    if by_peer { "the peer's" } else { "this end's" }
}
