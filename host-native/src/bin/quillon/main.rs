//! `quillon`: serves files and fetches them over QUIC.

mod arguments;
mod download;
mod get;
mod protocol;
mod report;
mod serve;
mod signals;
mod transport;
mod url;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use quillon_host::Engine;

use arguments::{Arguments, Command};

/// A failure as one line that says what to do.
type Failure = String;

fn main() -> ExitCode {
    let command = Arguments::command().version(version());
    let arguments = command.try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = arguments.unwrap_or_else(|error| error.exit());
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let result = runtime.block_on(async {
        match arguments.command {
            Command::Serve(serve) => serve::run(serve).await,
            Command::Get(get) => get::run(get).await,
        }
    });
    // A file operation that hangs must not keep the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &str) -> ExitCode {
    eprintln!("quillon: {failure}");
    ExitCode::FAILURE
}

fn version() -> String {
    let module = match (Engine::module(), Engine::module_sha256()) {
        (Ok(_), Some(sha256)) => format!("module sha256 {sha256}"),
        (Err(error), _) => error.to_string(),
        _ => "module unknown".to_owned(),
    };
    format!("{} ({module})", env!("CARGO_PKG_VERSION"))
}
