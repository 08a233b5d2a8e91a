//! A QUIC connection: the conductor of the rooms below it.
//!
//! A datagram comes in through [`Connection::receive`]: headers are read, protection is removed in place, each frame
//! goes to the room that owns its state. A datagram goes out through [`Connection::transmit`]: each room is asked
//! what it has to send, straight into the caller's buffer. The connection itself keeps only what ties rooms together:
//! keys, the handshake, timers, the close.
//!
//! Invariants: nothing is sent beyond the congestion window except probes; a deadline is set as long as anything is
//! outstanding; after [`Event::Closed`] no stream event follows, and [`Event::Drained`] is the last. What was received
//! before the close can be read until then.

mod certificate;
mod client_hello;
mod close;
mod connection_ids;
mod crypto_stream;
mod datagrams;
mod early_data;
mod ecn;
mod egress;
mod event;
mod external_tls;
mod floods;
mod frames;
mod grease;
mod handshake;
mod ingress;
mod key_update;
mod keys;
mod migration;
mod mtu;
mod probe;
mod sent;
mod streams;
mod timers;
mod tokens;
mod trace;
mod version_negotiation;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::congestion::{Controller, Pacer};
use crate::connection_id::{Generator, LocalIds, RandomIds, RemoteIds, Route};
use crate::crypto::{self, OneRttKeys, Secret, initial_keys};
use crate::datagram::Datagrams;
use crate::diagnostics::{Stats, Trace};
use crate::error::TransportErrorCode;
use crate::flood::GlitchBudget;
use crate::path::Paths;
use crate::recovery::Recovery;
use crate::rng::Rng;
use crate::settings::{ClientConfig, ServerConfig, SettingsError, TransportSettings};
use crate::stream::Streams;
use crate::tls;
use crate::token::{self, Inbox, Outbox};
use crate::wire::{ConnectionId, Ecn, FourTuple, Side, Space, Time, Version};

use close::State;
use early_data::EarlyData;
use floods::Glitches;
use grease::QuicBit;
use handshake::Handshake;
use key_update::KeyUpdates;
use keys::KeyRing;
use sent::SentFrame;
use timers::Timers;

pub use certificate::DecisionError;
pub use early_data::EarlyDataStatus;
pub use event::{ConnectionError, Event};
pub use key_update::KeyUpdateError;
pub use migration::{MigrateError, Migration};

/// The length of the connection ID that a client invents for the server: at least 8 bytes (RFC 9000 section 7.2).
const INITIAL_ID_LEN: usize = 8;

/// The answer to a call of `transmit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// The buffer holds datagrams to send.
    Send(Outgoing),
    /// There is nothing to send now, and why.
    Idle(Idle),
}

/// Datagrams of one path and one ECN mark, one after the other at the start of the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Bytes in all.
    pub len: usize,
    /// The size of each datagram but the last, which may be smaller.
    pub segment_size: usize,
    /// Where to send them from and to.
    pub path: FourTuple,
    /// The ECN codepoint to mark them with.
    pub ecn: Ecn,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// There is nothing to send.
    Nothing,
    /// The congestion window is full: acknowledgments free it.
    CongestionWindow,
    /// Sending is spread out: the deadline says when it goes on.
    Pacing,
    /// The peer's address is not validated, and three times its bytes were sent (RFC 9000 section 8.1).
    Amplification,
    /// There is stream data, and the peer grants no credit for it.
    FlowControl,
    /// The caller's buffer is smaller than a datagram: 1200 bytes, or the larger size in the statistics.
    BufferTooSmall,
}

/// Why a connection could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// A transport setting is outside its range.
    Settings(SettingsError),
    /// TLS refuses the configuration or the server's name.
    Tls(tls::TlsError),
    /// The endpoint has as many connections as its settings allow.
    TooManyConnections,
    /// The endpoint's memory budget is used up.
    MemoryBudget,
    /// The generator of connection IDs gave none that is of its length and free.
    NoConnectionId,
    /// Connection IDs are empty, and another connection has the path: one for each pair of our port and the peer's
    /// address.
    PathInUse,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::TooManyConnections => f.write_str("too many connections: raise the endpoint's limit or close some"),
            Self::MemoryBudget => f.write_str("the memory budget is used up: raise it or close connections"),
            Self::NoConnectionId => f.write_str("the generator of connection IDs gave none that is free"),
            Self::PathInUse => f.write_str("without connection IDs each connection needs a port of its own"),
        }
    }
}

