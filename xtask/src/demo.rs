//! `cargo xtask demo`: the main job, on this machine, with no browser and no peer.
//!
//! A file goes from one process to another over UDP on the loopback interface, both ends on the module; then once more,
//! to Node. Nothing is simulated: these are the commands and the example that users run, and the hash is computed from
//! the file that was written.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::process::{line, run as start};
use crate::{root, setup, wasm};

/// The size of the file that is moved.
const FILE_LEN: usize = 256_000_000;
const FILE: &str = "256MB.bin";

/// How long the server may take to start: the module is compiled first.
const SERVER_START: Duration = Duration::from_secs(60);

/// `cargo xtask demo`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask demo");
    }
    setup::ensure(setup::For::Module)?;
    wasm::build(false)?;
    println!("building the command `quillon` and the JavaScript package");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Over the workspace, as the tests build it: with other features of its dependencies wasmtime would be built again.
    let workspace = ["build", "--workspace", "--exclude", "xtask", "--bin", "quillon", "--locked"];
    start(cargo.args(workspace).current_dir(root()))?;
    start(
        Command::new(crate::process::NPM)
            .args(["run", "build", "--silent", "--prefix"])
            .arg(root().join("bindings-js")),
    )?;
    transfer()
}

/// One row of the table.
struct Row {
    client: &'static str,
    summary: Value,
}

/// Moves the file to the module under wasmtime and to the module in Node, and prints the table.
fn transfer() -> Result<()> {
    let folder = root().join("target/demo");
    let served = folder.join("served");
    fs::create_dir_all(&served).with_context(|| format!("cannot make {}", served.display()))?;
    println!("\nwriting a file of {FILE_LEN} bytes");
    let hash = write_file(&served.join(FILE))?;
    println!("  SHA-256 {hash}");

    let certificate = folder.join("certificate.pem");
    let (server, address) = Server::start(&served, &certificate)?;
    let url = format!("https://{address}/{FILE}");

    println!("\nfetching it with `quillon get`, the module under wasmtime");
    let received = folder.join("received-by-wasmtime.bin");
    let mut get = quillon()?;
    get.arg("get")
        .arg(&url)
        .args(["--engine", "wasm", "--json", "--ca"])
        .arg(&certificate)
        .arg("--output")
        .arg(&received);
    let wasmtime = Row { client: "wasmtime", summary: fetch(&mut get, &received, &hash)? };

    println!("\nfetching it with bindings-js/examples/download.mjs, the same module in Node");
    let received = folder.join("received-by-node.bin");
    let mut node = Command::new("node");
    node.arg(root().join("bindings-js/examples/download.mjs")).arg(&url).arg(&received);
    node.args(["--json", "--ca"]).arg(&certificate);
    let node = Row { client: "Node", summary: fetch(&mut node, &received, &hash)? };

    drop(server);
    print_table(&[wasmtime, node]);
    Ok(())
}

/// Writes a file that does not compress, and returns its hash.
fn write_file(path: &Path) -> Result<String> {
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    let (mut state, mut left) = (0x9e37_79b9_7f4a_7c15_u64, FILE_LEN);
    while left > 0 {
        for bytes in block.chunks_exact_mut(8) {
            // xorshift64.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.copy_from_slice(&state.to_le_bytes());
        }
        let part = &block[..left.min(block.len())];
        hash.update(part);
        file.write_all(part)?;
        left -= part.len();
    }
    Ok(hex(&hash.finalize()))
}

fn hash_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex(&hash.finalize())),
            len => hash.update(&block[..len]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The command `quillon`, as cargo has just built it.
fn quillon() -> Result<Command> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("debug").join(format!("quillon{}", env::consts::EXE_SUFFIX));
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(Command::new(program))
}

/// A running `quillon serve`; dropping it ends the process.
struct Server(Child);

impl Server {
    fn start(served: &Path, certificate: &Path) -> Result<(Self, String)> {
        let mut serve = quillon()?;
        serve.args(["serve", "--engine", "wasm", "--listen", "127.0.0.1:0", "--root"]).arg(served);
        serve.arg("--write-cert").arg(certificate);
        println!("\nstarting the server, the module under wasmtime\n  $ {}", line(&serve));
        let child = serve.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start the server")?;
        let mut server = Self(child);
        let output = server.0.stdout.take().context("the server has no output")?;
        let (sender, lines) = mpsc::channel();
        // Reads on after the first line, so that the server never waits for a full pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let first = lines.recv_timeout(SERVER_START).context("the server did not say that it listens")?;
        let address = first.strip_prefix("listening on ").and_then(|rest| rest.split_whitespace().next());
        let address = address.with_context(|| format!("the server said: {first}"))?.to_owned();
        println!("  {first}");
        Ok((server, address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a client that prints its summary as JSON, and compares what it wrote.
fn fetch(client: &mut Command, received: &Path, hash: &str) -> Result<Value> {
    println!("  $ {}", line(client));
    let output = client.stdin(Stdio::null()).stderr(Stdio::inherit()).output().context("cannot start the client")?;
    ensure!(output.status.success(), "the client ended with {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = serde_json::from_str(text.trim()).with_context(|| format!("the client printed: {text}"))?;
    let found = hash_of(received)?;
    ensure!(found == hash, "{} has the SHA-256 {found}", received.display());
    println!("  SHA-256 of {}: the same", received.display());
    fs::remove_file(received)?;
    Ok(summary)
}

fn print_table(rows: &[Row]) {
    println!("\n256 MB over UDP on loopback, from `quillon serve` (wasmtime), SHA-256 verified\n");
    println!("{:<10}{:>9}{:>9}{:>14}{:>10}{:>8}", "client", "seconds", "MB/s", "handshake ms", "RTT ms", "lost");
    for Row { client, summary } in rows {
        let number = |key: &str| summary[key].as_f64().unwrap_or(f64::NAN);
        println!(
            "{client:<10}{:>9.2}{:>9.1}{:>14.1}{:>10.2}{:>8}",
            number("seconds"),
            number("mb_per_second"),
            number("handshake_ms"),
            number("rtt_ms"),
            summary["packets_lost"]
        );
    }
}
