//! The packets sent in one packet number space: what is outstanding, and what is declared lost.
//!
//! Invariants:
//! - `packets` is sorted by packet number, and its front is outstanding. After an acknowledgment no packet that lies
//!   three (where packets come late, up to 64) or more below the largest acknowledged one is outstanding, so that the part of the log that the next
//!   acknowledgment walks is what it newly resolves, plus a constant.
//! - The frames of all logged packets lie in one log, in the packets' order; a packet holds its place in it.
//! - `bytes_in_flight`, `ack_eliciting` and `ack_only` are sums over the outstanding packets.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use super::spurious::LostPackets;
use super::{Feedback, Losses, PacketFate, SentPacket};
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{Ecn, Space, Time};

/// How many outstanding packets that are not in flight are remembered. A peer need never acknowledge them.
const MAX_ACK_ONLY: usize = 256;
/// How many gaps in the numbering are remembered.
const MAX_SKIPPED: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Outstanding,
    /// Acknowledged by the frame in hand, not reported yet.
    NewlyAcked,
    Acked,
    Lost,
    /// Not in flight, and one of too many.
    Forgotten,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    packet: SentPacket,
    /// Where the packet's frames start, counted over the life of the space.
    first_frame: u64,
    frame_count: u64,
    state: State,
}

/// What loss detection compares with.
#[derive(Debug)]
pub(super) struct LossDetection {
    pub(super) now: Time,
    /// The time threshold.
    pub(super) delay: u64,
    pub(super) persistent_duration: u64,
    pub(super) first_rtt_sample: Option<Time>,
    /// The latest time at which a packet of another space was sent that has been acknowledged.
    pub(super) acked_elsewhere: Option<Time>,
}

/// What an ACK frame newly acknowledged.
#[derive(Debug, Default)]
pub(super) struct NewlyAcked {
    pub(super) ack_eliciting: bool,
    /// The largest packet of them.
    pub(super) largest: Option<SentPacket>,
    /// How many were sent with ECT(0) on this path.
    pub(super) marked: u64,
    /// Whether every loss of the newest congestion event proved wrong.
    pub(super) spurious: bool,
    /// Whether the largest acknowledged number grew.
    pub(super) advanced: bool,
}

#[derive(Debug)]
pub(super) struct SentPackets<F> {
    space: Space,
    /// Numbers below were never sent.
    first: u64,
    next: u64,
    largest_acked: Option<u64>,
    packets: VecDeque<Entry>,
    frames: VecDeque<F>,
    /// The place of the frame at the front of `frames`.
    frames_start: u64,
    /// Numbers never sent, ascending.
    skipped: VecDeque<Range<u64>>,
    bytes_in_flight: u64,
    ack_eliciting: usize,
    ack_only: usize,
    forgotten: usize,
    /// No packet below this number can still be forgotten.
    forget_from: u64,
    last_ack_eliciting: Option<Time>,
    loss_time: Option<Time>,
    last_acked_sent: Option<Time>,
    /// When the first ack-eliciting packet of the unbroken run of lost packets was sent.
    lost_since: Option<Time>,
    /// Boxed: it is of use only where packets come late.
    lost: Box<LostPackets>,
}

impl<F: Clone> SentPackets<F> {
    pub(super) fn new(space: Space, first: u64) -> Self {
        Self {
            space,
            first,
            next: first,
            largest_acked: None,
            packets: VecDeque::new(),
            frames: VecDeque::new(),
            frames_start: 0,
            skipped: VecDeque::new(),
            bytes_in_flight: 0,
            ack_eliciting: 0,
            ack_only: 0,
            forgotten: 0,
            forget_from: 0,
            last_ack_eliciting: None,
            loss_time: None,
            last_acked_sent: None,
            lost_since: None,
            lost: Box::default(),
        }
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    pub(super) const fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }

    pub(super) const fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    /// How many ack-eliciting packets are outstanding.
    pub(super) const fn ack_eliciting(&self) -> usize {
        self.ack_eliciting
    }

    /// How many packets that are not in flight are outstanding.
    pub(super) const fn ack_only(&self) -> usize {
        self.ack_only
    }

