//! Congestion control (RFC 9002 section 7 and appendix B), and pacing (section 7.7).

use proptest::prelude::*;
use quillon::congestion::{Controller, NewReno, Pacer, RttView, initial_window, minimum_window};

const MS: u64 = 1_000_000;
const MTU: u64 = 1200;
const RTT: RttView = RttView { latest: 100 * MS, smoothed: 100 * MS, min: 100 * MS };

fn ack(reno: &mut NewReno, now: u64, sent: u64, bytes: u64) {
    reno.on_acked(now, sent, bytes, false, RTT);
}

fn lose(reno: &mut NewReno, now: u64, sent: u64) {
    reno.on_congestion(now, sent, MTU, false, false);
}

#[test]
fn the_initial_window_is_ten_datagrams_within_bounds() {
    // Section 7.2.
    for (mtu, window) in [(1200, 12_000), (1472, 14_720), (1500, 14_720), (9000, 18_000)] {
        assert_eq!(initial_window(mtu), window);
        assert_eq!(NewReno::new(mtu).window(), window);
        assert_eq!(minimum_window(mtu), 2 * mtu);
    }
    assert_eq!(NewReno::new(MTU).ssthresh(), None);
}

#[test]
fn a_changed_datagram_size_recalculates_only_an_initial_window() {
    let mut reno = NewReno::new(MTU);
    reno.on_mtu(1400);
    assert_eq!(reno.window(), 14_000);
    reno.on_mtu(1200);
    assert_eq!(reno.window(), 12_000);
    ack(&mut reno, MS, 0, MTU);
    reno.on_mtu(1400);
    assert_eq!(reno.window(), 13_200);
    reno.on_mtu(9000);
    assert_eq!(reno.window(), 18_000, "but never below the minimum");
}

#[test]
fn slow_start_grows_by_the_bytes_acknowledged() {
    let mut reno = NewReno::new(MTU);
    for _ in 0..10 {
        ack(&mut reno, 100 * MS, 0, MTU);
    }
    assert_eq!(reno.window(), 24_000);
}

#[test]
fn loss_halves_the_window_once_in_a_recovery_period() {
    let mut reno = NewReno::new(MTU);
    lose(&mut reno, 100 * MS, 50 * MS);
    assert_eq!((reno.window(), reno.ssthresh()), (6_000, Some(6_000)));
    // Sent before the recovery period began, and at its very start.
    lose(&mut reno, 110 * MS, 60 * MS);
    lose(&mut reno, 110 * MS, 100 * MS);
    assert_eq!(reno.window(), 6_000);
    lose(&mut reno, 210 * MS, 101 * MS);
    assert_eq!(reno.window(), 3_000);
}

#[test]
fn the_window_does_not_grow_in_recovery() {
    let mut reno = NewReno::new(MTU);
    lose(&mut reno, 100 * MS, 50 * MS);
    ack(&mut reno, 120 * MS, 90 * MS, 100 * MTU);
    assert_eq!(reno.window(), 6_000);
    ack(&mut reno, 220 * MS, 110 * MS, 6_000);
    assert_eq!(reno.window(), 7_200, "an acknowledgment of what was sent in recovery ends it");
}

#[test]
fn an_ecn_mark_counts_like_a_loss() {
    let mut reno = NewReno::new(MTU);
    reno.on_congestion(100 * MS, 50 * MS, 0, false, true);
    assert_eq!(reno.window(), 6_000);
    reno.on_congestion(101 * MS, 60 * MS, MTU, false, false);
    assert_eq!(reno.window(), 6_000);
}

#[test]
fn congestion_avoidance_adds_one_datagram_for_each_window() {
    let mut reno = NewReno::new(MTU);
    lose(&mut reno, 100 * MS, 50 * MS);
    for round in 0..20 {
        let window = reno.window();
        let mut acked = 0;
        while acked < window {
            assert_eq!(reno.window(), window, "round {round}");
            ack(&mut reno, 200 * MS, 150 * MS, MTU);
            acked += MTU;
        }
        assert_eq!(reno.window(), window + MTU, "round {round}");
    }
}

#[test]
fn the_window_has_a_minimum_of_two_datagrams() {
    let mut reno = NewReno::new(MTU);
    for round in 1..20 {
        lose(&mut reno, round * 100 * MS, round * 100 * MS - MS);
    }
    assert_eq!(reno.window(), 2 * MTU);
}

#[test]
fn persistent_congestion_collapses_the_window_and_restarts_slow_start() {
    let mut reno = NewReno::new(MTU);
    for _ in 0..90 {
        ack(&mut reno, 50 * MS, 0, MTU);
    }
    reno.on_congestion(1_000 * MS, 900 * MS, 5 * MTU, true, false);
    assert_eq!((reno.window(), reno.ssthresh()), (2 * MTU, Some(60_000)));
    // Not in a recovery period: slow start at once, also for what was sent before.
    ack(&mut reno, 1_001 * MS, 999 * MS, MTU);
    assert_eq!(reno.window(), 3 * MTU);
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    // Section 7.8, in slow start and in congestion avoidance.
    let mut reno = NewReno::new(MTU);
    reno.on_acked(100 * MS, 0, 50_000, true, RTT);
    assert_eq!(reno.window(), 12_000);
    lose(&mut reno, 100 * MS, 50 * MS);
    reno.on_acked(300 * MS, 200 * MS, 50_000, true, RTT);
    assert_eq!(reno.window(), 6_000);
}

