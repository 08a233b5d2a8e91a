//! Loss detection and acknowledgments (RFC 9002; RFC 9000 section 13.2).
//!
//! [`Recovery`] keeps, for each packet number space, the packets sent and received, and for the path its round-trip
//! time. It decides what was acknowledged, what is lost, when to probe and what to acknowledge. It sends nothing,
//! reads no clock, and leaves the congestion window to its caller.
//!
//! Invariants:
//! - Every frame of a packet in flight is reported exactly once, as acknowledged or as lost, unless its packet number
//!   space is discarded.
//! - [`Recovery::bytes_in_flight`] is the sum of the sizes of the outstanding packets in flight.
//! - While ack-eliciting packets are outstanding [`Recovery::timeout`] is set, but for the two exceptions it names.
//! - Nothing allocates per packet once the logs have grown to the size of the flight.
//!
//! Times and durations are nanoseconds.

mod ack;
mod ecn;
mod rtt;
mod sent;
mod skip;
mod spurious;

pub use ack::{MAX_ACK_RANGES, ReceivedPackets};
pub use ecn::EcnReport;
pub use rtt::{INITIAL_RTT, Rtt};

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::error::TransportError;
use crate::rng::Rng;
use crate::wire::{Ecn, EcnCounts, Space, Time};
use ecn::Marks;
use sent::{LossDetection, SentPackets};
use skip::Skips;

/// A packet is lost once this many packets sent later are behind an acknowledged one (RFC 9002 section 6.1.1).
pub const PACKET_THRESHOLD: usize = 3;
/// The granularity of timers, 1 ms (RFC 9002 section 6.1.2).
pub const GRANULARITY: u64 = 1_000_000;
/// The `max_ack_delay` of an endpoint that says nothing else, 25 ms (RFC 9000 section 18.2).
pub const DEFAULT_MAX_ACK_DELAY: u64 = 25_000_000;
/// Losses over this many PTO periods are persistent congestion (RFC 9002 section 7.6.1).
pub const PERSISTENT_CONGESTION_THRESHOLD: u64 = 3;
/// The PTO doubles at most this many times: the idle timeout comes first.
pub const MAX_PTO_BACKOFF: u32 = 16;

/// After this many packets that the peer need not acknowledge, it ought to be asked to.
const ACK_ONLY_BEFORE_PING: usize = 32;

/// What a connection chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The RTT before the first sample. Default: 333 ms.
    pub initial_rtt: u64,
    /// How many ack-eliciting 1-RTT packets arrive before an acknowledgment goes out ahead of the delay; at least
    /// 1. Default: 2 (RFC 9000 section 13.2.2).
    pub ack_eliciting_threshold: u64,
    /// The first packet number of each space; those below count as never sent. Default: 0.
    pub initial_packet_number: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { initial_rtt: INITIAL_RTT, ack_eliciting_threshold: 2, initial_packet_number: 0 }
    }
}

/// A packet as it was sent (RFC 9002 appendix A.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentPacket {
    /// The packet number. It is above every number sent before in its space; a number left out counts as never sent.
    pub pn: u64,
    /// When it was sent.
    pub time: Time,
    /// Its size in bytes, without the UDP and IP headers.
    pub size: usize,
    /// Whether it asks for an acknowledgment. Such a packet is in flight.
    pub ack_eliciting: bool,
    /// Whether it counts towards the bytes in flight: it carries an ack-eliciting or PADDING frame.
    pub in_flight: bool,
    /// How its datagram was marked.
    pub ecn: Ecn,
    /// Whether it probes for a larger datagram: its loss says nothing of congestion (RFC 9000 section 14.4).
    pub size_probe: bool,
}

/// The state of the handshake as far as timers need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerContext {
    /// The handshake is confirmed (RFC 9001 section 4.1.2).
    pub handshake_confirmed: bool,
    /// The keys to send Handshake packets with are there.
    pub handshake_keys: bool,
    /// The peer is known to have validated our address; always true for a server. A client need not keep track of
    /// Handshake acknowledgments here: [`Recovery`] does.
    pub peer_completed_address_validation: bool,
    /// A server that may send nothing until it receives more (RFC 9000 section 8.1).
    pub amplification_limited: bool,
}

