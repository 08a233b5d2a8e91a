//! Configurations: settings by key, so that new ones need no new function.
//!
//! A configuration is frozen when it is first used; afterwards it can be used again but not changed.

use std::sync::Arc;
use std::time::Duration;

use quillon::congestion::CongestionControl;
use quillon::crypto::{CipherSuite, StaticKey};
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::wire::Version;
use quillon::{Admission, ClientConfig, EndpointConfig, ServerConfig, TransportSettings};

use crate::constants::*;
use crate::failure::Failure;
use crate::instance::call;
use crate::memory;

/// Entries in a list of bytes, and bytes in an entry: far above what anybody needs.
const MAX_ENTRIES: usize = 1024;
const MAX_ENTRY_LEN: usize = 1 << 20;
/// The arenas' lengths: one large datagram up to 16 MiB.
const ARENA_LENGTHS: std::ops::RangeInclusive<u64> = QUILLON_ARENA_DATA as u64 + 65_536..=1 << 24;
/// What handles can tell apart.
const MAX_CONNECTIONS: u64 = (1 << 20) - 1;
/// Room for 64 received datagrams of the largest size on Ethernet, or one GRO batch.
const DEFAULT_RECEIVE_ARENA: usize = QUILLON_ARENA_DATA as usize + 128 * 1024;
/// Room for one full GSO batch.
const DEFAULT_TRANSMIT_ARENA: usize = QUILLON_ARENA_DATA as usize + 64 * 1024;

/// The settings of connections and endpoints.
#[derive(Debug)]
pub(crate) struct Config {
    is_server: bool,
    transport: TransportSettings,
    tls: Tls,
    token: Vec<u8>,
    ask_on_client_hello: bool,
    pub(crate) endpoint: EndpointConfig,
    pub(crate) receive_arena: usize,
    pub(crate) transmit_arena: usize,
    built: Option<Built>,
}

/// What the TLS room is told.
#[derive(Debug, Default)]
struct Tls {
    alpn: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
    key: Vec<u8>,
    suites: Vec<CipherSuite>,
    verify_nothing: bool,
    key_log: bool,
}

#[derive(Debug)]
enum Built {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            is_server: false,
            transport: TransportSettings::default(),
            tls: Tls::default(),
            token: Vec::new(),
            ask_on_client_hello: false,
            endpoint: EndpointConfig::default(),
            receive_arena: DEFAULT_RECEIVE_ARENA,
            transmit_arena: DEFAULT_TRANSMIT_ARENA,
            built: None,
        }
    }
}

