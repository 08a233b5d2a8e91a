//! The command `quillon`, run as a child process against other implementations.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::fixtures::data_file;
use crate::process::Process;

/// How long a program may take to start. The first start of the wasm engine compiles the module.
pub const STARTUP: Duration = Duration::from_secs(60);

/// Which build of the engine the command runs: `--engine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The WebAssembly module under wasmtime.
    Wasm,
    /// Native code.
    Native,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wasm => "wasm",
            Self::Native => "native",
        })
    }
}

/// The command: `QUILLON_BIN`, or the one that cargo built beside the running test.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn quillon() -> Command {
    let program = env::var_os("QUILLON_BIN").map_or_else(beside_this_program, PathBuf::from);
    assert!(
        program.is_file(),
        "{} is missing: run `cargo xtask wasm` and `cargo build -p quillon-host`, or set QUILLON_BIN to the command",
        program.display()
    );
    Command::new(program)
}

/// Tests lie in `PROFILE/deps`, commands in `PROFILE`.
fn beside_this_program() -> PathBuf {
    let program = env::current_exe().expect("a program has a path");
    let profile_dir = program.parent().and_then(Path::parent).expect("tests lie in a target directory");
    profile_dir.join("quillon").with_extension(env::consts::EXE_EXTENSION)
}

/// Starts `quillon serve` on a free port of 127.0.0.1 with the test certificate; returns it with the port.
///
/// # Panics
/// Where it does not come up.
#[must_use]
pub fn serve(engine: Engine, root: &Path, alpn: &str) -> (Process, u16) {
    let mut server = Process::spawn(
        quillon()
            .args(["serve", "--listen", "127.0.0.1:0", "--alpn", alpn, "--engine", &engine.to_string(), "--root"])
            .arg(root)
            .arg("--cert")
            .arg(data_file("server.pem"))
            .arg("--key")
            .arg(data_file("server_key.pem")),
    );
    let port = server.wait_for_port(STARTUP);
    (server, port)
}

/// Starts `quillon get` of `url` with the test CA and the further arguments.
#[must_use]
pub fn get(engine: Engine, url: &str, arguments: &[&str]) -> Process {
    Process::spawn(
        quillon().args(["get", url, "--engine", &engine.to_string(), "--ca"]).arg(data_file("ca.pem")).args(arguments),
    )
}
