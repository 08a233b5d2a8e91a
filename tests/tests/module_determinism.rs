//! One seed gives the same bytes natively and in the module, whichever end runs where.

use std::time::Duration;

use quillon::rng::Rng;
use quillon::{EndpointConfig, Side};
use quillon_tests::echo::{Echo, Output};
use quillon_tests::host::{Host, Native, client_config, server_config};
use quillon_tests::link::Conditions;
use quillon_tests::module::{Module, Settings};
use quillon_tests::pair::Pair;

const ROUGH: Conditions =
    Conditions { jitter: Duration::from_millis(3), loss: 0.05, duplication: 0.02, ..Conditions::PERFECT };

#[derive(Clone, Copy, Debug)]
enum Runtime {
    Native,
    Wasm,
}

/// An end with the module's default settings. `seed` seeds an instance, which draws its first endpoint's seed from it.
fn end(side: Side, runtime: Runtime, seed: [u8; 32]) -> Box<dyn Host> {
    match runtime {
        Runtime::Wasm => Box::new(Module::new(side, &Settings::default(), seed)),
        Runtime::Native => {
            let server = (side == Side::Server).then(server_config);
            let seed = Rng::from_seed(seed).bytes();
            Box::new(Native::new(EndpointConfig::default(), client_config(), server, seed))
        }
    }
}

fn run(client: Runtime, server: Runtime, seed: u8) -> Output {
    let client = end(Side::Client, client, [seed; 32]);
    let server = end(Side::Server, server, [seed ^ 0xff; 32]);
    Echo::new(Pair::of(client, server, ROUGH, u64::from(seed))).finish()
}

/// Tells where two outputs part.
fn assert_same(expected: &Output, actual: &Output, what: &str) {
    for (index, (expected, actual)) in expected.sent.iter().zip(&actual.sent).enumerate() {
        assert!(expected == actual, "{what}: datagram {index} differs: {expected:x?} and {actual:x?}");
    }
    assert_eq!(expected.sent.len(), actual.sent.len(), "{what}");
    assert_eq!(expected.events, actual.events, "{what}");
}

#[test]
fn the_module_sends_what_native_code_sends() {
    for seed in 0..5 {
        let native = run(Runtime::Native, Runtime::Native, seed);
        for (client, server) in
            [(Runtime::Wasm, Runtime::Wasm), (Runtime::Wasm, Runtime::Native), (Runtime::Native, Runtime::Wasm)]
        {
            let other = run(client, server, seed);
            assert_same(&native, &other, &format!("seed {seed}, client {client:?}, server {server:?}"));
        }
    }
}
