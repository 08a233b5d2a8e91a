//! The command as a child process, and files to move.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The first use of the module compiles it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ENGINES: [&str; 2] = ["native", "wasm"];

/// What files move over.
pub(crate) const PROTOCOLS: [&str; 2] = ["h3", "hq-interop"];

/// The command that cargo built for this test.
pub(crate) fn quillon() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quillon"));
    command.env_remove("SSLKEYLOGFILE").stdin(Stdio::null());
    command
}

/// A folder with a file of `len` pseudo-random bytes, named `data`.
pub(crate) fn folder_with_data(len: usize) -> TempDir {
    let dir = TempDir::new().expect("a temporary folder");
    fs::write(dir.path().join("data"), data(len)).expect("a new file");
    dir
}

/// Bytes that repeat nowhere near.
pub(crate) fn data(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `quillon serve` on a free port, with the certificate that it wrote. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    _certificate: TempDir,
}

impl Server {
    pub(crate) fn start(engine: &str, root: &Path, arguments: &[&str]) -> Self {
        Self::start_on("127.0.0.1:0", engine, root, arguments)
    }

    pub(crate) fn start_on(listen: &str, engine: &str, root: &Path, arguments: &[&str]) -> Self {
        let mut command = quillon();
        command.args(["serve", "--listen", listen, "--engine", engine, "--root"]).arg(root).args(arguments);
        Self::spawn(&mut command)
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let certificate = TempDir::new().expect("a temporary folder");
        let ca = certificate.path().join("ca.pem");
        command.arg("--write-cert").arg(&ca).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut server = Self { child, lines, address: ([0; 4], 0).into(), ca, _certificate: certificate };
        let line = server.line_with("listening");
        let address = line.split(['"', ' ']).find_map(|word| word.parse().ok());
        server.address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        server
    }

    /// The next line of its output that contains `text`.
    pub(crate) fn line_with(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {text:?}: {error}"),
            }
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Sends a signal, and gives the exit code.
    #[cfg(unix)]
    pub(crate) fn signal(&mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
        self.wait()
    }

    pub(crate) fn wait(&mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status;
        }
        assert!(Instant::now() < deadline, "it still runs after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The length of the file that [`transfer`] moves.
const LEN: usize = 20_000_000;

/// Serves [`LEN`] bytes, fetches them over the protocol, and looks at everything that is told about it. The engines
/// are the server's and the client's.
pub(crate) fn transfer(alpn: &str, engines: (&str, &str), listen: &str, url_host: &str, arguments: &[&str]) {
    let (server_engine, client_engine) = engines;
    let root = folder_with_data(LEN);
    let server = Server::start_on(listen, server_engine, root.path(), &[]);
    let target = TempDir::new().expect("a temporary folder");
    let output = target.path().join("copy");
    let url = format!("https://{url_host}:{}/data", server.address.port());
    let ca = server.ca.to_str().expect("UTF-8");
    let path = output.to_str().expect("UTF-8");
    let done = get(
        client_engine,
        &[&[url.as_str(), "--json", "--alpn", alpn, "--ca", ca, "--output", path], arguments].concat(),
    );
    let report: Value = serde_json::from_str(&succeeded(&done)).expect("one JSON object");

    assert_eq!(sha256(&fs::read(&output).expect("the file is there")), sha256(&data(LEN)));
    assert_eq!(names(target.path()), ["copy"]);
    assert_eq!(report["bytes"], LEN);
    assert_eq!(report["engine"], client_engine);
    assert_eq!(report["alpn"], alpn);
    assert!(report["handshake_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{report}");
    match client_engine {
        // Every datagram of the connection crossed the boundary, and nothing else did.
        "wasm" => {
            let crossed = report["module_datagrams"].as_u64().expect("a count");
            assert!(crossed > (LEN / 1500) as u64, "{report}");
            assert_eq!(report["module_sha256"].as_str().map(str::len), Some(64));
        }
        _ => assert_eq!(report["module_datagrams"], Value::Null),
    }
}

/// Runs `quillon get`.
pub(crate) fn get(engine: &str, arguments: &[&str]) -> Output {
    run(quillon().args(["get", "--engine", engine]).args(arguments))
}

/// Runs a command to its end, within [`PATIENCE`].
pub(crate) fn run(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let out = thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let err = thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    let status = wait(&mut child);
    let collect =
        |thread: thread::JoinHandle<std::io::Result<Vec<u8>>>| thread.join().expect("no panic").expect("readable");
    Output { status, stdout: collect(out), stderr: collect(err) }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts success, and gives standard output.
pub(crate) fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Asserts that it failed as it should: exit code 1 and one line on standard error, which contains each of `words`.
pub(crate) fn assert_fails(output: &Output, words: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error:?}");
    }
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

/// The names in a folder, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
