//! The embedded module, compiled once per process.
//!
//! Compiling takes a second or more, so the machine code is kept in wasmtime's cache in the user's cache folder, under
//! a hash of the module, the compiler's version and its settings. Whoever may write there may run code as the user
//! anyway. Where there is no such folder each process compiles.

use std::sync::OnceLock;

use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, Module, OptLevel};

use crate::engine::{Engine, EngineError};

/// The compiled module.
pub(super) fn compiled() -> Result<&'static Module, EngineError> {
    static COMPILED: OnceLock<Result<Module, EngineError>> = OnceLock::new();
    COMPILED.get_or_init(compile).as_ref().map_err(Clone::clone)
}

fn compile() -> Result<Module, EngineError> {
    let bytes = Engine::module()?;
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand).cranelift_opt_level(OptLevel::Speed);
    config.cache(Cache::new(CacheConfig::new()).ok());
    let failed = |error: wasmtime::Error| EngineError::Module(format!("{error:#}"));
    let engine = wasmtime::Engine::new(&config).map_err(failed)?;
    let module = Module::new(&engine, bytes).map_err(failed)?;
    let import = module.imports().next().map(|import| format!("it imports {}.{}", import.module(), import.name()));
    import.map_or(Ok(module), |import| Err(EngineError::Module(import)))
}