impl core::error::Error for ConnectError {}

/// How a connection makes its connection IDs.
#[derive(Clone, Debug)]
pub struct IdSettings {
    /// Where they come from.
    pub generator: Arc<dyn Generator>,
    /// The key from which the tokens of stateless resets are derived (RFC 9000 section 10.3.2).
    pub reset_key: Secret,
}

/// What a new connection needs beside its configuration.
#[derive(Debug)]
pub struct Start {
    /// The caller's clock.
    pub now: Time,
    /// The time of day since the Unix epoch, for certificates.
    pub unix_time: Duration,
    /// The connection's own generator.
    pub rng: Rng,
    /// The addresses of its path.
    pub path: FourTuple,
    /// How it makes its connection IDs.
    pub ids: IdSettings,
    /// The connection ID by which the peer reaches it at first, of the generator's length.
    pub id: ConnectionId,
}

/// What waits to be sent and belongs to no room.
#[derive(Debug, Default)]
struct Pending {
    handshake_done: bool,
    /// A PING, for keep-alive.
    ping: bool,
    /// Probes due in each packet number space.
    probes: [u8; 3],
}

/// A QUIC connection. See the [module documentation](self).
pub struct Connection {
    version: Version,
    crypto: Arc<dyn crypto::Provider>,
    settings: TransportSettings,
    rng: Rng,
    id_settings: IdSettings,
    state: State,
    handshake: Handshake,
    keys: KeyRing,
    key_updates: KeyUpdates,
    paths: Paths,
    local_ids: LocalIds,
    remote_ids: RemoteIds,
    streams: Streams,
    datagrams: Datagrams,
    recovery: Recovery<SentFrame>,
    congestion: Box<dyn Controller>,
    pacer: Pacer,
    pending: Pending,
    /// Tokens for the client's later connections.
    issued_tokens: Outbox,
    /// Tokens from the server, to be told.
    received_tokens: Inbox,
    early_data: EarlyData,
    timers: Timers,
    events: VecDeque<Event>,
    glitches: Glitches,
    quic_bit: QuicBit,
    stats: Stats,
    /// The logs that are kept.
    trace: Option<Box<Trace>>,
    /// Whether the packets being processed had to wait for their keys.
    replaying: bool,
    /// Why the last `transmit` sent nothing: acknowledgments that come while the application has nothing to send do
    /// not grow the window.
    app_limited: bool,
    /// How much memory the endpoint has left for what this connection receives.
    memory_headroom: usize,
    /// Packets that came before their keys.
    undecryptable: VecDeque<(Vec<u8>, Ecn)>,
    /// Lists of what a packet carries, one for each space; kept for their storage.
    scratch: [Vec<SentFrame>; 3],
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("side", &self.side())
            .field("state", &self.state)
            .field("path", &self.paths.active().addresses())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// What the connection's own state counts for in the memory budget. A constant, and not the type's size: that
    /// depends on the target, and what is refused at the budget must not.
    pub(crate) const STATE_SIZE: usize = 8 << 10;

    /// Opens a connection to `server_name`, a host name or an IP address: the name that the certificate must carry.
    /// The first datagram comes from [`transmit`](Self::transmit).
    pub fn client(config: &ClientConfig, server_name: &str, mut start: Start) -> Result<Self, ConnectError> {
        config.transport.validate().map_err(ConnectError::Settings)?;
        let mut transport = config.transport.clone();
        let session = early_data::session_to_resume(config, server_name);
        if let Some(session) = session {
            transport.versions.chosen = session.version();
        }
        let original = RandomIds { len: INITIAL_ID_LEN }.generate(&mut start.rng);
        let local = start.id;
        let mut connection = Self::new(
            Side::Client,
            transport.versions.chosen,
            Arc::clone(&config.crypto),
            transport,
            (original, local, original),
            start,
        );
        if config.token.len() <= token::MAX_LEN {
            connection.handshake.token.clone_from(&config.token);
        }
        connection.start_client_tls(config, server_name, session).map_err(ConnectError::Tls)?;
        Ok(connection)
    }

