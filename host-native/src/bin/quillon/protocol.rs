//! The protocol that a connection agreed on: what a client does to ask for a file and to read it, and how either end
//! closes.

use bytes::Bytes;
use quillon_host::{Connection, RecvStream, files, hq, http3};

use crate::Failure;
use crate::url::Url;

/// Bytes that one read of hq's stream gives at most.
const CHUNK_LEN: usize = 256 * 1024;

/// What to do about a server whose HTTP/3 is faulty.
const OTHERWISE: &str = "tell the server's operator, or try --alpn hq-interop";

/// Why a file does not come, without its URL.
type Reason = String;

/// The client's end of a connection.
pub(crate) enum Client {
    Http3(http3::Client),
    Hq(Connection),
}

impl Client {
    /// Begins the protocol that was agreed on, or, before that, the one of the session that is resumed.
    pub(crate) async fn new(connection: Connection, resumed: Option<Vec<u8>>) -> Result<Self, Failure> {
        let alpn = connection.alpn().or(resumed).map(|alpn| String::from_utf8_lossy(&alpn).into_owned());
        match alpn.as_deref() {
            Some(http3::ALPN) => {
                let client = http3::Client::new(connection).await;
                client.map(Self::Http3).map_err(|error| format!("cannot begin HTTP/3: {}", explain(&error)))
            }
            Some(hq::ALPN) => Ok(Self::Hq(connection)),
            other => {
                let other = other.unwrap_or("no protocol");
                Err(format!("the server chose {other}, which moves no files: choose others with --alpn"))
            }
        }
    }

    /// Asks for a file.
    pub(crate) async fn get(&mut self, url: &Url) -> Result<Body, Reason> {
        match self {
            Self::Http3(client) => {
                let path = url.path.split('#').next().unwrap_or_default();
                let response = client.get(&url.authority(), path).await.map_err(|error| explain(&error))?;
                match response.status() {
                    200..=299 => Ok(Body::Http3(Box::new(response))),
                    status => Err(refusal(status, response.header("location"))),
                }
            }
            Self::Hq(connection) => {
                hq::get(connection, &url.path).await.map(Body::Hq).map_err(|error| error.to_string())
            }
        }
    }
}

/// A file that is coming in.
pub(crate) enum Body {
    Http3(Box<http3::Response>),
    Hq(RecvStream),
}

impl Body {
    /// The file's length, where the protocol tells it.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::Http3(response) => response.content_length(),
            Self::Hq(_) => None,
        }
    }

    /// The next part; `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Reason> {
        match self {
            Self::Http3(response) => response.chunk().await.map_err(|error| explain(&error)),
            Self::Hq(stream) => stream.read_chunk(CHUNK_LEN).await.map_err(|error| hq::explain(&error)),
        }
    }
}

/// The code of a close without an error, in the protocol that was agreed on.
pub(crate) fn no_error(connection: &Connection) -> u64 {
    if connection.alpn().as_deref() == Some(http3::ALPN.as_bytes()) { http3::NO_ERROR } else { hq::code::NO_ERROR }
}

/// What a status code other than success means (RFC 9110 section 15).
fn refusal(status: u16, location: Option<&str>) -> Reason {
    match (u64::from(status), location) {
        (files::code::NOT_FOUND, _) => "the server has no such file".to_owned(),
        (files::code::FORBIDDEN, _) => "the server may not read the file, or does not serve it".to_owned(),
        (files::code::BAD_REQUEST, _) => "the server takes this for a bad request".to_owned(),
        (files::code::FAILED, _) => "the server could not read the file".to_owned(),
        (300..=399, Some(location)) => format!("it has moved: fetch {location}"),
        _ => format!("the server answers with status {status}"),
    }
}

fn explain(error: &http3::Error) -> Reason {
    match error {
        http3::Error::Protocol { .. } => format!("{error}; {OTHERWISE}"),
        error => error.to_string(),
    }
}
