//! Which stream sends next (RFC 9000 section 2.3).
//!
//! Lost data goes before new data (RFC 9000 section 13.3); within each, streams take turns, a frame at a time.

use super::queue::{StreamQueue, Ticket};
use crate::wire::StreamId;

/// A stream's places with the scheduler.
#[derive(Debug, Default)]
pub(super) struct Places {
    lost: Ticket,
    new: Ticket,
}

/// What a stream has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Nothing,
    /// Data, or a FIN, that was never sent.
    New,
    /// Data, or a FIN, that was lost; perhaps new data too.
    Lost,
}

/// The streams that have something to send.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    lost: StreamQueue,
    new: StreamQueue,
}

impl Scheduler {
    pub(super) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.new.is_empty()
    }

    /// Takes note of what the stream has to send.
    pub(super) fn update(&mut self, id: StreamId, places: &mut Places, pending: Pending) {
        self.lost.set(id, &mut places.lost, pending == Pending::Lost);
        self.new.set(id, &mut places.new, pending == Pending::New);
    }

    /// The stream whose turn it is. The turn may be void: then the caller skips it.
    pub(super) fn next(&self) -> Option<Turn> {
        let (queue, lost) = if self.lost.is_empty() { (&self.new, false) } else { (&self.lost, true) };
        let (id, ticket) = queue.front()?;
        Some(Turn { id, ticket, lost })
    }

    /// Drops a turn that is void.
    pub(super) fn skip(&mut self, turn: &Turn) {
        self.queue_of(turn).drop_void_front();
    }

    /// The turn was used and the stream has more to send: it goes to the back.
    pub(super) fn rotate(&mut self, turn: &Turn) {
        self.queue_of(turn).rotate();
    }

    fn queue_of(&mut self, turn: &Turn) -> &mut StreamQueue {
        if turn.lost { &mut self.lost } else { &mut self.new }
    }

    pub(super) fn sweep<'a>(&mut self, places_of: impl Fn(StreamId) -> Option<&'a Places>) {
        self.lost.sweep(|id, ticket| places_of(id).is_some_and(|places| places.lost == ticket));
        self.new.sweep(|id, ticket| places_of(id).is_some_and(|places| places.new == ticket));
    }
}

/// A stream's turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) id: StreamId,
    ticket: Ticket,
    lost: bool,
}

impl Turn {
    /// Whether the stream with these places still has this turn.
    pub(super) fn is_valid(&self, places: &Places) -> bool {
        self.ticket == if self.lost { places.lost } else { places.new }
    }
}
