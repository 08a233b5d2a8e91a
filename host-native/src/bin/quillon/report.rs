//! What a run has to tell at its end.

use std::time::Duration;

use quillon_host::{Connection, EarlyDataStatus, Engine, Stats, Version};
use serde::Serialize;

/// The summary of a `get`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// `wasm` or `native`.
    pub(crate) engine: String,
    /// The server's address.
    pub(crate) remote: String,
    /// The application protocol.
    pub(crate) alpn: Option<String>,
    /// How the connection was made.
    #[serde(flatten)]
    pub(crate) transport: Transport,
    /// The paths, the one in use first.
    pub(crate) paths: Vec<PathSummary>,
    /// Packet keys' updates, by either end.
    pub(crate) key_updates: u64,
    /// Bytes of the files.
    pub(crate) bytes: u64,
    /// From the first request until the last byte.
    pub(crate) seconds: f64,
    /// Millions of bytes per second.
    pub(crate) mb_per_second: f64,
    /// Until the handshake was complete.
    pub(crate) handshake_ms: Option<f64>,
    /// Smoothed.
    pub(crate) rtt_ms: f64,
    /// The smallest.
    pub(crate) min_rtt_ms: f64,
    pub(crate) packets_lost: u64,
    pub(crate) packets_sent: u64,
    pub(crate) packets_received: u64,
    pub(crate) datagrams_sent: u64,
    pub(crate) datagrams_received: u64,
    /// Datagrams that crossed the module's boundary, both ways; only with the wasm engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) module_datagrams: Option<u64>,
    /// SHA-256 of the module; only with the wasm engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) module_sha256: Option<&'static str>,
    pub(crate) files: Vec<FileSummary>,
}

/// How a connection was made.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Transport {
    /// The version of QUIC.
    pub(crate) version: Option<String>,
    /// Whether it resumed an earlier session.
    pub(crate) resumed: bool,
    /// `none`, `offered`, `accepted` or `rejected`.
    pub(crate) early_data: &'static str,
}

impl Transport {
    pub(crate) fn of(connection: &Connection) -> Self {
        Self {
            version: connection.version().map(version_name),
            resumed: connection.is_resumed(),
            early_data: early_data_name(connection.early_data_status()),
        }
    }
}

/// `1`, `2`, or the number of another version.
fn version_name(version: Version) -> String {
    match version {
        Version::V1 => "1".to_owned(),
        Version::V2 => "2".to_owned(),
        Version(number) => format!("{number:#010x}"),
    }
}

fn early_data_name(status: EarlyDataStatus) -> &'static str {
    match status {
        EarlyDataStatus::None => "none",
        EarlyDataStatus::Offered => "offered",
        EarlyDataStatus::Accepted => "accepted",
        EarlyDataStatus::Rejected => "rejected",
    }
}

/// One path of a connection.
#[derive(Debug, Serialize)]
pub(crate) struct PathSummary {
    pub(crate) local: String,
    pub(crate) remote: String,
}

impl PathSummary {
    pub(crate) fn of(connection: &Connection) -> Vec<Self> {
        let paths = connection.paths();
        paths.iter().map(|path| Self { local: path.local.to_string(), remote: path.remote.to_string() }).collect()
    }
}

/// One file of a `get`.
#[derive(Debug, Serialize)]
pub(crate) struct FileSummary {
    pub(crate) url: String,
    /// `-` for standard output.
    pub(crate) output: String,
    pub(crate) bytes: u64,
}

impl Summary {
    pub(crate) fn new(engine: Engine, stats: &Stats, files: Vec<FileSummary>, elapsed: Duration) -> Self {
        let bytes = files.iter().map(|file| file.bytes).sum();
        let seconds = elapsed.as_secs_f64();
        Self {
            engine: engine.to_string(),
            remote: String::new(),
            alpn: None,
            transport: Transport::default(),
            paths: Vec::new(),
            key_updates: stats.key_updates,
            bytes,
            seconds,
            mb_per_second: if seconds > 0.0 { bytes as f64 / seconds / 1e6 } else { 0.0 },
            handshake_ms: stats.handshake_duration.map(millis),
            rtt_ms: millis(stats.smoothed_rtt),
            min_rtt_ms: millis(stats.min_rtt),
            packets_lost: stats.packets_lost,
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            datagrams_sent: stats.datagrams_sent,
            datagrams_received: stats.datagrams_received,
            module_datagrams: None,
            module_sha256: if engine == Engine::Wasm { Engine::module_sha256() } else { None },
            files,
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let mut parts = Vec::new();
        if !self.files.is_empty() {
            parts.push(format!("{} bytes in {:.3} s", self.bytes, self.seconds));
            parts.push(format!("{:.1} MB/s", self.mb_per_second));
        }
        parts.push(format!("RTT {:.3} ms", self.rtt_ms));
        parts.push(format!("{} of {} packets lost", self.packets_lost, self.packets_sent));
        if let Some(handshake) = self.handshake_ms {
            parts.push(format!("handshake {handshake:.1} ms"));
        }
        if let Some(version) = self.transport.version.as_ref().filter(|version| *version != "1") {
            parts.push(format!("version {version}"));
        }
        if self.transport.resumed {
            parts.push(format!("resumed, early data {}", self.transport.early_data));
        }
        parts.push(match self.module_datagrams {
            Some(datagrams) => format!("engine {}: {datagrams} datagrams crossed the module", self.engine),
            None => format!("engine {}", self.engine),
        });
        parts.join(", ")
    }
}

/// What `serve --json` prints, one object a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Line {
    Listening {
        address: String,
        engine: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        module_sha256: Option<&'static str>,
    },
    Request {
        remote: String,
        path: String,
        bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Closed {
        remote: String,
        reason: String,
        bytes_sent: u64,
        packets_sent: u64,
        packets_lost: u64,
        rtt_ms: f64,
        #[serde(flatten)]
        transport: Transport,
        #[serde(skip_serializing_if = "Option::is_none")]
        module_datagrams: Option<u64>,
    },
}

/// An object as a line on standard output. Whoever closed the pipe does not want it.
pub(crate) fn print_json(value: &impl Serialize) {
    use std::io::Write;
    if let Ok(text) = serde_json::to_string(value) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

/// Engine time in milliseconds.
pub(crate) fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
