//! Connections by number, with generations: a handle never reaches a later connection in the same place.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::connection::Connection;
use crate::wire::Time;

/// The low bits of a handle are the slot's index plus one, then comes its generation. The top bit stays clear, so that
/// handles are positive as `i32` too.
const INDEX_BITS: u32 = 20;
const GENERATIONS: u32 = 1 << (31 - INDEX_BITS);

/// How many slots handles can tell apart.
pub(super) const MAX_SLOTS: u32 = (1 << INDEX_BITS) - 1;

/// Names a connection of an endpoint. Void once the connection's `Drained` event was polled; a void handle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionHandle(u32);

impl ConnectionHandle {
    /// The handle with this number.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The handle's number: above 0, below 2^31.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }
}

/// Under which keys an endpoint finds the connection that a stateless reset is for.
#[derive(Debug, Default)]
pub(super) struct ResetKeys {
    /// The peer's address; `None` where there are none.
    pub(super) remote: Option<SocketAddr>,
    /// The sequence number of each connection ID that has a token, and what the token became.
    pub(super) keys: Vec<(u64, [u8; 16])>,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
    deadline: Option<Time>,
    memory: usize,
    ready: bool,
    eventful: bool,
    resets: ResetKeys,
    /// Whether it counts as a handshake under way.
    handshaking: bool,
    /// Whether the client is to get tokens.
    tokens_due: bool,
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, connection: Box<Connection>, memory: usize) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Slot { generation: slot.generation, connection: Some(connection), memory, ..Slot::default() };
        }
        index
    }

    /// Frees a slot. Returns the deadline and the memory that it was counted with.
    pub(super) fn remove(&mut self, index: u32) -> (Option<Time>, usize) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return (None, 0) };
        if slot.connection.take().is_none() {
            return (None, 0);
        }
        slot.generation = (slot.generation + 1) % GENERATIONS;
        self.free.push(index);
        (slot.deadline.take(), core::mem::take(&mut slot.memory))
    }

    pub(super) fn handle(&self, index: u32) -> ConnectionHandle {
        let generation = self.slots.get(index as usize).map_or(0, |slot| slot.generation);
        ConnectionHandle(generation << INDEX_BITS | (index + 1))
    }

    pub(super) fn index(&self, handle: ConnectionHandle) -> Option<u32> {
        let index = (handle.0 & MAX_SLOTS).checked_sub(1)?;
        let slot = self.slots.get(index as usize)?;
        (slot.connection.is_some() && slot.generation == handle.0 >> INDEX_BITS).then_some(index)
    }

    pub(super) fn get(&self, handle: ConnectionHandle) -> Option<&Connection> {
        let index = self.index(handle)?;
        self.slots.get(index as usize)?.connection.as_deref()
    }

    pub(super) fn connection(&self, index: u32) -> Option<&Connection> {
        self.slots.get(index as usize)?.connection.as_deref()
    }

    pub(super) fn connection_mut(&mut self, index: u32) -> Option<&mut Connection> {
        self.slots.get_mut(index as usize)?.connection.as_deref_mut()
    }

    /// Sets the mark, and tells whether it was set. A free slot counts as marked.
    pub(super) fn set_ready(&mut self, index: u32, ready: bool) -> bool {
        self.slots.get_mut(index as usize).is_none_or(|slot| core::mem::replace(&mut slot.ready, ready))
    }

    /// Sets the mark, and tells whether it was set. A free slot counts as marked.
    pub(super) fn set_eventful(&mut self, index: u32, eventful: bool) -> bool {
        self.slots.get_mut(index as usize).is_none_or(|slot| core::mem::replace(&mut slot.eventful, eventful))
    }

    pub(super) fn set_deadline(&mut self, index: u32, deadline: Option<Time>) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.deadline = deadline;
        }
    }

    pub(super) fn reset_keys(&self, index: u32) -> Option<&ResetKeys> {
        self.slots.get(index as usize).map(|slot| &slot.resets)
    }

    /// Sets the keys, and returns what they were.
    pub(super) fn set_reset_keys(&mut self, index: u32, keys: ResetKeys) -> ResetKeys {
        self.slots.get_mut(index as usize).map(|slot| core::mem::replace(&mut slot.resets, keys)).unwrap_or_default()
    }

    /// Sets the mark, and tells whether it was set.
    pub(super) fn set_handshaking(&mut self, index: u32, handshaking: bool) -> bool {
        self.slots.get_mut(index as usize).is_some_and(|slot| core::mem::replace(&mut slot.handshaking, handshaking))
    }

    pub(super) fn set_tokens_due(&mut self, index: u32, due: bool) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.tokens_due = due;
        }
    }

    pub(super) fn are_tokens_due(&self, index: u32) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| slot.tokens_due)
    }

    /// Sets deadline and memory, and returns what they were.
    pub(super) fn update(&mut self, index: u32, deadline: Option<Time>, memory: usize) -> (Option<Time>, usize) {
        match self.slots.get_mut(index as usize) {
            Some(slot) => {
                (core::mem::replace(&mut slot.deadline, deadline), core::mem::replace(&mut slot.memory, memory))
            }
            None => (None, 0),
        }
    }
}
