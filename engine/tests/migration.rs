//! Migration: a NAT moves the client, or it moves itself (RFC 9000 section 9).

mod network;
mod pair;

use std::net::SocketAddr;

use network::{Network, Sent, address, away, home, server_address};
use pair::{MILLISECOND, SECOND};
use quillon::packet::Frame;
use quillon::wire::{ConnectionId, FourTuple};
use quillon::{Event, MigrateError, Migration, Side, TransportSettings};

fn to_server(local: SocketAddr) -> FourTuple {
    FourTuple { local, remote: server_address() }
}

fn from_client(remote: SocketAddr) -> FourTuple {
    FourTuple { local: server_address(), remote }
}

fn validated(path: FourTuple, new_peer_address: bool) -> Event {
    Event::PathValidated { path, new_peer_address }
}

fn has_challenge(sent: &[Sent]) -> bool {
    sent.iter().any(|sent| sent.challenge().is_some())
}

#[test]
fn a_nat_that_changes_its_mind_is_followed() {
    let mut network = Network::default();
    for port in 61_000..61_010 {
        let outer = SocketAddr::from(([203, 0, 113, 9], port));
        network.nat.insert(home(), outer);
        network.say(Side::Client, &[1; 3000]);
        network.settle();
        network.say(Side::Server, &[2; 3000]);
        network.settle();
        assert_eq!(network.server.path().remote, outer);
        assert!(network.server.saw(&Event::PathChanged { path: from_client(outer) }));
    }
    assert_eq!((network.client.closed(), network.server.closed()), (None, None));
    let readable = |event: &&Event| matches!(event, Event::StreamReadable { .. });
    assert_eq!(network.client.events.iter().filter(readable).count(), 10);
    assert_eq!(network.server.events.iter().filter(readable).count(), 10);
}

/// A server that has not seen the client move goes on sending to where it was: what it says there, connection IDs that
/// it has used up among it, may be what it needs to follow.
#[test]
fn what_comes_to_an_address_that_the_client_has_left_is_read() {
    let mut network = Network::default();
    network.filter = Some(Box::new(|from, path, datagram| {
        let sent = Sent { at: 0, path: *path, datagram: datagram.to_vec() };
        !from.is_client() || path.remote != away() || sent.is_probe()
    }));
    let now = network.now;
    network.client.connection().migrate(now, away(), Migration::Validated).unwrap();
    network.run_for(5 * SECOND);
    assert_eq!(network.client.paths().len(), 1);
    assert_eq!((network.client.path(), network.server.path()), (to_server(away()), from_client(home())));
    network.say(Side::Server, &[1; 100]);
    network.settle();
    assert!(network.client.events.iter().any(|event| matches!(event, Event::StreamReadable { .. })));
    assert_eq!(network.client.path(), to_server(away()));
}

/// M4: a packet that is no probe and has the highest number moves the connection, the old path stays as the fallback
/// and is challenged too (RFC 9000 section 9.3.3), and three times what arrived is the limit.
#[test]
fn m4_a_packet_from_elsewhere_moves_the_connection() {
    let mut network = Network::default();
    let outer = address("203.0.113.9:61000");
    network.nat.insert(home(), outer);
    let before = network.server.sent.len();
    network.say(Side::Client, &[1; 3000]);
    network.run_for(10 * MILLISECOND);
    assert_eq!(network.server.path().remote, outer);
    let stats = network.server.paths();
    assert_eq!(stats.len(), 2);
    assert!(stats[0].active && !stats[0].validated && stats[0].validating);
    assert!(!stats[1].active && stats[1].addresses.remote == home() && stats[1].validating);
    assert!(
        has_challenge(&network.server.sent_to(before, outer)) && has_challenge(&network.server.sent_to(before, home()))
    );
    network.settle();
    assert!(network.server.saw(&validated(from_client(outer), true)));
}

