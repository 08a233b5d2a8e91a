//! The engine as the embedded module, in wasmtime.
//!
//! One instance per endpoint. Datagrams are received straight into the module's memory and sent straight from it.
//! Addresses and lengths that come out of the module are checked against its memory: a module that breaks its
//! contract counts as trapped. After a trap no call goes in any more.

mod config;
mod events;
mod exports;
mod layout;
mod module;
mod transport;

use std::net::SocketAddr;
use std::time::Duration;

use quillon::{Dir, EndpointConfig, FourTuple, Stats, StreamId, Time};
use wasmtime::{Instance, Store, StoreLimits, StoreLimitsBuilder, TypedFunc, WasmParams, WasmResults};

use self::exports::Exports;
use self::layout::{ARENA_DATA, DESCRIPTOR_LEN, STATUS_LEN, status};
use super::configs::Configs;
use super::{Backend, BackendError, Batch, Handle, Peek, RECEIVE_LEN, Received, SessionHandle, TRANSMIT_LEN, Told};
use crate::config::{ClientConfig, ServerConfig};
use crate::engine::EngineError;
use crate::error::ConnectError;

/// Through which caller's bytes go into the module.
const STAGING_LEN: usize = 64 * 1024;

/// What the module's memory may grow to, whatever it declares.
const MAX_MEMORY: usize = 1 << 30;

const RECEIVE_ARENA_LEN: usize = ARENA_DATA + RECEIVE_LEN;
const TRANSMIT_ARENA_LEN: usize = ARENA_DATA + TRANSMIT_LEN;

/// Keys of `quillon_connection_info`, of the ABI.
mod info {
    pub(super) const ALPN: u32 = 1;
    pub(super) const PATH: u32 = 4;
    pub(super) const STATE: u32 = 5;
    pub(super) const VERSION: u32 = 7;
    pub(super) const EARLY_DATA: u32 = 11;
    pub(super) const PATHS: u32 = 12;

    pub(super) const STATE_RESUMED: u32 = 8;
}

/// Compiles the module, once per process.
pub(super) fn prepare() -> Result<(), EngineError> {
    module::compiled().map(drop)
}

pub(super) struct Wasm {
    store: Store<StoreLimits>,
    exports: Exports,
    endpoint: u32,
    /// Addresses in the module's memory.
    status: usize,
    staging: usize,
    receive_arena: usize,
    transmit_arena: usize,
    batches: usize,
    datagrams: u64,
    trapped: bool,
    configs: Configs<u32>,
}

