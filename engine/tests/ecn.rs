//! Explicit congestion notification: marks, their validation, and what a mark of congestion does (RFC 9000 section 13.4).
mod link;
mod pair;
mod plain;

use quillon::{Ecn, EcnState, Side, TransportSettings};

use link::{Link, SECOND, Sent};

const CLIENT: Side = Side::Client;

fn state(link: &mut Link, side: Side) -> EcnState {
    link.connection(side).path_stats().next().unwrap().ecn
}

fn connected(change: impl FnMut(&mut Sent) -> Option<u64> + 'static) -> Link {
    Link::connected(&TransportSettings::default(), Box::new(change))
}

#[test]
fn what_is_sent_is_marked_where_marks_survive() {
    let mut link = connected(|_| Some(0));
    for side in [Side::Client, Side::Server] {
        assert_eq!(state(&mut link, side), EcnState::Capable);
        assert!(link.sent_by(side, 0).all(|sent| sent.ecn == Ecn::Ect0));
    }
    let after = link.sent.len();
    let id = link.upload(300_000);
    link.run_for(2 * SECOND);
    assert_eq!(link.read_all(id), 300_000);
    assert!(link.sent_by(CLIENT, after).count() > 100);
    assert!(link.sent_by(CLIENT, after).all(|sent| sent.ecn == Ecn::Ect0));
    assert_eq!(link.connection(CLIENT).stats().congestion_events, 0);
}

#[test]
fn nothing_is_marked_where_the_settings_forbid_it() {
    let settings = TransportSettings { ecn: false, ..TransportSettings::default() };
    let mut link = Link::connected(&settings, Box::new(|_| Some(0)));
    link.upload(50_000);
    link.run_for(SECOND);
    assert!(link.sent.iter().all(|sent| sent.ecn == Ecn::NotEct));
    assert_eq!(state(&mut link, CLIENT), EcnState::Off);
}

/// RFC 9002 section 7.1: a mark of congestion lowers the window as a loss does, without anything sent again.
#[test]
fn a_mark_of_congestion_lowers_the_window_once_a_round_trip() {
    for side in [Side::Client, Side::Server] {
        let (mut count, marked) = (0, 20..40);
        let mut link = connected(move |sent| {
            count += u32::from(sent.from.is_client() && sent.bytes.len() >= 1_200);
            if sent.from == side && marked.contains(&count) {
                sent.ecn = Ecn::Ce;
            }
            Some(0)
        });
        let id = link.upload(200_000);
        link.run_for(2 * SECOND);
        assert_eq!(link.read_all(id), 200_000);
        let stats = link.connection(side).stats();
        assert_eq!(stats.packets_lost, 0);
        if side.is_client() {
            assert!((1..=2).contains(&stats.congestion_events), "{}", stats.congestion_events);
            assert!(stats.ssthresh.is_some());
        }
        assert_eq!(state(&mut link, side), EcnState::Capable);
    }
}

/// RFC 9000 section 13.4.2.1: marks that are removed on the way are noticed, at first and later.
#[test]
fn bleached_marks_end_the_marking() {
    for from in [0, 100] {
        let mut count = 0;
        let mut link = connected(move |sent| {
            count += u32::from(sent.from.is_client());
            if count > from {
                sent.ecn = Ecn::NotEct;
            }
            Some(0)
        });
        link.upload(300_000);
        link.run_for(SECOND);
        assert_eq!(state(&mut link, CLIENT), EcnState::Failed);
        let after = link.sent.len();
        let id = link.upload(100_000);
        link.run_for(SECOND);
        assert_eq!(link.read_all(id), 100_000);
        assert!(link.sent_by(CLIENT, after).all(|sent| sent.ecn == Ecn::NotEct));
    }
}

/// RFC 9000 section 13.4.2.1: counts of what was never sent are noticed.
#[test]
fn marks_that_were_changed_to_ect_1_end_the_marking() {
    let mut link = connected(|sent| {
        sent.ecn = Ecn::Ect1;
        Some(0)
    });
    assert_eq!(state(&mut link, CLIENT), EcnState::Failed);
    assert_eq!(state(&mut link, Side::Server), EcnState::Failed);
    link.upload(10_000);
    link.run_for(SECOND);
    assert!(link.sent.last().is_some_and(|sent| sent.ecn == Ecn::NotEct));
}

/// RFC 9000 appendix A.4: at most ten datagrams are marked before the peer was heard; a path that drops them is used
/// without marks after three probe timeouts.
#[test]
fn a_path_that_drops_what_is_marked_is_used_without_marks() {
    let settings = TransportSettings { handshake_timeout: None, ..TransportSettings::default() };
    let drops = |sent: &mut Sent| if sent.ecn == Ecn::NotEct { Some(0) } else { None };
    let mut link = Link::unconnected(&settings, Box::new(drops));
    link.run_for(20 * SECOND);
    assert!(link.events[0].contains(&quillon::Event::HandshakeConfirmed), "{:?}", link.events);
    assert!(link.sent.iter().filter(|sent| sent.ecn == Ecn::Ect0 && sent.from == CLIENT).count() <= 10);
    assert_ne!(state(&mut link, CLIENT), EcnState::Capable);
}
