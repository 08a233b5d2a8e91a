//! Validation of paths (RFC 9000 section 8.2).

mod network;
mod pair;

use std::net::SocketAddr;

use network::{Network, Sent, address, away, home, server_address};
use pair::{MILLISECOND, SECOND};
use quillon::error::TransportErrorCode;
use quillon::packet::Frame;
use quillon::wire::FourTuple;
use quillon::{ConnectionError, Event, Migration, PathStats, Side};

/// Where the NAT moves the client.
fn rebound() -> SocketAddr {
    address("192.0.2.1:61000")
}

/// A connection of which the NAT has just moved the client, with what the server had sent before.
fn after_rebinding(data: &[u8]) -> (Network, usize) {
    let mut network = Network::default();
    network.nat.insert(home(), rebound());
    let before = network.server.sent.len();
    network.say(Side::Client, data);
    (network, before)
}

fn challenges(sent: &[Sent]) -> Vec<([u8; 8], usize)> {
    sent.iter().filter_map(|sent| sent.challenge().map(|data| (data, sent.datagram.len()))).collect()
}

#[test]
fn a_new_address_is_challenged_and_validated() {
    let (mut network, before) = after_rebinding(&[7; 2000]);
    network.settle();
    let sent = challenges(&network.server.sent_to(before, rebound()));
    assert_eq!(sent.len(), 1, "answered at once");
    assert_eq!(sent[0].1, 1200);
    let path = FourTuple { local: server_address(), remote: rebound() };
    assert!(network.server.saw(&Event::PathChanged { path }));
    assert!(network.server.saw(&Event::PathValidated { path, new_peer_address: false }));
    let stats = network.server.paths();
    let PathStats { addresses, active, validated, validating, rtt, .. } = stats[0];
    assert_eq!((addresses, active, validated, validating), (path, true, true, false));
    assert!(rtt.is_some_and(|rtt| rtt >= 20 * MILLISECOND), "{rtt:?}");
}

/// M6: the answer goes out on the path on which the challenge came, alone in a full-sized datagram. (An answer that
/// comes in counts whichever path it comes on: RFC 9000 section 8.2.3. The reference ignores it on another.)
#[test]
fn m6_a_challenge_is_answered_on_its_path() {
    let mut network = Network::default();
    network.client.connection();
    let (now, before) = (network.now, network.client.sent.len());
    network.client.connection().probe_path(now, away()).unwrap();
    network.run_for(15 * MILLISECOND);
    let probe = &network.client.sent_from(before, away())[0];
    let answers = network.server.sent_to(0, away());
    assert!(probe.is_probe() && probe.datagram.len() == 1200);
    assert_eq!(answers[0].response(), probe.challenge());
    assert!(answers.iter().all(|answer| answer.is_probe() && answer.datagram.len() == 1200));
    network.settle();
    assert_eq!(network.server.path().remote, home(), "probes do not move the connection");
}

#[test]
fn an_answer_on_another_path_counts() {
    let (mut network, before) = after_rebinding(&[7; 2000]);
    network.run_for(10 * MILLISECOND);
    let (data, _) = challenges(&network.server.sent_to(before, rebound()))[0];
    let path = network.server_path();
    network.forge(Side::Client, path, &[Frame::PathResponse(data)]);
    network.run_for(MILLISECOND);
    let path = FourTuple { local: server_address(), remote: rebound() };
    assert!(network.server.saw(&Event::PathValidated { path, new_peer_address: false }));
}

#[test]
fn an_answer_to_no_challenge_means_nothing() {
    let (mut network, _) = after_rebinding(&[7; 2000]);
    network.dead.insert(rebound());
    network.run_for(10 * MILLISECOND);
    network.forge(
        Side::Client,
        FourTuple { local: server_address(), remote: rebound() },
        &[Frame::PathResponse([9; 8])],
    );
    network.settle();
    assert!(!network.server.events.iter().any(|event| matches!(event, Event::PathValidated { .. })));
}

/// M7: a challenge that amplification kept small proves the address only; a full-sized one follows, and with it the
/// path is validated.
#[test]
fn m7_a_small_challenge_is_repeated_in_full_size() {
    let (mut network, before) = after_rebinding(b"small");
    network.settle();
    let sent = challenges(&network.server.sent_to(before, rebound()));
    assert_eq!(sent.len(), 2);
    assert!(sent[0].1 < 1200 && sent[1].1 == 1200);
    assert_ne!(sent[0].0, sent[1].0, "each challenge has data of its own");
    let path = FourTuple { local: server_address(), remote: rebound() };
    assert!(network.server.saw(&Event::PathValidated { path, new_peer_address: false }));
}

#[test]
fn a_path_that_does_not_carry_1200_bytes_fails() {
    let (mut network, _) = after_rebinding(b"small");
    // The old path is gone, the new one takes small datagrams only towards the client.
    network.filter = Some(Box::new(|from, _, datagram| from.is_client() || datagram.len() < 1200));
    network.run_for(5 * SECOND);
    let path = FourTuple { local: server_address(), remote: rebound() };
    assert!(network.server.saw(&Event::PathFailed { path }));
    // Told on the wire: the peer is there, only the path is too small (RFC 9000 section 8.2.4).
    for host in [&mut network.server, &mut network.client] {
        let Some(ConnectionError::Transport { code, .. }) = host.closed() else { panic!("{:?}", host.events) };
        assert_eq!(code, TransportErrorCode::NO_VIABLE_PATH);
    }
}

