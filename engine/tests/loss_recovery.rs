//! Loss detection (RFC 9002 sections 5 and 6, and 7.6), with the RFC's numbers.

use core::ops::RangeInclusive;

use quillon::error::TransportErrorCode;
use quillon::recovery::{
    AckOutcome, Feedback, Losses, MAX_PTO_BACKOFF, Recovery, Rtt, SentPacket, Settings, TimeoutOutcome, TimerContext,
};
use quillon::wire::{Space, Time};

const MS: u64 = 1_000_000;
const SIZE: usize = 1200;

/// A server, or a client late enough: the peer has validated our address.
const VALIDATED: TimerContext = TimerContext {
    handshake_confirmed: false,
    handshake_keys: true,
    peer_completed_address_validation: true,
    amplification_limited: false,
};
const CONFIRMED: TimerContext = TimerContext { handshake_confirmed: true, ..VALIDATED };
const CLIENT_START: TimerContext = TimerContext {
    handshake_confirmed: false,
    handshake_keys: false,
    peer_completed_address_validation: false,
    amplification_limited: false,
};

#[derive(Default)]
struct Log {
    acked: Vec<u64>,
    lost: Vec<u64>,
    frames_acked: Vec<u32>,
    frames_lost: Vec<u32>,
    order: Vec<&'static str>,
}

impl Feedback<u32> for Log {
    fn packet_acked(&mut self, packet: &SentPacket) {
        self.acked.push(packet.pn);
        self.order.push("acked");
    }
    fn frame_acked(&mut self, frame: u32) {
        self.frames_acked.push(frame);
    }
    fn packet_lost(&mut self, packet: &SentPacket) {
        self.lost.push(packet.pn);
        self.order.push("lost");
    }
    fn frame_lost(&mut self, frame: u32) {
        self.frames_lost.push(frame);
    }
    fn rtt_updated(&mut self, _: &Rtt) {
        self.order.push("rtt");
    }
    fn losses(&mut self, _: &Losses) {
        self.order.push("losses");
    }
}

struct Sender {
    recovery: Recovery<u32>,
    log: Log,
    ctx: TimerContext,
}

impl Sender {
    fn new(ctx: TimerContext) -> Self {
        Self { recovery: Recovery::new(Settings::default()), log: Log::default(), ctx }
    }

    /// A sender whose RTT is exactly `rtt` with no variance left to speak of: packets 0..n were sent and acknowledged.
    fn with_rtt(rtt: u64) -> Self {
        let mut sender = Self::new(CONFIRMED);
        let mut now = 0;
        for pn in 0..64 {
            sender.send(Space::Application, now);
            now += rtt;
            sender.ack(now, Space::Application, &[pn..=pn]);
        }
        sender.log = Log::default();
        sender
    }

    /// Sends an ack-eliciting packet whose one frame is its packet number.
    fn send(&mut self, space: Space, time: Time) -> u64 {
        let pn = self.recovery.next_packet_number(space);
        self.send_packet(
            space,
            SentPacket { pn, time, size: SIZE, ack_eliciting: true, in_flight: true, ..SentPacket::default() },
        );
        pn
    }

    fn send_ack_only(&mut self, space: Space, time: Time) -> u64 {
        let pn = self.recovery.next_packet_number(space);
        self.send_packet(
            space,
            SentPacket { pn, time, size: 40, ack_eliciting: false, in_flight: false, ..SentPacket::default() },
        );
        pn
    }

    fn send_packet(&mut self, space: Space, packet: SentPacket) {
        self.recovery.on_packet_sent(space, packet, &mut vec![packet.pn as u32]);
    }

    fn ack(&mut self, now: Time, space: Space, ranges: &[RangeInclusive<u64>]) -> AckOutcome {
        self.ack_delayed(now, space, ranges, 0)
    }

    fn ack_delayed(&mut self, now: Time, space: Space, ranges: &[RangeInclusive<u64>], delay: u64) -> AckOutcome {
        let largest = *ranges[0].end();
        self.recovery
            .on_ack(now, space, largest, ranges.iter().cloned(), delay, self.ctx, &mut self.log)
            .expect("a valid ACK")
    }