/// M4: where only the port changed the path is the same, most likely; otherwise congestion control and the round-trip
/// time start over (RFC 9000 section 9.4).
#[test]
fn m4_congestion_state_is_kept_when_only_the_port_changes() {
    for (outer, kept) in [("192.0.2.1:61000", true), ("203.0.113.9:61000", false)] {
        let mut network = Network::default();
        network.say(Side::Server, &[1; 500_000]);
        network.settle();
        let before = network.server.connection().stats();
        assert!(before.congestion_window > 20_000, "{before:?}");
        network.nat.insert(home(), address(outer));
        network.say(Side::Client, &[1; 3000]);
        network.run_for(10 * MILLISECOND);
        let after = network.server.connection().stats();
        if kept {
            assert_eq!(after.congestion_window, before.congestion_window);
            assert_eq!(after.smoothed_rtt, before.smoothed_rtt);
        } else {
            assert_eq!(after.congestion_window, 12_000);
            assert_eq!(after.smoothed_rtt, 333 * MILLISECOND);
        }
        network.say(Side::Server, &[2; 3000]);
        network.settle();
        assert!(network.server.connection().stats().smoothed_rtt < 100 * MILLISECOND);
    }
}

/// M4: what was in flight on the old path neither fills the window of the new one nor counts as its loss.
#[test]
fn m4_packets_of_the_old_path_say_nothing_of_the_new_one() {
    let mut network = Network::default();
    network.say(Side::Server, &[1; 500_000]);
    network.run_for(95 * MILLISECOND);
    assert!(network.server.connection().stats().bytes_in_flight > 12_000);
    // What is on its way to the old address is lost.
    let now = network.now;
    network.dead.insert(home());
    network.client.connection().migrate(now, away(), Migration::Immediate).unwrap();
    network.run_for(10 * MILLISECOND);
    assert_eq!(network.server.path().remote, away());
    assert!(network.server.connection().stats().bytes_in_flight <= 12_000);
    network.run_for(5 * SECOND);
    let stats = network.server.connection().stats();
    assert!(stats.packets_lost > 0);
    assert!(stats.ssthresh.is_none(), "no congestion on the new path: {stats:?}");
    assert!(network.client.events.iter().any(|event| matches!(event, Event::StreamReadable { .. })));
}

#[test]
fn an_older_packet_from_elsewhere_moves_nothing() {
    let mut network = Network::default();
    let path = network.server_path();
    // Numbers 10,000 and 10,001 come in the wrong order.
    network.forge(Side::Client, path, &[Frame::Ping]);
    let mut late = Network::default();
    late.forge(Side::Client, from_client(away()), &[Frame::Ping]);
    assert_eq!(late.server.path().remote, away(), "the newest moves");
    network.say(Side::Client, b"older");
    network.nat.insert(home(), away());
    network.settle();
    assert_eq!(network.server.path().remote, home());
}

#[test]
fn probes_move_nothing() {
    let mut network = Network::default();
    let probes = [Frame::PathChallenge([1; 8]), Frame::Padding { len: 30 }];
    network.forge(Side::Client, from_client(away()), &probes);
    assert_eq!(network.server.path().remote, home());
    network.forge(Side::Client, from_client(away()), &[Frame::PathChallenge([2; 8]), Frame::Ping]);
    assert_eq!(network.server.path().remote, away());
}

/// M5b: when the client turns up at the old address again that one counts as validated, and nothing more is validated.
#[test]
fn m5b_a_client_that_returns_meanwhile_is_known() {
    let mut network = Network::default();
    network.nat.insert(home(), away());
    network.say(Side::Client, b"away");
    network.run_for(10 * MILLISECOND);
    assert_eq!(network.server.path().remote, away());
    network.nat.clear();
    network.say(Side::Client, b"home");
    network.run_for(10 * MILLISECOND);
    let stats = network.server.paths();
    assert_eq!(stats[0].addresses.remote, home());
    assert!(stats[0].validated && !stats[0].validating);
    network.run_for(5 * SECOND);
    assert_eq!((network.server.path().remote, network.server.closed()), (home(), None));
    assert_eq!(network.server.paths().len(), 1);
}

