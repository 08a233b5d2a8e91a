//! qlog: records of JSON, one for each event (RFC 7464 frames them).

use alloc::string::String;
use core::time::Duration;

use super::describe::{self, QlogSchema};
use super::event::{Importance, TraceEvent};
use super::fields::{Fields, Notation};
use super::records::Records;
use crate::wire::{ConnectionId, Side};

/// How a connection's qlog is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QlogSettings {
    /// The schema. Default: 0.3.
    pub schema: QlogSchema,
    /// Events below this importance are left out. Default: [`Importance::Extra`], everything.
    pub importance: Importance,
    /// Bytes that wait for [`poll_qlog`](crate::Connection::poll_qlog) at most, 4 KiB to 64 MiB; events beyond are
    /// dropped and counted. Default: 1 MiB.
    pub buffer: usize,
}

impl Default for QlogSettings {
    fn default() -> Self {
        Self { schema: QlogSchema::default(), importance: Importance::Extra, buffer: 1 << 20 }
    }
}

/// What the first record of a log tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) side: Side,
    /// The connection ID that the client's very first packet was sent to.
    pub(super) original: ConnectionId,
    /// The time of day since the Unix epoch when the connection started; zero where the host did not tell.
    pub(super) unix_time: Duration,
}

/// A log in the making.
#[derive(Debug)]
pub(super) struct Qlog {
    pub(super) settings: QlogSettings,
    pub(super) records: Records,
}

impl Qlog {
    pub(super) fn new(settings: QlogSettings, origin: &Origin) -> Self {
        let mut records = Records::new(settings.buffer);
        records.append(|_, _| {}, |out| record(out, |f| header(settings.schema, origin, f)));
        Self { settings, records }
    }

    /// Records an event that happened `time` nanoseconds after the start of the connection.
    pub(super) fn event(&mut self, time: u64, event: &TraceEvent<'_>) {
        let schema = self.settings.schema;
        let missing = |out: &mut String, count| {
            record(out, |f| {
                f.millis("time", time);
                f.word("name", schema.pick("generic:warning", "loglevel:warning"));
                f.object("data", |f| f.display("message", Missing(count)));
            });
        };
        self.records.append(missing, |out| {
            record(out, |f| {
                f.millis("time", time);
                let (category, old, new) = describe::name(event);
                let (category, name) = schema.pick((category, old), ("quic", new));
                f.display("name", Name(category, name));
                f.object("data", |f| describe::data(event, schema, f));
            });
        });
    }
}

/// How many events were dropped before this place.
pub(super) struct Missing(pub(super) u64);

impl core::fmt::Display for Missing {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} events are missing here: the log was not read in time", self.0)
    }
}

struct Name(&'static str, &'static str);

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// RFC 7464 section 2.2: a record separator, the text, a line feed.
fn record(out: &mut String, write: impl FnOnce(&mut Fields<'_>)) {
    out.push_str("\u{1e}{");
    write(&mut Fields::new(out, Notation::Json));
    out.push_str("}\n");
}

fn header(schema: QlogSchema, origin: &Origin, f: &mut Fields<'_>) {
    match schema {
        QlogSchema::V03 => {
            f.word("qlog_version", "0.3");
            f.word("qlog_format", "JSON-SEQ");
        }
        QlogSchema::Draft => {
            f.word("file_schema", "urn:ietf:params:qlog:file:sequential");
            f.word("serialization_format", "application/qlog+json-seq");
        }
    }
    f.word("title", "quillon");
    f.object("trace", |f| {
        f.object("vantage_point", |f| {
            f.word("name", "quillon");
            f.word("type", if origin.side.is_client() { "client" } else { "server" });
        });
        f.object("common_fields", |f| {
            f.display("group_id", origin.original);
            f.display("ODCID", origin.original);
            match schema {
                QlogSchema::V03 => {
                    f.list("protocol_type", |list| list.display("QUIC"));
                    f.word("time_format", "relative");
                    let nanos = u64::try_from(origin.unix_time.as_nanos()).unwrap_or(u64::MAX);
                    f.millis("reference_time", nanos);
                }
                QlogSchema::Draft => {
                    f.word("time_format", "relative_to_epoch");
                    f.object("reference_time", |f| {
                        // The engine's clock is the host's, of which it knows no epoch.
                        f.word("clock_type", "monotonic");
                        f.word("epoch", "unknown");
                        if !origin.unix_time.is_zero() {
                            f.display("wall_clock_time", DateTime(origin.unix_time));
                        }
                    });
                }
            }
        });
        if schema == QlogSchema::Draft {
            f.list("event_schemas", |list| {
                list.display("urn:ietf:params:qlog:events:quic-13");
                list.display("urn:ietf:params:qlog:events:loglevel");
            });
        }
    });
}

/// A time of day as RFC 3339 section 5.6 has it, in UTC.
struct DateTime(Duration);

impl core::fmt::Display for DateTime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = self.0.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// The Gregorian date so many days after 1970-01-01. Years are counted from March, so that the leap day is their last.
const fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days.saturating_add(DAYS_TO_1970);
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(DateTime(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
