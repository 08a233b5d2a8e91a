//! `cargo xtask wasm`: builds the module in its two forms.
//!
//! Per form: cargo compiles and links; the section `target_features` goes, because a prebuilt standard library
//! declares more there than the module uses; wasm-bindgen makes the glue; wasm-opt optimises; the hash of the sources
//! goes in; the result is checked. Nothing is built where both modules carry the hash of the present sources.

mod glue;
mod module;
mod recipe;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use self::recipe::{FLAVOURS, Flavour, PACKAGE};
use crate::process::{find, run as start};
use crate::toolchain::{self, Toolchain};
use crate::{root, source_hash};

/// The glue between JavaScript and the module's few functions that carry text, and its types.
const GLUE: [&str; 2] = ["glue/quillon.js", "glue/quillon.d.ts"];

/// `cargo xtask wasm [--force]`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments {
        [] => build(false),
        [force] if force == "--force" => build(true),
        _ => bail!("usage: cargo xtask wasm [--force]"),
    }
}

/// Builds what is not up to date; all of it with `force`.
pub(crate) fn build(force: bool) -> Result<()> {
    let folder = root().join("target/wasm");
    let hash = source_hash::of_sources(root()).context("cannot read the sources")?;
    if !force && is_up_to_date(&folder, &hash) {
        println!("target/wasm: up to date with sources {}", &hash[..16]);
        return Ok(());
    }
    println!("building the module from sources {}", &hash[..16]);
    let wasm_opt = wasm_opt()?;
    let toolchain = Toolchain::choose(toolchain::MODULE)?;
    for flavour in FLAVOURS {
        let began = Instant::now();
        let linked = compile(&toolchain, flavour, &folder, PACKAGE)?;
        let module = finish(linked, flavour, &folder, &wasm_opt, &hash)?;
        let checked =
            module::check(&module, flavour).with_context(|| format!("{} is not fit to ship", flavour.file))?;
        replace(&folder.join(flavour.file), &module)?;
        println!("target/wasm/{}: {checked}, {} s", flavour.file, began.elapsed().as_secs());
    }
    Ok(())
}

fn is_up_to_date(folder: &Path, hash: &str) -> bool {
    let carries = |flavour: Flavour| {
        fs::read(folder.join(flavour.file)).is_ok_and(|module| source_hash::of_module(&module).as_deref() == Some(hash))
    };
    FLAVOURS.into_iter().all(carries) && GLUE.iter().all(|file| folder.join(file).is_file())
}

/// npm's binaryen; Debian's is too old.
fn wasm_opt() -> Result<PathBuf> {
    let script = root().join("bindings-js/node_modules/binaryen/bin/wasm-opt");
    if !script.is_file() || find("node").is_none() {
        bail!("no wasm-opt: run `cargo xtask setup`, or `npm ci` in bindings-js");
    }
    Ok(script)
}

/// Builds packet protection alone, as the module is built: the benchmark measures the module against it.
pub(crate) fn build_aead_bound() -> Result<()> {
    const PACKAGE: &str = "quillon-aead-bound";
    let [flavour, _] = FLAVOURS;
    let folder = root().join("target/wasm");
    let linked = compile(&Toolchain::choose(toolchain::MODULE)?, flavour, &folder, PACKAGE)?;
    let before = folder.join("build").join(flavour.folder).join("aead_bound.wasm");
    fs::write(&before, module::without_custom_section(linked, "target_features")?)?;
    replace(&folder.join("aead_bound.wasm"), &optimise(&wasm_opt()?, flavour, &before)?)
}

/// Compiles and links the package, and hands back the linked module.
fn compile(toolchain: &Toolchain, flavour: Flavour, folder: &Path, package: &str) -> Result<Vec<u8>> {
    let target = folder.join("build").join(flavour.folder);
    let remapped = remapped()?;

    let mut cargo = toolchain.cargo("rustc", "std,panic_abort")?;
    // Alone: beside an rlib cargo would link without link-time optimisation.
    cargo.args(["--package", package, "--lib", "--crate-type", "cdylib", "--release", "--locked"]);
    cargo.arg("--target-dir").arg(&target).current_dir(root());
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flavour.rust_flags(&remapped));
    cargo.env("CFLAGS_wasm32_unknown_unknown", flavour.c_flags());
    start(&mut cargo)?;

    let cdylib = package.replace('-', "_") + ".wasm";
    let file = target.join(toolchain::MODULE).join("release").join(cdylib);
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// Folders whose names must not reach the module, each with what stands for it. The last that fits counts.
fn remapped() -> Result<Vec<(PathBuf, &'static str)>> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let registries = home.context("neither CARGO_HOME nor a home folder is known")?.join("registry/src");
    let mut remapped = vec![(root().to_owned(), "quillon"), (toolchain::DEBIAN_SOURCES.into(), "rust")];
    for registry in fs::read_dir(&registries).into_iter().flatten() {
        remapped.push((registry?.path(), "crates"));
    }
    Ok(remapped)
}

/// Makes the shipped module out of the linked one, and writes the glue.
fn finish(linked: Vec<u8>, flavour: Flavour, folder: &Path, wasm_opt: &Path, hash: &str) -> Result<Vec<u8>> {
    let linked = module::without_custom_section(linked, "target_features")?;
    let mut output = recipe::bindgen(linked)?.generate_output().context("wasm-bindgen")?;
    // ring's Rust exports these to its C code, not to hosts.
    let exports = &mut output.wasm_mut().exports;
    let inner: Vec<_> = exports.iter().filter(|export| export.name.starts_with("ring_core_")).map(|e| e.id()).collect();
    inner.into_iter().for_each(|export| exports.delete(export));
    let bound = folder.join("build").join(flavour.folder).join("bound");
    output.emit(&bound)?;

    // Both forms have the same glue.
    let generated =
        |name: &str| fs::read_to_string(bound.join(name)).with_context(|| format!("wasm-bindgen made no {name}"));
    fs::create_dir_all(folder.join("glue"))?;
    replace(&folder.join(GLUE[0]), glue::javascript(&generated("quillon_bg.js")?)?.as_bytes())?;
    replace(&folder.join(GLUE[1]), glue::typescript(&generated("quillon.d.ts")?)?.as_bytes())?;

    let mut module = optimise(wasm_opt, flavour, &bound.join("quillon_bg.wasm"))?;
    module::append_custom_section(&mut module, source_hash::SECTION, hash.as_bytes());
    Ok(module)
}

/// Hands back the module in the file `before`, optimised.
fn optimise(wasm_opt: &Path, flavour: Flavour, before: &Path) -> Result<Vec<u8>> {
    let after = before.with_extension("optimised.wasm");
    let mut optimise = Command::new("node");
    optimise.arg(wasm_opt).args(flavour.wasm_opt_flags()).arg(before).arg("-o").arg(&after);
    start(&mut optimise)?;
    fs::read(&after).with_context(|| format!("cannot read {}", after.display()))
}

/// Writes a file so that nobody ever sees half of it.
fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, content)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
