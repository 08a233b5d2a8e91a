//! hq-interop: HTTP/0.9 over QUIC streams, the protocol of the interop runner.
//!
//! The client opens a bidirectional stream, sends `GET /path` and a line end, and finishes it. The response is the
//! file's bytes until the end of the stream. There are no status lines: what cannot be served is a reset, whose codes
//! are [`code`]'s.

use std::io;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::Connection;
use crate::error::{ConnectionError, ReadError, WriteError};
use crate::files::{self, CHUNK_LEN, Failure, Served};
use crate::recv_stream::RecvStream;
use crate::send_stream::SendStream;

/// The application protocol's name.
pub const ALPN: &str = "hq-interop";

/// Application error codes of Quillon's server: HTTP's status codes.
pub mod code {
    pub use crate::files::code::{BAD_REQUEST, FAILED, FORBIDDEN, NOT_FOUND};

    /// All is well.
    pub const NO_ERROR: u64 = 0;
}

/// The longest request line that a server reads.
const MAX_REQUEST_LEN: usize = 8 * 1024;

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
    let (mut file, _) = files::open(root, &served.path).await?;
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