/// RFC 9000 section 9.3.3: the client answers a challenge on its path with what is not a probe, and so takes the
/// connection back from who forwards copies of its packets.
#[test]
fn a_forwarded_copy_does_not_take_the_connection_away() {
    let mut network = Network::default();
    network.copied_from = Some(away());
    network.say(Side::Client, &[1; 500]);
    network.run_for(MILLISECOND);
    network.copied_from = None;
    network.run_for(9 * MILLISECOND);
    assert_eq!(network.server.path().remote, away());
    network.dead.insert(away());
    network.run_for(25 * MILLISECOND);
    assert_eq!(network.server.path().remote, home(), "long before the validation fails");
    network.run_for(5 * SECOND);
    assert_eq!((network.server.closed(), network.server.path().remote), (None, home()));
}

/// M2: an address that was validated in the last ten minutes is not validated again.
#[test]
fn m2_a_path_seen_lately_needs_no_validation() {
    let mut network = Network::default();
    let go = |network: &mut Network, local: SocketAddr| {
        let (now, before) = (network.now, network.client.sent.len());
        network.client.connection().migrate(now, local, Migration::Immediate).unwrap();
        network.run_for(8 * SECOND);
        assert_eq!((network.client.path().local, network.server.path().remote), (local, local));
        has_challenge(&network.client.sent_from(before, local))
    };
    assert!(go(&mut network, away()));
    assert!(!go(&mut network, home()));
    assert!(!go(&mut network, away()));
    let before = network.server.sent.len();
    assert!(!go(&mut network, home()));
    assert!(!has_challenge(&network.server.sent_to(before, home())), "nor by the server");
    let keep_alive = std::time::Duration::from_secs(20);
    let settings = TransportSettings { keep_alive: Some(keep_alive), ..TransportSettings::default() };
    let mut network = Network::new(settings, TransportSettings::default());
    assert!(go(&mut network, away()));
    network.run_for(601 * SECOND);
    assert!(go(&mut network, home()), "forgotten after ten minutes");
}

/// M3: where the server does not want clients to move, packets to another of its addresses are dropped; a NAT may still
/// move the client.
#[test]
fn m3_another_local_address_is_ignored_where_moving_is_disabled() {
    let other = address("192.0.2.3:443");
    for disabled in [true, false] {
        let settings = TransportSettings { disable_active_migration: disabled, ..TransportSettings::default() };
        let mut network = Network::new(TransportSettings::default(), settings);
        let dropped = network.server.connection().stats().packets_dropped;
        network.forge(Side::Client, FourTuple { local: other, remote: home() }, &[Frame::Ping]);
        assert_eq!(network.server.connection().stats().packets_dropped - dropped, u64::from(disabled));
        network.nat.insert(home(), away());
        network.forge(Side::Client, from_client(away()), &[Frame::Ping]);
        network.settle();
        assert_eq!(network.server.path().remote, away());
    }
}

/// F12: during the handshake, and C1: from an address that a client does not know, packets are dropped.
#[test]
fn f12_c1_packets_from_unknown_paths_are_dropped() {
    let mut network = Network::unconnected(Default::default(), Default::default(), TransportSettings::default());
    network.connect(TransportSettings::default());
    network.run_for(15 * MILLISECOND);
    // The client's second flight comes from elsewhere.
    network.nat.insert(home(), away());
    network.run_for(15 * MILLISECOND);
    let stats = network.server.connection().stats();
    assert!(stats.packets_dropped > 0, "{stats:?}");
    network.nat.clear();
    network.run_for(5 * SECOND);
    assert!(network.client.saw(&Event::HandshakeConfirmed));

    let dropped = network.client.connection().stats().packets_dropped;
    let elsewhere = FourTuple { local: home(), remote: address("192.0.2.99:443") };
    network.forge(Side::Server, elsewhere, &[Frame::Ping]);
    network.forge(Side::Server, to_server(away()), &[Frame::Ping]);
    assert_eq!(network.client.connection().stats().packets_dropped, dropped + 2);
    assert_eq!(network.client.path(), to_server(home()));
}

