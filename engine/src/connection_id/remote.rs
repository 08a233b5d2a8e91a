use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Issued;
use crate::error::{TransportError, TransportErrorCode};
use crate::ranges::RangeSet;
use crate::wire::ConnectionId;

/// RETIRE_CONNECTION_ID frames that wait at once. A peer that makes us retire faster is closed (RFC 9000 section 5.1.2).
const MAX_RETIRING: usize = 32;
/// Retired sequence numbers are remembered as ranges; a peer that leaves this many holes is closed.
const MAX_RETIRED_RANGES: usize = 64;

/// The connection IDs that the peer issued to us.
#[derive(Debug)]
pub struct RemoteIds {
    /// How many connection IDs we keep: our `active_connection_id_limit`.
    limit: usize,
    active: Active,
    spare: Vec<Issued>,
    retire_prior_to: u64,
    retired: RangeSet,
    retiring: VecDeque<u64>,
}

/// The connection ID in use.
#[derive(Clone, Copy, Debug)]
struct Active {
    sequence: u64,
    id: ConnectionId,
    /// Unknown for the handshake's connection ID until the server's transport parameters tell.
    reset_token: Option<[u8; 16]>,
}

impl RemoteIds {
    /// A set with the connection ID of the handshake, sequence number 0, that keeps `limit` of them.
    #[must_use]
    pub const fn new(handshake_id: ConnectionId, limit: u8) -> Self {
        Self {
            limit: limit as usize,
            active: Active { sequence: 0, id: handshake_id, reset_token: None },
            spare: Vec::new(),
            retire_prior_to: 0,
            retired: RangeSet::new(),
            retiring: VecDeque::new(),
        }
    }

    /// The connection ID that packets are sent to.
    #[must_use]
    pub const fn active(&self) -> ConnectionId {
        self.active.id
    }

    /// The peer chose another connection ID during the handshake: the source connection ID of a Retry or of its
    /// first Initial (RFC 9000 section 7.2).
    pub const fn set_handshake_id(&mut self, id: ConnectionId) {
        self.active.id = id;
    }

    /// Sets the reset token of the handshake's connection ID, from the server's transport parameters.
    pub fn set_handshake_reset_token(&mut self, token: [u8; 16]) {
        if self.active.sequence == 0 {
            self.active.reset_token = Some(token);
        }
    }

    /// Whether `token` announces a stateless reset of this connection (RFC 9000 section 10.3.1).
    #[must_use]
    pub fn is_reset_token(&self, token: &[u8; 16]) -> bool {
        self.active.reset_token.as_ref() == Some(token)
    }

    /// A NEW_CONNECTION_ID arrived (RFC 9000 section 19.15). Its encoding has been checked.
    pub fn on_new(&mut self, new: Issued, retire_prior_to: u64) -> Result<(), TransportError> {
        const ERROR: TransportErrorCode = TransportErrorCode::PROTOCOL_VIOLATION;
        if self.active.id.is_empty() {
            return Err(TransportError::new(ERROR, "NEW_CONNECTION_ID from a peer that uses none"));
        }
        if let Some(known) = self.known(new.sequence) {
            let same = known.id == new.id && known.reset_token.is_none_or(|token| token == new.reset_token);
            return if same {
                Ok(())
            } else {
                Err(TransportError::new(ERROR, "one sequence number for two connection IDs"))
            };
        }
        if self.retired.contains(new.sequence) {
            return Ok(());
        }
        if self.active.id == new.id || self.spare.iter().any(|issued| issued.id == new.id) {
            return Err(TransportError::new(ERROR, "one connection ID with two sequence numbers"));
        }
        // RFC 9000 section 5.1.2: retire first, then count against the limit.
        self.retire_prior_to = self.retire_prior_to.max(retire_prior_to);
        if new.sequence < self.retire_prior_to {
            self.retire(new.sequence)?;
        } else {
            self.spare.push(new);
        }
        self.retire_old()?;
        if self.spare.len() + 1 > self.limit {
            return Err(TransportError::new(
                TransportErrorCode::CONNECTION_ID_LIMIT_ERROR,
                "more connection IDs than active_connection_id_limit",
            ));
        }
        Ok(())
    }

    fn known(&self, sequence: u64) -> Option<Active> {
        if self.active.sequence == sequence {
            return Some(self.active);
        }
        let issued = self.spare.iter().find(|issued| issued.sequence == sequence)?;
        Some(Active { sequence, id: issued.id, reset_token: Some(issued.reset_token) })
    }

