//! Datagrams that wait for a connection: for the caller's decision about a first Initial, or, early data that came
//! before it, for that Initial itself.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::admission::First;
use crate::wire::{ConnectionId, Ecn, FourTuple, Time};

/// How long an Initial waits for a decision: as long as a client waits by default.
const DECISION_LIFETIME: Time = 10_000_000_000;
/// How long early data waits for its Initial: reordering on the way, or one retransmission (RFC 9000 section 5.2.2).
const EARLY_LIFETIME: Time = 1_000_000_000;
/// Connection IDs for which early data may wait at once.
const MAX_EARLY: usize = 64;
/// Datagrams for one connection ID.
const MAX_DATAGRAMS: usize = 16;
/// Bytes for one connection ID.
const MAX_BYTES: usize = 64 << 10;
/// Bytes in all.
const MAX_TOTAL_BYTES: usize = 8 << 20;

/// A datagram as it came.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: FourTuple,
    pub(super) ecn: Ecn,
    pub(super) datagram: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    /// Where the datagrams come from: others with the connection ID are not theirs.
    path: FourTuple,
    datagrams: Vec<Held>,
    bytes: usize,
    expires: Time,
    /// The Initial that waits for a decision, and the number of the question.
    question: Option<(u64, First)>,
}

/// What waits, by the connection ID that it was sent to. Sorted maps, as an endpoint's routes are.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    entries: BTreeMap<ConnectionId, Entry>,
    expiries: BTreeSet<(Time, ConnectionId)>,
    /// Questions that were not asked yet, by their numbers.
    unasked: BTreeSet<(u64, ConnectionId)>,
    questions: usize,
    next_question: u64,
    bytes: usize,
}

impl Waiting {
    /// Bytes held.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many Initials wait for a decision.
    pub(super) const fn questions(&self) -> usize {
        self.questions
    }

    /// When [`expire`](Self::expire) is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    /// Drops what has waited for too long.
    pub(super) fn expire(&mut self, now: Time) {
        while let Some((expires, id)) = self.expiries.first().copied()
            && expires <= now
        {
            self.remove(&id);
        }
    }

    /// Whether an Initial sent to `id` waits for a decision.
    pub(super) fn is_asked(&self, id: &ConnectionId) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.question.is_some())
    }

    /// Keeps early data, or more datagrams behind an Initial that waits. What does not fit is dropped: its sender
    /// sends it again, or does without.
    pub(super) fn hold(&mut self, now: Time, id: ConnectionId, held: Held) {
        let len = held.datagram.len();
        if self.bytes + len > MAX_TOTAL_BYTES {
            return;
        }
        if !self.entries.contains_key(&id) {
            if self.entries.len() - self.questions >= MAX_EARLY {
                return;
            }
            self.insert(id, held.path, now.saturating_add(EARLY_LIFETIME), None);
        }
        if let Some(entry) = self.entries.get_mut(&id)
            && entry.path == held.path
            && entry.datagrams.len() < MAX_DATAGRAMS
            && entry.bytes + len <= MAX_BYTES
        {
            entry.bytes += len;
            self.bytes += len;
            entry.datagrams.push(held);
        }
    }

    fn insert(&mut self, id: ConnectionId, path: FourTuple, expires: Time, question: Option<(u64, First)>) {
        let entry = Entry { path, datagrams: Vec::new(), bytes: 0, expires, question };
        self.entries.insert(id, entry);
        self.expiries.insert((expires, id));
    }

    /// Asks for a decision about an Initial, which `held` begins with. Early data that came before it waits with it.
    /// `false`, and nothing asked, where it does not fit.
    pub(super) fn ask(&mut self, now: Time, first: First, held: Held) -> bool {
        if held.datagram.len() > MAX_BYTES || self.bytes + held.datagram.len() > MAX_TOTAL_BYTES {
            return false;
        }
        let id = first.destination;
        let early = self.take_early(&id, held.path);
        self.insert(id, held.path, now.saturating_add(DECISION_LIFETIME), Some((self.next_question, first)));
        self.unasked.insert((self.next_question, id));
        self.next_question += 1;
        self.questions += 1;
        self.hold(now, id, held);
        early.into_iter().for_each(|held| self.hold(now, id, held));
        true
    }

    /// The next question that was not asked yet.
    pub(super) fn poll_question(&mut self) -> Option<(u64, First)> {
        let (_, id) = self.unasked.pop_first()?;
        self.entries.get(&id)?.question
    }

    /// The datagrams behind a question; `None` where it has expired.
    pub(super) fn answer(&mut self, question: u64, id: &ConnectionId) -> Option<Vec<Held>> {
        let entry = self.entries.get(id)?;
        if entry.question.is_some_and(|(number, _)| number == question) { self.remove(id) } else { None }
    }

    /// The early data for an Initial sent to `id` along `path`.
    pub(super) fn take_early(&mut self, id: &ConnectionId, path: FourTuple) -> Vec<Held> {
        let known = self.entries.get(id).is_some_and(|entry| entry.question.is_none());
        let mut datagrams = if known { self.remove(id).unwrap_or_default() } else { Vec::new() };
        datagrams.retain(|held| held.path == path);
        datagrams
    }

    fn remove(&mut self, id: &ConnectionId) -> Option<Vec<Held>> {
        let entry = self.entries.remove(id)?;
        self.expiries.remove(&(entry.expires, *id));
        self.bytes -= entry.bytes;
        if let Some((number, _)) = entry.question {
            self.unasked.remove(&(number, *id));
            self.questions -= 1;
        }
        Some(entry.datagrams)
    }
}
