//! Endpoints: a socket, a backend, and the connections between them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use quillon::EarlyDataStatus;

use crate::backend::BackendError;
use crate::config::{ClientConfig, ServerConfig};
use crate::connection::Connection;
use crate::driver::Driver;
use crate::engine::Engine;
use crate::error::{ConnectError, ConnectionError, EndpointError};
use crate::key_log::KeyLog;
use crate::socket::{self, Socket};
use crate::state::{Logs, NewSocket, Shared, State};

/// What an endpoint is made of.
#[derive(Debug)]
pub struct EndpointConfig {
    /// Which engine runs it.
    pub engine: Engine,
    /// The local address; port 0 for any. An unspecified IP address takes datagrams for every local address.
    pub address: SocketAddr,
    /// Accepts connections with it.
    pub server: Option<ServerConfig>,
    /// Where the connections' secrets are logged. Default: nowhere.
    pub key_log: Option<KeyLog>,
    /// The engine's own settings: memory budget, number of connections, whether clients have to prove their addresses
    /// (Retry), address tokens, keys. The module knows those that the ABI lists. Connections are accepted as they come:
    /// [`Admission::Ask`](quillon::Admission::Ask) has nobody to ask.
    pub endpoint: quillon::EndpointConfig,
    /// Where a server would rather be reached: bound too, port 0 for any, and told to its clients (RFC 9000 section 9.6).
    /// One address of a family. Default: none.
    pub preferred_addresses: Vec<SocketAddr>,
    /// The folder into which each connection writes a qlog, named by the connection ID that the client's first packet was
    /// sent to. Default: none.
    pub qlog_dir: Option<PathBuf>,
    /// Whether connections tell on standard error what happens. Default: no.
    pub text_log: bool,
}

impl EndpointConfig {
    /// A client's configuration.
    #[must_use]
    pub fn new(engine: Engine, address: SocketAddr) -> Self {
        Self {
            engine,
            address,
            server: None,
            key_log: None,
            endpoint: quillon::EndpointConfig::default(),
            preferred_addresses: Vec::new(),
            qlog_dir: None,
            text_log: false,
        }
    }
}

