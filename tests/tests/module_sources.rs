//! Both forms of the module come from the sources beside them, and start nothing by themselves.

use std::fs;
use std::path::Path;

use quillon_tests::fixtures::module_dir;

#[allow(dead_code, reason = "the test needs a part of it")]
#[path = "../../bindings-js/source_hash.rs"]
mod source_hash;

use source_hash::{of_module, of_sources, sections};

/// The number of the start section in the binary format.
const START: u8 = 8;

const MODULES: [&str; 2] = ["quillon.wasm", "quillon.baseline.wasm"];

fn module(name: &str) -> Vec<u8> {
    let path = module_dir().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask wasm`", path.display()))
}

#[test]
fn the_module_is_of_these_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = of_sources(&root).expect("the sources can be read");
    for name in MODULES {
        assert_eq!(of_module(&module(name)).as_ref(), Some(&sources), "{name} is stale: run `cargo xtask wasm`");
    }
}

#[test]
fn nothing_starts_by_itself() {
    for name in MODULES {
        let sections = sections(&module(name)).expect("a module");
        assert!(sections.iter().all(|section| section.id != START), "{name}");
    }
}