impl Config {
    fn set_number(&mut self, key: u32, value: u64) -> Result<(), Failure> {
        let transport = &mut self.transport;
        let milliseconds = Duration::from_millis(value);
        let unless_zero = (value > 0).then_some(milliseconds);
        match key {
            QUILLON_CONFIG_MAX_IDLE_TIMEOUT_MS => transport.max_idle_timeout = milliseconds,
            QUILLON_CONFIG_INITIAL_MAX_DATA => transport.initial_max_data = varint(value)?,
            QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_LOCAL => {
                transport.initial_max_stream_data_bidi_local = varint(value)?;
            }
            QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_REMOTE => {
                transport.initial_max_stream_data_bidi_remote = varint(value)?;
            }
            QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_UNI => transport.initial_max_stream_data_uni = varint(value)?,
            QUILLON_CONFIG_INITIAL_MAX_STREAMS_BIDI => transport.initial_max_streams_bidi = streams(value)?,
            QUILLON_CONFIG_INITIAL_MAX_STREAMS_UNI => transport.initial_max_streams_uni = streams(value)?,
            QUILLON_CONFIG_MAX_UDP_PAYLOAD_SIZE => {
                transport.max_udp_payload_size = within(value, 1200, u64::from(u16::MAX))?;
            }
            QUILLON_CONFIG_INITIAL_RTT_MS => {
                transport.initial_rtt = unless_zero.ok_or_else(|| Failure::invalid("a round trip takes time"))?;
            }
            // RFC 9000 section 18.2: values of 2^14 or greater are invalid.
            QUILLON_CONFIG_MAX_ACK_DELAY_MS => {
                transport.max_ack_delay = Duration::from_millis(within(value, 0, (1 << 14) - 1)?);
            }
            QUILLON_CONFIG_KEEP_ALIVE_MS => transport.keep_alive = unless_zero,
            QUILLON_CONFIG_HANDSHAKE_TIMEOUT_MS => transport.handshake_timeout = unless_zero,
            QUILLON_CONFIG_VERIFY_PEER => self.tls.verify_nothing = within::<u8>(value, 0, 1)? == 0,
            QUILLON_CONFIG_KEY_LOG => self.tls.key_log = within::<u8>(value, 0, 1)? == 1,
            QUILLON_CONFIG_SEND_BUFFER => transport.send_buffer = value,
            QUILLON_CONFIG_MAX_DATAGRAM_FRAME_SIZE => transport.datagrams.max_frame_size = varint(value)?,
            QUILLON_CONFIG_DATAGRAM_SEND_BUFFER => transport.datagrams.send_buffer = value,
            QUILLON_CONFIG_DATAGRAM_RECEIVE_BUFFER => transport.datagrams.receive_buffer = value,
            QUILLON_CONFIG_CONGESTION_CONTROL => {
                transport.congestion = match u32::try_from(value) {
                    Ok(QUILLON_CONGESTION_CUBIC) => CongestionControl::Cubic,
                    Ok(QUILLON_CONGESTION_NEW_RENO) => CongestionControl::NewReno,
                    _ => return Err(Failure::invalid("there is no such congestion control")),
                };
            }
            QUILLON_CONFIG_INITIAL_PACKET_NUMBER => {
                transport.initial_packet_number = within(value, 0, (1 << 31) - 1)?;
            }
            QUILLON_CONFIG_PACKETS_PER_KEY => transport.packets_per_key = (value > 0).then_some(value),
            QUILLON_CONFIG_GREASE => transport.grease = within::<u8>(value, 0, 1)? == 1,
            QUILLON_CONFIG_ASK_ON_CLIENT_HELLO => self.ask_on_client_hello = within::<u8>(value, 0, 1)? == 1,
            QUILLON_CONFIG_ADMISSION => {
                self.endpoint.admission = match u32::try_from(value) {
                    Ok(QUILLON_ADMISSION_AUTOMATIC) => Admission::Automatic,
                    Ok(QUILLON_ADMISSION_RETRY) => Admission::AutomaticWithRetry { threshold: 0 },
                    Ok(QUILLON_ADMISSION_ASK) => Admission::Ask,
                    _ => return Err(Failure::invalid("there is no such admission")),
                };
            }
            QUILLON_CONFIG_TOKENS_PER_CONNECTION => self.endpoint.tokens.per_connection = within(value, 0, 8)?,
            QUILLON_CONFIG_CONNECTION_ID_LEN => self.endpoint.connection_id_len = within(value, 4, 20)?,
            QUILLON_CONFIG_MEMORY_BUDGET => self.endpoint.memory_budget = within(value, 0, u64::from(u32::MAX))?,
            QUILLON_CONFIG_MAX_CONNECTIONS => self.endpoint.max_connections = within(value, 0, MAX_CONNECTIONS)?,
            QUILLON_CONFIG_RECEIVE_ARENA_LEN => {
                self.receive_arena = within(value, *ARENA_LENGTHS.start(), *ARENA_LENGTHS.end())?;
            }
            QUILLON_CONFIG_TRANSMIT_ARENA_LEN => {
                self.transmit_arena = within(value, *ARENA_LENGTHS.start(), *ARENA_LENGTHS.end())?;
            }
            _ => return Err(Failure::invalid("the configuration has no number under this key")),
        }
        Ok(())
    }