#[test]
fn a_controller_is_an_object() {
    let mut controller: Box<dyn Controller> = Box::new(NewReno::new(MTU));
    controller.on_sent(0, MTU, MTU);
    controller.on_acked(MS, 0, MTU, false, RTT);
    assert_eq!(controller.window(), 13_200);
}

// Section 7.7: pacing.

const WINDOW: u64 = 100 * MTU;
const SRTT: u64 = 100 * MS;

#[test]
fn the_first_burst_is_ten_datagrams() {
    let mut pacer = Pacer::new(MTU);
    let mut sent = 0;
    while pacer.next_send(0, MTU, WINDOW, SRTT).is_ok() {
        pacer.on_sent(MTU);
        sent += 1;
    }
    assert_eq!(sent, 10);
}

#[test]
fn the_interval_is_four_fifths_of_an_even_spread() {
    // interval = smoothed_rtt * packet_size / congestion_window / 1.25 = 0.8 ms; no wait is shorter than 1 ms' worth.
    let mut pacer = Pacer::new(MTU);
    assert_eq!(pacer.next_send(0, 10 * MTU, WINDOW, SRTT), Ok(()));
    pacer.on_sent(10 * MTU);
    assert_eq!(pacer.next_send(0, 2 * MTU, WINDOW, SRTT), Err(1_600_000));
    assert_eq!(pacer.next_send(0, MTU, WINDOW, SRTT), Err(MS));
    assert_eq!(pacer.next_send(800_000, MTU, WINDOW, SRTT), Ok(()));
}

#[test]
fn a_fast_path_bursts_two_milliseconds() {
    // 10 MB in 10 ms at 5/4: 1.25 MB per ms.
    let mut pacer = Pacer::new(MTU);
    assert_eq!(pacer.next_send(0, 2_500_000, 10_000_000, 10 * MS), Ok(()));
    pacer.on_sent(2_500_000);
    assert_eq!(pacer.next_send(0, MTU, 10_000_000, 10 * MS), Err(MS));
}

#[test]
fn the_bucket_overflows_when_idle() {
    let mut pacer = Pacer::new(MTU);
    assert_eq!(pacer.next_send(0, MTU, WINDOW, SRTT), Ok(()));
    assert_eq!(pacer.next_send(1_000_000 * MS, MTU, WINDOW, SRTT), Ok(()));
    pacer.on_sent(10 * MTU);
    assert!(pacer.next_send(1_000_000 * MS, MTU, WINDOW, SRTT).is_err());
}

#[test]
fn no_rtt_or_window_is_too_small_or_large() {
    for window in [0, 1, MTU, u64::MAX] {
        for srtt in [0, 1, SRTT, u64::MAX] {
            for bytes in [0, 1, MTU, u64::MAX] {
                let mut pacer = Pacer::new(MTU);
                for now in [0, 5, u64::MAX / 2, 3, u64::MAX - 1] {
                    if let Err(at) = pacer.next_send(now, bytes, window, srtt) {
                        assert!(at > now);
                    }
                    pacer.on_sent(bytes);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever sends whenever the pacer allows gets 5/4 of the window per RTT, plus the bucket: not more, and not
    /// less but for a packet.
    #[test]
    fn the_long_term_rate_is_five_quarters_of_the_window(
        window in 2_400u64..50_000_000,
        srtt in MS / 10..500 * MS,
        bytes in 40u64..1500,
        extra in 0u64..MS,
    ) {
        let mut pacer = Pacer::new(1500);
        let capacity = 15_000.max(window * 5 * 2 * MS / (4 * srtt));
        let (mut now, mut sent, mut asked) = (0, 0, 0);
        while asked < 2_000 {
            asked += 1;
            match pacer.next_send(now, bytes, window, srtt) {
                Ok(()) => {
                    pacer.on_sent(bytes);
                    sent += bytes;
                }
                Err(at) => {
                    prop_assert!(at > now);
                    prop_assert!(pacer.next_send(at, bytes, window, srtt).is_ok(), "asked in time");
                    now = at + extra;
                }
            }
        }
        let allowed = u128::from(now) * u128::from(window) * 5 / (4 * u128::from(srtt));
        prop_assert!(u128::from(sent) <= allowed + u128::from(capacity));
        if capacity > window * 5 * (MS + extra) / (4 * srtt) + 2 * bytes {
            prop_assert!(u128::from(sent) + 2 * u128::from(bytes) + asked as u128 >= allowed);
        }
    }

    /// The window stays between its minimum and what was acknowledged, whatever the signals.
    #[test]
    fn the_window_stays_within_bounds(
        signals in prop::collection::vec((0u8..6, any::<u64>(), any::<u64>(), 0u64..100_000), 0..200),
    ) {
        let mut reno = NewReno::new(MTU);
        for (kind, now, sent, bytes) in signals {
            let before = reno.window();
            match kind {
                0..=2 => {
                    reno.on_acked(now, sent, bytes, kind == 2, RTT);
                    prop_assert!(reno.window() >= before);
                    prop_assert!(reno.window() - before <= bytes.max(MTU));
                }
                _ => {
                    reno.on_congestion(now, sent, bytes, kind == 4, kind == 5);
                    prop_assert!(reno.window() <= before);
                }
            }
            prop_assert!(reno.window() >= 2 * MTU);
        }
    }
}