impl Wasm {
    pub(super) fn new(config: &EndpointConfig, seed: [u8; 32]) -> Result<Self, EngineError> {
        let module = module::compiled()?;
        let limits = StoreLimitsBuilder::new().memory_size(MAX_MEMORY).instances(1).memories(1).build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, module, &[]).map_err(|error| failed(&format!("{error:#}")))?;
        let exports = Exports::resolve(&mut store, &instance)?;
        let mut wasm = Self {
            store,
            exports,
            endpoint: 0,
            status: 0,
            staging: 0,
            receive_arena: 0,
            transmit_arena: 0,
            batches: 0,
            datagrams: 0,
            trapped: false,
            configs: Configs::default(),
        };
        wasm.start(config, &seed).map_err(|error| failed(&error.to_string()))?;
        Ok(wasm)
    }

    fn start(&mut self, config: &EndpointConfig, seed: &[u8]) -> Result<(), BackendError> {
        self.staging = self.call(|e| &e.alloc, STAGING_LEN as u32)? as usize;
        self.status = self.call(|e| &e.status, ())? as usize;
        let (address, len) = self.stage(seed)?;
        let code = self.call(|e| &e.seed, (address, len))?;
        self.check(code)?;
        self.endpoint = self.new_endpoint(config)?;
        self.receive_arena = self.call(|e| &e.receive_arena, self.endpoint)? as usize;
        self.transmit_arena = self.call(|e| &e.transmit_arena, self.endpoint)? as usize;
        let memory = self.memory();
        let fits = |start: usize, len: usize| start != 0 && memory.len() >= start + len;
        if fits(self.receive_arena, RECEIVE_ARENA_LEN)
            && fits(self.transmit_arena, TRANSMIT_ARENA_LEN)
            && fits(self.staging, STAGING_LEN)
            && fits(self.status, STATUS_LEN)
        {
            return Ok(());
        }
        Err(BackendError::Trapped("an arena lies outside of the memory".to_owned()))
    }

    /// Calls an export. A trap is final.
    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        export: impl FnOnce(&Exports) -> &TypedFunc<P, R>,
        arguments: P,
    ) -> Result<R, BackendError> {
        if self.trapped {
            return Err(BackendError::Trapped("the instance has trapped".to_owned()));
        }
        export(&self.exports).call(&mut self.store, arguments).map_err(|trap| {
            self.trapped = true;
            BackendError::Trapped(format!("{:#}", trap.root_cause()))
        })
    }

    fn memory(&self) -> &[u8] {
        self.exports.memory.data(&self.store)
    }

    fn status_u32(&self, offset: usize) -> u32 {
        layout::u32_at(self.memory(), self.status + offset).unwrap_or_default()
    }

    fn status_u64(&self, offset: usize) -> u64 {
        layout::u64_at(self.memory(), self.status + offset).unwrap_or_default()
    }

    /// Bytes that the module points at.
    fn bytes(&self, address: u64, len: u32) -> Result<&[u8], BackendError> {
        let start = usize::try_from(address).unwrap_or(usize::MAX);
        let end = start.checked_add(len as usize);
        end.and_then(|end| self.memory().get(start..end))
            .ok_or_else(|| BackendError::Trapped("it points outside of its memory".to_owned()))
    }

    /// Lays bytes into the staging buffer.
    fn stage(&mut self, bytes: &[u8]) -> Result<(u32, u32), BackendError> {
        let start = self.staging;
        let memory = self.exports.memory.data_mut(&mut self.store);
        match memory.get_mut(start..start + bytes.len()) {
            Some(place) if bytes.len() <= STAGING_LEN => place.copy_from_slice(bytes),
            _ => return Err(refused(format!("a value of {} bytes is too long", bytes.len()))),
        }
        Ok((start as u32, bytes.len() as u32))
    }

    /// A call's outcome: a number, or an error code of the ABI.
    fn check(&mut self, code: i32) -> Result<u32, BackendError> {
        u32::try_from(code).map_err(|_| self.error(code))
    }

    fn error(&mut self, code: i32) -> BackendError {
        match code {
            -3 | -9 => BackendError::Closed,
            -4 => BackendError::Blocked,
            -5 => BackendError::UnknownStream,
            -6 => BackendError::Finished,
            -7 => BackendError::Reset(self.status_u64(status::CODE)),
            -8 => BackendError::Stopped(self.status_u64(status::CODE)),
            -2 | -10 => refused(self.last_error(code)),
            -14 => BackendError::Unavailable(self.last_error(code)),
            -15 => BackendError::Unsupported,
            -16 => BackendError::TooLarge(usize::try_from(self.status_u64(status::CODE)).unwrap_or_default()),
            -11 | -12 => BackendError::Refused(ConnectError::Exhausted(self.last_error(code))),
            _ => BackendError::Trapped(self.last_error(code)),
        }
    }

    /// The text of the last failing call, or else the code's name.
    fn last_error(&mut self, code: i32) -> String {
        let (staging, capacity) = (self.staging as u32, STAGING_LEN as u32);
        let told = self.call(|e| &e.last_error, (staging, capacity)).and_then(|len| self.text(len));
        let named = |wasm: &mut Self| {
            let len = wasm.call(|e| &e.error_name, (code, staging, capacity))?;
            wasm.text(len)
        };
        match told {
            Ok(text) if !text.is_empty() => text,
            _ => named(self).unwrap_or_else(|_| format!("error {code}")),
        }
    }

    /// Text that a call has copied into the staging buffer.
    fn text(&self, len: i32) -> Result<String, BackendError> {
        let len = u32::try_from(len).unwrap_or_default().min(STAGING_LEN as u32);
        Ok(String::from_utf8_lossy(self.bytes(self.staging as u64, len)?).into_owned())
    }

    /// What is known under a key, in at most a staging buffer's length.
    fn info(&mut self, connection: Handle, key: u32) -> Result<&[u8], BackendError> {
        let (staging, capacity) = (self.staging as u32, STAGING_LEN as u32);
        let code = self.call(|e| &e.info, (self.endpoint, connection, key, staging, capacity))?;
        let len = self.check(code)?.min(capacity);
        self.bytes(u64::from(staging), len)
    }

    /// Calls a per-stream export that gives nothing but a code.
    fn check_call<P: WasmParams>(
        &mut self,
        export: impl FnOnce(&Exports) -> &TypedFunc<P, i32>,
        arguments: P,
    ) -> Result<u32, BackendError> {
        let code = self.call(export, arguments)?;
        self.check(code)
    }
}

impl Backend for Wasm {
    fn receive_buffer(&mut self) -> &mut [u8] {
        let start = self.receive_arena + ARENA_DATA;
        let memory = self.exports.memory.data_mut(&mut self.store);
        memory.get_mut(start..start + RECEIVE_LEN).unwrap_or_default()
    }

