//! hq-interop: HTTP/0.9 over QUIC streams, the protocol of the interop runner.
//!
//! The client opens a bidirectional stream, sends `GET /path` and a line end, and finishes it. The response is the
//! file's bytes until the end of the stream. There are no status lines: what cannot be served is a reset, whose codes
//! are [`code`]'s.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::Connection;
use crate::error::{ConnectionError, ReadError, WriteError};
use crate::recv_stream::RecvStream;
use crate::send_stream::SendStream;

/// The application protocol's name.
pub const ALPN: &str = "hq-interop";

/// Application error codes of Quillon's server: HTTP's status codes.
pub mod code {
    /// All is well.
    pub const NO_ERROR: u64 = 0;
    /// The request line is not one.
    pub const BAD_REQUEST: u64 = 400;
    /// The file may not be read, or lies outside of what is served.
    pub const FORBIDDEN: u64 = 403;
    /// There is no such file.
    pub const NOT_FOUND: u64 = 404;
    /// The file could not be read to its end.
    pub const FAILED: u64 = 500;
}

/// The longest request line that a server reads.
const MAX_REQUEST_LEN: usize = 8 * 1024;

/// Bytes read from a file at once.
const CHUNK_LEN: usize = 256 * 1024;

/// Asks for a path, which starts with `/`; the stream gives the file.
///
/// # Errors
///
/// The connection ended.
pub async fn get(connection: &Connection, path: &str) -> Result<RecvStream, ConnectionError> {
    let (mut send, receive) = connection.open_bi().await?;
    let sent = match send.write_all(format!("GET {path}\r\n").as_bytes()).await {
        Ok(()) => send.finish().map_err(io::Error::from),
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => Ok(receive),
        // A server may answer and stop us before it has read the request.
        Err(_) => connection.close_reason().map_or(Ok(receive), Err),
    }
}

/// What became of a request.
#[derive(Debug)]
pub struct Served {
    /// The path that was asked for; empty where there was none.
    pub path: String,
    /// Bytes of the file that were written to the stream.
    pub bytes: u64,
    /// Why the file did not arrive, if it did not.
    pub failure: Option<Failure>,
}

/// Why a file did not arrive.
#[derive(Debug)]
pub enum Failure {
    /// It is not served: the stream was reset.
    Refused {
        /// The code of the reset, one of [`code`]'s.
        code: u64,
        /// For people.
        reason: &'static str,
    },
    /// The peer stopped the stream or went away.
    Lost(io::Error),
}

impl Failure {
    const fn refused(code: u64, reason: &'static str) -> Self {
        Self::Refused { code, reason }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, reason } => write!(f, "{reason} ({code})"),
            Self::Lost(error) => error.fmt(f),
        }
    }
}

/// Serves one request out of the folder `root`, which is canonical, and waits until the file has arrived.
pub async fn serve(root: &Path, mut send: SendStream, mut receive: RecvStream) -> Served {
    let mut served = Served { path: String::new(), bytes: 0, failure: None };
    if let Err(failure) = try_serve(root, &mut send, &mut receive, &mut served).await {
        if let Failure::Refused { code, .. } = failure {
            send.reset(code);
            receive.stop(code);
        }
        served.failure = Some(failure);
    }
    served
}

async fn try_serve(
    root: &Path,
    send: &mut SendStream,
    receive: &mut RecvStream,
    served: &mut Served,
) -> Result<(), Failure> {
    served.path = read_request(receive).await?;
    let mut file = open(root, &served.path).await?;
    file.set_max_buf_size(CHUNK_LEN);
    let mut chunk = vec![0; CHUNK_LEN];
    loop {
        match file.read(&mut chunk).await {
            Ok(0) => break,
            Ok(len) => {
                send.write_all(&chunk[..len]).await?;
                served.bytes += len as u64;
            }
            Err(_) => return Err(Failure::refused(code::FAILED, "the file cannot be read")),
        }
    }
    send.finish().map_err(io::Error::from)?;
    match send.stopped().await {
        Ok(None) => Ok(()),
        Ok(Some(code)) => Err(io::Error::from(WriteError::Stopped(code)).into()),
        // A client that has everything may close before its last acknowledgment arrives.
        Err(end) if end.application_close() == Some(code::NO_ERROR) => Ok(()),
        Err(end) => Err(io::Error::from(WriteError::Connection(end)).into()),
    }
}

/// Reads the request line and gives its path.
async fn read_request(receive: &mut RecvStream) -> Result<String, Failure> {
    let mut line = Vec::new();
    let mut limited = receive.take(MAX_REQUEST_LEN as u64);
    loop {
        if limited.read_buf(&mut line).await? == 0 || line.contains(&b'\n') {
            break;
        }
    }
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let path = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("GET "));
    match path {
        Some(path) if path.starts_with('/') => Ok(path.trim_end().to_owned()),
        _ => Err(Failure::refused(code::BAD_REQUEST, "not a request: GET /path is")),
    }
}

/// The file that a request's path names, if it is a regular one inside of `root`, symbolic links resolved.
async fn open(root: &Path, path: &str) -> Result<tokio::fs::File, Failure> {
    let relative = relative(path).ok_or_else(|| Failure::refused(code::BAD_REQUEST, "not a path to a file"))?;
    let refuse = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => Failure::refused(code::FORBIDDEN, "no permission to read it"),
        _ => Failure::refused(code::NOT_FOUND, "no such file"),
    };
    let file = tokio::fs::canonicalize(root.join(relative)).await.map_err(refuse)?;
    if !file.starts_with(root) {
        return Err(Failure::refused(code::FORBIDDEN, "outside of what is served"));
    }
    // Before opening: opening a pipe would wait for its other end.
    if !tokio::fs::metadata(&file).await.map_err(refuse)?.is_file() {
        return Err(Failure::refused(code::NOT_FOUND, "not a file"));
    }
    tokio::fs::File::open(&file).await.map_err(refuse)
}

/// A request's path, decoded and without its leading slash; `None` unless it consists of plain names.
fn relative(path: &str) -> Option<PathBuf> {
    let decoded = decode_percent(path.split(['?', '#']).next()?)?;
    let relative = PathBuf::from(decoded.strip_prefix('/')?);
    let plain = |component: Component<'_>| matches!(component, Component::Normal(_));
    let is_plain = relative.components().count() > 0 && relative.components().all(plain);
    (is_plain && !decoded.contains(['\0', '\\'])).then_some(relative)
}

/// Undoes percent-encoding (RFC 3986 section 2.1).
fn decode_percent(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => out.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

/// What a failed read of a response means, in one line for people.
#[must_use]
pub fn explain(error: &ReadError) -> String {
    match error {
        ReadError::Reset(code::NOT_FOUND) => "the server has no such file".to_owned(),
        ReadError::Reset(code::FORBIDDEN) => "the server may not read the file, or does not serve it".to_owned(),
        ReadError::Reset(code::BAD_REQUEST) => "the server takes this for a bad request".to_owned(),
        ReadError::Reset(code::FAILED) => "the server could not read the file to its end".to_owned(),
        ReadError::Reset(code) => format!("the server gave up the transfer (code {code})"),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(relative("/a/b.txt"), Some(PathBuf::from("a/b.txt")));
        assert_eq!(relative("/a%20b?x=1"), Some(PathBuf::from("a b")));
        for bad in [
            "",
            "/",
            "a",
            "//etc/passwd",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/a\\..\\x",
            "/%00",
            "/%2fetc/passwd",
            "/%",
        ] {
            assert_eq!(relative(bad), None, "{bad}");
        }
    }
}
