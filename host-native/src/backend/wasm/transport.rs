//! Sessions, paths, keys, datagrams, logs, through the ABI.

use std::net::SocketAddr;

use bytes::Bytes;
use quillon::wire::Version;
use quillon::{EarlyDataStatus, Migration, Priority, StreamId, Time};

use super::layout::{PATH_LEN, status};
use super::{STAGING_LEN, Wasm, broken, halves, info, layout};
use crate::backend::{BackendError, Facts, Handle, Log, SessionHandle, Transport, if_there};

impl Wasm {
    fn info_u32(&mut self, connection: Handle, key: u32) -> Result<u32, BackendError> {
        layout::u32_at(self.info(connection, key)?, 0).ok_or_else(|| broken("it gave half a number"))
    }
}

impl Transport for Wasm {
    fn facts(&mut self, connection: Handle) -> Result<Facts, BackendError> {
        let paths =
            self.info(connection, info::PATHS)?.chunks_exact(PATH_LEN).filter_map(layout::decode_path).collect();
        let early_data = match self.info_u32(connection, info::EARLY_DATA)? {
            1 => EarlyDataStatus::Offered,
            2 => EarlyDataStatus::Accepted,
            3 => EarlyDataStatus::Rejected,
            _ => EarlyDataStatus::None,
        };
        Ok(Facts {
            version: Version(self.info_u32(connection, info::VERSION)?),
            is_resumed: self.info_u32(connection, info::STATE)? & info::STATE_RESUMED != 0,
            early_data,
            paths,
        })
    }

    fn update_key(&mut self, now: Time, connection: Handle) -> Result<(), BackendError> {
        let (lo, hi) = halves(now);
        self.check_call(|e| &e.update_key, (self.endpoint, connection, lo, hi)).map(drop)
    }

    fn migrate(
        &mut self,
        now: Time,
        connection: Handle,
        local: SocketAddr,
        migration: Migration,
    ) -> Result<(), BackendError> {
        let (address, _) = self.stage(&layout::encode_address(local))?;
        let (lo, hi) = halves(now);
        let migration = u32::from(migration == Migration::Validated);
        self.check_call(|e| &e.migrate, (self.endpoint, connection, address, migration, lo, hi)).map(drop)
    }

    fn send_datagram(&mut self, connection: Handle, data: Bytes) -> Result<(), BackendError> {
        if data.len() > STAGING_LEN {
            let max = self.max_datagram_size(connection)?;
            return Err(BackendError::TooLarge(max));
        }
        let (address, len) = self.stage(&data)?;
        let id = self.call(|e| &e.datagram_send, (self.endpoint, connection, address, len))?;
        if id < 0 { Err(self.error(i32::try_from(id).unwrap_or(i32::MIN))) } else { Ok(()) }
    }

    fn receive_datagram(&mut self, connection: Handle) -> Result<Bytes, BackendError> {
        let len = self.check_call(|e| &e.datagram_peek, (self.endpoint, connection))?;
        let data = Bytes::copy_from_slice(self.bytes(self.status_u64(status::DATA), len)?);
        self.check_call(|e| &e.datagram_consume, (self.endpoint, connection))?;
        Ok(data)
    }

    fn max_datagram_size(&mut self, connection: Handle) -> Result<usize, BackendError> {
        self.check_call(|e| &e.datagram_max_size, (self.endpoint, connection)).map(|size| size as usize)
    }

    fn set_priority(&mut self, connection: Handle, stream: StreamId, priority: Priority) -> Result<(), BackendError> {
        let Priority { urgency, incremental, send_order } = priority;
        let (urgency, incremental) = (u32::from(urgency.min(Priority::MAX_URGENCY)), u32::from(incremental));
        let arguments = (self.endpoint, connection, stream.0, urgency, incremental, send_order);
        self.check_call(|e| &e.set_priority, arguments).map(drop)
    }

    fn export_keying_material(
        &mut self,
        connection: Handle,
        out: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), BackendError> {
        let staged = [label, context].concat();
        // What comes out is laid behind what goes in.
        let Some(room) = STAGING_LEN.checked_sub(staged.len()).filter(|room| *room >= out.len()) else {
            return Err(BackendError::Unavailable("label, context and keying material are too long".to_owned()));
        };
        let (address, len) = self.stage(&staged)?;
        let (label, context) = ((address, label.len() as u32), (address + label.len() as u32, context.len() as u32));
        let (result, capacity) = (address + len, out.len().min(room) as u32);
        let arguments = (self.endpoint, connection, label.0, label.1, context.0, context.1, result, capacity);
        self.check_call(|e| &e.export, arguments)?;
        out.copy_from_slice(self.bytes(u64::from(result), capacity)?);
        Ok(())
    }

    fn free_session(&mut self, session: SessionHandle) -> Result<(), BackendError> {
        self.check_call(|e| &e.session_free, session).map(drop)
    }

    fn poll_log(&mut self, connection: Handle, log: Log) -> Result<Option<String>, BackendError> {
        let log = u32::from(log == Log::Text);
        let taken = self.check_call(|e| &e.poll_log, (self.endpoint, connection, log));
        let Some(len) = if_there(taken)?.filter(|len| *len > 0) else { return Ok(None) };
        let text = self.bytes(self.status_u64(status::DATA), len)?;
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }
}
