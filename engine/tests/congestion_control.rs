//! Congestion control (RFC 9002 section 7 and appendix B), and pacing (section 7.7).

use proptest::prelude::*;
use quillon::congestion::{Controller, Cubic, NewReno, Pacer, RttView, initial_window, minimum_window};

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

/// CUBIC with a window of `window` bytes right after a loss at `now`, its recovery over.
fn cubic_after_loss(window: u64, now: u64) -> Cubic {
    let mut cubic = Cubic::new(MTU);
    let missing = window - cubic.window();
    cubic.on_acked(now - MS, now - 2 * MS, missing, false, RTT);
    assert_eq!(cubic.window(), window, "slow start grows by what was acknowledged");
    cubic.on_congestion(now, now - MS, MTU, false, false);
    cubic
}

/// Acknowledges whole windows, a datagram at a time, for `duration`.
fn run_cubic(cubic: &mut Cubic, now: &mut u64, duration: u64) {
    let end = *now + duration;
    while *now < end {
        let (round, sent) = (cubic.window().div_ceil(MTU), *now);
        for packet in 0..round {
            cubic.on_acked(sent + RTT.smoothed * (packet + 1) / round, sent + packet + 1, MTU, false, RTT);
        }
        *now += RTT.smoothed;
    }
}

#[test]
fn cubic_falls_to_seven_tenths_and_is_back_after_the_time_that_the_rfc_gives() {
    // RFC 9438 section 4.2: 1000 datagrams lost at; K = cbrt(300 / 0.4) = 9.086 s.
    let mut now = 1_000 * MS;
    let mut cubic = cubic_after_loss(1000 * MTU, now);
    assert_eq!((cubic.window(), cubic.ssthresh()), (700 * MTU, Some(700 * MTU)));
    run_cubic(&mut cubic, &mut now, 4_500 * MS);
    // Half the time: an eighth of the distance is left, 37.5 datagrams.
    let window = cubic.window() / MTU;
    assert!((955..=970).contains(&window), "{window}");
    run_cubic(&mut cubic, &mut now, 4_500 * MS);
    let window = cubic.window() / MTU;
    assert!((996..=1001).contains(&window), "{window}");
    // Beyond the plateau it probes, ever faster.
    run_cubic(&mut cubic, &mut now, 9_000 * MS);
    assert!(cubic.window() > 1250 * MTU, "{}", cubic.window() / MTU);
}

#[test]
fn cubic_is_never_slower_than_reno() {
    // RFC 9438 section 4.3: with small windows Reno is faster. K is 2.47 s here, Reno needs 6 datagrams / (9/17) rounds.
    let mut now = 1_000 * MS;
    let mut cubic = cubic_after_loss(20 * MTU, now);
    run_cubic(&mut cubic, &mut now, 1_200 * MS);
    assert!(cubic.window() >= 19 * MTU, "{}", cubic.window() / MTU);
}

#[test]
fn cubic_makes_room_for_others_when_the_window_shrinks() {
    // RFC 9438 section 4.7: a second loss below the first one's window lowers the plateau, here to 85 % of 700.
    let mut now = 1_000 * MS;
    let mut cubic = cubic_after_loss(1000 * MTU, now);
    now += 100 * MS;
    cubic.on_congestion(now, now - MS, MTU, false, false);
    assert_eq!(cubic.window(), 490 * MTU);
    // K = cbrt((595 - 490) / 0.4) = 6.4 s.
    run_cubic(&mut cubic, &mut now, 6_300 * MS);
    let window = cubic.window() / MTU;
    assert!((590..=600).contains(&window), "{window}");
}

#[test]
fn cubic_does_not_grow_while_there_is_too_little_to_send() {
    // RFC 9438 section 5.8: neither then, nor by the time that has passed meanwhile.
    let mut now = 1_000 * MS;
    let mut cubic = cubic_after_loss(1000 * MTU, now);
    run_cubic(&mut cubic, &mut now, 1_000 * MS);
    let before = cubic.window();
    for _ in 0..100 {
        now += 100 * MS;
        cubic.on_acked(now, now - 50 * MS, MTU, true, RTT);
    }
    assert_eq!(cubic.window(), before);
    run_cubic(&mut cubic, &mut now, 200 * MS);
    assert!(cubic.window() < before + 60 * MTU, "{} then {}", before / MTU, cubic.window() / MTU);
}