    pub(super) const fn last_ack_eliciting(&self) -> Option<Time> {
        self.last_ack_eliciting
    }

    pub(super) const fn loss_time(&self) -> Option<Time> {
        self.loss_time
    }

    /// How much of the round-trip time the time threshold adds to it, in eighths.
    pub(super) fn reordering_eighths(&self) -> u64 {
        self.lost.reordering.eighths
    }

    pub(super) const fn last_acked_sent(&self) -> Option<Time> {
        self.last_acked_sent
    }

    /// Leaves out the numbers below `pn`.
    pub(super) fn skip_to(&mut self, pn: u64) {
        if pn > self.next {
            if self.skipped.len() == MAX_SKIPPED {
                self.skipped.pop_front();
            }
            self.skipped.push_back(self.next..pn);
            self.next = pn;
        }
    }

    pub(super) fn on_sent(&mut self, packet: SentPacket, frames: &mut Vec<F>) {
        debug_assert!(packet.pn >= self.next, "packet numbers only grow");
        self.skip_to(packet.pn);
        self.next = packet.pn.saturating_add(1);
        if packet.in_flight {
            self.bytes_in_flight += packet.size as u64;
        } else if !packet.ack_eliciting {
            self.ack_only += 1;
        }
        if packet.ack_eliciting {
            self.ack_eliciting += 1;
            self.last_ack_eliciting = Some(packet.time);
        }
        let first_frame = self.frames_start + self.frames.len() as u64;
        let frame_count = frames.len() as u64;
        // One by one: a packet carries few, and moving them in bulk costs more.
        for frame in frames.drain(..) {
            self.frames.push_back(frame);
        }
        self.packets.push_back(Entry { packet, first_frame, frame_count, state: State::Outstanding });
        if self.ack_only > MAX_ACK_ONLY {
            self.forget_ack_only();
        }
    }

    /// Marks what `ranges` newly acknowledge; [`Self::report_acked`] reports it.
    pub(super) fn mark_acked(
        &mut self,
        largest: u64,
        ranges: impl Iterator<Item = RangeInclusive<u64>>,
    ) -> Result<NewlyAcked, TransportError> {
        if largest >= self.next {
            return Err(NEVER_SENT);
        }
        let oldest = self.packets.front().map_or(self.next, |entry| entry.packet.pn);
        let oldest_skipped = self.skipped.front().map_or(oldest, |range| range.start);
        let oldest_wanted = self.lost.oldest().map_or(oldest_skipped, |lost| lost.min(oldest_skipped));
        let highest = self.largest_acked.unwrap_or(largest).max(largest);
        let mut newly_acked = NewlyAcked { advanced: self.largest_acked < Some(largest), ..NewlyAcked::default() };
        for range in ranges {
            let (start, end) = range.into_inner();
            // RFC 9000 section 13.1: an acknowledgment of a packet that was not sent is a PROTOCOL_VIOLATION.
            if end >= self.next || start < self.first || self.is_skipped(start, end) {
                return Err(NEVER_SENT);
            }
            if !self.lost.is_empty() {
                newly_acked.spurious |= self.lost.on_acked(start, end, highest);
            }
            if end < oldest {
                if end < oldest_wanted {
                    break;
                }
                continue;
            }
            self.mark_range(start, end.min(largest), &mut newly_acked);
        }
        self.largest_acked = self.largest_acked.max(Some(largest));
        Ok(newly_acked)
    }

    fn mark_range(&mut self, start: u64, end: u64, newly_acked: &mut NewlyAcked) {
        let mut index = self.packets.partition_point(|entry| entry.packet.pn < start);
        while let Some(entry) = self.packets.get_mut(index)
            && entry.packet.pn <= end
        {
            index += 1;
            if entry.state != State::Outstanding {
                continue;
            }
            entry.state = State::NewlyAcked;
            let packet = entry.packet;
            newly_acked.ack_eliciting |= packet.ack_eliciting;
            newly_acked.marked += u64::from(packet.ecn == Ecn::Ect0);
            if newly_acked.largest.is_none_or(|largest| largest.pn < packet.pn) {
                newly_acked.largest = Some(packet);
            }
            self.last_acked_sent = self.last_acked_sent.max(Some(packet.time));
            self.settle(&packet);
        }
    }

