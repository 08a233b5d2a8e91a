//! The command line.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use quillon_host::{CipherSuite, Engine, KeyLog, TransportSettings, hq, http3};

use crate::Failure;
use crate::transport;
use crate::url::Url;

/// The protocols that files are moved over, best first.
pub(crate) const SPOKEN: [&str; 2] = [http3::ALPN, hq::ALPN];

/// QUIC from one engine, as WebAssembly or native.
#[derive(Debug, Parser)]
#[command(name = "quillon")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the files of a folder over HTTP/3 and hq-interop.
    Serve(Serve),
    /// Fetch files over HTTP/3 or hq-interop.
    Get(Get),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The folder whose files are served.
    #[arg(long, value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// The address to listen on; port 0 for any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4433")]
    pub(crate) listen: SocketAddr,
    /// The certificate chain, PEM. Without it: a self-signed one for localhost, 127.0.0.1 and ::1.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The private key, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Write the certificate there, PEM, for the `--ca` of clients.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_cert: Option<PathBuf>,
    /// End after so many connections.
    #[arg(long, value_name = "N")]
    pub(crate) once: Option<u64>,
    #[command(flatten)]
    pub(crate) transport: transport::Server,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What to fetch, as https://HOST[:PORT]/PATH; all from one server, over one connection.
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<Url>,
    /// The file to write, `-` for standard output, or a folder. Default: the URL's last part.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The certificates to trust, PEM or DER. Default: the operating system's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Accept any certificate. Anybody on the path can then read and change the transfer.
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,
    /// Connect to this address instead of the URL's host.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) connect_to: Option<SocketAddr>,
    /// Complete the handshake, close and fetch nothing.
    #[arg(long)]
    pub(crate) handshake_only: bool,
    /// Seconds that the handshake may take.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) transport: transport::Client,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Which build of the engine runs.
    #[arg(long, value_name = "ENGINE", default_value = "wasm")]
    engine: EngineName,
    /// The application protocols, best first: h3 (HTTP/3) and hq-interop move files. The server chooses.
    #[arg(long, value_name = "PROTOCOL", value_delimiter = ',', default_value = "h3,hq-interop")]
    pub(crate) alpn: Vec<String>,
    /// The cipher suite to prefer. Default: the one that is faster for the engine.
    #[arg(long, value_name = "CIPHER")]
    cipher: Option<Cipher>,
    /// The largest UDP payload to send, in bytes: what the path carries is discovered up to here.
    #[arg(long, value_name = "BYTES", default_value = "1452", value_parser = clap::value_parser!(u16).range(1200..=65_507))]
    max_udp_payload: u16,
    #[command(flatten)]
    pub(crate) shared: transport::Shared,
    /// Print JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EngineName {
    /// quillon.wasm in wasmtime.
    Wasm,
    /// Native code.
    Native,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Cipher {
    /// AES-128-GCM.
    Aes,
    /// ChaCha20-Poly1305.
    Chacha,
}

impl Common {
    pub(crate) const fn engine(&self) -> Engine {
        match self.engine {
            EngineName::Wasm => Engine::Wasm,
            EngineName::Native => Engine::Native,
        }
    }

    /// The suites in order; empty for the engine's own order.
    pub(crate) fn cipher_suites(&self) -> Vec<CipherSuite> {
        match self.cipher {
            None => Vec::new(),
            Some(Cipher::Aes) => {
                vec![CipherSuite::Aes128Gcm, CipherSuite::Aes256Gcm, CipherSuite::ChaCha20Poly1305]
            }
            Some(Cipher::Chacha) => {
                vec![CipherSuite::ChaCha20Poly1305, CipherSuite::Aes128Gcm, CipherSuite::Aes256Gcm]
            }
        }
    }

    pub(crate) fn transport(&self) -> TransportSettings {
        let mut transport =
            TransportSettings { max_udp_payload_size: self.max_udp_payload, ..TransportSettings::default() };
        self.shared.apply(&mut transport);
        transport
    }

    /// The file that `SSLKEYLOGFILE` names.
    pub(crate) fn key_log() -> Result<Option<KeyLog>, Failure> {
        let Some(path) = env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()).map(PathBuf::from) else {
            return Ok(None);
        };
        let failed = |error| format!("cannot write {}, which SSLKEYLOGFILE names: {error}", path.display());
        KeyLog::append(&path).map(Some).map_err(failed)
    }

    /// Whether files can be moved over one of the protocols.
    pub(crate) fn moves_files(&self) -> bool {
        self.alpn.iter().any(|protocol| SPOKEN.contains(&protocol.as_str()))
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|duration| !duration.is_zero()).ok_or_else(|| "a positive number of seconds is needed".to_owned())
}
