//! The modules that `cargo xtask wasm` writes, as any host meets them: nothing to import, the functions of
//! `engine/abi/quillon.h` to call, a bound on memory, and nothing that works before it is seeded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use quillon_tests::module::{Module, compiled, path};
use wasmtime::{Engine, ExternType, FuncType, ValType};

/// The module, and the one for runtimes without SIMD.
fn modules() -> [wasmtime::Module; 2] {
    let baseline = path().with_file_name("quillon.baseline.wasm");
    let bytes =
        fs::read(&baseline).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask wasm`", baseline.display()));
    [compiled().clone(), wasmtime::Module::new(&Engine::default(), bytes).expect("a module")]
}

/// The functions that the header declares: their names, with parameters and result as WebAssembly has them.
fn declarations() -> BTreeMap<String, (Vec<&'static str>, Vec<&'static str>)> {
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/abi/quillon.h");
    let header = fs::read_to_string(header).expect("the header is part of the sources");
    let mut code = String::new();
    let mut rest = header.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("comments end").1;
    }
    code.push_str(rest);
    let code: String =
        code.lines().filter(|line| !line.starts_with('#') && !line.starts_with("extern")).collect::<Vec<_>>().join(" ");
    code.split(';')
        .filter_map(|declaration| {
            let (head, parameters) = declaration.trim().strip_suffix(')')?.split_once('(')?;
            let (result, name) = head.split_at(head.rfind([' ', '*'])? + 1);
            let parameters =
                if parameters == "void" { Vec::new() } else { parameters.split(',').map(value_type).collect() };
            let results = if result.trim() == "void" { Vec::new() } else { vec![value_type(result)] };
            Some((name.to_owned(), (parameters, results)))
        })
        .collect()
}

/// The WebAssembly type of a C type, or of a parameter with its name.
fn value_type(c: &str) -> &'static str {
    if !c.contains('*') && (c.contains("uint64_t") || c.contains("int64_t")) { "i64" } else { "i32" }
}

fn name_of(ty: &ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        _ => "another type",
    }
}

fn signature(function: &FuncType) -> (Vec<&'static str>, Vec<&'static str>) {
    (function.params().map(|ty| name_of(&ty)).collect(), function.results().map(|ty| name_of(&ty)).collect())
}

#[test]
fn nothing_is_imported() {
    for module in modules() {
        let imports: Vec<String> =
            module.imports().map(|import| format!("{}.{}", import.module(), import.name())).collect();
        assert_eq!(imports, <[String; 0]>::default());
    }
}

#[test]
fn the_header_declares_what_is_exported() {
    let declared = declarations();
    assert!(declared.len() > 30, "{declared:?}");
    for module in modules() {
        let mut exported = BTreeMap::new();
        for export in module.exports().filter(|export| export.name().starts_with("quillon_")) {
            let ExternType::Func(function) = export.ty() else { panic!("{} is no function", export.name()) };
            exported.insert(export.name().to_owned(), signature(&function));
        }
        assert_eq!(exported, declared);
    }
}

/// Beside the functions there is the memory, and what is private to the JavaScript package.
#[test]
fn nothing_else_is_exported() {
    for module in modules() {
        let others: Vec<&str> = module
            .exports()
            .map(|export| export.name())
            .filter(|name| {
                *name != "memory" && !["quillon_", "engine_", "__"].iter().any(|prefix| name.starts_with(prefix))
            })
            .collect();
        assert_eq!(others, <[&str; 0]>::default());
    }
}

#[test]
fn memory_is_bounded() {
    for module in modules() {
        let Some(ExternType::Memory(memory)) = module.get_export("memory") else { panic!("no memory") };
        let maximum = memory.maximum().expect("a maximum is declared");
        assert!(memory.minimum() < maximum && maximum <= 65_536, "{} to {maximum} pages", memory.minimum());
        assert!(!memory.is_64() && !memory.is_shared());
    }
}

#[test]
fn before_it_is_seeded_calls_fail_with_a_name() {
    let mut module = Module::unseeded();
    assert_eq!(module.call::<_, u32>("quillon_abi_version", ()) >> 16, 1);
    let calls: [(&str, i32); 3] = [
        ("quillon_config_new", module.call("quillon_config_new", 0u32)),
        ("quillon_endpoint_new", module.call("quillon_endpoint_new", 0u32)),
        ("quillon_set_unix_time", module.call("quillon_set_unix_time", 0u64)),
    ];
    for (call, result) in calls {
        let name = module.text("quillon_error_name", |out, capacity| (result, out, capacity));
        assert_eq!((result, name.as_str()), (-1, "QUILLON_ERR_UNSEEDED"), "{call}");
    }
    assert!(!module.text("quillon_last_error", |out, capacity| (out, capacity)).is_empty());
    assert_eq!(module.call::<_, u32>("quillon_endpoint_receive_arena", 1u32), 0);
}

/// A short seed is no seed.
#[test]
fn a_short_seed_is_refused() {
    let mut module = Module::unseeded();
    let block: u32 = module.call("quillon_alloc", 31u32);
    assert_eq!(module.call::<_, i32>("quillon_seed", (block, 31u32)), -2);
    assert_eq!(module.call::<_, i32>("quillon_config_new", 0u32), -1);
}
