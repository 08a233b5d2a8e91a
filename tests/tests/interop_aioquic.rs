//! aioquic as client and as server: 2 MB over hq-interop, compared by SHA-256.

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

fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name));
    command
}

fn aioquic_server(root: &Path) -> (Process, u16) {
    let mut server = Process::spawn(
        script("hq_server.py")
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

fn aioquic_client(port: u16, output: &Path) -> Process {
    Process::spawn(
        script("hq_client.py")
            .args(["--port", &port.to_string(), "--path", "/data"])
            .arg("--ca")
            .arg(data_file("ca.pem"))
            .arg("--output")
            .arg(output),
    )
}

fn quillon_downloads_from_aioquic(engine: Engine) {
    let files = Files::new();
    let (mut server, port) = aioquic_server(&files.root());
    let output = files.download();
    let output = output.to_str().expect("temporary paths are UTF-8");
    let mut client = command::get(engine, &format!("https://127.0.0.1:{port}/data"), &["--output", output]);
    client.wait_for_success(TRANSFER);
    files.assert_downloaded();
    server.wait_for_line("terminated code=0 ", TRANSFER);
}

fn aioquic_downloads_from_quillon(engine: Engine) {
    let files = Files::new();
    let (_server, port) = command::serve(engine, &files.root(), "hq-interop");
    aioquic_client(port, &files.download()).wait_for_success(TRANSFER);
    files.assert_downloaded();
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn aioquic_downloads_from_aioquic() {
    let files = Files::new();
    let (mut server, port) = aioquic_server(&files.root());
    aioquic_client(port, &files.download()).wait_for_success(TRANSFER);
    files.assert_downloaded();
    server.wait_for_line("terminated code=0 ", TRANSFER);
}

#[test]
fn wasm_downloads_from_aioquic() {
    quillon_downloads_from_aioquic(Engine::Wasm);
}

#[test]
fn native_downloads_from_aioquic() {
    quillon_downloads_from_aioquic(Engine::Native);
}

#[test]
fn aioquic_downloads_from_wasm() {
    aioquic_downloads_from_quillon(Engine::Wasm);
}

#[test]
fn aioquic_downloads_from_native() {
    aioquic_downloads_from_quillon(Engine::Native);
}