    fn receive(&mut self, now: Time, batch: &[Received]) -> Result<(), BackendError> {
        let start = self.receive_arena;
        let memory = self.exports.memory.data_mut(&mut self.store);
        let descriptors = memory.get_mut(start..start + ARENA_DATA).unwrap_or_default();
        for (slot, received) in descriptors.chunks_exact_mut(DESCRIPTOR_LEN).zip(batch) {
            slot.copy_from_slice(&layout::encode_received(received));
        }
        let count = batch.len().min(ARENA_DATA / DESCRIPTOR_LEN) as u32;
        let (lo, hi) = halves(now);
        let datagrams = self.check_call(|e| &e.receive, (self.endpoint, count, lo, hi))?;
        self.datagrams += u64::from(datagrams);
        Ok(())
    }

    fn transmit(&mut self, now: Time, max_segments: usize) -> Result<usize, BackendError> {
        let (lo, hi) = halves(now);
        let count = self.check_call(|e| &e.transmit, (self.endpoint, max_segments as u32, lo, hi))?;
        self.batches = count as usize;
        for index in 0..self.batches {
            let batch = self.batch(index).ok_or_else(|| broken("it gave a batch outside of its arena"))?;
            self.datagrams += batch.len.div_ceil(batch.segment_size.max(1)) as u64;
        }
        Ok(self.batches)
    }

    fn batch(&self, index: usize) -> Option<Batch> {
        if index >= self.batches {
            return None;
        }
        let descriptor = self.memory().get(self.transmit_arena + index * DESCRIPTOR_LEN..)?;
        layout::decode_batch(descriptor.get(..DESCRIPTOR_LEN)?)
            .filter(|batch| batch.offset.checked_add(batch.len).is_some_and(|end| end <= TRANSMIT_ARENA_LEN))
    }

    fn contents(&self, batch: &Batch) -> &[u8] {
        let start = self.transmit_arena + batch.offset;
        self.memory().get(start..start + batch.len).unwrap_or_default()
    }

    fn timeout(&mut self) -> Result<Option<Time>, BackendError> {
        let set = self.check_call(|e| &e.timeout, self.endpoint)?;
        Ok((set != 0).then(|| self.status_u64(status::DEADLINE)))
    }

    fn handle_timeout(&mut self, now: Time) -> Result<(), BackendError> {
        let (lo, hi) = halves(now);
        self.check_call(|e| &e.handle_timeout, (self.endpoint, lo, hi)).map(drop)
    }

    fn poll_event(&mut self) -> Result<Option<(Handle, Told)>, BackendError> {
        loop {
            let kind = self.check_call(|e| &e.poll_event, self.endpoint)?;
            if kind == 0 {
                return Ok(None);
            }
            let connection = self.status_u32(status::EVENT_CONNECTION);
            if kind == events::NEW_SESSION {
                let session = self.check_call(|e| &e.session_take, ())?;
                return Ok(Some((connection, Told::Session(session))));
            }
            let data = self.bytes(self.status_u64(status::EVENT_DATA), self.status_u32(status::EVENT_DATA_LEN))?;
            let event = events::decode(
                kind,
                self.status_u64(status::EVENT_STREAM),
                self.status_u64(status::EVENT_CODE),
                self.status_u32(status::EVENT_DETAIL),
                data,
            );
            if let Some(event) = event {
                return Ok(Some((connection, Told::Event(event))));
            }
        }
    }

    fn set_unix_time(&mut self, time: Duration) -> Result<(), BackendError> {
        self.check_call(|e| &e.set_unix_time, time.as_secs()).map(drop)
    }

    fn listen(&mut self, config: &ServerConfig, key_log: bool) -> Result<(), BackendError> {
        self.with_server_config(config, key_log, |wasm, settings| {
            wasm.check_call(|e| &e.listen, (wasm.endpoint, settings)).map(drop)
        })
    }

    fn connect(
        &mut self,
        now: Time,
        config: &ClientConfig,
        session: Option<SessionHandle>,
        key_log: bool,
        server_name: &str,
        path: FourTuple,
    ) -> Result<Handle, BackendError> {
        let settings = self.client_config(config, session, key_log)?;
        let (lo, hi) = halves(now);
        let staged = [&layout::encode_path(&path), server_name.as_bytes()].concat();
        let (address, len) = self.stage(&staged)?;
        let path_len = layout::PATH_LEN as u32;
        let arguments = (self.endpoint, settings, address + path_len, len - path_len, address, lo, hi);
        self.check_call(|e| &e.connect, arguments)
    }

    fn open(&mut self, connection: Handle, dir: Dir) -> Result<StreamId, BackendError> {
        let dir = u32::from(dir == Dir::Uni);
        let id = self.call(|e| &e.stream_open, (self.endpoint, connection, dir))?;
        u64::try_from(id).map(StreamId).map_err(|_| self.error(i32::try_from(id).unwrap_or(i32::MIN)))
    }

