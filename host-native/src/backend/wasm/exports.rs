//! The module's exports, resolved once per instance. See `quillon.h` for what they promise.

use wasmtime::{Instance, Memory, Store, StoreLimits, TypedFunc, WasmParams, WasmResults};

use crate::engine::EngineError;

/// The ABI's major version that this host speaks.
const ABI_MAJOR: u32 = 1;

/// An address in linear memory, or a handle, or a code: wasm's i32 as it is.
type Word = u32;

/// Endpoint, configuration, name and its length, path, time.
type Connect = (Word, Word, Word, Word, Word, Word, Word);

/// Endpoint, connection, address, how, time.
type Migrate = (Word, Word, Word, Word, Word, Word);

/// Endpoint, connection, label and its length, context and its length, where to and how much.
type Export = (Word, Word, Word, Word, Word, Word, Word, Word);

/// Endpoint, connection, code, reason and its length, time.
type Close = (Word, Word, u64, Word, Word, Word, Word);

/// The exports that this host calls.
pub(super) struct Exports {
    pub(super) memory: Memory,
    pub(super) alloc: TypedFunc<Word, Word>,
    pub(super) seed: TypedFunc<(Word, Word), i32>,
    pub(super) set_unix_time: TypedFunc<u64, i32>,
    pub(super) status: TypedFunc<(), Word>,
    pub(super) last_error: TypedFunc<(Word, Word), i32>,
    pub(super) error_name: TypedFunc<(i32, Word, Word), i32>,
    pub(super) config_new: TypedFunc<Word, i32>,
    pub(super) config_free: TypedFunc<Word, i32>,
    pub(super) config_set_number: TypedFunc<(Word, Word, u64), i32>,
    pub(super) config_set_bytes: TypedFunc<(Word, Word, Word, Word), i32>,
    pub(super) config_set_session: TypedFunc<(Word, Word), i32>,
    pub(super) session_take: TypedFunc<(), i32>,
    pub(super) session_free: TypedFunc<Word, i32>,
    pub(super) endpoint_new: TypedFunc<Word, i32>,
    pub(super) listen: TypedFunc<(Word, Word), i32>,
    pub(super) connect: TypedFunc<Connect, i32>,
    pub(super) receive_arena: TypedFunc<Word, Word>,
    pub(super) receive: TypedFunc<(Word, Word, Word, Word), i32>,
    pub(super) transmit_arena: TypedFunc<Word, Word>,
    pub(super) transmit: TypedFunc<(Word, Word, Word, Word), i32>,
    pub(super) timeout: TypedFunc<Word, i32>,
    pub(super) handle_timeout: TypedFunc<(Word, Word, Word), i32>,
    pub(super) poll_event: TypedFunc<Word, i32>,
    pub(super) stream_open: TypedFunc<(Word, Word, Word), i64>,
    pub(super) stream_write: TypedFunc<(Word, Word, u64, Word, Word), i32>,
    pub(super) stream_finish: TypedFunc<(Word, Word, u64), i32>,
    pub(super) stream_reset: TypedFunc<(Word, Word, u64, u64), i32>,
    pub(super) stream_stop_sending: TypedFunc<(Word, Word, u64, u64), i32>,
    pub(super) stream_peek: TypedFunc<(Word, Word, u64), i32>,
    pub(super) stream_consume: TypedFunc<(Word, Word, u64, Word), i32>,
    pub(super) set_priority: TypedFunc<(Word, Word, u64, Word, Word, i64), i32>,
    pub(super) datagram_send: TypedFunc<(Word, Word, Word, Word), i64>,
    pub(super) datagram_max_size: TypedFunc<(Word, Word), i32>,
    pub(super) datagram_peek: TypedFunc<(Word, Word), i32>,
    pub(super) datagram_consume: TypedFunc<(Word, Word), i32>,
    pub(super) update_key: TypedFunc<(Word, Word, Word, Word), i32>,
    pub(super) migrate: TypedFunc<Migrate, i32>,
    pub(super) export: TypedFunc<Export, i32>,
    pub(super) poll_log: TypedFunc<(Word, Word, Word), i32>,
    pub(super) close: TypedFunc<Close, i32>,
    pub(super) stats: TypedFunc<(Word, Word, Word, Word), i32>,
    pub(super) info: TypedFunc<(Word, Word, Word, Word, Word), i32>,
}

