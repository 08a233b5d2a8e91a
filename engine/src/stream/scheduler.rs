//! Which stream sends next (RFC 9000 section 2.3).
//!
//! One heap holds the streams that have something to send, by [`Rank`]; the others cost nothing. As in
//! [`StreamQueue`](super::queue::StreamQueue) a stream knows its entry by a ticket, and leaving only voids it. Void
//! entries go when they come to the top, and all at once when they outnumber the others.

use alloc::collections::BinaryHeap;
use alloc::collections::binary_heap::PeekMut;
use core::cmp::Ordering;

use super::priority::Priority;
use super::queue::Ticket;
use crate::wire::StreamId;

/// A stream's place with the scheduler.
#[derive(Debug, Default)]
pub(super) struct Place {
    priority: Priority,
    ticket: Ticket,
    /// What the entry of the ticket stands for.
    pending: Pending,
}

impl Place {
    pub(super) fn priority(&self) -> Priority {
        self.priority
    }
}

/// What a stream has to send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Pending {
    #[default]
    Nothing,
    /// Data, or a FIN, that was never sent.
    New,
    /// Data, or a FIN, that was lost; perhaps new data too.
    Lost,
}

/// What goes first; see [`Priority`]. The smallest is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// From the top: the urgency, the send order turned round, whether the data is new, whether the stream is
    /// incremental. One number, because ranks are compared for every packet.
    level: u128,
    /// Of incremental streams the turn, of the others the ID.
    turn: u64,
}

impl Rank {
    const INCREMENTAL: u128 = 1;
    const NEW: u128 = 1 << 1;

    fn new(priority: Priority, pending: Pending, turn: u64) -> Self {
        let Priority { urgency, incremental, send_order } = priority;
        // The sign bit turned over puts integers in the order of unsigned ones; the complement turns that round.
        let send_order = !(send_order.cast_unsigned() ^ (1 << 63));
        let mut level = u128::from(urgency) << 66 | u128::from(send_order) << 2;
        if pending == Pending::New {
            level |= Self::NEW;
        }
        if incremental {
            level |= Self::INCREMENTAL;
        }
        Self { level, turn }
    }

    fn is_incremental(&self) -> bool {
        self.level & Self::INCREMENTAL != 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    rank: Rank,
    id: StreamId,
    ticket: Ticket,
}

impl Ord for Entry {
    /// The heap gives its largest: that of the smallest rank.
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank.cmp(&self.rank).then(other.ticket.cmp(&self.ticket))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// The streams that have something to send. At most twice as many entries, and a constant, as there are such streams.
#[derive(Debug, Default)]
pub(super) struct Scheduler {
    heap: BinaryHeap<Entry>,
    last_ticket: Ticket,
    last_turn: u64,
    live: usize,
}

impl Scheduler {
    /// Void entries below this number are not worth a sweep.
    const TOLERATED_VOID: usize = 64;

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Takes note of what the stream has to send.
    pub(super) fn update(&mut self, id: StreamId, place: &mut Place, pending: Pending) {
        if pending == place.pending {
            return;
        }
        if place.ticket.is_queued() {
            place.ticket = Ticket::default();
            self.live -= 1;
        }
        place.pending = pending;
        if pending == Pending::Nothing {
            if self.live == 0 {
                self.heap.clear();
            }
            return;
        }
        self.last_ticket = self.last_ticket.next();
        place.ticket = self.last_ticket;
        self.live += 1;
        let rank = self.rank(id, place);
        self.heap.push(Entry { rank, id, ticket: place.ticket });
    }

    /// Changes a stream's priority, from its next turn on.
    pub(super) fn set_priority(&mut self, id: StreamId, place: &mut Place, priority: Priority) {
        if priority == place.priority {
            return;
        }
        let pending = place.pending;
        self.update(id, place, Pending::Nothing);
        place.priority = priority;
        self.update(id, place, pending);
    }

    fn rank(&mut self, id: StreamId, place: &Place) -> Rank {
        let turn = if place.priority.incremental {
            self.last_turn += 1;
            self.last_turn
        } else {
            id.0
        };
        Rank::new(place.priority, place.pending, turn)
    }

    /// The stream whose turn it is. The turn may be void: then the caller skips it.
    pub(super) fn next(&self) -> Option<Turn> {
        self.heap.peek().map(|entry| Turn { id: entry.id, ticket: entry.ticket })
    }

    /// Drops the turn at the top, which is void.
    pub(super) fn skip(&mut self) {
        self.heap.pop();
    }

    /// The turn at the top was used and the stream has more to send: an incremental one goes behind its equals.
    pub(super) fn rotate(&mut self) {
        if self.live > 1
            && let Some(mut entry) = self.heap.peek_mut()
            && entry.rank.is_incremental()
        {
            self.last_turn += 1;
            entry.rank.turn = self.last_turn;
            // Dropping it puts it where it belongs now.
            drop::<PeekMut<'_, Entry>>(entry);
        }
    }

    /// Sweeps void entries out where they outnumber the others.
    pub(super) fn sweep<'a>(&mut self, place_of: impl Fn(StreamId) -> Option<&'a Place>) {
        if self.heap.len() > 2 * self.live + Self::TOLERATED_VOID {
            self.heap.retain(|entry| place_of(entry.id).is_some_and(|place| place.ticket == entry.ticket));
        }
    }
}

/// A stream's turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) id: StreamId,
    ticket: Ticket,
}

impl Turn {
    /// Whether the stream with this place still has this turn.
    pub(super) fn is_valid(&self, place: &Place) -> bool {
        self.ticket == place.ticket
    }
}
