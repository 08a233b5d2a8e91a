//! A server's sessions that are kept for their clients to resume.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::rustls::server::StoresServerSessions;
use zeroize::Zeroizing;

use super::scope::{self, Binding};

/// A session that needs more bytes, for a long chain of its client's certificates, is not kept.
const MAX_SESSION_LEN: usize = 16 << 10;

/// How long a session can be resumed: as long as rustls tells the client that it can.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The sessions that a server keeps for its clients to resume, each once (RFC 8446 section 8.1).
///
/// It is bounded: where it is full, the oldest session makes room. Sessions are about 200 bytes, with a client's
/// certificates more, up to 16 KiB. A session is kept with the version of QUIC, the limits and the demands on clients'
/// certificates under which it was made, and lasts for a day: under others, or later, it is as if it were not there.
pub struct SessionStore {
    capacity: usize,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    /// By the identity that the client's ticket names, which we drew at random.
    by_identity: BTreeMap<Vec<u8>, Stored>,
    /// The identities in the order in which they came.
    by_age: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

struct Stored {
    number: u64,
    binding: Arc<Binding>,
    created: Duration,
    value: Zeroizing<Vec<u8>>,
}

impl SessionStore {
    /// A store for `capacity` sessions.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { capacity, sessions: Mutex::new(Sessions::default()) })
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_identity.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets every session: clients start over with full handshakes.
    pub fn clear(&self) {
        let mut sessions = self.lock();
        sessions.by_identity.clear();
        sessions.by_age.clear();
    }

    /// No operation leaves the maps half changed: what a thread that panicked has left can be used.
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    fn insert(&mut self, identity: Vec<u8>, mut stored: Stored, capacity: usize) {
        self.remove(&identity);
        while self.by_identity.len() >= capacity
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_identity.remove(&oldest);
        }
        stored.number = self.next;
        self.next += 1;
        self.by_age.insert(stored.number, identity.clone());
        self.by_identity.insert(identity, stored);
    }

    fn remove(&mut self, identity: &[u8]) -> Option<Stored> {
        let stored = self.by_identity.remove(identity)?;
        self.by_age.remove(&stored.number);
        Some(stored)
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore").field("len", &self.len()).field("capacity", &self.capacity).finish()
    }
}

/// A store as rustls sees it: sessions are put and taken with the binding of the running call.
#[derive(Debug)]
pub(super) struct BoundSessions(pub(super) Arc<SessionStore>);

impl StoresServerSessions for BoundSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let value = Zeroizing::new(value);
        let binding = scope::exchange(|exchange| exchange.binding.clone());
        let (Some(binding), Some(created)) = (binding, quillon_ambient::unix_time()) else { return false };
        if value.len() > MAX_SESSION_LEN || self.0.capacity == 0 {
            return false;
        }
        self.0.lock().insert(key, Stored { number: 0, binding, created, value }, self.0.capacity);
        true
    }

    /// Only TLS 1.2 asks for it.
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// A session that does not fit is not put back: its client has shown it to anyone who looked.
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let binding = scope::exchange(|exchange| exchange.binding.clone())?;
        let now = quillon_ambient::unix_time()?;
        let stored = self.0.lock().remove(key)?;
        let fits = stored.binding == binding && now.saturating_sub(stored.created) <= LIFETIME;
        fits.then(|| stored.value.to_vec())
    }

    fn can_cache(&self) -> bool {
        self.0.capacity > 0
    }
}