    fn is_skipped(&self, start: u64, end: u64) -> bool {
        let at = self.skipped.partition_point(|range| range.end <= start);
        self.skipped.get(at).is_some_and(|range| range.start <= end)
    }

    /// Takes a packet that is no longer outstanding out of the sums.
    fn settle(&mut self, packet: &SentPacket) {
        if packet.in_flight {
            self.bytes_in_flight -= packet.size as u64;
        } else if !packet.ack_eliciting {
            self.ack_only -= 1;
        }
        if packet.ack_eliciting {
            self.ack_eliciting -= 1;
        }
    }

    /// Declares packets lost (RFC 9002 section 6.1 and appendix A.10), and sets the time at which the next may be.
    pub(super) fn detect_lost(&mut self, at: &LossDetection, feedback: &mut impl Feedback<F>) -> Option<Losses> {
        self.loss_time = None;
        let largest = self.largest_acked?;
        let end = self.packets.partition_point(|entry| entry.packet.pn <= largest);
        let threshold = self.lost.reordering.packets;
        let mut losses: Option<Losses> = None;
        for index in 0..end {
            let Some(entry) = self.packets.get_mut(index) else { break };
            match entry.state {
                State::Acked | State::NewlyAcked => self.lost_since = None,
                State::Outstanding if entry.packet.pn < largest => {
                    // Counted in packets, not numbers: a number we skipped is no sign of reordering.
                    let later = end - 1 - index;
                    let lost_at = entry.packet.time.saturating_add(at.delay);
                    if later < threshold && lost_at > at.now {
                        if entry.packet.in_flight {
                            self.loss_time = Some(self.loss_time.map_or(lost_at, |time| time.min(lost_at)));
                        }
                        continue;
                    }
                    entry.state = State::Lost;
                    let entry = *entry;
                    self.settle(&entry.packet);
                    let probe = entry.packet.size_probe;
                    let persistent = !probe && self.extends_persistent_congestion(&entry.packet, at);
                    // RFC 9002 section 6.1: only packets in flight are declared lost. Others just leave the log.
                    if entry.packet.in_flight {
                        if !probe {
                            self.lost.on_lost(at.now, &entry.packet);
                            let losses = losses.get_or_insert_default();
                            losses.packets += 1;
                            losses.bytes += entry.packet.size as u64;
                            losses.largest_sent_time = losses.largest_sent_time.max(entry.packet.time);
                            losses.persistent |= persistent;
                        }
                        let by_threshold = later >= threshold;
                        let fate = if by_threshold { PacketFate::LostByThreshold } else { PacketFate::LostByTime };
                        feedback.resolved(self.space, &entry.packet, fate);
                        feedback.packet_lost(&entry.packet);
                    }
                    self.each_frame(&entry, |frame| feedback.frame_lost(frame));
                }
                State::Outstanding | State::Lost | State::Forgotten => {}
            }
        }
        losses
    }

    /// Whether losing `packet`, the next one in order, establishes persistent congestion (RFC 9002 section 7.6.2).
    fn extends_persistent_congestion(&mut self, packet: &SentPacket, at: &LossDetection) -> bool {
        // Both ends of the period are ack-eliciting, and were sent after the first RTT sample.
        if !packet.ack_eliciting || at.first_rtt_sample.is_none_or(|first| packet.time <= first) {
            return false;
        }
        let start = match self.lost_since {
            Some(start) if at.acked_elsewhere.is_some_and(|acked| start < acked && acked < packet.time) => packet.time,
            Some(start) => start,
            None => packet.time,
        };
        let persistent = packet.time.saturating_sub(start) > at.persistent_duration;
        self.lost_since = Some(if persistent { packet.time } else { start });
        persistent
    }

