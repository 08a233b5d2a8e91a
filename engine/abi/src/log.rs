//! Logs of connections: qlog and lines of text.

use quillon::{Connection, ConnectionHandle};

use crate::connection::find;
use crate::constants::{QUILLON_LOG_QLOG, QUILLON_LOG_TEXT};
use crate::failure::Failure;
use crate::instance::{Instance, call};
use crate::layout::status::DATA;

/// Takes what a log has recorded since the last call: address and length in the status block, until the next call of
/// this function. Returns the length, 0 where there is nothing. The rest can be taken once after
/// `QUILLON_EVENT_DRAINED`, for the last connections of the endpoint.
#[unsafe(no_mangle)]
pub extern "C" fn quillon_connection_poll_log(endpoint: u32, connection: u32, log: u32) -> i32 {
    call(|instance| {
        if log != QUILLON_LOG_QLOG && log != QUILLON_LOG_TEXT {
            return Err(Failure::invalid("there is no such log"));
        }
        let taken = match find(&mut instance.endpoints, endpoint, connection) {
            Ok(connection) => take(connection, log),
            Err(gone) => take_last(instance, endpoint, connection, log)?.ok_or(gone)?,
        };
        let Instance { status, log_data, .. } = instance;
        *log_data = taken.unwrap_or_default();
        status.set_data(DATA, log_data.as_bytes());
        Ok(log_data.len() as i32)
    })
}

fn take(connection: &mut Connection, log: u32) -> Option<String> {
    if log == QUILLON_LOG_QLOG { connection.poll_qlog() } else { connection.poll_text_log() }
}

/// The rest of a log of a connection that is gone; `None` where the endpoint knows of no such connection.
fn take_last(
    instance: &mut Instance,
    endpoint: u32,
    connection: u32,
    log: u32,
) -> Result<Option<Option<String>>, Failure> {
    let hosted = instance.endpoints.find(endpoint)?;
    while let Some(logs) = hosted.endpoint.poll_last_logs() {
        if hosted.last_logs.len() == MAX_LAST_LOGS {
            hosted.last_logs.pop_front();
        }
        hosted.last_logs.push_back(logs);
    }
    let connection = ConnectionHandle::from_raw(connection);
    let logs = hosted.last_logs.iter_mut().find(|logs| logs.connection == connection);
    Ok(logs.map(|logs| if log == QUILLON_LOG_QLOG { logs.qlog.take() } else { logs.text_log.take() }))
}

/// Connections that are gone whose logs wait to be taken; those of earlier ones are dropped.
const MAX_LAST_LOGS: usize = 16;