impl Exports {
    /// Resolves the exports.
    ///
    /// # Errors
    ///
    /// An export is missing or has another type, or the ABI has another major version.
    pub(super) fn resolve(store: &mut Store<StoreLimits>, instance: &Instance) -> Result<Self, EngineError> {
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or_else(|| EngineError::Module("it exports no memory".to_owned()))?;
        let mut resolver = Resolver { store, instance };
        let version = resolver.function::<(), u32>("quillon_abi_version")?;
        let version =
            version.call(&mut *resolver.store, ()).map_err(|trap| EngineError::Module(format!("{trap:#}")))?;
        if version >> 16 != ABI_MAJOR {
            return Err(EngineError::Module(format!("its ABI has major version {}, not {ABI_MAJOR}", version >> 16)));
        }
        Ok(Self {
            memory,
            alloc: resolver.function("quillon_alloc")?,
            seed: resolver.function("quillon_seed")?,
            set_unix_time: resolver.function("quillon_set_unix_time")?,
            status: resolver.function("quillon_status")?,
            last_error: resolver.function("quillon_last_error")?,
            error_name: resolver.function("quillon_error_name")?,
            config_new: resolver.function("quillon_config_new")?,
            config_free: resolver.function("quillon_config_free")?,
            config_set_number: resolver.function("quillon_config_set_number")?,
            config_set_bytes: resolver.function("quillon_config_set_bytes")?,
            config_set_session: resolver.function("quillon_config_set_session")?,
            session_take: resolver.function("quillon_session_take")?,
            session_free: resolver.function("quillon_session_free")?,
            endpoint_new: resolver.function("quillon_endpoint_new")?,
            listen: resolver.function("quillon_endpoint_listen")?,
            connect: resolver.function("quillon_endpoint_connect")?,
            receive_arena: resolver.function("quillon_endpoint_receive_arena")?,
            receive: resolver.function("quillon_endpoint_receive")?,
            transmit_arena: resolver.function("quillon_endpoint_transmit_arena")?,
            transmit: resolver.function("quillon_endpoint_transmit")?,
            timeout: resolver.function("quillon_endpoint_timeout")?,
            handle_timeout: resolver.function("quillon_endpoint_handle_timeout")?,
            poll_event: resolver.function("quillon_endpoint_poll_event")?,
            stream_open: resolver.function("quillon_stream_open")?,
            stream_write: resolver.function("quillon_stream_write")?,
            stream_finish: resolver.function("quillon_stream_finish")?,
            stream_reset: resolver.function("quillon_stream_reset")?,
            stream_stop_sending: resolver.function("quillon_stream_stop_sending")?,
            stream_peek: resolver.function("quillon_stream_peek")?,
            stream_consume: resolver.function("quillon_stream_consume")?,
            set_priority: resolver.function("quillon_stream_set_priority")?,
            datagram_send: resolver.function("quillon_datagram_send")?,
            datagram_max_size: resolver.function("quillon_datagram_max_size")?,
            datagram_peek: resolver.function("quillon_datagram_peek")?,
            datagram_consume: resolver.function("quillon_datagram_consume")?,
            update_key: resolver.function("quillon_connection_update_key")?,
            migrate: resolver.function("quillon_connection_migrate")?,
            export: resolver.function("quillon_connection_export")?,
            poll_log: resolver.function("quillon_connection_poll_log")?,
            close: resolver.function("quillon_connection_close")?,
            stats: resolver.function("quillon_connection_stats")?,
            info: resolver.function("quillon_connection_info")?,
        })
    }
}

struct Resolver<'a> {
    store: &'a mut Store<StoreLimits>,
    instance: &'a Instance,
}

impl Resolver<'_> {
    fn function<P: WasmParams, R: WasmResults>(&mut self, name: &str) -> Result<TypedFunc<P, R>, EngineError> {
        self.instance
            .get_typed_func(&mut *self.store, name)
            .map_err(|error| EngineError::Module(format!("its export {name} is not usable: {error:#}")))
    }
}
