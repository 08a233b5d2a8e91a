//! Link arguments of the WebAssembly module.

use std::env;

/// What a host sees declared, and a runtime enforces: 1 GiB, a whole number of 64 KiB pages.
const MAX_MEMORY: u32 = 1 << 30;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // For tests and pages written in Rust the crate is an ordinary library.
    if env::var("CARGO_CFG_TARGET_FAMILY").as_deref() != Ok("wasm") {
        return;
    }
    // A host may put functions of its own into the table and hand their indices to the engine.
    println!("cargo:rustc-link-arg-cdylib=--export-table");
    println!("cargo:rustc-link-arg-cdylib=--growable-table");
    println!("cargo:rustc-link-arg-cdylib=--max-memory={MAX_MEMORY}");
}