    fn timeout(&self) -> Option<Time> {
        self.recovery.timeout(self.ctx)
    }

    fn expire(&mut self, now: Time) -> TimeoutOutcome {
        self.recovery.on_timeout(now, self.ctx, &mut self.log)
    }
}

// Section 5: the round-trip time.

#[test]
fn rtt_starts_at_333_ms_and_half_of_it() {
    // Section 5.3, with the kInitialRtt of section 6.2.2.
    let sender = Sender::new(CONFIRMED);
    let rtt = sender.recovery.rtt();
    assert_eq!((rtt.smoothed, rtt.variance, rtt.latest, rtt.min), (333 * MS, 333 * MS / 2, 0, None));
}

#[test]
fn first_sample_resets_the_estimate() {
    let mut sender = Sender::new(CONFIRMED);
    sender.send(Space::Application, 10 * MS);
    let outcome = sender.ack_delayed(110 * MS, Space::Application, &[0..=0], 20 * MS);
    assert!(outcome.rtt_sample);
    let rtt = sender.recovery.rtt();
    assert_eq!((rtt.latest, rtt.smoothed, rtt.variance, rtt.min), (100 * MS, 100 * MS, 50 * MS, Some(100 * MS)));
}

#[test]
fn later_samples_are_weighed_by_an_eighth_and_a_quarter() {
    let mut sender = Sender::new(CONFIRMED);
    sender.send(Space::Application, 0);
    sender.ack(100 * MS, Space::Application, &[0..=0]);
    sender.send(Space::Application, 100 * MS);
    sender.ack_delayed(240 * MS, Space::Application, &[1..=1], 20 * MS);
    let rtt = sender.recovery.rtt();
    // Adjusted by the acknowledgment delay: 120 ms. Deviation from the old average: 20 ms.
    assert_eq!(rtt.latest, 140 * MS);
    assert_eq!(rtt.smoothed, (7 * 100 * MS + 120 * MS) / 8);
    assert_eq!(rtt.variance, (3 * 50 * MS + 20 * MS) / 4);
    assert_eq!(rtt.min, Some(100 * MS));
}

#[test]
fn ack_delay_is_limited_to_the_peers_maximum_once_confirmed() {
    for (ctx, usable) in [(CONFIRMED, 25 * MS), (VALIDATED, 60 * MS)] {
        let mut sender = Sender::new(ctx);
        sender.recovery.set_peer_max_ack_delay(25 * MS);
        sender.send(Space::Application, 0);
        sender.ack(100 * MS, Space::Application, &[0..=0]);
        sender.send(Space::Application, 100 * MS);
        sender.ack_delayed(300 * MS, Space::Application, &[1..=1], 60 * MS);
        assert_eq!(sender.recovery.rtt().smoothed, (7 * 100 * MS + 200 * MS - usable) / 8);
    }
}

#[test]
fn ack_delay_never_brings_a_sample_below_the_minimum() {
    let mut sender = Sender::new(CONFIRMED);
    sender.send(Space::Application, 0);
    sender.ack(100 * MS, Space::Application, &[0..=0]);
    sender.send(Space::Application, 100 * MS);
    sender.ack_delayed(210 * MS, Space::Application, &[1..=1], 20 * MS);
    assert_eq!(sender.recovery.rtt().smoothed, (7 * 100 * MS + 110 * MS) / 8);
}

#[test]
fn ack_delay_of_initial_packets_is_ignored() {
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Initial, 0);
    sender.ack(100 * MS, Space::Initial, &[0..=0]);
    sender.send(Space::Initial, 100 * MS);
    sender.ack_delayed(300 * MS, Space::Initial, &[1..=1], 50 * MS);
    assert_eq!(sender.recovery.rtt().smoothed, (7 * 100 * MS + 200 * MS) / 8);
}

