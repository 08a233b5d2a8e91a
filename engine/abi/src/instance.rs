//! The instance: what lives between calls, its seed, its clock on the wall, its status block and its last error.
//!
//! A WebAssembly instance has one; natively each thread has its own. A call takes the instance for its duration; a
//! call from inside a call is refused with `QUILLON_ERR_BUSY`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use quillon::SavedSession;
use quillon::rng::Rng;

use crate::config::Config;
use crate::constants::{ERRORS, QUILLON_ABI_VERSION, QUILLON_ERR_BUSY, QUILLON_STATUS_LEN};
use crate::endpoint::Hosted;
use crate::failure::Failure;
use crate::handles::Handles;
use crate::incoming::Waiting;
use crate::layout::{put, status};
use crate::memory::{self, Arena};

thread_local! {
    static INSTANCE: RefCell<Instance> = RefCell::new(Instance::default());
}

/// Everything that a call works on.
#[derive(Debug, Default)]
pub(crate) struct Instance {
    /// The generator that endpoints draw their seeds from.
    rng: Option<Rng>,
    pub(crate) unix_time: Duration,
    pub(crate) status: Status,
    pub(crate) configs: Handles<Config>,
    pub(crate) endpoints: Handles<Hosted>,
    pub(crate) incoming: Handles<Waiting>,
    pub(crate) sessions: Handles<SavedSession>,
    /// The session that the last event told of, for `quillon_session_take`.
    pub(crate) event_session: Option<SavedSession>,
    /// What `quillon_connection_poll_log` shows.
    pub(crate) log_data: String,
    /// What `quillon_tls_take` shows.
    pub(crate) crypto_data: Vec<u8>,
    /// What the last event's data address points to.
    pub(crate) event_data: Cow<'static, [u8]>,
    last_error: Cow<'static, str>,
}

impl Instance {
    /// A seed for one endpoint; different at each call.
    pub(crate) fn endpoint_seed(&mut self) -> Result<[u8; 32], Failure> {
        self.rng.as_mut().map(Rng::bytes).ok_or_else(Failure::unseeded)
    }

    /// Remembers why a call failed, and gives its code.
    fn fail(&mut self, failure: Failure) -> i32 {
        if let Some(number) = failure.number {
            self.status.set_u64(status::CODE, number);
        }
        self.last_error = failure.text;
        failure.code
    }
}

/// Runs a call on this thread's instance, which must be seeded.
pub(crate) fn call<T: From<i32>>(body: impl FnOnce(&mut Instance) -> Result<T, Failure>) -> T {
    call_unseeded(|instance| if instance.rng.is_some() { body(instance) } else { Err(Failure::unseeded()) })
}

fn call_unseeded<T: From<i32>>(body: impl FnOnce(&mut Instance) -> Result<T, Failure>) -> T {
    let outcome = INSTANCE.try_with(|cell| {
        let mut instance = cell.try_borrow_mut().ok()?;
        Some(body(&mut instance).unwrap_or_else(|failure| T::from(instance.fail(failure))))
    });
    // No instance: inside another call, or the thread is ending.
    outcome.ok().flatten().unwrap_or_else(|| T::from(QUILLON_ERR_BUSY))
}

/// The status block: results that do not fit a return value.
#[derive(Debug)]
pub(crate) struct Status(Option<Arena>);

impl Default for Status {
    fn default() -> Self {
        Self(Arena::new(QUILLON_STATUS_LEN as usize).ok())
    }
}

impl Status {
    pub(crate) fn set_u32(&mut self, offset: usize, value: u32) {
        self.set(offset, &value.to_le_bytes());
    }

    pub(crate) fn set_u64(&mut self, offset: usize, value: u64) {
        self.set(offset, &value.to_le_bytes());
    }

    /// Says where data is and how long: 8 bytes of address, 4 of length.
    pub(crate) fn set_data(&mut self, offset: usize, data: &[u8]) {
        self.set_u64(offset, data.as_ptr() as usize as u64);
        self.set_u32(offset + 8, u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<u64>) {
        self.set_u64(status::DEADLINE, deadline.unwrap_or(u64::MAX));
    }

    fn set(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(block) = &mut self.0 {
            put(block.bytes(), offset, bytes);
        }
    }
}

/// The ABI's version: major in the upper 16 bits, minor in the lower. A host refuses another major.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_abi_version() -> u32 {
    QUILLON_ABI_VERSION
}

/// Seeds the instance, before anything else. Again: seeds it anew, for the endpoints made from then on.
///
/// Bytes past the 32nd are mixed in.
///
/// # Safety
///
/// `seed` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_seed(seed: *const u8, len: u32) -> i32 {
    call_unseeded(|instance| {
        // SAFETY: by this function's contract.
        let mut chunks = unsafe { memory::input(seed, len) }?.chunks(32);
        let first = chunks.next().and_then(|chunk| <[u8; 32]>::try_from(chunk).ok());
        let first = first.ok_or_else(|| Failure::invalid("a seed has at least 32 bytes"))?;
        instance.rng = Some(Rng::from_seed(chunks.fold(first, |key, chunk| {
            let mut key: [u8; 32] = Rng::from_seed(key).bytes();
            key.iter_mut().zip(chunk).for_each(|(byte, more)| *byte ^= more);
            key
        })));
        Ok(0)
    })
}

/// Tells the time of day, in seconds since the Unix epoch: certificates are judged by it. For every endpoint of the
/// instance.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_set_unix_time(seconds: u64) -> i32 {
    call(|instance| {
        instance.unix_time = Duration::from_secs(seconds);
        for hosted in instance.endpoints.iter_mut() {
            hosted.endpoint.set_unix_time(instance.unix_time);
        }
        Ok(0)
    })
}

/// The address of the status block: constant for the instance's life.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_status() -> *const u8 {
    let address = INSTANCE.try_with(|cell| {
        let instance = cell.try_borrow().ok()?;
        instance.status.0.as_ref().map(|block| block.address().cast_const())
    });
    address.ok().flatten().unwrap_or(std::ptr::null())
}

/// The name of an error code, without an end mark: as many bytes as `capacity` holds. Returns its length, 0 for a
/// number that is no error code.
///
/// # Safety
///
/// `out` is valid for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_error_name(code: i32, out: *mut u8, capacity: u32) -> i32 {
    let name = ERRORS.iter().find(|(_, value)| *value == i64::from(code)).map_or("", |(name, _)| name);
    // SAFETY: by this function's contract.
    unsafe { memory::output(name.as_bytes(), out, capacity) }.unwrap_or_else(|failure| failure.code)
}

/// One line of text on the last call that failed, without an end mark: as many bytes as `capacity` holds. Returns its
/// length, 0 where the code says it all.
///
/// # Safety
///
/// `out` is valid for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_last_error(out: *mut u8, capacity: u32) -> i32 {
    let length = INSTANCE.try_with(|cell| {
        let instance = cell.try_borrow().ok()?;
        // SAFETY: by this function's contract.
        Some(unsafe { memory::output(instance.last_error.as_bytes(), out, capacity) })
    });
    match length.ok().flatten() {
        Some(Ok(length)) => length,
        Some(Err(failure)) => failure.code,
        None => QUILLON_ERR_BUSY,
    }
}
