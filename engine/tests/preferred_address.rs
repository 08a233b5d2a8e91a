//! A server that would rather be reached at another of its addresses (RFC 9000 section 9.6).

mod network;
mod pair;

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use network::{Network, Sent, away, home, server_address};
use pair::{MILLISECOND, SECOND};
use quillon::wire::FourTuple;
use quillon::{Event, MigrateError, Migration, Side, TransportSettings};

fn ipv4() -> SocketAddrV4 {
    "203.0.113.5:4433".parse().unwrap()
}

fn ipv6() -> SocketAddrV6 {
    "[2001:db8::5]:4433".parse().unwrap()
}

fn offering() -> TransportSettings {
    TransportSettings { preferred_ipv4: Some(ipv4()), preferred_ipv6: Some(ipv6()), ..TransportSettings::default() }
}

fn preferred() -> SocketAddr {
    SocketAddr::V4(ipv4())
}

#[test]
fn a_client_goes_there_once_it_is_validated() {
    let mut network = Network::new(TransportSettings::default(), offering());
    assert!(network.client.saw(&Event::PreferredAddress { ipv4: Some(ipv4()), ipv6: Some(ipv6()) }));
    let path = FourTuple { local: home(), remote: preferred() };
    assert!(network.client.saw(&Event::PathValidated { path, new_peer_address: false }));
    assert!(network.client.saw(&Event::PathChanged { path }));
    network.say(Side::Client, &[1; 10_000]);
    network.say(Side::Server, &[2; 10_000]);
    let (client, server) = (network.client.sent.len(), network.server.sent.len());
    network.settle();
    assert_eq!(network.client.path(), path);
    assert_eq!(network.server.path(), FourTuple { local: preferred(), remote: home() });
    assert!(network.client.sent[client..].iter().all(|sent| sent.path.remote == preferred()));
    assert!(network.server.sent[server..].iter().any(|sent| !sent.is_probe() && sent.path.local == preferred()));
    assert_eq!((network.client.closed(), network.server.closed()), (None, None));
}

/// D5: the connection ID of the preferred address has sequence number 1, and is what the client uses there.
#[test]
fn d5_its_connection_id_has_sequence_number_1() {
    let mut network = Network::new(TransportSettings::default(), offering());
    network.run_for(SECOND);
    let announced = |sent: &Sent| {
        sent.frames()
            .iter()
            .any(|frame| matches!(frame, quillon::packet::Frame::NewConnectionId { sequence, .. } if *sequence < 2))
    };
    assert!(!network.server.sent.iter().any(announced), "0 and 1 travel in the handshake");
    let retires = |sent: &Sent| sent.frames().contains(&quillon::packet::Frame::RetireConnectionId { sequence: 0 });
    network.run_for(5 * SECOND);
    assert!(network.client.sent.iter().any(retires), "the old path's is retired");
    assert!(network.client.sent.iter().all(|sent| sent.path.remote == server_address() || sent.path.local == home()));
}

/// RFC 9000 section 9.6.2: from its preferred address a server sends only probes until the path is validated and the
/// client uses it.
#[test]
fn the_server_follows_not_before_the_client() {
    let mut network = Network::new(TransportSettings::default(), offering());
    network.settle();
    let from_there = network.server.sent_from(0, preferred());
    let first = from_there.iter().position(|sent| !sent.is_probe()).unwrap_or(from_there.len());
    assert!(first > 0, "a probe comes first");
    let validated = FourTuple { local: preferred(), remote: home() };
    assert!(network.server.saw(&Event::PathValidated { path: validated, new_peer_address: false }));
}

#[test]
fn a_client_that_does_not_want_to_stays() {
    let settings = TransportSettings { follow_preferred_address: false, ..TransportSettings::default() };
    let mut network = Network::new(settings, offering());
    assert!(network.client.saw(&Event::PreferredAddress { ipv4: Some(ipv4()), ipv6: Some(ipv6()) }));
    network.settle();
    assert_eq!(network.client.path().remote, server_address());
    assert!(network.client.sent.iter().all(|sent| sent.path.remote == server_address()));
}

#[test]
fn an_address_of_another_family_is_not_followed() {
    let settings = TransportSettings { preferred_ipv6: Some(ipv6()), ..TransportSettings::default() };
    let mut network = Network::new(TransportSettings::default(), settings);
    assert!(network.client.saw(&Event::PreferredAddress { ipv4: None, ipv6: Some(ipv6()) }));
    network.settle();
    assert_eq!(network.client.path().remote, server_address());
}

#[test]
fn where_it_cannot_be_reached_the_client_stays() {
    let mut network = Network::unconnected(Default::default(), Default::default(), offering());
    network.filter = Some(Box::new(|_, path, _| path.local != preferred() && path.remote != preferred()));
    network.connect(TransportSettings::default());
    network.run_for(50 * MILLISECOND);
    // M1: no migration meanwhile.
    let now = network.now;
    let refused = network.client.connection().migrate(now, away(), Migration::Immediate);
    assert_eq!(refused, Err(MigrateError::PreferredAddressPending));
    network.run_for(5 * SECOND);
    let path = FourTuple { local: home(), remote: preferred() };
    assert!(network.client.saw(&Event::PathFailed { path }));
    assert_eq!(network.client.path().remote, server_address());
    network.say(Side::Client, b"as before");
    network.settle();
    assert!(network.server.events.iter().any(|event| matches!(event, Event::StreamReadable { .. })));
}

#[test]
fn a_server_that_disables_migration_is_still_reached_there() {
    let settings = TransportSettings { disable_active_migration: true, ..offering() };
    let mut network = Network::new(TransportSettings::default(), settings);
    network.settle();
    assert_eq!(network.client.path().remote, preferred());
    // From there a client may move (RFC 9000 section 9.6.3).
    let now = network.now;
    network.client.connection().migrate(now, away(), Migration::Immediate).unwrap();
    network.say(Side::Client, b"moved");
    network.settle();
    assert_eq!(network.server.path(), FourTuple { local: preferred(), remote: away() });
}