#[test]
fn only_a_newly_acknowledged_largest_packet_gives_a_sample() {
    let mut sender = Sender::new(CONFIRMED);
    for _ in 0..3 {
        sender.send(Space::Application, 0);
    }
    assert!(sender.ack(50 * MS, Space::Application, &[2..=2]).rtt_sample);
    // Number 2 again, and 1 for the first time.
    let outcome = sender.ack(90 * MS, Space::Application, &[1..=2]);
    assert!(outcome.newly_acked && !outcome.rtt_sample);
    assert_eq!(outcome.largest_newly_acked, Some(1));
    assert_eq!(sender.recovery.rtt().latest, 50 * MS);
}

#[test]
fn packets_that_are_not_ack_eliciting_give_no_sample() {
    let mut sender = Sender::new(CONFIRMED);
    sender.send_ack_only(Space::Application, 0);
    let outcome = sender.ack(50 * MS, Space::Application, &[0..=0]);
    assert!(outcome.newly_acked && !outcome.ack_eliciting_acked && !outcome.rtt_sample);
    assert_eq!(sender.recovery.rtt().min, None);
}

#[test]
fn a_new_path_starts_with_the_initial_rtt_and_its_own_packets() {
    let mut sender = Sender::with_rtt(20 * MS);
    sender.send(Space::Application, 2_000 * MS);
    sender.recovery.on_path_changed();
    assert_eq!(sender.recovery.rtt().smoothed, 333 * MS);
    assert!(!sender.ack(2_020 * MS, Space::Application, &[64..=64]).rtt_sample);
    sender.send(Space::Application, 2_020 * MS);
    assert!(sender.ack(2_100 * MS, Space::Application, &[65..=65]).rtt_sample);
    assert_eq!(sender.recovery.rtt().smoothed, 80 * MS);
}

// Section 6.1: acknowledgment-based detection.

#[test]
fn a_packet_three_before_an_acknowledged_one_is_lost() {
    let mut sender = Sender::new(CONFIRMED);
    for _ in 0..5 {
        sender.send(Space::Application, 0);
    }
    let outcome = sender.ack(10 * MS, Space::Application, &[4..=4]);
    assert_eq!(sender.log.lost, [0, 1]);
    assert_eq!(sender.log.frames_lost, [0, 1]);
    let losses = outcome.losses.expect("losses");
    assert_eq!((losses.packets, losses.bytes, losses.persistent), (2, 2 * SIZE as u64, false));
    assert_eq!(sender.recovery.bytes_in_flight(), 2 * SIZE as u64);
}

#[test]
fn numbers_left_out_do_not_count_towards_the_packet_threshold() {
    let mut sender = Sender::new(CONFIRMED);
    sender.send(Space::Application, 0);
    for pn in [1, 3] {
        sender.send_packet(
            Space::Application,
            SentPacket { pn, time: 0, size: SIZE, ack_eliciting: true, in_flight: true, ..SentPacket::default() },
        );
    }
    sender.ack(10 * MS, Space::Application, &[3..=3]);
    assert!(sender.log.lost.is_empty(), "two packets were sent after number 0, not three");
}

#[test]
fn a_packet_is_lost_nine_eighths_of_the_rtt_after_it_was_sent() {
    let mut sender = Sender::with_rtt(80 * MS);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    sender.send(Space::Application, start + MS);
    sender.ack(start + 81 * MS, Space::Application, &[first + 1..=first + 1]);
    assert!(sender.log.lost.is_empty());
    assert_eq!(sender.timeout(), Some(start + 90 * MS));
    assert_eq!(sender.expire(start + 90 * MS - 1), TimeoutOutcome::Nothing);
    let TimeoutOutcome::Lost(losses) = sender.expire(start + 90 * MS) else { panic!("the packet is lost") };
    assert_eq!((losses.packets, losses.largest_sent_time), (1, start));
    assert_eq!(sender.log.lost, [first]);
    assert_eq!((sender.timeout(), sender.recovery.bytes_in_flight()), (None, 0));
}

#[test]
fn the_time_threshold_uses_the_larger_of_latest_and_smoothed() {
    let mut sender = Sender::with_rtt(80 * MS);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    sender.send(Space::Application, start);
    sender.ack(start + 160 * MS, Space::Application, &[first + 1..=first + 1]);
    assert_eq!(sender.timeout(), Some(start + 180 * MS));
}

