//! The fuzzer's entry: runs the target that `QUILLON_FUZZ_TARGET` names.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("QUILLON_FUZZ_TARGET").unwrap_or_default();
    quillon_fuzz::target(&name).unwrap_or_else(|| {
        let names: Vec<_> = quillon_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
        eprintln!("set QUILLON_FUZZ_TARGET to one of: {}", names.join(" "));
        std::process::exit(2);
    })
});

fuzz_target!(|data: &[u8]| (TARGET)(data));
