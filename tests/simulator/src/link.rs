//! One direction of a path: a queue before a transmitter of a certain rate, and the way behind it.
//!
//! Invariants: the fate of a datagram depends on the seed, the conditions and the datagrams before it, and on nothing
//! else; every datagram that entered, and every copy, is delivered, dropped for a reason, or still inside; what arrives
//! at one moment arrives in the order in which it was sent.

use std::collections::BTreeMap;

use quillon::rng::Rng;
use quillon::{Ecn, FourTuple, Time};

use crate::MILLISECOND;
use crate::chance::{Chance, Loss, below};
use crate::queue::{Discipline, Head, Queue};

/// A UDP datagram under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its addresses, as its sender's end of the network shows them: `local` is where it came from.
    pub path: FourTuple,
    /// Its ECN codepoint.
    pub ecn: Ecn,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

/// What a link does to datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Bits of UDP payload per second; 0 for no limit.
    pub rate: u64,
    /// How long a datagram is under way behind the transmitter, in nanoseconds.
    pub delay: Time,
    /// How much longer it may be under way, evenly distributed; order is kept.
    pub jitter: Time,
    /// The probability that a datagram is held back, so that those after it overtake it.
    pub reordering: Chance,
    /// How long such a datagram is held back at most.
    pub reordering_delay: Time,
    /// The probability that a datagram arrives twice.
    pub duplication: Chance,
    /// The probability that one byte of a datagram arrives changed.
    pub corruption: Chance,
    /// Which datagrams are lost.
    pub loss: Loss,
    /// The largest UDP payload that is carried.
    pub mtu: usize,
    /// Bytes that may wait for the transmitter.
    pub queue: usize,
    /// What keeps the queue short.
    pub discipline: Discipline,
}

impl Conditions {
    /// 10 ms each way, no limit to the rate, datagrams of up to 1472 bytes, and nothing goes wrong.
    pub const PERFECT: Self = Self {
        rate: 0,
        delay: 10 * MILLISECOND,
        jitter: 0,
        reordering: Chance::NEVER,
        reordering_delay: 0,
        duplication: Chance::NEVER,
        corruption: Chance::NEVER,
        loss: Loss::None,
        mtu: 1472,
        queue: 1 << 30,
        discipline: Discipline::DropTail,
    };

    /// A link of `rate` bits per second, `delay` nanoseconds long, before which half of what a round trip of twice the
    /// delay carries may wait.
    #[must_use]
    pub const fn bottleneck(rate: u64, delay: Time) -> Self {
        let queue = (rate / 8 * delay / crate::SECOND) as usize;
        Self { rate, delay, queue: if queue < 15_000 { 15_000 } else { queue }, ..Self::PERFECT }
    }
}

/// Where datagrams went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that entered.
    pub entered: u64,
    /// Copies made on the way.
    pub duplicated: u64,
    /// Those that left at the far end, copies included.
    pub delivered: u64,
    /// Bytes of those.
    pub delivered_bytes: u64,
    /// Lost at random.
    pub lost: u64,
    /// Swallowed while the link was dead.
    pub swallowed: u64,
    /// Larger than the link carries.
    pub too_large: u64,
    /// Dropped because the queue was full.
    pub overflowed: u64,
    /// Dropped by the queue's discipline.
    pub shed: u64,
    /// Delivered with a changed byte.
    pub corrupted: u64,
}

impl Counts {
    /// All that were dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.lost + self.swallowed + self.too_large + self.overflowed + self.shed
    }
}

/// One direction of a path.
#[derive(Debug)]
pub struct Link {
    /// What happens to datagrams from now on.
    pub conditions: Conditions,
    rng: Rng,
    bad: bool,
    dead_until: Time,
    queue: Queue,
    /// What is on the transmitter, and when it will have left it.
    transmitting: Option<(Time, Datagram)>,
    /// The sequence number tells apart what arrives at one moment.
    flying: BTreeMap<(Time, u64), Datagram>,
    launched: u64,
    /// No datagram that is not held back arrives before this.
    last_arrival: Time,
    counts: Counts,
}

impl Link {
    /// A link whose misfortunes come from `rng`.
    #[must_use]
    pub fn new(conditions: Conditions, rng: Rng) -> Self {
        Self {
            conditions,
            rng,
            bad: false,
            dead_until: 0,
            queue: Queue::default(),
            transmitting: None,
            flying: BTreeMap::new(),
            launched: 0,
            last_arrival: 0,
            counts: Counts::default(),
        }
    }

    /// Where datagrams went so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Datagrams that were marked.
    #[must_use]
    pub const fn marked(&self) -> u64 {
        self.queue.marked()
    }