#[test]
fn the_time_threshold_is_at_least_one_millisecond() {
    let mut sender = Sender::with_rtt(MS / 10);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    sender.send(Space::Application, start);
    sender.ack(start + MS / 10, Space::Application, &[first + 1..=first + 1]);
    assert_eq!(sender.timeout(), Some(start + MS));
}

#[test]
fn packets_after_the_largest_acknowledged_one_are_not_lost() {
    let mut sender = Sender::with_rtt(10 * MS);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    for _ in 0..10 {
        sender.send(Space::Application, start);
    }
    sender.ack(start + 500 * MS, Space::Application, &[first..=first]);
    assert!(sender.log.lost.is_empty());
}

#[test]
fn congestion_control_sees_rtt_then_losses_then_acknowledgments() {
    // Appendix A.7.
    let mut sender = Sender::new(CONFIRMED);
    for _ in 0..4 {
        sender.send(Space::Application, 0);
    }
    sender.ack(10 * MS, Space::Application, &[3..=3]);
    assert_eq!(sender.log.order, ["rtt", "lost", "losses", "acked"]);
}

#[test]
fn a_late_acknowledgment_of_a_lost_packet_reports_nothing_twice() {
    let mut sender = Sender::new(CONFIRMED);
    for _ in 0..4 {
        sender.send(Space::Application, 0);
    }
    sender.ack(10 * MS, Space::Application, &[3..=3]);
    let outcome = sender.ack(11 * MS, Space::Application, &[3..=3, 0..=0]);
    assert_eq!(outcome, AckOutcome::default());
    assert_eq!((sender.log.lost.as_slice(), sender.log.acked.as_slice()), ([0].as_slice(), [3].as_slice()));
}

// RFC 9000 sections 13.1 and 21.4.

#[test]
fn acknowledging_an_unsent_or_skipped_number_is_a_protocol_violation() {
    let mut sender = Sender::new(CONFIRMED);
    for pn in [0, 1, 3, 4] {
        sender.send_packet(
            Space::Application,
            SentPacket { pn, time: 0, size: SIZE, ack_eliciting: true, in_flight: true, ..SentPacket::default() },
        );
    }
    sender.ack(MS, Space::Application, &[3..=4, 0..=1]);
    let mut refused = |largest: u64, ranges: &[RangeInclusive<u64>]| {
        let ranges = ranges.iter().cloned();
        let result = sender.recovery.on_ack(MS, Space::Application, largest, ranges, 0, CONFIRMED, &mut sender.log);
        assert_eq!(result.map_err(|error| error.code), Err(TransportErrorCode::PROTOCOL_VIOLATION));
    };
    refused(5, &[5..=5]);
    refused(u64::MAX, &[0..=u64::MAX]);
    // Also long after the packets around it were acknowledged.
    refused(4, &[0..=4]);
    refused(2, &[2..=2]);
    refused(4, &[4..=4, 2..=2]);
}

// Section 6.2: the probe timeout.

#[test]
fn the_first_pto_is_about_one_second() {
    // Section 6.2.2: 333 ms + 4 * 166.5 ms = 999 ms.
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Initial, 5 * MS);
    assert_eq!(sender.timeout(), Some(5 * MS + 999 * MS));
}

#[test]
fn the_application_pto_includes_the_peers_ack_delay() {
    let mut sender = Sender::new(CONFIRMED);
    sender.recovery.set_peer_max_ack_delay(40 * MS);
    assert_eq!(sender.recovery.pto(Space::Handshake), 999 * MS);
    assert_eq!(sender.recovery.pto(Space::Application), 1_039 * MS);
    sender.send(Space::Application, 0);
    assert_eq!(sender.timeout(), Some(1_039 * MS));
}

#[test]
fn the_variance_counts_for_at_least_the_granularity() {
    let sender = Sender::with_rtt(20 * MS);
    assert!(sender.recovery.rtt().variance * 4 < MS);
    assert_eq!(sender.recovery.pto(Space::Initial), 21 * MS);
}

