//! The two engines, and what is known of the embedded module.

use std::fmt;

use quillon::crypto::CipherSuite;

use crate::backend;

include!(concat!(env!("OUT_DIR"), "/module.rs"));

/// Which build of the engine runs an endpoint. Both are the same source and give the same bytes for the same inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// `quillon.wasm` in wasmtime: the engine sees nothing of the process but what it is handed.
    Wasm,
    /// Rust, compiled for this machine.
    Native,
}

impl Engine {
    /// The cipher suites in the order that is fastest for this engine: hardware makes AES faster natively, portable
    /// WebAssembly has only ChaCha20-Poly1305 at speed.
    #[must_use]
    pub const fn cipher_suites(self) -> &'static [CipherSuite] {
        match self {
            Self::Wasm => &[CipherSuite::ChaCha20Poly1305, CipherSuite::Aes128Gcm, CipherSuite::Aes256Gcm],
            Self::Native => &[CipherSuite::Aes128Gcm, CipherSuite::Aes256Gcm, CipherSuite::ChaCha20Poly1305],
        }
    }

    /// Compiles the module where that is the engine. The first endpoint does it otherwise, and blocks its thread for a
    /// second or more unless an earlier process has left the machine code in the user's cache.
    ///
    /// # Errors
    ///
    /// There is no module to run.
    pub fn prepare(self) -> Result<(), EngineError> {
        match self {
            Self::Wasm => backend::prepare(),
            Self::Native => Ok(()),
        }
    }

    /// The embedded module's bytes.
    ///
    /// # Errors
    ///
    /// This build has no module, or one that was built from other sources.
    pub fn module() -> Result<&'static [u8], EngineError> {
        match MODULE {
            Embedded::Present { bytes, .. } => Ok(bytes),
            Embedded::Absent => Err(EngineError::NoModule),
            Embedded::Stale => Err(EngineError::StaleModule),
        }
    }

    /// The SHA-256 of the embedded module, in hexadecimal; `None` where there is none.
    #[must_use]
    pub const fn module_sha256() -> Option<&'static str> {
        match MODULE {
            Embedded::Present { sha256, .. } => Some(sha256),
            Embedded::Absent | Embedded::Stale => None,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wasm => "wasm",
            Self::Native => "native",
        })
    }
}

/// What the build script found.
#[allow(dead_code, reason = "a build knows one of the three")]
enum Embedded {
    Present { bytes: &'static [u8], sha256: &'static str },
    Absent,
    Stale,
}

/// Why an engine cannot run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineError {
    /// The crate was built without a module.
    NoModule,
    /// The module was built from other sources than this crate's engine.
    StaleModule,
    /// The module is not what it should be.
    Module(String),
    /// The operating system gave no random seed.
    Entropy(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModule => f.write_str("this build has no module: run `cargo xtask wasm` and build again"),
            Self::StaleModule => f.write_str(
                "the module of this build was made from other sources: run `cargo xtask wasm` and build again",
            ),
            Self::Module(reason) => write!(f, "the module cannot run: {reason}"),
            Self::Entropy(reason) => write!(f, "the operating system gives no random seed: {reason}"),
        }
    }
}

impl std::error::Error for EngineError {}
