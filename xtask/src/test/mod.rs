//! `cargo xtask test`: every test of the project, by groups.
//!
//! What the machine lacks is a failure, not a skip, and a group that fails does not hide the others. At the end stand
//! the minutes of each group beside its budget, what failed, and as the last line `N passed, N failed`.

mod groups;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use self::groups::Group;
use self::tally::Tally;
use crate::setup;

/// What was asked for on the command line.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    portable: bool,
    groups: Vec<Group>,
}

/// How a group went.
struct Report {
    group: Group,
    tally: Tally,
    took: Duration,
}

/// `cargo xtask test [--portable] [GROUP..]`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let Arguments { portable, groups } = parse(arguments)?;
    if !portable && !cfg!(target_os = "linux") {
        bail!("some peers come as Debian packages only: `cargo xtask test --portable` runs what runs elsewhere");
    }
    if portable {
        println!("portable: without the peers that come as Debian packages (ngtcp2)");
    }
    setup::ensure(if portable { setup::For::PortableTests } else { setup::For::Tests })?;

    let mut reports = Vec::new();
    for group in groups {
        println!("\n=== {} ===", group.name());
        let began = Instant::now();
        let tally = groups::run(group, portable);
        reports.push(Report { group, tally, took: began.elapsed() });
    }
    Ok(conclude(&reports))
}

fn parse(arguments: &[String]) -> Result<Arguments> {
    let mut parsed = Arguments { portable: false, groups: Vec::new() };
    for argument in arguments {
        match Group::ALL.into_iter().find(|group| group.name() == argument) {
            Some(group) => parsed.groups.push(group),
            None if argument == "--portable" => parsed.portable = true,
            None => {
                let names = Group::ALL.map(Group::name).join(" ");
                bail!("usage: cargo xtask test [--portable] [GROUP..], where a group is one of: {names}");
            }
        }
    }
    if parsed.groups.is_empty() {
        parsed.groups = Group::ALL.to_vec();
    }
    Ok(parsed)
}

/// Prints minutes, failures and the closing line.
fn conclude(reports: &[Report]) -> ExitCode {
    println!("\n{:<10}{:>9}{:>9}{:>9}{:>9}", "group", "minutes", "budget", "passed", "failed");
    let mut total = Tally::default();
    for Report { group, tally, took } in reports {
        let budget = group.budget().map_or("-".to_owned(), |minutes| minutes.to_string());
        let minutes = took.as_secs_f64() / 60.0;
        println!("{:<10}{minutes:>9.1}{budget:>9}{:>9}{:>9}", group.name(), tally.passed, tally.failed);
        total.passed += tally.passed;
        total.failed += tally.failed;
    }
    let minutes = reports.iter().map(|report| report.took).sum::<Duration>().as_secs_f64() / 60.0;
    println!("{:<10}{minutes:>9.1}", "all");
    for Report { group, tally, .. } in reports {
        for failure in &tally.failures {
            println!("failed: {}: {failure}", group.name());
        }
    }
    println!("\n{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Result<Arguments> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn groups_are_named_or_all() {
        let lint = Arguments { portable: true, groups: vec![Group::Lint] };
        assert_eq!(arguments("lint --portable").unwrap(), lint);
        assert_eq!(arguments("").unwrap().groups, Group::ALL);
        assert!(arguments("tint").is_err());
    }
}