/// M1: what stands against moving, in this order.
#[test]
fn m1_a_migration_that_cannot_be_is_refused() {
    let mut network = Network::unconnected(Default::default(), Default::default(), TransportSettings::default());
    network.connect(TransportSettings::default());
    let now = network.now;
    let migrate = |network: &mut Network, to| network.client.connection().migrate(now, to, Migration::Immediate);
    assert_eq!(migrate(&mut network, away()), Err(MigrateError::NotConfirmed));
    network.settle();
    assert_eq!(migrate(&mut network, home()), Err(MigrateError::SameAddress));
    let refused = network.server.connection().migrate(now, away(), Migration::Immediate);
    assert_eq!(refused, Err(MigrateError::ServerSide));
    // Each new path takes a connection ID; the server does not hear of it.
    network.dead.extend([away(), address("198.51.100.7:1"), address("198.51.100.7:2"), address("198.51.100.7:3")]);
    for port in 1..=3 {
        let probe = network.client.connection().probe_path(now, SocketAddr::from(([198, 51, 100, 7], port)));
        assert_eq!(probe, Ok(()));
    }
    assert_eq!(migrate(&mut network, away()), Err(MigrateError::NoConnectionId));
    network.client.connection().close(now, 0, b"");
    assert_eq!(migrate(&mut network, away()), Err(MigrateError::Closed));

    let settings = TransportSettings { disable_active_migration: true, ..TransportSettings::default() };
    let mut network = Network::new(TransportSettings::default(), settings);
    assert_eq!(migrate(&mut network, away()), Err(MigrateError::DisabledByPeer));
}

#[test]
fn a_client_moves_at_once() {
    let mut network = Network::default();
    let (now, before) = (network.now, network.client.sent.len());
    let old = network.client.sent.last().unwrap().destination();
    network.say(Side::Client, &[1; 5000]);
    network.client.connection().migrate(now, away(), Migration::Immediate).unwrap();
    assert!(network.client.path() == to_server(away()));
    network.settle();
    let sent = network.client.sent_from(before, away());
    assert!(sent.iter().any(|sent| !sent.is_probe()));
    assert!(network.client.saw(&Event::PathChanged { path: to_server(away()) }));
    assert!(network.client.saw(&validated(to_server(away()), false)));
    assert!(network.server.saw(&Event::PathChanged { path: from_client(away()) }));
    assert!(network.server.saw(&validated(from_client(away()), true)));
    // RFC 9000 section 9.5: no connection ID is used from two addresses, by either end.
    let ids = |sent: &[Sent]| sent.iter().map(Sent::destination).collect::<Vec<ConnectionId>>();
    assert!(!ids(&sent).contains(&old));
    let used_before = ids(&network.server.sent_to(0, home()));
    assert!(ids(&network.server.sent_to(0, away())).iter().all(|id| !used_before.contains(id)));
}

#[test]
fn a_client_moves_once_the_path_is_validated() {
    let mut network = Network::default();
    let now = network.now;
    network.client.connection().migrate(now, away(), Migration::Validated).unwrap();
    network.run_for(15 * MILLISECOND);
    assert_eq!(network.client.path().local, home());
    network.settle();
    assert_eq!(network.client.path().local, away());
    network.say(Side::Client, b"here");
    network.settle();
    assert_eq!(network.server.path().remote, away());

    let mut network = Network::default();
    network.dead.insert(away());
    let now = network.now;
    network.client.connection().migrate(now, away(), Migration::Validated).unwrap();
    network.run_for(5 * SECOND);
    assert_eq!(network.client.path().local, home());
    assert!(network.client.saw(&Event::PathFailed { path: to_server(away()) }));
    assert!(!network.client.events.iter().any(|event| matches!(event, Event::PathChanged { .. })));
}

