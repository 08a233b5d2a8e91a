//! Random commands on both ends over random networks: whatever comes, what must hold does.
//!
//! `QUILLON_SEEDS` says how many seeds are run, `QUILLON_SEED` runs a single one.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use quillon::Side;
use quillon_simulator::host::{Native, client_config, server_config};
use quillon_simulator::operations::{Start, Summary, run};

/// Seeds of a run of the tests.
const SEEDS: u64 = 5_000;

fn native(start: Start) -> Native {
    let client = Arc::new(client_config(start.transport.clone()));
    let server = (start.side == Side::Server).then(|| Arc::new(server_config(start.transport)));
    Native::new(start.endpoint, client, server, start.seed)
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {value}")))
}

#[test]
fn whatever_both_ends_do_what_must_hold_holds() {
    if let Some(seed) = number("QUILLON_SEED") {
        println!("{:?}", run(seed, native));
        return;
    }
    let seeds = number("QUILLON_SEEDS").unwrap_or(SEEDS);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let total = Mutex::new(Summary::default());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match catch_unwind(AssertUnwindSafe(|| run(seed, native))) {
                        Ok(summary) => {
                            let mut total = total.lock().expect("no panic while it is held");
                            total.read += summary.read;
                            total.datagrams += summary.datagrams;
                            total.timed_out += summary.timed_out;
                            total.ended += summary.ended;
                        }
                        Err(_) => failed.lock().expect("no panic while it is held").push(seed),
                    }
                }
            });
        }
    });
    println!("{seeds} seeds: {:?}", total.into_inner().expect("no panic while it is held"));
    let mut failed = failed.into_inner().expect("no panic while it is held");
    failed.sort_unstable();
    for seed in &failed {
        println!("QUILLON_SEED={seed} cargo test -p quillon-simulator --test random_operations -- --nocapture");
    }
    assert!(failed.is_empty(), "{} of {seeds} seeds failed: {failed:?}", failed.len());
}

#[test]
fn a_seed_gives_the_same_run_again() {
    for seed in [1, 2, 3] {
        assert_eq!(run(seed, native), run(seed, native));
    }
}

/// A server that had used up the client's connection IDs could tell so only to an address that the client had left, and
/// was not heard: the connection timed out.
#[test]
fn seed_346_a_server_is_heard_where_the_client_was() {
    assert_eq!(run(346, native).timed_out, 0);
}
