//! Counting tests by what their runners print.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::process::line;

/// How many tests passed and failed, and what to name of those that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) failures: Vec<String>,
}

impl Tally {
    /// Counts a step that passes or fails as a whole.
    pub(super) fn step(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => self.fail(format!("{name}: {error:#}")),
        }
    }

    /// Counts what is no test of its own only where it fails; tells whether it did not.
    pub(super) fn stands_on(&mut self, name: &str, outcome: Result<()>) -> bool {
        match outcome {
            Ok(()) => true,
            Err(error) => {
                self.fail(format!("{name}: {error:#}"));
                false
            }
        }
    }

    /// Counts one failure.
    pub(super) fn fail(&mut self, failure: String) {
        println!("FAILED {failure}");
        self.failed += 1;
        self.failures.push(failure);
    }

    /// Runs a test runner, shows what it prints and counts what it says.
    pub(super) fn tests(&mut self, name: &str, command: &mut Command) {
        match follow(command) {
            Err(error) => self.fail(format!("{name}: {error:#}")),
            Ok((counted, success)) => {
                self.passed += counted.passed;
                self.failed += counted.failed;
                self.failures.extend(counted.failures.into_iter().map(|failure| format!("{name}: {failure}")));
                if !success && counted.failed == 0 {
                    self.fail(format!("{name}: ended with an error"));
                } else if success && counted.passed == 0 {
                    self.fail(format!("{name}: ran no test"));
                }
            }
        }
    }

    /// Takes one line of a runner's output: cargo's `test result:`, or the `pass` and `fail` of Node's runner.
    fn take(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            for part in rest.split([';', '.']) {
                match part.trim().split_once(' ') {
                    Some((count, "passed")) => self.passed += count.parse().unwrap_or(0),
                    Some((count, "failed")) => self.failed += count.parse().unwrap_or(0),
                    _ => {}
                }
            }
        } else if let Some(failed) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(failed.to_owned());
        } else if let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            match rest.split_once(' ') {
                Some(("pass", count)) => self.passed += count.parse().unwrap_or(0),
                Some(("fail", count)) => self.failed += count.parse().unwrap_or(0),
                _ => {}
            }
        } else if let Some(failed) = line.trim_start().strip_prefix("not ok ") {
            self.failures.push(failed.to_owned());
        }
    }
}

/// Runs `command`, shows its output line by line and counts; `false` where it ended with an error.
fn follow(command: &mut Command) -> Result<(Tally, bool)> {
    println!("  $ {}", line(command));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start it")?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.take(line.trim_end());
        }
    }
    Ok((tally, child.wait()?.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_are_understood() {
        let mut tally = Tally::default();
        for line in [
            "test codec::round_trip ... ok",
            "test codec::truncated ... FAILED",
            "test result: FAILED. 12 passed; 1 failed; 3 ignored; 0 measured; 7 filtered out; finished in 0.02s",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "ℹ tests 5",
            "ℹ pass 4",
            "ℹ fail 1",
            "# pass 1",
        ] {
            tally.take(line);
        }
        assert_eq!(tally, Tally { passed: 19, failed: 2, failures: vec!["codec::truncated".to_owned()] });
    }

    #[test]
    fn a_runner_that_ran_nothing_has_failed() {
        let mut tally = Tally::default();
        tally.tests("echo", Command::new("echo").arg("test result: ok. 0 passed; 0 failed"));
        assert_eq!((tally.passed, tally.failed), (0, 1));
        tally.tests("no such program", &mut Command::new("quillon-no-such-program"));
        assert_eq!(tally.failed, 2);
    }
}
