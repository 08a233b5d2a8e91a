//! Endpoints: datagrams in and out through two arenas, deadlines, events.
//!
//! An arena starts with [`QUILLON_ARENA_DESCRIPTORS`] descriptors; the data follows. The host fills the receive arena
//! between calls and reads the transmit arena until the next call on the endpoint.

use std::collections::VecDeque;
use std::fmt;

use quillon::endpoint::LastLogs;
use quillon::{Ecn, Endpoint, Idle, Outgoing, Time, Transmit};

use crate::constants::*;
use crate::failure::Failure;
use crate::instance::{Instance, call};
use crate::layout::{Descriptor, PATH_LEN, read_path, status, take};
use crate::memory::{self, Arena};

/// A datagram that others follow in a batch is at least so long (RFC 9000 section 14): what bounds their number.
const SMALLEST_FULL_DATAGRAM: usize = 1200;

/// An endpoint with its arenas.
pub(crate) struct Hosted {
    pub(crate) endpoint: Endpoint,
    /// What is left of the logs of connections that are gone.
    pub(crate) last_logs: VecDeque<LastLogs>,
    receive: Arena,
    transmit: Arena,
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").finish_non_exhaustive()
    }
}

pub(crate) fn time(lo: u32, hi: u32) -> Time {
    u64::from(hi) << 32 | u64::from(lo)
}

/// Makes an endpoint, with the endpoint settings of `config` or, where that is 0, the defaults. Returns its handle.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_new(config: u32) -> i32 {
    call(|instance| {
        let defaults = &mut crate::config::Config::default();
        let config = if config == 0 { defaults } else { instance.configs.find(config)? };
        let (settings, receive, transmit) = (config.endpoint.clone(), config.receive_arena, config.transmit_arena);
        let (receive, transmit) = (Arena::new(receive)?, Arena::new(transmit)?);
        let mut endpoint = Endpoint::new(settings, instance.endpoint_seed()?);
        endpoint.set_unix_time(instance.unix_time);
        instance.endpoints.insert(Hosted { endpoint, last_logs: VecDeque::new(), receive, transmit })
    })
}

/// Gives an endpoint up, with its connections and arenas. Nothing is sent: close connections and transmit first.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_free(endpoint: u32) -> i32 {
    call(|instance| instance.endpoints.remove(endpoint).map(|_| 0))
}

/// Accepts connections with a server configuration; 0 refuses them again.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_listen(endpoint: u32, config: u32) -> i32 {
    call(|instance| {
        let hosted = instance.endpoints.find(endpoint)?;
        let server = if config == 0 { None } else { Some(instance.configs.find(config)?.server()?) };
        hosted.endpoint.set_server(server)?;
        Ok(0)
    })
}

/// Opens a connection to `name` (a DNS name or an IP address: the certificate must be for it). Returns its handle.
///
/// # Safety
///
/// `name` is valid for reading `name_len` bytes, `path` for [`QUILLON_PATH_LEN`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_endpoint_connect(
    endpoint: u32,
    config: u32,
    name: *const u8,
    name_len: u32,
    path: *const u8,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let (name, path) = unsafe { (memory::input(name, name_len)?, memory::input(path, QUILLON_PATH_LEN)?) };
        let name = str::from_utf8(name).map_err(|_| Failure::invalid("the server's name is not UTF-8"))?;
        let path = take::<PATH_LEN>(path, 0).ok_or_else(|| Failure::invalid("a path has 40 bytes"))?;
        let path = read_path(&path)?;
        let hosted = instance.endpoints.find(endpoint)?;
        let config = instance.configs.find(config)?.client()?;
        let connection = hosted.endpoint.connect(time(now_lo, now_hi), &config, name, path)?;
        instance.status.set_deadline(hosted.endpoint.timeout());
        i32::try_from(connection.raw()).map_err(|_| Failure::too_many("there can be no more connections"))
    })
}

/// The address of the receive arena: constant until the endpoint is given up. Null for a handle that names nothing.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_receive_arena(endpoint: u32) -> *mut u8 {
    arena_address(endpoint, |hosted| &hosted.receive)
}

/// The address of the transmit arena: constant until the endpoint is given up. Null for a handle that names nothing.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_transmit_arena(endpoint: u32) -> *mut u8 {
    arena_address(endpoint, |hosted| &hosted.transmit)
}

fn arena_address(endpoint: u32, which: impl FnOnce(&Hosted) -> &Arena) -> *mut u8 {
    let mut address = std::ptr::null_mut();
    call(|instance| {
        address = which(instance.endpoints.find(endpoint)?).address();
        Ok(0)
    });
    address
}

/// Takes in the datagrams of the first `count` descriptors of the receive arena. They are decrypted in place: the
/// arena's data is gone afterwards. Returns how many datagrams there were.
///
/// A descriptor that makes no sense ends the call with an error; those before it were taken in.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_receive(endpoint: u32, count: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        let hosted = instance.endpoints.find(endpoint)?;
        let result = hosted.receive(count, time(now_lo, now_hi));
        instance.status.set_deadline(hosted.endpoint.timeout());
        result
    })
}

/// Fills the transmit arena. `max_segments` bounds the datagrams in each batch: 1 where the host sends one at a time.
/// Returns how many descriptors were filled; 0 where nothing can be sent now. The status block says why it stopped.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_transmit(endpoint: u32, max_segments: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        if max_segments == 0 {
            return Err(Failure::invalid("a batch has at least one datagram"));
        }
        let hosted = instance.endpoints.find(endpoint)?;
        let (batches, idle) = hosted.transmit(max_segments as usize, time(now_lo, now_hi));
        instance.status.set_u32(status::IDLE, idle);
        instance.status.set_deadline(hosted.endpoint.timeout());
        Ok(batches as i32)
    })
}