#[test]
fn cubic_takes_back_what_a_spurious_loss_took() {
    let mut cubic = cubic_after_loss(1000 * MTU, 1_000 * MS);
    cubic.on_spurious_congestion();
    assert_eq!(cubic.window(), 1000 * MTU);
    cubic.on_spurious_congestion();
    assert_eq!(cubic.window(), 1000 * MTU, "once");
    // An ECN mark is the network's own word.
    cubic.on_congestion(2_000 * MS, 1_999 * MS, 0, false, true);
    cubic.on_spurious_congestion();
    assert_eq!(cubic.window(), 700 * MTU);
}

#[test]
fn persistent_congestion_brings_cubic_back_to_slow_start() {
    let mut cubic = cubic_after_loss(1000 * MTU, 1_000 * MS);
    cubic.on_congestion(9_000 * MS, 8_999 * MS, MTU, true, false);
    assert_eq!(cubic.window(), 2 * MTU);
    cubic.on_acked(9_100 * MS, 9_050 * MS, MTU, false, RTT);
    assert_eq!(cubic.window(), 3 * MTU);
}

/// A round of slow start in which every packet has this RTT.
fn slow_start_round(cubic: &mut Cubic, now: &mut u64, rtt: u64) {
    let (packets, sent) = (cubic.window() / MTU, *now);
    let view = RttView { latest: rtt, smoothed: rtt, min: 100 * MS };
    *now += rtt;
    for packet in 0..packets {
        cubic.on_acked(*now + packet, sent + 1, MTU, false, view);
    }
}

#[test]
fn slow_start_ends_when_round_trips_grow_and_goes_on_when_they_shrink_again() {
    // RFC 9406 section 4.2.
    let mut now = 1_000 * MS;
    let mut cubic = Cubic::new(MTU);
    slow_start_round(&mut cubic, &mut now, 100 * MS);
    slow_start_round(&mut cubic, &mut now, 100 * MS);
    assert_eq!(cubic.window(), 40 * MTU);
    // An eighth more: conservative slow start from the eighth sample on.
    slow_start_round(&mut cubic, &mut now, 113 * MS);
    assert_eq!(cubic.window(), (40 + 7 + 33 / 4) * MTU + MTU / 4);
    let conservative = cubic.window();
    // It was no queue: slow start goes on.
    slow_start_round(&mut cubic, &mut now, 100 * MS);
    assert!(cubic.window() > conservative * 3 / 2);
    assert_eq!(cubic.ssthresh(), None);

    let mut grown = 115 * MS;
    for _ in 0..6 {
        slow_start_round(&mut cubic, &mut now, grown);
        grown += 20 * MS;
    }
    assert!(cubic.ssthresh().is_some(), "after five rounds of it congestion avoidance begins, without a loss");
}

proptest! {
    #[test]
    fn windows_stay_within_bounds_whatever_happens(
        steps in prop::collection::vec((0u8..8, 0u64..400, 1u64..100_000), 1..300),
    ) {
        let mut now = 1_000 * MS;
        let mut controllers: [Box<dyn Controller>; 2] = [Box::new(Cubic::new(MTU)), Box::new(NewReno::new(MTU))];
        for (kind, wait, bytes) in steps {
            now += wait * MS;
            let rtt = RttView { latest: wait * MS + 1, smoothed: 50 * MS, min: MS };
            for controller in &mut controllers {
                match kind {
                    0..=4 => controller.on_acked(now, now - wait * MS, bytes, kind == 0, rtt),
                    5 => controller.on_congestion(now, now - wait * MS, bytes, bytes % 7 == 0, bytes % 2 == 0),
                    6 => controller.on_spurious_congestion(),
                    _ => controller.on_mtu(1200 + bytes % 300),
                }
                prop_assert!(controller.window() >= minimum_window(1200), "{controller:?}");
                prop_assert!(controller.window() < 1 << 40, "{controller:?}");
            }
        }
    }
}
