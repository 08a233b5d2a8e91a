//! Certificates, bytes and directories that tests share.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use quillon::rng::Rng;

/// The test CA's certificate, DER.
pub const CA: &[u8] = include_bytes!("../data/ca.der");
/// The certificate of `localhost`, `127.0.0.1` and `::1`, signed by the test CA; DER, valid from 2020 to 2120.
pub const CERTIFICATE: &[u8] = include_bytes!("../data/server.der");
/// The private key of [`CERTIFICATE`], PKCS#8 DER.
pub const PRIVATE_KEY: &[u8] = include_bytes!("../data/server_key.der");

/// A file of `tests/data`: `ca.pem`, `server.pem` or `server_key.pem`.
#[must_use]
pub fn data_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// `len` bytes of no pattern, the same for the same `seed`.
#[must_use]
pub fn noise(len: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Rng::from_seed([seed; 32]).fill(&mut bytes);
    bytes
}

/// The workspace's target directory, as cargo finds it.
#[must_use]
pub fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace.join(dir),
        None => workspace.join("target"),
    }
}

/// Where `cargo xtask wasm` puts the modules, wherever cargo's target directory is.
#[must_use]
pub fn module_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm")
}

/// The Python of a virtual environment that holds `tests/interop/requirements.txt`, made where it is missing.
///
/// # Panics
/// Where it cannot be made.
#[must_use]
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let venv = target_dir().join("venv");
        let python = venv.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/requirements.txt");
        let wanted = std::fs::read(&requirements).expect("the requirements are part of the sources");
        let stamp = venv.join("requirements.txt");
        if std::fs::read(&stamp).ok().as_ref() != Some(&wanted) || !python.is_file() {
            let base = if cfg!(windows) { "python" } else { "python3" };
            run(Command::new(base).args(["-m", "venv"]).arg(&venv));
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements));
            std::fs::write(&stamp, &wanted).expect("the virtual environment is ours to write");
        }
        python
    })
}

fn run(command: &mut Command) {
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("{command:?} ended with {status}: `cargo xtask setup` installs what it needs"),
        Err(error) => panic!("{command:?} cannot be started: {error}: `cargo xtask setup` installs what it needs"),
    }
}
