//! The example of a plugin host, as it stands.

mod common;
#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../examples/embed.rs"]
mod embed;

use common::{Server, data, folder_with_data};
use quillon_host::Engine;
use tempfile::TempDir;

fn embed(server: &Server, path: &str) -> wasmtime::Result<Vec<u8>> {
    let dir = TempDir::new()?;
    let module = dir.path().join("quillon.wasm");
    std::fs::write(&module, Engine::module().expect("run `cargo xtask wasm` and build again"))?;
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let address = server.address.to_string();
    embed::download(&[text(&module), text(&server.ca), address, "localhost".to_owned(), path.to_owned()])
}

#[test]
fn a_plugin_host_downloads_a_file() {
    let root = folder_with_data(3_000_000);
    let server = Server::start("native", root.path(), &[]);
    assert!(embed(&server, "/data").expect("it arrives") == data(3_000_000));
    assert!(server.line_with("\"/data\"").contains("3000000 bytes"));
    assert!(embed(&server, "/other").is_err());
}

#[test]
fn it_is_short() {
    assert!(include_str!("../examples/embed.rs").lines().count() < 150);
}
