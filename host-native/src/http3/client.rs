//! Fetching over HTTP/3.

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::Code;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, header};

use super::error::Error;
use super::transport::{BidiStream, Connection};

/// A client's end of HTTP/3 on a connection. Dropping it closes the connection with H3_NO_ERROR.
pub struct Client {
    connection: crate::Connection,
    requests: SendRequest<Connection, Bytes>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.close(super::NO_ERROR, b"");
    }
}

impl Client {
    /// Begins HTTP/3 on a connection that agreed on [`ALPN`](super::ALPN). Call it inside a tokio runtime: a task of
    /// its own attends to the control streams until the connection ends.
    ///
    /// # Errors
    ///
    /// The connection ended.
    pub async fn new(connection: crate::Connection) -> Result<Self, Error> {
        let begun = h3::client::new(Connection::from(connection.clone())).await;
        let (mut control, requests) = begun.map_err(|error| Error::of_connection(&connection, &error))?;
        tokio::spawn(async move { control.wait_idle().await });
        Ok(Self { connection, requests })
    }

    /// Asks for a path, which starts with `/`, at an authority: the host, and the port where it is not 443.
    ///
    /// # Errors
    ///
    /// The authority or the path is not one; the peer gave up the request or broke the protocol; the connection ended.
    pub async fn get(&mut self, authority: &str, path: &str) -> Result<Response, Error> {
        self.request(Method::GET, authority, path).await
    }

    /// Asks with any method that has no body.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    pub async fn request(&mut self, method: Method, authority: &str, path: &str) -> Result<Response, Error> {
        let authority = Authority::try_from(authority);
        let authority = authority.map_err(|error| Error::Request(format!("the URL's host cannot be sent: {error}")))?;
        let path = PathAndQuery::try_from(path);
        let path = path.map_err(|error| Error::Request(format!("the URL's path cannot be sent: {error}")))?;
        let uri = Uri::builder().scheme(Scheme::HTTPS).authority(authority).path_and_query(path).build();
        let mut request = http::Request::new(());
        *request.uri_mut() = uri.map_err(|error| Error::Request(format!("the URL cannot be sent: {error}")))?;
        *request.method_mut() = method;

        let failed = |error| Error::of_stream(&self.connection, &error);
        let is_head = request.method() == Method::HEAD;
        let mut stream = self.requests.send_request(request).await.map_err(failed)?;
        // A server may answer and stop us before it has read the request: what it says then is in the response.
        let _ = stream.finish().await;
        let head = loop {
            let head = stream.recv_response().await.map_err(failed)?;
            if !head.status().is_informational() {
                break head;
            }
        };
        let content_length = match head.headers().get(header::CONTENT_LENGTH) {
            None => None,
            Some(value) => {
                let len = value.to_str().ok().and_then(|text| text.parse::<u64>().ok());
                Some(len.ok_or_else(|| malformed("its content-length is not a number".to_owned()))?)
            }
        };
        let expected = content_length.filter(|_| !is_head);
        let connection = self.connection.clone();
        Ok(Response { head, content_length, expected, received: 0, stream, connection })
    }
}

/// A response. Dropping it before its end cancels the request.
pub struct Response {
    head: http::Response<()>,
    content_length: Option<u64>,
    /// The length that the body must have.
    expected: Option<u64>,
    received: u64,
    stream: RequestStream<BidiStream<Bytes>, Bytes>,
    connection: crate::Connection,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response").field("head", &self.head).finish_non_exhaustive()
    }
}

impl Response {
    /// The status code (RFC 9110 section 15).
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status().as_u16()
    }

    /// A header field's value, where it is there and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers().get(name)?.to_str().ok()
    }

    /// The length of what was asked for, in bytes, where the server tells it.
    #[must_use]
    pub const fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// The next part of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// The peer gave up the request or broke the protocol: with a body of another length than it said, too (RFC 9114
    /// section 4.1.2). The connection ended.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.stream.recv_data().await.map_err(|error| Error::of_stream(&self.connection, &error))?;
        let chunk = chunk.map(|mut chunk| chunk.copy_to_bytes(chunk.remaining()));
        self.received += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        match self.expected {
            Some(expected) if self.received > expected || (chunk.is_none() && self.received < expected) => {
                self.stream.stop_sending(Code::H3_MESSAGE_ERROR);
                let received = self.received;
                Err(malformed(format!("a body of {received} bytes came where content-length says {expected}")))
            }
            _ => Ok(chunk),
        }
    }
}

fn malformed(reason: String) -> Error {
    Error::Protocol { code: Code::H3_MESSAGE_ERROR.value(), reason }
}
