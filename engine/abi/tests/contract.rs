//! The contract of the ABI, called as a host calls it: two endpoints of one instance, on virtual time.

mod pair;

use std::ptr;

use pair::*;
use quillon_abi::*;

#[test]
fn unseeded_calls_fail_by_name() {
    assert_eq!(quillon_abi_version(), QUILLON_ABI_VERSION);
    assert_eq!(quillon_config_new(QUILLON_ROLE_CLIENT), QUILLON_ERR_UNSEEDED);
    assert_eq!(quillon_endpoint_new(0), QUILLON_ERR_UNSEEDED);
    assert_eq!(quillon_endpoint_poll_event(1), QUILLON_ERR_UNSEEDED);
    assert_eq!(quillon_stream_open(1, 1, 0), i64::from(QUILLON_ERR_UNSEEDED));
    // SAFETY: `text` hands in a buffer of that capacity.
    let name = text(|out, capacity| unsafe { quillon_error_name(QUILLON_ERR_UNSEEDED, out, capacity) });
    assert_eq!(name, "QUILLON_ERR_UNSEEDED");
    assert!(last_error().contains("quillon_seed"));
    let short = [0; 31];
    // SAFETY: the slice is valid.
    assert_eq!(unsafe { quillon_seed(short.as_ptr(), 31) }, QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(seed(1), 0);
    assert!(quillon_endpoint_new(0) > 0);
}

#[test]
fn misuse_is_answered_with_an_error() {
    seed(2);
    let config = quillon_config_new(QUILLON_ROLE_CLIENT) as u32;
    assert_eq!(quillon_config_new(2), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(quillon_config_set_number(config, 999, 1), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(
        quillon_config_set_number(config, QUILLON_CONFIG_MAX_UDP_PAYLOAD_SIZE, 1199),
        QUILLON_ERR_INVALID_ARGUMENT
    );
    assert_eq!(
        quillon_config_set_number(config, QUILLON_CONFIG_INITIAL_MAX_DATA, 1 << 62),
        QUILLON_ERR_INVALID_ARGUMENT
    );
    assert_eq!(set_bytes(config, QUILLON_CONFIG_ALPN, &[b'x'; 256]), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(set_bytes(config, QUILLON_CONFIG_CIPHER_SUITES, &[0x13]), QUILLON_ERR_INVALID_ARGUMENT);
    // SAFETY: null is allowed, and refused.
    let null = unsafe { quillon_config_set_bytes(config, QUILLON_CONFIG_ALPN, ptr::null(), 4) };
    assert_eq!(null, QUILLON_ERR_INVALID_ARGUMENT);

    let endpoint = quillon_endpoint_new(0) as u32;
    assert_eq!(quillon_endpoint_listen(endpoint, config), QUILLON_ERR_INVALID_ARGUMENT, "a client's configuration");
    assert_eq!(quillon_endpoint_receive(endpoint, 65, 0, 0), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(quillon_endpoint_transmit(endpoint, 0, 0, 0), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(quillon_endpoint_transmit(endpoint, u32::MAX, 0, 0), 0);
    assert_eq!(quillon_stream_open(endpoint, 77, 0), i64::from(QUILLON_ERR_INVALID_HANDLE));
    assert_eq!(quillon_endpoint_poll_event(endpoint + 1), QUILLON_ERR_INVALID_HANDLE);
    assert_eq!(quillon_endpoint_free(endpoint), 0);
    assert_eq!(quillon_endpoint_free(endpoint), QUILLON_ERR_INVALID_HANDLE);
    assert!(quillon_endpoint_receive_arena(endpoint).is_null());
    assert_eq!(quillon_config_free(config), 0);
    assert_eq!(quillon_config_set_number(config, QUILLON_CONFIG_KEY_LOG, 1), QUILLON_ERR_INVALID_HANDLE);
}

#[test]
fn descriptors_that_make_no_sense_are_refused() {
    seed(3);
    let endpoint = quillon_endpoint_new(0) as u32;
    let arena = quillon_endpoint_receive_arena(endpoint);
    let address = path(&SERVER, &CLIENT);
    for (offset, len) in [(0, 10), (4095, 10), (4096, u32::MAX), (u32::MAX, 1), (4096 + 128 * 1024, 1)] {
        let fields: Vec<u8> = [offset, len, 0, 0].map(u32::to_le_bytes).concat();
        poke(arena, &[&fields[..], &address].concat());
        assert_eq!(quillon_endpoint_receive(endpoint, 1, 0, 0), QUILLON_ERR_INVALID_ARGUMENT, "{offset} {len}");
    }
    let fields: Vec<u8> = [4096, 2500, 1200, 0].map(u32::to_le_bytes).concat();
    poke(arena, &[&fields[..], &address].concat());
    assert_eq!(quillon_endpoint_receive(endpoint, 1, 0, 0), 3, "random bytes are dropped, and counted");
    poke(arena, &[&fields[..], &[0; 40]].concat());
    assert_eq!(quillon_endpoint_receive(endpoint, 1, 0, 0), QUILLON_ERR_INVALID_ARGUMENT, "no address family");
}

#[test]
fn tls_refusals_come_with_a_reason() {
    seed(4);
    let config = quillon_config_new(QUILLON_ROLE_SERVER) as u32;
    set_bytes(config, QUILLON_CONFIG_ALPN, b"hq-interop");
    set_bytes(config, QUILLON_CONFIG_CERTIFICATE, b"not a certificate");
    set_bytes(config, QUILLON_CONFIG_PRIVATE_KEY, b"not a key");
    let endpoint = quillon_endpoint_new(0) as u32;
    assert_eq!(quillon_endpoint_listen(endpoint, config), QUILLON_ERR_TLS);
    assert!(!last_error().is_empty() && !last_error().contains('\n'), "{}", last_error());
}

#[test]
fn a_stream_is_echoed_and_the_connection_ends() {
    seed(5);
    let mut pair = Pair::new(&identity(), [b"test", b"test"]);
    pair.run(1_000_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_HANDSHAKE_CONFIRMED), "{:?}", pair.events);
    assert!(pair.saw(pair.server, QUILLON_EVENT_ACCEPTED) && pair.accepted > 0);
    assert_eq!(pair.info(QUILLON_INFO_ALPN), b"test");
    assert_eq!(pair.info(QUILLON_INFO_PATH), path(&CLIENT, &SERVER));
    assert_eq!(pair.info(QUILLON_INFO_SIDE), QUILLON_ROLE_CLIENT.to_le_bytes());
    assert_eq!(pair.info(QUILLON_INFO_STATE), 3_u32.to_le_bytes());

    let stream = quillon_stream_open(pair.client, pair.connection, QUILLON_DIR_BIDI);
    assert_eq!(stream, 0);
    let sent: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(pair.write(0, &sent), 100_000);
    assert_eq!(quillon_stream_finish(pair.client, pair.connection, 0), 0);
    assert_eq!(pair.write(0, b"more"), QUILLON_ERR_FINISHED);
    pair.run(1_000_000_000);

    let mut received = Vec::new();
    loop {
        let len = quillon_stream_peek(pair.server, pair.accepted, 0);
        assert!(len >= 0, "{}", last_error());
        if len == 0 {
            assert_eq!(status_u32(12), QUILLON_FLAG_FINISHED);
            break;
        }
        assert_eq!(status_u32(24), len as u32);
        received.extend(at(status_u64(16) as usize as *const u8, len as usize));
        assert_eq!(quillon_stream_consume(pair.server, pair.accepted, 0, len as u32), 0);
    }
    assert!(received == sent);

    let mut stats = [0; 8 * STATS.len()];
    // SAFETY: the slice is valid.
    let len = unsafe { quillon_connection_stats(pair.client, pair.connection, stats.as_mut_ptr(), stats.len() as u32) };
    assert_eq!(len as usize, stats.len());
    let field = |n: u32| u64::from_le_bytes(stats[8 * n as usize..][..8].try_into().unwrap());
    assert!(field(QUILLON_STATS_BYTES_SENT) > 100_000 && field(QUILLON_STATS_PACKETS_LOST) == 0);
    assert!(quillon_endpoint_memory_used(pair.client) > 0);

    let (lo, hi) = pair.time();
    // SAFETY: the slice is valid.
    let closed = unsafe { quillon_connection_close(pair.client, pair.connection, 7, b"done".as_ptr(), 4, lo, hi) };
    assert_eq!(closed, 0);
    assert_eq!(quillon_stream_open(pair.client, pair.connection, QUILLON_DIR_BIDI), i64::from(QUILLON_ERR_CLOSED));
    pair.run(60_000_000_000);
    for endpoint in [pair.client, pair.server] {
        assert!(pair.saw(endpoint, QUILLON_EVENT_CLOSED) && pair.saw(endpoint, QUILLON_EVENT_DRAINED));
    }
    assert_eq!(quillon_stream_open(pair.client, pair.connection, 0), i64::from(QUILLON_ERR_INVALID_HANDLE));
}

#[test]
fn a_protocol_mismatch_closes_with_a_reason() {
    seed(6);
    let mut pair = Pair::new(&identity(), [b"one", b"two"]);
    let (mut detail, mut code, mut reason) = (0, 0, Vec::new());
    for _ in 0..4 {
        pair.carry(pair.client, pair.server, path(&SERVER, &CLIENT), 1);
        pair.carry(pair.server, pair.client, path(&CLIENT, &SERVER), 1);
        while quillon_endpoint_poll_event(pair.client) > 0 {
            if status_u32(64) == QUILLON_EVENT_CLOSED {
                (detail, code) = (status_u32(100), status_u64(80));
                reason = at(status_u64(88) as usize as *const u8, status_u32(96) as usize);
            }
        }
    }
    // RFC 9001 section 8.1: no_application_protocol, alert 120.
    assert_eq!((detail, code), (QUILLON_CLOSED_TRANSPORT_PEER, 0x100 + 120), "{}", String::from_utf8_lossy(&reason));
}

#[test]
fn one_seed_gives_one_sequence_of_datagrams() {
    let identity = identity();
    let flights = [9, 9, 10].map(|byte| {
        seed(byte);
        let mut pair = Pair::new(&identity, [b"test", b"test"]);
        pair.run(1_000_000_000);
        pair.wire
    });
    assert!(flights[0].len() > 4 && flights[0] == flights[1]);
    assert!(flights[0] != flights[2]);
}
