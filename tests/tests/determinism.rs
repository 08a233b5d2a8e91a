//! One seed gives the same bytes: in two endpoints whose work is interleaved, and on two threads.

use std::thread;
use std::time::Duration;

use quillon_tests::echo::{Echo, Output};
use quillon_tests::link::Conditions;
use quillon_tests::pair::Pair;

/// A path on which every part of the engine has work.
const ROUGH: Conditions =
    Conditions { jitter: Duration::from_millis(3), loss: 0.05, duplication: 0.02, ..Conditions::PERFECT };

fn run(seed: u64) -> Output {
    Echo::new(Pair::new(ROUGH, seed)).finish()
}

#[test]
fn interleaved_endpoints_of_one_seed_send_the_same_bytes() {
    for seed in 0..10 {
        let (mut one, mut other) = (Echo::new(Pair::new(ROUGH, seed)), Echo::new(Pair::new(ROUGH, seed)));
        let mut stranger = Echo::new(Pair::new(ROUGH, seed + 1000));
        while one.step() | other.step() | stranger.step() {}
        let output = one.finish();
        assert!(output == other.finish(), "seed {seed}");
        assert!(output == run(seed), "seed {seed}, alone");
        let stranger = stranger.finish();
        assert_ne!(output.sent[0], stranger.sent[0], "another seed gives another first flight");
    }
}

#[test]
fn threads_do_not_matter() {
    let here: Vec<Output> = (0..10).map(run).collect();
    let threads: Vec<_> = (0..2).map(|_| thread::spawn(|| (0..10).map(run).collect::<Vec<_>>())).collect();
    for thread in threads {
        assert!(thread.join().expect("no panic") == here);
    }
}
