//! Datagrams that arrived and were not read so far.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{DatagramEvent, DropPolicy, cost_of};

/// How many buffers are kept to be used again.
const MAX_SPARE: usize = 64;

/// A bounded queue of datagrams.
#[derive(Debug)]
pub(super) struct ReceiveQueue {
    limit: u64,
    policy: DropPolicy,
    datagrams: VecDeque<Vec<u8>>,
    /// The bytes of `datagrams`, overhead included. At most `limit`.
    cost: u64,
    /// Empty buffers.
    spare: Vec<Vec<u8>>,
    /// What the buffers take, the spare ones included.
    held: usize,
    /// Something arrived since [`DatagramEvent::Received`] was told.
    arrived: bool,
    /// How many were dropped since that was told.
    overflowed: u64,
}

impl ReceiveQueue {
    pub(super) const fn new(limit: u64, policy: DropPolicy) -> Self {
        Self {
            limit,
            policy,
            datagrams: VecDeque::new(),
            cost: 0,
            spare: Vec::new(),
            held: 0,
            arrived: false,
            overflowed: 0,
        }
    }

    /// Bytes of memory, in datagrams and spare.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        let cost = cost_of(data);
        let full = self.cost + cost > self.limit;
        if cost > self.limit || (full && self.policy == DropPolicy::Newest) {
            self.overflowed += 1;
            return;
        }
        while self.cost + cost > self.limit && self.consume() {
            self.overflowed += 1;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        self.held -= buffer.capacity();
        buffer.extend_from_slice(data);
        self.held += buffer.capacity();
        self.cost += cost;
        self.datagrams.push_back(buffer);
        self.arrived = true;
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.datagrams.pop_front()?;
        self.cost -= cost_of(&buffer);
        self.held -= buffer.capacity();
        Some(buffer)
    }

    pub(super) fn peek(&self) -> Option<&[u8]> {
        self.datagrams.front().map(Vec::as_slice)
    }

    pub(super) fn consume(&mut self) -> bool {
        let Some(mut buffer) = self.pop() else { return false };
        if self.spare.len() < MAX_SPARE && (self.held + buffer.capacity()) as u64 <= self.limit {
            buffer.clear();
            self.held += buffer.capacity();
            self.spare.push(buffer);
        }
        true
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.pop().map(Bytes::from)
    }

    pub(super) fn poll_event(&mut self) -> Option<DatagramEvent> {
        if self.overflowed > 0 {
            return Some(DatagramEvent::Overflowed { count: core::mem::take(&mut self.overflowed) });
        }
        // What was read meanwhile needs no telling.
        (core::mem::take(&mut self.arrived) && !self.datagrams.is_empty()).then_some(DatagramEvent::Received)
    }
}
