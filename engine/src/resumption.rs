//! Sessions that a client keeps in order to resume them: faster handshakes, and early data (RFC 9001 sections 4.5 and
//! 4.6).
//!
//! A [`SavedSession`] comes with [`Event::NewSession`](crate::Event::NewSession) and goes into the
//! [`ClientConfig`](crate::ClientConfig) of a later connection. Nothing is kept behind the caller's back, so that what
//! one connection does depends on no other. [`SessionCache`] keeps a bounded number of them.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::string::String;

use crate::tls::SessionTicket;
use crate::transport_parameters::RememberedParameters;
use crate::wire::Version;

/// A session with a server, to be resumed by one later connection: what TLS needs for it, and the limits under which
/// early data may be sent.
///
/// It holds secrets, and lives in this process: rustls gives no form of it to save. Where TLS is of the caller's own, a
/// session can be put together again from what was saved, with [`new`](Self::new). Copies are copies of one: each
/// connection needs a session of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSession {
    server_name: String,
    version: Version,
    parameters: RememberedParameters,
    ticket: SessionTicket,
}

impl SavedSession {
    /// A session with the server of this name over this version of QUIC.
    #[must_use]
    pub fn new(server_name: &str, version: Version, parameters: RememberedParameters, ticket: SessionTicket) -> Self {
        Self { server_name: server_name.to_owned(), version, parameters, ticket }
    }

    /// The name of the server, as it was connected to.
    #[must_use]
    pub fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The version of QUIC, which the connection that resumes has to start with (RFC 9369 section 5).
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The server's transport parameters as they are remembered (RFC 9000 section 7.4.1).
    #[must_use]
    pub const fn transport_parameters(&self) -> &RememberedParameters {
        &self.parameters
    }

    /// What TLS resumes with.
    #[must_use]
    pub const fn ticket(&self) -> &SessionTicket {
        &self.ticket
    }

    /// Whether the server said that it may take early data.
    #[must_use]
    pub const fn allows_early_data(&self) -> bool {
        self.ticket.allows_early_data()
    }
}

/// A client's sessions by server name and version of QUIC, of a bounded number: where it is full, the oldest goes.
///
/// Each is given out once. Finding one looks at all: it is meant for some hundreds.
#[derive(Clone, Debug)]
pub struct SessionCache {
    capacity: usize,
    /// The oldest first.
    sessions: VecDeque<SavedSession>,
}

impl SessionCache {
    /// A cache of at most `capacity` sessions.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self { capacity, sessions: VecDeque::new() }
    }

    /// Keeps a session.
    pub fn insert(&mut self, session: SavedSession) {
        self.sessions.push_back(session);
        if self.sessions.len() > self.capacity {
            self.sessions.pop_front();
        }
    }

    /// Takes out the newest session with the server of this name over one of these versions, the first of which that
    /// has one.
    pub fn take(&mut self, server_name: &str, versions: &[Version]) -> Option<SavedSession> {
        let at = versions.iter().find_map(|version| {
            self.sessions.iter().rposition(|session| session.server_name == server_name && session.version == *version)
        })?;
        self.sessions.remove(at)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}
