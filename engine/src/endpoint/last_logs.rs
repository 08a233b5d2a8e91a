//! What connections that are gone leave behind of their logs.

use alloc::string::String;

use super::{ConnectionHandle, Endpoint};

/// Connections whose last logs are kept; older ones are given up.
const MAX_KEPT: usize = 16;

/// The end of the logs of a connection that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLogs {
    /// The connection. Its handle is void.
    pub connection: ConnectionHandle,
    /// What was left of its [qlog](crate::Connection::poll_qlog).
    pub qlog: Option<String>,
    /// What was left of its [text log](crate::Connection::poll_text_log).
    pub text_log: Option<String>,
}

impl Endpoint {
    /// The end of the logs of a connection for which [`Event::Drained`](crate::Event::Drained) was told, where it kept
    /// any: what happened since they were last taken. Those of the last 16 connections are kept.
    pub fn poll_last_logs(&mut self) -> Option<LastLogs> {
        self.last_logs.pop_front()
    }

    /// Takes over the logs of a connection that is about to go.
    pub(super) fn keep_last_logs(&mut self, index: u32) {
        let handle = self.slots.handle(index);
        let Some(connection) = self.slots.connection_mut(index) else { return };
        let (qlog, text_log) = (connection.poll_qlog(), connection.poll_text_log());
        if qlog.is_none() && text_log.is_none() {
            return;
        }
        if self.last_logs.len() >= MAX_KEPT {
            self.last_logs.pop_front();
        }
        self.last_logs.push_back(LastLogs { connection: handle, qlog, text_log });
    }
}
