//! Loss recovery under random sequences of sending, acknowledging, losing and waiting.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use proptest::prelude::*;
use quillon::recovery::{Feedback, Recovery, SentPacket, Settings, TimeoutOutcome, TimerContext};
use quillon::wire::Space;

const MS: u64 = 1_000_000;

#[derive(Clone, Debug)]
enum Op {
    Send {
        space: usize,
        kind: u8,
        frames: u8,
        skip: bool,
    },
    /// Acknowledges the packets whose bit is set, from the largest down.
    Ack {
        space: usize,
        back: u64,
        bits: u64,
        delay: u64,
    },
    Wait {
        time: u64,
    },
    Expire,
    Requeue {
        space: usize,
        packets: usize,
    },
    Forget {
        space: usize,
    },
    Confirm,
    Amplification,
}

fn op() -> impl Strategy<Value = Op> {
    let space = prop_oneof![1 => Just(0usize), 1 => Just(1), 4 => Just(2)];
    prop_oneof![
        12 => (space.clone(), 0u8..8, 0u8..4, prop::bool::weighted(0.05))
            .prop_map(|(space, kind, frames, skip)| Op::Send { space, kind, frames, skip }),
        6 => (space.clone(), 0u64..12, any::<u64>(), 0..100 * MS)
            .prop_map(|(space, back, bits, delay)| Op::Ack { space, back, bits, delay }),
        4 => (0..200 * MS).prop_map(|time| Op::Wait { time }),
        3 => Just(Op::Expire),
        1 => (space.clone(), 0usize..4).prop_map(|(space, packets)| Op::Requeue { space, packets }),
        1 => space.prop_map(|space| Op::Forget { space }),
        1 => Just(Op::Confirm),
        1 => Just(Op::Amplification),
    ]
}

/// What the engine was told of, by space and packet number, as long as it is outstanding.
#[derive(Default)]
struct Model {
    space: usize,
    outstanding: [BTreeMap<u64, SentPacket>; 3],
    /// Frames sent and not reported.
    frames: BTreeMap<u32, (usize, u64)>,
    /// Packets that the ACK frame in hand names.
    acked: Vec<u64>,
    in_ack: bool,
}

impl Feedback<u32> for Model {
    fn packet_acked(&mut self, packet: &SentPacket) {
        assert!(self.in_ack && self.acked.contains(&packet.pn));
        let known = self.outstanding[self.space].remove(&packet.pn);
        assert!(known == Some(*packet) || !packet.in_flight);
    }
    fn frame_acked(&mut self, frame: u32) {
        let (space, pn) = self.frames.remove(&frame).expect("reported once");
        assert!(space == self.space && self.acked.contains(&pn));
    }
    fn packet_lost(&mut self, packet: &SentPacket) {
        assert!(packet.in_flight && !self.acked.contains(&packet.pn));
        assert_eq!(self.outstanding[self.space].remove(&packet.pn), Some(*packet));
    }
    fn frame_lost(&mut self, frame: u32) {
        let (space, pn) = self.frames.remove(&frame).expect("reported once");
        assert!(space == self.space && !self.acked.contains(&pn));
    }
}

struct Run {
    recovery: Recovery<u32>,
    model: Model,
    ctx: TimerContext,
    now: u64,
    next_frame: u32,
    sent: usize,
    skipped: Vec<(usize, u64)>,
}

impl Run {
    fn new(client: bool) -> Self {
        let ctx = TimerContext { peer_completed_address_validation: !client, ..TimerContext::default() };
        let recovery = Recovery::new(Settings::default());
        Self { recovery, model: Model::default(), ctx, now: 1, next_frame: 0, sent: 0, skipped: Vec::new() }
    }

    fn apply(&mut self, op: Op) {
        self.model.acked.clear();
        match op {
            Op::Send { space, kind, frames, skip } => self.send(space, kind, frames, skip),
            Op::Ack { space, back, bits, delay } => self.ack(space, back, bits, delay),
            Op::Wait { time } => self.now += time,
            Op::Expire => self.expire(0),
            Op::Requeue { space, packets } => {
                self.model.space = space;
                let requeued = self.recovery.requeue(Space::ALL[space], packets, &mut self.model);
                assert!(requeued <= packets);
            }
            Op::Forget { space } => {
                self.model.space = space;
                self.recovery.forget_sent(Space::ALL[space], &mut self.model);
                self.model.outstanding[space].clear();
                assert!(self.model.frames.values().all(|(of, _)| *of != space));
            }
            Op::Confirm => self.ctx.handshake_confirmed = true,
            Op::Amplification => self.ctx.amplification_limited ^= self.ctx.peer_completed_address_validation,
        }
    }