    /// Accepts a connection whose first Initial, of `version`, was sent from `remote` to `original`. That datagram goes
    /// into [`receive`](Self::receive) next. The settings have been [validated](TransportSettings::validate).
    #[must_use]
    pub fn server(
        config: &Arc<ServerConfig>,
        version: Version,
        original: ConnectionId,
        remote: ConnectionId,
        start: Start,
    ) -> Self {
        let local = start.id;
        let mut connection = Self::new(
            Side::Server,
            version,
            Arc::clone(&config.crypto),
            config.transport.clone(),
            (original, local, remote),
            start,
        );
        connection.handshake.await_client_hello(Arc::clone(config));
        connection.local_ids.route_original(original);
        connection.events.push_back(Event::Accepted);
        connection
    }

    fn new(
        side: Side,
        version: Version,
        crypto: Arc<dyn crypto::Provider>,
        settings: TransportSettings,
        (original, local, remote): (ConnectionId, ConnectionId, ConnectionId),
        start: Start,
    ) -> Self {
        let Start { now, unix_time, mut rng, path, ids, id: _ } = start;
        let reset_token = reset_token(crypto.as_ref(), &ids, &local);
        let congestion = settings.congestion.build(crate::path::MIN_DATAGRAM_SIZE as u64);
        let keys = KeyRing::new(version, initial_keys(crypto.as_ref(), version, &original, side));
        let mut recovery = Recovery::new(streams::recovery_settings(&settings));
        recovery.skip_packet_numbers(rng.fork());
        let mut connection = Self {
            version,
            id_settings: ids,
            state: State::Open,
            handshake: Handshake::new(side, version, original, local, now, unix_time, rng.fork()),
            keys,
            key_updates: KeyUpdates::default(),
            paths: Paths::new(path, !side.is_client()),
            local_ids: LocalIds::new(local, reset_token),
            remote_ids: RemoteIds::new(remote, settings.active_connection_id_limit),
            streams: Streams::new(side, &streams::stream_settings(&settings)),
            datagrams: Datagrams::new(&settings.datagrams),
            recovery,
            congestion,
            pacer: Pacer::new(crate::path::MIN_DATAGRAM_SIZE as u64),
            pending: Pending::default(),
            issued_tokens: Outbox::default(),
            received_tokens: Inbox::default(),
            early_data: EarlyData::default(),
            timers: Timers::new(now, &settings),
            events: VecDeque::new(),
            quic_bit: QuicBit::default(),
            glitches: Glitches::new(GlitchBudget::new(settings.floods, now)),
            stats: Stats::default(),
            trace: None,
            replaying: false,
            app_limited: true,
            memory_headroom: usize::MAX,
            undecryptable: VecDeque::new(),
            scratch: Default::default(),
            crypto,
            settings,
            rng,
        };
        if !connection.settings.ecn {
            connection.paths.active_mut().disable_ecn();
        }
        connection.start_trace(now, unix_time);
        connection
    }

