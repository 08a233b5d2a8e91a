//! `cargo xtask demo`: the main job, on this machine, with no browser and no peer.

use anyhow::{Result, bail};

use crate::{setup, wasm};

/// `cargo xtask demo`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask demo");
    }
    setup::ensure(setup::For::Module)?;
    wasm::build(false)?;
    transfer()
}

/// Moves 256 MB between two processes on the module, and from the module to Node, and prints the table.
fn transfer() -> Result<()> {
    bail!("the demo needs the command `quillon`, which is not wired to it yet")
}
