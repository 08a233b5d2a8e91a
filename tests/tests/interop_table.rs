//! The table of `tests/INTEROP.md`, against the tests that it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const COLUMNS: [&str; 7] = [
    "feature",
    "to aioquic server",
    "from aioquic client",
    "to quinn server",
    "from quinn client",
    "to ngtcp2 server",
    "from ngtcp2 client",
];

const FEATURES: [&str; 11] = [
    "version 2",
    "compatible negotiation",
    "Retry",
    "NEW_TOKEN",
    "0-RTT",
    "key update",
    "migration",
    "NAT rebinding",
    "preferred address",
    "datagrams",
    "files over HTTP/3",
];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tests with a peer: functions after `#[test]`, and the lines of `on_both_engines!`.
fn tests_with(peer: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    for file in ["", "_transport"] {
        let source = read(&format!("tests/interop_{peer}{file}.rs"));
        let (functions, engines) = source.split_once("\non_both_engines! {").unwrap_or((&source, ""));
        let functions = functions.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split_once('('));
        tests.extend(functions.map(|(name, _)| name.to_owned()));
        let engines = engines.lines().filter_map(|line| line.trim().split_once(": "));
        tests.extend(engines.map(|(name, _)| name.to_owned()));
    }
    tests
}

/// What stands between backquotes.
fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The numbers between brackets.
fn numbers(cell: &str) -> Vec<&str> {
    cell.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0)).collect()
}

fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn every_cell_names_a_test_or_says_why_there_is_none() {
    let text = read("INTEROP.md");
    let notes: Vec<(&str, &str)> = text
        .split("\n\n[")
        .skip(1)
        .map(|note| note.split_once("]: ").expect("a note begins with its number"))
        .collect();
    let rows = rows(&text);
    assert_eq!(rows[0], COLUMNS);
    assert_eq!(rows[1..].iter().map(|row| row[0]).collect::<Vec<_>>(), FEATURES);
    let mut used = BTreeSet::new();
    for row in &rows[1..] {
        assert_eq!(row.len(), COLUMNS.len(), "{row:?}");
        for (column, cell) in COLUMNS.iter().zip(row).skip(1) {
            let peer = column.split(' ').nth(1).expect("a column names its peer");
            let tests = tests_with(peer);
            let mut proofs = names(cell);
            for number in numbers(cell) {
                let (_, note) = notes.iter().find(|note| note.0 == number).expect("a note for each number");
                used.insert(number);
                if proofs.is_empty() {
                    proofs = names(note).into_iter().take(1).collect();
                }
            }
            assert!(!proofs.is_empty(), "{} {column}: nothing is said", row[0]);
            for test in proofs {
                assert!(tests.contains(test), "{} {column}: there is no test {test}", row[0]);
            }
        }
    }
    assert_eq!(used.len(), notes.len(), "every note is used");
}
