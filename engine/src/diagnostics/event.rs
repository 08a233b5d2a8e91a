//! What can be seen of a connection: one event for each that qlog's QUIC schema names and the engine knows.
//!
//! Events borrow from the connection and cost nothing to make. How they look is for the renderings to say.

use crate::crypto::CipherSuite;
use crate::error::TransportErrorCode;
use crate::packet::{Frame, PacketType};
use crate::transport_parameters::TransportParameters;
use crate::wire::{ConnectionId, Ecn, FourTuple, Side, Space, StreamId, Version};

/// How much an event matters (draft-ietf-quic-qlog-main-schema section 8.4): a recorder keeps those of its own level
/// and above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Without these, little can be understood: packets sent, received and lost, parameters, metrics.
    Core,
    /// What explains them: the connection's states, keys, dropped packets, congestion.
    #[default]
    Base,
    /// Everything: datagrams, timers, what is marked for retransmission.
    Extra,
}

/// Whose doing something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// Ours.
    Local,
    /// The peer's.
    Remote,
}

/// A packet with its frames in plain text.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Its type.
    pub ty: PacketType,
    /// Its version; `None` where the header has none.
    pub version: Option<Version>,
    /// Its packet number.
    pub pn: Option<u64>,
    /// The destination connection ID.
    pub dcid: ConnectionId,
    /// The source connection ID; `None` where the header has none.
    pub scid: Option<ConnectionId>,
    /// The length of its token, in bytes.
    pub token_len: usize,
    /// The key phase bit of a 1-RTT packet.
    pub key_phase: Option<bool>,
    /// Bytes on the wire, header and tag included.
    pub len: usize,
    /// The frames, encoded.
    pub payload: &'a [u8],
    /// By how many bits the delays in its ACK frames are shifted (RFC 9000 section 19.3).
    pub ack_delay_exponent: u64,
    /// The versions that a Version Negotiation packet lists.
    pub supported_versions: &'a [Version],
    /// Why it was sent, or processed only now.
    pub trigger: Option<PacketTrigger>,
}

/// Why a packet was sent, or processed only now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketTrigger {
    /// It is a probe (RFC 9002 section 6.2.4).
    Probe,
    /// Its keys have come.
    KeysAvailable,
}

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropTrigger {
    /// Its header cannot be read, or breaks a rule.
    Invalid,
    /// It was received before.
    Duplicate,
    /// It is of another connection.
    ConnectionUnknown,
    /// It is not authentic.
    DecryptionFailure,
    /// Its keys are not there.
    KeyUnavailable,
    /// A version that the connection does not use.
    Unsupported,
    /// A limit is reached.
    Rejected,
    /// It cannot come now.
    Unexpected,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectionState {
    /// The first packet was sent or received.
    Attempted,
    /// Handshake keys are there.
    HandshakeStarted,
    /// The peer has shown that it receives at its address (RFC 9000 section 8.1).
    PeerValidated,
    /// The handshake is complete (RFC 9001 section 4.1.1).
    HandshakeComplete,
    /// The handshake is confirmed (RFC 9001 section 4.1.2).
    HandshakeConfirmed,
    /// CONNECTION_CLOSE is being sent.
    Closing,
    /// The peer closed.
    Draining,
    /// Nothing is left.
    Closed,
}

impl ConnectionState {
    /// Every state, in the order in which they can be reached.
    pub const ALL: [Self; 8] = [
        Self::Attempted,
        Self::HandshakeStarted,
        Self::PeerValidated,
        Self::HandshakeComplete,
        Self::HandshakeConfirmed,
        Self::Closing,
        Self::Draining,
        Self::Closed,
    ];
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closure<'a> {
    /// A transport closed it.
    Transport {
        /// Whose.
        initiator: Initiator,
        /// The error.
        code: TransportErrorCode,
        /// For people; may be empty.
        reason: &'a [u8],
    },
    /// An application closed it.
    Application {
        /// Whose.
        initiator: Initiator,
        /// Its error code.
        code: u64,
        /// What it sent along.
        reason: &'a [u8],
    },
    /// Nothing was received for the idle timeout.
    IdleTimeout,
    /// The handshake took too long.
    HandshakeTimeout,
    /// The peer speaks none of our versions.
    VersionMismatch,
    /// The peer has lost the connection's state.
    StatelessReset,
    /// Any other reason.
    Other(&'static str),
}

/// The keys of a direction and level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Of Initial packets that this side sends.
    Initial(Side),
    /// Of Handshake packets that this side sends.
    Handshake(Side),
    /// Of 0-RTT packets that this side sends.
    ZeroRtt(Side),
    /// Of 1-RTT packets that this side sends.
    OneRtt(Side),
}

/// What changed keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTrigger {
    /// The handshake.
    Tls,
    /// A key update that we started.
    LocalUpdate,
    /// A key update that the peer started.
    RemoteUpdate,
}

