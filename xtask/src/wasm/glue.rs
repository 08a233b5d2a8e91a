//! The glue between JavaScript and the module's few functions that carry text.
//!
//! wasm-bindgen writes an ES module with one instance of the WebAssembly module in a variable. Here it becomes a
//! function `bind(exports)`, so that each instance has glue of its own: a program may drop an instance that trapped
//! and take a new one, or run several. The form of wasm-bindgen's output is that of its pinned version; what does not
//! look as expected is an error, not a guess.

use anyhow::{Result, bail, ensure};

/// The setter that wasm-bindgen's own loaders call.
const SETTER: &str = "__wbg_set_wasm";

/// Turns wasm-bindgen's ES module into one that exports `bind(exports)`.
pub(super) fn javascript(generated: &str) -> Result<String> {
    let mut functions = Vec::new();
    let mut body = String::new();
    for line in generated.lines() {
        if line.starts_with("import ") || line.starts_with("export * ") || line.starts_with("export {") {
            bail!("unexpected in wasm-bindgen's glue: {line}");
        }
        if let Some(function) = line.strip_prefix("export function ") {
            functions.push(function.split('(').next().unwrap_or_default());
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        if !line.is_empty() {
            body.push_str("    ");
            body.push_str(line);
        }
        body.push('\n');
    }
    ensure!(functions.contains(&SETTER), "wasm-bindgen's glue has no {SETTER}");
    functions.retain(|&function| function != SETTER);
    Ok(format!(
        "// Written by `cargo xtask wasm`.\n\n\
        /** The functions of one instance of the module, by its exports. */\n\
        export function bind(exports) {{\n{}\n    {SETTER}(exports);\n    return {{ {} }};\n}}\n",
        body.trim_end(),
        functions.join(", ")
    ))
}

/// Turns wasm-bindgen's declarations into those of [`javascript`]'s module.
pub(super) fn typescript(generated: &str) -> Result<String> {
    let mut body = String::new();
    for line in generated.lines() {
        match line.strip_prefix("export function ") {
            Some(function) => body.push_str(&format!("    {function}\n")),
            None if line.starts_with("export ") || line.starts_with("import ") || line.starts_with("declare ") => {
                bail!("unexpected in wasm-bindgen's declarations: {line}")
            }
            None if line.is_empty() => {}
            None if line.starts_with("/* ") => {}
            None => body.push_str(&format!("    {line}\n")),
        }
    }
    Ok(format!(
        "// Written by `cargo xtask wasm`.\n\n\
        /** The module's functions that carry text. */\n\
        export interface Bound {{\n{body}}}\n\n\
        /** The functions of one instance of the module, by its exports. */\n\
        export function bind(exports: WebAssembly.Exports): Bound;\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_become_those_of_one_instance() {
        let generated = "/**\n * Tells.\n * @returns {number}\n */\nexport function tell() {\n    return wasm.tell();\n}\n\n\
            let wasm;\nexport function __wbg_set_wasm(val) {\n    wasm = val;\n}\n";
        let glue = javascript(generated).unwrap();
        assert!(glue.contains("    function tell() {\n        return wasm.tell();\n    }\n"));
        assert!(glue.ends_with("    __wbg_set_wasm(exports);\n    return { tell };\n}\n"));
        assert!(javascript("import * as x from 'y';\n").is_err());
        assert!(javascript("export function tell() {}\n").is_err());
    }

    #[test]
    fn declarations_become_an_interface() {
        let generated =
            "/* tslint:disable */\n/* eslint-disable */\n\n/**\n * Tells.\n */\nexport function tell(): number;\n";
        let types = typescript(generated).unwrap();
        assert!(types.contains("interface Bound {\n    /**\n     * Tells.\n     */\n    tell(): number;\n}\n"));
        assert!(typescript("export class Teller {}\n").is_err());
    }
}
