//! What a peer may make us do for nothing: frames that achieve nothing, packets that wait for keys.

use super::Connection;
use crate::error::TransportError;
use crate::flood::GlitchBudget;
use crate::packet::Frame;
use crate::wire::{Level, Time};

/// Packets that may wait for their keys, all together, and their bytes: a flight that overtook the handshake.
const MAX_UNDECRYPTABLE: usize = 8;
const MAX_UNDECRYPTABLE_BYTES: usize = 16 << 10;

/// Frames in a packet are for free where they have this many bytes each, and 64 in any case.
const HONEST_FRAME_LEN: usize = 18;
const FRAMES_FOR_FREE: u64 = 64;

/// The glitches of a connection.
#[derive(Debug)]
pub(super) struct Glitches {
    budget: GlitchBudget,
    /// Those that were not charged yet.
    noted: u64,
}

impl Glitches {
    pub(super) const fn new(budget: GlitchBudget) -> Self {
        Self { budget, noted: 0 }
    }

    /// Something happened that costs us more than the peer.
    pub(super) const fn note(&mut self) {
        self.noted += 1;
    }

    /// Notes what a frame costs by its kind alone.
    pub(super) fn note_frame(&mut self, level: Level, frame: &Frame<'_>) {
        self.noted += match frame {
            Frame::Ping
            | Frame::ResetStream { .. }
            | Frame::StopSending { .. }
            | Frame::NewConnectionId { .. }
            | Frame::RetireConnectionId { .. }
            | Frame::PathChallenge(_)
            | Frame::PathResponse(_)
            | Frame::NewToken { .. }
            | Frame::HandshakeDone => 1,
            Frame::Crypto { .. } => u64::from(level == Level::OneRtt),
            Frame::Stream { fin: false, data: [], .. } => 1,
            Frame::Ack(ack) => ack.range_count() / 256,
            _ => 0,
        };
    }
}

impl Connection {
    /// Charges what the frames of a packet, `frames` of them in `len` bytes, cost beyond their use (RFC 9000 section
    /// 21.9).
    pub(super) fn charge_glitches(&mut self, now: Time, frames: u64, len: usize) -> Result<(), TransportError> {
        let tiny = frames.saturating_sub(FRAMES_FOR_FREE.max((len / HONEST_FRAME_LEN) as u64));
        let noted = core::mem::take(&mut self.glitches.noted);
        let glitches = noted + self.streams.take_glitches() + tiny.div_ceil(FRAMES_FOR_FREE);
        if glitches == 0 || self.glitches.budget.charge(now, glitches) {
            Ok(())
        } else {
            Err(Self::protocol_violation("too many frames that achieve nothing"))
        }
    }

    /// Whether a packet of this size, whose keys may come, is kept until then (RFC 9001 section 5.7).
    pub(super) fn may_wait_for_keys(&self, len: usize) -> bool {
        let waiting: usize = self.undecryptable.iter().map(|(packet, _)| packet.len()).sum();
        !self.handshake.is_complete()
            && self.undecryptable.len() < MAX_UNDECRYPTABLE
            && waiting + len <= MAX_UNDECRYPTABLE_BYTES
    }
}
