//! Child processes that end with the test.
//!
//! Invariants: a [`Process`] is killed, by its id, and reaped when it is dropped, also by a failing test; every wait
//! is bounded; what the process printed is in the panic message when a wait fails.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A running child process whose output lines, of both streams, can be awaited.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts `command` with its output captured.
    ///
    /// # Panics
    /// Where the program cannot be started.
    #[must_use]
    pub fn spawn(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let (sender, lines) = channel();
        forward_lines(child.stdout.take(), sender.clone());
        forward_lines(child.stderr.take(), sender);
        Self { name, child, lines, seen: Vec::new() }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process has printed a line that contains `text`, and returns the line. Lines printed before
    /// the call count.
    ///
    /// # Panics
    /// Where that takes longer than `patience`, or the process ends its output without the line.
    pub fn wait_for_line(&mut self, text: &str, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("did not print {text:?} in {patience:?}")),
                Err(RecvTimeoutError::Disconnected) => self.fail(&format!("ended without printing {text:?}")),
            }
        }
    }

    /// Waits for the port in the line `listening on IP:PORT`.
    ///
    /// # Panics
    /// Like [`Process::wait_for_line`], or where the line ends differently.
    pub fn wait_for_port(&mut self, patience: Duration) -> u16 {
        let line = self.wait_for_line("listening on ", patience);
        let address = line.split("listening on ").nth(1).and_then(|rest| rest.split_whitespace().next());
        match address.and_then(|address| address.parse::<std::net::SocketAddr>().ok()) {
            Some(address) => address.port(),
            None => self.fail(&format!("no address in {line:?}")),
        }
    }

    /// Waits for the process to end and returns its exit status.
    ///
    /// # Panics
    /// Where that takes longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
                Ok(None) => self.fail(&format!("was still running after {patience:?}")),
                Err(error) => self.fail(&format!("cannot be waited for: {error}")),
            }
        }
    }

    /// Waits for the process to end well.
    ///
    /// # Panics
    /// Where it takes longer than `patience` or ends with another exit status than 0.
    pub fn wait_for_success(&mut self, patience: Duration) {
        let status = self.wait(patience);
        if !status.success() {
            self.fail(&format!("ended with {status}"));
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    ///
    /// # Panics
    /// Where the process no longer exists.
    #[cfg(unix)]
    pub fn interrupt(&mut self) {
        let status = Command::new("kill").args(["-INT", &self.id().to_string()]).status();
        if !status.is_ok_and(|status| status.success()) {
            self.fail("could not be interrupted");
        }
    }

    /// Everything that the process has printed so far, in lines.
    pub fn output(&mut self) -> &[String] {
        // After the end of the process its last lines may still be on their way through the pipe.
        let patience =
            if matches!(self.child.try_wait(), Ok(Some(_))) { Duration::from_secs(1) } else { Duration::ZERO };
        while let Ok(line) = self.lines.recv_timeout(patience) {
            self.seen.push(line);
        }
        &self.seen
    }

    fn fail(&mut self, what: &str) -> ! {
        let name = self.name.clone();
        panic!("{name} {what}; it printed:\n{}", self.output().join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward_lines(stream: Option<impl Read + Send + 'static>, sender: Sender<String>) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                return;
            }
            line.clear();
        }
    });
}
