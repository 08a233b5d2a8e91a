//! How the module is compiled: what decides its bytes besides the sources, and so a part of their hash.

use std::path::PathBuf;

use wasm_bindgen_cli_support::Bindgen;
use wasmparser::WasmFeatures;

/// One of the two forms of the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavour {
    /// Its file under `target/wasm/`.
    pub(crate) file: &'static str,
    /// Its folder under `target/wasm/build/`.
    pub(crate) folder: &'static str,
    simd: bool,
}

/// The module, and the form for runtimes without SIMD.
pub(crate) const FLAVOURS: [Flavour; 2] = [
    Flavour { file: "quillon.wasm", folder: "simd", simd: true },
    Flavour { file: "quillon.baseline.wasm", folder: "baseline", simd: false },
];

/// The package whose cdylib is the module.
pub(crate) const PACKAGE: &str = "quillon-js";

impl Flavour {
    /// Flags for rustc. `remapped` are folders and what stands for them in the module, so that its bytes do not
    /// depend on where it was built.
    pub(crate) fn rust_flags(self, remapped: &[(PathBuf, &str)]) -> String {
        let simd = if self.simd { "+simd128," } else { "" };
        let mut flags =
            vec!["-Cpanic=abort".to_owned(), format!("-Ctarget-feature={simd}+bulk-memory,-reference-types")];
        flags.extend(remapped.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
        flags.join("\u{1f}")
    }

    /// Flags for ring's C code. clang has reference types on by default, and one object file that declares them makes
    /// wasm-bindgen add a table.
    pub(crate) fn c_flags(self) -> &'static str {
        if self.simd { "-O3 -mno-reference-types -msimd128" } else { "-O3 -mno-reference-types" }
    }

    /// Flags for wasm-opt: WebAssembly 2.0 less reference types, and less SIMD in the baseline.
    pub(crate) fn wasm_opt_flags(self) -> Vec<&'static str> {
        let mut flags = vec![
            "-O3",
            "--mvp-features",
            "--enable-bulk-memory",
            "--enable-bulk-memory-opt",
            "--enable-multivalue",
            "--enable-mutable-globals",
            "--enable-nontrapping-float-to-int",
            "--enable-sign-ext",
        ];
        if self.simd {
            flags.push("--enable-simd");
        }
        flags
    }

    /// What the finished module may use.
    pub(crate) fn features(self) -> WasmFeatures {
        let mut features = WasmFeatures::BULK_MEMORY
            | WasmFeatures::FLOATS
            | WasmFeatures::MULTI_VALUE
            | WasmFeatures::MUTABLE_GLOBAL
            | WasmFeatures::SATURATING_FLOAT_TO_INT
            | WasmFeatures::SIGN_EXTENSION;
        features.set(WasmFeatures::SIMD, self.simd);
        features
    }
}

/// wasm-bindgen as a library.
pub(crate) fn bindgen(linked: Vec<u8>) -> anyhow::Result<Bindgen> {
    let mut bindgen = Bindgen::new();
    bindgen
        .input_bytes("quillon", linked)
        .bundler(true)?
        .typescript(true)
        // Else the table, which hosts extend, loses its export.
        .keep_lld_exports(true)
        .remove_name_section(true)
        .remove_producers_section(true);
    Ok(bindgen)
}
