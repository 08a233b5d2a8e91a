use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Issued;
use crate::error::{TransportError, TransportErrorCode};
use crate::ranges::RangeSet;
use crate::wire::ConnectionId;

/// Connection IDs that are retired and not acknowledged at once. A peer that makes us retire faster is closed (RFC 9000
/// section 5.1.2).
const MAX_RETIRING: usize = 32;
/// Retired sequence numbers are remembered as ranges; a peer that leaves this many holes is closed.
const MAX_RETIRED_RANGES: usize = 64;

/// The connection IDs that the peer issued to us.
#[derive(Debug)]
pub struct RemoteIds {
    /// How many connection IDs we keep: our `active_connection_id_limit`.
    limit: usize,
    active: Active,
    /// Those used on other paths than the one in use.
    in_use: Vec<Active>,
    spare: Vec<Issued>,
    retire_prior_to: u64,
    retired: RangeSet,
    /// Sequence numbers whose RETIRE_CONNECTION_ID waits to be sent.
    retiring: VecDeque<u64>,
    /// How many are retired and not acknowledged, those that wait included.
    unacknowledged: usize,
}

/// A connection ID in use.
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
            in_use: Vec::new(),
            spare: Vec::new(),
            retire_prior_to: 0,
            retired: RangeSet::new(),
            retiring: VecDeque::new(),
            unacknowledged: 0,
        }
    }

    /// Sets how many we keep, as long as the peer has not been told.
    pub const fn set_limit(&mut self, limit: u8) {
        self.limit = limit as usize;
    }

    /// The connection ID that packets are sent to on the path in use.
    #[must_use]
    pub const fn active(&self) -> ConnectionId {
        self.active.id
    }

    /// Its sequence number.
    #[must_use]
    pub const fn active_sequence(&self) -> u64 {
        self.active.sequence
    }

    /// The connection ID in use with this sequence number; the active one, where that is not in use any more.
    #[must_use]
    pub fn id(&self, sequence: u64) -> ConnectionId {
        self.in_use.iter().find(|id| id.sequence == sequence).map_or(self.active.id, |id| id.id)
    }

    /// Whether the connection ID with this sequence number is in use, on any path.
    #[must_use]
    pub fn is_in_use(&self, sequence: u64) -> bool {
        self.active.sequence == sequence || self.in_use.iter().any(|id| id.sequence == sequence)
    }

    /// Whether there is one that has not been used.
    #[must_use]
    pub const fn has_spare(&self) -> bool {
        !self.spare.is_empty()
    }

    /// Takes an unused connection ID for another path: `sequence` if it is given and unused, otherwise the oldest.
    /// A peer whose connection IDs are empty has one for all paths.
    pub fn take_spare(&mut self, sequence: Option<u64>) -> Option<u64> {
        if self.active.id.is_empty() {
            return Some(self.active.sequence);
        }
        let wanted = self.spare.iter().position(|issued| Some(issued.sequence) == sequence);
        let at = wanted.or_else(|| self.oldest_spare())?;
        let issued = self.spare.swap_remove(at);
        self.in_use.push(Active { sequence: issued.sequence, id: issued.id, reset_token: Some(issued.reset_token) });
        Some(issued.sequence)
    }

    fn oldest_spare(&self) -> Option<usize> {
        (0..self.spare.len()).min_by_key(|at| self.spare.get(*at).map(|issued| issued.sequence))
    }

    /// The path that uses the connection ID with this sequence number is the one in use now. The one before stays in
    /// use on its path.
    pub fn activate(&mut self, sequence: u64) {
        if let Some(other) = self.in_use.iter_mut().find(|id| id.sequence == sequence) {
            core::mem::swap(&mut self.active, other);
        }
    }

    /// No path but the one in use needs the connection ID with this sequence number any more: it is retired (RFC 9000
    /// section 5.1.2).
    pub fn release(&mut self, sequence: u64) {
        if let Some(at) = self.in_use.iter().position(|id| id.sequence == sequence) {
            self.in_use.swap_remove(at);
            self.queue_retirement(sequence);
        }
    }

    /// Goes over to an unused connection ID on the path in use, and retires the one before. Tells whether there was
    /// one.
    pub fn rotate(&mut self) -> bool {
        let Some(at) = self.oldest_spare() else { return false };
        let next = self.spare.swap_remove(at);
        let old = self.active.sequence;
        self.active = Active { sequence: next.sequence, id: next.id, reset_token: Some(next.reset_token) };
        self.queue_retirement(old);
        true
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

    /// The reset tokens of the connection IDs in use, with their sequence numbers: a few at most.
    pub fn reset_tokens(&self) -> impl Iterator<Item = (u64, [u8; 16])> {
        let in_use = core::iter::once(&self.active).chain(&self.in_use);
        in_use.filter_map(|id| id.reset_token.map(|token| (id.sequence, token)))
    }

    /// Whether `token` announces a stateless reset of this connection: whether it belongs to a connection ID in use. How
    /// long that takes says nothing about the tokens (RFC 9000 section 10.3.1).
    #[must_use]
    pub fn is_reset_token(&self, token: &[u8; 16]) -> bool {
        let is_token = |known: [u8; 16]| {
            let difference = known.iter().zip(token).fold(0, |difference, (a, b)| difference | (a ^ b));
            core::hint::black_box(difference) == 0
        };
        self.reset_tokens().fold(false, |found, (_, known)| found | is_token(known))
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
                self.retire_prior_to = self.retire_prior_to.max(retire_prior_to);
                self.retire_old()
            } else {
                Err(TransportError::new(ERROR, "one sequence number for two connection IDs"))
            };
        }
        if self.retired.contains(new.sequence) {
            return Ok(());
        }
        let same_id = self.active.id == new.id
            || self.in_use.iter().any(|id| id.id == new.id)
            || self.spare.iter().any(|issued| issued.id == new.id);
        if same_id {
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
        if self.spare.len() + self.in_use.len() + 1 > self.limit {
            return Err(TransportError::new(
                TransportErrorCode::CONNECTION_ID_LIMIT_ERROR,
                "more connection IDs than active_connection_id_limit",
            ));
        }
        Ok(())
    }

    fn known(&self, sequence: u64) -> Option<Active> {
        if let Some(id) = core::iter::once(&self.active).chain(&self.in_use).find(|id| id.sequence == sequence) {
            return Some(*id);
        }
        let issued = self.spare.iter().find(|issued| issued.sequence == sequence)?;
        Some(Active { sequence, id: issued.id, reset_token: Some(issued.reset_token) })
    }

    fn retire_old(&mut self) -> Result<(), TransportError> {
        while let Some(at) = self.spare.iter().position(|issued| issued.sequence < self.retire_prior_to) {
            let old = self.spare.swap_remove(at);
            self.retire(old.sequence)?;
        }
        while let Some(at) = self.in_use.iter().position(|id| id.sequence < self.retire_prior_to) {
            let old = self.in_use.swap_remove(at);
            self.retire(old.sequence)?;
        }
        if self.active.sequence < self.retire_prior_to && !self.rotate() {
            // The frame's own ID is at or above retire_prior_to: where it is no spare, another path has it.
            if let Some(other) = self.in_use.pop() {
                let old = core::mem::replace(&mut self.active, other);
                self.queue_retirement(old.sequence);
            }
        }
        self.check_retired()
    }

    fn queue_retirement(&mut self, sequence: u64) {
        self.retired.insert(sequence..sequence.saturating_add(1));
        self.retiring.push_back(sequence);
        self.unacknowledged += 1;
    }

    fn retire(&mut self, sequence: u64) -> Result<(), TransportError> {
        self.queue_retirement(sequence);
        self.check_retired()
    }

    fn check_retired(&self) -> Result<(), TransportError> {
        if self.unacknowledged > MAX_RETIRING || self.retired.range_count() > MAX_RETIRED_RANGES {
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

    /// A RETIRE_CONNECTION_ID was acknowledged.
    pub const fn on_acked(&mut self) {
        self.unacknowledged = self.unacknowledged.saturating_sub(1);
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
