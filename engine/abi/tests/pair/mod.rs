//! Two endpoints of one instance on virtual time, called as a host calls them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::ptr;

use quillon_abi::*;

pub const CLIENT: [u8; 8] = [4, 0, 0x50, 0xc3, 127, 0, 0, 1];
pub const SERVER: [u8; 8] = [4, 0, 0x51, 0x11, 127, 0, 0, 1];
/// Late 2023: a wall clock for certificates.
pub const UNIX_TIME: u64 = 1_700_000_000;

/// The bytes at an address that the ABI gave out.
pub fn at(address: *const u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    // SAFETY: the ABI vouches for `len` bytes there until its next call.
    unsafe { ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), len) };
    bytes
}

pub fn poke(address: *mut u8, bytes: &[u8]) {
    // SAFETY: the tests write only into arenas, whose layout they keep.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) };
}

pub fn status_u32(offset: usize) -> u32 {
    at(quillon_status().wrapping_add(offset), 4).try_into().map(u32::from_le_bytes).unwrap_or_default()
}

pub fn status_u64(offset: usize) -> u64 {
    at(quillon_status().wrapping_add(offset), 8).try_into().map(u64::from_le_bytes).unwrap_or_default()
}

pub fn text(fill: impl FnOnce(*mut u8, u32) -> i32) -> String {
    let mut out = [0; 256];
    let len = fill(out.as_mut_ptr(), 256);
    String::from_utf8_lossy(&out[..len as usize]).into_owned()
}

pub fn last_error() -> String {
    // SAFETY: `text` hands in a buffer of that capacity.
    text(|out, capacity| unsafe { quillon_last_error(out, capacity) })
}

pub fn seed(byte: u8) -> i32 {
    let seed = [byte; 32];
    // SAFETY: the slice is valid.
    unsafe { quillon_seed(seed.as_ptr(), 32) }
}

pub fn set_bytes(config: u32, key: u32, value: &[u8]) -> i32 {
    // SAFETY: the slice is valid.
    unsafe { quillon_config_set_bytes(config, key, value.as_ptr(), value.len() as u32) }
}

pub fn path(local: &[u8; 8], remote: &[u8; 8]) -> [u8; 40] {
    let mut path = [0; 40];
    path[..8].copy_from_slice(local);
    path[20..28].copy_from_slice(remote);
    path
}

pub fn connect(endpoint: u32, config: u32, name: &str, now: u64) -> i32 {
    let path = path(&CLIENT, &SERVER);
    let (lo, hi) = (now as u32, (now >> 32) as u32);
    // SAFETY: both are valid.
    unsafe { quillon_endpoint_connect(endpoint, config, name.as_ptr(), name.len() as u32, path.as_ptr(), lo, hi) }
}

/// A server's self-signed identity, and what trusts it.
pub struct Identity {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

pub fn identity() -> Identity {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    Identity { certificate: made.cert.der().to_vec(), key: made.signing_key.serialize_der() }
}

pub struct Pair {
    pub client: u32,
    pub server: u32,
    pub connection: u32,
    pub accepted: u32,
    pub now: u64,
    /// Datagrams that crossed, either way.
    pub wire: Vec<Vec<u8>>,
    pub events: Vec<(u32, u32)>,
}

impl Pair {
    pub fn new(identity: &Identity, alpns: [&[u8]; 2]) -> Self {
        Self::configured(identity, alpns, |_, _| {})
    }

    /// The same, with more settings: `settings` is given the client's configuration and the server's.
    pub fn configured(identity: &Identity, alpns: [&[u8]; 2], settings: impl FnOnce(u32, u32)) -> Self {
        assert_eq!(quillon_set_unix_time(UNIX_TIME), 0);
        let server_config = quillon_config_new(QUILLON_ROLE_SERVER) as u32;
        assert_eq!(set_bytes(server_config, QUILLON_CONFIG_ALPN, alpns[0]), 0);
        assert_eq!(set_bytes(server_config, QUILLON_CONFIG_CERTIFICATE, &identity.certificate), 0);
        assert_eq!(set_bytes(server_config, QUILLON_CONFIG_PRIVATE_KEY, &identity.key), 0);
        let client_config = quillon_config_new(QUILLON_ROLE_CLIENT) as u32;
        assert_eq!(set_bytes(client_config, QUILLON_CONFIG_ALPN, alpns[1]), 0);
        assert_eq!(set_bytes(client_config, QUILLON_CONFIG_ROOT_CERTIFICATE, &identity.certificate), 0);
        settings(client_config, server_config);
        let client = quillon_endpoint_new(client_config) as u32;
        let server = quillon_endpoint_new(server_config) as u32;
        assert_eq!(quillon_endpoint_listen(server, server_config), 0, "{}", last_error());
        let connection = connect(client, client_config, "localhost", 0);
        assert!(connection > 0, "{}", last_error());
        let connection = connection as u32;
        Self { client, server, connection, accepted: 0, now: 0, wire: Vec::new(), events: Vec::new() }
    }

    pub fn time(&self) -> (u32, u32) {
        (self.now as u32, (self.now >> 32) as u32)
    }

    /// Moves datagrams from one endpoint to the other; returns how many.
    pub fn carry(&mut self, from: u32, to: u32, back: [u8; 40], max_segments: u32) -> usize {
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
    pub fn run(&mut self, duration: u64) {
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

    pub fn saw(&self, endpoint: u32, kind: u32) -> bool {
        self.events.contains(&(endpoint, kind))
    }

    pub fn write(&self, stream: u64, data: &[u8]) -> i32 {
        // SAFETY: the slice is valid.
        unsafe { quillon_stream_write(self.client, self.connection, stream, data.as_ptr(), data.len() as u32) }
    }

    pub fn info(&self, key: u32) -> Vec<u8> {
        let mut out = vec![0; 4096];
        // SAFETY: the slice is valid.
        let len = unsafe { quillon_connection_info(self.client, self.connection, key, out.as_mut_ptr(), 4096) };
        assert!(len >= 0, "{}", last_error());
        out.truncate(len as usize);
        out
    }
}
