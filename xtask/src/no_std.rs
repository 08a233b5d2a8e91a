//! `cargo xtask no-std`: proves that the engine builds, and works, where there is no standard library.
//!
//! The target is `wasm32v1-none`, which has no `std` at all. The proof is a crate that depends on the engine as a
//! stranger would, in a workspace of its own: this one's `[patch]` would put shims with `std` beneath ring. It holds two
//! connections that shake hands; an interpreter runs them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wasmi::{Engine, Linker, Module, Store};

use crate::process::run as start;
use crate::root;
use crate::toolchain::{NO_STD, Toolchain};

/// ring takes randomness from getrandom 0.2, which on this target wants a function of the user's.
const MANIFEST: &str = r#"# Written by `cargo xtask no-std`.
[package]
name = "no-std-proof"
edition = "2024"

[lib]
path = "../../tests/no_std/handshake.rs"
crate-type = ["cdylib"]

[features]
ring = ["quillon/ring", "dep:ring", "dep:getrandom"]

[dependencies]
dlmalloc = { version = "0.2", default-features = false, features = ["global"] }
getrandom = { version = "0.2.17", features = ["custom"], optional = true }
quillon = { path = "../../engine", default-features = false }
ring = { version = "0.17.14", default-features = false, features = ["less-safe-getrandom-custom-or-rdrand"], optional = true }

[profile.dev]
opt-level = 1
debug = false
panic = "abort"

[workspace]
"#;

/// What the built crate is called.
const MODULE: &str = "no_std_proof.wasm";

/// `cargo xtask no-std`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask no-std");
    }
    prove()
}

/// Builds the engine for [`NO_STD`], bare and with ring, and runs a handshake and a stream on both.
pub(crate) fn prove() -> Result<()> {
    let folder = root().join("target/no-std");
    write_proof(&folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    let toolchain = Toolchain::choose(NO_STD)?;
    let build = folder.join("build");
    for (name, features) in [("bare", [].as_slice()), ("with ring", &["--features", "ring"])] {
        let mut cargo = toolchain.cargo("build", "core,alloc")?;
        start(cargo.args(features).arg("--target-dir").arg(&build).current_dir(&folder))?;
        let module = fs::read(build.join(NO_STD).join("debug").join(MODULE))?;
        shake_hands(&module).with_context(|| format!("the engine for {NO_STD}, {name}"))?;
    }
    println!("no-std: the engine builds for {NO_STD} and completes a handshake there, bare and with ring");
    Ok(())
}

/// Runs the two connections in an interpreter, which gives them nothing.
fn shake_hands(module: &[u8]) -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(&engine, module)?;
    if let Some(import) = module.imports().next() {
        bail!("the module imports {}.{}", import.module(), import.name());
    }
    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
    let handshake = instance.get_typed_func::<(), i32>(&store, "handshake")?;
    match handshake.call(&mut store, ())? {
        0 => Ok(()),
        step => bail!("the handshake failed at step {step} of tests/no_std/handshake.rs"),
    }
}

fn write_proof(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    // The versions of this workspace; cargo drops what the proof does not need.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}
