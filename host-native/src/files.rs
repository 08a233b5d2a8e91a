//! The files of a folder, as both application protocols serve them.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use tokio::fs::File;

/// Bytes read from a file at once.
pub(crate) const CHUNK_LEN: usize = 256 * 1024;

/// Why a file is not served: the status codes of HTTP (RFC 9110 section 15), which are the codes of hq's resets too.
pub mod code {
    /// The request is not one, or asks for no file.
    pub const BAD_REQUEST: u64 = 400;
    /// The file may not be read, or lies outside of what is served.
    pub const FORBIDDEN: u64 = 403;
    /// There is no such file.
    pub const NOT_FOUND: u64 = 404;
    /// Something else than reading a file was asked for.
    pub const METHOD_NOT_ALLOWED: u64 = 405;
    /// The file could not be read to its end.
    pub const FAILED: u64 = 500;
}

/// What became of a request.
#[derive(Debug)]
pub struct Served {
    /// The path that was asked for; empty where there was none.
    pub path: String,
    /// Bytes of the file that were sent.
    pub bytes: u64,
    /// Why the file did not arrive, if it did not.
    pub failure: Option<Failure>,
}

/// Why a file did not arrive.
#[derive(Debug)]
pub enum Failure {
    /// It is not served, and the peer was told so.
    Refused {
        /// One of [`code`]'s.
        code: u64,
        /// For people.
        reason: &'static str,
    },
    /// The peer stopped the stream or went away.
    Lost(io::Error),
}

impl Failure {
    pub(crate) const fn refused(code: u64, reason: &'static str) -> Self {
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

/// The file that a request's path names, and its length, if it is a regular one inside of `root`, symbolic links
/// resolved.
pub(crate) async fn open(root: &Path, path: &str) -> Result<(File, u64), Failure> {
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
    let mut file = File::open(&file).await.map_err(refuse)?;
    file.set_max_buf_size(CHUNK_LEN);
    let len = file.metadata().await.map_err(refuse)?.len();
    Ok((file, len))
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