    /// Reports what [`Self::mark_acked`] marked, ascending, and drops the resolved front of the log.
    pub(super) fn report_acked(&mut self, feedback: &mut impl Feedback<F>) {
        let mut index = 0;
        while let Some(entry) = self.packets.get_mut(index)
            && self.largest_acked >= Some(entry.packet.pn)
        {
            index += 1;
            if entry.state == State::NewlyAcked {
                entry.state = State::Acked;
                let entry = *entry;
                feedback.resolved(self.space, &entry.packet, PacketFate::Acked);
                feedback.packet_acked(&entry.packet);
                self.each_frame(&entry, |frame| feedback.frame_acked(frame));
            }
        }
        self.drop_resolved();
    }

    /// Reports the frames of the oldest `count` outstanding ack-eliciting packets that still have some as lost. The
    /// packets stay outstanding. Returns how many there were.
    pub(super) fn requeue(&mut self, count: usize, feedback: &mut impl Feedback<F>) -> usize {
        let mut requeued = 0;
        let mut index = 0;
        while let Some(entry) = self.packets.get_mut(index)
            && requeued < count
        {
            index += 1;
            if entry.state == State::Outstanding && entry.packet.ack_eliciting && entry.frame_count > 0 {
                let taken = *entry;
                entry.frame_count = 0;
                requeued += 1;
                self.each_frame(&taken, |frame| feedback.frame_lost(frame));
            }
        }
        requeued
    }

    /// Reports every outstanding frame as lost and forgets the packets, without a word on congestion.
    pub(super) fn forget(&mut self, feedback: &mut impl Feedback<F>) {
        for entry in self.packets.iter().filter(|entry| entry.state == State::Outstanding) {
            self.each_frame(entry, |frame| feedback.frame_lost(frame));
        }
        self.discard();
    }

    /// Lets the outstanding packets count for no bytes: they were sent on another path.
    pub(super) fn leave_path(&mut self) {
        for entry in &mut self.packets {
            entry.packet.ecn = Ecn::NotEct;
            if entry.packet.in_flight {
                entry.packet.size = 0;
            }
        }
        self.bytes_in_flight = 0;
        self.lost_since = None;
        self.lost.clear();
    }

    /// Drops every packet with its frames; the numbering goes on.
    pub(super) fn discard(&mut self) {
        let frames_start = self.frames_start + self.frames.len() as u64;
        *self = Self {
            next: self.next,
            largest_acked: self.largest_acked,
            skipped: core::mem::take(&mut self.skipped),
            forget_from: self.forget_from,
            last_acked_sent: self.last_acked_sent,
            frames_start,
            ..Self::new(self.space, self.first)
        };
    }

    fn each_frame(&self, entry: &Entry, report: impl FnMut(F)) {
        let start = entry.first_frame.saturating_sub(self.frames_start) as usize;
        self.frames.iter().skip(start).take(entry.frame_count as usize).cloned().for_each(report);
    }

    fn drop_resolved(&mut self) {
        while let Some(entry) = self.packets.front()
            && !matches!(entry.state, State::Outstanding | State::NewlyAcked)
        {
            self.forgotten -= usize::from(entry.state == State::Forgotten);
            self.packets.pop_front();
        }
        let log_end = self.frames_start + self.frames.len() as u64;
        let start = self.packets.front().map_or(log_end, |entry| entry.first_frame);
        let gone = (start.saturating_sub(self.frames_start) as usize).min(self.frames.len());
        self.frames.drain(..gone);
        self.frames_start += gone as u64;
    }

    /// Forgets the oldest outstanding packet that is not in flight, frames and all: it carried nothing but ACK.
    fn forget_ack_only(&mut self) {
        let mut index = self.packets.partition_point(|entry| entry.packet.pn < self.forget_from);
        while let Some(entry) = self.packets.get_mut(index) {
            index += 1;
            self.forget_from = entry.packet.pn.saturating_add(1);
            let packet = entry.packet;
            if entry.state == State::Outstanding && !packet.in_flight && !packet.ack_eliciting {
                entry.state = State::Forgotten;
                entry.frame_count = 0;
                self.forgotten += 1;
                self.settle(&packet);
                break;
            }
        }
        self.drop_resolved();
        if self.forgotten > MAX_ACK_ONLY && self.forgotten > self.packets.len() / 2 {
            self.compact();
        }
    }

