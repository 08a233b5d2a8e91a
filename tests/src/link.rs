//! One direction of a simulated path: datagrams in flight under seeded misfortune.
//!
//! Invariants: the fate of a datagram depends on the seed, the conditions and the datagrams before it, and on nothing
//! else; what arrives at one moment arrives in the order in which it was sent.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use quillon::rng::Rng;
use quillon::{Ecn, FourTuple, Time};

/// What happens to datagrams on their way. Probabilities are 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// How long a datagram takes.
    pub latency: Duration,
    /// How much longer it may take, evenly distributed: datagrams sent within this time overtake each other.
    pub jitter: Duration,
    /// The probability that a datagram is lost.
    pub loss: f64,
    /// The probability that a datagram arrives twice.
    pub duplication: f64,
    /// The probability that one of a datagram's bytes arrives changed.
    pub corruption: f64,
    /// The largest datagram that is carried; larger ones are lost.
    pub mtu: usize,
}

impl Conditions {
    /// 10 ms each way, datagrams of up to 1500 bytes, and nothing goes wrong.
    pub const PERFECT: Self = Self {
        latency: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0.0,
        duplication: 0.0,
        corruption: 0.0,
        mtu: 1500,
    };
}

/// A datagram in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The path as its sender sees it.
    pub path: FourTuple,
    /// Its ECN codepoint.
    pub ecn: Ecn,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

/// Changes a datagram on its way; it is told how many were sent before this one.
pub type Tamper = Box<dyn FnMut(u64, &mut Vec<u8>) + Send>;

/// One direction of a path.
pub struct Link {
    /// What happens to datagrams that are sent from now on.
    pub conditions: Conditions,
    rng: Rng,
    tamper: Option<Tamper>,
    sent: u64,
    launched: u64,
    // The sequence number tells apart what arrives at one moment.
    in_flight: BTreeMap<(Time, u64), Datagram>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("conditions", &self.conditions)
            .field("sent", &self.sent)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A link whose misfortunes follow from `seed`.
    #[must_use]
    pub fn new(conditions: Conditions, seed: [u8; 32]) -> Self {
        Self { conditions, rng: Rng::from_seed(seed), tamper: None, sent: 0, launched: 0, in_flight: BTreeMap::new() }
    }

    /// Lets `tamper` change each datagram that is sent from now on.
    pub fn tamper(&mut self, tamper: impl FnMut(u64, &mut Vec<u8>) + Send + 'static) {
        self.tamper = Some(Box::new(tamper));
    }

    /// Sends a datagram.
    pub fn send(&mut self, now: Time, mut datagram: Datagram) {
        if let Some(tamper) = &mut self.tamper {
            tamper(self.sent, &mut datagram.bytes);
        }
        self.sent += 1;
        if datagram.bytes.len() > self.conditions.mtu || self.happens(self.conditions.loss) {
            return;
        }
        if self.happens(self.conditions.duplication) {
            self.launch(now, datagram.clone());
        }
        self.launch(now, datagram);
    }

    /// When the next datagram arrives; `None` when none is in flight.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Time> {
        self.in_flight.keys().next().map(|&(time, _)| time)
    }

    /// A datagram that has arrived by `now`, the earliest first.
    pub fn receive(&mut self, now: Time) -> Option<Datagram> {
        if self.next_arrival()? > now {
            return None;
        }
        self.in_flight.pop_first().map(|(_, datagram)| datagram)
    }

    /// Loses everything in flight.
    pub fn clear(&mut self) {
        self.in_flight.clear();
    }

    fn launch(&mut self, now: Time, mut datagram: Datagram) {
        if self.happens(self.conditions.corruption) && !datagram.bytes.is_empty() {
            let at = self.below(datagram.bytes.len() as u64) as usize;
            datagram.bytes[at] ^= 1 + self.below(255) as u8;
        }
        let jitter = self.below(self.conditions.jitter.as_nanos() as u64 + 1);
        let arrival = now + self.conditions.latency.as_nanos() as Time + jitter;
        self.in_flight.insert((arrival, self.launched), datagram);
        self.launched += 1;
    }

    fn happens(&mut self, probability: f64) -> bool {
        // 53 bits: what a f64 holds exactly.
        ((self.rng.u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.u64() % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(byte: u8) -> Datagram {
        let address = "127.0.0.1:1".parse().expect("an address");
        Datagram { path: FourTuple { local: address, remote: address }, ecn: Ecn::NotEct, bytes: vec![byte; 100] }
    }

    fn arrivals(conditions: Conditions) -> Vec<Vec<u8>> {
        let mut link = Link::new(conditions, [1; 32]);
        for byte in 0..100 {
            link.send(u64::from(byte), datagram(byte));
        }
        std::iter::from_fn(|| link.receive(Time::MAX)).map(|datagram| datagram.bytes).collect()
    }

    #[test]
    fn a_perfect_link_keeps_order_and_content() {
        let sent: Vec<_> = (0..100).map(|byte| datagram(byte).bytes).collect();
        assert_eq!(arrivals(Conditions::PERFECT), sent);
        let mut link = Link::new(Conditions::PERFECT, [1; 32]);
        link.send(5, datagram(0));
        assert_eq!(link.next_arrival(), Some(10_000_005));
        assert_eq!(link.receive(10_000_004), None);
        assert!(link.receive(10_000_005).is_some());
    }

    #[test]
    fn misfortune_happens_and_is_the_same_again() {
        let bad = Conditions {
            jitter: Duration::from_millis(1),
            loss: 0.1,
            duplication: 0.1,
            corruption: 0.1,
            ..Conditions::PERFECT
        };
        let arrived = arrivals(bad);
        assert_eq!(arrived, arrivals(bad));
        assert!(!arrived.is_sorted(), "some overtook others");
        assert!(arrived.iter().any(|bytes| bytes.iter().any(|byte| *byte != bytes[0])), "some were corrupted");
        assert!(arrivals(Conditions { loss: 0.5, ..Conditions::PERFECT }).len() < 70);
        assert!(arrivals(Conditions { duplication: 0.5, ..Conditions::PERFECT }).len() > 130);
        assert!(arrivals(Conditions { mtu: 99, ..Conditions::PERFECT }).is_empty());
    }
}
