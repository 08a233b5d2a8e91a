//! Moving a connection to other addresses.

use quillon::{MigrateError, Migration};

use crate::connection::{find, find_open};
use crate::constants::*;
use crate::endpoint::time;
use crate::failure::Failure;
use crate::instance::call;
use crate::layout::{ADDRESS_LEN, read_address};
use crate::memory;

/// Moves a client to another of its addresses, as `migration` says, or only validates the path. Transmit afterwards.
///
/// # Safety
///
/// `local` is valid for reading 20 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_migrate(
    endpoint: u32,
    connection: u32,
    local: *const u8,
    migration: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let local = read_address(unsafe { memory::input(local, ADDRESS_LEN as u32) }?)?;
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        let now = time(now_lo, now_hi);
        match migration {
            QUILLON_MIGRATE_IMMEDIATE => connection.migrate(now, local, Migration::Immediate)?,
            QUILLON_MIGRATE_VALIDATED => connection.migrate(now, local, Migration::Validated)?,
            QUILLON_MIGRATE_PROBE => connection.probe_path(now, local)?,
            _ => return Err(Failure::invalid("there is no such migration")),
        }
        Ok(0)
    })
}

/// Tells that our address is another now, by the host's own doing.
///
/// # Safety
///
/// `local` is valid for reading 20 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_set_local_address(endpoint: u32, connection: u32, local: *const u8) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let local = read_address(unsafe { memory::input(local, ADDRESS_LEN as u32) }?)?;
        find(&mut instance.endpoints, endpoint, connection)?.set_local_address(local);
        Ok(0)
    })
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        Self::invalid_state(&error)
    }
}
