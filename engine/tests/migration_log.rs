//! What logs tell of migration (RFC 9000 section 9).

mod network;
mod pair;

use network::{Network, address, away, home};
use quillon::diagnostics::{Importance, TextLogSettings};
use quillon::{Migration, Side, TransportSettings};

fn settings() -> TransportSettings {
    let text_log = TextLogSettings { importance: Importance::Extra, ..TextLogSettings::default() };
    TransportSettings { text_log: Some(text_log), ..TransportSettings::default() }
}

/// The steps of migration in a log, in order.
fn steps(log: &str) -> Vec<&str> {
    let lines = log.lines().filter(|line| line.contains(" migration_state_updated "));
    lines.map(|line| line.split("new=").nth(1).unwrap().split(' ').next().unwrap()).collect()
}

#[test]
fn a_change_of_path_is_recorded_step_by_step() {
    let mut network = Network::new(settings(), settings());
    network.client.connection().poll_text_log();
    network.server.connection().poll_text_log();
    let now = network.now;
    network.client.connection().migrate(now, away(), Migration::Validated).unwrap();
    network.settle();
    let client = network.client.connection().poll_text_log().unwrap();
    assert_eq!(steps(&client), ["probing_started", "probing_successful", "migration_started"]);
    assert!(client.contains(&format!(" tuple_assigned tuple_id={}-", away())), "{client}");
    assert!(client.contains(" connection_id_updated initiator=remote "));
    let server = network.server.connection().poll_text_log().unwrap();
    assert_eq!(steps(&server).first(), Some(&"probing_started"));
    assert!(steps(&server).contains(&"migration_started"));
}

#[test]
fn a_rebinding_is_recorded_at_the_server() {
    let mut network = Network::new(settings(), settings());
    network.server.connection().poll_text_log();
    let outer = address("203.0.113.9:61000");
    network.nat.insert(home(), outer);
    network.say(Side::Client, &[1; 3000]);
    network.settle();
    let log = network.server.connection().poll_text_log().unwrap();
    let steps = steps(&log);
    assert!(steps.starts_with(&["probing_started", "migration_started"]), "{steps:?}");
    assert!(steps.contains(&"migration_complete"), "{steps:?}");
    assert!(log.contains("ip_v4=203.0.113.9 port_v4=61000"));
}