    /// The next event; `None` when there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if matches!(self.state, State::Open) { self.poll_room_event() } else { None }
    }

    /// The next event of the rooms that tell the caller.
    fn poll_room_event(&mut self) -> Option<Event> {
        if let Some(event) = self.poll_token() {
            return Some(event);
        }
        let event = self.streams.poll_event().inspect(|event| self.trace_stream(event)).map(streams::event);
        event.or_else(|| self.datagrams.poll_event().map(datagrams::event))
    }

    /// The next change of the connection IDs by which datagrams find this connection.
    pub fn poll_route(&mut self) -> Option<Route> {
        self.local_ids.poll_route()
    }

    /// Which end this is.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.handshake.side()
    }

    /// The addresses of the path in use.
    #[must_use]
    pub const fn path(&self) -> FourTuple {
        self.paths.active().addresses()
    }

    /// The application protocol that both ends chose, once the handshake tells.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.handshake.session()?.alpn()
    }

    /// On a server, the name that the client asked for; on a client, the name it asked for.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.handshake.session()?.server_name()
    }

    /// The peer's certificate chain in DER, leaf first; empty where it sent none.
    #[must_use]
    pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.handshake.session().map(tls::Session::peer_certificates).unwrap_or_default()
    }

    /// Derives keying material for the application (RFC 8446 section 7.5).
    pub fn export_keying_material(&self, out: &mut [u8], label: &[u8], context: &[u8]) -> Result<(), tls::TlsError> {
        match self.handshake.session() {
            Some(session) => session.export_keying_material(out, label, context),
            None => Err(tls::TlsError::new(tls::alert::INTERNAL_ERROR, "the handshake has not started")),
        }
    }

    /// Whether the TLS handshake is complete.
    #[must_use]
    pub const fn is_handshake_complete(&self) -> bool {
        self.handshake.is_complete()
    }

    /// Whether the handshake is confirmed (RFC 9001 section 4.1.2).
    #[must_use]
    pub const fn is_handshake_confirmed(&self) -> bool {
        self.handshake.is_confirmed()
    }

    /// Whether the connection is closed, by either end or by a timeout.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        !matches!(self.state, State::Open)
    }

    /// Whether nothing is left of the connection.
    #[must_use]
    pub const fn is_drained(&self) -> bool {
        matches!(self.state, State::Drained)
    }

    /// Counts and measures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let rtt = self.recovery.rtt();
        Stats {
            smoothed_rtt: rtt.smoothed,
            latest_rtt: rtt.latest,
            min_rtt: rtt.min.unwrap_or(0),
            rtt_variance: rtt.variance,
            congestion_window: self.congestion.window(),
            bytes_in_flight: self.recovery.bytes_in_flight(),
            ssthresh: self.congestion.ssthresh(),
            max_udp_payload_size: self.paths.active().max_datagram_size() as u64,
            key_updates: self.keys.one_rtt().map_or(0, OneRttKeys::updates),
            ..self.stats
        }
    }

    /// Bytes of memory that the connection holds, buffers and its own state together.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        Self::STATE_SIZE
            + self.streams.memory_used()
            + self.datagrams.memory_used()
            + self.handshake.memory_used()
            + self.trace.as_ref().map_or(0, |trace| trace.memory_used())
            + self.undecryptable.iter().map(|(packet, _)| packet.len()).sum::<usize>()
    }

    /// Tells how much memory is left for what arrives. A packet that needs more is dropped before it is acknowledged,
    /// so that its sender sends it again.
    pub const fn set_memory_headroom(&mut self, bytes: usize) {
        self.memory_headroom = bytes;
    }

    /// Stops routing the connection ID that the client chose for its first packets.
    fn unroute_original(&mut self) {
        if let Some(original) = self.handshake.take_original_route() {
            self.local_ids.unroute_original(original);
        }
    }

    fn discard_space(&mut self, space: Space) {
        self.keys.discard(space);
        self.recovery.discard_space(space);
        self.handshake.discard_stream(space);
        self.pending.probes[space as usize] = 0;
    }

    fn protocol_violation(reason: &'static str) -> crate::error::TransportError {
        crate::error::TransportError::new(TransportErrorCode::PROTOCOL_VIOLATION, reason)
    }
}

const _: () = assert!(size_of::<Connection>() <= Connection::STATE_SIZE);

/// The token of a stateless reset: a function of the connection ID, so that it outlives the connection's state
/// (RFC 9000 section 10.3.2).
fn reset_token(crypto: &dyn crypto::Provider, ids: &IdSettings, id: &ConnectionId) -> [u8; 16] {
    let mac = crypto.hmac_sha256(ids.reset_key.as_slice(), id.as_slice());
    let mut token = [0; 16];
    token.copy_from_slice(mac.split_at(16).0);
    token
}