/// M8: a client whose IP address changed is given a token for the new one; behind another port the old one is good.
#[test]
fn m8_a_new_address_brings_a_new_token() {
    for (outer, expected) in [("192.0.2.1:61000", false), ("203.0.113.9:61000", true)] {
        let mut network = Network::default();
        network.nat.insert(home(), address(outer));
        let before = network.client.events.len();
        network.say(Side::Client, &[1; 3000]);
        network.settle();
        assert!(network.server.saw(&validated(from_client(address(outer)), expected)));
        let told = network.client.events.iter().skip(before).any(|event| matches!(event, Event::NewToken { .. }));
        assert_eq!(told, expected);
    }
}

#[test]
fn several_local_addresses_are_probed_and_one_is_taken() {
    let mut network = Network::default();
    let now = network.now;
    let addresses = [away(), address("198.51.100.8:40001"), address("198.51.100.9:40002")];
    network.dead.insert(addresses[1]);
    for address in addresses {
        network.client.connection().probe_path(now, address).unwrap();
    }
    network.run_for(4 * SECOND);
    assert!(network.client.saw(&validated(to_server(addresses[0]), false)));
    assert!(network.client.saw(&Event::PathFailed { path: to_server(addresses[1]) }));
    assert!(network.client.saw(&validated(to_server(addresses[2]), false)));
    assert_eq!(network.client.path().local, home());
    let (now, before) = (network.now, network.client.sent.len());
    network.client.connection().migrate(now, addresses[2], Migration::Immediate).unwrap();
    network.say(Side::Client, &[1; 100]);
    network.settle();
    assert!(!has_challenge(&network.client.sent_from(before, addresses[2])));
    assert_eq!(network.server.path().remote, addresses[2]);
}

#[test]
fn an_address_learned_late_is_no_migration() {
    let mut network = Network::default();
    network.client.connection().set_local_address(away());
    let before = network.client.sent.len();
    network.say(Side::Client, &[1; 3000]);
    network.settle();
    assert!(network.client.sent[before..].iter().all(|sent| sent.path.local == away()));
    assert!(!has_challenge(&network.client.sent[before..]));
    assert_eq!(network.server.path().remote, away());
}

/// W19: each datagram says which path it is for, and probes of one path go out among what is sent on another.
#[test]
fn w19_every_datagram_names_its_path() {
    let mut network = Network::default();
    let (now, before) = (network.now, network.client.sent.len());
    network.say(Side::Client, &[1; 50_000]);
    network.client.connection().probe_path(now, away()).unwrap();
    network.run_for(MILLISECOND);
    let sent = &network.client.sent[before..];
    assert!(sent.iter().any(|sent| sent.path == to_server(home())));
    assert!(sent.iter().any(|sent| sent.path == to_server(away())));
    for sent in sent {
        assert_eq!(sent.path.local == away(), sent.is_probe());
    }
}

#[test]
fn a_client_that_keeps_moving_keeps_the_connection() {
    let mut network = Network::default();
    for n in 0..40u8 {
        let local = SocketAddr::from(([198, 51, 100, n], 40_000));
        let now = network.now;
        network.say(Side::Client, &[n; 2000]);
        network.client.connection().migrate(now, local, Migration::Immediate).unwrap();
        network.run_for(10 * SECOND);
        assert_eq!(network.server.path().remote, local);
    }
    assert_eq!((network.client.closed(), network.server.closed()), (None, None));
    assert_eq!((network.client.paths().len(), network.server.paths().len()), (1, 1));
    let finished = |event: &&Event| matches!(event, Event::StreamFinished { .. });
    assert_eq!(network.client.events.iter().filter(finished).count(), 40);
}

