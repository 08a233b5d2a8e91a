//! Deadlines: which there are, which comes first, and what being late or early does.

mod pair;

use std::time::Duration;

use pair::{MILLISECOND, Pair, SECOND, client_config};
use quillon::{ConnectionError, Dir, EndpointConfig, Event, Idle, Time, Transmit, TransportSettings};

fn idle_after(duration: Duration) -> TransportSettings {
    TransportSettings { max_idle_timeout: duration, ..TransportSettings::default() }
}

/// T1: a clock that goes back or stands still is no reason to panic; nothing is done twice for it.
#[test]
fn t1_time_may_stand_still_or_go_back() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    for back in [0, MILLISECOND, 5 * SECOND] {
        let then = pair.now.saturating_sub(back);
        let id = pair.client.connection(client).open(Dir::Uni).unwrap();
        pair.client.connection(client).write(id, &[1; 5000]).unwrap();
        pair.client.endpoint.handle_timeout(then);
        for datagram in pair.client.transmit(then) {
            pair.server.inject(then, datagram);
        }
        pair.server.endpoint.handle_timeout(then);
        for datagram in pair.server.transmit(then) {
            pair.client.inject(then, datagram);
        }
        pair.settle();
        assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
    }
    // At the ends of time there is nothing but the idle timeout.
    pair.client.endpoint.handle_timeout(0);
    pair.client.transmit(0);
    pair.client.endpoint.handle_timeout(u64::MAX);
    pair.client.transmit(u64::MAX);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
}

/// T2: the deadline is the earliest of all, and none where nothing is due.
#[test]
fn t2_the_earliest_deadline_is_told() {
    let keep_alive = |period| TransportSettings { keep_alive: period, ..idle_after(Duration::from_secs(20)) };
    let mut pair = Pair::new(EndpointConfig::default(), idle_after(Duration::from_secs(40)));
    let handle = pair.connect_with(&client_config(keep_alive(Some(Duration::from_secs(5)))), "localhost");
    let start = pair.now;
    // The handshake's timeout is 10 s away, its first probe earlier.
    pair.client.transmit(pair.now);
    let first = pair.client.connection(handle).timeout().unwrap();
    assert!(first > start && first < start + 2 * SECOND, "a probe timeout of the initial RTT: {}", first - start);
    let mut pair = Pair::new(EndpointConfig::default(), idle_after(Duration::from_secs(40)));
    let handle = pair.connect_with(&client_config(keep_alive(Some(Duration::from_secs(5)))), "localhost");
    pair.settle();
    let due = pair.client.connection(handle).timeout().unwrap();
    assert!(due > pair.now + 3 * SECOND && due <= pair.now + 5 * SECOND, "the keep-alive: {}", due - pair.now);
    let mut pair = Pair::new(EndpointConfig::default(), idle_after(Duration::from_secs(40)));
    let handle = pair.connect_with(&client_config(keep_alive(None)), "localhost");
    pair.settle();
    pair.run_for(5 * SECOND);
    let due = pair.client.connection(handle).timeout().unwrap();
    assert!(due > pair.now + 10 * SECOND && due <= pair.now + 15 * SECOND, "the idle timeout: {}", due - pair.now);
    let never = TransportSettings { handshake_timeout: None, ..idle_after(Duration::ZERO) };
    let mut pair = Pair::new(EndpointConfig::default(), never.clone());
    let handle = pair.connect_with(&client_config(never), "localhost");
    pair.settle();
    assert_eq!(pair.client.connection(handle).timeout(), None, "nothing is outstanding, and idling is allowed");
}

/// T3, T8: what is due is done by one call, however late, and further calls before the next `transmit` do no more.
#[test]
fn t3_t8_a_deadline_that_has_passed_is_handled_once() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    pair.client.connection(client).write(id, b"lost").unwrap();
    pair.client.transmit(pair.now);
    let due = pair.client.connection(client).timeout().unwrap();
    let now = due + MILLISECOND;
    pair.client.endpoint.handle_timeout(due - 1);
    assert!(pair.client.transmit(due - 1).is_empty(), "it was early");
    let before = pair.client.sent.len();
    for _ in 0..10 {
        pair.client.endpoint.handle_timeout(now);
    }
    pair.client.transmit(now);
    let probes = pair.client.sent.len() - before;
    assert!((1..=2).contains(&probes), "{probes} probes");
    assert!(pair.client.connection(client).timeout().unwrap() > now);
}

/// T4: of two timeouts that have passed the idle timeout is the one that is told, and nothing is sent.
#[test]
fn t4_the_idle_timeout_comes_before_the_handshake_timeout() {
    let mut pair = Pair::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect();
    pair.run_for(MILLISECOND);
    let sent = pair.client.sent.len();
    pair.now += 3_600 * SECOND;
    let now = pair.now;
    pair.client.endpoint.handle_timeout(now);
    pair.client.transmit(now);
    assert_eq!((pair.client.closed(), pair.client.sent.len()), (Some(ConnectionError::IdleTimeout), sent));
}

