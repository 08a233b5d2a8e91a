//! Where the compiler for the WebAssembly targets comes from.
//!
//! Two routes: a toolchain that has the target installed (rustup's way), or Debian's `rustc-web`, a complete compiler
//! with its sources, which builds the standard library along. ring's C code needs a clang that knows wasm32 on both.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find, output};

/// The module's target; its `std` is a stub.
pub(crate) const MODULE: &str = "wasm32-unknown-unknown";
/// The target without any `std`.
pub(crate) const NO_STD: &str = "wasm32v1-none";

/// Where Debian puts the standard library's sources.
pub(crate) const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust";

/// Where a compiler comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The toolchain in use, with the target installed by rustup (or by a distribution).
    Installed,
    /// Debian's `rustc-web`, building the standard library from `rust-web-src`.
    Debian,
}

/// What `QUILLON_WASM_TOOLCHAIN` asks for: a route, or `None` where the choice is free.
pub(crate) fn asked() -> Result<Option<Route>> {
    match env::var("QUILLON_WASM_TOOLCHAIN").as_deref() {
        Ok("rustup") => Ok(Some(Route::Installed)),
        Ok("debian") => Ok(Some(Route::Debian)),
        Ok("") | Err(_) => Ok(None),
        Ok(other) => bail!("QUILLON_WASM_TOOLCHAIN is rustup or debian, not {other}"),
    }
}

/// Whether the toolchain in use has `target`.
pub(crate) fn is_installed(target: &str) -> bool {
    sysroot().is_ok_and(|sysroot| sysroot.join("lib/rustlib").join(target).join("lib").is_dir())
}

/// Whether Debian's compiler and its sources are here.
pub(crate) fn has_debian() -> bool {
    let sources = Path::new(DEBIAN_SOURCES).join("library/std/Cargo.toml");
    ["/usr/bin/rustc", "/usr/bin/cargo"].iter().all(|file| Path::new(file).is_file()) && sources.is_file()
}

/// A clang that knows wasm32. `CC_wasm32_unknown_unknown` goes before the usual names.
pub(crate) fn clang() -> Option<PathBuf> {
    let asked = env::var_os("CC_wasm32_unknown_unknown").map(PathBuf::from);
    let usual = ["clang-19", "clang", "clang-20", "clang-21", "clang-18"].into_iter().filter_map(find);
    let homebrew = ["/opt/homebrew/opt/llvm/bin/clang", "/usr/local/opt/llvm/bin/clang"].map(PathBuf::from);
    let knows_wasm = |clang: &PathBuf| {
        output(Command::new(clang).arg("--print-targets")).is_ok_and(|targets| targets.contains("wasm32"))
    };
    asked.into_iter().chain(usual).chain(homebrew).find(knows_wasm)
}

/// The archiver that goes with [`clang`].
pub(crate) fn archiver() -> Option<PathBuf> {
    let asked = env::var_os("AR_wasm32_unknown_unknown").map(PathBuf::from);
    let beside = clang().and_then(|clang| {
        let name = clang.file_name()?.to_string_lossy().replace("clang", "llvm-ar");
        Some(clang.with_file_name(name)).filter(|file| file.is_file())
    });
    asked.or(beside).or_else(|| find("llvm-ar-19")).or_else(|| find("llvm-ar"))
}

/// A linker for Debian's compiler, which brings none: the toolchain's own, or Debian's.
pub(crate) fn linker() -> Option<PathBuf> {
    let own = || {
        let version = output(Command::new("rustc").arg("-vV")).ok()?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
        let linker = sysroot().ok()?.join("lib/rustlib").join(host).join("bin/rust-lld");
        linker.is_file().then_some(linker)
    };
    own().or_else(|| find("wasm-ld-19")).or_else(|| find("wasm-ld"))
}

/// A cargo that can build for one WebAssembly target.
#[derive(Debug)]
pub(crate) struct Toolchain {
    route: Route,
    target: &'static str,
    clang: PathBuf,
    archiver: PathBuf,
}

impl Toolchain {
    /// Chooses the route for `target` and says which.
    pub(crate) fn choose(target: &'static str) -> Result<Self> {
        let installed = is_installed(target);
        let route = match asked()? {
            Some(route) => route,
            None if installed => Route::Installed,
            None if has_debian() => Route::Debian,
            None => bail!("no compiler for {target}: run `cargo xtask setup`, or `rustup target add {target}`"),
        };
        match route {
            Route::Installed if !installed => bail!("no {target} installed: run `rustup target add {target}`"),
            Route::Installed => println!("compiler: the toolchain in use, which has {target}"),
            Route::Debian if !has_debian() => {
                bail!("Debian's rustc-web, cargo-web or rust-web-src is missing: run `cargo xtask setup`")
            }
            Route::Debian => println!("compiler: Debian's, which builds the standard library for {target} along"),
        }
        let clang = clang().context("no clang that knows wasm32, for ring's C code: run `cargo xtask setup`")?;
        let archiver = archiver().context("no llvm-ar beside clang: run `cargo xtask setup`")?;
        Ok(Self { route, target, clang, archiver })
    }

    /// `cargo <subcommand> --target ..`, with the C compiler and linker in place and the caller's own flags out.
    ///
    /// `std` names what to build of the standard library where it comes as sources.
    pub(crate) fn cargo(&self, subcommand: &str, std: &str) -> Result<Command> {
        let environment_name = |prefix: &str| format!("{prefix}_{}", self.target.replace('-', "_"));
        let mut cargo = match self.route {
            Route::Installed => Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Route::Debian => {
                let linker = linker().context("no rust-lld or wasm-ld-19: run `cargo xtask setup`")?;
                let setting = format!("CARGO_TARGET_{}_LINKER", self.target.replace('-', "_").to_uppercase());
                let mut cargo = Command::new("/usr/bin/cargo");
                cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1").env(setting, linker);
                // What rustup's cargo, which runs this program, says of itself.
                for name in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "RUSTC_WRAPPER"] {
                    cargo.env_remove(name);
                }
                cargo
            }
        };
        cargo.env(environment_name("CC"), &self.clang).env(environment_name("AR"), &self.archiver);
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CFLAGS");
        cargo.args([subcommand, "--target", self.target]);
        if self.route == Route::Debian {
            cargo.arg(format!("-Zbuild-std={std}"));
        }
        Ok(cargo)
    }
}

fn sysroot() -> Result<PathBuf> {
    output(Command::new("rustc").args(["--print", "sysroot"])).map(PathBuf::from)
}
