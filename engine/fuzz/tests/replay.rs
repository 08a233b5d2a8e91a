//! Every file of the corpus goes through its target.

use std::fs;
use std::path::{Path, PathBuf};

use quillon_fuzz::TARGETS;

/// The files of a folder and the folders in it, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

#[test]
fn the_corpus_breaks_nothing() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What other implementations have sent, for every target.
    let foreign = files(&here.join("../../tests/corpora"));
    for (name, run) in TARGETS {
        let own = files(&here.join("corpus").join(name));
        assert!(!own.is_empty(), "{name} has no seeds of its own");
        for file in own.iter().chain(&foreign) {
            println!("{name}: {}", file.display());
            run(&fs::read(file).expect("a readable file"));
        }
        run(&[]);
    }
}

#[test]
fn every_folder_of_the_corpus_has_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a plain name");
        assert!(quillon_fuzz::target(name).is_some(), "corpus/{name} belongs to no target");
    }
}
