//! The connection IDs of a connection: issued, changed, retired (RFC 9000 section 5.1).

use super::{Connection, random_id, reset_token};
use crate::wire::ConnectionId;

impl Connection {
    /// Goes over to another connection ID of the peer, so that an observer who sees packets before and after cannot link
    /// them by it (RFC 9000 section 5.1), and retires the one in use. Tells whether it did: the peer may have issued no
    /// unused one, or use empty ones.
    pub fn rotate_remote_id(&mut self) -> bool {
        let rotated = !self.is_closed() && self.is_handshake_confirmed() && self.remote_ids.rotate();
        if rotated {
            self.refresh_path_ids();
        }
        rotated
    }

    /// Issues new connection IDs to the peer, and asks it to retire all others that it has (RFC 9000 section 5.1.2).
    /// Tells whether it did: not before the handshake is confirmed, not while the peer still has to retire some, and not
    /// where our connection IDs are empty.
    pub fn rotate_local_ids(&mut self) -> bool {
        let rotated = !self.is_closed() && self.is_handshake_confirmed() && self.local_ids.rotate();
        if rotated {
            self.issue_connection_ids();
        }
        rotated
    }

    /// Issues as many connection IDs as the peer keeps (RFC 9000 section 5.1.1).
    pub(super) fn issue_connection_ids(&mut self) {
        while self.local_ids.wants_more() {
            let (id, reset_token) = self.new_connection_id();
            self.local_ids.issue(id, reset_token);
        }
    }

    /// A connection ID of ours, and the token of a stateless reset for it.
    pub(super) fn new_connection_id(&mut self) -> (ConnectionId, [u8; 16]) {
        let id = random_id(&mut self.rng, self.id_settings.len);
        (id, reset_token(self.crypto.as_ref(), &self.id_settings, &id))
    }

    /// Retires the peer's connection ID with this sequence number, unless a path uses it.
    pub(super) fn release_id(&mut self, sequence: u64) {
        if !self.paths.iter().any(|path| path.remote_id() == sequence) {
            self.remote_ids.release(sequence);
        }
    }

    /// Gives every path a connection ID that the peer has not asked to retire; a path for which there is none goes.
    pub(super) fn refresh_path_ids(&mut self) {
        let before = self.paths.active().remote_id();
        let active = self.remote_ids.active_sequence();
        self.paths.active_mut().set_remote_id(active);
        loop {
            let mut outdated = self.paths.iter().filter(|path| !self.remote_ids.is_in_use(path.remote_id()));
            let next = outdated.next().map(|path| (path.id(), path.remote_id()));
            drop(outdated);
            let Some((id, sequence)) = next else { return };
            let fresh = if sequence == before { Some(active) } else { self.remote_ids.take_spare(None) };
            match (fresh, self.paths.get_mut(id)) {
                (Some(fresh), Some(path)) => path.set_remote_id(fresh),
                _ => self.drop_path(id),
            }
        }
    }
}
