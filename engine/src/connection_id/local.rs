use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Issued;
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{ConnectionId, Time};

/// We issue no more than this, whatever the peer allows.
const MAX_ACTIVE: u64 = 8;
/// Retired connection IDs that still route late packets at once; of more, the newest.
const MAX_LINGERING: usize = 16;
/// How often in the life of a connection an ID that another connection has is replaced.
const MAX_REPLACED: u32 = 8;

/// A change to the set of connection IDs by which a connection is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Datagrams for this connection ID belong to the connection.
    Add(ConnectionId),
    /// They no longer do.
    Remove(ConnectionId),
}

/// The connection IDs that we issue to the peer.
#[derive(Debug)]
pub struct LocalIds {
    active: Vec<Issued>,
    next_sequence: u64,
    /// How many the peer keeps.
    limit: u64,
    /// The peer is asked to retire those below.
    retire_prior_to: u64,
    /// Sequence numbers whose NEW_CONNECTION_ID waits to be sent.
    unsent: VecDeque<u64>,
    /// Retired IDs, and when they stop to route late packets, in order.
    lingering: VecDeque<(Time, ConnectionId)>,
    replaced: u32,
    routes: VecDeque<Route>,
}

impl LocalIds {
    /// A set with the connection ID of the handshake, sequence number 0.
    #[must_use]
    pub fn new(handshake_id: ConnectionId, reset_token: [u8; 16]) -> Self {
        let mut ids = Self {
            active: Vec::new(),
            next_sequence: 0,
            limit: 1,
            retire_prior_to: 0,
            unsent: VecDeque::new(),
            lingering: VecDeque::new(),
            replaced: 0,
            routes: VecDeque::new(),
        };
        ids.add(handshake_id, reset_token);
        ids
    }

    /// The connection ID of the handshake, as long as the peer has not retired it.
    #[must_use]
    pub fn handshake_id(&self) -> Option<ConnectionId> {
        self.active.iter().find(|issued| issued.sequence == 0).map(|issued| issued.id)
    }

    /// Whether `id` is one of ours.
    #[must_use]
    pub fn contains(&self, id: &ConnectionId) -> bool {
        self.active.iter().any(|issued| issued.id == *id)
    }

