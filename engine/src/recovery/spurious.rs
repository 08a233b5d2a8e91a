//! Losses that prove wrong: packets declared lost that were only late (RFC 9002 sections 6.1 and 7.3.2).

use alloc::collections::VecDeque;

use super::{PACKET_THRESHOLD, SentPacket};
use crate::wire::Time;

/// How many lost packets are remembered.
const MAX_REMEMBERED: usize = 128;
/// The packet threshold grows to this at most.
const MAX_PACKET_THRESHOLD: usize = 64;
/// What the time threshold adds to the round-trip time grows from an eighth to the whole of it.
const MAX_EIGHTHS: u64 = 8;
/// After so many congestion events without a packet that was only late, the thresholds are the RFC's again, as in RFC
/// 8985 section 6.2.
const EPISODES_UNTIL_RESET: u8 = 16;

/// How much reordering loss detection bears with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reordering {
    pub(super) packets: usize,
    pub(super) eighths: u64,
    episodes: u8,
}

impl Default for Reordering {
    fn default() -> Self {
        Self { packets: PACKET_THRESHOLD, eighths: 1, episodes: 0 }
    }
}

impl Reordering {
    fn on_late(&mut self, distance: u64) {
        let packets = usize::try_from(distance.saturating_add(1)).unwrap_or(usize::MAX);
        self.packets = self.packets.max(packets.min(MAX_PACKET_THRESHOLD));
        self.eighths = (self.eighths * 2).min(MAX_EIGHTHS);
        self.episodes = 0;
    }

    fn on_episode(&mut self) {
        self.episodes += 1;
        if self.episodes >= EPISODES_UNTIL_RESET {
            *self = Self::default();
        }
    }
}

/// The losses of the newest congestion event in a packet number space.
#[derive(Debug, Default)]
pub(super) struct LostPackets {
    /// Numbers, ascending.
    packets: VecDeque<u64>,
    /// When the event began.
    since: Option<Time>,
    /// How many of its losses have not proved wrong.
    genuine: u64,
    pub(super) reordering: Reordering,
}

impl LostPackets {
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The lowest number remembered.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.packets.front().copied()
    }

    /// A packet was declared lost at `now`. One that was sent after the last event began begins another.
    pub(super) fn on_lost(&mut self, now: Time, packet: &SentPacket) {
        if self.since.is_none_or(|since| packet.time > since) {
            self.packets.clear();
            self.since = Some(now);
            self.genuine = 0;
            self.reordering.on_episode();
        }
        if self.packets.len() == MAX_REMEMBERED {
            self.packets.pop_front();
        }
        self.packets.push_back(packet.pn);
        self.genuine += 1;
    }

    /// Numbers up to `largest` were acknowledged, `start` to `end` among them. Returns whether that makes every loss of
    /// the event wrong.
    pub(super) fn on_acked(&mut self, start: u64, end: u64, largest: u64) -> bool {
        let from = self.packets.partition_point(|pn| *pn < start);
        let to = self.packets.partition_point(|pn| *pn <= end);
        if from >= to {
            return false;
        }
        for pn in self.packets.drain(from..to) {
            self.reordering.on_late(largest.saturating_sub(pn));
            self.genuine = self.genuine.saturating_sub(1);
        }
        self.genuine == 0
    }

    /// The path was left, or what was sent is forgotten.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