#[test]
fn each_expiry_doubles_the_pto_and_an_acknowledgment_resets_it() {
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Handshake, 0);
    assert_eq!(sender.expire(999 * MS), TimeoutOutcome::Probe { space: Space::Handshake, count: 2 });
    sender.send(Space::Handshake, 999 * MS);
    assert_eq!(sender.timeout(), Some(999 * MS + 2 * 999 * MS));
    assert_eq!(sender.expire(2_997 * MS), TimeoutOutcome::Probe { space: Space::Handshake, count: 2 });
    sender.send(Space::Handshake, 2_997 * MS);
    assert_eq!(sender.timeout(), Some(2_997 * MS + 4 * 999 * MS));
    assert_eq!(sender.recovery.pto_count(), 2);
    assert!(sender.log.lost.is_empty(), "a PTO declares nothing lost");
    sender.ack(3_097 * MS, Space::Handshake, &[2..=2]);
    assert_eq!(sender.recovery.pto_count(), 0);
}

#[test]
fn the_backoff_is_capped_and_a_probe_not_sent_does_not_leave_the_timer_behind() {
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Handshake, 0);
    let mut last = 0;
    for _ in 0..100 {
        let now = sender.timeout().expect("a timer");
        assert!(now > last);
        assert!(matches!(sender.expire(now), TimeoutOutcome::Probe { .. }));
        last = now;
    }
    assert_eq!(sender.timeout(), Some(last + ((999 * MS) << MAX_PTO_BACKOFF)));
}

#[test]
fn no_pto_for_application_data_before_the_handshake_is_confirmed() {
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Application, 0);
    assert_eq!(sender.timeout(), None);
    sender.send(Space::Handshake, 100 * MS);
    assert_eq!(sender.timeout(), Some(1_099 * MS));
    sender.ctx = CONFIRMED;
    assert_eq!(sender.timeout(), Some(1_024 * MS));
}

#[test]
fn the_timer_is_the_earlier_of_initial_and_handshake() {
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Handshake, 20 * MS);
    sender.send(Space::Initial, 50 * MS);
    assert_eq!(sender.timeout(), Some(1_019 * MS));
    assert_eq!(sender.expire(1_019 * MS), TimeoutOutcome::Probe { space: Space::Handshake, count: 2 });
    // The backoff is common to the spaces.
    assert_eq!(sender.timeout(), Some(50 * MS + 2 * 999 * MS));
}

#[test]
fn the_time_threshold_timer_takes_the_place_of_the_pto() {
    let mut sender = Sender::with_rtt(80 * MS);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    sender.send(Space::Application, start);
    sender.send(Space::Application, start);
    let pto = sender.timeout();
    sender.ack(start + 80 * MS, Space::Application, &[first + 1..=first + 1]);
    assert_eq!(sender.timeout(), Some(start + 90 * MS));
    sender.expire(start + 90 * MS);
    assert!(sender.timeout() >= pto, "back to the PTO of what is left");
}

#[test]
fn a_server_at_the_amplification_limit_has_no_pto() {
    // Section 6.2.2.1.
    let mut sender = Sender::new(TimerContext { amplification_limited: true, ..VALIDATED });
    sender.send(Space::Initial, 0);
    assert_eq!(sender.timeout(), None);
    assert_eq!(sender.expire(5_000 * MS), TimeoutOutcome::Nothing);
    // A datagram arrives: the timer is in the past, and fires at once.
    sender.ctx = VALIDATED;
    assert_eq!(sender.timeout(), Some(999 * MS));
    assert_eq!(sender.expire(5_000 * MS), TimeoutOutcome::Probe { space: Space::Initial, count: 2 });
}

#[test]
fn a_client_keeps_a_timer_with_nothing_in_flight_against_deadlock() {
    // Section 6.2.2.1.
    let mut client = Sender::new(CLIENT_START);
    client.send(Space::Initial, 0);
    client.ack(100 * MS, Space::Initial, &[0..=0]);
    assert_eq!(client.recovery.bytes_in_flight(), 0);
    // 100 + 4 * 50 ms after the acknowledgment.
    assert_eq!(client.timeout(), Some(400 * MS));
    assert_eq!(client.expire(400 * MS), TimeoutOutcome::Probe { space: Space::Initial, count: 1 });
    assert_eq!(client.timeout(), Some(400 * MS + 2 * 300 * MS));
    client.ctx.handshake_keys = true;
    assert_eq!(client.expire(1_000 * MS), TimeoutOutcome::Probe { space: Space::Handshake, count: 1 });
}