    fn set_bytes(&mut self, key: u32, value: &[u8]) -> Result<(), Failure> {
        if value.is_empty() || value.len() > MAX_ENTRY_LEN {
            return Err(Failure::invalid("the value is empty or too long"));
        }
        let list = match key {
            // RFC 7301 section 3.1: a protocol's name has 1 to 255 bytes.
            QUILLON_CONFIG_ALPN if value.len() > 255 => {
                return Err(Failure::invalid("a protocol's name has at most 255 bytes"));
            }
            QUILLON_CONFIG_ALPN => &mut self.tls.alpn,
            QUILLON_CONFIG_ROOT_CERTIFICATE => &mut self.tls.roots,
            QUILLON_CONFIG_CERTIFICATE => &mut self.tls.chain,
            QUILLON_CONFIG_PRIVATE_KEY => {
                self.tls.key = value.to_vec();
                return Ok(());
            }
            QUILLON_CONFIG_CIPHER_SUITES => {
                let (suites, rest) = value.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(Failure::invalid("a cipher suite's number has two bytes"));
                }
                let suites = suites.iter().map(|suite| CipherSuite::from_iana(u16::from_be_bytes(*suite)));
                let suites = suites.collect::<Option<_>>();
                self.tls.suites = suites.ok_or_else(|| Failure::invalid("the engine has no such cipher suite"))?;
                return Ok(());
            }
            QUILLON_CONFIG_VERSIONS => {
                let versions = versions(value)?;
                self.transport.versions.chosen = versions.first().copied().unwrap_or(Version::V1);
                self.transport.versions.available = versions;
                return Ok(());
            }
            QUILLON_CONFIG_PREFERRED_VERSIONS => {
                self.transport.versions.preferred = versions(value)?;
                return Ok(());
            }
            QUILLON_CONFIG_TOKEN => {
                self.token = value.to_vec();
                return Ok(());
            }
            QUILLON_CONFIG_TOKEN_KEY => {
                self.endpoint.tokens.key = Some(static_key(value)?);
                return Ok(());
            }
            QUILLON_CONFIG_STATELESS_RESET_KEY => {
                self.endpoint.stateless_reset_key = Some(static_key(value)?);
                return Ok(());
            }
            _ => return Err(Failure::invalid("the configuration has no bytes under this key")),
        };
        if list.len() >= MAX_ENTRIES {
            return Err(Failure::too_many("the list is full"));
        }
        list.push(value.to_vec());
        Ok(())
    }

    /// What `quillon_endpoint_connect` uses.
    pub(crate) fn client(&mut self) -> Result<Arc<ClientConfig>, Failure> {
        if self.is_server {
            return Err(Failure::invalid("this configuration is a server's"));
        }
        match self.freeze()? {
            Built::Client(config) => Ok(Arc::clone(config)),
            Built::Server(_) => Err(Failure::invalid("this configuration is a server's")),
        }
    }

    /// What `quillon_endpoint_listen` uses.
    pub(crate) fn server(&mut self) -> Result<Arc<ServerConfig>, Failure> {
        if !self.is_server {
            return Err(Failure::invalid("this configuration is a client's"));
        }
        match self.freeze()? {
            Built::Server(config) => Ok(Arc::clone(config)),
            Built::Client(_) => Err(Failure::invalid("this configuration is a client's")),
        }
    }

    fn build_client(&self) -> Result<Built, Failure> {
        let tls = &self.tls;
        let builder = RustlsClient::builder().alpn(tls.alpn.clone()).roots(tls.roots.clone()).key_log(tls.key_log);
        let builder = if tls.verify_nothing { builder.danger_accept_any_certificate() } else { builder };
        let builder = if tls.suites.is_empty() { builder } else { builder.cipher_suites(&tls.suites) };
        let mut config = ClientConfig::new(Arc::new(builder.build()?));
        config.transport = self.transport.clone();
        config.token = self.token.clone();
        Ok(Built::Client(Arc::new(config)))
    }

    fn build_server(&self) -> Result<Built, Failure> {
        let tls = &self.tls;
        let builder = RustlsServer::builder(tls.chain.clone(), &tls.key).alpn(tls.alpn.clone()).key_log(tls.key_log);
        let builder = if tls.suites.is_empty() { builder } else { builder.cipher_suites(&tls.suites) };
        let mut config = ServerConfig::new(Arc::new(builder.build()?));
        config.transport = self.transport.clone();
        config.ask_on_client_hello = self.ask_on_client_hello;
        Ok(Built::Server(Arc::new(config)))
    }

    fn freeze(&mut self) -> Result<&Built, Failure> {
        if self.built.is_none() {
            self.built = Some(if self.is_server { self.build_server()? } else { self.build_client()? });
        }
        self.built.as_ref().ok_or_else(Failure::invalid_handle)
    }
}

/// Versions, 4 bytes each, most significant first.
fn versions(value: &[u8]) -> Result<Vec<Version>, Failure> {
    let (versions, rest) = value.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Failure::invalid("a version has four bytes"));
    }
    Ok(versions.iter().map(|version| Version(u32::from_be_bytes(*version))).collect())
}

/// A key, and maybe the one before it.
fn static_key(value: &[u8]) -> Result<StaticKey, Failure> {
    match value.as_chunks::<32>() {
        ([current], []) => Ok(StaticKey::new(*current)),
        ([current, previous], []) => Ok(StaticKey::new(*current).with_previous(*previous)),
        _ => Err(Failure::invalid("a key has 32 bytes, with the previous one 64")),
    }
}

fn within<T: TryFrom<u64>>(value: u64, least: u64, most: u64) -> Result<T, Failure> {
    let value = (least..=most).contains(&value).then_some(value).and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| Failure::invalid("the value is out of range"))
}

/// RFC 9000 section 16: a variable-length integer has 62 bits.
fn varint(value: u64) -> Result<u64, Failure> {
    within(value, 0, (1 << 62) - 1)
}

/// RFC 9000 section 4.6: there are at most 2^60 streams of a kind.
fn streams(value: u64) -> Result<u64, Failure> {
    within(value, 0, 1 << 60)
}

/// Makes a configuration with the defaults. Returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_new(role: u32) -> i32 {
    call(|instance| {
        let is_server = within::<u8>(u64::from(role), 0, 1)? == 1;
        instance.configs.insert(Config { is_server, ..Config::default() })
    })
}

/// Gives a configuration up. What was made with it lives on.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_free(config: u32) -> i32 {
    call(|instance| instance.configs.remove(config).map(|_| 0))
}

/// Sets the number under `key`, one of those below 64.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_config_set_number(config: u32, key: u32, value: u64) -> i32 {
    call(|instance| changeable(instance.configs.find(config)?)?.set_number(key, value).map(|()| 0))
}

/// Sets the bytes under `key`, one of those from 64, or appends them where the key names a list.
///
/// # Safety
///
/// `value` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_config_set_bytes(config: u32, key: u32, value: *const u8, len: u32) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let value = unsafe { memory::input(value, len) }?;
        changeable(instance.configs.find(config)?)?.set_bytes(key, value).map(|()| 0)
    })
}

fn changeable(config: &mut Config) -> Result<&mut Config, Failure> {
    if config.built.is_some() { Err(Failure::invalid("the configuration is in use: make another")) } else { Ok(config) }
}
