//! TLS outside the engine, through the ABI: rustls is run here, and the engine of the client knows nothing of it.

mod pair;

use std::time::Duration;

use pair::*;
use quillon::crypto::{CipherSuite, Secret};
use quillon::rng::Rng;
use quillon::tls::rustls::RustlsClient;
use quillon::tls::{ClientConfig, Output, Session, Start};
use quillon::wire::{Level, Version};
use quillon_abi::*;

fn number(level: Level) -> u32 {
    match level {
        Level::Initial => QUILLON_LEVEL_INITIAL,
        Level::ZeroRtt => QUILLON_LEVEL_ZERO_RTT,
        Level::Handshake => QUILLON_LEVEL_HANDSHAKE,
        Level::OneRtt => QUILLON_LEVEL_ONE_RTT,
    }
}

fn level(number: u32) -> Level {
    [Level::Initial, Level::Handshake, Level::OneRtt].into_iter().find(|level| self::number(*level) == number).unwrap()
}

/// A client's TLS beside the engine.
struct Outside {
    session: Box<dyn Session>,
    told_parameters: bool,
}

impl Outside {
    fn new(pair: &Pair, identity: &Identity) -> Self {
        let mut parameters = vec![0; 512];
        let len = unsafe {
            // SAFETY: the slice is valid.
            quillon_tls_local_parameters(pair.client, pair.connection, parameters.as_mut_ptr(), 512)
        };
        assert!(len > 0, "{}", last_error());
        let tls = RustlsClient::builder().alpn(["test"]).roots([identity.certificate.clone()]).build().unwrap();
        let start = Start {
            version: Version::V1,
            transport_parameters: &parameters[..len as usize],
            rng: Rng::from_seed([9; 32]),
            unix_time: Duration::from_secs(UNIX_TIME),
            resume: None,
            early_data: false,
            early_data_context: &[],
        };
        Self { session: tls.start("localhost", start).unwrap(), told_parameters: false }
    }

    /// Carries what the peer said in, and what TLS says out.
    fn drive(&mut self, pair: &Pair) {
        let (lo, hi) = pair.time();
        loop {
            let len = quillon_tls_take(pair.client, pair.connection);
            assert!(len >= 0, "{}", last_error());
            if len == 0 {
                break;
            }
            let data = at(status_u64(16) as usize as *const u8, len as usize);
            self.session.read_crypto(level(status_u32(12)), &data).unwrap();
            self.say(pair, lo, hi);
        }
        self.say(pair, lo, hi);
    }

    fn say(&mut self, pair: &Pair, lo: u32, hi: u32) {
        let (client, connection) = (pair.client, pair.connection);
        while let Some(output) = self.session.poll_output() {
            let parameters = self.session.peer_transport_parameters().filter(|_| !self.told_parameters);
            if let Some(parameters) = parameters {
                // SAFETY: the slice is valid.
                let told = unsafe {
                    let len = parameters.len() as u32;
                    quillon_tls_set_peer_parameters(client, connection, parameters.as_ptr(), len, lo, hi)
                };
                assert_eq!(told, 0, "{}", last_error());
                self.told_parameters = true;
            }
            let done = match output {
                Output::Crypto { level, data } => unsafe {
                    // SAFETY: the slice is valid.
                    let len = data.len() as u32;
                    quillon_tls_submit(client, connection, number(level), data.as_ptr(), len, lo, hi)
                },
                Output::ReadSecret { level, suite, secret } => {
                    install(pair, level, QUILLON_SECRET_READ, suite, &secret)
                }
                Output::WriteSecret { level, suite, secret } => {
                    install(pair, level, QUILLON_SECRET_WRITE, suite, &secret)
                }
                // SAFETY: the slice is valid.
                Output::HandshakeComplete => unsafe {
                    quillon_tls_complete(client, connection, b"test".as_ptr(), 4, lo, hi)
                },
                _ => 0,
            };
            assert_eq!(done, 0, "{}", last_error());
        }
    }
}

fn install(pair: &Pair, level: Level, direction: u32, suite: CipherSuite, secret: &Secret) -> i32 {
    let (lo, hi) = pair.time();
    let (suite, bytes) = (suite.to_iana().into(), secret.as_slice());
    let len = bytes.len() as u32;
    let (client, connection, level) = (pair.client, pair.connection, number(level));
    // SAFETY: the slice is valid.
    unsafe { quillon_tls_install_secret(client, connection, level, direction, suite, bytes.as_ptr(), len, lo, hi) }
}

fn outside(pair_seed: u8) -> (Pair, Outside) {
    seed(pair_seed);
    let identity = identity();
    let pair = Pair::configured(&identity, [b"test", b"test"], |client, _| {
        assert_eq!(quillon_config_set_number(client, QUILLON_CONFIG_EXTERNAL_TLS, 1), 0);
    });
    let outside = Outside::new(&pair, &identity);
    (pair, outside)
}

#[test]
fn a_handshake_is_driven_from_outside_and_a_stream_flows() {
    let (mut pair, mut tls) = outside(50);
    for _ in 0..10 {
        tls.drive(&pair);
        pair.run(20_000_000);
    }
    for endpoint in [pair.client, pair.server] {
        assert!(pair.saw(endpoint, QUILLON_EVENT_HANDSHAKE_CONFIRMED), "{:?}", pair.events);
    }
    assert_eq!(pair.info(QUILLON_INFO_ALPN), b"test");
    let stream = quillon_stream_open(pair.client, pair.connection, QUILLON_DIR_UNI) as u64;
    assert_eq!(pair.write(stream, b"through keys from outside"), 25);
    pair.run(100_000_000);
    assert_eq!(quillon_stream_peek(pair.server, pair.accepted, stream), 25);
}

#[test]
fn what_is_out_of_order_is_refused_and_a_failure_is_told() {
    let (mut pair, mut tls) = outside(51);
    let (lo, hi) = pair.time();
    // SAFETY: the slices are valid.
    unsafe {
        let early = quillon_tls_submit(pair.client, pair.connection, QUILLON_LEVEL_HANDSHAKE, [1].as_ptr(), 1, lo, hi);
        assert_eq!(early, QUILLON_ERR_INVALID_STATE);
        assert!(!last_error().is_empty());
        let complete = quillon_tls_complete(pair.client, pair.connection, [].as_ptr(), 0, lo, hi);
        assert_eq!(complete, QUILLON_ERR_INVALID_STATE);
        assert_eq!(
            quillon_tls_install_secret(pair.client, pair.connection, 9, 0, 0x1301, [0; 32].as_ptr(), 32, lo, hi),
            QUILLON_ERR_INVALID_ARGUMENT
        );
    }
    tls.drive(&pair);
    pair.run(20_000_000);
    let (lo, hi) = pair.time();
    // SAFETY: the slice is valid.
    let failed = unsafe { quillon_tls_fail(pair.client, pair.connection, 40, b"no".as_ptr(), 2, lo, hi) };
    assert_eq!(failed, 0, "{}", last_error());
    pair.run(100_000_000);
    assert!(pair.saw(pair.client, QUILLON_EVENT_CLOSED) && pair.saw(pair.server, QUILLON_EVENT_CLOSED));
}
