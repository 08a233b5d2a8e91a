use alloc::collections::BTreeSet;

use super::Ticket;
use super::seal::SALT_LEN;

/// The tokens that were used, as many as fit, by the time at which they were issued.
///
/// Where there are too many the oldest is forgotten, and with it every token issued until then: they count as used.
#[derive(Debug)]
pub(super) struct Spent {
    tickets: BTreeSet<(u64, [u8; SALT_LEN])>,
    capacity: usize,
    /// Tokens issued until then count as used.
    horizon: Option<u64>,
}

impl Spent {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { tickets: BTreeSet::new(), capacity, horizon: None }
    }

    pub(super) fn contains(&self, ticket: &Ticket) -> bool {
        self.horizon.is_some_and(|horizon| ticket.issued <= horizon)
            || self.tickets.contains(&(ticket.issued, ticket.salt))
    }

    /// Remembers a token. Those issued before `expired` need not be remembered any more.
    pub(super) fn insert(&mut self, ticket: Ticket, expired: u64) {
        while self.tickets.first().is_some_and(|(issued, _)| *issued < expired) {
            self.tickets.pop_first();
        }
        self.tickets.insert((ticket.issued, ticket.salt));
        while self.tickets.len() > self.capacity
            && let Some((issued, _)) = self.tickets.pop_first()
        {
            self.horizon = self.horizon.max(Some(issued));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forgotten_counts_as_used() {
        let ticket = |issued, byte| Ticket { issued, salt: [byte; SALT_LEN] };
        let mut spent = Spent::new(2);
        for (issued, byte) in [(20, 1), (10, 2), (30, 3)] {
            assert!(!spent.contains(&ticket(issued, byte)));
            spent.insert(ticket(issued, byte), 0);
            assert!(spent.contains(&ticket(issued, byte)));
        }
        assert!(spent.contains(&ticket(10, 9)), "as old as the forgotten one");
        assert!(!spent.contains(&ticket(11, 9)));
        spent.insert(ticket(100, 4), 50);
        assert_eq!(spent.tickets.len(), 1, "the expired ones are gone");
    }
}