    /// Removes forgotten packets from the middle of the log. Each call removes more than half of it.
    fn compact(&mut self) {
        let mut place = self.frames_start;
        let mut kept = self.packets.iter().filter(|entry| entry.state != State::Forgotten).peekable();
        self.frames.retain(|_| {
            let at = place;
            place += 1;
            while kept.next_if(|entry| entry.first_frame + entry.frame_count <= at).is_some() {}
            kept.peek().is_some_and(|entry| entry.first_frame <= at)
        });
        self.packets.retain(|entry| entry.state != State::Forgotten);
        self.forgotten = 0;
        let mut place = self.frames_start;
        for entry in &mut self.packets {
            entry.first_frame = place;
            place += entry.frame_count;
        }
    }
}

const NEVER_SENT: TransportError =
    TransportError::new(TransportErrorCode::PROTOCOL_VIOLATION, "acknowledgment of a packet that was never sent");

#[cfg(test)]
mod tests {
    use super::super::PACKET_THRESHOLD;
    use super::*;

    struct Ignore;

    impl Feedback<u64> for Ignore {
        fn packet_acked(&mut self, _: &SentPacket) {}
        fn frame_acked(&mut self, _: u64) {}
        fn packet_lost(&mut self, _: &SentPacket) {}
        fn frame_lost(&mut self, _: u64) {}
    }

    fn send(sent: &mut SentPackets<u64>, ack_eliciting: bool, frames: &mut Vec<u64>) -> u64 {
        let pn = sent.next();
        frames.extend([pn, pn]);
        sent.on_sent(
            SentPacket { pn, time: pn, size: 1200, ack_eliciting, in_flight: ack_eliciting, ..SentPacket::default() },
            frames,
        );
        pn
    }

    fn acknowledge(sent: &mut SentPackets<u64>, start: u64, end: u64) {
        sent.mark_acked(end, [start..=end].into_iter()).expect("sent before");
        let at = LossDetection {
            now: end,
            delay: u64::MAX,
            persistent_duration: u64::MAX,
            first_rtt_sample: None,
            acked_elsewhere: None,
        };
        sent.detect_lost(&at, &mut Ignore);
        sent.report_acked(&mut Ignore);
    }

    #[test]
    fn a_steady_flight_allocates_nothing_and_leaves_little_below_the_largest_acknowledged() {
        const FLIGHT: u64 = 10_000;
        let mut sent = SentPackets::new(Space::Application, 0);
        let mut frames = Vec::new();
        for _ in 0..FLIGHT + 100 {
            send(&mut sent, true, &mut frames);
        }
        let capacities = (sent.packets.capacity(), sent.frames.capacity());
        for round in 0..50_000 {
            // Every seventh packet is lost.
            let (start, end) = (round * 2 + u64::from(round % 7 == 0), round * 2 + 1);
            acknowledge(&mut sent, start, end);
            let below = sent.packets.partition_point(|entry| entry.packet.pn <= end);
            assert!(below <= PACKET_THRESHOLD + 1);
            send(&mut sent, true, &mut frames);
            send(&mut sent, round % 3 == 0, &mut frames);
        }
        assert_eq!((sent.packets.capacity(), sent.frames.capacity()), capacities);
    }

    #[test]
    fn packets_not_in_flight_are_compacted_away_behind_an_outstanding_one() {
        let mut sent = SentPackets::new(Space::Application, 0);
        let mut frames = Vec::new();
        for _ in 0..100 {
            send(&mut sent, true, &mut frames);
            for _ in 0..1000 {
                send(&mut sent, false, &mut frames);
                assert!(sent.packets.len() < 1200 && sent.frames.len() <= 2 * sent.packets.len());
            }
        }
        for entry in sent.packets.iter().filter(|entry| entry.frame_count > 0) {
            sent.each_frame(entry, |frame| assert_eq!(frame, entry.packet.pn));
        }
        assert_eq!((sent.ack_eliciting, sent.ack_only), (100, MAX_ACK_ONLY));
    }
}
