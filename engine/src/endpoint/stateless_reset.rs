//! Stateless resets, sent and received (RFC 9000 section 10.3).

use alloc::vec::Vec;

use super::Endpoint;
use super::reply::Reply;
use super::slots::ResetKeys;
use crate::crypto::Hash;
use crate::stateless::{self, MIN_RESET_LEN, RESET_TOKEN_LEN as TOKEN_LEN};
use crate::wire::{ConnectionId, FourTuple, Time};

/// A token of a peer, turned into something that nobody can foresee.
pub(super) type ResetKey = [u8; TOKEN_LEN];

impl Endpoint {
    /// Answers a packet with a short header for a connection that is not there.
    pub(super) fn send_stateless_reset(&mut self, now: Time, path: FourTuple, id: &ConnectionId, trigger_len: usize) {
        let Some(provider) = self.crypto.clone() else { return };
        if id.is_empty() || trigger_len <= MIN_RESET_LEN || !self.budgets.stateless_resets.take(now) {
            return;
        }
        // Which of two keys an unknown connection ID was issued under cannot be told: now the one, now the other is
        // taken, and a peer that goes on sending gets both. Two answers to one packet could grow without end.
        let key = match &self.previous_reset_key {
            Some(previous) if self.rng.u64() & 1 == 1 => previous,
            _ => &self.ids.reset_key,
        };
        let token = stateless::reset_token(provider.as_ref(), key, id);
        let reset = stateless::reset(&mut self.rng, &token, trigger_len);
        self.reply(reset.map(|datagram| Reply { datagram, path }));
    }

    /// Brings up to date by which stateless resets a connection is found. Does nothing where nothing has changed.
    pub(super) fn track_resets(&mut self, index: u32) {
        let (Some(keys), Some(connection)) = (self.slots.reset_keys(index), self.slots.connection(index)) else {
            return;
        };
        let remote = connection.path().remote;
        let sequences = || connection.reset_tokens().map(|(sequence, _)| sequence);
        let known = keys.keys.iter().map(|(sequence, _)| *sequence);
        if sequences().eq(known) && (keys.remote == Some(remote) || keys.keys.is_empty()) {
            return;
        }
        let tokens: Vec<_> = connection.reset_tokens().collect();
        let keys = tokens.iter().filter_map(|(sequence, token)| Some((*sequence, self.reset_key(token)?))).collect();
        let old = self.slots.set_reset_keys(index, ResetKeys { remote: Some(remote), keys });
        for (_, key) in old.keys {
            old.remote.map(|remote| self.resets.remove(&(remote, key)));
        }
        for (_, key) in self.slots.reset_keys(index).into_iter().flat_map(|keys| &keys.keys) {
            self.resets.insert((remote, *key), index);
        }
    }

    /// What a token of a peer is looked up by: how long that takes says nothing about the token (RFC 9000
    /// section 10.3.1).
    fn reset_key(&self, token: &[u8; TOKEN_LEN]) -> Option<ResetKey> {
        let mac = self.crypto.as_ref()?.hmac(Hash::Sha256, self.ids.reset_key.as_slice(), &[b"of a peer", token]);
        mac.as_slice().first_chunk().copied()
    }

    /// Gives a datagram for no connection ID of ours to the connection that it resets, if there is one: the bytes where
    /// its connection ID would be are random (RFC 9000 section 10.3.1). Tells whether there was one.
    pub(super) fn receive_stateless_reset(&mut self, now: Time, path: FourTuple, datagram: &[u8]) -> bool {
        let Some(token) = datagram.last_chunk().filter(|_| datagram.len() >= MIN_RESET_LEN) else { return false };
        let from_there = (path.remote, [0; TOKEN_LEN])..=(path.remote, [u8::MAX; TOKEN_LEN]);
        if self.resets.range(from_there).next().is_none() {
            return false;
        }
        let found = self.reset_key(token).and_then(|key| self.resets.get(&(path.remote, key)).copied());
        let Some(index) = found else { return false };
        let reset = self.slots.connection_mut(index).is_some_and(|it| it.receive_stateless_reset(now, token));
        self.touch(index);
        reset
    }
}