/// Whether there is a deadline, 1 or 0; the status block says when.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_timeout(endpoint: u32) -> i32 {
    call(|instance| {
        let deadline = instance.endpoints.find(endpoint)?.endpoint.timeout();
        instance.status.set_deadline(deadline);
        Ok(i32::from(deadline.is_some()))
    })
}

/// Does what the deadline was for. Harmless when it comes early.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_handle_timeout(endpoint: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        let hosted = instance.endpoints.find(endpoint)?;
        hosted.endpoint.handle_timeout(time(now_lo, now_hi));
        instance.status.set_deadline(hosted.endpoint.timeout());
        Ok(0)
    })
}

/// Takes the next event. Returns its kind, 0 where there is none; the status block has its fields, and its data stays
/// until the next call of this function.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_poll_event(endpoint: u32) -> i32 {
    call(|instance: &mut Instance| {
        loop {
            let endpoint = &mut instance.endpoints.find(endpoint)?.endpoint;
            let Some((handle, event)) = endpoint.poll_event() else { return Ok(QUILLON_EVENT_NONE as i32) };
            // The last event of a stream frees it, and so its place for another: the peer is to be told.
            let _ = endpoint.connection_mut(handle);
            if let Some(kind) = crate::event::report(instance, handle, event) {
                return Ok(kind as i32);
            }
        }
    })
}

/// The bytes that the endpoint's connections hold: what the memory budget bounds.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_endpoint_memory_used(endpoint: u32) -> i64 {
    call(|instance| {
        let used = instance.endpoints.find(endpoint)?.endpoint.memory_used();
        Ok(i64::try_from(used).unwrap_or(i64::MAX))
    })
}

impl Hosted {
    fn receive(&mut self, count: u32, now: Time) -> Result<i32, Failure> {
        if count > QUILLON_ARENA_DESCRIPTORS {
            return Err(Failure::invalid("the receive arena has 64 descriptors"));
        }
        let arena = self.receive.bytes();
        let mut datagrams = 0;
        for index in 0..count {
            let descriptor = Descriptor::read(arena, index)?;
            let (offset, len) = (descriptor.offset as usize, descriptor.len as usize);
            let end = offset.checked_add(len).filter(|_| descriptor.offset >= QUILLON_ARENA_DATA);
            let data = end.and_then(|end| arena.get_mut(offset..end));
            let data = data.ok_or_else(|| Failure::invalid("a descriptor points outside of the arena's data"))?;
            let ecn = Ecn::from_bits(descriptor.ecn as u8);
            let stride = if descriptor.segment_size == 0 { len } else { descriptor.segment_size as usize };
            for datagram in data.chunks_mut(stride.max(1)) {
                self.endpoint.receive(now, descriptor.path, ecn, datagram);
                datagrams += 1;
            }
        }
        Ok(datagrams)
    }

    /// Fills descriptors until the engine has nothing to send or the arena is full; returns how many, and why it ended.
    fn transmit(&mut self, max_segments: usize, now: Time) -> (u32, u32) {
        let arena = self.transmit.bytes();
        let mut filled = 0;
        let mut start = QUILLON_ARENA_DATA as usize;
        while filled < QUILLON_ARENA_DESCRIPTORS {
            let segments = max_segments.saturating_mul((QUILLON_ARENA_DESCRIPTORS - filled) as usize);
            let end = segments.saturating_mul(SMALLEST_FULL_DATAGRAM).saturating_add(start).min(arena.len());
            let room = arena.get_mut(start..end).unwrap_or_default();
            let batch = match self.endpoint.transmit(now, room) {
                Transmit::Send(batch) => batch,
                Transmit::Idle(idle) => return (filled, idle_reason(idle)),
            };
            filled = describe(arena, filled, start, &batch, max_segments);
            start += batch.len;
        }
        (filled, QUILLON_IDLE_ARENA_FULL)
    }
}

/// Writes the descriptors of one batch from the `index`-th on, cut to `max_segments`; returns the next index.
fn describe(arena: &mut [u8], mut index: u32, start: usize, batch: &Outgoing, max_segments: usize) -> u32 {
    let most = batch.segment_size.saturating_mul(max_segments);
    let end = start + batch.len;
    let mut offset = start;
    while offset < end {
        // The last descriptor takes what is left, should the datagrams be shorter than reckoned with.
        let len = if index + 1 < QUILLON_ARENA_DESCRIPTORS { most.clamp(1, end - offset) } else { end - offset };
        let descriptor = Descriptor {
            offset: offset as u32,
            len: len as u32,
            segment_size: batch.segment_size as u32,
            ecn: batch.ecn as u32,
            path: batch.path,
        };
        descriptor.write(arena, index);
        index += 1;
        offset += len;
    }
    index
}

fn idle_reason(idle: Idle) -> u32 {
    match idle {
        Idle::Nothing => QUILLON_IDLE_NOTHING,
        Idle::CongestionWindow => QUILLON_IDLE_CONGESTION_WINDOW,
        Idle::Amplification => QUILLON_IDLE_AMPLIFICATION,
        Idle::FlowControl => QUILLON_IDLE_FLOW_CONTROL,
        Idle::Pacing => QUILLON_IDLE_PACING,
        Idle::BufferTooSmall => QUILLON_IDLE_ARENA_FULL,
    }
}
