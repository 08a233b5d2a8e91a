//! First-in, first-out queues of streams.
//!
//! A stream is in a queue at most once and knows it by its [`Ticket`]. Leaving early only voids the ticket: no
//! search. Void entries go when they come to the front, and all at once when they outnumber the others.

use alloc::collections::VecDeque;

use crate::wire::StreamId;

/// A stream's place in one queue; the default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

impl Ticket {
    const NONE: Self = Self(0);

    /// The ticket after this one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(super) fn is_queued(self) -> bool {
        self != Self::NONE
    }
}

/// A queue of streams. At most twice as many entries, and a constant, as it has streams.
#[derive(Debug, Default)]
pub(super) struct StreamQueue {
    entries: VecDeque<(StreamId, Ticket)>,
    last_ticket: Ticket,
    live: usize,
}

impl StreamQueue {
    /// Void entries below this number are not worth a sweep.
    const TOLERATED_VOID: usize = 64;

    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Puts the stream in, at the back, or takes it out; nothing where that is so already.
    #[inline]
    pub(super) fn set(&mut self, id: StreamId, ticket: &mut Ticket, queued: bool) {
        if queued == ticket.is_queued() {
            return;
        }
        if queued {
            self.last_ticket = self.last_ticket.next();
            *ticket = self.last_ticket;
            self.entries.push_back((id, *ticket));
            self.live += 1;
        } else {
            *ticket = Ticket::NONE;
            self.live -= 1;
            if self.live == 0 {
                self.entries.clear();
            }
        }
    }

    /// The entry at the front. Its ticket may be void: then the caller drops it.
    pub(super) fn front(&self) -> Option<(StreamId, Ticket)> {
        self.entries.front().copied()
    }

    /// Drops the entry at the front, whose ticket is void.
    pub(super) fn drop_void_front(&mut self) {
        self.entries.pop_front();
    }

    /// Sweeps void entries out where they outnumber the others.
    pub(super) fn sweep(&mut self, is_valid: impl Fn(StreamId, Ticket) -> bool) {
        if self.entries.len() > 2 * self.live + Self::TOLERATED_VOID {
            self.entries.retain(|(id, ticket)| is_valid(*id, *ticket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_and_returning_moves_to_the_back() {
        let mut queue = StreamQueue::default();
        let mut tickets = [Ticket::default(); 3];
        for (id, ticket) in tickets.iter_mut().enumerate() {
            queue.set(StreamId(id as u64), ticket, true);
        }
        queue.set(StreamId(0), &mut tickets[0], false);
        queue.set(StreamId(0), &mut tickets[0], true);
        let mut order = [9; 3];
        for slot in &mut order {
            while queue.front().is_some_and(|(id, ticket)| tickets[id.0 as usize] != ticket) {
                queue.drop_void_front();
            }
            let (id, _) = queue.front().unwrap_or((StreamId(9), Ticket::NONE));
            *slot = id.0;
            queue.set(id, &mut tickets[id.0 as usize], false);
        }
        assert_eq!(order, [1, 2, 0]);
        assert!(queue.is_empty() && queue.front().is_none());
    }

    #[test]
    fn void_entries_do_not_pile_up() {
        let mut queue = StreamQueue::default();
        let mut stays = Ticket::default();
        queue.set(StreamId(0), &mut stays, true);
        for id in 1..10_000 {
            let mut ticket = Ticket::default();
            queue.set(StreamId(id), &mut ticket, true);
            queue.set(StreamId(id), &mut ticket, false);
            queue.sweep(|id, ticket| id == StreamId(0) && ticket == stays);
        }
        assert!(queue.entries.len() <= 2 + StreamQueue::TOLERATED_VOID + 1);
    }
}