/// When the client gave up, after it was cut off at the start: from then on nothing arrives.
fn idle_close_after(settings: TransportSettings, write_every: Option<Time>) -> Time {
    let mut pair = Pair::new(EndpointConfig::default(), TransportSettings::default());
    let client = pair.connect_with(&client_config(settings), "localhost");
    pair.settle();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.server.outbound_filter = Some(Box::new(|_, _| false));
    let start = pair.now;
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    loop {
        if write_every.is_some() && !pair.client.connection(client).is_closed() {
            pair.client.connection(client).write(id, b"x").unwrap();
        }
        pair.run_for(write_every.unwrap_or(10 * MILLISECOND));
        if let Some(error) = pair.client.closed() {
            assert_eq!(error, ConnectionError::IdleTimeout);
            return pair.now - start;
        }
        assert!(pair.now - start < 100 * SECOND);
    }
}

/// T5: what is sent restarts the idle timeout once after something was received, and not again: a peer that is gone is
/// noticed by one that keeps sending (RFC 9000 section 10.1).
#[test]
fn t5_sending_into_the_void_does_not_hold_a_connection_open() {
    let after = idle_close_after(idle_after(Duration::from_secs(3)), Some(100 * MILLISECOND));
    assert!((3 * SECOND..=3 * SECOND + 200 * MILLISECOND).contains(&after), "{after}");
}

/// T5: never less than three probe timeouts, so that there is time for a probe and its answer.
#[test]
fn t5_the_idle_timeout_is_three_probe_timeouts_at_least() {
    let settings = TransportSettings {
        max_idle_timeout: Duration::from_millis(1),
        keep_alive: None,
        ..TransportSettings::default()
    };
    let mut pair = Pair::default();
    let client = pair.connect_with(&client_config(settings), "localhost");
    pair.run_for(3 * pair.latency);
    assert!(pair.client.connection(client).is_handshake_complete(), "the handshake outlasts a millisecond");
    assert_eq!(pair.client.closed(), None);
    pair.run_for(SECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
}

/// T5: until the peer's parameters are known its own timeout holds, and a silent server is given up on.
#[test]
fn t5_our_own_timeout_holds_during_the_handshake() {
    let settings = TransportSettings { handshake_timeout: None, ..idle_after(Duration::from_secs(5)) };
    let mut pair = Pair::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.connect_with(&client_config(settings), "localhost");
    pair.run_for(4900 * MILLISECOND);
    assert_eq!(pair.client.closed(), None);
    pair.run_for(200 * MILLISECOND);
    assert_eq!(pair.client.closed(), Some(ConnectionError::IdleTimeout));
    assert!(pair.client.saw(&Event::Drained).is_some());
}

/// T6: keep-alive sends only after the handshake is complete; none is none.
#[test]
fn t6_keep_alive_waits_for_the_handshake() {
    let keep_alive = |period| TransportSettings { keep_alive: period, ..TransportSettings::default() };
    let mut sent = Vec::new();
    for period in [None, Some(Duration::from_millis(10))] {
        let mut pair = Pair::default();
        pair.server.outbound_filter = Some(Box::new(|_, _| false));
        pair.connect_with(&client_config(keep_alive(period)), "localhost");
        pair.run_for(SECOND);
        sent.push(pair.client.sent.len());
    }
    assert_eq!(sent[0], sent[1]);
    for (period, expected) in [(None, 0..=0), (Some(Duration::from_secs(1)), 18..=21)] {
        let mut pair = Pair::default();
        pair.connect_with(&client_config(keep_alive(period)), "localhost");
        pair.settle();
        let before = pair.client.sent.len();
        pair.run_for(20 * SECOND);
        let pings = pair.client.sent.len() - before;
        assert!(expected.contains(&pings), "{pings} datagrams with {period:?}");
    }
}

/// T7: pacing holds data back, and no acknowledgment.
#[test]
fn t7_an_acknowledgment_is_not_paced() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let now = pair.now;
    for (end, handle) in [(&mut pair.client, client), (&mut pair.server, server)] {
        let id = end.connection(handle).open(Dir::Uni).unwrap();
        end.connection(handle).write(id, &[1; 100_000]).unwrap();
    }
    let mut buffer = vec![0; 65_535];
    let held_back = loop {
        if let Transmit::Idle(reason) = pair.client.endpoint.transmit(now, &mut buffer) {
            break reason;
        }
    };
    assert!(matches!(held_back, Idle::Pacing | Idle::CongestionWindow), "{held_back:?}");
    for datagram in pair.server.transmit(now) {
        pair.client.inject(now, datagram);
    }
    let Transmit::Send(batch) = pair.client.endpoint.transmit(now, &mut buffer) else { panic!("an acknowledgment") };
    assert!(batch.len < 100, "{} bytes", batch.len);
}
