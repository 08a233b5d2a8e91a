//! The embedded module, compiled once per process.

use std::sync::OnceLock;

use wasmtime::{Config, InstanceAllocationStrategy, Module, OptLevel};

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
    let failed = |error: wasmtime::Error| EngineError::Module(format!("{error:#}"));
    let engine = wasmtime::Engine::new(&config).map_err(failed)?;
    let module = Module::new(&engine, bytes).map_err(failed)?;
    let import = module.imports().next().map(|import| format!("it imports {}.{}", import.module(), import.name()));
    import.map_or(Ok(module), |import| Err(EngineError::Module(import)))
}
