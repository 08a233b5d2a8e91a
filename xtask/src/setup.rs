//! `cargo xtask setup [--yes]`: what the machine lacks for the project's commands, and its installation.
//!
//! It installs only with `--yes`, or as root with `CI=true`; else it prints the commands that would and stops. Debian's
//! packages come in one `apt-get install`, JavaScript's by `npm ci`, Python's into a virtual environment under
//! `target/`. Nothing else on the machine is touched.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{NPM, find, line, output, run as start};
use crate::root;
use crate::toolchain::{self, Route};

/// What the machine is to be fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Building the module, and so the demo and the benchmark.
    Module,
    /// All tests but those of peers that only Debian has.
    PortableTests,
    /// All tests.
    Tests,
}

/// The oldest Node that the JavaScript package runs on.
const NODE: (u32, u32) = (20, 19);

/// One thing that is missing.
#[derive(Debug)]
struct Missing {
    what: String,
    remedy: Remedy,
}

/// How a missing thing comes.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    /// These packages of Debian.
    Debian(&'static [&'static str]),
    /// `rustup target add`.
    RustupTargets,
    /// `npm ci` in `bindings-js`.
    Npm,
    /// A virtual environment with the Python peers.
    Venv,
    /// A person's hands: the advice.
    Hands(&'static str),
}

/// `cargo xtask setup [--yes]`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let purpose = if cfg!(target_os = "linux") { For::Tests } else { For::PortableTests };
    match arguments {
        [] => provide(purpose, false),
        [yes] if yes == "--yes" => provide(purpose, true),
        _ => bail!("usage: cargo xtask setup [--yes]"),
    }
}

/// Does what `cargo xtask setup` does, for `purpose` only.
pub(crate) fn ensure(purpose: For) -> Result<()> {
    provide(purpose, false)
}

fn provide(purpose: For, yes: bool) -> Result<()> {
    let mut missing = missing(purpose)?;
    if missing.is_empty() {
        println!("setup: nothing is missing");
        return Ok(());
    }
    println!("setup: missing are");
    for one in &missing {
        println!("  - {}", one.what);
    }
    let allowed = yes || is_root() && env::var("CI").as_deref() == Ok("true");
    if !allowed {
        println!("these commands install it, and so does `cargo xtask setup --yes`:");
        for step in steps(&missing)? {
            println!("  {}", line(&step));
        }
        bail!("the machine lacks what is listed above");
    }

    // First, so that Debian's compiler can stand in within the one apt-get install.
    if missing.iter().any(|one| one.remedy == Remedy::RustupTargets) {
        missing.retain(|one| one.remedy != Remedy::RustupTargets);
        if let Err(error) = start(&mut rustup_target_add()) {
            if toolchain::asked()?.is_some() || find("apt-get").is_none() {
                return Err(error.context("cannot add the WebAssembly targets"));
            }
            println!("  no targets from rustup ({error}): taking Debian's compiler");
            missing.extend(debian_compiler());
        }
    }
    for mut step in steps(&missing)? {
        start(&mut step)?;
    }
    let left = self::missing(purpose)?;
    if let Some(first) = left.first() {
        bail!("still missing after the installation: {}", first.what);
    }
    println!("setup: done");
    Ok(())
}

fn missing(purpose: For) -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    let mut need = |there: bool, what: &str, remedy: Remedy| {
        if !there {
            missing.push(Missing { what: what.to_owned(), remedy });
        }
    };
    need(find("cc").is_some(), "a C compiler (cc)", Remedy::Debian(&["gcc", "libc6-dev"]));
    let certificates = !cfg!(target_os = "linux")
        || Path::new("/etc/ssl/certs/ca-certificates.crt").exists()
        || find("apt-get").is_none();
    need(certificates, "the certificates of the authorities", Remedy::Debian(&["ca-certificates"]));
    need(toolchain::clang().is_some(), "a clang that knows wasm32", Remedy::Debian(&["clang-19"]));
    need(toolchain::archiver().is_some(), "llvm-ar", Remedy::Debian(&["llvm-19"]));
    need(has_node(), "Node 20.19 or later", Remedy::Hands("install it from nodejs.org or by a version manager"));
    need(find(NPM).is_some(), "npm", Remedy::Debian(&["npm"]));
    need(has_npm_packages(), "the JavaScript packages of bindings-js", Remedy::Npm);
    if purpose != For::Module {
        need(has_python(), "Python 3 with venv", Remedy::Debian(&["python3", "python3-venv"]));
        need(is_copy(&requirements(), &venv_stamp()) && python().is_file(), "the Python peers", Remedy::Venv);
    }
    if purpose == For::Tests {
        need(has_program("gtlsclient"), "ngtcp2's client (gtlsclient)", Remedy::Debian(&["ngtcp2-client"]));
        need(find("c++").is_some(), "a C++ compiler, for the fuzzer (c++)", Remedy::Debian(&["g++"]));
        need(has_program("gtlsserver"), "ngtcp2's server (gtlsserver)", Remedy::Debian(&["ngtcp2-server"]));
    }
    missing.extend(missing_compiler()?);
    Ok(missing)
}

