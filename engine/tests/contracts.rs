//! Holds `CONTRACTS.md` to its word: every contract has one row, and every row names tests that exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The contracts: a letter for each group, and how many there are in it. Two more stand between others.
const GROUPS: [(&str, u8); 17] = [
    ("W", 20),
    ("O", 6),
    ("S", 14),
    ("H", 9),
    ("F", 13),
    ("C", 5),
    ("Z", 5),
    ("L", 10),
    ("T", 8),
    ("K", 3),
    ("D", 5),
    ("M", 8),
    ("G", 5),
    ("A", 3),
    ("P", 11),
    ("R", 2),
    ("E", 5),
];
const BETWEEN: [&str; 2] = ["H3b", "M5b"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// A row of the table.
struct Row {
    id: String,
    behaviour: String,
    /// File and function.
    tests: Vec<(String, String)>,
}

fn rows() -> Vec<Row> {
    let table = fs::read_to_string(folder().join("CONTRACTS.md")).unwrap();
    let mut rows = Vec::new();
    for line in table.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [id, behaviour, tests] = cells[..] else { panic!("three cells: {line}") };
        if id == "id" || id.starts_with("---") {
            continue;
        }
        let test = |name: &str| {
            let (file, function) = name.trim_matches('`').split_once("::").expect("file::function");
            (file.to_owned(), function.to_owned())
        };
        let tests = tests.split_whitespace().map(test).collect();
        rows.push(Row { id: id.to_owned(), behaviour: behaviour.to_owned(), tests });
    }
    rows
}

#[test]
fn every_contract_has_one_row() {
    let numbered = GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}{n}")));
    let mut expected: Vec<_> = numbered.chain(BETWEEN.map(str::to_owned)).collect();
    let mut found: Vec<_> = rows().into_iter().map(|row| row.id).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// A test of that name is in that file, and is not ignored.
#[test]
fn every_row_names_tests_that_exist() {
    let mut sources = BTreeMap::new();
    let mut wrong = Vec::new();
    for Row { id, behaviour, tests } in rows() {
        assert!(behaviour.ends_with('.'), "{id}: {behaviour}");
        if tests.is_empty() {
            wrong.push(format!("{id} has no test"));
        }
        for (file, function) in tests {
            let source = sources
                .entry(file.clone())
                .or_insert_with(|| fs::read_to_string(folder().join(&file)).unwrap_or_default());
            let attributes = format!("#[test]\nfn {function}(");
            let in_a_macro = format!("    fn {function}(");
            let ignored = format!("#[ignore]\nfn {function}(");
            if !(source.contains(&attributes) || source.contains(&in_a_macro)) || source.contains(&ignored) {
                wrong.push(format!("{id}: no test {function} in {file}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
