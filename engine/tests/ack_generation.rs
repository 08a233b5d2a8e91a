//! Acknowledgments of received packets (RFC 9000 section 13.2).

use std::collections::BTreeSet;

use proptest::prelude::*;
use quillon::recovery::{MAX_ACK_RANGES, ReceivedPackets};
use quillon::wire::{Ecn, EcnCounts, Space};

const MS: u64 = 1_000_000;
const DELAY: u64 = 25 * MS;

fn application() -> ReceivedPackets {
    ReceivedPackets::new(Space::Application, 2)
}

/// Receives ack-eliciting packets at their number in milliseconds, and acknowledges them.
fn with_received(pns: impl IntoIterator<Item = u64>) -> ReceivedPackets {
    let mut received = application();
    for pn in pns {
        received.on_received(pn, pn * MS, true, Ecn::NotEct);
        received.on_ack_sent();
    }
    received
}

fn ranges(received: &ReceivedPackets) -> Vec<(u64, u64)> {
    received.ranges().map(|range| range.into_inner()).collect()
}

#[test]
fn initial_and_handshake_packets_are_acknowledged_at_once() {
    for space in [Space::Initial, Space::Handshake] {
        let mut received = ReceivedPackets::new(space, 2);
        received.on_received(0, 0, true, Ecn::NotEct);
        assert!(received.ack_needed_now());
    }
}

#[test]
fn every_second_ack_eliciting_packet_is_acknowledged() {
    let mut received = application();
    received.on_received(0, 0, true, Ecn::NotEct);
    assert!(!received.ack_needed_now() && received.ack_pending());
    received.on_received(1, 0, true, Ecn::NotEct);
    assert!(received.ack_needed_now());
    received.on_ack_sent();
    assert!(!received.ack_needed_now() && !received.ack_pending());
    received.on_received(2, 0, true, Ecn::NotEct);
    assert!(!received.ack_needed_now());
}

#[test]
fn a_single_packet_is_acknowledged_within_max_ack_delay() {
    let mut received = application();
    assert_eq!(received.ack_deadline(DELAY), None);
    received.on_received(0, 10 * MS, true, Ecn::NotEct);
    assert_eq!(received.ack_deadline(DELAY), Some(35 * MS));
    // A packet that asks for nothing does not put it off.
    received.on_received(1, 30 * MS, false, Ecn::NotEct);
    assert_eq!(received.ack_deadline(DELAY), Some(35 * MS));
    received.on_timeout(35 * MS - 1, DELAY);
    assert!(!received.ack_needed_now());
    received.on_timeout(35 * MS, DELAY);
    assert!(received.ack_needed_now());
    assert_eq!(received.ack_deadline(DELAY), None, "nothing to wait for any more");
}

#[test]
fn packets_that_are_not_ack_eliciting_cause_no_acknowledgment() {
    let mut received = with_received(0..1);
    // Not even with gaps or CE marks.
    for pn in [1, 2, 5, 9, 3] {
        received.on_received(pn, 0, false, Ecn::Ce);
    }
    assert!(!received.ack_needed_now() && !received.ack_pending());
    assert_eq!(received.ack_deadline(DELAY), None);
    assert_eq!(ranges(&received), [(9, 9), (5, 5), (0, 3)], "but they are in the next one");
}

#[test]
fn a_reordered_packet_is_acknowledged_at_once() {
    let mut received = with_received([0, 1, 3]);
    received.on_received(2, 10 * MS, true, Ecn::NotEct);
    assert!(received.ack_needed_now());
}

#[test]
fn a_packet_after_a_gap_is_acknowledged_at_once() {
    let mut received = with_received([0, 1]);
    received.on_received(3, 10 * MS, true, Ecn::NotEct);
    assert!(received.ack_needed_now());
    received.on_ack_sent();
    // The gap is old news for the packet after.
    received.on_received(4, 11 * MS, true, Ecn::NotEct);
    assert!(!received.ack_needed_now());
}

#[test]
fn packets_that_are_not_ack_eliciting_leave_no_gap() {
    let mut received = with_received([0]);
    received.on_received(1, 10 * MS, false, Ecn::NotEct);
    received.on_received(2, 10 * MS, true, Ecn::NotEct);
    assert!(!received.ack_needed_now());
    // Nor do they hide one: 3 is missing, 4 was not ack-eliciting.
    received.on_ack_sent();
    received.on_received(4, 11 * MS, false, Ecn::NotEct);
    received.on_received(5, 11 * MS, true, Ecn::NotEct);
    assert!(received.ack_needed_now());
}

#[test]
fn a_ce_mark_is_acknowledged_at_once() {
    let mut received = application();
    received.on_received(0, 0, true, Ecn::Ce);
    assert!(received.ack_needed_now());
}

#[test]
fn ecn_counts_are_reported_once_there_are_any_and_skip_duplicates() {
    let mut received = application();
    received.on_received(0, 0, true, Ecn::NotEct);
    assert_eq!(received.ecn_counts(), None);
    for (pn, ecn) in [(1, Ecn::Ect0), (2, Ecn::Ect0), (3, Ecn::Ect1), (4, Ecn::Ce), (4, Ecn::Ce), (1, Ecn::Ect0)] {
        received.on_received(pn, 0, true, ecn);
    }
    assert_eq!(received.ecn_counts(), Some(EcnCounts { ect0: 2, ect1: 1, ce: 1 }));
}