/// Where one side of a stream is (RFC 9000 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamState {
    /// Its sending part exists.
    SendOpen,
    /// Its receiving part exists.
    ReceiveOpen,
    /// Everything written and the end were acknowledged.
    DataReceived,
    /// The application read everything and the end.
    DataRead,
    /// The sending part was abandoned.
    ResetSent,
    /// The peer abandoned its sending part.
    ResetReceived,
}

/// Which way data moves between the application and us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// The application gives it to be sent.
    ToTransport,
    /// The application takes what was received.
    ToApplication,
}

/// Why data waits that could be sent otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedReason {
    /// Sending is spread out (RFC 9002 section 7.7).
    Pacing,
    /// The peer's address is not validated (RFC 9000 section 8.1).
    AmplificationProtection,
    /// The congestion window is full (RFC 9002 section 7).
    CongestionControl,
    /// The peer grants no credit (RFC 9000 section 4.1).
    FlowControl,
}

/// The figures of loss detection and congestion control. Times are nanoseconds, sizes bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// The least round-trip sample.
    pub min_rtt: Option<u64>,
    /// The moving average.
    pub smoothed_rtt: Option<u64>,
    /// The newest sample.
    pub latest_rtt: Option<u64>,
    /// The variation.
    pub rtt_variance: Option<u64>,
    /// How many times in a row the probe timeout has expired.
    pub pto_count: Option<u64>,
    /// The congestion window.
    pub congestion_window: Option<u64>,
    /// Bytes in flight.
    pub bytes_in_flight: Option<u64>,
    /// The slow start threshold.
    pub ssthresh: Option<u64>,
}

/// The phase of congestion control (RFC 9002 section 7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CongestionState {
    /// The window grows with what is acknowledged.
    SlowStart,
    /// The window grows slowly.
    CongestionAvoidance,
    /// Packets were lost; what was sent before is still awaited.
    Recovery,
}

/// Why the phase changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CongestionTrigger {
    /// Packets were lost.
    Loss,
    /// The losses establish persistent congestion (RFC 9002 section 7.6).
    PersistentCongestion,
    /// The peer counted ECN-CE marks.
    Ecn,
}

/// What is fixed about recovery. Times are nanoseconds, sizes bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecoveryParameters {
    /// RFC 9002 section 6.1.1.
    pub reordering_threshold: u64,
    /// RFC 9002 section 6.1.2.
    pub timer_granularity: u64,
    /// RFC 9002 section 6.2.2.
    pub initial_rtt: u64,
    /// The largest datagram now.
    pub max_datagram_size: u64,
    /// RFC 9002 section 7.2.
    pub initial_congestion_window: u64,
    /// RFC 9002 section 7.2.
    pub minimum_congestion_window: u64,
    /// RFC 9002 section 7.6.1.
    pub persistent_congestion_threshold: u64,
}

/// A timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerType {
    /// The time threshold of loss detection (RFC 9002 section 6.1.2).
    Ack,
    /// The probe timeout (RFC 9002 section 6.2).
    Pto,
}

/// What a timer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerChange {
    /// It is due in so many nanoseconds.
    Set(u64),
    /// It was due.
    Expired,
    /// It is off.
    Cancelled,
}

/// Why a packet is taken for lost (RFC 9002 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossTrigger {
    /// Enough later ones were acknowledged.
    ReorderingThreshold,
    /// It was sent long enough before one that was acknowledged.
    TimeThreshold,
}

/// What is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retransmission {
    /// Part of a CRYPTO stream.
    Crypto {
        /// Where it starts.
        offset: u64,
        /// How long it is.
        len: u64,
    },
    /// Part of a stream.
    Stream {
        /// The stream.
        id: StreamId,
        /// Where it starts.
        offset: u64,
        /// How long it is.
        len: u64,
        /// Whether the stream ends behind it.
        fin: bool,
    },
    /// A frame without data.
    Frame(Frame<'static>),
    /// NEW_CONNECTION_ID with this sequence number.
    NewConnectionId(u64),
}

/// Where ECN is on the path (RFC 9000 appendix A.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnState {
    /// Packets are marked to find out.
    Testing,
    /// The marked packets await their acknowledgments.
    Unknown,
    /// Marks do not survive the path.
    Failed,
    /// Marks survive the path.
    Capable,
}

