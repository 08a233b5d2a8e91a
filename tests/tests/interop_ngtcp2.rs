//! Debian's ngtcp2 client and server (ALPN `h3`): the handshake is confirmed and a clean close follows, by the
//! account of the peer's own log; files over HTTP/3 both ways, compared by SHA-256.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quillon_tests::command::{self, Engine, STARTUP};
use quillon_tests::fixtures::{data_file, noise};
use quillon_tests::process::Process;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const HANDSHAKE: Duration = Duration::from_secs(20);
const TRANSFER: Duration = Duration::from_secs(60);
const LEN: usize = 10_000_000;

/// `gtlsserver` on a port of the operating system's choice.
fn gtlsserver(root: &Path) -> (Process, u16) {
    let mut server = Process::spawn(
        Command::new("gtlsserver")
            .args(["--no-quic-dump", "--no-http-dump", "--htdocs"])
            .arg(root)
            .args(["127.0.0.1", "0"])
            .arg(data_file("server_key.pem"))
            .arg(data_file("server.pem")),
    );
    server.wait_for_line("Using document root", STARTUP);
    let port = udp_port_of(server.id());
    (server, port)
}

/// The UDP port that the process has bound: `gtlsserver` does not print it.
fn udp_port_of(process: u32) -> u16 {
    let deadline = Instant::now() + STARTUP;
    while Instant::now() < deadline {
        if let Some(port) = bound_udp_port(process) {
            return port;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("process {process} has bound no UDP port in {STARTUP:?}")
}

fn bound_udp_port(process: u32) -> Option<u16> {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    // "sl local_address rem_address st queues timer retransmits uid timeout inode": proc(5), /proc/net/udp.
    let table = fs::read_to_string("/proc/net/udp").ok()?;
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let inode = *fields.get(9)?;
        let (_, port) = fields.get(1)?.split_once(':')?;
        sockets.iter().any(|socket| socket == inode).then(|| u16::from_str_radix(port, 16).ok())?
    })
}

/// `gtlsclient`, which makes no request: it stays connected until it is interrupted, and then closes.
fn gtlsclient(port: u16) -> Process {
    Process::spawn(Command::new("gtlsclient").args(["--no-quic-dump", "127.0.0.1", &port.to_string()]))
}

/// `gtlsclient`, which downloads `/data` into a folder and closes.
fn gtlsclient_downloads(port: u16, folder: &Path) -> Process {
    Process::spawn(
        Command::new("gtlsclient")
            .args(["--no-quic-dump", "--no-http-dump", "--exit-on-all-streams-close", "--download"])
            .arg(folder)
            .args(["127.0.0.1", &port.to_string(), &format!("https://127.0.0.1:{port}/data")]),
    )
}

/// A folder `root` with a file `data`, and a folder `copy` for what is downloaded.
fn files() -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    for folder in ["root", "copy"] {
        fs::create_dir(dir.path().join(folder)).expect("a new directory");
    }
    fs::write(dir.path().join("root/data"), noise(LEN, 3)).expect("a new file");
    dir
}

