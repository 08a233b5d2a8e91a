//! aioquic as client and as server: 2 MB over hq-interop and over HTTP/3, compared by SHA-256.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use quillon_tests::command::{self, Engine, STARTUP};
use quillon_tests::fixtures::{data_file, noise, python};
use quillon_tests::process::Process;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// aioquic moves about 3 MB/s.
const LEN: usize = 2_000_000;
const TRANSFER: Duration = Duration::from_secs(60);

/// What the files move over: the name to agree on, the prefix of aioquic's scripts, and the code of a clean close.
struct Protocol {
    alpn: &'static str,
    scripts: &'static str,
    no_error: u64,
}

const HQ: Protocol = Protocol { alpn: "hq-interop", scripts: "hq", no_error: 0 };
const HTTP3: Protocol = Protocol { alpn: "h3", scripts: "h3", no_error: 0x100 };

/// A directory with the served file `data`, and where the download goes.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        fs::create_dir(dir.path().join("root")).expect("a new directory");
        fs::write(dir.path().join("root/data"), noise(LEN, 1)).expect("a new file");
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn download(&self) -> PathBuf {
        self.dir.path().join("download")
    }

    fn assert_downloaded(&self) {
        assert_eq!(sha256(&self.download()), sha256(&self.root().join("data")));
    }
}

fn sha256(path: &Path) -> [u8; 32] {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(bytes.len(), LEN);
    Sha256::digest(bytes).into()
}

fn script(protocol: &Protocol, role: &str) -> Command {
    let mut command = Command::new(python());
    let name = format!("{}_{role}.py", protocol.scripts);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name));
    command
}

fn aioquic_server(protocol: &Protocol, root: &Path) -> (Process, u16) {
    let mut server = Process::spawn(
        script(protocol, "server")
            .arg("--root")
            .arg(root)
            .arg("--certificate")
            .arg(data_file("server.pem"))
            .arg("--private-key")
            .arg(data_file("server_key.pem")),
    );
    let port = server.wait_for_port(STARTUP);
    (server, port)
}

fn aioquic_client(protocol: &Protocol, port: u16, output: &Path) -> Process {
    Process::spawn(
        script(protocol, "client")
            .args(["--port", &port.to_string(), "--path", "/data"])
            .arg("--ca")
            .arg(data_file("ca.pem"))
            .arg("--output")
            .arg(output),
    )
}

fn assert_closed_cleanly(server: &mut Process, protocol: &Protocol) {
    server.wait_for_line(&format!("terminated code={} ", protocol.no_error), TRANSFER);
}

fn quillon_downloads_from_aioquic(protocol: &Protocol, engine: Engine) {
    let files = Files::new();
    let (mut server, port) = aioquic_server(protocol, &files.root());
    let output = files.download();
    let output = output.to_str().expect("temporary paths are UTF-8");
    // The command offers both protocols, and aioquic's script knows one.
    let mut client = command::get(engine, &format!("https://127.0.0.1:{port}/data"), &["--output", output]);
    client.wait_for_success(TRANSFER);
    files.assert_downloaded();
    server.wait_for_line(&format!("alpn={}", protocol.alpn), TRANSFER);
    assert_closed_cleanly(&mut server, protocol);
}

fn aioquic_downloads_from_quillon(protocol: &Protocol, engine: Engine) {
    let files = Files::new();
    let (_server, port) = command::serve(engine, &files.root(), "h3,hq-interop");
    aioquic_client(protocol, port, &files.download()).wait_for_success(TRANSFER);
    files.assert_downloaded();
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn aioquic_downloads_from_aioquic() {
    for protocol in [&HQ, &HTTP3] {
        let files = Files::new();
        let (mut server, port) = aioquic_server(protocol, &files.root());
        aioquic_client(protocol, port, &files.download()).wait_for_success(TRANSFER);
        files.assert_downloaded();
        assert_closed_cleanly(&mut server, protocol);
    }
}

#[test]
fn wasm_downloads_from_aioquic() {
    quillon_downloads_from_aioquic(&HQ, Engine::Wasm);
}

#[test]
fn native_downloads_from_aioquic() {
    quillon_downloads_from_aioquic(&HQ, Engine::Native);
}

#[test]
fn aioquic_downloads_from_wasm() {
    aioquic_downloads_from_quillon(&HQ, Engine::Wasm);
}

#[test]
fn aioquic_downloads_from_native() {
    aioquic_downloads_from_quillon(&HQ, Engine::Native);
}

#[test]
fn wasm_downloads_over_http3_from_aioquic() {
    quillon_downloads_from_aioquic(&HTTP3, Engine::Wasm);
}

#[test]
fn native_downloads_over_http3_from_aioquic() {
    quillon_downloads_from_aioquic(&HTTP3, Engine::Native);
}

#[test]
fn aioquic_downloads_over_http3_from_wasm() {
    aioquic_downloads_from_quillon(&HTTP3, Engine::Wasm);
}

#[test]
fn aioquic_downloads_over_http3_from_native() {
    aioquic_downloads_from_quillon(&HTTP3, Engine::Native);
}
