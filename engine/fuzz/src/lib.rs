//! Fuzz targets: each takes any bytes, and must neither panic nor hang, whatever they are.
//!
//! `cargo xtask fuzz` runs them under libFuzzer with AddressSanitizer; the test `replay` gives every file of
//! `corpus/` to its target on every run of the tests. A file that once broke something stays there for good.

mod connection;
mod logs;
mod parsers;
mod tokens;

/// A target: its name, which is that of its folder in `corpus/`, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("client", connection::client),
    ("client_hello", parsers::client_hello),
    ("frames", parsers::frames),
    ("logs", logs::logs),
    ("packets", parsers::packets),
    ("server", connection::server),
    ("tokens", tokens::tokens),
    ("transport_parameters", parsers::transport_parameters),
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
