//! The contract of the ABI, called as a host calls it: two endpoints of one instance, on virtual time.

use std::ptr;

use quillon_abi::*;

const CLIENT: [u8; 8] = [4, 0, 0x50, 0xc3, 127, 0, 0, 1];
const SERVER: [u8; 8] = [4, 0, 0x51, 0x11, 127, 0, 0, 1];
/// Late 2023: a wall clock for certificates.
const UNIX_TIME: u64 = 1_700_000_000;

/// The bytes at an address that the ABI gave out.
fn at(address: *const u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    // SAFETY: the ABI vouches for `len` bytes there until its next call.
    unsafe { ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), len) };
    bytes
}

fn poke(address: *mut u8, bytes: &[u8]) {
    // SAFETY: the tests write only into arenas, whose layout they keep.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) };
}

fn status_u32(offset: usize) -> u32 {
    at(quillon_status().wrapping_add(offset), 4).try_into().map(u32::from_le_bytes).unwrap_or_default()
}

fn status_u64(offset: usize) -> u64 {
    at(quillon_status().wrapping_add(offset), 8).try_into().map(u64::from_le_bytes).unwrap_or_default()
}

fn text(fill: impl FnOnce(*mut u8, u32) -> i32) -> String {
    let mut out = [0; 256];
    let len = fill(out.as_mut_ptr(), 256);
    String::from_utf8_lossy(&out[..len as usize]).into_owned()
}

fn last_error() -> String {
    // SAFETY: `text` hands in a buffer of that capacity.
    text(|out, capacity| unsafe { quillon_last_error(out, capacity) })
}

fn seed(byte: u8) -> i32 {
    let seed = [byte; 32];
    // SAFETY: the slice is valid.
    unsafe { quillon_seed(seed.as_ptr(), 32) }
}

fn set_bytes(config: u32, key: u32, value: &[u8]) -> i32 {
    // SAFETY: the slice is valid.
    unsafe { quillon_config_set_bytes(config, key, value.as_ptr(), value.len() as u32) }
}

fn path(local: &[u8; 8], remote: &[u8; 8]) -> [u8; 40] {
    let mut path = [0; 40];
    path[..8].copy_from_slice(local);
    path[20..28].copy_from_slice(remote);
    path
}

fn connect(endpoint: u32, config: u32, name: &str, now: u64) -> i32 {
    let path = path(&CLIENT, &SERVER);
    let (lo, hi) = (now as u32, (now >> 32) as u32);
    // SAFETY: both are valid.
    unsafe { quillon_endpoint_connect(endpoint, config, name.as_ptr(), name.len() as u32, path.as_ptr(), lo, hi) }
}

/// A server's self-signed identity, and what trusts it.
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    Identity { certificate: made.cert.der().to_vec(), key: made.signing_key.serialize_der() }
}

struct Pair {
    client: u32,
    server: u32,
    connection: u32,
    accepted: u32,
    now: u64,
    /// Datagrams that crossed, either way.
    wire: Vec<Vec<u8>>,
    events: Vec<(u32, u32)>,
}

impl Pair {
    fn new(identity: &Identity, alpns: [&[u8]; 2]) -> Self {
        assert_eq!(quillon_set_unix_time(UNIX_TIME), 0);
        let server_config = quillon_config_new(QUILLON_ROLE_SERVER) as u32;
        assert_eq!(set_bytes(server_config, QUILLON_CONFIG_ALPN, alpns[0]), 0);
        assert_eq!(set_bytes(server_config, QUILLON_CONFIG_CERTIFICATE, &identity.certificate), 0);
        assert_eq!(set_bytes(server_config, QUILLON_CONFIG_PRIVATE_KEY, &identity.key), 0);
        let client_config = quillon_config_new(QUILLON_ROLE_CLIENT) as u32;
        assert_eq!(set_bytes(client_config, QUILLON_CONFIG_ALPN, alpns[1]), 0);
        assert_eq!(set_bytes(client_config, QUILLON_CONFIG_ROOT_CERTIFICATE, &identity.certificate), 0);
        let (client, server) = (quillon_endpoint_new(0) as u32, quillon_endpoint_new(0) as u32);
        assert_eq!(quillon_endpoint_listen(server, server_config), 0, "{}", last_error());
        let connection = connect(client, client_config, "localhost", 0);
        assert!(connection > 0, "{}", last_error());
        let connection = connection as u32;
        Self { client, server, connection, accepted: 0, now: 0, wire: Vec::new(), events: Vec::new() }
    }

