//! The command's switches for the transport, and what its summary says of them.

mod common;

use std::fs;

use common::{ENGINES, Server, data, folder_with_data, get, succeeded};
use serde_json::Value;
use tempfile::TempDir;

/// Serves a file with these arguments, fetches it with those, and gives what the client tells.
fn fetch(engine: &str, serve: &[&str], arguments: &[&str]) -> Value {
    let root = folder_with_data(100_000);
    let server = Server::start(engine, root.path(), serve);
    let target = TempDir::new().expect("a temporary folder");
    let output = target.path().join("copy");
    let (url, ca) = (server.url("/data"), server.ca.to_str().expect("UTF-8"));
    let common = [url.as_str(), "--json", "--ca", ca, "--output", output.to_str().expect("UTF-8")];
    let report = succeeded(&get(engine, &[&common, arguments].concat()));
    assert_eq!(fs::read(&output).expect("the file is there"), data(100_000));
    serde_json::from_str(&report).expect("one JSON object")
}

#[test]
fn the_version_is_chosen_by_either_end() {
    for engine in ENGINES {
        for (serve, arguments, version) in [
            (&[][..], &[][..], "1"),
            (&[], &["--version", "2"], "2"),
            (&["--prefer-version", "2"], &[], "2"),
            (&["--versions", "2"], &[], "2"),
            (&["--versions", "1"], &["--version", "2"], "1"),
        ] {
            assert_eq!(fetch(engine, serve, arguments)["version"], version, "{serve:?} {arguments:?}");
        }
    }
}

#[test]
fn early_data_is_told() {
    for engine in ENGINES {
        for alpn in common::PROTOCOLS {
            let report = fetch(engine, &["--early-data"], &["--early-data", "--alpn", alpn]);
            assert_eq!((&report["resumed"], &report["early_data"]), (&true.into(), &"accepted".into()));
            let report = fetch(engine, &[], &["--early-data", "--alpn", alpn]);
            assert_eq!((&report["resumed"], &report["early_data"]), (&true.into(), &"none".into()));
        }
    }
}

#[test]
fn keys_and_paths_change_under_a_download() {
    for engine in ENGINES {
        let report = fetch(engine, &["--congestion", "newreno"], &["--key-update", "--migrate"]);
        assert_eq!(report["key_updates"], 1);
        assert!(report["paths"].as_array().is_some_and(|paths| !paths.is_empty()));
        fetch(engine, &[], &["--rebind", "--congestion", "newreno"]);
        let report = fetch(engine, &["--preferred-address", "127.0.0.1:0"], &[]);
        assert!(report["paths"][0]["remote"].is_string());
    }
}

#[test]
fn a_token_is_kept_in_a_file() {
    for engine in ENGINES {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("token");
        let arguments = ["--token-file", file.to_str().expect("UTF-8")];
        let mut tokens = Vec::new();
        for _ in 0..2 {
            fetch(engine, &["--retry"], &arguments);
            tokens.push(fs::read(&file).expect("the token is there"));
        }
        assert!(!tokens[0].is_empty() && tokens[0] != tokens[1]);
    }
}

#[test]
fn logs_are_written_where_they_are_asked_for() {
    for engine in ENGINES {
        let folder = TempDir::new().expect("a temporary folder");
        let logs = ["--qlog-dir", folder.path().to_str().expect("UTF-8"), "--log"];
        fetch(engine, &[], &logs);
        let names = common::names(folder.path());
        assert!(names.len() == 1 && names[0].ends_with("_client.sqlog"), "{names:?}");
    }
}
