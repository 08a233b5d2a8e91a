//! `cargo xtask bench`: one table, and `target/bench/report.json`.

use anyhow::{Result, bail};

use crate::{setup, wasm};

/// `cargo xtask bench`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask bench");
    }
    setup::ensure(setup::For::Module)?;
    wasm::build(false)?;
    measure()
}

/// Measures native code, the module and quinn-proto in one run, and writes the report.
fn measure() -> Result<()> {
    bail!("the measurements are not wired to this command yet")
}
