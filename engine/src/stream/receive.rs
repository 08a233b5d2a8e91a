//! The receiving part of a stream (RFC 9000 section 3.2).

use bytes::Bytes;

use super::flow_control::{Growth, Pace, ReceiveWindow};
use super::receive_buffer::{BlockPool, ReceiveBuffer};
use super::send::Delivery;
use super::{Control, ReadError};
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{StreamId, varint};

/// How many gaps a stream may have, at least. Each costs memory and time that flow control does not count.
const MAX_GAPS: usize = 1000;
/// A window above `MAX_GAPS` of these may have as many gaps as it has of these: a sender of full-size packets
/// stays below, whatever is lost.
const BYTES_PER_GAP: u64 = 2048;

/// The state of a receiving part (RFC 9000 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveState {
    /// Data is arriving.
    Receive,
    /// The final size is known; data is missing.
    SizeKnown,
    /// All data arrived.
    DataReceived,
    /// The caller read all data, and its end. Terminal.
    DataRead,
    /// The peer reset the stream.
    ResetReceived,
    /// The caller was told of the reset. Terminal.
    ResetRead,
}

#[derive(Debug)]
enum Phase {
    Receiving,
    /// All data, and its end, were read.
    Read,
    /// By us; what arrives is dropped.
    Stopped {
        code: u64,
        delivery: Delivery,
    },
    /// By us, and nothing more can come of it.
    StoppedForGood,
    /// By the peer.
    Reset {
        code: u64,
        told: bool,
    },
}

/// What the caller finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Data,
    Finished,
}

/// The receiving part of a stream.
#[derive(Debug)]
pub(super) struct ReceivePart {
    buffer: ReceiveBuffer,
    /// Counts the stream's credit; reset and stopped streams give none any more.
    window: ReceiveWindow,
    final_size: Option<u64>,
    phase: Phase,
}

impl ReceivePart {
    pub(super) fn new(window: u64, growth: Growth) -> Self {
        let window = ReceiveWindow::new(window, growth);
        Self { buffer: ReceiveBuffer::default(), window, final_size: None, phase: Phase::Receiving }
    }

    pub(super) fn state(&self) -> ReceiveState {
        match self.phase {
            Phase::Reset { told: true, .. } => ReceiveState::ResetRead,
            Phase::Reset { .. } => ReceiveState::ResetReceived,
            Phase::Read | Phase::StoppedForGood => ReceiveState::DataRead,
            Phase::Receiving if self.is_complete() => ReceiveState::DataReceived,
            Phase::Receiving | Phase::Stopped { .. } if self.final_size.is_some() => ReceiveState::SizeKnown,
            Phase::Receiving | Phase::Stopped { .. } => ReceiveState::Receive,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.state(), ReceiveState::DataRead | ReceiveState::ResetRead)
    }

    fn is_complete(&self) -> bool {
        self.final_size == Some(self.buffer.contiguous())
    }

    /// A STREAM frame. Returns whether the caller finds more than before.
    pub(super) fn on_stream(
        &mut self,
        offset: u64,
        fin: bool,
        data: &[u8],
        connection: &mut ReceiveWindow,
        pool: &mut BlockPool,
    ) -> Result<bool, TransportError> {
        // RFC 9000 section 19.8: no credit can be given for larger offsets.
        let end = offset.checked_add(data.len() as u64).filter(|end| *end <= varint::MAX).ok_or(BEYOND_STREAM_LIMIT)?;
        self.check_final_size(end, fin)?;
        let new = self.admit(end, connection)?;
        let was_complete = self.is_complete();
        if fin {
            self.final_size = Some(end);
        }
        match &mut self.phase {
            Phase::Receiving => {
                let advanced = self.buffer.insert(offset, data, pool);
                if self.buffer.gaps() > MAX_GAPS {
                    self.check_gaps()?;
                }
                Ok(advanced || (!was_complete && self.is_complete()))
            }
            Phase::Stopped { delivery, .. } => {
                // RFC 9000 section 3.5: dropped, and counted.
                connection.on_dropped(new);
                if *delivery == Delivery::Acked && self.final_size.is_some() {
                    self.phase = Phase::StoppedForGood;
                }
                Ok(false)
            }
            Phase::Read | Phase::StoppedForGood | Phase::Reset { .. } => Ok(false),
        }
    }