    fn write(&mut self, connection: Handle, stream: StreamId, data: &[u8]) -> Result<usize, BackendError> {
        let mut written = 0;
        for part in data.chunks(STAGING_LEN) {
            let (address, len) = self.stage(part)?;
            let taken = match self.check_call(|e| &e.stream_write, (self.endpoint, connection, stream.0, address, len))
            {
                Ok(taken) => taken as usize,
                Err(error @ BackendError::Trapped(_)) => return Err(error),
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            };
            written += taken;
            if taken < part.len() {
                break;
            }
        }
        Ok(written)
    }

    fn finish(&mut self, connection: Handle, stream: StreamId) -> Result<(), BackendError> {
        self.check_call(|e| &e.stream_finish, (self.endpoint, connection, stream.0)).map(drop)
    }

    fn reset(&mut self, connection: Handle, stream: StreamId, code: u64) -> Result<(), BackendError> {
        self.check_call(|e| &e.stream_reset, (self.endpoint, connection, stream.0, code)).map(drop)
    }

    fn stop_sending(&mut self, connection: Handle, stream: StreamId, code: u64) -> Result<(), BackendError> {
        self.check_call(|e| &e.stream_stop_sending, (self.endpoint, connection, stream.0, code)).map(drop)
    }

    fn peek(&mut self, connection: Handle, stream: StreamId) -> Result<Peek<'_>, BackendError> {
        let len = self.check_call(|e| &e.stream_peek, (self.endpoint, connection, stream.0))?;
        let finished = self.status_u32(status::FLAGS) & 1 != 0;
        Ok(Peek { data: self.bytes(self.status_u64(status::DATA), len)?, finished })
    }

    fn consume(&mut self, connection: Handle, stream: StreamId, len: usize) -> Result<(), BackendError> {
        self.check_call(|e| &e.stream_consume, (self.endpoint, connection, stream.0, len as u32)).map(drop)
    }

    fn close(&mut self, now: Time, connection: Handle, code: u64, reason: &[u8]) -> Result<(), BackendError> {
        let (address, len) = self.stage(reason)?;
        let (lo, hi) = halves(now);
        self.check_call(|e| &e.close, (self.endpoint, connection, code, address, len, lo, hi)).map(drop)
    }

    fn stats(&mut self, connection: Handle) -> Result<Stats, BackendError> {
        let (staging, capacity) = (self.staging as u32, STAGING_LEN as u32);
        let len = self.check_call(|e| &e.stats, (self.endpoint, connection, staging, capacity))?.min(capacity);
        Ok(layout::decode_stats(self.bytes(u64::from(staging), len)?))
    }

    fn alpn(&mut self, connection: Handle) -> Result<Option<Vec<u8>>, BackendError> {
        let alpn = self.info(connection, info::ALPN)?;
        Ok((!alpn.is_empty()).then(|| alpn.to_vec()))
    }

    fn remote(&mut self, connection: Handle) -> Result<SocketAddr, BackendError> {
        let path = layout::decode_path(self.info(connection, info::PATH)?);
        path.map(|path| path.remote).ok_or_else(|| broken("it gave a path that is none"))
    }

    fn module_datagrams(&self) -> Option<u64> {
        Some(self.datagrams)
    }
}

/// Time as it crosses the boundary.
const fn halves(time: Time) -> (u32, u32) {
    (time as u32, (time >> 32) as u32)
}

fn failed(reason: &str) -> EngineError {
    EngineError::Module(reason.to_owned())
}

fn refused(reason: String) -> BackendError {
    BackendError::Refused(ConnectError::Configuration(reason))
}

fn broken(reason: &str) -> BackendError {
    BackendError::Trapped(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_is_final() {
        let wasm = Wasm::new(&EndpointConfig::default(), [7; 32]);
        let mut wasm = wasm.expect("run `cargo xtask wasm` and build again");
        assert_eq!(wasm.poll_event(), Ok(None));
        // Every pointer and length inside of the module is senseless now.
        wasm.exports.memory.data_mut(&mut wasm.store).fill(0xff);
        let path = FourTuple { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() };
        let config = ClientConfig { verify_peer: false, ..ClientConfig::new(["test"]) };
        let first = wasm.connect(1, &config, None, false, "localhost", path);
        assert!(first.is_err());
        wasm.trapped = true;
        let again = BackendError::Trapped("the instance has trapped".to_owned());
        assert_eq!(wasm.transmit(2, 1), Err(again.clone()));
        assert_eq!(wasm.poll_event(), Err(again));
    }
}
