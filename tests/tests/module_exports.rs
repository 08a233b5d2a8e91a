//! Both forms of the module import nothing, and export what the header declares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quillon_tests::fixtures::target_dir;

#[allow(dead_code, reason = "the test needs a part of it")]
#[path = "../../bindings-js/source_hash.rs"]
mod source_hash;

use source_hash::{of_module, of_sources, sections};

/// Kinds of sections, by their numbers in the binary format.
const IMPORTS: u8 = 2;
const START: u8 = 8;
const EXPORTS: u8 = 7;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn module(name: &str) -> Result<Vec<u8>, String> {
    let path = target_dir().join("wasm").join(name);
    fs::read(&path).map_err(|error| format!("{}: {error}: run `cargo xtask wasm`", path.display()))
}

/// The content of the section of kind `id`; `None` where the module has none.
fn content(module: &[u8], id: u8) -> Option<&[u8]> {
    sections(module)?.into_iter().find(|section| section.id == id).map(|section| &module[section.content])
}

/// Takes an unsigned LEB128 number off the front.
fn number(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The names in an export section.
fn exports(mut section: &[u8]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for _ in 0..number(&mut section)? {
        let len = number(&mut section)?;
        let (name, rest) = section.split_at_checked(len)?;
        names.insert(String::from_utf8(name.to_vec()).ok()?);
        // A kind, and an index.
        section = rest.get(1..)?;
        number(&mut section)?;
    }
    Some(names)
}

/// The functions that the header declares.
fn declared() -> std::io::Result<BTreeSet<String>> {
    let header = fs::read_to_string(root().join("engine/abi/quillon.h"))?;
    let declarations = header.lines().filter(|line| !line.starts_with(['/', ' ', '#'])).filter_map(|line| {
        let (types, _) = line.split_once('(')?;
        types.rsplit([' ', '*']).next().filter(|name| name.starts_with("quillon_"))
    });
    Ok(declarations.map(String::from).collect())
}

#[test]
fn the_module_is_of_these_sources() -> Outcome {
    let sources = of_sources(&root())?;
    for name in ["quillon.wasm", "quillon.baseline.wasm"] {
        assert_eq!(of_module(&module(name)?).as_ref(), Some(&sources), "{name} is stale: run `cargo xtask wasm`");
    }
    Ok(())
}

#[test]
fn nothing_is_imported_and_nothing_starts_by_itself() -> Outcome {
    for name in ["quillon.wasm", "quillon.baseline.wasm"] {
        let module = module(name)?;
        assert_eq!(content(&module, IMPORTS).and_then(|mut section| number(&mut section)).unwrap_or(0), 0, "{name}");
        assert_eq!(content(&module, START), None, "{name}");
    }
    Ok(())
}

#[test]
fn the_header_declares_every_export_and_no_other() -> Outcome {
    let declared = declared()?;
    assert!(declared.len() > 30, "found {declared:?}");
    for name in ["quillon.wasm", "quillon.baseline.wasm"] {
        let exports = content(&module(name)?, EXPORTS).and_then(exports).ok_or("no export section")?;
        assert!(exports.contains("memory"), "{name}");
        let functions: BTreeSet<_> = exports.into_iter().filter(|export| export.starts_with("quillon_")).collect();
        assert_eq!(functions, declared, "{name}");
    }
    Ok(())
}