    /// How many are inside.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.queue.len() + usize::from(self.transmitting.is_some()) + self.flying.len()
    }

    /// Swallows everything that enters before `until`.
    pub const fn die(&mut self, until: Time) {
        self.dead_until = until;
    }

    /// When something happens next; `None` where nothing is inside.
    #[must_use]
    pub fn next_event(&self) -> Option<Time> {
        let arrival = self.flying.keys().next().map(|(time, _)| *time);
        let transmitted = self.transmitting.as_ref().map(|(time, _)| *time);
        [arrival, transmitted].into_iter().flatten().min()
    }

    /// A datagram enters.
    pub fn send(&mut self, now: Time, datagram: Datagram) {
        self.counts.entered += 1;
        if now < self.dead_until {
            self.counts.swallowed += 1;
        } else if datagram.bytes.len() > self.conditions.mtu {
            self.counts.too_large += 1;
        } else if self.conditions.loss.takes(&mut self.bad, &mut self.rng) {
            self.counts.lost += 1;
        } else if self.conditions.rate == 0 && self.transmitting.is_none() && self.queue.is_empty() {
            self.fly(now, datagram);
        } else if self.queue.push(now, datagram, self.conditions.queue, self.conditions.discipline).is_err() {
            self.counts.overflowed += 1;
        } else if self.transmitting.is_none() {
            self.transmit_next(now);
        }
    }

    /// Lets happen what is due at `now`.
    pub fn advance(&mut self, now: Time) {
        while let Some((done, datagram)) = self.transmitting.take_if(|(done, _)| *done <= now) {
            self.fly(done, datagram);
            self.transmit_next(done);
        }
    }

    /// A datagram that has arrived by `now`, the earliest first.
    pub fn receive(&mut self, now: Time) -> Option<Datagram> {
        let first = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        let datagram = first.remove();
        self.counts.delivered += 1;
        self.counts.delivered_bytes += datagram.bytes.len() as u64;
        Some(datagram)
    }

    /// Checks that every datagram is accounted for.
    ///
    /// # Panics
    /// Where one is not.
    pub fn check(&self) {
        let counts = self.counts;
        let (came, gone) = (counts.entered + counts.duplicated, counts.delivered + counts.dropped());
        assert_eq!(came, gone + self.inside() as u64, "datagrams vanish or appear on a link: {counts:?}");
    }

    fn transmit_next(&mut self, now: Time) {
        while let Some(head) = self.queue.pop(now, self.conditions.discipline) {
            match head {
                Head::Drop(_) => self.counts.shed += 1,
                Head::Send(datagram) => {
                    let bits = datagram.bytes.len() as u64 * 8;
                    let takes = (bits * crate::SECOND).checked_div(self.conditions.rate).unwrap_or(0);
                    self.transmitting = Some((now + takes, datagram));
                    return;
                }
            }
        }
    }

    fn fly(&mut self, now: Time, mut datagram: Datagram) {
        if self.conditions.duplication.happens(&mut self.rng) {
            self.counts.duplicated += 1;
            self.launch(now, datagram.clone());
        }
        if !datagram.bytes.is_empty() && self.conditions.corruption.happens(&mut self.rng) {
            self.counts.corrupted += 1;
            let at = below(&mut self.rng, datagram.bytes.len() as u64) as usize;
            datagram.bytes[at] ^= 1 + below(&mut self.rng, 255) as u8;
        }
        self.launch(now, datagram);
    }

    fn launch(&mut self, now: Time, datagram: Datagram) {
        let conditions = self.conditions;
        let mut arrival = now + conditions.delay;
        if conditions.jitter > 0 {
            arrival += below(&mut self.rng, conditions.jitter + 1);
        }
        if conditions.reordering.happens(&mut self.rng) {
            arrival = arrival.max(self.last_arrival) + 1 + below(&mut self.rng, conditions.reordering_delay);
        } else {
            arrival = arrival.max(self.last_arrival);
            self.last_arrival = arrival;
        }
        self.flying.insert((arrival, self.launched), datagram);
        self.launched += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SECOND;

    fn datagram(number: u32) -> Datagram {
        let address = "127.0.0.1:1".parse().expect("an address");
        let mut bytes = vec![0; 1_000];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        Datagram { path: FourTuple { local: address, remote: address }, ecn: Ecn::Ect0, bytes }
    }

    /// Sends so many datagrams, one each `every` nanoseconds: what arrives, and when.
    fn arrivals(link: &mut Link, count: u32, every: Time) -> Vec<(Time, Datagram)> {
        let (mut out, mut now) = (Vec::new(), 0);
        let mut next = 0;
        loop {
            let entry = (next < count).then(|| u64::from(next) * every);
            let Some(at) = [entry, link.next_event()].into_iter().flatten().min() else { return out };
            now = at.max(now);
            link.advance(now);
            while let Some(datagram) = link.receive(now) {
                out.push((now, datagram));
            }
            if entry.is_some_and(|entry| entry <= now) {
                link.send(now, datagram(next));
                next += 1;
            }
            link.check();
        }
    }

    fn link(conditions: Conditions) -> Link {
        Link::new(conditions, Rng::from_seed([1; 32]))
    }

    #[test]
    fn a_transmitter_takes_its_time_for_each_datagram() {
        // 1,000 bytes at 8 Mbit/s: one a millisecond.
        let mut link = link(Conditions { rate: 8_000_000, ..Conditions::PERFECT });
        let arrived = arrivals(&mut link, 100, 0);
        for (at, (time, found)) in (0u32..).zip(&arrived) {
            assert_eq!((*time, found), (u64::from(at + 1) * MILLISECOND + 10 * MILLISECOND, &datagram(at)));
        }
        assert_eq!(arrived.len(), 100);
    }

    #[test]
    fn a_full_queue_drops_what_comes_last() {
        let mut link = link(Conditions { rate: 8_000_000, queue: 10_000, ..Conditions::PERFECT });
        // One is on the transmitter.
        assert_eq!(arrivals(&mut link, 100, 0).len(), 11);
        assert_eq!(link.counts().overflowed, 89);
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let jitter = Conditions { jitter: 20 * MILLISECOND, ..Conditions::PERFECT };
        let numbers = |conditions| {
            let arrived = arrivals(&mut link(conditions), 500, MILLISECOND);
            arrived.into_iter().map(|(_, datagram)| datagram.bytes).collect::<Vec<_>>()
        };
        assert!(numbers(jitter).is_sorted());
        let reordering =
            Conditions { reordering: Chance::percent(10), reordering_delay: 20 * MILLISECOND, ..Conditions::PERFECT };
        assert!(!numbers(reordering).is_sorted());
        assert_eq!(numbers(reordering).len(), 500);
    }

    #[test]
    fn each_misfortune_is_counted_and_the_same_again() {
        let bad = Conditions {
            duplication: Chance::percent(10),
            corruption: Chance::percent(10),
            loss: Loss::Random(Chance::percent(10)),
            ..Conditions::PERFECT
        };
        let (mut one, mut other) = (link(bad), link(bad));
        assert_eq!(arrivals(&mut one, 1_000, MILLISECOND), arrivals(&mut other, 1_000, MILLISECOND));
        let counts = one.counts();
        assert!((60..140).contains(&counts.lost) && (60..140).contains(&counts.duplicated), "{counts:?}");
        assert!((60..140).contains(&counts.corrupted), "{counts:?}");
        let mut small = link(Conditions { mtu: 999, ..Conditions::PERFECT });
        assert!(arrivals(&mut small, 10, 0).is_empty());
        assert_eq!(small.counts().too_large, 10);
        let mut dead = link(Conditions::PERFECT);
        dead.die(SECOND);
        assert_eq!(arrivals(&mut dead, 2_000, MILLISECOND).len(), 1_000);
    }

    #[test]
    fn codel_keeps_the_wait_short_where_a_plain_queue_lets_it_grow() {
        // 20 % more than fits, for 5 s.
        let wait = |discipline| {
            let mut link = link(Conditions { rate: 8_000_000, queue: 1 << 20, discipline, ..Conditions::PERFECT });
            let arrived = arrivals(&mut link, 6_000, MILLISECOND * 5 / 6);
            let (time, last) = &arrived[arrived.len() * 3 / 4];
            let number = u32::from_be_bytes(last.bytes[..4].try_into().expect("four bytes"));
            (time - u64::from(number) * MILLISECOND * 5 / 6, link.counts(), link.marked())
        };
        let (plain, counts, _) = wait(Discipline::DropTail);
        assert_eq!(counts.dropped(), 0);
        assert!(plain > 500 * MILLISECOND, "{plain}");
        let (codel, counts, marked) = wait(Discipline::codel(false));
        assert!(codel < plain / 2 && counts.shed > 20 && marked == 0, "{codel} {counts:?}");
        let (_, counts, marked) = wait(Discipline::codel(true));
        assert!(counts.dropped() == 0 && marked > 20, "{counts:?} {marked}");
        let (_, counts, marked) = wait(Discipline::Mark { threshold: 10_000 });
        assert!(counts.dropped() == 0 && marked > 5_000, "{counts:?} {marked}");
    }
}
