//! What each group of tests does.
//!
//! `xtask` is tested and linted apart from the rest of the workspace: in one call with it cargo would join the features
//! of all dependencies, and build those of this program, which is running, a second time.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::tally::Tally;
use crate::process::{NPM, output, run as start};
use crate::{fuzz, no_std, root, wasm};

/// A group of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Build,
    Lint,
    Rust,
    Simulator,
    Wasm,
    Node,
    Interop,
    Fuzz,
}

impl Group {
    /// In the order in which they run.
    pub(super) const ALL: [Self; 8] =
        [Self::Build, Self::Lint, Self::Rust, Self::Simulator, Self::Wasm, Self::Node, Self::Interop, Self::Fuzz];

    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Lint => "lint",
            Self::Rust => "rust",
            Self::Simulator => "simulator",
            Self::Wasm => "wasm",
            Self::Node => "node",
            Self::Interop => "interop",
            Self::Fuzz => "fuzz",
        }
    }

    /// Minutes it may take on a cold machine of 2 cores; the module's tests count with Rust's.
    pub(super) fn budget(self) -> Option<u32> {
        match self {
            Self::Build => Some(22),
            Self::Lint => Some(4),
            Self::Rust => Some(7),
            Self::Simulator => Some(5),
            Self::Wasm => None,
            Self::Node | Self::Interop => Some(8),
            Self::Fuzz => Some(6),
        }
    }

    /// What the names of its integration tests begin with; all others are of the group `rust`.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Simulator => &["random_operations", "scenarios"],
            Self::Wasm => &["module"],
            Self::Interop => &["interop"],
            Self::Build | Self::Lint | Self::Rust | Self::Node | Self::Fuzz => &[],
        }
    }

    /// The group of an integration test.
    fn of(test: &str) -> Self {
        let named = |group: &Self| group.prefixes().iter().any(|prefix| test.starts_with(prefix));
        Self::ALL.into_iter().find(named).unwrap_or(Self::Rust)
    }
}

/// Runs a group, and before it what it stands on where that was not built yet.
pub(super) fn run(group: Group, portable: bool) -> Tally {
    let mut tally = Tally::default();
    match group {
        Group::Build => {
            tally.step("module", module());
            tally.step("workspace", all_targets());
            tally.step("npm run build", package());
        }
        Group::Lint => lint(&mut tally),
        Group::Rust => {
            if tally.stands_on("module", module()) {
                rust(&mut tally);
            }
        }
        Group::Simulator => {
            if tally.stands_on("module", module()) {
                integration(&mut tally, Group::Simulator, portable);
            }
        }
        Group::Wasm => {
            tally.step("no-std", no_std::prove());
            if tally.stands_on("module", module()) {
                integration(&mut tally, Group::Wasm, portable);
            }
        }
        Group::Node => {
            if tally.stands_on("module", module()) && tally.stands_on("npm run build", package()) {
                tally.tests("npm test", npm("test").arg("--silent"));
            }
        }
        Group::Interop => {
            // The command `quillon` among all targets.
            if tally.stands_on("module", module()) && tally.stands_on("workspace", all_targets()) {
                integration(&mut tally, Group::Interop, portable);
            }
        }
        // The corpus is replayed among Rust's tests, on every platform.
        Group::Fuzz if portable => println!("portable: without the fuzzer"),
        Group::Fuzz => tally.step("fuzz", fuzz::briefly()),
    }
    tally
}

fn module() -> Result<()> {
    wasm::build(false)
}

fn all_targets() -> Result<()> {
    start(workspace("build").args(["--all-targets", "--locked"]))
}

fn package() -> Result<()> {
    start(&mut npm("build"))
}

fn lint(tally: &mut Tally) {
    tally.step("rustfmt", start(cargo("fmt").args(["--all", "--check"])));
    let deny = ["--all-targets", "--locked", "--", "--deny", "warnings"];
    tally.step("clippy", start(workspace("clippy").args(deny)));
    tally.step("clippy of xtask", start(cargo("clippy").args(["--package", "xtask"]).args(deny)));
    tally.step("npm run typecheck", start(&mut npm("typecheck")));
    tally.step("npm run lint", start(&mut npm("lint")));
}

fn rust(tally: &mut Tally) {
    let mut tests = workspace("test");
    tests.args(["--no-fail-fast", "--locked", "--lib", "--bins", "--examples"]);
    match integration_tests() {
        Ok(names) => {
            for name in names.iter().filter(|name| Group::of(name) == Group::Rust) {
                tests.args(["--test", name]);
            }
        }
        Err(error) => tally.fail(format!("integration tests: {error:#}")),
    }
    tally.tests("cargo test", &mut tests);
    tally.tests("examples in the documentation", workspace("test").args(["--no-fail-fast", "--locked", "--doc"]));
    tally.tests("cargo test of xtask", cargo("test").args(["--package", "xtask", "--locked"]));
}

/// Runs the integration tests whose names put them into `group`.
fn integration(tally: &mut Tally, group: Group, portable: bool) {
    let names = match integration_tests() {
        Ok(names) => names,
        Err(error) => return tally.fail(format!("{error:#}")),
    };
    let fits = |name: &&String| Group::of(name) == group && !(portable && name.contains("ngtcp2"));
    let names: Vec<_> = names.iter().filter(fits).collect();
    if names.is_empty() {
        return tally.fail(format!("no integration test is named {}..", group.prefixes().join(".. or ")));
    }
    let mut tests = workspace("test");
    tests.args(["--no-fail-fast", "--locked"]);
    for name in names {
        tests.args(["--test", name]);
    }
    tally.tests("cargo test", &mut tests);
}

/// The names of all integration tests of the workspace.
fn integration_tests() -> Result<Vec<String>> {
    let metadata = output(cargo("metadata").args(["--no-deps", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut names = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata names no packages")? {
        for target in package["targets"].as_array().into_iter().flatten() {
            if target["kind"] == serde_json::json!(["test"]) {
                names.extend(target["name"].as_str().map(str::to_owned));
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(subcommand).current_dir(root());
    cargo
}

/// A cargo command over the workspace less `xtask`.
fn workspace(subcommand: &str) -> Command {
    let mut cargo = cargo(subcommand);
    cargo.args(["--workspace", "--exclude", "xtask"]);
    cargo
}

/// `npm run SCRIPT` in bindings-js.
fn npm(script: &str) -> Command {
    let mut npm = Command::new(NPM);
    npm.args(["run", script, "--prefix"]).arg(root().join("bindings-js"));
    npm
}
