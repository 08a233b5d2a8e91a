//! Quillon as the module: in wasmtime, and in Node by `node.mjs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use quillon::Side;
use quillon::crypto::CipherSuite;
use quillon_aead_bound::PAYLOAD_LEN;
use quillon_tests::fixtures::data_file;
use quillon_tests::module::{self, Module, Settings};
use wasmtime::{Engine, Instance, Store};

use crate::{DATAGRAM_LEN, WINDOW, bulk};

/// Moves `bytes` bytes from a client to a server, both in wasmtime, each an instance of its own.
pub(crate) fn transfer(suite: CipherSuite, bytes: usize) -> Duration {
    let window = [2, 5, 15].map(|key| (key, WINDOW));
    let numbers = window.into_iter().chain([(8, DATAGRAM_LEN as u64)]).collect();
    // QUILLON_CONFIG_MTU_DISCOVERY_SIZES, none: every engine sends this size from the start.
    let sizes = vec![(77, Vec::new())];
    let settings = Settings { numbers, bytes: sizes, cipher_suites: vec![suite], ..Settings::default() };
    bulk::transfer(Module::new(Side::Client, &settings, [1; 32]), Module::new(Side::Server, &settings, [2; 32]), bytes)
}

/// The same in Node.
pub(crate) fn transfer_in_node(suite: CipherSuite, bytes: usize) -> Duration {
    let data = data_file("ca.der");
    node(&[
        "transfer".as_ref(),
        &module::path(),
        data.parent().expect("a file lies in a folder"),
        suite.to_iana().to_string().as_ref(),
        bytes.to_string().as_ref(),
    ])
}

/// Packet protection alone, in wasmtime.
pub(crate) fn aead_only(suite: CipherSuite, bytes: usize) -> Duration {
    static COMPILED: OnceLock<wasmtime::Module> = OnceLock::new();
    let module = COMPILED.get_or_init(|| {
        let path = aead_module();
        let bytes = fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: `cargo xtask bench` builds it", path.display()));
        wasmtime::Module::new(&Engine::default(), bytes).expect("a module")
    });
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).expect("the module has no imports");
    let seal_and_open = instance.get_typed_func::<(u32, u32), u32>(&mut store, "aead_bound").expect("its one function");
    let packets = packets(bytes);
    let started = Instant::now();
    let opened = seal_and_open.call(&mut store, (u32::from(suite.to_iana()), packets)).expect("no trap");
    let took = started.elapsed();
    assert_eq!(opened, packets);
    took
}

/// Packet protection alone, in Node.
pub(crate) fn aead_only_in_node(suite: CipherSuite, bytes: usize) -> Duration {
    let (suite, packets) = (suite.to_iana().to_string(), packets(bytes).to_string());
    node(&["aead".as_ref(), &aead_module(), suite.as_ref(), packets.as_ref()])
}

fn packets(bytes: usize) -> u32 {
    bytes.div_ceil(PAYLOAD_LEN) as u32
}

fn aead_module() -> PathBuf {
    module::path().with_file_name("aead_bound.wasm")
}

/// Runs the driver; returns the seconds that it prints.
fn node(arguments: &[&Path]) -> Duration {
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput/node.mjs");
    let output = Command::new("node").arg(driver).args(arguments).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("node cannot be started: {error}"));
    assert!(output.status.success(), "node ended with {}", output.status);
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse().expect("the driver prints seconds");
    Duration::from_secs_f64(seconds)
}
