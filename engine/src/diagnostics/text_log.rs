//! The text log: one line for each event.
//!
//! A line has the time since the connection's start in seconds, the side, the connection ID that the client's first
//! packet was sent to, the name of the event, and its fields:
//!
//! ```text
//! 0.020000000 client 8394c8f03e515708 packet_sent header={packet_type=1RTT packet_number=0 ...} frames=[ping{}]
//! ```
//!
//! Names of events and fields are those of draft-ietf-quic-qlog-quic-events. Text of a peer stands in quotes, escaped
//! as in JSON, so that no line is ever broken; times in fields are milliseconds.

use alloc::string::String;
use core::fmt::Write;

use super::describe::{self, QlogSchema};
use super::event::{Importance, TraceEvent};
use super::fields::{Fields, Notation};
use super::qlog::{Missing, Origin};
use super::records::Records;

/// How a connection's text log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLogSettings {
    /// Events below this importance are left out. Default: [`Importance::Base`].
    pub importance: Importance,
    /// Bytes that wait for [`poll_text_log`](crate::Connection::poll_text_log) at most, 4 KiB to 64 MiB; lines beyond
    /// are dropped and counted. Default: 256 KiB.
    pub buffer: usize,
}

impl Default for TextLogSettings {
    fn default() -> Self {
        Self { importance: Importance::Base, buffer: 256 << 10 }
    }
}

/// A log in the making.
#[derive(Debug)]
pub(super) struct TextLog {
    pub(super) settings: TextLogSettings,
    pub(super) records: Records,
    origin: Origin,
}

impl TextLog {
    pub(super) const fn new(settings: TextLogSettings, origin: Origin) -> Self {
        Self { settings, records: Records::new(settings.buffer), origin }
    }

    /// Records an event that happened `time` nanoseconds after the start of the connection.
    pub(super) fn event(&mut self, time: u64, event: &TraceEvent<'_>) {
        let origin = self.origin;
        let missing = |out: &mut String, count| {
            start(out, time, &origin);
            let _ = writeln!(out, "warning message=\"{}\"", Missing(count));
        };
        self.records.append(missing, |out| {
            start(out, time, &origin);
            let (_, _, name) = describe::name(event);
            out.push_str(name);
            out.push(' ');
            describe::data(event, QlogSchema::Draft, &mut Fields::new(out, Notation::Text));
            out.push('\n');
        });
    }
}

fn start(out: &mut String, time: u64, origin: &Origin) {
    let (seconds, nanos) = (time / 1_000_000_000, time % 1_000_000_000);
    let side = if origin.side.is_client() { "client" } else { "server" };
    let _ = write!(out, "{seconds}.{nanos:09} {side} {} ", origin.original);
}