/// Takes what became of packets and of the frames they carried.
pub trait Feedback<F> {
    /// A packet was acknowledged.
    fn packet_acked(&mut self, packet: &SentPacket);
    /// A frame arrived.
    fn frame_acked(&mut self, frame: F);
    /// A packet in flight was declared lost.
    fn packet_lost(&mut self, packet: &SentPacket);
    /// A frame needs sending again, if what it says still holds (RFC 9000 section 13.3).
    fn frame_lost(&mut self, frame: F);

    /// What became of a packet of `space`. Called before the packet is reported acknowledged or lost.
    fn resolved(&mut self, space: Space, packet: &SentPacket, fate: PacketFate) {
        let _ = (space, packet, fate);
    }

    /// A new RTT sample was taken. Called before anything else that its ACK frame causes.
    fn rtt_updated(&mut self, rtt: &Rtt) {
        let _ = rtt;
    }

    /// The packets just reported lost were these, in all. Called before the packets are reported that the same ACK
    /// frame acknowledged, which is the order in which RFC 9002 appendix A.7 has congestion control see them.
    fn losses(&mut self, losses: &Losses) {
        let _ = losses;
    }

    /// Every packet whose loss made up the newest congestion event was acknowledged after all: it was only late.
    fn spurious_congestion(&mut self) {}
}

/// What became of a packet in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketFate {
    /// It was acknowledged.
    Acked,
    /// It is lost by the packet threshold (RFC 9002 section 6.1.1).
    LostByThreshold,
    /// It is lost by the time threshold (RFC 9002 section 6.1.2).
    LostByTime,
}

/// A timer of loss detection that runs (RFC 9002 appendix A.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossTimer {
    /// When it is due.
    pub due: Time,
    /// The packet number space that it is for.
    pub space: Space,
    /// Whether it is the probe timeout, or else the time threshold.
    pub probe: bool,
}

/// Packets in flight that were declared lost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// How many packets.
    pub packets: u64,
    /// Their size.
    pub bytes: u64,
    /// When the last of them was sent.
    pub largest_sent_time: Time,
    /// Whether they establish persistent congestion (RFC 9002 section 7.6).
    pub persistent: bool,
}

/// What an ACK frame brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AckOutcome {
    /// It acknowledged packets that were outstanding.
    pub newly_acked: bool,
    /// One of them was ack-eliciting.
    pub ack_eliciting_acked: bool,
    /// It gave an RTT sample.
    pub rtt_sample: bool,
    /// The largest packet number that it newly acknowledged.
    pub largest_newly_acked: Option<u64>,
    /// When that packet was sent: the time that a rise of the ECN-CE count is charged to (RFC 9002 appendix B.7).
    pub largest_sent_time: Option<Time>,
    /// What was declared lost.
    pub losses: Option<Losses>,
    /// It acknowledged a higher packet number than every frame before.
    pub advanced: bool,
    /// How many packets sent with ECT(0) on this path it newly acknowledged.
    pub marked_acked: u64,
}

/// What an expired timer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutOutcome {
    /// Packets were declared lost.
    Lost(Losses),
    /// The peer has been silent for too long: send `count` ack-eliciting packets in `space`, whatever the congestion
    /// window says (RFC 9002 section 6.2.4). [`Recovery::requeue`] finds data for them; without any, send PING.
    Probe {
        /// The packet number space to send in.
        space: Space,
        /// How many packets, 1 or 2.
        count: u8,
    },
    /// No timer has expired.
    Nothing,
}

#[derive(Debug)]
struct SpaceState<F> {
    sent: SentPackets<F>,
    received: ReceivedPackets,
    marks: Box<Marks>,
    /// When the PTO of this space last expired.
    probed: Option<Time>,
}

