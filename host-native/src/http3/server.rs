//! Serving files over HTTP/3.

use std::fmt;
use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use h3::error::{Code, StreamError};
use h3::server::{RequestResolver, RequestStream};
use http::{HeaderValue, Method, StatusCode, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, Take};

use super::error::Error;
use super::transport::{BidiStream, Connection};
use crate::files::{self, CHUNK_LEN, Failure, Served, code};

type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// A server's end of HTTP/3 on a connection. Dropping it closes the connection with H3_NO_ERROR.
pub struct Server {
    connection: crate::Connection,
    requests: h3::server::Connection<Connection, Bytes>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.connection.close(super::NO_ERROR, b"");
    }
}

impl Server {
    /// Begins HTTP/3 on a connection that agreed on [`ALPN`](super::ALPN).
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn new(connection: crate::Connection) -> Result<Self, Error> {
        let requests = h3::server::Connection::new(Connection::from(connection.clone())).await;
        let requests = requests.map_err(|error| Error::of_connection(&connection, &error))?;
        Ok(Self { connection, requests })
    }

    /// The next request; `None` when the client has said that there will be none, and all are answered. Waiting for it
    /// attends to the control streams as well, and may be given up and begun again at any time.
    ///
    /// # Errors
    ///
    /// The connection ended, or the client broke the protocol, for which it is closed.
    pub async fn accept(&mut self) -> Result<Option<Request>, Error> {
        let accepted = self.requests.accept().await;
        let resolver = accepted.map_err(|error| Error::of_connection(&self.connection, &error))?;
        Ok(resolver.map(|resolver| Request { connection: self.connection.clone(), resolver }))
    }
}

/// A request under way.
pub struct Request {
    connection: crate::Connection,
    resolver: RequestResolver<Connection, Bytes>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Request {
    /// Serves it out of the folder `root`, which is canonical, and waits until the file has arrived. GET and HEAD are
    /// served; what is not is answered with a status code and the reason.
    pub async fn serve(self, root: &Path) -> Served {
        let Self { connection, resolver } = self;
        let mut served = Served { path: String::new(), bytes: 0, failure: None };
        let lost = |error| Failure::Lost(io::Error::other(Error::of_stream(&connection, &error)));
        let (request, mut stream) = match resolver.resolve_request().await {
            Ok(resolved) => resolved,
            Err(error) => {
                served.failure = Some(lost(error));
                return served;
            }
        };
        served.path = request.uri().path().to_owned();
        let result = match open(root, request.method(), &served.path).await {
            Ok(body) => send(&mut stream, request.method(), body, &mut served.bytes).await,
            Err(failure) => refuse(&mut stream, request.method(), &failure).await.and(Ok(Some(failure))),
        };
        served.failure = match result {
            Ok(Some(failure)) => Some(failure),
            Ok(None) => arrived(&connection, &stream).await.err(),
            Err(error) => Some(lost(error)),
        };
        // A body is not asked for (RFC 9114 section 4.1).
        stream.stop_sending(Code::H3_NO_ERROR);
        served
    }
}

/// A file that can be read.
struct Body {
    /// Its beginning, which was read to see that it can be.
    first: Bytes,
    rest: Take<File>,
    /// Unknown for files that have none, such as the kernel's.
    len: Option<u64>,
}

async fn open(root: &Path, method: &Method, path: &str) -> Result<Body, Failure> {
    if method != Method::GET && method != Method::HEAD {
        return Err(Failure::refused(code::METHOD_NOT_ALLOWED, "only GET and HEAD are served"));
    }
    let (file, len) = files::open(root, path).await?;
    let mut rest = file.take(if len == 0 { u64::MAX } else { len });
    let unreadable = |_| Failure::refused(code::FAILED, "the file cannot be read");
    let first = read(&mut rest, &mut BytesMut::new()).await.map_err(unreadable)?;
    let len = (len > 0 || first.is_empty()).then_some(len);
    Ok(Body { first, rest, len })
}

/// The next part of a file; empty at its end.
async fn read(file: &mut Take<File>, buffer: &mut BytesMut) -> io::Result<Bytes> {
    buffer.reserve(CHUNK_LEN);
    file.read_buf(buffer).await?;
    Ok(buffer.split().freeze())
}

/// Sends a file; gives what was wrong with it, if anything was.
async fn send(
    stream: &mut Stream,
    method: &Method,
    body: Body,
    sent: &mut u64,
) -> Result<Option<Failure>, StreamError> {
    let Body { first, mut rest, len } = body;
    let mut response = http::Response::new(());
    if let Some(len) = len {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
    }
    stream.send_response(response).await?;
    if method == Method::HEAD {
        return stream.finish().await.and(Ok(None));
    }
    let (mut buffer, mut chunk) = (BytesMut::new(), first);
    while !chunk.is_empty() {
        let chunk_len = chunk.len() as u64;
        stream.send_data(chunk).await?;
        *sent += chunk_len;
        chunk = match read(&mut rest, &mut buffer).await {
            Ok(chunk) => chunk,
            Err(_) => return Ok(Some(abandon(stream))),
        };
    }
    if len.is_some_and(|len| len != *sent) {
        return Ok(Some(abandon(stream)));
    }
    stream.finish().await.and(Ok(None))
}

/// Gives up a response that has begun, so that its part is not taken for the whole.
fn abandon(stream: &mut Stream) -> Failure {
    stream.stop_stream(Code::H3_INTERNAL_ERROR);
    Failure::refused(code::FAILED, "the file cannot be read")
}

/// Answers with the status code and the reason.
async fn refuse(stream: &mut Stream, method: &Method, failure: &Failure) -> Result<(), StreamError> {
    let Failure::Refused { code, reason } = *failure else { return Ok(()) };
    let text = Bytes::from(format!("{reason}\n"));
    let mut response = http::Response::new(());
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if code == code::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    stream.send_response(response).await?;
    if method != Method::HEAD {
        stream.send_data(text).await?;
    }
    stream.finish().await
}

/// Waits until a finished response has arrived.
async fn arrived(connection: &crate::Connection, stream: &Stream) -> Result<(), Failure> {
    let id = quillon::StreamId(stream.send_id().into_inner());
    match connection.stopped(id).await {
        // A client that has the headers, or all of the body, may ask for no more.
        Ok(None) => Ok(()),
        Ok(Some(code)) if Code::H3_NO_ERROR == code => Ok(()),
        Ok(Some(code)) => Err(Failure::Lost(io::Error::other(Error::Stopped(code)))),
        // A client that has everything may close before its last acknowledgment arrives.
        Err(end) if end.application_close() == Some(super::NO_ERROR) => Ok(()),
        Err(end) => Err(Failure::Lost(io::Error::other(Error::Connection(end)))),
    }
}