    fn time(&self) -> (u32, u32) {
        (self.now as u32, (self.now >> 32) as u32)
    }

    /// Moves datagrams from one endpoint to the other; returns how many.
    fn carry(&mut self, from: u32, to: u32, back: [u8; 40], max_segments: u32) -> usize {
        let (lo, hi) = self.time();
        let count = quillon_endpoint_transmit(from, max_segments, lo, hi);
        assert!(count >= 0, "{}", last_error());
        let (source, target) = (quillon_endpoint_transmit_arena(from), quillon_endpoint_receive_arena(to));
        let mut crossed = 0;
        for index in 0..count as usize {
            let descriptor = at(source.wrapping_add(64 * index), 64);
            let field = |n: usize| u32::from_le_bytes(descriptor[4 * n..4 * n + 4].try_into().unwrap());
            let (offset, len, segment) = (field(0), field(1), field(2));
            assert!(len <= segment * max_segments, "{len} bytes of {segment} each");
            for datagram in at(source.wrapping_add(offset as usize), len as usize).chunks(segment as usize) {
                poke(target.wrapping_add(4096), datagram);
                let fields = [4096, datagram.len() as u32, 0, field(3)].map(u32::to_le_bytes).concat();
                poke(target, &[&fields[..], &back].concat());
                self.wire.push(datagram.to_vec());
                assert_eq!(quillon_endpoint_receive(to, 1, lo, hi), 1, "{}", last_error());
                crossed += 1;
            }
        }
        crossed
    }

    /// Lets both ends talk until neither has anything to say; time passes at their deadlines, for `duration` at most.
    fn run(&mut self, duration: u64) {
        let end = self.now + duration;
        loop {
            while self.carry(self.client, self.server, path(&SERVER, &CLIENT), 1)
                + self.carry(self.server, self.client, path(&CLIENT, &SERVER), 8)
                > 0
            {
                self.now += 1_000_000;
            }
            for endpoint in [self.client, self.server] {
                loop {
                    let kind = quillon_endpoint_poll_event(endpoint);
                    if kind <= 0 {
                        assert_eq!(kind, 0, "{}", last_error());
                        break;
                    }
                    if kind as u32 == QUILLON_EVENT_ACCEPTED {
                        self.accepted = status_u32(68);
                    }
                    self.events.push((endpoint, kind as u32));
                }
            }
            let deadlines = [self.client, self.server].map(|endpoint| match quillon_endpoint_timeout(endpoint) {
                1 => status_u64(0),
                _ => u64::MAX,
            });
            let next = deadlines[0].min(deadlines[1]);
            if next > end {
                return;
            }
            self.now = self.now.max(next);
            let (lo, hi) = self.time();
            for endpoint in [self.client, self.server] {
                assert_eq!(quillon_endpoint_handle_timeout(endpoint, lo, hi), 0);
            }
        }
    }

    fn saw(&self, endpoint: u32, kind: u32) -> bool {
        self.events.contains(&(endpoint, kind))
    }

    fn write(&self, stream: u64, data: &[u8]) -> i32 {
        // SAFETY: the slice is valid.
        unsafe { quillon_stream_write(self.client, self.connection, stream, data.as_ptr(), data.len() as u32) }
    }

    fn info(&self, key: u32) -> Vec<u8> {
        let mut out = vec![0; 4096];
        // SAFETY: the slice is valid.
        let len = unsafe { quillon_connection_info(self.client, self.connection, key, out.as_mut_ptr(), 4096) };
        assert!(len >= 0, "{}", last_error());
        out.truncate(len as usize);
        out
    }
}

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