/// How far a change of path is (RFC 9000 section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationState {
    /// A path is probed.
    ProbingStarted,
    /// The probes were not answered.
    ProbingAbandoned,
    /// The probes were answered.
    ProbingSuccessful,
    /// Everything goes to the new path.
    MigrationStarted,
    /// Back to the old path.
    MigrationAbandoned,
    /// The old path is given up.
    MigrationComplete,
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields are those of the schema")]
pub enum TraceEvent<'a> {
    /// A connection is attempted, or accepted.
    ConnectionStarted { path: FourTuple, local_id: ConnectionId, remote_id: ConnectionId },
    /// The connection is over.
    ConnectionClosed(Closure<'a>),
    /// The peer's connection ID in use has changed.
    ConnectionIdUpdated { initiator: Initiator, old: ConnectionId, new: ConnectionId },
    /// The connection went on in its life.
    ConnectionStateUpdated { old: Option<ConnectionState>, new: ConnectionState },
    /// The connection uses these addresses from now on.
    PathAssigned { path: FourTuple },
    /// The largest datagram has changed.
    MtuUpdated { old: u64, new: u64 },
    /// Versions were offered or chosen.
    VersionInformation { server: &'a [Version], client: &'a [Version], chosen: Option<Version> },
    /// The application protocol was chosen.
    AlpnInformation { chosen: &'a [u8] },
    /// Transport parameters of one end.
    ParametersSet { initiator: Initiator, parameters: &'a TransportParameters, cipher_suite: Option<CipherSuite> },
    /// A client remembers these parameters of an earlier connection.
    ParametersRestored(&'a TransportParameters),
    /// A packet was sent.
    PacketSent(Packet<'a>),
    /// A packet was received.
    PacketReceived(Packet<'a>),
    /// A packet was dropped.
    PacketDropped { ty: Option<PacketType>, len: usize, trigger: DropTrigger },
    /// A packet waits for its keys.
    PacketBuffered { ty: PacketType, len: usize },
    /// A packet was acknowledged for the first time.
    PacketAcked { space: Space, pn: u64 },
    /// A datagram was sent.
    DatagramSent { len: usize, ecn: Ecn },
    /// A datagram was received.
    DatagramReceived { len: usize, ecn: Ecn },
    /// A datagram was dropped whole.
    DatagramDropped { len: usize },
    /// A stream went on in its life.
    StreamStateUpdated { id: StreamId, state: StreamState },
    /// Data of a stream changed hands; where `fin` is set, it is the end of it.
    StreamDataMoved { id: StreamId, len: usize, movement: Movement, fin: bool },
    /// A datagram changed hands.
    DatagramDataMoved { len: usize, movement: Movement },
    /// What there is to send waits for something else than before, or goes on.
    ConnectionDataBlockedUpdated { old: Option<BlockedReason>, new: Option<BlockedReason> },
    /// A change of path went on.
    MigrationStateUpdated { new: MigrationState, path: FourTuple },
    /// Keys are there, or were replaced.
    KeyUpdated { key: KeyType, phase: Option<u64>, trigger: KeyTrigger },
    /// Keys are gone.
    KeyDiscarded { key: KeyType, phase: Option<u64>, trigger: KeyTrigger },
    /// What is fixed about recovery.
    RecoveryParametersSet(RecoveryParameters),
    /// Figures changed: those that are there.
    MetricsUpdated(Metrics),
    /// Congestion control entered another phase.
    CongestionStateUpdated { old: Option<CongestionState>, new: CongestionState, trigger: Option<CongestionTrigger> },
    /// A timer changed.
    TimerUpdated { timer: TimerType, space: Space, change: TimerChange },
    /// A packet is taken for lost.
    PacketLost { space: Space, pn: u64, len: usize, trigger: LossTrigger },
    /// Something is to be sent again.
    MarkedForRetransmit(Retransmission),
    /// ECN went on.
    EcnStateUpdated { old: Option<EcnState>, new: EcnState },
}

impl TraceEvent<'_> {
    /// How much the event matters, as the schema has it.
    #[must_use]
    pub const fn importance(&self) -> Importance {
        match self {
            Self::VersionInformation { .. }
            | Self::AlpnInformation { .. }
            | Self::ParametersSet { .. }
            | Self::PacketSent(_)
            | Self::PacketReceived(_)
            | Self::MetricsUpdated(_)
            | Self::PacketLost { .. } => Importance::Core,
            Self::ConnectionStarted { .. }
            | Self::ConnectionClosed(_)
            | Self::ConnectionIdUpdated { .. }
            | Self::ConnectionStateUpdated { .. }
            | Self::PathAssigned { .. }
            | Self::ParametersRestored(_)
            | Self::PacketDropped { .. }
            | Self::PacketBuffered { .. }
            | Self::StreamStateUpdated { .. }
            | Self::StreamDataMoved { .. }
            | Self::DatagramDataMoved { .. }
            | Self::KeyUpdated { .. }
            | Self::KeyDiscarded { .. }
            | Self::RecoveryParametersSet(_)
            | Self::CongestionStateUpdated { .. } => Importance::Base,
            Self::MtuUpdated { .. }
            | Self::PacketAcked { .. }
            | Self::DatagramSent { .. }
            | Self::DatagramReceived { .. }
            | Self::DatagramDropped { .. }
            | Self::ConnectionDataBlockedUpdated { .. }
            | Self::MigrationStateUpdated { .. }
            | Self::TimerUpdated { .. }
            | Self::MarkedForRetransmit(_)
            | Self::EcnStateUpdated { .. } => Importance::Extra,
        }
    }
}