    fn retire_old(&mut self) -> Result<(), TransportError> {
        while let Some(at) = self.spare.iter().position(|issued| issued.sequence < self.retire_prior_to) {
            let old = self.spare.swap_remove(at);
            self.retire(old.sequence)?;
        }
        if self.active.sequence < self.retire_prior_to {
            // The new frame's own ID is at or above retire_prior_to, so that a spare exists; without one the old
            // ID stays in use rather than none.
            if let Some(at) = (0..self.spare.len()).min_by_key(|at| self.spare.get(*at).map(|issued| issued.sequence)) {
                let next = self.spare.swap_remove(at);
                let old = self.active.sequence;
                self.active = Active { sequence: next.sequence, id: next.id, reset_token: Some(next.reset_token) };
                self.retire(old)?;
            }
        }
        Ok(())
    }

    fn retire(&mut self, sequence: u64) -> Result<(), TransportError> {
        self.retired.insert(sequence..sequence.saturating_add(1));
        self.retiring.push_back(sequence);
        if self.retiring.len() > MAX_RETIRING || self.retired.range_count() > MAX_RETIRED_RANGES {
            return Err(TransportError::new(
                TransportErrorCode::CONNECTION_ID_LIMIT_ERROR,
                "connection IDs are retired faster than acknowledged",
            ));
        }
        Ok(())
    }

    /// The next sequence number to retire by RETIRE_CONNECTION_ID.
    pub fn next_retiring(&mut self) -> Option<u64> {
        self.retiring.pop_front()
    }

    /// Whether a connection ID waits to be retired.
    #[must_use]
    pub fn has_retiring(&self) -> bool {
        !self.retiring.is_empty()
    }

    /// The RETIRE_CONNECTION_ID with this sequence number was lost.
    pub fn on_lost(&mut self, sequence: u64) {
        if !self.retiring.contains(&sequence) {
            self.retiring.push_back(sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(sequence: u64) -> Issued {
        let id = ConnectionId::new(&[sequence as u8; 8]).unwrap();
        Issued { sequence, id, reset_token: [sequence as u8; 16] }
    }

    fn code(result: Result<(), TransportError>) -> Option<TransportErrorCode> {
        result.err().map(|error| error.code)
    }

    #[test]
    fn d3_conflicting_and_too_many_ids_are_refused() {
        let mut ids = RemoteIds::new(new(0).id, 4);
        assert_eq!(code(ids.on_new(new(1), 0)), None);
        assert_eq!(code(ids.on_new(new(1), 0)), None, "an exact duplicate is ignored");
        let other = Issued { id: new(7).id, ..new(1) };
        assert_eq!(code(ids.on_new(other, 0)), Some(TransportErrorCode::PROTOCOL_VIOLATION));
        let again = Issued { sequence: 9, ..new(1) };
        assert_eq!(code(ids.on_new(again, 0)), Some(TransportErrorCode::PROTOCOL_VIOLATION));
        assert_eq!(code(ids.on_new(new(2), 0)), None);
        assert_eq!(code(ids.on_new(new(3), 0)), None);
        assert_eq!(code(ids.on_new(new(4), 0)), Some(TransportErrorCode::CONNECTION_ID_LIMIT_ERROR));
        let mut none = RemoteIds::new(ConnectionId::EMPTY, 4);
        assert_eq!(code(none.on_new(new(1), 0)), Some(TransportErrorCode::PROTOCOL_VIOLATION));
    }

    #[test]
    fn retire_prior_to_moves_to_a_newer_id() {
        let mut ids = RemoteIds::new(new(0).id, 4);
        ids.on_new(new(1), 0).unwrap();
        ids.on_new(new(2), 2).unwrap();
        assert_eq!(ids.active(), new(2).id);
        assert!(ids.is_reset_token(&[2; 16]));
        let mut retired: Vec<_> = core::iter::from_fn(|| ids.next_retiring()).collect();
        retired.sort_unstable();
        assert_eq!(retired, [0, 1]);
        // Late: below retire_prior_to, it is retired at once.
        ids.on_lost(0);
        assert_eq!(ids.next_retiring(), Some(0));
    }

    #[test]
    fn a_flood_of_retirements_is_bounded() {
        let mut ids = RemoteIds::new(new(0).id, 4);
        let refused = (1..200).find_map(|n| code(ids.on_new(new(n), n)));
        assert_eq!(refused, Some(TransportErrorCode::CONNECTION_ID_LIMIT_ERROR));
    }
}
