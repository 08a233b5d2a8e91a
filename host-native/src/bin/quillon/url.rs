//! `https://HOST[:PORT]/PATH`.

use std::fmt;
use std::str::FromStr;

const HTTPS_PORT: u16 = 443;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// With its leading slash, as it was written.
    pub(crate) path: String,
}

impl Url {
    /// The last part of the path, where it can be a file's name.
    pub(crate) fn file_name(&self) -> Option<&str> {
        let path = self.path.split(['?', '#']).next()?;
        let name = path.rsplit('/').next()?;
        (!name.is_empty() && name != "." && name != "..").then_some(name)
    }

    /// The host, and the port where it is not that of https (RFC 9110 section 4.2.2).
    pub(crate) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        if *port == HTTPS_PORT { host } else { format!("{host}:{port}") }
    }

    /// Whether both are of one server.
    pub(crate) fn same_server(&self, other: &Self) -> bool {
        self.host == other.host && self.port == other.port
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') {
            write!(f, "https://[{host}]:{port}{path}")
        } else {
            write!(f, "https://{host}:{port}{path}")
        }
    }
}

impl FromStr for Url {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").ok_or("a URL starts with https://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        if path.contains(|c: char| c.is_control() || c == ' ') {
            return Err("a URL's path has no spaces: write %20");
        }
        if authority.contains('@') {
            return Err("a URL's user is not supported");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("an IPv6 address stands in brackets")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| "the port is a number from 1 to 65535")?,
            None if port.is_empty() => HTTPS_PORT,
            None => return Err("a colon and the port follow the host"),
        };
        if host.is_empty() || port == 0 {
            return Err("a URL is https://HOST:PORT/PATH");
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(String, u16, String), &'static str> {
        text.parse().map(|Url { host, port, path }| (host, port, path))
    }

    #[test]
    fn urls_are_read() {
        let url = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(parts("https://localhost:4433/a/b"), url("localhost", 4433, "/a/b"));
        assert_eq!(parts("https://example.org"), url("example.org", 443, "/"));
        assert_eq!(parts("https://[::1]:1/x"), url("::1", 1, "/x"));
        assert_eq!(parts("https://[::1]/x"), url("::1", 443, "/x"));
        for bad in ["http://a/", "https:///x", "https://a:0/", "https://a:99999/", "https://[::1/", "https://a/b c"] {
            assert!(parts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn authorities_are_as_a_server_wants_them() {
        let authority = |text: &str| text.parse::<Url>().map(|url| url.authority());
        assert_eq!(authority("https://example.org:443/x"), Ok("example.org".to_owned()));
        assert_eq!(authority("https://[::1]:4433/x"), Ok("[::1]:4433".to_owned()));
    }

    #[test]
    fn names_come_from_the_path() {
        let name = |text: &str| text.parse::<Url>().ok().and_then(|url| url.file_name().map(str::to_owned));
        assert_eq!(name("https://a/b/c.bin?x/y"), Some("c.bin".to_owned()));
        assert_eq!(name("https://a/"), None);
        assert_eq!(name("https://a/.."), None);
    }
}
