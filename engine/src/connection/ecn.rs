//! Explicit congestion notification: marks out, what the peer counts back in (RFC 9000 section 13.4).

use super::Connection;
use crate::diagnostics::{self, TraceEvent};
use crate::path::EcnState;
use crate::recovery::{AckOutcome, EcnReport};
use crate::wire::{EcnCounts, Space, Time};

impl Connection {
    /// The ECN counts of an ACK frame that was taken (RFC 9002 section 7.1 and appendix A.7).
    pub(super) fn on_ecn_counts(&mut self, now: Time, space: Space, counts: Option<EcnCounts>, outcome: &AckOutcome) {
        match self.recovery.on_ecn_counts(space, counts, outcome) {
            EcnReport::Old => {}
            EcnReport::Invalid => self.change_ecn(|path| path.on_marks_contradicted()),
            EcnReport::Valid { ce } => {
                if outcome.marked_acked > 0 {
                    self.change_ecn(|path| path.on_marks_confirmed());
                }
                if ce > 0 && self.paths.active().ecn_state() == EcnState::Capable {
                    self.on_congestion_experienced(now, outcome);
                }
            }
        }
    }

    /// RFC 9002 appendix B.7.
    fn on_congestion_experienced(&mut self, now: Time, outcome: &AckOutcome) {
        let Some(sent_time) = outcome.largest_sent_time else { return };
        let window = self.congestion.window();
        self.congestion.on_congestion(now, sent_time, 0, false, true);
        self.stats.congestion_events += u64::from(self.congestion.window() < window);
        if let Some(trace) = &mut self.trace {
            trace.on_ecn_ce();
        }
    }

    /// Marked packets were lost.
    pub(super) fn on_marked_lost(&mut self, packets: u64) {
        if packets > 0 {
            self.change_ecn(|path| path.on_marked_lost(packets));
        }
    }

    /// Changes what is known of ECN on the path in use, and records it.
    pub(super) fn change_ecn(&mut self, change: impl FnOnce(&mut crate::path::Path)) {
        let path = self.paths.active_mut();
        let old = path.ecn_state();
        change(path);
        let new = path.ecn_state();
        if old != new
            && let Some(new) = traced(new)
        {
            self.tell(&TraceEvent::EcnStateUpdated { old: traced(old), new });
        }
    }
}

const fn traced(state: EcnState) -> Option<diagnostics::EcnState> {
    match state {
        EcnState::Off => None,
        EcnState::Testing => Some(diagnostics::EcnState::Testing),
        EcnState::Unknown => Some(diagnostics::EcnState::Unknown),
        EcnState::Failed => Some(diagnostics::EcnState::Failed),
        EcnState::Capable => Some(diagnostics::EcnState::Capable),
    }
}
