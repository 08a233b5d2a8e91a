//! Which sources a module was built from.
//!
//! `cargo xtask wasm` writes [`of_sources`] into the custom section [`SECTION`]; whoever embeds the module compares
//! it with [`of_module`], so that a stale module is an error. The file is no part of the crate: `xtask` and build
//! scripts take it in by path, and so compute the same. It needs the crate `sha2`, in its version 0.11.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};

/// The custom section that holds the hash, as 64 lower-case hexadecimal digits.
pub(crate) const SECTION: &str = "quillon.source";

/// Files and folders, from the repository's root, that decide the module's bytes.
pub(crate) const INPUTS: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "bindings-js/Cargo.toml",
    "bindings-js/build.rs",
    "bindings-js/source_hash.rs",
    "bindings-js/src",
    "engine",
    "xtask/src/wasm/recipe.rs",
];

/// Folders beneath [`INPUTS`] that do not reach the module.
const BESIDE: [&str; 5] = ["benches", "examples", "fuzz", "target", "tests"];

/// The SHA-256 over names and contents of everything that decides the module's bytes.
///
/// # Errors
///
/// Where a file cannot be read.
pub(crate) fn of_sources(root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&root.join(input), &mut files)?;
    }
    let mut named = Vec::new();
    for file in files {
        let parts = file.strip_prefix(root).unwrap_or(&file).iter().map(|part| part.to_string_lossy());
        named.push((parts.collect::<Vec<_>>().join("/"), file));
    }
    named.sort();

    let mut hash = Sha256::new();
    for (name, file) in named {
        let content = fs::read(file)?;
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The hash that a module carries; `None` for one that carries none, or is no module.
pub(crate) fn of_module(module: &[u8]) -> Option<String> {
    let content = custom_section(module, SECTION)?;
    String::from_utf8(module.get(content)?.to_vec()).ok()
}

/// Where the content of the custom section `name` lies.
pub(crate) fn custom_section(module: &[u8], name: &str) -> Option<Range<usize>> {
    sections(module)?.into_iter().find(|section| section.is_custom(module, name)).map(|section| {
        // The name is shorter than 128 bytes: its length is one byte.
        section.content.start + 1 + name.len()..section.content.end
    })
}

/// One section of a module.
pub(crate) struct Section {
    /// Its kind; 0 for a custom section.
    pub(crate) id: u8,
    /// All of it, kind and length included.
    pub(crate) whole: Range<usize>,
    /// What it holds; for a custom section the name first.
    pub(crate) content: Range<usize>,
}

impl Section {
    /// Whether this is the custom section `name`, a name shorter than 128 bytes.
    pub(crate) fn is_custom(&self, module: &[u8], name: &str) -> bool {
        let content = module.get(self.content.clone()).unwrap_or_default();
        self.id == 0
            && content.first().is_some_and(|&len| usize::from(len) == name.len())
            && content.get(1..=name.len()) == Some(name.as_bytes())
    }
}

/// The sections of a module in order; `None` where it is none.
pub(crate) fn sections(module: &[u8]) -> Option<Vec<Section>> {
    let mut at = module.starts_with(b"\0asm\x01\0\0\0").then_some(8)?;
    let mut sections = Vec::new();
    while at < module.len() {
        let (len, start) = leb128(module, at + 1)?;
        let end = start.checked_add(len).filter(|&end| end <= module.len())?;
        sections.push(Section { id: module[at], whole: at..end, content: start..end });
        at = end;
    }
    Some(sections)
}

/// Reads an unsigned LEB128 number of up to 32 bits at `at`, and tells where it ends.
fn leb128(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, at));
        }
    }
    None
}

/// Adds `path`, or every file beneath it that can reach the module.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Hidden files are editors'; documents change nothing in the module.
        if !name.starts_with('.') && !name.ends_with(".md") && !BESIDE.contains(&name.as_ref()) {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