    /// A RESET_STREAM frame. Returns whether the caller is to be told.
    pub(super) fn on_reset(
        &mut self,
        code: u64,
        final_size: u64,
        connection: &mut ReceiveWindow,
        pool: &mut BlockPool,
    ) -> Result<bool, TransportError> {
        self.check_final_size(final_size, true)?;
        let new = self.admit(final_size, connection)?;
        // RFC 9000 section 3.2: where all data arrived before, the reset changes nothing.
        let was_complete = self.is_complete();
        self.final_size = Some(final_size);
        match self.phase {
            Phase::Receiving if !was_complete => {
                self.drop_unread(connection, pool);
                self.phase = Phase::Reset { code, told: false };
                Ok(true)
            }
            Phase::Stopped { .. } => {
                connection.on_dropped(new);
                self.phase = Phase::StoppedForGood;
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// RFC 9000 section 4.5: the final size, once known, does not change, and no data lies beyond it.
    fn check_final_size(&self, end: u64, is_final: bool) -> Result<(), TransportError> {
        let code = TransportErrorCode::FINAL_SIZE_ERROR;
        match self.final_size {
            Some(known) if is_final && end != known => Err(TransportError::new(code, "final size changed")),
            Some(known) if end > known => Err(TransportError::new(code, "data beyond the final size")),
            None if is_final && end < self.window.received() => {
                Err(TransportError::new(code, "final size below data received"))
            }
            _ => Ok(()),
        }
    }

    /// RFC 9000 section 4.1: counts bytes up to `end` at both levels. Returns how many are new.
    fn admit(&mut self, end: u64, connection: &mut ReceiveWindow) -> Result<u64, TransportError> {
        let new = end.saturating_sub(self.window.received());
        if new > 0 {
            if !self.window.admits(new) {
                return Err(BEYOND_STREAM_LIMIT);
            }
            if !connection.admits(new) {
                return Err(BEYOND_CONNECTION_LIMIT);
            }
            self.window.on_received(new);
            connection.on_received(new);
        }
        Ok(new)
    }

    fn check_gaps(&self) -> Result<(), TransportError> {
        let allowed = self.window.window() / BYTES_PER_GAP;
        if self.buffer.gaps() as u64 <= allowed {
            return Ok(());
        }
        Err(TransportError::new(TransportErrorCode::PROTOCOL_VIOLATION, "stream data in too many pieces"))
    }

    /// Returns the connection's credit for what was not read, and frees it.
    fn drop_unread(&mut self, connection: &mut ReceiveWindow, pool: &mut BlockPool) {
        connection.on_dropped(self.window.received().saturating_sub(self.buffer.read()));
        self.buffer.clear(pool);
    }

    /// STREAM_DATA_BLOCKED. RFC 9000 section 19.13.
    pub(super) fn on_peer_blocked(&mut self, limit: u64) -> Result<(), TransportError> {
        if limit > self.window.limit() {
            return Err(BEYOND_STREAM_LIMIT);
        }
        self.window.on_peer_blocked(limit);
        Ok(())
    }

    /// The caller's interest ends. Returns whether that ended anything.
    pub(super) fn stop(&mut self, code: u64, connection: &mut ReceiveWindow, pool: &mut BlockPool) -> bool {
        match &mut self.phase {
            Phase::Receiving => {
                // RFC 9000 section 3.5: with all data here, there is nothing to stop.
                let stopped = Phase::Stopped { code, delivery: Delivery::Due };
                self.phase = if self.is_complete() { Phase::StoppedForGood } else { stopped };
                self.drop_unread(connection, pool);
                true
            }
            Phase::Reset { told, .. } => {
                *told = true;
                false
            }
            Phase::Read | Phase::Stopped { .. } | Phase::StoppedForGood => false,
        }
    }

    /// What the caller finds.
    pub(super) fn readiness(&self) -> Result<Readiness, ReadError> {
        match self.phase {
            Phase::Reset { code, .. } => Err(ReadError::Reset(code)),
            Phase::Stopped { .. } | Phase::StoppedForGood => Err(ReadError::Stopped),
            Phase::Read => Ok(Readiness::Finished),
            Phase::Receiving if self.buffer.read() < self.buffer.contiguous() => Ok(Readiness::Data),
            Phase::Receiving if self.is_complete() => Ok(Readiness::Finished),
            Phase::Receiving => Err(ReadError::Blocked),
        }
    }

    pub(super) fn peek(&self) -> &[u8] {
        self.buffer.peek()
    }

    /// Drops bytes that the caller has read. Returns how many.
    pub(super) fn consume(&mut self, bytes: u64, connection: &mut ReceiveWindow, pool: &mut BlockPool) -> u64 {
        let consumed = self.buffer.consume(bytes, pool);
        self.window.on_read(consumed);
        connection.on_read(consumed);
        consumed
    }

    /// Takes up to `max` bytes that lie in one piece.
    pub(super) fn take(&mut self, max: usize, connection: &mut ReceiveWindow, pool: &mut BlockPool) -> Bytes {
        let data = self.buffer.take(max, pool);
        self.window.on_read(data.len() as u64);
        connection.on_read(data.len() as u64);
        data
    }

    /// The caller allows `bytes` more.
    pub(super) fn extend(&mut self, bytes: u64) {
        self.window.extend(bytes);
    }

    /// The caller saw the end.
    pub(super) fn on_end_read(&mut self) {
        debug_assert!(self.readiness() == Ok(Readiness::Finished));
        self.phase = Phase::Read;
    }

    /// The code of the peer's reset, which the caller is now told of.
    pub(super) fn tell_reset(&mut self) -> Option<u64> {
        match &mut self.phase {
            Phase::Reset { code, told } => {
                *told = true;
                Some(*code)
            }
            _ => None,
        }
    }

    /// RFC 9000 section 3.3: credit is given in the "Recv" state only.
    fn update_due(&self) -> bool {
        matches!(self.phase, Phase::Receiving) && self.final_size.is_none() && self.window.update_due()
    }

    pub(super) fn has_control(&self) -> bool {
        matches!(self.phase, Phase::Stopped { delivery: Delivery::Due, .. }) || self.update_due()
    }

    /// Takes a control frame as sent.
    pub(super) fn next_control(&mut self, id: StreamId, pace: &Pace) -> Option<Control> {
        if self.update_due() {
            return Some(Control::MaxStreamData { id, limit: self.window.announce(pace) });
        }
        match &mut self.phase {
            Phase::Stopped { code, delivery } if *delivery == Delivery::Due => {
                *delivery = Delivery::InFlight;
                Some(Control::StopSending { id, code: *code })
            }
            _ => None,
        }
    }

    pub(super) fn on_limit_lost(&mut self, limit: u64) {
        self.window.on_announcement_lost(limit);
    }

    pub(super) fn on_stop_acked(&mut self) {
        if let Phase::Stopped { delivery, .. } = &mut self.phase {
            *delivery = Delivery::Acked;
            if self.final_size.is_some() {
                self.phase = Phase::StoppedForGood;
            }
        }
    }

    pub(super) fn on_stop_lost(&mut self) {
        if let Phase::Stopped { delivery, .. } = &mut self.phase {
            delivery.on_lost();
        }
    }
}

const BEYOND_STREAM_LIMIT: TransportError =
    TransportError::new(TransportErrorCode::FLOW_CONTROL_ERROR, "data beyond the stream's limit");
pub(super) const BEYOND_CONNECTION_LIMIT: TransportError =
    TransportError::new(TransportErrorCode::FLOW_CONTROL_ERROR, "data beyond the connection's limit");
