//! Datagrams, priorities, keys, versions and logs through the ABI.

mod pair;

use pair::*;
use quillon_abi::*;

fn send(endpoint: u32, connection: u32, data: &[u8]) -> i64 {
    // SAFETY: the slice is valid.
    unsafe { quillon_datagram_send(endpoint, connection, data.as_ptr(), data.len() as u32) }
}

#[test]
fn a_datagram_arrives_and_is_acknowledged() {
    seed(30);
    let mut pair = Pair::new(&identity(), [b"test", b"test"]);
    assert_eq!(send(pair.client, pair.connection, b"too early"), i64::from(QUILLON_ERR_UNSUPPORTED));
    pair.run(1_000_000_000);
    let most = quillon_datagram_max_size(pair.client, pair.connection);
    assert!((1_100..1_200).contains(&most), "{most}");
    assert_eq!(send(pair.client, pair.connection, &vec![1; most as usize + 1]), i64::from(QUILLON_ERR_TOO_LARGE));
    assert_eq!(status_u64(32), most as u64);
    assert_eq!(send(pair.client, pair.connection, &vec![7; most as usize]), 0);
    assert_eq!(send(pair.client, pair.connection, b"small"), 1);
    pair.run(1_000_000_000);
    assert!(pair.saw(pair.server, QUILLON_EVENT_DATAGRAM_RECEIVED));
    assert!(pair.saw(pair.client, QUILLON_EVENT_DATAGRAM_ACKED), "{:?}", pair.events);
    for expected in [vec![7; most as usize], b"small".to_vec()] {
        let len = quillon_datagram_peek(pair.server, pair.accepted);
        assert_eq!(len as usize, expected.len(), "{}", last_error());
        assert_eq!(at(status_u64(16) as usize as *const u8, len as usize), expected);
        assert_eq!(quillon_datagram_consume(pair.server, pair.accepted), 0);
    }
    assert_eq!(quillon_datagram_peek(pair.server, pair.accepted), QUILLON_ERR_BLOCKED);
    assert_eq!(quillon_datagram_consume(pair.server, pair.accepted), QUILLON_ERR_BLOCKED);
}

#[test]
fn a_peer_without_datagrams_is_told_apart() {
    seed(31);
    let mut pair = Pair::configured(&identity(), [b"test", b"test"], |_, server| {
        assert_eq!(quillon_config_set_number(server, QUILLON_CONFIG_MAX_DATAGRAM_FRAME_SIZE, 0), 0);
    });
    pair.run(1_000_000_000);
    assert_eq!(quillon_datagram_max_size(pair.client, pair.connection), QUILLON_ERR_UNSUPPORTED);
    assert!(quillon_datagram_max_size(pair.server, pair.accepted) > 0);
}

#[test]
fn keys_are_updated_and_exported_on_demand() {
    seed(32);
    let mut pair = Pair::new(&identity(), [b"test", b"test"]);
    assert_eq!(quillon_connection_update_key(pair.client, pair.connection, 0, 0), QUILLON_ERR_INVALID_STATE);
    assert!(!last_error().is_empty());
    pair.run(1_000_000_000);
    let (lo, hi) = pair.time();
    assert_eq!(quillon_connection_update_key(pair.client, pair.connection, lo, hi), 0, "{}", last_error());
    pair.run(1_000_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_KEYS_UPDATED) && pair.saw(pair.server, QUILLON_EVENT_KEYS_UPDATED));

    let material = |endpoint, connection| {
        let mut out = [0; 32];
        let (label, context) = (b"EXPORTER-test", b"context");
        let len = unsafe {
            // SAFETY: the slices are valid.
            quillon_connection_export(
                endpoint,
                connection,
                label.as_ptr(),
                label.len() as u32,
                context.as_ptr(),
                context.len() as u32,
                out.as_mut_ptr(),
                32,
            )
        };
        assert_eq!(len, 32, "{}", last_error());
        out
    };
    let (ours, theirs) = (material(pair.client, pair.connection), material(pair.server, pair.accepted));
    assert!(ours == theirs && ours != [0; 32]);
}

#[test]
fn priorities_are_checked() {
    seed(33);
    let mut pair = Pair::new(&identity(), [b"test", b"test"]);
    pair.run(1_000_000_000);
    assert_eq!(quillon_stream_open(pair.client, pair.connection, QUILLON_DIR_UNI), 2);
    assert_eq!(quillon_stream_set_priority(pair.client, pair.connection, 2, 0, 0, -5), 0);
    assert_eq!(quillon_stream_set_priority(pair.client, pair.connection, 2, 8, 0, 0), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(quillon_stream_set_priority(pair.client, pair.connection, 6, 0, 0, 0), QUILLON_ERR_UNKNOWN_STREAM);
}

#[test]
fn both_ends_agree_on_the_version_that_the_server_prefers() {
    seed(34);
    let mut pair = Pair::configured(&identity(), [b"test", b"test"], |client, server| {
        let both = [1_u32, 0x6b33_43cf].map(u32::to_be_bytes).concat();
        assert_eq!(set_bytes(client, QUILLON_CONFIG_VERSIONS, &both), 0);
        assert_eq!(set_bytes(server, QUILLON_CONFIG_VERSIONS, &both), 0);
        assert_eq!(set_bytes(server, QUILLON_CONFIG_PREFERRED_VERSIONS, &both[4..]), 0);
        assert_eq!(set_bytes(server, QUILLON_CONFIG_PREFERRED_VERSIONS, &both[1..]), QUILLON_ERR_INVALID_ARGUMENT);
    });
    pair.run(1_000_000_000);
    assert_eq!(pair.info(QUILLON_INFO_VERSION), 0x6b33_43cf_u32.to_le_bytes());
}

#[test]
fn a_connection_is_logged_to_its_end() {
    seed(35);
    let mut pair = Pair::configured(&identity(), [b"test", b"test"], |client, _| {
        assert_eq!(quillon_config_set_number(client, QUILLON_CONFIG_QLOG, u64::from(QUILLON_QLOG_0_3)), 0);
        assert_eq!(quillon_config_set_number(client, QUILLON_CONFIG_TEXT_LOG, 1), 0);
    });
    pair.run(1_000_000_000);
    let poll = |pair: &Pair, log| {
        let len = quillon_connection_poll_log(pair.client, pair.connection, log);
        assert!(len >= 0, "{}", last_error());
        String::from_utf8(at(status_u64(16) as usize as *const u8, len as usize)).unwrap()
    };
    let qlog = poll(&pair, QUILLON_LOG_QLOG);
    assert!(qlog.starts_with('\u{1e}') && qlog.contains("\"qlog_version\""), "{qlog}");
    assert!(!poll(&pair, QUILLON_LOG_TEXT).is_empty());
    assert_eq!(quillon_connection_shutdown(pair.client, pair.connection), 0);
    let (lo, hi) = pair.time();
    // SAFETY: the slice is valid.
    unsafe { quillon_connection_close(pair.client, pair.connection, 0, b"".as_ptr(), 0, lo, hi) };
    pair.run(60_000_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_STREAMS_FINISHED), "{:?}", pair.events);
    assert!(poll(&pair, QUILLON_LOG_QLOG).contains("connection_closed"), "what was left");
    assert_eq!(poll(&pair, QUILLON_LOG_QLOG), "", "once");
    assert_eq!(quillon_connection_poll_log(pair.client, pair.connection, 2), QUILLON_ERR_INVALID_ARGUMENT);
    assert_eq!(quillon_connection_poll_log(pair.client, 12345, 0), QUILLON_ERR_INVALID_HANDLE);
}
