//! Resumption, early data, moving, certificates and credit through the ABI.

mod pair;

use pair::*;
use quillon_abi::*;

/// Runs until the client has a session, and keeps it.
fn session(pair: &mut Pair) -> u32 {
    for _ in 0..20 {
        pair.carry(pair.client, pair.server, path(&SERVER, &CLIENT), 1);
        pair.carry(pair.server, pair.client, path(&CLIENT, &SERVER), 1);
        while quillon_endpoint_poll_event(pair.server) > 0 {}
        while let kind @ 1.. = quillon_endpoint_poll_event(pair.client) {
            if kind as u32 == QUILLON_EVENT_NEW_SESSION {
                let session = quillon_session_take();
                assert!(session > 0, "{}", last_error());
                assert_eq!(quillon_session_take(), QUILLON_ERR_INVALID_STATE, "once");
                return session as u32;
            }
        }
        pair.now += 1_000_000;
    }
    panic!("no session");
}

#[test]
fn a_session_is_resumed_with_early_data() {
    seed(40);
    let identity = identity();
    let mut client_config = 0;
    let mut pair = Pair::configured(&identity, [b"test", b"test"], |client, server| {
        client_config = client;
        assert_eq!(quillon_config_set_number(client, QUILLON_CONFIG_EARLY_DATA, 1), 0);
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_SESSION_STORE, 100), 0);
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_EARLY_DATA, 1), 0);
    });
    let session = session(&mut pair);
    assert_eq!(quillon_config_set_session(client_config, session), 0, "{}", last_error());
    assert_eq!(quillon_session_free(session), 0);
    assert_eq!(quillon_config_set_session(client_config, session), QUILLON_ERR_INVALID_HANDLE);

    pair.events.clear();
    pair.connection = connect(pair.client, client_config, "localhost", pair.now) as u32;
    assert_eq!(pair.info(QUILLON_INFO_EARLY_DATA), QUILLON_EARLY_DATA_OFFERED.to_le_bytes());
    let stream = quillon_stream_open(pair.client, pair.connection, QUILLON_DIR_UNI) as u64;
    assert_eq!(pair.write(stream, b"early"), 5);
    let (server, client) = (path(&SERVER, &CLIENT), path(&CLIENT, &SERVER));
    pair.carry(pair.client, pair.server, server, 1);
    let mut accepted = false;
    while let kind @ 1.. = quillon_endpoint_poll_event(pair.server) {
        if kind as u32 == QUILLON_EVENT_ACCEPTED {
            pair.accepted = status_u32(68);
        }
        accepted |= kind as u32 == QUILLON_EVENT_EARLY_DATA_ACCEPTED;
    }
    assert!(accepted, "before the client has answered");
    assert_eq!(quillon_stream_peek(pair.server, pair.accepted, stream), 5, "{}", last_error());
    assert_eq!(quillon_stream_is_early_data(pair.server, pair.accepted, stream), 1);
    pair.carry(pair.server, pair.client, client, 1);
    pair.run(1_000_000_000);
    assert_eq!(quillon_stream_is_early_data(pair.server, pair.accepted, stream), 0, "the handshake is complete");
    assert_eq!(pair.info(QUILLON_INFO_EARLY_DATA), QUILLON_EARLY_DATA_ACCEPTED.to_le_bytes());
    let state = u32::from_le_bytes(pair.info(QUILLON_INFO_STATE).try_into().unwrap());
    assert_eq!(state & QUILLON_STATE_RESUMED, QUILLON_STATE_RESUMED);
}

