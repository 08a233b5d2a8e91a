//! `cargo xtask no-std`: proves that the engine builds where there is no standard library.
//!
//! The target is `wasm32v1-none`, which has no `std` at all. The proof is a crate that depends on the engine as a
//! stranger would, in a workspace of its own: this one's `[patch]` would put shims with `std` beneath ring.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::run as start;
use crate::root;
use crate::toolchain::{NO_STD, Toolchain};

/// ring takes randomness from getrandom 0.2, which on this target wants a function of the user's.
const MANIFEST: &str = r#"# Written by `cargo xtask no-std`.
[package]
name = "no-std-proof"
edition = "2024"

[lib]
path = "lib.rs"

[features]
ring = ["quillon/ring", "dep:ring", "dep:getrandom"]

[dependencies]
getrandom = { version = "0.2.17", features = ["custom"], optional = true }
quillon = { path = "../../engine", default-features = false }
ring = { version = "0.17.14", default-features = false, features = ["less-safe-getrandom-custom-or-rdrand"], optional = true }

[workspace]
"#;

const SOURCE: &str = "//! Written by `cargo xtask no-std`.\n#![no_std]\npub use quillon;\n";

/// `cargo xtask no-std`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask no-std");
    }
    prove()
}

/// Builds the engine for [`NO_STD`], bare and with ring.
pub(crate) fn prove() -> Result<()> {
    let folder = root().join("target/no-std");
    write_proof(&folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    let toolchain = Toolchain::choose(NO_STD)?;
    for features in [[].as_slice(), &["--features", "ring"]] {
        let mut cargo = toolchain.cargo("build", "core,alloc")?;
        start(cargo.args(features).arg("--target-dir").arg(folder.join("build")).current_dir(&folder))?;
    }
    println!("no-std: the engine builds for {NO_STD}, bare and with ring");
    Ok(())
}

fn write_proof(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    fs::write(folder.join("lib.rs"), SOURCE)?;
    // The versions of this workspace; cargo drops what the proof does not need.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}