fn assert_downloaded(files: &TempDir) {
    let [copy, data] = ["copy/data", "root/data"].map(|file| {
        let bytes = fs::read(files.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(bytes.len(), LEN);
        <[u8; 32]>::from(Sha256::digest(bytes))
    });
    assert_eq!(copy, data);
}

fn quillon_downloads_from_ngtcp2(engine: Engine) {
    let files = files();
    let (mut server, port) = gtlsserver(&files.path().join("root"));
    let folder = files.path().join("copy");
    let folder = folder.to_str().expect("temporary paths are UTF-8");
    let mut client = command::get(engine, &format!("https://127.0.0.1:{port}/data"), &["--output", folder]);
    client.wait_for_success(TRANSFER);
    assert_downloaded(&files);
    assert_received_clean_close(&mut server);
}

fn ngtcp2_downloads_from_quillon(engine: Engine) {
    let files = files();
    let (mut server, port) = command::serve(engine, &files.path().join("root"), "h3,hq-interop");
    let mut client = gtlsclient_downloads(port, &files.path().join("copy"));
    client.wait_for_success(TRANSFER);
    assert_downloaded(&files);
    assert_one_clean_close(client.output(), "frm tx ");
    server.wait_for_line(&format!("\"/data\": {LEN} bytes"), HANDSHAKE);
}

fn assert_received_clean_close(server: &mut Process) {
    server.wait_for_line("Draining period has started", HANDSHAKE);
    assert_one_clean_close(server.output(), "frm rx ");
}

/// Exactly one CONNECTION_CLOSE in 1-RTT in that direction (ngtcp2 logs `frm rx` and `frm tx`), which says
/// NO_ERROR or its HTTP/3 equal, and no error of the library's beside it.
fn assert_one_clean_close(log: &[String], direction: &str) {
    let closes: Vec<&String> =
        log.iter().filter(|line| line.contains(direction) && line.contains(" CONNECTION_CLOSE(")).collect();
    let clean =
        |line: &str| line.contains(" 1RTT ") && (line.contains("error_code=NO_ERROR(0x0)") || line.contains("(0x100)"));
    assert!(matches!(closes[..], [close] if clean(close)), "{closes:?} in\n{}", log.join("\n"));
    let errors: Vec<&String> =
        log.iter().filter(|line| line.contains("ERR_") && !line.contains("ERR_DRAINING")).collect();
    assert!(errors.is_empty(), "{errors:?} in\n{}", log.join("\n"));
}

fn quillon_connects_to_ngtcp2(engine: Engine) {
    let root = TempDir::new().expect("a temporary directory");
    let (mut server, port) = gtlsserver(root.path());
    let mut client = command::get(engine, &format!("https://127.0.0.1:{port}/"), &["--alpn", "h3", "--handshake-only"]);
    client.wait_for_success(STARTUP);
    server.wait_for_line("QUIC handshake has completed", HANDSHAKE);
    server.wait_for_line("Negotiated ALPN is h3", HANDSHAKE);
    assert_received_clean_close(&mut server);
}

fn ngtcp2_connects_to_quillon(engine: Engine) {
    let root = TempDir::new().expect("a temporary directory");
    let (_server, port) = command::serve(engine, root.path(), "h3");
    // Twice: the first connection's close leaves the server as it was.
    for _ in 0..2 {
        let mut client = gtlsclient(port);
        client.wait_for_line("QUIC handshake has completed", HANDSHAKE);
        client.wait_for_line("Negotiated ALPN is h3", HANDSHAKE);
        client.wait_for_line("QUIC handshake has been confirmed", HANDSHAKE);
        client.interrupt();
        client.wait_for_success(HANDSHAKE);
        assert_one_clean_close(client.output(), "frm tx ");
    }
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn ngtcp2_connects_to_ngtcp2() {
    let root = TempDir::new().expect("a temporary directory");
    let (mut server, port) = gtlsserver(root.path());
    let mut client = gtlsclient(port);
    client.wait_for_line("QUIC handshake has been confirmed", HANDSHAKE);
    client.interrupt();
    client.wait_for_success(HANDSHAKE);
    assert_one_clean_close(client.output(), "frm tx ");
    assert_received_clean_close(&mut server);
}

#[test]
fn wasm_connects_to_ngtcp2() {
    quillon_connects_to_ngtcp2(Engine::Wasm);
}

#[test]
fn native_connects_to_ngtcp2() {
    quillon_connects_to_ngtcp2(Engine::Native);
}

#[test]
fn ngtcp2_connects_to_wasm() {
    ngtcp2_connects_to_quillon(Engine::Wasm);
}

#[test]
fn ngtcp2_connects_to_native() {
    ngtcp2_connects_to_quillon(Engine::Native);
}

/// The peers agree with each other: where this fails, the others say nothing about Quillon.
#[test]
fn ngtcp2_downloads_from_ngtcp2() {
    let files = files();
    let (mut server, port) = gtlsserver(&files.path().join("root"));
    gtlsclient_downloads(port, &files.path().join("copy")).wait_for_success(TRANSFER);
    assert_downloaded(&files);
    assert_received_clean_close(&mut server);
}

#[test]
fn wasm_downloads_from_ngtcp2() {
    quillon_downloads_from_ngtcp2(Engine::Wasm);
}

#[test]
fn native_downloads_from_ngtcp2() {
    quillon_downloads_from_ngtcp2(Engine::Native);
}

#[test]
fn ngtcp2_downloads_from_wasm() {
    ngtcp2_downloads_from_quillon(Engine::Wasm);
}

#[test]
fn ngtcp2_downloads_from_native() {
    ngtcp2_downloads_from_quillon(Engine::Native);
}