/// Loss detection and acknowledgments of a connection, on one path. `F` stands for a frame that was sent.
#[derive(Debug)]
pub struct Recovery<F> {
    settings: Settings,
    peer_max_ack_delay: u64,
    rtt: Rtt,
    initial: SpaceState<F>,
    handshake: SpaceState<F>,
    application: SpaceState<F>,
    /// How many times in a row the PTO has expired.
    pto_count: u32,
    /// Since when a client without anything outstanding has been waiting for its peer.
    waiting_since: Option<Time>,
    /// The first Application packet number that samples the current path.
    path_start: u64,
    /// Which Application packet numbers are left out.
    skips: Option<Skips>,
}

impl<F: Clone> Recovery<F> {
    /// A connection that has sent and received nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let space = |space| SpaceState {
            sent: SentPackets::new(space, settings.initial_packet_number),
            received: ReceivedPackets::new(space, settings.ack_eliciting_threshold),
            marks: Box::default(),
            probed: None,
        };
        Self {
            settings,
            peer_max_ack_delay: DEFAULT_MAX_ACK_DELAY,
            rtt: Rtt::new(settings.initial_rtt),
            initial: space(Space::Initial),
            handshake: space(Space::Handshake),
            application: space(Space::Application),
            pto_count: 0,
            waiting_since: None,
            path_start: 0,
            skips: None,
        }
    }

    /// Leaves out Application packet numbers now and then, as `rng` has it: who acknowledges one has not received what
    /// it acknowledges (RFC 9000 section 21.4).
    pub fn skip_packet_numbers(&mut self, rng: Rng) {
        self.skips = Some(Skips::new(rng, self.application.sent.next()));
    }

    /// Sets the peer's `max_ack_delay` transport parameter, in nanoseconds; 25 ms until then.
    pub fn set_peer_max_ack_delay(&mut self, delay: u64) {
        self.peer_max_ack_delay = delay;
    }

    const fn space(&self, space: Space) -> &SpaceState<F> {
        match space {
            Space::Initial => &self.initial,
            Space::Handshake => &self.handshake,
            Space::Application => &self.application,
        }
    }

    const fn space_mut(&mut self, space: Space) -> &mut SpaceState<F> {
        match space {
            Space::Initial => &mut self.initial,
            Space::Handshake => &mut self.handshake,
            Space::Application => &mut self.application,
        }
    }

    /// The lowest packet number not used yet in `space`.
    #[must_use]
    pub const fn next_packet_number(&self, space: Space) -> u64 {
        self.space(space).sent.next()
    }

    /// The largest packet number that the peer acknowledged in `space`.
    #[must_use]
    pub const fn largest_acked(&self, space: Space) -> Option<u64> {
        self.space(space).sent.largest_acked()
    }

    /// The bytes of every packet in flight that is neither acknowledged nor lost (RFC 9002 appendix B.2).
    #[must_use]
    pub const fn bytes_in_flight(&self) -> u64 {
        self.initial.sent.bytes_in_flight()
            + self.handshake.sent.bytes_in_flight()
            + self.application.sent.bytes_in_flight()
    }

    /// Whether ack-eliciting packets are outstanding in `space`.
    #[must_use]
    pub const fn has_ack_eliciting_in_flight(&self, space: Space) -> bool {
        self.space(space).sent.ack_eliciting() > 0
    }

    /// Whether so many packets went out in `space` that the peer need not acknowledge that it ought to be asked, by
    /// a PING, to acknowledge our acknowledgments (RFC 9000 section 13.2.4).
    #[must_use]
    pub const fn wants_ping(&self, space: Space) -> bool {
        let sent = &self.space(space).sent;
        sent.ack_eliciting() == 0 && sent.ack_only() >= ACK_ONLY_BEFORE_PING
    }

    /// The path's round-trip time.
    #[must_use]
    pub const fn rtt(&self) -> &Rtt {
        &self.rtt
    }

    /// The PTO period of `space` without backoff (RFC 9002 section 6.2.1).
    #[must_use]
    pub fn pto(&self, space: Space) -> u64 {
        // The peer does not delay acknowledgments of Initial and Handshake packets.
        let max_ack_delay = if space == Space::Application { self.peer_max_ack_delay } else { 0 };
        self.rtt.pto_base().saturating_add(max_ack_delay)
    }

    /// How many times in a row the PTO has expired.
    #[must_use]
    pub const fn pto_count(&self) -> u32 {
        self.pto_count
    }

    /// What was received in `space`.
    #[must_use]
    pub const fn received(&self, space: Space) -> &ReceivedPackets {
        &self.space(space).received
    }

    /// What was received in `space`, to note more.
    pub const fn received_mut(&mut self, space: Space) -> &mut ReceivedPackets {
        &mut self.space_mut(space).received
    }

    /// Notes that a packet was sent, and takes the frames that it carried out of `frames`.
    ///
    /// Of packets that are not in flight only the newest 256 outstanding ones are kept; what older ones carried (ACK
    /// frames) is not reported.
    pub fn on_packet_sent(&mut self, space: Space, packet: SentPacket, frames: &mut Vec<F>) {
        if packet.ack_eliciting && space != Space::Application {
            self.waiting_since = self.waiting_since.max(Some(packet.time));
        }
        let state = self.space_mut(space);
        if packet.ecn == Ecn::Ect0 {
            state.marks.on_sent();
        }
        state.sent.on_sent(packet, frames);
        if space == Space::Application
            && let Some(skips) = &mut self.skips
            && skips.take(self.application.sent.next())
        {
            self.application.sent.skip_to(self.application.sent.next() + 1);
        }
    }

    /// Takes an ACK frame: its ranges in descending order, and the peer's delay in nanoseconds, already scaled by
    /// its exponent. Reports what was lost, then what was acknowledged, to `feedback`.
    ///
    /// # Errors
    ///
    /// PROTOCOL_VIOLATION if it acknowledges a number that was not sent, one left out on purpose included (RFC 9000
    /// section 21.4; of those the newest 32 gaps are remembered). Part of the frame may have been taken by then, so
    /// the connection has to close.
    #[expect(clippy::too_many_arguments, reason = "the fields of an ACK frame and where it arrived")]
    pub fn on_ack(
        &mut self,
        now: Time,
        space: Space,
        largest: u64,
        ranges: impl Iterator<Item = RangeInclusive<u64>>,
        ack_delay: u64,
        ctx: TimerContext,
        feedback: &mut impl Feedback<F>,
    ) -> Result<AckOutcome, TransportError> {
        let acked = self.space_mut(space).sent.mark_acked(largest, ranges)?;
        if acked.largest.is_none() && !acked.advanced {
            if acked.spurious {
                feedback.spurious_congestion();
            }
            return Ok(AckOutcome::default());
        }
        // RFC 9002 section 5.1: a sample needs the largest acknowledged packet to be newly acknowledged, and an
        // ack-eliciting one among the newly acknowledged.
        let sampled = acked
            .largest
            .filter(|packet| packet.pn == largest && acked.ack_eliciting && self.samples_path(space, packet));
        if let Some(packet) = sampled {
            let ack_delay = self.usable_ack_delay(space, ack_delay, ctx);
            self.rtt.on_sample(now, now.saturating_sub(packet.time), ack_delay);
            feedback.rtt_updated(&self.rtt);
        }
        if acked.spurious {
            feedback.spurious_congestion();
        }
        let losses = self.detect_lost(now, space, feedback);
        self.space_mut(space).sent.report_acked(feedback);
        if acked.largest.is_some() {
            self.waiting_since = self.waiting_since.max(Some(now));
            // RFC 9002 section 6.2.1: a client keeps its backoff until the server has validated its address.
            if self.peer_completed_address_validation(ctx) {
                self.pto_count = 0;
            }
        }
        Ok(AckOutcome {
            newly_acked: acked.largest.is_some(),
            ack_eliciting_acked: acked.ack_eliciting,
            rtt_sample: sampled.is_some(),
            largest_newly_acked: acked.largest.map(|packet| packet.pn),
            largest_sent_time: acked.largest.map(|packet| packet.time),
            losses,
            advanced: acked.advanced,
            marked_acked: acked.marked,
        })
    }

    /// Takes the ECN counts of the ACK frame that [`on_ack`](Self::on_ack) has just taken with this outcome. A report
    /// of congestion among packets of a path that was left is no report on this one.
    pub fn on_ecn_counts(&mut self, space: Space, counts: Option<EcnCounts>, outcome: &AckOutcome) -> EcnReport {
        // RFC 9000 section 13.4.2.1: frames out of order tell nothing.
        if !outcome.advanced {
            return EcnReport::Old;
        }
        let on_path =
            outcome.largest_newly_acked.is_some_and(|pn| space != Space::Application || pn >= self.path_start);
        let report = self.space_mut(space).marks.on_counts(counts, outcome.marked_acked);
        if on_path { report } else { EcnReport::Old }
    }

    fn samples_path(&self, space: Space, packet: &SentPacket) -> bool {
        space != Space::Application || packet.pn >= self.path_start
    }

    /// The part of the peer's acknowledgment delay that an RTT sample may be adjusted by (RFC 9002 section 5.3).
    fn usable_ack_delay(&self, space: Space, ack_delay: u64, ctx: TimerContext) -> u64 {
        match space {
            Space::Initial => 0,
            _ if ctx.handshake_confirmed => ack_delay.min(self.peer_max_ack_delay),
            _ => ack_delay,
        }
    }

    fn detect_lost(&mut self, now: Time, space: Space, feedback: &mut impl Feedback<F>) -> Option<Losses> {
        // RFC 9002 section 7.6.1: the duration includes max_ack_delay in every space.
        let period = self.rtt.pto_base().saturating_add(self.peer_max_ack_delay);
        let others = Space::ALL.into_iter().filter(|other| *other != space);
        let at = LossDetection {
            now,
            delay: self.rtt.loss_delay(self.space(space).sent.reordering_eighths()),
            persistent_duration: period.saturating_mul(PERSISTENT_CONGESTION_THRESHOLD),
            first_rtt_sample: self.rtt.first_sample(),
            acked_elsewhere: others.filter_map(|other| self.space(other).sent.last_acked_sent()).max(),
        };
        let losses = self.space_mut(space).sent.detect_lost(&at, feedback)?;
        if losses.persistent {
            self.rtt.on_persistent_congestion();
        }
        feedback.losses(&losses);
        Some(losses)
    }

    fn peer_completed_address_validation(&self, ctx: TimerContext) -> bool {
        ctx.peer_completed_address_validation
            || ctx.handshake_confirmed
            || self.handshake.sent.largest_acked().is_some()
    }

    /// When [`Self::on_timeout`] is to be called (RFC 9002 appendix A.8); it may lie in the past.
    ///
    /// While ack-eliciting packets are outstanding there is none only if the amplification limit forbids to send, or
    /// if all of them are Application packets of a handshake that is not confirmed and the peer has validated our
    /// address.
    #[must_use]
    pub fn timeout(&self, ctx: TimerContext) -> Option<Time> {
        self.timer(ctx).map(|timer| timer.due)
    }

    /// The timer behind [`timeout`](Self::timeout).
    #[must_use]
    pub fn timer(&self, ctx: TimerContext) -> Option<LossTimer> {
        // RFC 9002 section 6.2.1: no PTO while the time threshold is running.
        match self.loss_time() {
            Some((due, space)) => Some(LossTimer { due, space, probe: false }),
            None => self.pto_time(ctx).map(|(due, space)| LossTimer { due, space, probe: true }),
        }
    }

    fn loss_time(&self) -> Option<(Time, Space)> {
        Space::ALL.into_iter().filter_map(|space| self.space(space).sent.loss_time().map(|time| (time, space))).min()
    }

    fn pto_time(&self, ctx: TimerContext) -> Option<(Time, Space)> {
        // RFC 9002 section 6.2.2.1: probes count against the amplification limit.
        if ctx.amplification_limited {
            return None;
        }
        // RFC 9002 section 6.2.1: Application data is not probed until the handshake is confirmed.
        let armed = |space: &Space| *space != Space::Application || ctx.handshake_confirmed;
        let earliest = Space::ALL
            .into_iter()
            .filter(armed)
            .filter(|space| self.has_ack_eliciting_in_flight(*space))
            .filter_map(|space| {
                let state = self.space(space);
                // A probe that could not be sent does not leave the timer in the past.
                let since = state.sent.last_ack_eliciting().max(state.probed)?;
                Some((since.saturating_add(self.backed_off(self.pto(space))), space))
            })
            .min();
        earliest.or_else(|| self.anti_deadlock_time(ctx))
    }

    /// RFC 9002 section 6.2.2.1: until it is sure that the server has validated its address a client keeps a timer,
    /// even with nothing in flight: the server may be waiting for the right to send.
    fn anti_deadlock_time(&self, ctx: TimerContext) -> Option<(Time, Space)> {
        if self.peer_completed_address_validation(ctx) {
            return None;
        }
        let space = if ctx.handshake_keys { Space::Handshake } else { Space::Initial };
        let time = self.waiting_since?.saturating_add(self.backed_off(self.pto(space)));
        Some((time, space))
    }

    fn backed_off(&self, period: u64) -> u64 {
        period.saturating_mul(1 << self.pto_count.min(MAX_PTO_BACKOFF))
    }

    /// Acts on an expired timer (RFC 9002 appendix A.9); without one it does nothing.
    pub fn on_timeout(&mut self, now: Time, ctx: TimerContext, feedback: &mut impl Feedback<F>) -> TimeoutOutcome {
        if let Some((time, space)) = self.loss_time() {
            let losses = if time <= now { self.detect_lost(now, space, feedback) } else { None };
            self.space_mut(space).sent.report_acked(feedback);
            return losses.map_or(TimeoutOutcome::Nothing, TimeoutOutcome::Lost);
        }
        let Some((time, space)) = self.pto_time(ctx) else { return TimeoutOutcome::Nothing };
        if time > now {
            return TimeoutOutcome::Nothing;
        }
        self.pto_count = self.pto_count.saturating_add(1);
        self.waiting_since = self.waiting_since.max(Some(now));
        self.space_mut(space).probed = Some(now);
        // A second probe guards against the loss of the first, where there is data for it.
        let count = if self.has_ack_eliciting_in_flight(space) { 2 } else { 1 };
        TimeoutOutcome::Probe { space, count }
    }

    /// Reports the frames of the oldest `packets` outstanding ack-eliciting packets of `space` as lost, so that
    /// probes carry them. The packets are not lost for that: they stay in flight (RFC 9002 section 6.2), and their
    /// frames are not reported again. Returns how many packets gave frames.
    pub fn requeue(&mut self, space: Space, packets: usize, feedback: &mut impl Feedback<F>) -> usize {
        self.space_mut(space).sent.requeue(packets, feedback)
    }

    /// Discards everything outstanding in `space` and reports its frames as lost: for Retry, and for 0-RTT that was
    /// rejected (RFC 9002 sections 6.3 and 6.4). Packet numbers go on; no congestion is inferred.
    pub fn forget_sent(&mut self, space: Space, feedback: &mut impl Feedback<F>) {
        self.space_mut(space).sent.forget(feedback);
        self.reset_timers(space);
    }

    /// Discards the state of a packet number space whose keys are gone, frames and all (RFC 9002 section 6.4).
    pub fn discard_space(&mut self, space: Space) {
        let received = ReceivedPackets::new(space, self.settings.ack_eliciting_threshold);
        let state = self.space_mut(space);
        state.sent.discard();
        state.received = received;
        self.reset_timers(space);
    }

    /// RFC 9002 section 6.2.2: discarding keys resets the timers.
    fn reset_timers(&mut self, space: Space) {
        self.space_mut(space).probed = None;
        self.pto_count = 0;
    }

    /// Starts over with the RTT on a new path (RFC 9000 section 9.4). Packets sent before give no samples to it, and
    /// count for no bytes any more: they are reported with a size of 0.
    pub fn on_path_changed(&mut self) {
        self.application.sent.leave_path();
        self.rtt = Rtt::new(self.settings.initial_rtt);
        self.path_start = self.application.sent.next();
        self.pto_count = 0;
    }
}
