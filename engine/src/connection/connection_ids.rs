//! The connection IDs of a connection: issued, changed, retired (RFC 9000 section 5.1).

use super::{Connection, reset_token};
use crate::connection_id::generate_free;
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{ConnectionId, Time};

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
    pub fn rotate_local_ids(&mut self, now: Time) -> bool {
        if self.is_closed() || !self.is_handshake_confirmed() || !self.local_ids.rotate() {
            return false;
        }
        let issued = self.issue_connection_ids();
        if let Err(error) = issued {
            self.fail(now, error);
        }
        !self.is_closed()
    }

    /// Another connection of the endpoint has the ID that was just issued: another one takes its place.
    pub(crate) fn replace_connection_id(&mut self, id: &ConnectionId) {
        if let Ok((replacement, reset_token)) = self.new_connection_id() {
            self.local_ids.replace(id, replacement, reset_token);
        }
    }

    /// Issues as many connection IDs as the peer keeps (RFC 9000 section 5.1.1).
    pub(super) fn issue_connection_ids(&mut self) -> Result<(), TransportError> {
        while self.local_ids.wants_more() {
            let (id, reset_token) = self.new_connection_id()?;
            self.local_ids.issue(id, reset_token);
        }
        Ok(())
    }

    /// A connection ID of ours, and the token of a stateless reset for it.
    pub(super) fn new_connection_id(&mut self) -> Result<(ConnectionId, [u8; 16]), TransportError> {
        const ERROR: TransportError = TransportError::new(
            TransportErrorCode::INTERNAL_ERROR,
            "the generator of connection IDs gave none that is of its length and free",
        );
        let free = |id: &ConnectionId| !self.local_ids.contains(id);
        let id = generate_free(self.id_settings.generator.as_ref(), &mut self.rng, free).ok_or(ERROR)?;
        Ok((id, reset_token(self.crypto.as_ref(), &self.id_settings, &id)))
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
