//! The sending part of a stream (RFC 9000 section 3.1).

use super::flow_control::SendCredit;
use super::scheduler::Pending;
use super::send_buffer::SendBuffer;
use super::{Chunk, Control, WriteError};
use crate::wire::{StreamId, varint};

/// The most bytes in one STREAM frame: what a two-byte Length can say.
const MAX_CHUNK: usize = (1 << 14) - 1;
/// A frame that leaves bytes of its range behind carries at least this many: smaller ones are all header.
const MIN_SPLIT: usize = 32;

/// The state of a sending part (RFC 9000 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendState {
    /// Nothing was sent so far.
    Ready,
    /// Data is being sent.
    Send,
    /// A frame with the FIN was sent.
    DataSent,
    /// All data and the FIN were acknowledged. Terminal.
    DataReceived,
    /// The stream was reset, by us or in answer to STOP_SENDING.
    ResetSent,
    /// The reset was acknowledged. Terminal.
    ResetReceived,
}

/// How far a frame came that has to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Due,
    InFlight,
    Acked,
}

impl Delivery {
    pub(super) fn on_lost(&mut self) {
        if *self == Self::InFlight {
            *self = Self::Due;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    /// The caller may still write.
    Open,
    /// Goes with the last byte.
    Due,
    InFlight,
    Lost,
    Acked,
}

#[derive(Debug)]
struct Reset {
    code: u64,
    /// In answer to STOP_SENDING.
    stopped: bool,
    delivery: Delivery,
}

/// The sending part of a stream.
#[derive(Debug)]
pub(super) struct SendPart {
    pub(super) buffer: SendBuffer,
    /// Credit is taken when bytes are written: what is buffered may be sent.
    pub(super) credit: SendCredit,
    fin: Fin,
    reset: Option<Reset>,
    /// A write found no credit of the stream's.
    blocked: bool,
}

impl SendPart {
    pub(super) fn new(limit: u64) -> Self {
        let credit = SendCredit::new(limit);
        Self { buffer: SendBuffer::default(), credit, fin: Fin::Open, reset: None, blocked: false }
    }

    pub(super) fn state(&self) -> SendState {
        match (&self.reset, self.fin) {
            (Some(reset), _) if reset.delivery == Delivery::Acked => SendState::ResetReceived,
            (Some(_), _) => SendState::ResetSent,
            (None, Fin::Acked) if self.buffer.is_acked() => SendState::DataReceived,
            (None, Fin::InFlight | Fin::Lost | Fin::Acked) => SendState::DataSent,
            (None, Fin::Open | Fin::Due) if self.buffer.sent() > 0 || self.credit.has_reported() => SendState::Send,
            (None, Fin::Open | Fin::Due) => SendState::Ready,
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        matches!(self.state(), SendState::DataReceived | SendState::ResetReceived)
    }

    /// Why the caller may not write, where that is so.
    pub(super) fn check_open(&self) -> Result<(), WriteError> {
        match (&self.reset, self.fin) {
            (Some(Reset { stopped: true, code, .. }), _) => Err(WriteError::Stopped(*code)),
            (Some(_), _) => Err(WriteError::Reset),
            (None, Fin::Open) => Ok(()),
            (None, _) => Err(WriteError::Finished),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.check_open().is_ok()
    }

    pub(super) fn finish(&mut self) -> Result<(), WriteError> {
        self.check_open()?;
        self.fin = Fin::Due;
        self.blocked = false;
        Ok(())
    }

    /// A write found no credit of the stream's.
    pub(super) fn set_blocked(&mut self) {
        self.blocked = true;
    }

    /// Whether a write waits for credit of the stream's.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// A limit from the peer. Returns whether a writer waited for it.
    pub(super) fn raise_limit(&mut self, limit: u64) -> bool {
        self.credit.raise(limit) && core::mem::take(&mut self.blocked)
    }

    pub(super) fn pending(&self) -> Pending {
        if self.reset.is_some() {
            Pending::Nothing
        } else if self.buffer.has_lost() || self.fin == Fin::Lost {
            Pending::Lost
        } else if self.buffer.unsent() > 0 || self.fin == Fin::Due {
            Pending::New
        } else {
            Pending::Nothing
        }
    }

    /// Takes what fits into `room` bytes, header included, as sent.
    pub(super) fn take_chunk(&mut self, id: StreamId, room: usize) -> Option<Chunk> {
        let next = self.buffer.next();
        let left = next.end - next.start;
        let offset_len = if next.start > 0 { varint::len(next.start) } else { 0 };
        let header_len = 1 + varint::len(id.0) + offset_len + 2;
        let space = room.checked_sub(header_len)?.min(MAX_CHUNK);
        let len = usize::try_from(left).map_or(space, |left| left.min(space));
        if (len as u64) < left && len < MIN_SPLIT {
            return None;
        }
        self.buffer.take(len as u64);
        let fin = self.fin != Fin::Open && next.start + len as u64 == self.buffer.end();
        if fin && self.fin != Fin::Acked {
            self.fin = Fin::InFlight;
        }
        Some(Chunk { id, offset: next.start, len, fin })
    }

    /// Returns whether that makes everything acknowledged.
    pub(super) fn on_acked(&mut self, chunk: &Chunk) -> bool {
        if self.reset.is_some() || self.is_terminal() {
            return false;
        }
        self.buffer.on_acked(chunk.range());
        if chunk.fin {
            self.fin = Fin::Acked;
        }
        self.is_terminal()
    }

    pub(super) fn on_lost(&mut self, chunk: &Chunk) {
        // RFC 9000 section 3.1: after a reset, data is not sent again.
        if self.reset.is_some() {
            return;
        }
        self.buffer.on_lost(chunk.range());
        if chunk.fin && self.fin == Fin::InFlight {
            self.fin = Fin::Lost;
        }
    }

    /// Ends the stream abruptly. Returns how many bytes were never sent, whose credit is free again; `None` where
    /// the stream is over or reset already.
    pub(super) fn reset(&mut self, code: u64, stopped: bool) -> Option<u64> {
        if self.reset.is_some() || self.is_terminal() {
            return None;
        }
        let unsent = self.buffer.unsent();
        self.buffer.clear();
        self.blocked = false;
        self.reset = Some(Reset { code, stopped, delivery: Delivery::Due });
        Some(unsent)
    }

    /// The code of the STOP_SENDING that ended the stream.
    pub(super) fn stop_code(&self) -> Option<u64> {
        self.reset.as_ref().filter(|reset| reset.stopped).map(|reset| reset.code)
    }

    /// Whether the stream was reset.
    pub(super) fn is_reset(&self) -> bool {
        self.reset.is_some()
    }

    fn reset_due(&self) -> bool {
        self.reset.as_ref().is_some_and(|reset| reset.delivery == Delivery::Due)
    }

    /// RFC 9000 section 4.1: blocked, and everything that the limit allows was sent.
    fn blocked_due(&self) -> bool {
        self.blocked && self.buffer.unsent() == 0 && self.credit.report_due()
    }

    pub(super) fn has_control(&self) -> bool {
        self.reset_due() || self.blocked_due()
    }

    /// Takes a control frame as sent.
    pub(super) fn next_control(&mut self, id: StreamId) -> Option<Control> {
        if self.blocked_due() {
            return Some(Control::StreamDataBlocked { id, limit: self.credit.report() });
        }
        let final_size = self.buffer.sent();
        let reset = self.reset.as_mut().filter(|reset| reset.delivery == Delivery::Due)?;
        reset.delivery = Delivery::InFlight;
        Some(Control::ResetStream { id, code: reset.code, final_size })
    }

    pub(super) fn on_reset_acked(&mut self) {
        if let Some(reset) = &mut self.reset {
            reset.delivery = Delivery::Acked;
        }
    }

    pub(super) fn on_reset_lost(&mut self) {
        if let Some(reset) = &mut self.reset {
            reset.delivery.on_lost();
        }
    }
}