    /// Sets how many connection IDs the peer keeps: its `active_connection_id_limit`.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit.clamp(1, MAX_ACTIVE);
    }

    /// Whether the peer keeps more connection IDs than it has, those not counted that it is asked to retire. One that
    /// knows us by the empty ID keeps no other (RFC 9000 section 5.1.1).
    #[must_use]
    pub fn wants_more(&self) -> bool {
        let current = self.active.iter().filter(|issued| issued.sequence >= self.retire_prior_to).count() as u64;
        current < self.limit && !self.uses_empty_id()
    }

    /// Whether the peer reaches us without a connection ID.
    #[must_use]
    pub fn uses_empty_id(&self) -> bool {
        self.active.iter().any(|issued| issued.id.is_empty())
    }

    /// Issues `id`: a NEW_CONNECTION_ID for it is to be sent.
    pub fn issue(&mut self, id: ConnectionId, reset_token: [u8; 16]) {
        let sequence = self.add(id, reset_token);
        self.unsent.push_back(sequence);
    }

    /// Issues `id` in the transport parameters, for the preferred address: its sequence number is 1 (RFC 9000 section
    /// 5.1.1).
    pub fn issue_preferred(&mut self, id: ConnectionId, reset_token: [u8; 16]) {
        self.add(id, reset_token);
    }

    /// Asks the peer to retire every connection ID that it has: the next ones issued say so (RFC 9000 section 5.1.2).
    /// Tells whether it does: not while the peer still has to retire some, nor with the empty ID.
    pub fn rotate(&mut self) -> bool {
        if self.uses_empty_id() || self.active.iter().any(|issued| issued.sequence < self.retire_prior_to) {
            return false;
        }
        self.retire_prior_to = self.next_sequence;
        true
    }

    /// The Retire Prior To of a NEW_CONNECTION_ID with this sequence number.
    #[must_use]
    pub fn retire_prior_to(&self, sequence: u64) -> u64 {
        self.retire_prior_to.min(sequence)
    }

    /// Another connection has `id`: `replacement` is issued in its place. Tells whether it is; not after the peer was
    /// told of `id`, nor endlessly. Otherwise `id` is withdrawn.
    pub fn replace(&mut self, id: &ConnectionId, replacement: ConnectionId, reset_token: [u8; 16]) -> bool {
        let Some(at) = self.active.iter().position(|issued| issued.id == *id) else { return false };
        let unsent = self.active.get(at).is_some_and(|issued| self.unsent.contains(&issued.sequence));
        if unsent && self.replaced < MAX_REPLACED {
            self.replaced += 1;
            if let Some(issued) = self.active.get_mut(at) {
                (issued.id, issued.reset_token) = (replacement, reset_token);
            }
            self.routes.push_back(Route::Add(replacement));
            return true;
        }
        if unsent {
            let withdrawn = self.active.swap_remove(at);
            self.unsent.retain(|sequence| *sequence != withdrawn.sequence);
        }
        false
    }

    fn add(&mut self, id: ConnectionId, reset_token: [u8; 16]) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.active.push(Issued { sequence, id, reset_token });
        if !id.is_empty() {
            self.routes.push_back(Route::Add(id));
        }
        sequence
    }

    /// Routes `id`, which the peer chose for its first packets, to the connection as well.
    pub fn route_original(&mut self, id: ConnectionId) {
        self.routes.push_back(Route::Add(id));
    }

    /// Ends what [`route_original`](Self::route_original) began.
    pub fn unroute_original(&mut self, id: ConnectionId) {
        self.routes.push_back(Route::Remove(id));
    }

    /// The peer retires a connection ID by a packet that was sent to `used` (RFC 9000 section 19.16). Packets that were
    /// sent to it before still find the connection, until `until`.
    pub fn on_retire(&mut self, sequence: u64, used: &ConnectionId, until: Time) -> Result<(), TransportError> {
        const ERROR: TransportErrorCode = TransportErrorCode::PROTOCOL_VIOLATION;
        if sequence >= self.next_sequence {
            return Err(TransportError::new(ERROR, "a connection ID was retired that was never issued"));
        }
        let Some(at) = self.active.iter().position(|issued| issued.sequence == sequence) else { return Ok(()) };
        if self.active.get(at).is_some_and(|issued| issued.id == *used) {
            return Err(TransportError::new(ERROR, "a packet retires the connection ID that it was sent to"));
        }
        let retired = self.active.swap_remove(at);
        self.unsent.retain(|unsent| *unsent != sequence);
        self.lingering.push_back((until, retired.id));
        if self.lingering.len() > MAX_LINGERING
            && let Some((_, id)) = self.lingering.pop_front()
        {
            self.routes.push_back(Route::Remove(id));
        }
        Ok(())
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    #[must_use]
    pub fn timeout(&self) -> Option<Time> {
        self.lingering.front().map(|(until, _)| *until)
    }

    /// Stops routing the IDs that were retired long enough ago.
    pub fn on_timeout(&mut self, now: Time) {
        while let Some((until, id)) = self.lingering.front().copied()
            && until <= now
        {
            self.lingering.pop_front();
            self.routes.push_back(Route::Remove(id));
        }
    }

    /// The next connection ID to announce.
    pub fn next_unsent(&mut self) -> Option<Issued> {
        while let Some(sequence) = self.unsent.pop_front() {
            if let Some(issued) = self.active.iter().find(|issued| issued.sequence == sequence) {
                return Some(*issued);
            }
        }
        None
    }

    /// Whether a connection ID waits to be announced.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The NEW_CONNECTION_ID with this sequence number was lost.
    pub fn on_lost(&mut self, sequence: u64) {
        if self.active.iter().any(|issued| issued.sequence == sequence) && !self.unsent.contains(&sequence) {
            self.unsent.push_back(sequence);
        }
    }

    /// The next change of routes.
    pub fn poll_route(&mut self) -> Option<Route> {
        self.routes.pop_front()
    }

    /// Withdraws every connection ID: the connection is gone.
    pub fn clear(&mut self) {
        for issued in self.active.drain(..).filter(|issued| !issued.id.is_empty()) {
            self.routes.push_back(Route::Remove(issued.id));
        }
        for (_, id) in self.lingering.drain(..) {
            self.routes.push_back(Route::Remove(id));
        }
        self.unsent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> ConnectionId {
        ConnectionId::new(&[byte; 8]).unwrap()
    }

    #[test]
    fn retiring_makes_room_and_is_checked() {
        let mut ids = LocalIds::new(id(0), [0; 16]);
        assert!(!ids.wants_more());
        ids.set_limit(2);
        assert!(ids.wants_more());
        ids.issue(id(1), [1; 16]);
        assert!(!ids.wants_more());
        assert_eq!(ids.next_unsent().map(|issued| issued.sequence), Some(1));
        assert!(ids.on_retire(2, &id(0), 9).is_err(), "never issued");
        assert!(ids.on_retire(0, &id(0), 9).is_err(), "the packet's own");
        assert_eq!(ids.on_retire(0, &id(1), 9), Ok(()));
        assert_eq!(ids.on_retire(0, &id(1), 9), Ok(()), "a second time is ignored");
        assert!(ids.wants_more() && !ids.contains(&id(0)));
        let routes = |ids: &mut LocalIds| core::iter::from_fn(|| ids.poll_route()).collect::<Vec<_>>();
        assert_eq!(routes(&mut ids), [Route::Add(id(0)), Route::Add(id(1))]);
        ids.on_timeout(8);
        assert_eq!(routes(&mut ids), [], "late packets still arrive");
        ids.on_timeout(9);
        assert_eq!(routes(&mut ids), [Route::Remove(id(0))]);
    }

    #[test]
    fn an_id_that_is_taken_is_replaced_until_there_is_no_point() {
        let mut ids = LocalIds::new(id(0), [0; 16]);
        ids.set_limit(2);
        ids.issue(id(1), [1; 16]);
        for n in 1..=8 {
            assert!(ids.replace(&id(n), id(n + 1), [n + 1; 16]));
        }
        assert!(!ids.replace(&id(9), id(10), [10; 16]));
        assert!(!ids.has_unsent() && ids.wants_more(), "it was withdrawn");
    }
}
