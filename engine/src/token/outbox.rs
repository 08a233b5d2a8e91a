use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Tokens that wait to be sent or acknowledged, or to be told, at once.
pub(super) const MAX_TOKENS: usize = 8;

#[derive(Debug)]
struct Entry {
    sequence: u64,
    token: Vec<u8>,
    unsent: bool,
}

/// The tokens that a server gives its client in NEW_TOKEN frames, until they are acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: Vec<Entry>,
    next_sequence: u64,
}

impl Outbox {
    /// Queues a token. `false`, and nothing queued, where as many as may wait do.
    pub(crate) fn push(&mut self, token: Vec<u8>) -> bool {
        if self.entries.len() >= MAX_TOKENS {
            return false;
        }
        self.entries.push(Entry { sequence: self.next_sequence, token, unsent: true });
        self.next_sequence += 1;
        true
    }

    /// Whether a token waits to be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        self.entries.iter().any(|entry| entry.unsent)
    }

    /// The next token to send where it has at most `max` bytes, counted as sent, with the number to name it by.
    pub(crate) fn next(&mut self, max: usize) -> Option<(u64, &[u8])> {
        let entry = self.entries.iter_mut().find(|entry| entry.unsent && entry.token.len() <= max)?;
        entry.unsent = false;
        Some((entry.sequence, &entry.token))
    }

    pub(crate) fn on_acked(&mut self, sequence: u64) {
        self.entries.retain(|entry| entry.sequence != sequence);
    }

    pub(crate) fn on_lost(&mut self, sequence: u64) {
        self.entries.iter_mut().filter(|entry| entry.sequence == sequence).for_each(|entry| entry.unsent = true);
    }
}

/// The tokens that a client got and that were not told yet. Where there are too many the oldest goes: the newest lives
/// longest.
#[derive(Debug, Default)]
pub(crate) struct Inbox(VecDeque<Vec<u8>>);

impl Inbox {
    pub(crate) fn push(&mut self, token: &[u8]) {
        // A server may send a token again whose acknowledgment was lost (RFC 9000 section 19.7).
        if token.len() > super::MAX_LEN || self.0.iter().any(|known| known == token) {
            return;
        }
        if self.0.len() >= MAX_TOKENS {
            self.0.pop_front();
        }
        self.0.push_back(Vec::from(token));
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.0.pop_front()
    }
}