#[test]
fn the_delay_is_measured_from_the_largest_packet() {
    let mut received = application();
    received.on_received(5, 10 * MS, true, Ecn::NotEct);
    received.on_received(4, 15 * MS, true, Ecn::NotEct);
    assert_eq!(received.ack_delay(18 * MS), 8 * MS);
    assert_eq!(received.ack_delay(0), 0, "a clock that goes back does no harm");
}

#[test]
fn duplicates_are_recognised() {
    let mut received = application();
    assert!(received.on_received(7, 0, true, Ecn::NotEct));
    assert!(received.is_duplicate(7) && !received.is_duplicate(6) && !received.is_duplicate(8));
    received.on_ack_sent();
    assert!(!received.on_received(7, 0, true, Ecn::NotEct));
    assert!(!received.ack_pending(), "a duplicate changes nothing");
}

#[test]
fn ranges_acknowledged_by_the_peer_are_dropped() {
    // Section 13.2.4.
    let mut received = with_received([0, 1, 2, 5, 6, 9]);
    received.on_ack_of_our_ack(6);
    assert_eq!(ranges(&received), [(9, 9)]);
    assert!(received.is_duplicate(1) && received.is_duplicate(3), "below the floor everything counts as received");
    assert!(!received.is_duplicate(7));
    received.on_ack_of_our_ack(9);
    assert_eq!((ranges(&received).len(), received.largest()), (0, Some(9)));
    // An older acknowledgment, late, and one for what never arrived.
    received.on_ack_of_our_ack(2);
    received.on_ack_of_our_ack(u64::MAX);
    assert!(!received.is_duplicate(10));
}

#[test]
fn a_packet_that_the_acknowledged_ack_was_too_early_for_is_still_acknowledged() {
    let mut received = with_received([0, 1, 3]);
    received.on_received(2, 10 * MS, true, Ecn::NotEct);
    received.on_ack_of_our_ack(3);
    assert_eq!(ranges(&received), [(2, 3)]);
}

#[test]
fn after_pruning_the_next_packet_in_line_is_no_gap() {
    let mut received = with_received([0, 1, 2]);
    received.on_received(3, 0, false, Ecn::NotEct);
    received.on_ack_of_our_ack(3);
    received.on_received(4, 0, true, Ecn::NotEct);
    assert!(!received.ack_needed_now());
}

#[test]
fn the_ranges_are_capped_and_the_newest_stay() {
    let mut received = with_received((0..1000).map(|i| i * 2));
    assert_eq!(received.ranges().count(), MAX_ACK_RANGES);
    assert_eq!(received.ranges().next(), Some(1998..=1998));
    assert!(received.is_duplicate(101), "too old to tell");
    // One even older than the cap allows is dropped, not processed twice.
    assert!(!received.on_received(1, 0, true, Ecn::NotEct));
    let mut full = with_received((100..100 + MAX_ACK_RANGES as u64).map(|i| i * 2));
    assert!(full.on_received(10, 0, true, Ecn::NotEct));
    assert!(full.is_duplicate(10) && full.is_duplicate(9));
    assert_eq!(full.ranges().count(), MAX_ACK_RANGES);
}

#[test]
fn the_largest_number_there_is_does_no_harm() {
    let mut received = application();
    assert!(!received.on_received(u64::MAX, 0, true, Ecn::Ce));
    assert!(received.on_received(u64::MAX - 1, u64::MAX, true, Ecn::Ce));
    received.on_ack_of_our_ack(u64::MAX);
    received.on_received(0, 0, true, Ecn::Ce);
    assert_eq!(received.ack_deadline(u64::MAX), None);
}

#[derive(Clone, Debug)]
enum Op {
    Receive { pn: u64, ack_eliciting: bool },
    Ack,
    AckOfAck { largest: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0u64..400, any::<bool>()).prop_map(|(pn, ack_eliciting)| Op::Receive { pn, ack_eliciting }),
        1 => Just(Op::Ack),
        1 => (0u64..400).prop_map(|largest| Op::AckOfAck { largest }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No packet is taken twice, nothing is acknowledged that was not received, and what waits can be acknowledged.
    #[test]
    fn acknowledges_only_what_was_received(ops in prop::collection::vec(op(), 0..300)) {
        let mut received = application();
        let mut taken = BTreeSet::new();
        for (at, op) in ops.into_iter().enumerate() {
            match op {
                Op::Receive { pn, ack_eliciting } => {
                    let duplicate = received.is_duplicate(pn);
                    prop_assert!(duplicate || !taken.contains(&pn));
                    prop_assert_eq!(received.on_received(pn, at as u64, ack_eliciting, Ecn::NotEct), !duplicate);
                    if !duplicate { taken.insert(pn); }
                }
                Op::Ack => received.on_ack_sent(),
                Op::AckOfAck { largest } => received.on_ack_of_our_ack(largest),
            }
            prop_assert_eq!(received.largest(), taken.last().copied());
            let flat: Vec<u64> = received.ranges().flat_map(|range| range.rev()).collect();
            prop_assert!(flat.is_sorted_by(|a, b| a > b));
            prop_assert!(flat.iter().all(|pn| taken.contains(pn)));
            prop_assert!(received.ranges().count() <= MAX_ACK_RANGES);
            if received.ack_pending() {
                prop_assert_eq!(flat.first().copied(), received.largest());
                prop_assert_eq!(received.ack_deadline(DELAY).is_none(), received.ack_needed_now());
            }
        }
    }
}
