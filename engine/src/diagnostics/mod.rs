//! What a connection tells of itself: statistics, qlog, a text log.
//!
//! The connection reports what happens as [`TraceEvent`]s, in the words of the packet codec and of the transport
//! parameters; a [`Trace`] renders each as a record of qlog, as a line of text, or both. Without a trace nothing is
//! made and nothing is formatted.
//!
//! ```
//! use quillon::TransportSettings;
//! use quillon::diagnostics::{Importance, QlogSettings, TextLogSettings};
//!
//! let settings = TransportSettings::builder()
//!     .qlog(Some(QlogSettings::default()))
//!     .text_log(Some(TextLogSettings { importance: Importance::Core, ..TextLogSettings::default() }))
//!     .build()?;
//! // Later: append `connection.poll_qlog()` to a file whose name ends in `.sqlog`, which qvis loads, and print
//! // `connection.poll_text_log()`.
//! # Ok::<(), quillon::SettingsError>(())
//! ```
//!
//! Invariants: logs take a stated number of bytes at most, and what did not fit is counted and said in the log itself;
//! no log holds a secret, a token or what applications send; no bytes of a peer break a record or a line.

mod describe;
mod event;
mod fields;
mod qlog;
mod records;
mod snapshot;
mod stats;
mod text_log;
mod trace;

pub use describe::QlogSchema;
pub use event::{
    BlockedReason, Closure, CongestionState, CongestionTrigger, ConnectionState, DropTrigger, EcnState, Importance,
    Initiator, KeyTrigger, KeyType, LossTrigger, Metrics, MigrationState, Movement, Packet, PacketTrigger,
    RecoveryParameters, Retransmission, StreamState, TimerChange, TimerType, TraceEvent,
};
pub use fields::write_string;
pub use qlog::QlogSettings;
pub use snapshot::{Cause, Keys, Snapshot};
pub use stats::Stats;
pub use text_log::TextLogSettings;
pub use trace::Trace;
