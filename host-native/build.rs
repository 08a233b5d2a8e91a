//! Chooses the module that is embedded: `target/wasm/quillon.wasm` of the workspace, or the file that
//! `QUILLON_WASM` names. A build without one is complete, but for `Engine::Wasm`.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Shared with the module's build command.
#[path = "../bindings-js/source_hash.rs"]
#[allow(dead_code, reason = "shared with the build command, which uses all of it")]
mod source_hash;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("cargo::rerun-if-env-changed=QUILLON_WASM");
    let chosen = env::var_os("QUILLON_WASM").map(PathBuf::from);
    let path = chosen.clone().unwrap_or_else(|| root.join("target/wasm/quillon.wasm"));
    println!("cargo::rerun-if-changed={}", path.display());
    // A module that has become stale is an error, not a surprise: see `is_stale`.
    for input in source_hash::INPUTS {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let value = match fs::read(&path) {
        Err(_) => "Embedded::Absent".to_owned(),
        Ok(module) if chosen.is_none() && is_stale(&root, &module) => "Embedded::Stale".to_owned(),
        Ok(module) => {
            let mut sha256 = String::new();
            for byte in Sha256::digest(&module) {
                let _ = write!(sha256, "{byte:02x}");
            }
            let path = path.canonicalize().unwrap_or(path);
            format!("Embedded::Present {{ bytes: include_bytes!({path:?}), sha256: {sha256:?} }}")
        }
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    if let Err(error) = fs::write(out.join("module.rs"), format!("const MODULE: Embedded = {value};\n")) {
        println!("cargo::error=cannot write to OUT_DIR: {error}");
    }
}

/// Whether the module was built from other sources than those present. Without sources it is taken as it is.
fn is_stale(root: &Path, module: &[u8]) -> bool {
    match source_hash::of_sources(root) {
        Ok(hash) => source_hash::of_module(module).is_none_or(|built_from| built_from != hash),
        Err(_) => false,
    }
}
