//! `cargo xtask fuzz [--seconds N] [TARGET..]`: the fuzz targets of `engine/fuzz` under libFuzzer with AddressSanitizer.
//!
//! What a target learns stays in `target/fuzz/corpus` and is where the next run starts. What breaks it is written to
//! `target/fuzz/artifacts`; once understood it belongs into `engine/fuzz/corpus`, which every test run replays.
//!
//! `cargo xtask soak` is the same for an hour, after 100,000 seeds of random operations in the simulator.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{output, run as start};
use crate::root;
use crate::setup;

/// Seconds that each target runs for, unless the command line says otherwise.
const SECONDS: u64 = 20;

/// What `soak` fuzzes for in all.
const SOAK: Duration = Duration::from_secs(60 * 60);

/// Seeds of random operations that `soak` runs.
const SOAK_SEEDS: &str = "100000";

/// Coverage for libFuzzer and AddressSanitizer. Both are compiler flags that are not stable yet: hence
/// `RUSTC_BOOTSTRAP`, so that no second toolchain is needed.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1";

/// `cargo xtask fuzz [--seconds N] [TARGET..]`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (seconds, rest) = match arguments {
        [flag, seconds, rest @ ..] if flag == "--seconds" => {
            (seconds.parse().context("--seconds takes a number")?, rest)
        }
        rest => (SECONDS, rest),
    };
    let known = targets()?;
    if let Some(unknown) = rest.iter().find(|name| !known.contains(name)) {
        bail!("no target {unknown}: they are {}", known.join(" "));
    }
    setup::ensure(setup::For::Tests)?;
    fuzz(if rest.is_empty() { &known } else { rest }, seconds)
}

/// `cargo xtask soak`.
pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("usage: cargo xtask soak");
    }
    setup::ensure(setup::For::Tests)?;
    simulate()?;
    let targets = targets()?;
    let at_once = available_parallelism()?.get();
    fuzz(&targets, SOAK.as_secs() * at_once as u64 / targets.len().max(1) as u64)
}

/// Runs random operations in the simulator.
fn simulate() -> Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .env("QUILLON_SEEDS", SOAK_SEEDS)
        // As the tests are built, so that nothing is built again.
        .args(["test", "--workspace", "--exclude", "xtask", "--locked", "--test", "random_operations"])
        .args(["--", "--nocapture"])
        .current_dir(root());
    start(&mut cargo)
}

/// Fuzzes every target for the time that a run of the tests has.
pub(crate) fn briefly() -> Result<()> {
    fuzz(&targets()?, SECONDS)
}

/// The targets: each has a folder of seeds.
fn targets() -> Result<Vec<String>> {
    let corpus = seeds();
    let entries = fs::read_dir(&corpus).with_context(|| format!("cannot read {}", corpus.display()))?;
    let mut names =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

fn fuzz(targets: &[String], seconds: u64) -> Result<()> {
    let fuzzer = build()?;
    println!("fuzzing {} targets for {seconds} s each", targets.len());
    let mut broken = Vec::new();
    for at_once in targets.chunks(available_parallelism()?.get()) {
        let running: Vec<_> =
            at_once.iter().map(|target| Run::start(&fuzzer, target, seconds)).collect::<Result<_>>()?;
        for run in running {
            let target = run.target.clone();
            if let Err(error) = run.finish() {
                println!("  {target}: {error:#}");
                broken.push(target);
            }
        }
    }
    if !broken.is_empty() {
        bail!("broken: {}; see target/fuzz/artifacts", broken.join(" "));
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    let host = output(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .args(["build", "--package", "quillon-fuzz", "--features", "libfuzzer", "--bins", "--locked"])
        .args(["--target", host, "--target-dir"])
        .arg(folder("build"))
        .current_dir(root());
    start(&mut cargo)?;
    Ok(folder("build").join(host).join("debug/quillon-fuzz"))
}

/// One target, running.
struct Run {
    target: String,
    log: PathBuf,
    process: Child,
}

impl Run {
    fn start(fuzzer: &Path, target: &str, seconds: u64) -> Result<Self> {
        let learned = folder("corpus").join(target);
        let artifacts = folder("artifacts");
        for folder in [&learned, &artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let log = folder("corpus").join(format!("{target}.log"));
        let process = Command::new(fuzzer)
            .env("QUILLON_FUZZ_TARGET", target)
            .args([format!("-max_total_time={seconds}"), "-timeout=20".to_owned(), "-max_len=4096".to_owned()])
            .args(["-print_final_stats=1".to_owned(), format!("-artifact_prefix={}/{target}-", artifacts.display())])
            .args([&learned, &seeds().join(target), &root().join("tests/corpora")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {}", fuzzer.display()))?;
        Ok(Self { target: target.to_owned(), log, process })
    }

    fn finish(mut self) -> Result<()> {
        let status = self.process.wait()?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        if !status.success() {
            let lines: Vec<_> = log.lines().collect();
            bail!("ended with {status}:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        let last = log.lines().rev().find(|line| line.contains("DONE")).unwrap_or_default();
        println!("  {:<22}{}", self.target, last.trim_start_matches(|c: char| c == '#' || c.is_ascii_digit()).trim());
        Ok(())
    }
}

fn seeds() -> PathBuf {
    root().join("engine/fuzz/corpus")
}

fn folder(name: &str) -> PathBuf {
    root().join("target/fuzz").join(name)
}
