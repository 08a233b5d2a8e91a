//! Streams: opening, writing, reading, ending them.

use quillon::stream::{AbortError, OpenError, ReadError, WriteError};
use quillon::{Dir, Priority, StreamId};

use crate::connection::{find, find_open};
use crate::constants::{QUILLON_DIR_BIDI, QUILLON_DIR_UNI, QUILLON_FLAG_FINISHED};
use crate::failure::Failure;
use crate::instance::{Instance, call};
use crate::layout::status::{DATA, FLAGS};
use crate::memory;

pub(crate) fn direction(dir: Dir) -> u32 {
    match dir {
        Dir::Bidi => QUILLON_DIR_BIDI,
        Dir::Uni => QUILLON_DIR_UNI,
    }
}

pub(crate) fn dir(dir: u32) -> Result<Dir, Failure> {
    match dir {
        QUILLON_DIR_BIDI => Ok(Dir::Bidi),
        QUILLON_DIR_UNI => Ok(Dir::Uni),
        _ => Err(Failure::invalid("a stream is bidirectional or unidirectional")),
    }
}

/// Opens a stream. Returns its id.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_open(endpoint: u32, connection: u32, dir: u32) -> i64 {
    call(|instance| {
        let dir = self::dir(dir)?;
        let id = find_open(&mut instance.endpoints, endpoint, connection)?.open(dir)?;
        // An id has 62 bits.
        Ok(id.0 as i64)
    })
}

/// Copies bytes into the stream's send buffer. Returns how many were taken: at least 1, unless `len` is 0.
///
/// # Safety
///
/// `data` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_stream_write(
    endpoint: u32,
    connection: u32,
    stream: u64,
    data: *const u8,
    len: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let data = unsafe { memory::input(data, len.min(i32::MAX as u32)) }?;
        Ok(find_open(&mut instance.endpoints, endpoint, connection)?.write(StreamId(stream), data)? as i32)
    })
}

/// Sets what is sent first: `urgency` 0 to 7, whether the stream takes turns with others, and its place among equals.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_set_priority(
    endpoint: u32,
    connection: u32,
    stream: u64,
    urgency: u32,
    incremental: u32,
    send_order: i64,
) -> i32 {
    call(|instance| {
        let urgency = u8::try_from(urgency).ok().filter(|urgency| *urgency <= Priority::MAX_URGENCY);
        let urgency = urgency.ok_or_else(|| Failure::invalid("an urgency is 0 to 7"))?;
        let priority = Priority { urgency, incremental: incremental != 0, send_order };
        find_open(&mut instance.endpoints, endpoint, connection)?.set_priority(StreamId(stream), priority)?;
        Ok(0)
    })
}

/// Ends the stream's sending part after what was written.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_finish(endpoint: u32, connection: u32, stream: u64) -> i32 {
    call(|instance| {
        find_open(&mut instance.endpoints, endpoint, connection)?.finish(StreamId(stream))?;
        Ok(0)
    })
}

/// Gives up the stream's sending part with an application code: what is not yet delivered never will be.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_reset(endpoint: u32, connection: u32, stream: u64, code: u64) -> i32 {
    call(|instance| {
        find_open(&mut instance.endpoints, endpoint, connection)?.reset(StreamId(stream), code)?;
        Ok(0)
    })
}

/// Asks the peer to stop sending, with an application code.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_stop_sending(endpoint: u32, connection: u32, stream: u64, code: u64) -> i32 {
    call(|instance| {
        find_open(&mut instance.endpoints, endpoint, connection)?.stop_sending(StreamId(stream), code)?;
        Ok(0)
    })
}

/// Shows the next contiguous bytes of a stream: address and length in the status block, good until the next call on
/// the endpoint. Returns the length; 0 with the finished flag at the stream's end.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_peek(endpoint: u32, connection: u32, stream: u64) -> i32 {
    call(|instance| {
        let Instance { endpoints, status, .. } = instance;
        let connection = find(endpoints, endpoint, connection)?;
        // What was received before the close can still be read; what is missing will not come.
        let closed = connection.is_closed();
        let peek = match connection.peek(StreamId(stream)) {
            Err(ReadError::Blocked | ReadError::UnknownStream) if closed => return Err(Failure::closed()),
            peek => peek?,
        };
        status.set_u32(FLAGS, if peek.finished { QUILLON_FLAG_FINISHED } else { 0 });
        status.set_data(DATA, peek.data);
        Ok(peek.data.len() as i32)
    })
}

/// Takes `len` bytes off the front of what `quillon_stream_peek` showed: they are read, and flow control moves on.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_consume(endpoint: u32, connection: u32, stream: u64, len: u32) -> i32 {
    call(|instance| {
        find(&mut instance.endpoints, endpoint, connection)?.consume(StreamId(stream), len as usize)?;
        Ok(0)
    })
}

/// Chooses whether `QUILLON_EVENT_STREAM_ACKED` tells how far the peer has a stream; not at first.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_set_acked_events(endpoint: u32, connection: u32, stream: u64, enabled: u32) -> i32 {
    call(|instance| {
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.set_acked_events(StreamId(stream), enabled != 0)?;
        Ok(0)
    })
}

/// With manual credit: lets the peer send `bytes` more on a stream. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_extend_max_data(endpoint: u32, connection: u32, stream: u64, bytes: u64) -> i32 {
    call(|instance| {
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.extend_max_stream_data(StreamId(stream), bytes)?;
        Ok(0)
    })
}

/// How many bytes the peer lets us send on a stream now.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_send_credit(endpoint: u32, connection: u32, stream: u64) -> i64 {
    call(|instance| {
        let credit = find_open(&mut instance.endpoints, endpoint, connection)?.stream_send_credit(StreamId(stream));
        let credit = credit.ok_or_else(Failure::unknown_stream)?;
        Ok(i64::try_from(credit).unwrap_or(i64::MAX))
    })
}

/// Whether what can be read of a stream is early data, 1 or 0: an attacker may have sent it a second time.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_stream_is_early_data(endpoint: u32, connection: u32, stream: u64) -> i32 {
    call(|instance| {
        let connection = find(&mut instance.endpoints, endpoint, connection)?;
        Ok(i32::from(connection.is_early_data(StreamId(stream))))
    })
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Blocked(_) => Self::blocked(),
            _ => Self::closed(),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Blocked => Self::blocked(),
            WriteError::Finished => Self::finished(),
            WriteError::Reset => Self::reset(0),
            WriteError::Stopped(code) => Self::stopped(code),
            _ => Self::unknown_stream(),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Blocked => Self::blocked(),
            ReadError::Reset(code) => Self::reset(code),
            ReadError::Stopped => Self::stopped(0),
            _ => Self::unknown_stream(),
        }
    }
}

impl From<AbortError> for Failure {
    fn from(error: AbortError) -> Self {
        match error {
            AbortError::InvalidCode => Self::invalid("an error code has at most 62 bits"),
            _ => Self::unknown_stream(),
        }
    }
}