#[test]
fn lost_challenges_are_repeated_with_growing_intervals() {
    let (mut network, before) = after_rebinding(&[7; 2000]);
    network.run_for(10 * MILLISECOND);
    network.dead.insert(rebound());
    network.run_for(2 * SECOND);
    let sent: Vec<_> = network.server.sent_to(before, rebound());
    let times: Vec<_> = sent.iter().filter(|sent| sent.challenge().is_some()).map(|sent| sent.at).collect();
    assert!((3..=8).contains(&times.len()), "{} challenges", times.len());
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.windows(2).all(|pair| pair[1] >= 2 * pair[0]), "{gaps:?}");
    let mut data: Vec<_> = challenges(&sent).into_iter().map(|(data, _)| data).collect();
    data.sort_unstable();
    data.dedup();
    assert_eq!(data.len(), times.len(), "unpredictable, each another");
}

/// Until the peer answers, no more than three times what came from there goes there (RFC 9000 section 8.1).
#[test]
fn amplification_is_limited_on_a_new_path() {
    let (mut network, before) = after_rebinding(&[7; 100]);
    network.run_for(10 * MILLISECOND);
    network.dead.insert(rebound());
    network.say(Side::Server, &[1; 100_000]);
    network.run_for(2 * SECOND);
    let stats = network.server.paths();
    assert_eq!(stats[0].addresses.remote, rebound());
    assert!(stats[0].bytes_sent <= 3 * stats[0].bytes_received, "{stats:?}");
    let sent: usize = network.server.sent_to(before, rebound()).iter().map(|sent| sent.datagram.len()).sum();
    assert_eq!(sent as u64, stats[0].bytes_sent);
}

/// M5: where the new path fails, the connection goes back to the last good one.
#[test]
fn m5_a_failed_path_leads_back_to_the_last_good_one() {
    let (mut network, _) = after_rebinding(&[7; 2000]);
    network.run_for(10 * MILLISECOND);
    assert_eq!(network.server.path().remote, rebound());
    // What came from there was a copy; the client is where it was.
    network.nat.clear();
    network.dead.insert(rebound());
    network.run_for(4 * SECOND);
    let failed = FourTuple { local: server_address(), remote: rebound() };
    let back = FourTuple { local: server_address(), remote: home() };
    assert!(network.server.saw(&Event::PathFailed { path: failed }));
    assert!(network.server.saw(&Event::PathChanged { path: back }));
    assert_eq!(network.server.path(), back);
    assert_eq!(network.server.closed(), None);
    network.say(Side::Server, b"still here");
    network.settle();
    assert!(network.client.events.iter().any(|event| matches!(event, Event::StreamReadable { .. })));
}

/// M5: where both the new and the old path are dead there is none. The reference defines NO_VIABLE_PATH and never uses
/// it; towards an address that was never validated the close is silent (RFC 9000 section 9.3.2).
#[test]
fn m5_without_a_good_path_the_connection_ends() {
    let (mut network, _) = after_rebinding(&[7; 2000]);
    network.run_for(10 * MILLISECOND);
    network.dead.extend([home(), rebound()]);
    let before = network.server.sent.len();
    network.run_for(6 * SECOND);
    let Some(ConnectionError::Transport { code, by_peer: false, .. }) = network.server.closed() else {
        panic!("{:?}", network.server.events)
    };
    assert_eq!(code, TransportErrorCode::NO_VIABLE_PATH);
    let told = |sent: &Sent| sent.frames().iter().any(|frame| matches!(frame, Frame::ConnectionClose(_)));
    assert!(!network.server.sent[before..].iter().any(told));
}

#[test]
fn a_client_goes_back_when_its_new_path_is_dead() {
    let mut network = Network::default();
    network.dead.insert(away());
    let now = network.now;
    network.client.connection().migrate(now, away(), Migration::Immediate).unwrap();
    assert_eq!(network.client.path().local, away());
    network.run_for(4 * SECOND);
    assert_eq!(network.client.path().local, home());
    let path = FourTuple { local: away(), remote: server_address() };
    assert!(network.client.saw(&Event::PathFailed { path }));
    network.say(Side::Client, b"from home");
    network.settle();
    assert!(network.server.events.iter().any(|event| matches!(event, Event::StreamReadable { .. })));
}

#[test]
fn challenges_in_a_flood_are_answered_within_bounds() {
    let mut network = Network::default();
    let path = network.server_path();
    let before = network.server.sent.len();
    for n in 0..1000u64 {
        network.forge(Side::Client, path, &[Frame::PathChallenge(n.to_be_bytes())]);
    }
    network.run_for(MILLISECOND);
    let responses: Vec<_> = network.server.sent[before..].iter().filter_map(Sent::response).collect();
    assert!(!responses.is_empty() && responses.len() <= 4, "{}", responses.len());
}
