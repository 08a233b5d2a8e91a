//! What a link does with datagrams that wait for it.

use std::collections::VecDeque;

use quillon::{Ecn, Time};

use crate::MILLISECOND;
use crate::link::Datagram;

/// How a queue keeps itself short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Only what does not fit is dropped.
    DropTail,
    /// CoDel (RFC 8289): drops at the head while datagrams have waited too long for too long.
    CoDel {
        /// The wait that is accepted for ever.
        target: Time,
        /// How long a longer wait is accepted.
        interval: Time,
        /// Marks datagrams of ECN-capable transports instead of dropping them.
        ecn: bool,
    },
    /// Marks arriving datagrams of ECN-capable transports while more than `threshold` bytes wait. Others are dropped
    /// only where they do not fit.
    Mark {
        /// Bytes that may wait without a mark.
        threshold: usize,
    },
}

impl Discipline {
    /// CoDel with the constants of RFC 8289 section 4.
    #[must_use]
    pub const fn codel(ecn: bool) -> Self {
        Self::CoDel { target: 5 * MILLISECOND, interval: 100 * MILLISECOND, ecn }
    }
}

/// What leaves the head of a queue.
#[derive(Debug)]
pub enum Head {
    /// It is sent.
    Send(Datagram),
    /// The discipline dropped it.
    Drop(Datagram),
}

/// Datagrams that wait.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: VecDeque<(Time, Datagram)>,
    bytes: usize,
    marked: u64,
    /// CoDel: when the wait has been too long for an interval, if it is too long now.
    too_long_at: Option<Time>,
    /// CoDel: whether it drops, the next time to, and how often it did.
    dropping: bool,
    drop_next: Time,
    drops: u64,
    last_drops: u64,
}

impl Queue {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many were marked.
    #[must_use]
    pub const fn marked(&self) -> u64 {
        self.marked
    }

    /// Lets a datagram wait; `Err` where it does not fit.
    ///
    /// # Errors
    /// The datagram.
    pub fn push(
        &mut self,
        now: Time,
        mut datagram: Datagram,
        capacity: usize,
        discipline: Discipline,
    ) -> Result<(), Datagram> {
        if self.bytes + datagram.bytes.len() > capacity {
            return Err(datagram);
        }
        if let Discipline::Mark { threshold } = discipline
            && self.bytes > threshold
        {
            self.mark(&mut datagram);
        }
        self.bytes += datagram.bytes.len();
        self.waiting.push_back((now, datagram));
        Ok(())
    }

    /// Takes the next datagram out, to be sent or dropped; `None` when none waits.
    pub fn pop(&mut self, now: Time, discipline: Discipline) -> Option<Head> {
        let (since, datagram) = self.waiting.pop_front()?;
        self.bytes -= datagram.bytes.len();
        match discipline {
            Discipline::CoDel { target, interval, ecn } => {
                let late = self.is_late(now, since, target, interval);
                Some(self.codel(now, interval, late, ecn, datagram))
            }
            Discipline::DropTail | Discipline::Mark { .. } => Some(Head::Send(datagram)),
        }
    }

    /// RFC 8289 section 5.5: whether the wait has been above the target for an interval.
    fn is_late(&mut self, now: Time, since: Time, target: Time, interval: Time) -> bool {
        if now.saturating_sub(since) < target || self.bytes < 1500 {
            self.too_long_at = None;
            return false;
        }
        *self.too_long_at.get_or_insert(now + interval) <= now
    }

    fn codel(&mut self, now: Time, interval: Time, late: bool, ecn: bool, mut datagram: Datagram) -> Head {
        if !late {
            self.dropping = false;
            return Head::Send(datagram);
        }
        if self.dropping {
            if now < self.drop_next {
                return Head::Send(datagram);
            }
            self.drops += 1;
        } else {
            // RFC 8289 section 5.4: after a short pause it goes on where it was.
            let recent = self.drops.saturating_sub(self.last_drops);
            let again = recent > 1 && now.saturating_sub(self.drop_next) < 16 * interval;
            self.drops = if again { recent } else { 1 };
            self.last_drops = self.drops;
            self.dropping = true;
            self.drop_next = now;
        }
        self.drop_next += interval * 1_000 / (self.drops * 1_000_000).isqrt();
        if ecn && self.mark(&mut datagram) { Head::Send(datagram) } else { Head::Drop(datagram) }
    }

    /// Marks a datagram of an ECN-capable transport (RFC 3168).
    fn mark(&mut self, datagram: &mut Datagram) -> bool {
        if datagram.ecn == Ecn::NotEct {
            return false;
        }
        datagram.ecn = Ecn::Ce;
        self.marked += 1;
        true
    }
}
