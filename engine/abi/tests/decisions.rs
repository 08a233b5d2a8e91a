//! What the host decides about clients: before there is a connection, and on the ClientHello.

mod pair;

use pair::*;
use quillon_abi::*;

/// Takes the next client that waits at the server, running until there is one.
fn incoming(pair: &mut Pair) -> u32 {
    pair.run(100_000_000);
    let incoming = quillon_endpoint_poll_incoming(pair.server);
    assert!(incoming > 0, "{}", last_error());
    incoming as u32
}

fn asking(pair_seed: u8) -> Pair {
    seed(pair_seed);
    Pair::configured(&identity(), [b"test", b"test"], |_, server| {
        let ask = u64::from(QUILLON_ADMISSION_ASK);
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_ADMISSION, ask), 0);
    })
}

fn incoming_info(incoming: u32, key: u32) -> Vec<u8> {
    let mut out = vec![0; 64];
    // SAFETY: the slice is valid.
    let len = unsafe { quillon_incoming_info(incoming, key, out.as_mut_ptr(), 64) };
    assert!(len > 0, "{}", last_error());
    out.truncate(len as usize);
    out
}

#[test]
fn a_client_proves_its_address_and_is_accepted() {
    let mut pair = asking(20);
    let first = incoming(&mut pair);
    assert_eq!(incoming_info(first, QUILLON_INCOMING_PATH), path(&SERVER, &CLIENT));
    assert_eq!(incoming_info(first, QUILLON_INCOMING_VERSION), 1_u32.to_le_bytes());
    assert_eq!(incoming_info(first, QUILLON_INCOMING_ADDRESS_VALIDATION), QUILLON_ADDRESS_UNPROVEN.to_le_bytes());
    let original = incoming_info(first, QUILLON_INCOMING_ORIGINAL_DESTINATION);
    assert_eq!(original.len(), 8);
    let (lo, hi) = pair.time();
    assert_eq!(quillon_incoming_retry(pair.client, first, lo, hi), QUILLON_ERR_INVALID_ARGUMENT, "another endpoint's");
    assert_eq!(quillon_incoming_retry(pair.server, first, lo, hi), 0);
    assert_eq!(quillon_incoming_retry(pair.server, first, lo, hi), QUILLON_ERR_INVALID_HANDLE, "answered");

    let second = incoming(&mut pair);
    assert_eq!(incoming_info(second, QUILLON_INCOMING_ADDRESS_VALIDATION), QUILLON_ADDRESS_RETRY.to_le_bytes());
    assert_eq!(incoming_info(second, QUILLON_INCOMING_ORIGINAL_DESTINATION), original);
    let (lo, hi) = pair.time();
    assert_eq!(quillon_incoming_retry(pair.server, second, lo, hi), QUILLON_ERR_INVALID_STATE);
    assert!(quillon_incoming_accept(pair.server, second, 0, lo, hi) > 0, "{}", last_error());
    pair.run(1_000_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_HANDSHAKE_CONFIRMED), "{:?}", pair.events);
    assert_eq!(quillon_endpoint_poll_incoming(pair.server), 0);
}

#[test]
fn a_client_is_refused() {
    let mut pair = asking(21);
    let first = incoming(&mut pair);
    let (lo, hi) = pair.time();
    assert_eq!(quillon_incoming_refuse(pair.server, first, lo, hi), 0);
    pair.run(100_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_CLOSED), "{:?}", pair.events);
    assert!(!pair.saw(pair.server, QUILLON_EVENT_ACCEPTED));
}

#[test]
fn an_ignored_client_asks_again() {
    let mut pair = asking(22);
    let first = incoming(&mut pair);
    assert_eq!(quillon_incoming_ignore(pair.server, first), 0);
    pair.run(2_000_000_000);
    assert!(quillon_endpoint_poll_incoming(pair.server) > 0, "the Initial was sent again");
}

fn asking_on_client_hello(pair_seed: u8) -> Pair {
    seed(pair_seed);
    let mut pair = Pair::configured(&identity(), [b"test", b"test"], |_, server| {
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_ASK_ON_CLIENT_HELLO, 1), 0);
    });
    pair.run(100_000_000);
    assert!(pair.saw(pair.server, QUILLON_EVENT_CLIENT_HELLO), "{:?}", pair.events);
    pair
}

#[test]
fn the_host_chooses_by_the_client_hello() {
    let mut pair = asking_on_client_hello(23);
    let info = |key| {
        let mut out = vec![0; 64];
        // SAFETY: the slice is valid.
        let len = unsafe { quillon_connection_info(pair.server, pair.accepted, key, out.as_mut_ptr(), 64) };
        out.truncate(len as usize);
        out
    };
    assert_eq!(info(QUILLON_INFO_CLIENT_HELLO_SERVER_NAME), b"localhost");
    assert_eq!(info(QUILLON_INFO_CLIENT_HELLO_ALPN), b"\x04test");
    let other = identity();
    let config = quillon_config_new(QUILLON_ROLE_SERVER) as u32;
    set_bytes(config, QUILLON_CONFIG_ALPN, b"test");
    set_bytes(config, QUILLON_CONFIG_CERTIFICATE, &other.certificate);
    set_bytes(config, QUILLON_CONFIG_PRIVATE_KEY, &other.key);
    let (lo, hi) = pair.time();
    assert_eq!(quillon_connection_choose(pair.server, pair.accepted, config, lo, hi), 0, "{}", last_error());
    assert_eq!(quillon_connection_choose(pair.server, pair.accepted, config, lo, hi), QUILLON_ERR_INVALID_STATE);
    pair.run(1_000_000_000);
    // Its certificate is not the one that the client trusts: the choice took effect.
    assert!(pair.saw(pair.client, QUILLON_EVENT_CLOSED), "{:?}", pair.events);
}

#[test]
fn the_host_refuses_by_the_client_hello() {
    let mut pair = asking_on_client_hello(24);
    let (lo, hi) = pair.time();
    // unrecognized_name (RFC 8446 section 6).
    let refused = unsafe {
        // SAFETY: the slice is valid.
        quillon_connection_refuse(pair.server, pair.accepted, 0x100 + 112, b"not here".as_ptr(), 8, lo, hi)
    };
    assert_eq!(refused, 0, "{}", last_error());
    pair.run(100_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_CLOSED));
}
