//! The benchmark's figures, as a table and as JSON.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use quillon::crypto::CipherSuite;
use quillon_tests::fixtures::target_dir;
use serde_json::{Value, json};

/// What is measured in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The implementation.
    pub(crate) name: &'static str,
    /// What it runs on.
    pub(crate) runtime: &'static str,
    /// The cipher suite.
    pub(crate) suite: CipherSuite,
}

/// A row: a subject and the figure of each run, in MB/s (10^6 bytes).
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) subject: Subject,
    pub(crate) runs: Vec<f64>,
}

impl Row {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) }
    }

    /// The figure of the AEAD alone on the same runtime with the same suite.
    fn bound<'a>(&self, rows: &'a [Self]) -> Option<&'a Self> {
        rows.iter().find(|row| {
            row.subject.name == crate::AEAD_ONLY
                && row.subject.runtime == self.subject.runtime
                && row.subject.suite == self.subject.suite
        })
    }
}

/// The table for people.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table =
        format!("{:<13}{:<10}{:<31}{:>8}{:>8}{:>8}{:>12}\n", "", "runtime", "suite", "median", "min", "max", "of AEAD");
    for row in rows {
        let Subject { name, runtime, suite } = row.subject;
        let sorted = row.sorted();
        let share = row.bound(rows).map_or_else(String::new, |bound| {
            if std::ptr::eq(bound, row) {
                String::new()
            } else {
                format!("{:.0} %", 100.0 * row.median() / bound.median())
            }
        });
        let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
        // Writing to a string does not fail.
        let _ = writeln!(
            table,
            "{name:<13}{runtime:<10}{:<31}{:>8.0}{min:>8.0}{max:>8.0}{share:>12}",
            suite.name(),
            row.median(),
        );
    }
    table
}

/// Writes `target/bench/report.json` and returns its path.
pub(crate) fn write_json(rows: &[Row], settings: Value) -> PathBuf {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "implementation": row.subject.name,
                "runtime": row.subject.runtime,
                "suite": row.subject.suite.name(),
                "megabytes_per_second": { "median": row.median(), "runs": row.runs },
            })
        })
        .collect();
    let report = json!({ "machine": machine(), "settings": settings, "rows": rows });
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let path = dir.join("report.json");
    fs::write(&path, format!("{report:#}\n")).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    path
}

/// What the figures depend on.
fn machine() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    json!({
        "arch": env::consts::ARCH,
        "os": env::consts::OS,
        "processor": model.map(|(_, name)| name),
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
    })
}