#[test]
fn a_client_with_only_0_rtt_packets_in_flight_keeps_the_anti_deadlock_timer() {
    let mut client = Sender::new(CLIENT_START);
    client.send(Space::Initial, 0);
    client.send(Space::Application, 0);
    client.ack(100 * MS, Space::Initial, &[0..=0]);
    assert_eq!(client.timeout(), Some(400 * MS));
}

#[test]
fn an_acknowledged_handshake_packet_ends_the_anti_deadlock_timer() {
    let mut client = Sender::new(CLIENT_START);
    client.send(Space::Initial, 0);
    client.ack(100 * MS, Space::Initial, &[0..=0]);
    client.ctx.handshake_keys = true;
    client.send(Space::Handshake, 100 * MS);
    client.recovery.discard_space(Space::Initial);
    client.ack(200 * MS, Space::Handshake, &[0..=0]);
    assert_eq!(client.timeout(), None);
}

#[test]
fn acknowledged_initial_packets_do_not_reset_a_clients_backoff() {
    let mut client = Sender::new(CLIENT_START);
    client.send(Space::Initial, 0);
    client.expire(999 * MS);
    client.send(Space::Initial, 999 * MS);
    client.ack(1_100 * MS, Space::Initial, &[0..=1]);
    assert_eq!(client.recovery.pto_count(), 1);
    client.send(Space::Handshake, 1_100 * MS);
    client.ack(1_200 * MS, Space::Handshake, &[0..=0]);
    assert_eq!(client.recovery.pto_count(), 0);
}

#[test]
fn probes_carry_the_frames_of_the_oldest_packets() {
    let mut sender = Sender::with_rtt(20 * MS);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    for _ in 0..4 {
        sender.send(Space::Application, start);
    }
    let in_flight = sender.recovery.bytes_in_flight();
    let expiry = sender.timeout().expect("a timer");
    let TimeoutOutcome::Probe { space, count } = sender.expire(expiry) else { panic!("a probe is due") };
    assert_eq!((space, count), (Space::Application, 2));
    assert_eq!(sender.recovery.requeue(space, usize::from(count), &mut sender.log), 2);
    assert_eq!(sender.log.frames_lost, [first as u32, first as u32 + 1]);
    assert!(sender.log.lost.is_empty());
    assert_eq!(sender.recovery.bytes_in_flight(), in_flight, "the packets stay in flight");
    // The next expiry brings other data, and nothing is reported twice.
    assert_eq!(sender.recovery.requeue(space, 10, &mut sender.log), 3);
    assert_eq!(sender.recovery.requeue(space, 10, &mut sender.log), 0);
    sender.ack(expiry + 20 * MS, Space::Application, &[first..=first + 4]);
    assert_eq!((sender.log.frames_lost.len(), sender.log.frames_acked.len(), sender.log.acked.len()), (5, 0, 5));
}

// Sections 6.3 and 6.4: Retry and discarded keys.

#[test]
fn discarding_a_space_removes_its_bytes_and_resets_the_timers() {
    let mut sender = Sender::new(VALIDATED);
    sender.send(Space::Initial, 0);
    sender.send(Space::Handshake, 10 * MS);
    sender.expire(999 * MS);
    assert_eq!(sender.recovery.pto_count(), 1);
    sender.recovery.discard_space(Space::Initial);
    assert_eq!(sender.recovery.bytes_in_flight(), SIZE as u64);
    assert_eq!(sender.recovery.pto_count(), 0);
    assert_eq!(sender.timeout(), Some(1_009 * MS));
    sender.recovery.discard_space(Space::Handshake);
    assert_eq!((sender.timeout(), sender.recovery.bytes_in_flight()), (None, 0));
    assert!(sender.log.frames_lost.is_empty() && sender.log.frames_acked.is_empty());
}

