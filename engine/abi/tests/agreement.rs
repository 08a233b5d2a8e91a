//! The header, the page and the crate's exports tell one story.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn read(name: &str) -> std::io::Result<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
}

/// Every word that starts with `prefix`.
fn words<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(move |word| word.starts_with(prefix))
}

/// The files beneath a folder.
fn sources(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(sources(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

/// The functions that the crate exports.
fn exports() -> std::io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))? {
        let source = fs::read_to_string(file)?;
        for (at, _) in source.match_indices("#[unsafe(no_mangle)]") {
            names.extend(source[at..].split("fn ").nth(1).and_then(|rest| rest.split('(').next()).map(String::from));
        }
    }
    Ok(names)
}

#[test]
fn header_and_page_name_every_function_and_no_other() -> Outcome {
    let exports = exports()?;
    assert!(exports.len() > 30, "found {exports:?}");

    let header = read("quillon.h")?;
    let declared: BTreeSet<String> = header
        .lines()
        .filter(|line| line.contains(" quillon_") || line.contains("*quillon_"))
        .filter_map(declaration)
        .collect();
    assert_eq!(declared, exports);

    let page = read("ABI.md")?;
    let listed: BTreeSet<String> = page
        .split("## All functions")
        .nth(1)
        .map(|list| words(list, "quillon_").map(String::from).collect())
        .unwrap_or_default();
    assert_eq!(listed, exports);
    let unknown: Vec<_> =
        words(&page, "quillon_").filter(|word| *word != "quillon_" && !exports.contains(*word)).collect();
    assert!(unknown.is_empty(), "the page names {unknown:?}");
    Ok(())
}

/// The function that a line of the header starts to declare.
fn declaration(line: &str) -> Option<String> {
    let (types, _) = line.split_once('(')?;
    let name = types.rsplit([' ', '*']).next()?;
    (!line.starts_with(['/', ' '])).then(|| name.to_owned())
}

#[test]
fn header_defines_every_number_and_no_other() -> Outcome {
    let mut defined = BTreeMap::new();
    for line in read("quillon.h")?.lines() {
        if let ["#define", name, value] = line.split_whitespace().collect::<Vec<_>>()[..] {
            let value = value.trim_matches(['(', ')']).trim_end_matches('u');
            let value = match value.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16)?,
                None => value.parse()?,
            };
            assert_eq!(defined.insert(name.to_owned(), value), None, "{name} is defined twice");
        }
    }
    let numbers: BTreeMap<_, _> =
        quillon_abi::ALL.iter().copied().flatten().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    assert_eq!(defined, numbers);
    Ok(())
}

#[test]
fn numbers_differ_within_a_group() {
    for group in quillon_abi::ALL.iter().filter(|group| !group.iter().any(|(name, _)| name.ends_with("_LEN"))) {
        let values: BTreeSet<_> = group.iter().map(|(_, value)| value).collect();
        assert_eq!(values.len(), group.len(), "{group:?}");
    }
}

#[test]
fn page_names_every_error_with_its_code() -> Outcome {
    let page = read("ABI.md")?;
    for (name, code) in quillon_abi::ERRORS {
        assert!(page.contains(&format!("| `{name}` | {code} |")), "{name}");
    }
    let known: BTreeSet<_> = quillon_abi::ALL.iter().copied().flatten().map(|(name, _)| *name).collect();
    let unknown: Vec<_> =
        words(&page, "QUILLON_").filter(|word| !word.ends_with('_') && !known.contains(word)).collect();
    assert!(unknown.is_empty(), "the page names {unknown:?}");
    Ok(())
}

#[test]
fn a_c_compiler_accepts_the_header() -> Outcome {
    let flags = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-x", "c"];
    let sources = ["quillon.h", "examples/first_flight.c"];
    for source in sources {
        let output = Command::new("cc").args(flags).arg(source).current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
        assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