#[test]
fn a_client_moves() {
    seed(41);
    let mut pair = Pair::new(&identity(), [b"test", b"test"]);
    let mut address = [0; 20];
    address[..8].copy_from_slice(&[4, 0, 0x51, 0xc3, 127, 0, 0, 1]);
    let migrate = |pair: &Pair, how| {
        let (lo, hi) = pair.time();
        // SAFETY: the slice is valid.
        unsafe { quillon_connection_migrate(pair.client, pair.connection, address.as_ptr(), how, lo, hi) }
    };
    assert_eq!(migrate(&pair, QUILLON_MIGRATE_IMMEDIATE), QUILLON_ERR_INVALID_STATE, "before the handshake");
    pair.run(1_000_000_000);
    assert_eq!(migrate(&pair, 3), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(migrate(&pair, QUILLON_MIGRATE_IMMEDIATE), 0, "{}", last_error());
    let (mut moved, mut path_after) = (false, Vec::new());
    while let kind @ 1.. = quillon_endpoint_poll_event(pair.client) {
        if kind as u32 == QUILLON_EVENT_PATH_CHANGED {
            moved = true;
            path_after = at(status_u64(88) as usize as *const u8, status_u32(96) as usize);
        }
    }
    assert!(moved && path_after[..20] == address);
    assert_eq!(pair.info(QUILLON_INFO_PATHS)[..20], address);
}

#[test]
fn the_host_has_the_last_word_on_a_certificate() {
    for accept in [true, false] {
        seed(42);
        let mut pair = Pair::configured(&identity(), [b"test", b"test"], |client, _| {
            assert_eq!(quillon_config_set_number(client, QUILLON_CONFIG_ASK_FOR_VERDICT, 1), 0);
        });
        pair.run(100_000_000);
        assert!(pair.saw(pair.client, QUILLON_EVENT_PEER_CERTIFICATE), "{:?}", pair.events);
        assert!(!pair.saw(pair.client, QUILLON_EVENT_HANDSHAKE_COMPLETE));
        let chain = pair.info(QUILLON_INFO_PEER_CERTIFICATES);
        let len = u32::from_le_bytes(chain[..4].try_into().unwrap()) as usize;
        assert_eq!(chain[4..4 + len], pair.info(QUILLON_INFO_PEER_CERTIFICATE));
        let (lo, hi) = pair.time();
        if accept {
            assert_eq!(quillon_connection_accept_certificate(pair.client, pair.connection, lo, hi), 0);
        } else {
            let reason = b"not for me";
            let rejected = unsafe {
                // SAFETY: the slice is valid.
                quillon_connection_reject_certificate(pair.client, pair.connection, 42, reason.as_ptr(), 10, lo, hi)
            };
            assert_eq!(rejected, 0, "{}", last_error());
        }
        pair.run(1_000_000_000);
        assert_eq!(pair.saw(pair.server, QUILLON_EVENT_HANDSHAKE_COMPLETE), accept);
        assert_eq!(pair.saw(pair.server, QUILLON_EVENT_CLOSED), !accept);
    }
}

#[test]
fn credit_is_given_by_calls_alone() {
    seed(43);
    let mut pair = Pair::configured(&identity(), [b"test", b"test"], |_, server| {
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_MANUAL_CREDIT, 1), 0);
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_UNI, 1000), 0);
    });
    pair.run(1_000_000_000);
    let stream = quillon_stream_open(pair.client, pair.connection, QUILLON_DIR_UNI) as u64;
    assert_eq!(quillon_stream_send_credit(pair.client, pair.connection, stream), 1000);
    assert_eq!(pair.write(stream, &[1; 1500]), 1000);
    pair.run(1_000_000_000);
    assert_eq!(quillon_stream_send_credit(pair.client, pair.connection, stream), 0);
    assert_eq!(quillon_stream_is_early_data(pair.server, pair.accepted, stream), 0);
    assert_eq!(quillon_stream_extend_max_data(pair.server, pair.accepted, stream, 700), 0, "{}", last_error());
    assert_eq!(quillon_connection_extend_max_data(pair.server, pair.accepted, 700), 0);
    assert_eq!(quillon_connection_extend_max_streams(pair.server, pair.accepted, QUILLON_DIR_UNI, 1), 0);
    assert_eq!(quillon_connection_extend_max_streams(pair.server, pair.accepted, 2, 1), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(
        quillon_connection_extend_max_data(pair.client, pair.connection, 1),
        QUILLON_ERR_INVALID_STATE,
        "its credit is automatic"
    );
    pair.run(1_000_000_000);
    assert_eq!(quillon_stream_send_credit(pair.client, pair.connection, stream), 700);
}
