//! TLS outside the engine: the host runs the handshake, the engine carries its bytes and protects packets with its secrets.

use quillon::crypto::{CipherSuite, Secret};
use quillon::tls::external::{Agreement, Direction, ExternalTlsError};
use quillon::wire::Level;

use crate::connection::find_open;
use crate::constants::*;
use crate::endpoint::time;
use crate::failure::Failure;
use crate::instance::{Instance, call};
use crate::layout::status::{DATA, FLAGS};
use crate::memory;

/// Copies out our transport parameters, as many bytes as `capacity` holds, for the handshake to carry. Returns their
/// length, 0 where there are none yet.
///
/// # Safety
///
/// `out` is valid for writing `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_tls_local_parameters(
    endpoint: u32,
    connection: u32,
    out: *mut u8,
    capacity: u32,
) -> i32 {
    call(|instance| {
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        let parameters = connection.local_transport_parameters().unwrap_or_default();
        // SAFETY: by this function's contract.
        unsafe { memory::output(parameters, out, capacity) }
    })
}

/// Takes the peer's next bytes: address and length in the status block, until the next call of this function, their level
/// in its flags. Returns their length, 0 where none wait.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_tls_take(endpoint: u32, connection: u32) -> i32 {
    call(|instance| {
        let Instance { endpoints, status, crypto_data, .. } = instance;
        let Some((level, data)) = find_open(endpoints, endpoint, connection)?.take_crypto() else { return Ok(0) };
        *crypto_data = data;
        status.set_data(DATA, crypto_data);
        status.set_u32(FLAGS, level_number(level));
        Ok(crypto_data.len() as i32)
    })
}

/// Sends bytes of TLS at a level, behind those given before. Transmit afterwards.
///
/// # Safety
///
/// `data` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_tls_submit(
    endpoint: u32,
    connection: u32,
    level: u32,
    data: *const u8,
    len: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let data = unsafe { memory::input(data, len) }?;
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.submit_crypto(time(now_lo, now_hi), self::level(level)?, data)?;
        Ok(0)
    })
}

/// Installs a traffic secret of a cipher suite, by its number in IANA's registry. Transmit afterwards.
///
/// # Safety
///
/// `secret` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_tls_install_secret(
    endpoint: u32,
    connection: u32,
    level: u32,
    direction: u32,
    suite: u32,
    secret: *const u8,
    len: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let secret = unsafe { memory::input(secret, len) }?;
        let secret = Secret::new(secret).ok_or_else(|| Failure::invalid("a secret has at most 48 bytes"))?;
        let suite = u16::try_from(suite).ok().and_then(CipherSuite::from_iana);
        let suite = suite.ok_or_else(|| Failure::invalid("the engine has no such cipher suite"))?;
        let direction = match direction {
            QUILLON_SECRET_READ => Direction::Read,
            QUILLON_SECRET_WRITE => Direction::Write,
            _ => return Err(Failure::invalid("a secret is for reading or for writing")),
        };
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.install_secret(time(now_lo, now_hi), self::level(level)?, direction, suite, secret)?;
        Ok(0)
    })
}

/// At a client, gives the server's transport parameters. Transmit afterwards.
///
/// # Safety
///
/// `parameters` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_tls_set_peer_parameters(
    endpoint: u32,
    connection: u32,
    parameters: *const u8,
    len: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let parameters = unsafe { memory::input(parameters, len) }?;
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.set_peer_transport_parameters(time(now_lo, now_hi), parameters)?;
        Ok(0)
    })
}

/// The handshake is complete, with this application protocol; none where `len` is 0. Transmit afterwards.
///
/// # Safety
///
/// `alpn` is valid for reading `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_tls_complete(
    endpoint: u32,
    connection: u32,
    alpn: *const u8,
    len: u32,
    now_lo: u32,
    now_hi: u32,
) -> i32 {
    call(|instance| {
        // SAFETY: by this function's contract.
        let alpn = unsafe { memory::input(alpn, len) }?;
        let agreement = Agreement { alpn: (!alpn.is_empty()).then(|| alpn.to_vec()), ..Agreement::default() };
        let connection = find_open(&mut instance.endpoints, endpoint, connection)?;
        connection.complete_tls(time(now_lo, now_hi), agreement)?;
        Ok(0)
    })
}

/// TLS has failed: closes the connection with an alert. Transmit afterwards.
///
/// # Safety
///
/// `reason` is valid for reading `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_tls_fail(
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
        connection.fail_tls(time(now_lo, now_hi), tls_alert(alert)?, reason)?;
        Ok(0)
    })
}

/// The number of a TLS alert (RFC 8446 section 6).
pub(crate) fn tls_alert(alert: u32) -> Result<u8, Failure> {
    u8::try_from(alert).map_err(|_| Failure::invalid("a TLS alert has a number of one byte"))
}

fn level(level: u32) -> Result<Level, Failure> {
    let levels = [Level::Initial, Level::ZeroRtt, Level::Handshake, Level::OneRtt];
    let level = levels.into_iter().find(|known| level_number(*known) == level);
    level.ok_or_else(|| Failure::invalid("there is no such level"))
}

fn level_number(level: Level) -> u32 {
    match level {
        Level::Initial => QUILLON_LEVEL_INITIAL,
        Level::ZeroRtt => QUILLON_LEVEL_ZERO_RTT,
        Level::Handshake => QUILLON_LEVEL_HANDSHAKE,
        Level::OneRtt => QUILLON_LEVEL_ONE_RTT,
    }
}

impl From<ExternalTlsError> for Failure {
    fn from(error: ExternalTlsError) -> Self {
        Self::invalid_state(&error)
    }
}
