//! What the command can ask of the transport: versions, early data, key updates, paths, logs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use quillon::congestion::CongestionControl;
use quillon_host::{
    Admission, ClientConfig, Connection, Endpoint, EndpointConfig, Migration, ServerConfig, TransportSettings, Version,
};

use crate::Failure;

/// Sessions that a server remembers.
const SESSIONS: usize = 1024;

/// How long a server may take to confirm the handshake, and to give a session or a token.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tries to move again before it is given up: the server has to issue a connection ID for the new path first.
const MIGRATE_PAUSE: Duration = Duration::from_millis(20);

/// A version of QUIC.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VersionName {
    /// RFC 9000.
    #[value(name = "1")]
    V1,
    /// RFC 9369.
    #[value(name = "2")]
    V2,
}

impl VersionName {
    const fn version(self) -> Version {
        match self {
            Self::V1 => Version::V1,
            Self::V2 => Version::V2,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Congestion {
    /// RFC 9438.
    Cubic,
    /// RFC 9002.
    Newreno,
}

/// For both ends.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// Write a qlog of each connection into this folder.
    #[arg(long, value_name = "DIR")]
    qlog_dir: Option<PathBuf>,
    /// Tell on standard error what happens on each connection.
    #[arg(long)]
    log: bool,
    /// How congestion is controlled.
    #[arg(long, value_name = "ALGORITHM", default_value = "cubic")]
    congestion: Congestion,
}

impl Shared {
    pub(crate) fn apply(&self, transport: &mut TransportSettings) {
        transport.congestion = match self.congestion {
            Congestion::Cubic => CongestionControl::Cubic,
            Congestion::Newreno => CongestionControl::NewReno,
        };
    }

    pub(crate) fn apply_to_endpoint(&self, endpoint: &mut EndpointConfig) -> Result<(), Failure> {
        if let Some(dir) = &self.qlog_dir
            && !dir.is_dir()
        {
            return Err(format!("cannot write qlogs into {}: name a folder that exists", dir.display()));
        }
        endpoint.qlog_dir.clone_from(&self.qlog_dir);
        endpoint.text_log = self.log;
        Ok(())
    }
}

/// For `get`.
#[derive(Debug, Args)]
pub(crate) struct Client {
    /// The version of QUIC to start with; the server may go over to the other one. Default: 1.
    #[arg(long, value_name = "VERSION")]
    version: Option<VersionName>,
    /// Connect twice: the second connection resumes the session of the first, and asks for the files in early data.
    #[arg(long)]
    pub(crate) early_data: bool,
    /// Update the keys of packets before the first request.
    #[arg(long)]
    pub(crate) key_update: bool,
    /// Move to another local port before the first request, with a new connection ID.
    #[arg(long, conflicts_with = "rebind")]
    pub(crate) migrate: bool,
    /// Go over to another local port before the first request without a word, as behind a NAT.
    #[arg(long)]
    pub(crate) rebind: bool,
    /// A file for the server's address token: shown if it is there, and replaced by the one that the server gives.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Client {
    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        if let Some(version) = self.version {
            config.transport.versions.chosen = version.version();
        }
        config.early_data = self.early_data;
        // A token that cannot be read is none.
        config.token = self.token_file.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    }

    /// Does what is asked for before the first request.
    pub(crate) async fn prepare(&self, endpoint: &Endpoint, connection: &Connection) -> Result<(), Failure> {
        if !(self.key_update || self.migrate || self.rebind) {
            return Ok(());
        }
        let confirmed = tokio::time::timeout(PATIENCE, connection.confirmed()).await;
        confirmed.map_err(|_| "the server does not confirm the handshake")?.map_err(|error| error.to_string())?;
        if self.key_update {
            connection.update_key().map_err(|error| format!("cannot update the keys: {error}"))?;
        }
        let local = endpoint.local_addr();
        let other = SocketAddr::new(local.ip(), 0);
        if self.rebind {
            endpoint.rebind(other).map_err(|error| error.to_string())?;
        }
        if self.migrate {
            let mut moved = connection.migrate(other, Migration::Immediate);
            for _ in 0..25 {
                if moved.is_ok() {
                    break;
                }
                tokio::time::sleep(MIGRATE_PAUSE).await;
                moved = connection.migrate(other, Migration::Immediate);
            }
            moved.map_err(|error| format!("cannot move to another port: {error}"))?;
        }
        Ok(())
    }

    /// Keeps the token that the server gives, where there is a file for it.
    pub(crate) async fn keep_token(&self, connection: &Connection) -> Result<(), Failure> {
        let Some(path) = &self.token_file else { return Ok(()) };
        let Ok(Ok(token)) = tokio::time::timeout(PATIENCE, connection.token()).await else {
            return Err("the server gives no address token".to_owned());
        };
        std::fs::write(path, token).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// The session of a first connection.
    pub(crate) async fn session(connection: &Connection) -> Result<quillon_host::Session, Failure> {
        match tokio::time::timeout(PATIENCE, connection.session()).await {
            Ok(Ok(session)) => Ok(session),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the server gives no session to resume".to_owned()),
        }
    }
}

/// For `serve`.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// Have each client prove its address first, by a Retry or a token.
    #[arg(long)]
    retry: bool,
    /// The versions of QUIC to speak.
    #[arg(long, value_name = "VERSION", value_delimiter = ',', default_value = "1,2")]
    versions: Vec<VersionName>,
    /// Go over to this version of QUIC with clients that can.
    #[arg(long, value_name = "VERSION")]
    prefer_version: Option<VersionName>,
    /// Remember sessions, and take early data. An attacker can send it a second time.
    #[arg(long)]
    early_data: bool,
    /// Where clients are asked to move to: listened on too; port 0 for any.
    #[arg(long, value_name = "ADDRESS")]
    preferred_address: Vec<SocketAddr>,
}

impl Server {
    pub(crate) fn apply(&self, config: &mut ServerConfig) {
        let versions = &mut config.transport.versions;
        versions.available = self.versions.iter().map(|version| version.version()).collect();
        versions.preferred = self.prefer_version.map(VersionName::version).into_iter().collect();
        config.session_store = SESSIONS;
        config.early_data = self.early_data;
    }

    pub(crate) fn apply_to_endpoint(&self, endpoint: &mut EndpointConfig) {
        if self.retry {
            endpoint.endpoint.admission = Admission::AutomaticWithRetry { threshold: 0 };
        }
        endpoint.preferred_addresses.clone_from(&self.preferred_address);
    }
}