    fn send(&mut self, space: usize, kind: u8, frames: u8, skip: bool) {
        let mut pn = self.recovery.next_packet_number(Space::ALL[space]);
        if skip {
            self.skipped.push((space, pn));
            pn += 1;
        }
        let (ack_eliciting, in_flight) = match kind {
            0 => (false, false),
            1 => (false, true),
            _ => (true, true),
        };
        // A size of its own for every packet tells the spaces apart.
        self.sent += 1;
        let size = 40 + self.sent;
        let packet = SentPacket { pn, time: self.now, size, ack_eliciting, in_flight, ..SentPacket::default() };
        let mut carried: Vec<u32> = (0..u32::from(frames)).map(|i| self.next_frame + i).collect();
        self.next_frame += u32::from(frames);
        self.model.frames.extend(carried.iter().map(|frame| (*frame, (space, pn))));
        self.model.outstanding[space].insert(pn, packet);
        self.recovery.on_packet_sent(Space::ALL[space], packet, &mut carried);
        assert!(carried.is_empty());
    }

    fn ack(&mut self, space: usize, back: u64, bits: u64, delay: u64) {
        let next = self.recovery.next_packet_number(Space::ALL[space]);
        let Some(largest) = next.checked_sub(1 + back) else { return };
        let sent = |pn: &u64| !self.skipped.contains(&(space, *pn));
        let named: Vec<u64> = (0..64)
            .filter(|bit| *bit == 0 || bits >> bit & 1 == 1)
            .filter_map(|bit| largest.checked_sub(bit))
            .filter(sent)
            .collect();
        let Some(largest) = named.first().copied() else { return };
        let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
        for pn in &named {
            match ranges.last_mut() {
                Some(range) if *range.start() == pn + 1 => *range = *pn..=*range.end(),
                _ => ranges.push(*pn..=*pn),
            }
        }
        self.model.space = space;
        self.model.acked = named;
        self.model.in_ack = true;
        let in_flight = self.recovery.bytes_in_flight();
        let ranges = ranges.into_iter();
        let outcome = self
            .recovery
            .on_ack(self.now, Space::ALL[space], largest, ranges, delay, self.ctx, &mut self.model)
            .expect("a valid ACK");
        self.model.in_ack = false;
        let outstanding = &mut self.model.outstanding[space];
        assert!(self.model.acked.iter().all(|pn| !outstanding.contains_key(pn)));
        assert!(outcome.newly_acked || outcome.losses.is_some() || self.recovery.bytes_in_flight() == in_flight);
        self.settle_ack_only();
    }

    /// Expires the timer; `again` counts how often at one time.
    fn expire(&mut self, again: usize) {
        let expected = self.recovery.timeout(self.ctx);
        if let Some(at) = expected {
            // Doubling 16 times, twice over, leads to the end of time.
            if at > u64::MAX / 2 {
                return;
            }
            self.now = self.now.max(at);
        }
        // Only the reports tell which space the timer was for.
        let before: Vec<usize> = self.model.outstanding.iter().map(BTreeMap::len).collect();
        let mut seen = Seen::default();
        match self.recovery.on_timeout(self.now, self.ctx, &mut seen) {
            TimeoutOutcome::Lost(losses) => {
                assert_eq!(losses.packets as usize, seen.lost.len());
                let space = seen.frames.first().map(|frame| self.model.frames[frame].0);
                let space = space.or_else(|| (0..3).find(|space| self.holds(*space, &seen.lost)));
                self.model.space = space.expect("the packets are of one space");
                seen.frames.into_iter().for_each(|frame| self.model.frame_lost(frame));
                seen.lost.iter().for_each(|packet| self.model.packet_lost(packet));
            }
            TimeoutOutcome::Probe { space, count } => {
                assert!(seen.lost.is_empty() && seen.frames.is_empty());
                assert!((1..=2).contains(&count));
                assert!(expected.is_some());
                let next = self.recovery.timeout(self.ctx).expect("the timer goes on");
                self.model.space = space as usize;
                self.recovery.requeue(space, usize::from(count), &mut self.model);
                for _ in 0..count {
                    self.send(space as usize, 2, 1, false);
                }
                // Another space may be due at the same time, but it ends there.
                if next <= self.now {
                    assert!(again < 3);
                    self.expire(again + 1);
                }
            }
            TimeoutOutcome::Nothing => {
                assert!(seen.lost.is_empty());
                let after: Vec<usize> = self.model.outstanding.iter().map(BTreeMap::len).collect();
                assert_eq!(before, after);
                assert!(seen.frames.iter().all(|frame| self.model.frames.remove(frame).is_some()));
            }
        }
        self.settle_ack_only();
    }

