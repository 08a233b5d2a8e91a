//! `cargo xtask bench`: one table, and `target/bench/report.json`.

use std::env;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::run as start;
use crate::{root, setup, wasm};

/// `cargo xtask bench`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask bench");
    }
    setup::ensure(setup::For::Module)?;
    wasm::build(false)?;
    wasm::build_aead_bound()?;
    measure()
}

/// Measures native code, the module and quinn-proto in one run, and writes the report.
fn measure() -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["bench", "--package", "quillon-tests", "--bench", "throughput", "--locked"]).current_dir(root());
    start(&mut cargo)
}