/// A UDP socket with an engine behind it. Clones are the same endpoint.
///
/// Dropping the last clone lets its connections go on; the driver ends with the last of them.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// The address of the socket as far as the engine knows.
    local: SocketAddr,
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Err(BackendError::Trapped(trap)) = state.abandon() {
            let _ = state.replace_backend(&self.shared, &trap);
        }
        drop(state);
        self.shared.wake.notify_one();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("local", &self.inner.local).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint that only opens connections. Call it inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket cannot be bound, or the engine not started.
    pub fn client(engine: Engine, address: SocketAddr) -> Result<Self, EndpointError> {
        Self::new(EndpointConfig::new(engine, address))
    }

    /// An endpoint that accepts connections, and opens them too. Call it inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket cannot be bound, the engine not started, or the configuration not used.
    pub fn server(engine: Engine, address: SocketAddr, config: ServerConfig) -> Result<Self, EndpointError> {
        Self::new(EndpointConfig { server: Some(config), ..EndpointConfig::new(engine, address) })
    }

    /// An endpoint with every setting. Call it inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// The socket cannot be bound, the engine not started, or the configuration not used.
    pub fn new(config: EndpointConfig) -> Result<Self, EndpointError> {
        let is_client = config.server.is_none();
        let bind = |address| Socket::bind(address, is_client).map_err(|error| EndpointError::Socket { address, error });
        let logs = Logs::new(config.qlog_dir, config.text_log);
        let mut state = State::new(config.engine, config.endpoint, config.key_log, logs)?;
        let socket = bind(config.address)?;
        let local = socket.local_addr();
        let mut sockets = vec![socket];
        for address in config.preferred_addresses {
            sockets.push(bind(address)?);
        }
        if let Some(mut server) = config.server {
            for socket in &sockets[1..] {
                match socket.local_addr() {
                    SocketAddr::V4(address) => server.transport.preferred_ipv4 = Some(address),
                    SocketAddr::V6(address) => server.transport.preferred_ipv6 = Some(address),
                }
            }
            state.listen(server).map_err(|error| EndpointError::Configuration(error.to_string()))?;
        }
        let addresses = sockets.iter().map(Socket::local_addr).collect();
        let shared = Arc::new(Shared::new(state));
        tokio::spawn(Driver::new(Arc::clone(&shared), sockets).run());
        Ok(Self { inner: Arc::new(Inner { shared, local, addresses: Mutex::new(addresses) }) })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addresses().first().copied().unwrap_or(self.inner.local)
    }

    /// The addresses that the endpoint was made with, or [moved](Self::rebind) to, and then the preferred ones.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.inner.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes over to another socket, bound to this address, port 0 for any. The engine is not told: to the peers it looks
    /// as if a NAT had given the endpoint another address (RFC 9000 section 9.3). Gives the address.
    ///
    /// # Errors
    ///
    /// The socket cannot be bound.
    pub fn rebind(&self, address: SocketAddr) -> Result<SocketAddr, EndpointError> {
        let shared = &self.inner.shared;
        let socket = Socket::bind(address, true).map_err(|error| EndpointError::Socket { address, error })?;
        let local = socket.local_addr();
        shared.lock().new_sockets.push(NewSocket::Instead(socket));
        if let Some(first) = self.inner.addresses.lock().unwrap_or_else(PoisonError::into_inner).first_mut() {
            *first = local;
        }
        shared.wake.notify_one();
        Ok(local)
    }

    /// Opens a connection, and waits until the handshake is complete. `server_name` is what the certificate must be
    /// for: a host name, or an IP address in text. Where the server does not speak the version of QUIC but another of
    /// the configuration's, the connection is tried again with that (RFC 9368 section 2.1).
    ///
    /// # Errors
    ///
    /// The configuration or the name is not usable, or the handshake failed.
    pub async fn connect(
        &self,
        remote: SocketAddr,
        server_name: &str,
        config: &ClientConfig,
    ) -> Result<Connection, ConnectError> {
        let connection = self.open(remote, server_name, config)?;
        let Err(error) = connection.established().await else { return Ok(connection) };
        let supported = match &error {
            ConnectionError::Quic(quillon::ConnectionError::VersionNegotiation { supported }) => supported,
            _ => return Err(error.into()),
        };
        let Some(config) = config.after_version_negotiation(supported) else { return Err(error.into()) };
        let connection = self.open(remote, server_name, &config)?;
        connection.established().await?;
        Ok(connection)
    }

    /// Opens a connection that resumes a session, and waits for nothing where the session allows early data: what is
    /// written before the handshake is complete goes out at once. An attacker can repeat it (RFC 9001 section 9.2). If
    /// the server does not take it, streams from before fail with
    /// [`EarlyDataRejected`](ConnectionError::EarlyDataRejected), and the connection goes on. Without early data it is
    /// [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_early(
        &self,
        remote: SocketAddr,
        server_name: &str,
        config: &ClientConfig,
    ) -> Result<Connection, ConnectError> {
        if config.early_data && config.session.is_some() {
            let connection = self.open(remote, server_name, config)?;
            if connection.early_data_status() != EarlyDataStatus::Offered {
                connection.established().await?;
            }
            return Ok(connection);
        }
        self.connect(remote, server_name, config).await
    }

    fn open(&self, remote: SocketAddr, server_name: &str, config: &ClientConfig) -> Result<Connection, ConnectError> {
        let shared = &self.inner.shared;
        let local = socket::local_towards(self.inner.local, remote)
            .map_err(|error| ConnectError::NoRoute(format!("no route to {remote}: {error}")))?;
        let connection = {
            let mut state = shared.lock();
            if state.closed {
                return Err(ConnectionError::EndpointClosed.into());
            }
            match state.connect(shared, config, server_name, quillon::FourTuple { local, remote }) {
                Ok(key) => Connection::new(Arc::clone(shared), key, &state),
                Err(BackendError::Refused(error)) => return Err(error),
                Err(BackendError::Trapped(trap)) => {
                    let _ = state.replace_backend(shared, &trap);
                    return Err(ConnectionError::Trapped(trap).into());
                }
                Err(error) => return Err(ConnectError::Configuration(error.to_string())),
            }
        };
        shared.wake.notify_one();
        Ok(connection)
    }

    /// The next connection whose handshake is complete; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Connection> {
        let shared = &self.inner.shared;
        loop {
            let changed = shared.changed.notified();
            {
                let mut state = shared.lock();
                if let Some(key) = state.accept() {
                    return Some(Connection::new(Arc::clone(shared), key, &state));
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Closes every connection with this code and reason, and accepts no more.
    pub fn close(&self, code: u64, reason: &[u8]) {
        let shared = &self.inner.shared;
        let mut state = shared.lock();
        if let Err(BackendError::Trapped(trap)) = state.close_all(code, reason) {
            let _ = state.replace_backend(shared, &trap);
        }
        drop(state);
        shared.changed.notify_waiters();
        shared.wake.notify_one();
    }

    /// Waits until the engine has forgotten every connection: after a close, until the closes have had time to
    /// arrive (RFC 9000 section 10.2).
    pub async fn wait_idle(&self) {
        let shared = &self.inner.shared;
        loop {
            let changed = shared.changed.notified();
            if shared.lock().is_idle() {
                return;
            }
            changed.await;
        }
    }

    /// Datagrams that crossed the module's boundary so far, both ways; `None` natively, where there is none.
    #[must_use]
    pub fn module_datagrams(&self) -> Option<u64> {
        self.inner.shared.lock().backend.module_datagrams()
    }
}
