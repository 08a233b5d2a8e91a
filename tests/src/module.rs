//! The WebAssembly module under wasmtime, driven through its C ABI (`engine/abi/ABI.md`) as any host would.
//!
//! Invariants: every [`Module`] is an instance of its own, with its own memory and seed; addresses are read anew after
//! each call that may grow the memory; a trap or an error code that the caller did not ask for panics with its name.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::{fmt, fs};

use quillon::crypto::CipherSuite;
use quillon::error::TransportErrorCode;
use quillon::{ConnectionError, ConnectionHandle, DatagramId, Dir, Ecn, Event, FourTuple, Side, StreamId, Time};
use wasmtime::{Engine, Instance, Memory, Store, TypedFunc, WasmParams, WasmResults};

use crate::fixtures::{CA, CERTIFICATE, PRIVATE_KEY, module_dir};
use crate::host::{ALPN, Batch, Host, UNIX_TIME};
use crate::transport::{Known, Transport};

/// The numbers of `quillon.h` that hosts here use.
mod abi {
    pub(super) const BLOCKED: i32 = -4;
    pub(super) const CONFIG_ALPN: u32 = 64;
    pub(super) const CONFIG_ROOT_CERTIFICATE: u32 = 65;
    pub(super) const CONFIG_CERTIFICATE: u32 = 66;
    pub(super) const CONFIG_PRIVATE_KEY: u32 = 67;
    pub(super) const CONFIG_CIPHER_SUITES: u32 = 68;
    pub(super) const CONFIG_TOKEN: u32 = 71;
    pub(super) const EVENT_NEW_SESSION: i32 = 23;
    pub(super) const EVENT_PREFERRED_ADDRESS: i32 = 30;
    pub(super) const INFO_PATH: u32 = 4;
    pub(super) const INFO_STATE: u32 = 5;
    pub(super) const INFO_VERSION: u32 = 7;
    pub(super) const INFO_EARLY_DATA: u32 = 11;
    pub(super) const STATE_RESUMED: u32 = 8;
    pub(super) const ARENA_DATA: usize = 4096;
    pub(super) const DESCRIPTOR_LEN: usize = 64;
    pub(super) const FLAG_FINISHED: u32 = 1;

    /// Offsets in the status block.
    pub(super) mod status {
        pub(in super::super) const DEADLINE: usize = 0;
        pub(in super::super) const FLAGS: usize = 12;
        pub(in super::super) const DATA: usize = 16;
        pub(in super::super) const EVENT_CONNECTION: usize = 68;
        pub(in super::super) const EVENT_STREAM: usize = 72;
        pub(in super::super) const EVENT_CODE: usize = 80;
        pub(in super::super) const EVENT_DATA: usize = 88;
        pub(in super::super) const EVENT_DETAIL: usize = 100;
    }
}

/// The longest batch that [`Module::transmit`] asks for, in datagrams.
const SEGMENTS: u32 = 64;
/// What is staged for one call of `quillon_stream_write`.
const STAGING: u32 = 64 << 10;

/// The file that `cargo xtask wasm` writes.
#[must_use]
pub fn path() -> PathBuf {
    module_dir().join("quillon.wasm")
}

