//! Datagrams: sent once or not at all, read one by one.

use bytes::Bytes;
use quillon::SendDatagramError;

use crate::connection::{find, find_open};
use crate::failure::Failure;
use crate::instance::{Instance, call};
use crate::layout::status::DATA;
use crate::memory;

/// The text of [`Failure::unsupported`] here.
const NO_DATAGRAMS: &str = "the peer takes no datagrams, or has not said so yet";

/// Queues a datagram: it is sent once or not at all, before stream data. Returns its number, which events name.
///
/// # Safety
///
/// `data` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_datagram_send(endpoint: u32, connection: u32, data: *const u8, len: u32) -> i64 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let data = unsafe { memory::input(data, len) }?;
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        // A number counts up from 0: 63 bits last.
        Ok(connection.send_datagram(Bytes::copy_from_slice(data))?.0 as i64)
    })
}

/// The most bytes that a datagram may have now. It changes with the path.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_datagram_max_size(endpoint: u32, connection: u32) -> i32 {
    call(|instance| {
        let size = find_open(&mut instance.endpoints, endpoint, connection)?.max_datagram_size();
        let size = size.ok_or_else(|| Failure::unsupported(NO_DATAGRAMS))?;
        Ok(i32::try_from(size).unwrap_or(i32::MAX))
    })
}

/// Shows the oldest received datagram: address and length in the status block, good until the next call on the endpoint.
/// Returns the length.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_datagram_peek(endpoint: u32, connection: u32) -> i32 {
    call(|instance| {
        let Instance { endpoints, status, .. } = instance;
        let connection = find(endpoints, endpoint, connection)?;
        let closed = connection.is_closed();
        let none = || if closed { Failure::closed() } else { Failure::blocked() };
        let data = connection.peek_datagram().ok_or_else(none)?;
        status.set_data(DATA, data);
        Ok(data.len() as i32)
    })
}

/// Takes off the datagram that `quillon_datagram_peek` showed: it is read.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_datagram_consume(endpoint: u32, connection: u32) -> i32 {
    call(|instance| {
        let consumed = find(&mut instance.endpoints, endpoint, connection)?.consume_datagram();
        if consumed { Ok(0) } else { Err(Failure::blocked()) }
    })
}

impl From<SendDatagramError> for Failure {
    fn from(error: SendDatagramError) -> Self {
        match error {
            SendDatagramError::Unsupported => Self::unsupported(NO_DATAGRAMS),
            SendDatagramError::TooLargeForPeer { max } | SendDatagramError::TooLargeForPath { max } => {
                Self::too_large(&error, max)
            }
            SendDatagramError::QueueFull => Self::blocked(),
            _ => Self::closed(),
        }
    }
}
