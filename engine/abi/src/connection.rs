//! Connections: closing them, and what can be asked of them.

use quillon::{Connection, ConnectionHandle, Side};

use crate::constants::*;
use crate::endpoint::{Hosted, time};
use crate::failure::Failure;
use crate::handles::Handles;
use crate::instance::call;
use crate::layout::write_path;
use crate::memory;

pub(crate) fn find(
    endpoints: &mut Handles<Hosted>,
    endpoint: u32,
    connection: u32,
) -> Result<&mut Connection, Failure> {
    let endpoint = &mut endpoints.find(endpoint)?.endpoint;
    endpoint.connection_mut(ConnectionHandle::from_raw(connection)).ok_or_else(Failure::invalid_handle)
}

/// The same where streams can be used.
pub(crate) fn find_open(
    endpoints: &mut Handles<Hosted>,
    endpoint: u32,
    connection: u32,
) -> Result<&mut Connection, Failure> {
    find(endpoints, endpoint, connection)
        .and_then(|found| if found.is_closed() { Err(Failure::closed()) } else { Ok(found) })
}

/// Closes a connection with the application's code and a reason for people. Transmit afterwards to tell the peer.
///
/// # Safety
///
/// `reason` is valid for reading `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_close(
    endpoint: u32,
    connection: u32,
    code: u64,
    reason: *const u8,
    reason_len: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let reason = unsafe { memory::input(reason, reason_len) }?;
        find(&mut instance.endpoints, endpoint, connection)?.close(time(now_lo, now_hi), code, reason);
        let deadline = instance.endpoints.find(endpoint)?.endpoint.timeout();
        instance.status.set_deadline(deadline);
        Ok(0)
    })
}

/// Copies the statistics out: numbers of 8 bytes in the order of `QUILLON_STATS_*`, as many as `capacity` bytes hold.
/// Returns the length of all, which grows with the ABI's minor version.
///
/// # Safety
///
/// `out` is valid for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_stats(endpoint: u32, connection: u32, out: *mut u8, capacity: u32) -> i32 {
    call(|instance| {
        let fields = find(&mut instance.endpoints, endpoint, connection)?.stats().to_array().map(u64::to_le_bytes);
        // SAFETY: by this function's contract.
        unsafe { memory::output(fields.as_flattened(), out, capacity) }
    })
}

/// Copies out what is known under `key`, as many bytes as `capacity` holds. Returns its length, 0 where it is not
/// known.
///
/// # Safety
///
/// `out` is valid for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_info(
    endpoint: u32,
    connection: u32,
    key: u32,
    out: *mut u8,
    capacity: u32,
) -> i32 {
    call(|instance| {
        let connection = find(&mut instance.endpoints, endpoint, connection)?;
        // SAFETY: by this function's contract.
        let answer = |bytes: &[u8]| unsafe { memory::output(bytes, out, capacity) };
        match key {
            QUILLON_INFO_ALPN => answer(connection.alpn().unwrap_or_default()),
            QUILLON_INFO_SERVER_NAME => answer(connection.server_name().unwrap_or_default().as_bytes()),
            QUILLON_INFO_PEER_CERTIFICATE => answer(connection.peer_certificates().first().map_or(&[], Vec::as_slice)),
            QUILLON_INFO_PATH => answer(&write_path(&connection.path())),
            QUILLON_INFO_STATE => answer(&state(connection).to_le_bytes()),
            QUILLON_INFO_SIDE => answer(&side(connection.side()).to_le_bytes()),
            _ => Err(Failure::invalid("a connection has nothing under this key")),
        }
    })
}

fn state(connection: &Connection) -> u32 {
    let flags = [
        (connection.is_handshake_complete(), QUILLON_STATE_HANDSHAKE_COMPLETE),
        (connection.is_handshake_confirmed(), QUILLON_STATE_HANDSHAKE_CONFIRMED),
        (connection.is_closed(), QUILLON_STATE_CLOSED),
    ];
    flags.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag).sum()
}

fn side(side: Side) -> u32 {
    match side {
        Side::Client => QUILLON_ROLE_CLIENT,
        Side::Server => QUILLON_ROLE_SERVER,
    }
}
