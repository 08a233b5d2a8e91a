//! Sessions that later connections resume.

use std::fmt;
use std::sync::{Arc, Weak};

use crate::backend::SessionHandle;
use crate::state::Shared;

/// A session with a server, to be resumed by one later connection of the same endpoint (RFC 8446 section 2.2): give it to
/// [`ClientConfig::session`](crate::ClientConfig::session). It lives in the engine that it came from.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Weak<Shared>,
    instance: u64,
    handle: SessionHandle,
}

impl Session {
    pub(crate) fn new(shared: &Arc<Shared>, instance: u64, handle: SessionHandle) -> Self {
        Self { inner: Arc::new(Inner { shared: Arc::downgrade(shared), instance, handle }) }
    }

    /// The backend's handle, where this is a session of that endpoint and instance.
    pub(crate) fn handle_in(&self, shared: &Arc<Shared>, instance: u64) -> Option<SessionHandle> {
        let is_there = self.inner.instance == instance && Weak::ptr_eq(&self.inner.shared, &Arc::downgrade(shared));
        is_there.then_some(self.inner.handle)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lock().free_session(self.instance, self.handle);
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
