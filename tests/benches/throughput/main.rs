//! Bulk throughput in memory: both ends in one thread, one stream, no sockets; beside quinn-proto, and beside the
//! packet protection alone. Prints a table and writes `target/bench/report.json`.
//!
//! The runs of all rows are interleaved, so that a slower minute of the machine hits them alike. Compare figures of
//! one report only.

mod bulk;
mod module;
mod native;
mod quinn;
mod report;

use std::time::{Duration, Instant};

use quillon::crypto::CipherSuite;
use quillon_aead_bound::{PAYLOAD_LEN, seal_and_open};
use report::{Row, Subject};
use serde_json::json;

/// The UDP payload of full datagrams.
const DATAGRAM_LEN: usize = quillon_aead_bound::PACKET_LEN;
/// Stream and connection windows, and the send buffer.
const WINDOW: u64 = 16 << 20;
/// What the application writes at once.
const CHUNK: usize = 64 << 10;
/// Datagrams that one call may fill: as many as 64 KiB take.
const SEGMENTS: usize = 65_536 / DATAGRAM_LEN;
/// Bytes of a transfer.
const BYTES: usize = 128 << 20;
/// Runs of each row.
const RUNS: usize = 5;

/// The name of the rows that measure packet protection alone.
const AEAD_ONLY: &str = "AEAD only";

const SUITES: [CipherSuite; 2] = [CipherSuite::Aes128Gcm, CipherSuite::ChaCha20Poly1305];

/// Measures a subject once: how long the bytes took.
type Measure = Box<dyn FnMut(CipherSuite, usize) -> Duration>;

fn main() {
    // `cargo test --benches` only wants to know whether it runs.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    let (bytes, runs) = if quick { (4 << 20, 1) } else { (BYTES, RUNS) };
    let mut subjects: Vec<(&'static str, &'static str, Measure)> = vec![
        ("quillon", "native", Box::new(native::transfer)),
        ("quinn-proto", "native", Box::new(quinn::transfer)),
        (AEAD_ONLY, "native", Box::new(aead_only)),
        ("quillon", "wasmtime", Box::new(module::transfer)),
        (AEAD_ONLY, "wasmtime", Box::new(module::aead_only)),
        ("quillon", "node", Box::new(module::transfer_in_node)),
        (AEAD_ONLY, "node", Box::new(module::aead_only_in_node)),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for &(name, runtime, _) in &subjects {
        rows.extend(SUITES.map(|suite| Row { subject: Subject { name, runtime, suite }, runs: Vec::new() }));
    }
    for run in 0..runs {
        eprintln!("run {} of {runs}: {} MB for each row", run + 1, bytes / 1_000_000);
        let measures = subjects.iter_mut().flat_map(|(_, _, measure)| SUITES.map(|suite| measure(suite, bytes)));
        for (row, duration) in rows.iter_mut().zip(measures) {
            row.runs.push(bytes as f64 / 1e6 / duration.as_secs_f64());
        }
    }
    let settings = json!({
        "bytes": bytes, "runs": runs, "datagram_len": DATAGRAM_LEN, "window": WINDOW, "segments": SEGMENTS,
        "unit": "10^6 bytes of stream data per second, client to server",
    });
    println!("MB/s, {} MB on one stream, both ends in one thread, median of {runs}\n", bytes / 1_000_000);
    println!("{}", report::table(&rows));
    println!("{}", report::write_json(&rows, settings).display());
}

/// Seals and opens as many packets as the bytes take.
fn aead_only(suite: CipherSuite, bytes: usize) -> Duration {
    let packets = bytes.div_ceil(PAYLOAD_LEN) as u32;
    let started = Instant::now();
    assert_eq!(seal_and_open(suite, packets), packets);
    started.elapsed()
}
