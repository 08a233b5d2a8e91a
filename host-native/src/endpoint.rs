//! Endpoints: a socket, a backend, and the connections between them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::backend::BackendError;
use crate::config::{ClientConfig, ServerConfig};
use crate::connection::Connection;
use crate::driver::Driver;
use crate::engine::Engine;
use crate::error::{ConnectError, ConnectionError, EndpointError};
use crate::key_log::KeyLog;
use crate::socket::{self, Socket};
use crate::state::{Shared, State};

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
    /// The engine's own settings: memory budget, number of connections.
    pub endpoint: quillon::EndpointConfig,
}

impl EndpointConfig {
    /// A client's configuration.
    #[must_use]
    pub fn new(engine: Engine, address: SocketAddr) -> Self {
        Self { engine, address, server: None, key_log: None, endpoint: quillon::EndpointConfig::default() }
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
    local: SocketAddr,
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
        let address = config.address;
        let mut state = State::new(config.engine, config.endpoint, config.key_log)?;
        let is_client = config.server.is_none();
        if let Some(server) = config.server {
            state.listen(server).map_err(|error| EndpointError::Configuration(error.to_string()))?;
        }
        let socket = Socket::bind(address, is_client).map_err(|error| EndpointError::Socket { address, error })?;
        let local = socket.local_addr();
        let shared = Arc::new(Shared::new(state));
        tokio::spawn(Driver::new(Arc::clone(&shared), socket).run());
        Ok(Self { inner: Arc::new(Inner { shared, local }) })
    }

    /// The address that the socket is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.local
    }

    /// Opens a connection, and waits until the handshake is complete. `server_name` is what the certificate must be
    /// for: a host name, or an IP address in text.
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
        let shared = &self.inner.shared;
        let local = socket::local_towards(self.inner.local, remote)
            .map_err(|error| ConnectError::NoRoute(format!("no route to {remote}: {error}")))?;
        let connection = {
            let mut state = shared.lock();
            if state.closed {
                return Err(ConnectionError::EndpointClosed.into());
            }
            match state.connect(config, server_name, quillon::FourTuple { local, remote }) {
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
        connection.established().await?;
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
