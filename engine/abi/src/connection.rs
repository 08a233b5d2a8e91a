//! Connections: closing them, and what can be asked of them.

use quillon::stream::CreditError;
use quillon::{Connection, ConnectionHandle, EarlyDataStatus, Side};

use crate::constants::*;
use crate::endpoint::{Hosted, time};
use crate::failure::Failure;
use crate::handles::Handles;
use crate::instance::call;
use crate::layout::write_path;
use crate::memory;

/// The most keying material at once: 255 blocks of the smallest hash (RFC 5869 section 2.3).
const MAX_KEYING_MATERIAL: u32 = 255 * 32;

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
            QUILLON_INFO_VERSION => answer(&connection.version().0.to_le_bytes()),
            QUILLON_INFO_CLIENT_HELLO_SERVER_NAME => {
                let name = connection.client_hello().and_then(|hello| hello.server_name.as_deref());
                answer(name.unwrap_or_default().as_bytes())
            }
            QUILLON_INFO_CLIENT_HELLO_ALPN => answer(&offered_protocols(connection)),
            QUILLON_INFO_PEER_CERTIFICATES => answer(&chain(connection)),
            QUILLON_INFO_EARLY_DATA => answer(&early_data(connection.early_data_status()).to_le_bytes()),
            QUILLON_INFO_PATHS => answer(&paths(connection)),
            _ => Err(Failure::invalid("a connection has nothing under this key")),
        }
    })
}

/// Updates the keys of packets. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_update_key(endpoint: u32, connection: u32, now_lo: u32, now_hi: u32) -> i32 {
    call(|instance| {
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.initiate_key_update(time(now_lo, now_hi)).map_err(|error| Failure::invalid_state(&error))?;
        Ok(0)
    })
}

/// Derives keying material of `capacity` bytes from the handshake (RFC 8446 section 7.5). Returns its length.
///
/// # Safety
///
/// `label` and `context` are valid for reading their lengths, `out` for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_export(
    endpoint: u32,
    connection: u32,
    label: *const u8,
    label_len: u32,
    context: *const u8,
    context_len: u32,
    out: *mut u8,
    capacity: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let (label, context) = unsafe { (memory::input(label, label_len)?, memory::input(context, context_len)?) };
        if capacity > MAX_KEYING_MATERIAL {
            return Err(Failure::invalid("keying material has at most 8160 bytes"));
        }
        let mut material = vec![0; capacity as usize];
        let connection = find(&mut instance.endpoints, endpoint, connection)?;
        let exported = connection.export_keying_material(&mut material, label, context);
        exported.map_err(|error| Failure::invalid_state(&error))?;
        // SAFETY: by this function's contract.
        unsafe { memory::output(&material, out, capacity) }
    })
}

/// What the client of a waiting ClientHello offers: each protocol after a byte with its length.
fn offered_protocols(connection: &Connection) -> Vec<u8> {
    let offered = connection.client_hello().map_or(&[][..], |hello| &hello.alpn);
    // RFC 7301 section 3.1: a name has at most 255 bytes.
    offered.iter().flat_map(|name| [&[name.len() as u8][..], name].concat()).collect()
}

/// The peer's certificates, each after 4 bytes with its length.
fn chain(connection: &Connection) -> Vec<u8> {
    let chain = connection.peer_certificates();
    chain.iter().flat_map(|certificate| [&(certificate.len() as u32).to_le_bytes()[..], certificate].concat()).collect()
}

fn early_data(status: EarlyDataStatus) -> u32 {
    match status {
        EarlyDataStatus::None => QUILLON_EARLY_DATA_NONE,
        EarlyDataStatus::Offered => QUILLON_EARLY_DATA_OFFERED,
        EarlyDataStatus::Accepted => QUILLON_EARLY_DATA_ACCEPTED,
        EarlyDataStatus::Rejected => QUILLON_EARLY_DATA_REJECTED,
    }
}

/// The paths, the one in use first.
fn paths(connection: &Connection) -> Vec<u8> {
    let (active, others): (Vec<_>, Vec<_>) = connection.path_stats().partition(|path| path.active);
    active.iter().chain(&others).flat_map(|path| write_path(&path.addresses)).collect()
}

/// With manual credit: lets the peer send `bytes` more on all streams together. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_extend_max_data(endpoint: u32, connection: u32, bytes: u64) -> i32 {
    call(|instance| {
        find_open(&mut instance.endpoints, endpoint, connection)?.extend_max_data(bytes)?;
        Ok(0)
    })
}

/// With manual credit: lets the peer open `count` more streams of a direction. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_extend_max_streams(endpoint: u32, connection: u32, dir: u32, count: u64) -> i32 {
    call(|instance| {
        let dir = crate::stream::dir(dir)?;
        find_open(&mut instance.endpoints, endpoint, connection)?.extend_max_streams(dir, count)?;
        Ok(0)
    })
}

/// Stops new streams, ours and the peer's, and lets those that are open finish. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_shutdown(endpoint: u32, connection: u32) -> i32 {
    call(|instance| {
        find_open(&mut instance.endpoints, endpoint, connection)?.shutdown();
        Ok(0)
    })
}

impl From<CreditError> for Failure {
    fn from(error: CreditError) -> Self {
        match error {
            CreditError::UnknownStream => Self::unknown_stream(),
            CreditError::Closed => Self::closed(),
            _ => Self::invalid_state(&error),
        }
    }
}

fn state(connection: &Connection) -> u32 {
    let flags = [
        (connection.is_handshake_complete(), QUILLON_STATE_HANDSHAKE_COMPLETE),
        (connection.is_handshake_confirmed(), QUILLON_STATE_HANDSHAKE_CONFIRMED),
        (connection.is_closed(), QUILLON_STATE_CLOSED),
        (connection.is_resumed(), QUILLON_STATE_RESUMED),
    ];
    flags.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag).sum()
}

fn side(side: Side) -> u32 {
    match side {
        Side::Client => QUILLON_ROLE_CLIENT,
        Side::Server => QUILLON_ROLE_SERVER,
    }
}
