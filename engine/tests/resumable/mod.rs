//! A pair whose server lets its client resume, and the session to do so with.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

#[path = "../pair/mod.rs"]
pub mod pair;

use std::sync::Arc;

use quillon::tls::rustls::{RustlsServer, ServerBuilder, SessionStore};
use quillon::{ClientConfig, ConnectionHandle, Event, SavedSession, ServerConfig, TransportSettings};

use pair::Pair;

/// A pair, its client's settings, and the server's sessions.
pub struct Resumable {
    pub pair: Pair,
    pub client: ClientConfig,
    pub store: Arc<SessionStore>,
}

/// A server's TLS settings, to be completed.
pub fn server_builder() -> ServerBuilder {
    let chain = [include_bytes!("../data/localhost.der").as_slice()];
    RustlsServer::builder(chain, include_bytes!("../data/localhost.key.der")).alpn([b"test".as_slice()])
}

/// A server with these settings.
pub fn server_config(tls: ServerBuilder, transport: TransportSettings) -> Arc<ServerConfig> {
    Arc::new(ServerConfig { transport, ..ServerConfig::new(Arc::new(tls.build().unwrap())) })
}

impl Default for Resumable {
    fn default() -> Self {
        Self::new(TransportSettings::default())
    }
}

impl Resumable {
    /// A server that keeps sessions and takes early data.
    pub fn new(server: TransportSettings) -> Self {
        let mut client = pair::client_config(TransportSettings::default());
        client.early_data = true;
        let mut resumable = Self { pair: Pair::default(), client, store: SessionStore::new(16) };
        resumable.serve(server);
        resumable
    }

    /// The server goes on with these settings and the same sessions.
    pub fn serve(&mut self, transport: TransportSettings) {
        let tls = server_builder().session_store(Arc::clone(&self.store));
        self.serve_with(tls, transport);
    }

    pub fn serve_with(&mut self, tls: ServerBuilder, transport: TransportSettings) {
        self.pair.server.endpoint.set_server(Some(server_config(tls, transport))).unwrap();
    }

    /// A connection that is over, and the sessions that it left.
    pub fn sessions(&mut self) -> Vec<SavedSession> {
        let config = ClientConfig { session: None, ..self.client.clone() };
        let client = self.pair.connect_with(&config, "localhost");
        self.pair.settle();
        let sessions = std::iter::from_fn(|| self.take_session()).collect();
        let now = self.pair.now;
        self.pair.client.connection(client).close(now, 0, b"");
        self.pair.settle();
        self.pair.client.events.clear();
        self.pair.server.events.clear();
        self.pair.client.sent.clear();
        self.pair.server.sent.clear();
        sessions
    }

    pub fn take_session(&mut self) -> Option<SavedSession> {
        let take =
            |event: &Event| if let Event::NewSession(session) = event { Some((**session).clone()) } else { None };
        self.pair.client.take(take).map(|(_, session)| session)
    }

    /// A connection that is over, and one of the sessions that it left.
    pub fn session(&mut self) -> SavedSession {
        self.sessions().pop().expect("a ticket came")
    }

    /// Starts a connection that resumes `session`.
    pub fn resume(&mut self, session: SavedSession) -> ConnectionHandle {
        let config = ClientConfig { session: Some(session), ..self.client.clone() };
        self.pair.connect_with(&config, "localhost")
    }

    /// The server's connection.
    pub fn accepted(&mut self) -> ConnectionHandle {
        self.pair.server.saw(&Event::Accepted).expect("the server accepts")
    }
}