/// Packets that somebody forwards from a hundred addresses keep the paths few, and use up no connection IDs: the client
/// did not change its own, so that it does not know of any move.
#[test]
fn copies_from_everywhere_are_bounded() {
    let mut network = Network::default();
    for n in 0..100 {
        network.forge(Side::Client, from_client(SocketAddr::from(([198, 51, 100, n], 40_000))), &[Frame::Ping]);
        assert!(network.server.paths().len() <= 4);
    }
    network.run_for(MILLISECOND);
    let retires = |sent: &Sent| sent.frames().iter().any(|frame| matches!(frame, Frame::RetireConnectionId { .. }));
    assert!(!network.server.sent.iter().any(retires));
    let stats = network.server.paths();
    assert!(stats.iter().any(|path| path.addresses.remote == home() && path.validated), "the last good path is kept");
}

/// M4: a path that needs a connection ID of its own is not followed while the client has issued no unused one (RFC 9000
/// section 9.5). The reference gives the packet up with an error; its frames count all the same.
#[test]
fn m4_without_an_unused_connection_id_nobody_is_followed() {
    let mut network = Network::default();
    let before = network.client.sent.len();
    assert!(network.client.connection().rotate_remote_id());
    network.say(Side::Client, b"under another ID");
    network.run_for(MILLISECOND);
    let other = network.client.sent[before..].last().unwrap().destination();
    for _ in 0..3 {
        assert!(network.server.connection().rotate_remote_id());
    }
    let received = network.server.connection().stats().packets_received;
    network.forge_to(Side::Client, from_client(away()), other, &[Frame::Ping]);
    assert_eq!(network.server.connection().stats().packets_received, received + 1);
    assert_eq!(network.server.path().remote, home());
    network.run_for(MILLISECOND);
    assert!(network.server.sent_to(0, away()).is_empty());
}

/// M4: larger datagrams wait until the new path is validated.
#[test]
fn m4_the_packet_size_starts_over_on_a_new_path() {
    let settings = TransportSettings { max_udp_payload_size: 1400, mtu_discovery_sizes: vec![], ..Default::default() };
    let mut network = Network::new(settings.clone(), settings);
    assert_eq!(network.server.paths()[0].max_udp_payload_size, 1400);
    network.nat.insert(home(), away());
    network.say(Side::Client, &[1; 3000]);
    network.run_for(10 * MILLISECOND);
    let stats = network.server.paths()[0];
    assert_eq!((stats.addresses.remote, stats.max_udp_payload_size), (away(), 1200));
    network.settle();
    assert_eq!(network.server.paths()[0].max_udp_payload_size, 1400);
    assert_eq!(network.server.connection().stats().max_udp_payload_size, 1400);
}

#[test]
fn a_transfer_survives_loss_and_movement() {
    for seed in 1..=5u64 {
        let mut network = Network::default();
        let mut state = seed;
        network.filter = Some(Box::new(move |_, _, _| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 20 != 0
        }));
        network.say(Side::Server, &[1; 1_000_000]);
        for n in 0..20u8 {
            if n % 4 == 3 {
                let (now, local) = (network.now, SocketAddr::from(([198, 51, 100, n], 40_000)));
                network.nat.clear();
                // Where the server's new connection IDs have not arrived yet, the client stays.
                let _ = network.client.connection().migrate(now, local, Migration::Immediate);
            } else {
                let inner = network.client.path().local;
                network.nat.insert(inner, SocketAddr::from(([203, 0, 113, n], 61_000)));
                network.say(Side::Client, b"hello");
            }
            network.run_for(400 * MILLISECOND);
        }
        network.run_for(20 * SECOND);
        assert_eq!((network.client.closed(), network.server.closed()), (None, None), "seed {seed}");
        let finished = |event: &Event| matches!(event, Event::StreamFinished { .. });
        assert!(network.server.events.iter().any(finished), "seed {seed}");
        assert_eq!((network.client.paths().len(), network.server.paths().len()), (1, 1), "seed {seed}");
    }
}
