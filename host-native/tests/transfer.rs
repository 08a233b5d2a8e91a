//! Files from `quillon serve` to `quillon get`, over both engines.

mod common;

use std::fs;

use common::{ENGINES, Server, data, folder_with_data, get, names, quillon, run, sha256, succeeded, text};
use serde_json::Value;
use tempfile::TempDir;

fn transfer(server_engine: &str, client_engine: &str, listen: &str, url_host: &str, arguments: &[&str]) {
    common::transfer("hq-interop", (server_engine, client_engine), listen, url_host, arguments);
}

#[test]
fn native_to_native() {
    transfer("native", "native", "127.0.0.1:0", "localhost", &[]);
}

#[test]
fn wasm_to_wasm() {
    transfer("wasm", "wasm", "127.0.0.1:0", "localhost", &[]);
}

#[test]
fn native_to_wasm() {
    transfer("native", "wasm", "127.0.0.1:0", "127.0.0.1", &[]);
}

#[test]
fn wasm_to_native() {
    transfer("wasm", "native", "127.0.0.1:0", "127.0.0.1", &[]);
}

#[test]
fn over_ipv6() {
    transfer("native", "native", "[::1]:0", "[::1]", &[]);
    transfer("wasm", "wasm", "[::1]:0", "[::1]", &[]);
}

#[test]
fn to_a_server_on_every_address() {
    transfer("native", "native", "0.0.0.0:0", "127.0.0.1", &[]);
    transfer("wasm", "native", "[::]:0", "localhost", &[]);
}

#[test]
fn with_either_cipher() {
    transfer("native", "native", "127.0.0.1:0", "localhost", &["--cipher", "chacha"]);
    transfer("native", "wasm", "127.0.0.1:0", "localhost", &["--cipher", "aes"]);
}

#[test]
fn several_files_over_one_connection() {
    for engine in ENGINES {
        let root = TempDir::new().expect("a temporary folder");
        fs::create_dir(root.path().join("sub")).expect("a new folder");
        for (name, len) in [("empty", 0), ("one", 1), ("sub/large", 1_000_000)] {
            fs::write(root.path().join(name), data(len)).expect("a new file");
        }
        let server = Server::start(engine, root.path(), &["--once", "1", "--json"]);
        let target = TempDir::new().expect("a temporary folder");
        let urls = ["/empty", "/one", "/sub/large"].map(|path| server.url(path));
        let mut command = quillon();
        command.args(["get", "--engine", engine, "--ca"]).arg(&server.ca).args(urls);
        succeeded(&run(command.arg("--output").arg(target.path())));
        assert_eq!(names(target.path()), ["empty", "large", "one"]);
        assert_eq!(fs::read(target.path().join("empty")).expect("there"), b"");
        assert_eq!(fs::read(target.path().join("one")).expect("there"), data(1));
        assert_eq!(fs::read(target.path().join("large")).expect("there"), data(1_000_000));

        let mut server = server;
        let closed = server.line_with("\"closed\"");
        let closed: Value = serde_json::from_str(&closed).expect("JSON");
        assert_eq!(closed["packets_lost"].as_u64().map(|lost| lost < 1000), Some(true));
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn to_standard_output() {
    let root = folder_with_data(100_000);
    let server = Server::start("native", root.path(), &[]);
    let ca = server.ca.to_str().expect("UTF-8");
    let done = get("native", &[&server.url("/data"), "--ca", ca, "--output", "-"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(sha256(&done.stdout), sha256(&data(100_000)));
    assert!(text(&done.stderr).contains("100000 bytes in "), "{}", text(&done.stderr));
}

#[test]
fn names_with_spaces() {
    let root = TempDir::new().expect("a temporary folder");
    fs::write(root.path().join("a b"), b"spaced").expect("a new file");
    let server = Server::start("native", root.path(), &[]);
    let ca = server.ca.to_str().expect("UTF-8");
    let done = get("native", &[&server.url("/a%20b"), "--ca", ca, "--output", "-"]);
    assert_eq!(succeeded(&done), "spaced");
}

#[test]
fn many_clients_at_once() {
    for engine in ENGINES {
        let root = folder_with_data(2_000_000);
        let server = Server::start(engine, root.path(), &[]);
        let (url, ca) = (server.url("/data"), server.ca.to_str().expect("UTF-8"));
        let fetch = || {
            let done = get("native", &[&url, "--ca", ca, "--output", "-"]);
            assert!(done.status.success(), "{}", text(&done.stderr));
            assert_eq!(sha256(&done.stdout), sha256(&data(2_000_000)));
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(fetch);
            }
        });
    }
}

#[test]
fn a_handshake_alone() {
    for engine in ENGINES {
        let root = TempDir::new().expect("a temporary folder");
        let server = Server::start(engine, root.path(), &["--alpn", "h3"]);
        let ca = server.ca.to_str().expect("UTF-8");
        let done = get(engine, &[&server.url("/"), "--ca", ca, "--alpn", "h3", "--handshake-only", "--json"]);
        let report: Value = serde_json::from_str(&succeeded(&done)).expect("one JSON object");
        assert_eq!((&report["alpn"], &report["bytes"]), (&Value::from("h3"), &Value::from(0)));
        assert!(server.line_with("closed").contains("0x100"));
    }
}