#[test]
fn retry_hands_the_frames_back_and_packet_numbers_go_on() {
    let mut client = Sender::new(CLIENT_START);
    client.send(Space::Initial, 0);
    client.expire(999 * MS);
    client.send(Space::Initial, 999 * MS);
    client.recovery.forget_sent(Space::Initial, &mut client.log);
    assert_eq!(client.log.frames_lost, [0, 1]);
    assert!(client.log.lost.is_empty(), "no congestion");
    assert_eq!((client.recovery.bytes_in_flight(), client.recovery.pto_count()), (0, 0));
    assert_eq!(client.send(Space::Initial, 1_100 * MS), 2);
    // The peer never saw the forgotten packets; an acknowledgment of them is harmless.
    client.ack(1_200 * MS, Space::Initial, &[0..=2]);
    assert_eq!(client.log.acked, [2]);
}

// Section 7.6: persistent congestion.

/// The example of section 7.6.3, one second to its unit of time: 200 ms of RTT, 1 ms of granularity and the rest of
/// the two seconds in the peer's max_ack_delay. The acknowledgment of packet 1 was held back for a second.
fn persistent_congestion_example() -> (AckOutcome, Sender) {
    const UNIT: u64 = 1_000 * MS;
    let mut sender = Sender::with_rtt(UNIT / 5);
    sender.recovery.set_peer_max_ack_delay(2 * UNIT - UNIT / 5 - MS);
    assert_eq!(sender.recovery.pto(Space::Application), 2 * UNIT);
    let base = 1_000 * UNIT;
    let first = sender.send(Space::Application, base);
    sender.send(Space::Application, base + UNIT);
    sender.ack_delayed(base + UNIT * 12 / 10, Space::Application, &[first..=first], UNIT);
    for at in 2..=6 {
        sender.send(Space::Application, base + at * UNIT);
    }
    for (expiry, number) in [(8, 1), (12, 2)] {
        assert_eq!(sender.timeout(), Some(base + expiry * UNIT));
        sender.expire(base + expiry * UNIT);
        assert_eq!(sender.recovery.pto_count(), number);
        sender.send(Space::Application, base + expiry * UNIT);
    }
    let last = first + 8;
    let outcome = sender.ack(base + UNIT * 122 / 10, Space::Application, &[last..=last]);
    (outcome, sender)
}

#[test]
fn losses_longer_than_three_periods_are_persistent_congestion() {
    let (outcome, sender) = persistent_congestion_example();
    let losses = outcome.losses.expect("losses");
    // Packets 2 to 8 of the example.
    assert_eq!((losses.packets, losses.persistent), (7, true));
    // Section 5.2: the minimum restarts from the newest sample.
    assert_eq!(sender.recovery.rtt().min, Some(sender.recovery.rtt().latest));
}

fn congestion_run(build: impl FnOnce(&mut Sender, Time)) -> Losses {
    // PTO period: 100 + 1 + 25 ms; three of them are 378 ms.
    let mut sender = Sender::with_rtt(100 * MS);
    let base = 100_000 * MS;
    build(&mut sender, base);
    let first = sender.send(Space::Application, base + 900 * MS);
    sender.send(Space::Application, base + 900 * MS);
    let last = sender.send(Space::Application, base + 900 * MS);
    // What the period is taken from is the estimate after this sample, which changes nothing: 100 ms again.
    let outcome = sender.ack(base + 1_000 * MS, Space::Application, &[first..=last]);
    outcome.losses.expect("losses")
}

#[test]
fn the_duration_has_to_exceed_three_periods() {
    for (gap, persistent) in [(378, false), (379, true)] {
        let losses = congestion_run(|sender, base| {
            sender.send(Space::Application, base);
            sender.send(Space::Application, base + gap * MS);
        });
        assert_eq!((losses.packets, losses.persistent), (2, persistent), "{gap} ms");
    }
}

#[test]
fn an_acknowledged_packet_in_between_breaks_persistent_congestion() {
    let losses = congestion_run(|sender, base| {
        sender.send(Space::Application, base);
        let between = sender.send(Space::Application, base + 200 * MS);
        sender.send(Space::Application, base + 400 * MS);
        sender.ack(base + 300 * MS, Space::Application, &[between..=between]);
    });
    assert!(!losses.persistent);
}

