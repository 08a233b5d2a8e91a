//! Whether ECN marks survive a path (RFC 9000 section 13.4.2 and appendix A.4).

use crate::wire::{Ecn, Time};

/// How many datagrams are marked before the peer has said that marks arrive.
const TESTING_DATAGRAMS: u32 = 10;
/// For how many PTO periods they are: a path that drops what is marked does not hold the handshake up for longer.
const TESTING_PERIODS: u64 = 3;

/// What is known of ECN on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnState {
    /// The settings forbid to mark.
    Off,
    /// The first datagrams are marked to find out.
    Testing,
    /// They were sent, and nothing was heard of them.
    Unknown,
    /// Marks do not survive the path, or the peer does not tell of them: nothing is marked any more.
    Failed,
    /// Marks arrive, and so will reports of congestion.
    Capable,
}

/// The validation of ECN on a path.
#[derive(Clone, Copy, Debug)]
pub struct EcnValidation {
    state: EcnState,
    datagrams: u32,
    since: Option<Time>,
    /// Packets that were marked, and those of them that were lost.
    packets: u64,
    lost: u64,
}

impl EcnValidation {
    pub(super) const fn new() -> Self {
        Self { state: EcnState::Testing, datagrams: 0, since: None, packets: 0, lost: 0 }
    }

    pub(super) const fn state(&self) -> EcnState {
        self.state
    }

    pub(super) const fn disable(&mut self) {
        self.state = EcnState::Off;
    }

    /// How the next datagram is marked.
    pub(super) const fn mark(&self) -> Ecn {
        match self.state {
            EcnState::Testing | EcnState::Capable => Ecn::Ect0,
            EcnState::Off | EcnState::Unknown | EcnState::Failed => Ecn::NotEct,
        }
    }

    /// A datagram of `packets` packets was sent as [`mark`](Self::mark) has it.
    pub(super) fn on_sent(&mut self, now: Time, packets: u64, pto: u64) {
        if self.state != EcnState::Testing {
            return;
        }
        self.packets += packets;
        self.datagrams += 1;
        let until = self.since.get_or_insert(now).saturating_add(pto.saturating_mul(TESTING_PERIODS));
        if self.datagrams >= TESTING_DATAGRAMS || now >= until {
            self.state = EcnState::Unknown;
        }
    }

    /// An ACK frame acknowledged marked packets, and its counts agree.
    pub(super) const fn on_confirmed(&mut self) {
        if matches!(self.state, EcnState::Testing | EcnState::Unknown) {
            self.state = EcnState::Capable;
        }
    }

    /// An ACK frame has counts that cannot be.
    pub(super) const fn on_contradicted(&mut self) {
        if !matches!(self.state, EcnState::Off) {
            self.state = EcnState::Failed;
        }
    }

    /// Marked packets were lost. When that becomes of all of them, the path may drop what is marked.
    pub(super) const fn on_lost(&mut self, packets: u64) {
        self.lost = self.lost.saturating_add(packets);
        if matches!(self.state, EcnState::Unknown) && self.lost >= self.packets {
            self.state = EcnState::Failed;
        }
    }
}