/// The module's bytes.
///
/// # Panics
/// Where it has not been built.
#[must_use]
pub fn bytes() -> Vec<u8> {
    fs::read(path()).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask wasm`", path().display()))
}

/// The module, compiled once for the process.
///
/// # Panics
/// Where it has not been built, or wasmtime refuses it.
#[must_use]
pub fn compiled() -> &'static wasmtime::Module {
    static COMPILED: OnceLock<wasmtime::Module> = OnceLock::new();
    COMPILED.get_or_init(|| {
        wasmtime::Module::new(&Engine::default(), bytes()).unwrap_or_else(|error| panic!("the module: {error:#}"))
    })
}

/// What an endpoint of [`Module::new`] is told before it is made.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Numbers by key, as `quillon_config_set_number` takes them.
    pub numbers: Vec<(u32, u64)>,
    /// Cipher suites in order of preference; empty for the default.
    pub cipher_suites: Vec<CipherSuite>,
    /// Bytes by key, as `quillon_config_set_bytes` takes them.
    pub bytes: Vec<(u32, Vec<u8>)>,
    /// The application protocol; [`ALPN`] where there is none.
    pub alpn: Option<Vec<u8>>,
}

/// An instance of the module with one endpoint.
pub struct Module {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    exports: Exports,
    endpoint: u32,
    config: u32,
    status: usize,
    receive_arena: usize,
    transmit_arena: usize,
    staging: u32,
    sessions: u32,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

macro_rules! exports {
    ($($name:ident: $params:ty => $result:ty,)+) => {
        /// The functions that a packet or a stream meets.
        struct Exports { $($name: TypedFunc<$params, $result>,)+ }

        impl Exports {
            fn new(store: &mut Store<()>, instance: &Instance) -> Self {
                Self { $($name: function(store, instance, concat!("quillon_", stringify!($name))),)+ }
            }
        }
    };
}

exports! {
    endpoint_receive: (u32, u32, u32, u32) => i32,
    endpoint_transmit: (u32, u32, u32, u32) => i32,
    endpoint_timeout: u32 => i32,
    endpoint_handle_timeout: (u32, u32, u32) => i32,
    endpoint_poll_event: u32 => i32,
    stream_open: (u32, u32, u32) => i64,
    stream_write: (u32, u32, u64, u32, u32) => i32,
    stream_finish: (u32, u32, u64) => i32,
    stream_peek: (u32, u32, u64) => i32,
    stream_consume: (u32, u32, u64, u32) => i32,
}

fn function<P: WasmParams, R: WasmResults>(store: &mut Store<()>, instance: &Instance, name: &str) -> TypedFunc<P, R> {
    instance.get_typed_func(store, name).unwrap_or_else(|error| panic!("the module's {name}: {error:#}"))
}

impl Module {
    /// An instance seeded with `seed`, and in it the endpoint of a client that trusts the test CA, or of a server with
    /// the test certificate.
    ///
    /// # Panics
    /// Where the module refuses any of it.
    #[must_use]
    pub fn new(side: Side, settings: &Settings, seed: [u8; 32]) -> Self {
        let mut module = Self::unseeded();
        let seed = module.put(&seed);
        module.check("quillon_seed", (seed, 32u32));
        module.check("quillon_set_unix_time", UNIX_TIME.as_secs());
        module.config = module.make_config(side, settings);
        module.endpoint = module.check("quillon_endpoint_new", module.config);
        if side == Side::Server {
            module.check("quillon_endpoint_listen", (module.endpoint, module.config));
        }
        module.receive_arena = module.call::<_, u32>("quillon_endpoint_receive_arena", module.endpoint) as usize;
        module.transmit_arena = module.call::<_, u32>("quillon_endpoint_transmit_arena", module.endpoint) as usize;
        module.staging = module.call("quillon_alloc", STAGING);
        module
    }

    /// An instance that nobody has seeded, without an endpoint.
    ///
    /// # Panics
    /// Where the module cannot be instantiated without imports.
    #[must_use]
    pub fn unseeded() -> Self {
        let mut store = Store::new(compiled().engine(), ());
        let instance = Instance::new(&mut store, compiled(), &[]).expect("the module has no imports");
        let memory = instance.get_memory(&mut store, "memory").expect("the module exports its memory");
        let exports = Exports::new(&mut store, &instance);
        let mut module = Self {
            store,
            instance,
            memory,
            exports,
            endpoint: 0,
            config: 0,
            status: 0,
            receive_arena: 0,
            transmit_arena: 0,
            staging: 0,
            sessions: 0,
        };
        module.status = module.call::<_, u32>("quillon_status", ()) as usize;
        module
    }

    /// Calls an export by its name.
    ///
    /// # Panics
    /// Where it has another signature, or traps.
    pub fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, arguments: P) -> R {
        let function = function(&mut self.store, &self.instance, name);
        function.call(&mut self.store, arguments).unwrap_or_else(|trap| panic!("{name}: {trap:#}"))
    }

    /// Calls an export that must succeed; returns what it returns.
    ///
    /// # Panics
    /// Where it fails, with the module's own words.
    pub fn check<P: WasmParams>(&mut self, name: &str, arguments: P) -> u32 {
        let result: i32 = self.call(name, arguments);
        self.succeeded(name, result)
    }

    /// The text that `name` copies out, called with `first` and a buffer.
    pub fn text<P: WasmParams>(&mut self, name: &str, arguments: impl FnOnce(u32, u32) -> P) -> String {
        let out = self.put(&[0; 256]);
        let len = self.call::<_, i32>(name, arguments(out, 256)).clamp(0, 256) as usize;
        String::from_utf8_lossy(&self.memory.data(&self.store)[out as usize..][..len]).into_owned()
    }

    /// Copies bytes into the module's memory; returns their address.
    fn put(&mut self, bytes: &[u8]) -> u32 {
        let address: u32 = self.call("quillon_alloc", bytes.len() as u32);
        self.memory.write(&mut self.store, address as usize, bytes).expect("the block has that length");
        address
    }

    fn succeeded(&mut self, name: &str, result: i32) -> u32 {
        u32::try_from(result).unwrap_or_else(|_| {
            let code = self.text("quillon_error_name", |out, capacity| (result, out, capacity));
            let error = self.text("quillon_last_error", |out, capacity| (out, capacity));
            panic!("{name}: {code}: {error}")
        })
    }

    fn make_config(&mut self, side: Side, settings: &Settings) -> u32 {
        let config = self.check("quillon_config_new", u32::from(side == Side::Server));
        for &(key, number) in &settings.numbers {
            self.check("quillon_config_set_number", (config, key, number));
        }
        let suites: Vec<u8> = settings.cipher_suites.iter().flat_map(|suite| suite.to_iana().to_be_bytes()).collect();
        let mut bytes = vec![(abi::CONFIG_ALPN, settings.alpn.as_deref().unwrap_or(ALPN))];
        bytes.extend(settings.bytes.iter().map(|(key, value)| (*key, value.as_slice())));
        match side {
            Side::Client => bytes.push((abi::CONFIG_ROOT_CERTIFICATE, CA)),
            Side::Server => {
                bytes.extend([(abi::CONFIG_CERTIFICATE, CERTIFICATE), (abi::CONFIG_PRIVATE_KEY, PRIVATE_KEY)]);
            }
        }
        if !suites.is_empty() {
            bytes.push((abi::CONFIG_CIPHER_SUITES, &suites));
        }
        for (key, value) in bytes {
            self.set_bytes(config, key, value);
        }
        config
    }

    fn set_bytes(&mut self, config: u32, key: u32, value: &[u8]) {
        let address = self.put(value);
        self.check("quillon_config_set_bytes", (config, key, address, value.len() as u32));
        self.call::<_, ()>("quillon_free", (address, value.len() as u32));
    }

    /// What the module knows of a connection under a key; empty for nothing.
    fn info(&mut self, connection: ConnectionHandle, key: u32) -> Vec<u8> {
        let out = self.put(&[0; 256]);
        let arguments = (self.endpoint, connection.raw(), key, out, 256u32);
        let len = self.call::<_, i32>("quillon_connection_info", arguments).clamp(0, 256) as usize;
        let bytes = self.memory.data(&self.store)[out as usize..][..len].to_vec();
        self.call::<_, ()>("quillon_free", (out, 256u32));
        bytes
    }

    fn bytes_at<const N: usize>(&self, address: usize) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.read(&self.store, address, &mut bytes).expect("the module's addresses lie in its memory");
        bytes
    }

    fn status_u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.bytes_at(self.status + offset))
    }

    fn status_u64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.bytes_at(self.status + offset))
    }

    /// The bytes to which the status block points at `offset`.
    fn status_data(&self, offset: usize) -> &[u8] {
        let (address, len) = (self.status_u64(offset) as usize, self.status_u32(offset + 8) as usize);
        &self.memory.data(&self.store)[address..][..len]
    }

    /// The event that the status block describes.
    fn event(&self, kind: i32) -> Event {
        use abi::status::{EVENT_CODE, EVENT_DATA, EVENT_DETAIL, EVENT_STREAM};
        let id = StreamId(self.status_u64(EVENT_STREAM));
        let code = self.status_u64(EVENT_CODE);
        let text = || String::from_utf8_lossy(self.status_data(EVENT_DATA)).into_owned();
        match kind {
            1 => Event::Accepted,
            2 => Event::HandshakeComplete,
            3 => Event::HandshakeConfirmed,
            4 => Event::StreamOpened { id },
            5 => Event::StreamReadable { id },
            6 => Event::StreamWritable { id },
            7 => Event::StreamFinished { id },
            8 => Event::StreamReset { id, code },
            9 => Event::StreamStopped { id, code },
            10 => {
                Event::StreamsAvailable { dir: if self.status_u32(EVENT_DETAIL) == 0 { Dir::Bidi } else { Dir::Uni } }
            }
            11 => Event::KeyLog(text()),
            12 => Event::Closed(match self.status_u32(EVENT_DETAIL) {
                detail @ (1 | 2) => {
                    let code = TransportErrorCode(code);
                    ConnectionError::Transport { code, frame_type: id.0, reason: text(), by_peer: detail == 2 }
                }
                detail @ (3 | 4) => {
                    let reason = self.status_data(EVENT_DATA).to_vec();
                    ConnectionError::Application { code, reason, by_peer: detail == 4 }
                }
                5 => ConnectionError::IdleTimeout,
                6 => ConnectionError::HandshakeTimeout,
                7 => ConnectionError::VersionNegotiation { supported: Vec::new() },
                8 => ConnectionError::StatelessReset,
                detail => panic!("the ABI has no end of a connection {detail}"),
            }),
            13 => Event::Drained,
            14 => Event::DatagramReceived,
            15 => Event::DatagramAcked { id: DatagramId(code) },
            16 => Event::DatagramLost { id: DatagramId(code) },
            17 => Event::DatagramDropped { id: DatagramId(code) },
            18 => Event::DatagramsOverflowed { count: code },
            19 => Event::ClientHello,
            20 => Event::KeysUpdated { by_peer: self.status_u32(EVENT_DETAIL) != 0 },
            21 => Event::NewToken { token: self.status_data(EVENT_DATA).to_vec() },
            22 => Event::DataCreditAvailable,
            24 => Event::EarlyDataAccepted,
            25 => Event::EarlyDataRejected,
            26 => Event::PeerCertificate,
            27 => Event::PathChanged { path: decode_path(self.status_data(EVENT_DATA)) },
            28 => {
                let new_peer_address = self.status_u32(EVENT_DETAIL) != 0;
                Event::PathValidated { path: decode_path(self.status_data(EVENT_DATA)), new_peer_address }
            }
            29 => Event::PathFailed { path: decode_path(self.status_data(EVENT_DATA)) },
            31 => Event::CryptoReceived,
            32 => Event::StreamAcked { id, offset: code },
            33 => Event::StreamClosed { id, error: (self.status_u32(EVENT_DETAIL) != 0).then_some(code) },
            34 => Event::StreamsFinished,
            _ => panic!("the ABI has no event {kind}"),
        }
    }
}

/// A time as the ABI takes it: its lower and upper 32 bits.
const fn halves(time: Time) -> (u32, u32) {
    (time as u32, (time >> 32) as u32)
}

impl Host for Module {
    fn connect(&mut self, now: Time, server_name: &str, path: FourTuple) -> ConnectionHandle {
        let (name, path, (lo, hi)) = (self.put(server_name.as_bytes()), self.put(&encode_path(path)), halves(now));
        let name_len = server_name.len() as u32;
        let arguments = (self.endpoint, self.config, name, name_len, path, lo, hi);
        ConnectionHandle::from_raw(self.check("quillon_endpoint_connect", arguments))
    }

    fn receive(&mut self, now: Time, batch: Batch<'_>) {
        let mut descriptor = [0; abi::DESCRIPTOR_LEN];
        let fields = [abi::ARENA_DATA as u32, batch.bytes.len() as u32, batch.segment_size as u32, batch.ecn as u32];
        for (slot, field) in descriptor.chunks_mut(4).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        descriptor[16..56].copy_from_slice(&encode_path(batch.path));
        let arena = &mut self.memory.data_mut(&mut self.store)[self.receive_arena..];
        arena[..abi::DESCRIPTOR_LEN].copy_from_slice(&descriptor);
        arena[abi::ARENA_DATA..][..batch.bytes.len()].copy_from_slice(batch.bytes);
        let (lo, hi) = halves(now);
        let received = self.exports.endpoint_receive.call(&mut self.store, (self.endpoint, 1, lo, hi));
        self.succeeded("quillon_endpoint_receive", received.expect("no trap"));
    }

    fn transmit(&mut self, now: Time, send: &mut dyn FnMut(Batch<'_>)) {
        let (lo, hi) = halves(now);
        loop {
            let filled = self.exports.endpoint_transmit.call(&mut self.store, (self.endpoint, SEGMENTS, lo, hi));
            let filled = self.succeeded("quillon_endpoint_transmit", filled.expect("no trap")) as usize;
            if filled == 0 {
                return;
            }
            let arena = &mut self.memory.data_mut(&mut self.store)[self.transmit_arena..];
            for index in 0..filled {
                let descriptor: [u8; abi::DESCRIPTOR_LEN] =
                    arena[index * abi::DESCRIPTOR_LEN..][..abi::DESCRIPTOR_LEN].try_into().expect("64 bytes");
                let field = |at: usize| {
                    u32::from_le_bytes([descriptor[at], descriptor[at + 1], descriptor[at + 2], descriptor[at + 3]])
                };
                send(Batch {
                    bytes: &mut arena[field(0) as usize..][..field(4) as usize],
                    segment_size: field(8) as usize,
                    path: decode_path(&descriptor[16..56]),
                    ecn: Ecn::from_bits(field(12) as u8),
                });
            }
        }
    }

    fn timeout(&mut self) -> Option<Time> {
        let set = self.exports.endpoint_timeout.call(&mut self.store, self.endpoint).expect("no trap");
        (set == 1).then(|| self.status_u64(abi::status::DEADLINE))
    }

    fn handle_timeout(&mut self, now: Time) {
        let (lo, hi) = halves(now);
        let done = self.exports.endpoint_handle_timeout.call(&mut self.store, (self.endpoint, lo, hi));
        self.succeeded("quillon_endpoint_handle_timeout", done.expect("no trap"));
    }

    fn poll_event(&mut self) -> Option<(ConnectionHandle, Event)> {
        let kind = loop {
            match self.exports.endpoint_poll_event.call(&mut self.store, self.endpoint).expect("no trap") {
                // A session stays in the module, for the next connection; 30 only announces what is followed.
                abi::EVENT_NEW_SESSION => {
                    let session = self.check("quillon_session_take", ());
                    self.check("quillon_config_set_session", (self.config, session));
                    self.sessions += 1;
                }
                abi::EVENT_PREFERRED_ADDRESS => {}
                kind => break kind,
            }
        };
        let handle = ConnectionHandle::from_raw(self.status_u32(abi::status::EVENT_CONNECTION));
        (self.succeeded("quillon_endpoint_poll_event", kind) != 0).then(|| (handle, self.event(kind)))
    }

    fn open(&mut self, connection: ConnectionHandle, dir: Dir) -> Option<StreamId> {
        let dir = u32::from(dir == Dir::Uni);
        let id = self.exports.stream_open.call(&mut self.store, (self.endpoint, connection.raw(), dir));
        u64::try_from(id.expect("no trap")).ok().map(StreamId)
    }

    fn write(&mut self, connection: ConnectionHandle, id: StreamId, data: &[u8]) -> usize {
        let mut written = 0;
        while written < data.len() {
            let piece = &data[written..data.len().min(written + STAGING as usize)];
            self.memory.write(&mut self.store, self.staging as usize, piece).expect("the block has that length");
            let arguments = (self.endpoint, connection.raw(), id.0, self.staging, piece.len() as u32);
            match self.exports.stream_write.call(&mut self.store, arguments).expect("no trap") {
                abi::BLOCKED => break,
                taken => written += self.succeeded("quillon_stream_write", taken) as usize,
            }
        }
        written
    }

    fn finish(&mut self, connection: ConnectionHandle, id: StreamId) {
        let done = self.exports.stream_finish.call(&mut self.store, (self.endpoint, connection.raw(), id.0));
        self.succeeded("quillon_stream_finish", done.expect("no trap"));
    }

    fn read(&mut self, connection: ConnectionHandle, id: StreamId, take: &mut dyn FnMut(&[u8])) -> bool {
        let stream = (self.endpoint, connection.raw(), id.0);
        loop {
            let len = self.exports.stream_peek.call(&mut self.store, stream).expect("no trap");
            let Ok(len) = u32::try_from(len) else { return false };
            if len == 0 {
                return self.status_u32(abi::status::FLAGS) & abi::FLAG_FINISHED != 0;
            }
            take(self.status_data(abi::status::DATA));
            let arguments = (stream.0, stream.1, stream.2, len);
            let done = self.exports.stream_consume.call(&mut self.store, arguments);
            self.succeeded("quillon_stream_consume", done.expect("no trap"));
        }
    }

    fn close(&mut self, now: Time, connection: ConnectionHandle, code: u64, reason: &[u8]) {
        let (text, (lo, hi)) = (self.put(reason), halves(now));
        let arguments = (self.endpoint, connection.raw(), code, text, reason.len() as u32, lo, hi);
        self.check("quillon_connection_close", arguments);
    }
}

impl Transport for Module {
    fn facts(&mut self, connection: ConnectionHandle) -> Option<Known> {
        let path = self.info(connection, abi::INFO_PATH);
        let word = |bytes: Vec<u8>| bytes.try_into().map_or(0, u32::from_le_bytes);
        let state = word(self.info(connection, abi::INFO_STATE));
        let early_data = word(self.info(connection, abi::INFO_EARLY_DATA));
        let version = word(self.info(connection, abi::INFO_VERSION));
        let takes_datagrams = self.call::<_, i32>("quillon_datagram_max_size", (self.endpoint, connection.raw())) >= 0;
        (path.len() == 40).then(|| Known {
            takes_datagrams,
            version,
            path: decode_path(&path),
            resumed: state & abi::STATE_RESUMED != 0,
            early_data_accepted: early_data == 2,
        })
    }

    fn update_key(&mut self, now: Time, connection: ConnectionHandle) -> bool {
        let (lo, hi) = halves(now);
        self.call::<_, i32>("quillon_connection_update_key", (self.endpoint, connection.raw(), lo, hi)) >= 0
    }

    fn migrate(&mut self, now: Time, connection: ConnectionHandle, local: SocketAddr) {
        let (local, (lo, hi)) = (self.put(&encode_address(local)), halves(now));
        self.check("quillon_connection_migrate", (self.endpoint, connection.raw(), local, 0u32, lo, hi));
    }

    fn send_datagram(&mut self, connection: ConnectionHandle, data: &[u8]) -> bool {
        let address = self.put(data);
        let arguments = (self.endpoint, connection.raw(), address, data.len() as u32);
        self.call::<_, i64>("quillon_datagram_send", arguments) >= 0
    }

    fn recv_datagram(&mut self, connection: ConnectionHandle) -> Option<Vec<u8>> {
        let len: i32 = self.call("quillon_datagram_peek", (self.endpoint, connection.raw()));
        u32::try_from(len).ok()?;
        let data = self.status_data(abi::status::DATA).to_vec();
        self.check("quillon_datagram_consume", (self.endpoint, connection.raw()));
        Some(data)
    }

    fn is_early_data(&mut self, connection: ConnectionHandle, id: StreamId) -> bool {
        self.call::<_, i32>("quillon_stream_is_early_data", (self.endpoint, connection.raw(), id.0)) == 1
    }

    fn set_token(&mut self, token: &[u8]) {
        self.set_bytes(self.config, abi::CONFIG_TOKEN, token);
    }

    fn sessions(&self) -> u32 {
        self.sessions
    }
}

/// An address as the ABI takes it.
#[must_use]
pub fn encode_address(address: SocketAddr) -> [u8; 20] {
    let mut out = [0; 20];
    out[2..4].copy_from_slice(&address.port().to_le_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            out[0] = 4;
            out[4..8].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out[0] = 6;
            out[4..].copy_from_slice(&ip.octets());
        }
    }
    out
}

fn encode_path(path: FourTuple) -> [u8; 40] {
    let mut bytes = [0; 40];
    for (out, address) in bytes.chunks_mut(20).zip([path.local, path.remote]) {
        out.copy_from_slice(&encode_address(address));
    }
    bytes
}

fn decode_path(bytes: &[u8]) -> FourTuple {
    let address = |bytes: &[u8]| {
        let octets: [u8; 16] = bytes[4..20].try_into().expect("16 bytes");
        let ip = match bytes[0] {
            4 => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
            _ => IpAddr::V6(octets.into()),
        };
        SocketAddr::new(ip, u16::from_le_bytes([bytes[2], bytes[3]]))
    };
    FourTuple { local: address(&bytes[..20]), remote: address(&bytes[20..]) }
}
