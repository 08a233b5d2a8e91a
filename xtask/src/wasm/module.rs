//! The module as bytes: sections in and out, and what is checked before it counts as built.

use std::fmt;
use std::io::Write;

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use wasmparser::{ExternalKind, Parser, Payload, Validator};

use super::recipe::Flavour;
use crate::source_hash;

/// What a checked module is like.
#[derive(Debug)]
pub(super) struct Checked {
    raw: usize,
    gzip: usize,
    exports: usize,
    max_memory: u64,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |bytes: usize| bytes as f64 / 1024.0;
        write!(
            f,
            "{:.1} KiB, {:.1} KiB gzipped, 0 imports, {} exports, at most {} MiB of memory",
            kib(self.raw),
            kib(self.gzip),
            self.exports,
            self.max_memory >> 20,
        )
    }
}

/// Checks that the module is valid with its form's features alone, imports nothing, starts nothing, declares a maximum
/// memory and exports memory and table.
pub(super) fn check(module: &[u8], flavour: Flavour) -> Result<Checked> {
    Validator::new_with_features(flavour.features()).validate_all(module).context("it is invalid")?;
    let (mut exports, mut max_memory, mut table, mut memory) = (0, None, false, false);
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                if let Some(import) = imports.into_imports().next() {
                    let import = import?;
                    bail!("it imports {}.{}", import.module, import.name);
                }
            }
            Payload::MemorySection(memories) => {
                for declared in memories {
                    max_memory = declared?.maximum;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports += 1;
                    match export?.kind {
                        ExternalKind::Table => table = true,
                        ExternalKind::Memory => memory = true,
                        _ => {}
                    }
                }
            }
            Payload::StartSection { .. } => bail!("it has a start function, which no host expects"),
            _ => {}
        }
    }
    ensure!(memory, "it does not export its memory");
    ensure!(table, "it does not export its table");
    let max_memory = max_memory.context("it declares no maximum memory")? * 65536;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(module)?;
    Ok(Checked { raw: module.len(), gzip: gzip.finish()?.len(), exports, max_memory })
}

/// Cuts the custom section `name` out.
pub(super) fn without_custom_section(mut module: Vec<u8>, name: &str) -> Result<Vec<u8>> {
    let sections = source_hash::sections(&module).context("the linker's output is no module")?;
    for section in sections.into_iter().rev() {
        if section.is_custom(&module, name) {
            module.drain(section.whole);
        }
    }
    Ok(module)
}

/// Adds a custom section at the end.
pub(super) fn append_custom_section(module: &mut Vec<u8>, name: &str, content: &[u8]) {
    let mut body = leb128(name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(content);
    module.push(0);
    module.extend(leb128(body.len()));
    module.extend(body);
}

fn leb128(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_section_goes_in_and_out() {
        let mut module = EMPTY.to_vec();
        append_custom_section(&mut module, "one", &[7; 300]);
        let with_one = module.clone();
        append_custom_section(&mut module, source_hash::SECTION, b"abc");
        assert_eq!(source_hash::of_module(&module).as_deref(), Some("abc"));
        assert_eq!(source_hash::of_module(&with_one), None);
        let without = without_custom_section(module, source_hash::SECTION).unwrap();
        assert_eq!(without, with_one);
        assert_eq!(without_custom_section(without, "one").unwrap(), EMPTY);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(without_custom_section(b"\0asm".to_vec(), "one").is_err());
        assert!(without_custom_section([EMPTY, &[0, 9, 1]].concat(), "one").is_err());
        assert_eq!(source_hash::of_module(b""), None);
    }
}