    fn holds(&self, space: usize, packets: &[SentPacket]) -> bool {
        packets.iter().all(|packet| self.model.outstanding[space].get(&packet.pn) == Some(packet))
    }

    /// Packets that are not in flight leave without a word: with their frames, or with none.
    fn settle_ack_only(&mut self) {
        let frames = &self.model.frames;
        for (space, outstanding) in self.model.outstanding.iter_mut().enumerate() {
            outstanding.retain(|pn, packet| packet.in_flight || frames.values().any(|at| *at == (space, *pn)));
        }
    }

    fn check(&self) {
        let in_flight = || self.model.outstanding.iter().flat_map(BTreeMap::values).filter(|packet| packet.in_flight);
        let bytes: usize = in_flight().map(|packet| packet.size).sum();
        assert_eq!(self.recovery.bytes_in_flight(), bytes as u64);
        let eliciting = |space: usize| self.model.outstanding[space].values().any(|packet| packet.ack_eliciting);
        for space in 0..3 {
            assert_eq!(self.recovery.has_ack_eliciting_in_flight(Space::ALL[space]), eliciting(space));
        }
        let timeout = self.recovery.timeout(self.ctx);
        let probed = eliciting(0) || eliciting(1) || (eliciting(2) && self.ctx.handshake_confirmed);
        if probed && !self.ctx.amplification_limited {
            assert!(timeout.is_some(), "a timer while ack-eliciting packets are outstanding");
        }
    }
}

#[derive(Default)]
struct Seen {
    lost: Vec<SentPacket>,
    frames: Vec<u32>,
}

impl Feedback<u32> for Seen {
    fn packet_acked(&mut self, _: &SentPacket) {
        panic!("a timer acknowledges nothing");
    }
    fn frame_acked(&mut self, _: u32) {
        panic!("a timer acknowledges nothing");
    }
    fn packet_lost(&mut self, packet: &SentPacket) {
        self.lost.push(*packet);
    }
    fn frame_lost(&mut self, frame: u32) {
        self.frames.push(frame);
    }
}

/// Reports go nowhere.
struct Ignore;

impl Feedback<u32> for Ignore {
    fn packet_acked(&mut self, _: &SentPacket) {}
    fn frame_acked(&mut self, _: u32) {}
    fn packet_lost(&mut self, _: &SentPacket) {}
    fn frame_lost(&mut self, _: u32) {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_frame_is_reported_once_and_the_sums_hold(
        client in any::<bool>(),
        ops in prop::collection::vec(op(), 0..200),
    ) {
        let mut run = Run::new(client);
        for op in ops {
            run.apply(op);
            run.check();
        }
        for space in 0..3 {
            run.apply(Op::Forget { space });
        }
        run.check();
        prop_assert!(run.model.frames.is_empty());
        prop_assert_eq!(run.recovery.bytes_in_flight(), 0);
    }

    #[test]
    fn no_ack_frame_causes_a_panic(
        sent in prop::collection::vec((any::<bool>(), 0u64..3), 0..64),
        acks in prop::collection::vec(
            (0u64..80, prop::collection::vec((0u64..80, 0u64..80), 0..40), any::<u64>(), any::<u64>()), 0..8),
        wild in any::<(u64, u64, u64)>(),
    ) {
        let mut recovery = Recovery::new(Settings::default());
        let mut time = 0;
        for (ack_eliciting, skip) in sent {
            time += MS;
            let pn = recovery.next_packet_number(Space::Application) + skip;
            let packet = SentPacket { pn, time, size: 100, ack_eliciting, in_flight: ack_eliciting, ..SentPacket::default() };
            recovery.on_packet_sent(Space::Application, packet, &mut vec![1, 2]);
        }
        let ctx = TimerContext { handshake_confirmed: true, ..TimerContext::default() };
        for (largest, ranges, delay, now) in acks {
            let ranges = ranges.into_iter().map(|(start, end)| start..=end);
            let _ = recovery.on_ack(now, Space::Application, largest, ranges, delay, ctx, &mut Ignore);
            let _ = recovery.timeout(ctx);
            let _ = recovery.on_timeout(now, ctx, &mut Ignore);
        }
        let (largest, start, end) = wild;
        let _ = recovery.on_ack(time, Space::Application, largest, [start..=end].into_iter(), 0, ctx, &mut Ignore);
    }
}