/// What the compiler for the WebAssembly targets lacks on the route that is asked for, or else on the one that fits.
fn missing_compiler() -> Result<Vec<Missing>> {
    let installed = toolchain::is_installed(toolchain::MODULE) && toolchain::is_installed(toolchain::NO_STD);
    let rustup = || {
        let what = format!("Rust's targets {} and {}", toolchain::MODULE, toolchain::NO_STD);
        vec![Missing { what, remedy: Remedy::RustupTargets }]
    };
    Ok(match toolchain::asked()? {
        Some(Route::Installed) if installed => Vec::new(),
        Some(Route::Installed) => rustup(),
        Some(Route::Debian) => debian_compiler(),
        None if installed || debian_compiler().is_empty() => Vec::new(),
        None if find("rustup").is_some() => rustup(),
        None => debian_compiler(),
    })
}

fn debian_compiler() -> Vec<Missing> {
    let mut missing = Vec::new();
    if !toolchain::has_debian() {
        let what = "Debian's Rust compiler for WebAssembly, with its sources".to_owned();
        missing.push(Missing { what, remedy: Remedy::Debian(&["rustc-web", "cargo-web", "rust-web-src"]) });
    }
    if toolchain::linker().is_none() {
        missing.push(Missing { what: "a linker for WebAssembly".to_owned(), remedy: Remedy::Debian(&["lld-19"]) });
    }
    missing
}

/// The commands that provide what is missing.
fn steps(missing: &[Missing]) -> Result<Vec<Command>> {
    let mut steps = Vec::new();
    let packages: Vec<&str> = missing
        .iter()
        .filter_map(|one| if let Remedy::Debian(packages) = &one.remedy { Some(*packages) } else { None })
        .flatten()
        .copied()
        .collect();
    if !packages.is_empty() {
        if find("apt-get").is_none() {
            bail!(
                "not a Debian machine: install with its own package manager what Debian calls {}",
                packages.join(" ")
            );
        }
        steps.push(apt_get("update", &[]));
        steps.push(apt_get("install", &packages));
    }
    for one in missing {
        match one.remedy {
            Remedy::Hands(advice) => bail!("{} is missing: {advice}", one.what),
            Remedy::RustupTargets => steps.push(rustup_target_add()),
            Remedy::Npm => {
                let mut npm = Command::new(NPM);
                npm.args(["ci", "--no-audit", "--no-fund", "--prefix"]).arg(root().join("bindings-js"));
                steps.push(npm);
            }
            Remedy::Venv => {
                let mut venv = Command::new("python3");
                venv.args(["-m", "venv", "--clear"]).arg(venv_folder());
                let mut pip = Command::new(python());
                pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements());
                // Noted beside it, so that a change of the list is seen.
                let mut note = Command::new(python());
                note.args(["-c", "import shutil, sys; shutil.copy(*sys.argv[1:])"]);
                note.arg(requirements()).arg(venv_stamp());
                steps.extend([venv, pip, note]);
            }
            Remedy::Debian(_) => {}
        }
    }
    Ok(steps)
}

fn apt_get(verb: &str, packages: &[&str]) -> Command {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", verb, "--yes"]);
    if verb == "install" {
        command.arg("--no-install-recommends");
    }
    // Another installation may be running: wait for it.
    command.args(["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]).args(packages);
    command
}

fn rustup_target_add() -> Command {
    let mut command = Command::new("rustup");
    command.args(["target", "add", toolchain::MODULE, toolchain::NO_STD]);
    command
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

fn has_node() -> bool {
    let version = output(Command::new("node").arg("--version")).unwrap_or_default();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= NODE)
}

fn has_python() -> bool {
    output(Command::new("python3").args(["-c", "import ensurepip, venv"])).is_ok()
}

/// Whether a program is on the path, or where Debian puts servers.
fn has_program(name: &str) -> bool {
    find(name).is_some() || Path::new("/usr/sbin").join(name).is_file()
}

/// Whether npm has installed since the lock file changed.
fn has_npm_packages() -> bool {
    let folder = root().join("bindings-js");
    let changed = |file: &str| fs::metadata(folder.join(file)).and_then(|data| data.modified());
    match (changed("package-lock.json"), changed("node_modules/.package-lock.json")) {
        (Ok(wanted), Ok(installed)) => installed >= wanted,
        _ => false,
    }
}

fn is_copy(original: &Path, copy: &Path) -> bool {
    fs::read(original).is_ok_and(|wanted| fs::read(copy).is_ok_and(|found| wanted == found))
}

fn requirements() -> PathBuf {
    root().join("tests/interop/requirements.txt")
}

fn venv_folder() -> PathBuf {
    root().join("target/venv")
}

fn venv_stamp() -> PathBuf {
    venv_folder().join("requirements.txt")
}

fn python() -> PathBuf {
    venv_folder().join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}
