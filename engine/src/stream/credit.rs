//! Credit that the caller gives, and what there is to use.

use super::{CreditError, FlowControl, Streams};
use crate::wire::{Dir, StreamId};

impl Streams {
    /// Bytes that can be written on all streams together before the peer gives more credit.
    #[must_use]
    pub fn send_credit(&self) -> u64 {
        self.send_credit.available()
    }

    /// Bytes that can be written on a stream before the peer gives it more credit; `None` where we do not send on it.
    #[must_use]
    pub fn stream_send_credit(&self, id: StreamId) -> Option<u64> {
        Some(self.table.get(id)?.send.as_ref()?.credit.available())
    }

    /// Streams that can be opened before the peer allows more.
    #[must_use]
    pub fn streams_left(&self, dir: Dir) -> u64 {
        self.table.local.get(dir).left()
    }

    /// Allows the peer `bytes` more on all streams together, up to 2^62 - 1 in all.
    ///
    /// # Errors
    /// [`CreditError::Automatic`].
    pub fn extend_max_data(&mut self, bytes: u64) -> Result<(), CreditError> {
        self.check_manual()?;
        self.receive_window.extend(bytes);
        Ok(())
    }

    /// Allows the peer `bytes` more on a stream, up to 2^62 - 1 in all.
    ///
    /// # Errors
    /// [`CreditError`].
    pub fn extend_max_stream_data(&mut self, id: StreamId, bytes: u64) -> Result<(), CreditError> {
        self.check_manual()?;
        let stream = self.table.get_mut(id).ok_or(CreditError::UnknownStream)?;
        stream.receive.as_mut().ok_or(CreditError::UnknownStream)?.extend(bytes);
        self.queues.settle(id, stream);
        Ok(())
    }

    /// Allows the peer to open `count` more streams of a direction, up to 2^60 in all.
    ///
    /// # Errors
    /// [`CreditError::Automatic`].
    pub fn extend_max_streams(&mut self, dir: Dir, count: u64) -> Result<(), CreditError> {
        self.check_manual()?;
        self.table.remote.get_mut(dir).extend(count);
        Ok(())
    }

    fn check_manual(&self) -> Result<(), CreditError> {
        if self.flow_control == FlowControl::Manual { Ok(()) } else { Err(CreditError::Automatic) }
    }
}