#[test]
fn an_acknowledged_packet_of_another_space_breaks_persistent_congestion() {
    let losses = congestion_run(|sender, base| {
        sender.send(Space::Application, base);
        let between = sender.send(Space::Handshake, base + 200 * MS);
        sender.ack(base + 300 * MS, Space::Handshake, &[between..=between]);
        sender.send(Space::Application, base + 400 * MS);
    });
    assert!(!losses.persistent);
}

#[test]
fn both_ends_of_persistent_congestion_are_ack_eliciting() {
    let losses = congestion_run(|sender, base| {
        let padding = |pn, time| SentPacket {
            pn,
            time,
            size: SIZE,
            ack_eliciting: false,
            in_flight: true,
            ..SentPacket::default()
        };
        let pn = sender.recovery.next_packet_number(Space::Application);
        sender.send_packet(Space::Application, padding(pn, base));
        sender.send(Space::Application, base + 200 * MS);
        sender.send_packet(Space::Application, padding(pn + 2, base + 600 * MS));
    });
    assert_eq!((losses.packets, losses.persistent), (3, false));
}

#[test]
fn packets_sent_before_the_first_rtt_sample_establish_no_persistent_congestion() {
    let mut sender = Sender::new(CONFIRMED);
    for at in [0, 5_000, 10_000, 10_000, 10_000] {
        sender.send(Space::Application, at * MS);
    }
    let losses = sender.ack(10_010 * MS, Space::Application, &[4..=4]).losses.expect("losses");
    assert_eq!((losses.packets, losses.persistent), (2, false));
}

// Bounds.

#[test]
fn packets_that_need_no_acknowledgment_do_not_pile_up() {
    let mut sender = Sender::with_rtt(10 * MS);
    let start = 10_000 * MS;
    let first = sender.send(Space::Application, start);
    for _ in 0..31 {
        sender.send_ack_only(Space::Application, start);
    }
    assert!(!sender.recovery.wants_ping(Space::Application), "an ack-eliciting packet is outstanding");
    sender.ack(start + 10 * MS, Space::Application, &[first..=first]);
    assert!(!sender.recovery.wants_ping(Space::Application));
    sender.send_ack_only(Space::Application, start);
    assert!(sender.recovery.wants_ping(Space::Application));
    // The peer is silent about all of these. One ack-eliciting packet at the front holds the log in place.
    let data = sender.send(Space::Application, start);
    for _ in 0..100_000 {
        sender.send_ack_only(Space::Application, start);
    }
    let newest = sender.recovery.next_packet_number(Space::Application) - 1;
    sender.log = Log::default();
    sender.ack(start + 20 * MS, Space::Application, &[newest..=newest]);
    assert_eq!(sender.log.lost, [data]);
    assert_eq!(sender.log.frames_acked, [newest as u32]);
    assert_eq!(sender.log.frames_lost.len(), 1 + 255, "the data, and the ACK-only packets still remembered");
}

#[test]
fn a_flight_of_ten_thousand_packets_with_holes_keeps_every_frame_apart() {
    let mut sender = Sender::with_rtt(50 * MS);
    let first = sender.recovery.next_packet_number(Space::Application);
    let start = 10_000 * MS;
    for _ in 0..10_000 {
        sender.send(Space::Application, start);
    }
    // Every ACK repeats 32 ranges: the newest, and 31 old ones. Every tenth packet is lost.
    let is_lost = |pn: u64| (pn - first).is_multiple_of(10);
    for block in 1..1_000 {
        let ranges: Vec<_> =
            (0..block.min(32)).map(|back| first + (block - back) * 10).map(|pn| pn - 9..=pn - 1).collect();
        sender.ack(start + 50 * MS, Space::Application, &ranges);
    }
    let expected: Vec<u64> = (first..first + 9_990).filter(|pn| is_lost(*pn)).collect();
    assert_eq!(sender.log.lost, expected);
    assert_eq!(sender.log.acked.len(), 8_991);
    assert!(sender.log.frames_acked.iter().all(|pn| !is_lost(u64::from(*pn))));
    assert_eq!(sender.recovery.bytes_in_flight(), 10 * SIZE as u64);
}
