//! What the host decides while a handshake waits: on a ClientHello, on a certificate.

use quillon::DecisionError;
use quillon::error::TransportErrorCode;

use crate::connection::find_open;
use crate::endpoint::time;
use crate::failure::Failure;
use crate::instance::call;
use crate::memory;
use crate::tls::tls_alert;

/// After `QUILLON_EVENT_CLIENT_HELLO`: goes on with a server's configuration. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_choose(
    endpoint: u32,
    connection: u32,
    config: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        let config = instance.configs.find(config)?.server()?;
        find_open(&mut instance.endpoints, endpoint, connection)?.choose(time(now_lo, now_hi), &config)?;
        Ok(0)
    })
}

/// After `QUILLON_EVENT_CLIENT_HELLO`: refuses the client with a code of the transport. Transmit afterwards.
///
/// # Safety
///
/// `reason` is valid for reading `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_refuse(
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
        let reason = unsafe { memory::text(reason, reason_len) }?;
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.refuse(time(now_lo, now_hi), TransportErrorCode(code), reason)?;
        Ok(0)
    })
}

/// After `QUILLON_EVENT_PEER_CERTIFICATE`: the handshake goes on. Transmit afterwards.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_accept_certificate(
    endpoint: u32,
    connection: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        find_open(&mut instance.endpoints, endpoint, connection)?.accept_certificate(time(now_lo, now_hi))?;
        Ok(0)
    })
}

/// After `QUILLON_EVENT_PEER_CERTIFICATE`: closes the connection with a TLS alert. Transmit afterwards.
///
/// # Safety
///
/// `reason` is valid for reading `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_connection_reject_certificate(
    endpoint: u32,
    connection: u32,
    alert: u32,
    reason: *const u8,
    reason_len: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let reason = unsafe { memory::text(reason, reason_len) }?;
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.reject_certificate(time(now_lo, now_hi), tls_alert(alert)?, reason)?;
        Ok(0)
    })
}

impl From<DecisionError> for Failure {
    fn from(error: DecisionError) -> Self {
        match error {
            DecisionError::Settings(error) => error.into(),
            error => Self::invalid_state(&error),
        }
    }
}
