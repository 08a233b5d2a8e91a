//! The rest of the command: its version, the key log, signals, what it prints.

mod common;

use std::fs;

use common::{ENGINES, Server, data, folder_with_data, get, quillon, run, sha256, succeeded, text};
use quillon_host::Engine;
use tempfile::TempDir;

#[test]
fn the_version_names_the_module() {
    let version = succeeded(&run(quillon().arg("--version")));
    let module = Engine::module().expect("run `cargo xtask wasm` and build again");
    assert_eq!(version, format!("quillon {} (module sha256 {})\n", env!("CARGO_PKG_VERSION"), sha256(module)));
}

#[test]
fn the_summary_says_it_all() {
    for engine in ENGINES {
        let root = folder_with_data(1_000_000);
        let server = Server::start(engine, root.path(), &[]);
        let target = TempDir::new().expect("a temporary folder");
        let (ca, output) = (server.ca.to_str().expect("UTF-8"), target.path().to_str().expect("UTF-8"));
        let summary = succeeded(&get(engine, &[&server.url("/data"), "--ca", ca, "--output", output]));
        for part in ["1000000 bytes in ", " MB/s", "RTT ", "packets lost", "handshake ", &format!("engine {engine}")] {
            assert!(summary.contains(part), "{part:?} is not in {summary:?}");
        }
        assert_eq!(summary.contains("datagrams crossed the module"), engine == "wasm");
        assert_eq!(summary.lines().count(), 1);
        assert!(server.line_with("\"/data\"").contains("1000000 bytes"));
    }
}

#[test]
#[cfg(unix)]
fn the_key_log_is_for_its_owner() {
    use std::os::unix::fs::PermissionsExt;

    for engine in ENGINES {
        let root = folder_with_data(10);
        let logs = TempDir::new().expect("a temporary folder");
        let (client_log, server_log) = (logs.path().join("client"), logs.path().join("server"));
        fs::write(&client_log, "# kept\n").expect("a new file");
        let mut serve = quillon();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--engine", engine, "--root"]).arg(root.path());
        let server = Server::spawn(serve.env("SSLKEYLOGFILE", &server_log));
        let mut get = quillon();
        get.args(["get", &server.url("/data"), "--engine", engine, "--output", "-", "--ca"]).arg(&server.ca);
        succeeded(&run(get.env("SSLKEYLOGFILE", &client_log)));

        let read = |path| fs::read_to_string(path).expect("the log is there");
        let (client, server) = (read(&client_log), read(&server_log));
        assert!(client.starts_with("# kept\n"));
        assert_eq!(fs::metadata(&server_log).expect("there").permissions().mode() & 0o777, 0o600);
        for label in [
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
            "CLIENT_TRAFFIC_SECRET_0",
            "SERVER_TRAFFIC_SECRET_0",
        ] {
            let line = |log: &str| log.lines().find(|line| line.starts_with(label)).map(str::to_owned);
            let of_client = line(&client).unwrap_or_else(|| panic!("no {label} in {client:?}"));
            assert_eq!(Some(&of_client), line(&server).as_ref());
            assert_eq!(of_client.split(' ').map(str::len).collect::<Vec<_>>()[1], 64);
        }
    }
}

#[test]
#[cfg(unix)]
fn signals_end_it_cleanly() {
    for (engine, signal) in [("native", "TERM"), ("wasm", "INT")] {
        let root = folder_with_data(10);
        let mut server = Server::start(engine, root.path(), &[]);
        assert_eq!(server.signal(signal), Some(0));
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_download_leaves_nothing() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    // A file that does not end within the test.
    let root = TempDir::new().expect("a temporary folder");
    let endless = fs::File::create(root.path().join("data")).expect("a new file");
    endless.set_len(1 << 40).expect("a sparse file");
    let mut server = Server::start("native", root.path(), &[]);
    let target = TempDir::new().expect("a temporary folder");
    let mut get = quillon();
    get.args(["get", &server.url("/data"), "--engine", "native", "--ca"]).arg(&server.ca);
    get.arg("--output").arg(target.path().join("copy")).stderr(Stdio::piped());
    let child = get.spawn().expect("it starts");
    let part = target.path().join("copy.part");
    while !fs::metadata(&part).is_ok_and(|part| part.len() > 100_000) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs").success());
    let done = child.wait_with_output().expect("it ends");
    assert_eq!((done.status.code(), text(&done.stderr).as_str()), (Some(1), "quillon: interrupted\n"));
    assert_eq!(common::names(target.path()), [""; 0]);
    // And a server in the middle of a transfer ends too.
    assert_eq!(server.signal("TERM"), Some(0));
}

#[test]
fn nothing_is_lost_in_json() {
    let root = folder_with_data(1000);
    let server = Server::start("native", root.path(), &["--json"]);
    let ca = server.ca.to_str().expect("UTF-8");
    let done = get("native", &[&server.url("/data"), "--ca", ca, "--output", "-"]);
    assert_eq!(done.stdout, data(1000));
    let request: serde_json::Value = serde_json::from_str(&server.line_with("\"request\"")).expect("JSON");
    assert_eq!((&request["path"], &request["bytes"]), (&"/data".into(), &1000.into()));
    assert_eq!(request.get("error"), None);
}
