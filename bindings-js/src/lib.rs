//! The WebAssembly module: the C ABI of [`quillon_abi`], and beside it a few functions for JavaScript.
//!
//! Every host's way in is the C ABI, JavaScript's too. What stands here is rare, carries text and is no part of the ABI.
//!
//! Invariant: the module imports nothing. So `#[wasm_bindgen]` stands only on free functions over numbers, `&[u8]`,
//! `Vec<u8>` and `String`: an exported struct, `JsError` or a call into `js-sys` would add an import each.

pub use quillon_abi::*;
use wasm_bindgen::prelude::wasm_bindgen;

/// The version of the engine, as in its package: `"0.1.0"`.
#[wasm_bindgen]
#[must_use]
pub fn engine_version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Whether this is the form of the module that uses SIMD.
#[wasm_bindgen]
#[must_use]
pub fn engine_has_simd() -> bool {
    cfg!(target_feature = "simd128")
}
