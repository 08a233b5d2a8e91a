//! The project's commands: `cargo xtask <command>`.
//!
//! Each command says what it does while it does it, and what to do where it cannot go on. A command that failed ends
//! with an exit code other than 0.

mod bench;
mod demo;
mod fuzz;
mod no_std;
mod process;
mod setup;
#[path = "../../bindings-js/source_hash.rs"]
mod source_hash;
mod test;
mod toolchain;
mod wasm;

use std::env;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo                      builds the module, moves 256 MB between two processes, prints a table
  test [--portable] [GROUP..]
                            runs every test, or the groups named: build lint rust simulator wasm node interop fuzz
  setup [--yes]             lists what the machine lacks, and installs it with --yes or as root with CI=true
  wasm [--force]            builds target/wasm/quillon.wasm and quillon.baseline.wasm
  no-std                    proves that the engine builds and works where there is no standard library
  fuzz [--seconds N] [TARGET..]
                            fuzzes every target of engine/fuzz, or those named, for 20 s each
  soak                      simulates 100,000 seeds, then fuzzes for an hour
  bench                     measures, prints a table and writes target/bench/report.json

QUILLON_WASM_TOOLCHAIN=rustup|debian chooses where the compiler for the module comes from.";

/// The repository's root.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let outcome = match command {
        "bench" => bench::run(rest).map(|()| ExitCode::SUCCESS),
        "demo" => demo::run(rest).map(|()| ExitCode::SUCCESS),
        "fuzz" => fuzz::run(rest).map(|()| ExitCode::SUCCESS),
        "no-std" => no_std::run(rest).map(|()| ExitCode::SUCCESS),
        "setup" => setup::run(rest).map(|()| ExitCode::SUCCESS),
        "soak" => fuzz::soak(rest).map(|()| ExitCode::SUCCESS),
        // Its last line is the count: it reports failures itself.
        "test" => test::run(rest),
        "wasm" => wasm::run(rest).map(|()| ExitCode::SUCCESS),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => Err(anyhow::anyhow!("no command {other}\n\n{USAGE}")),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
