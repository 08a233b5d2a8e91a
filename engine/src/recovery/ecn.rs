//! What the peer reports of our ECN marks (RFC 9000 section 13.4.2.1).

use crate::wire::EcnCounts;

/// What the ECN counts of an ACK frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcnReport {
    /// The frame is not newer than another: it says nothing.
    Old,
    /// The counts agree with what was sent; so many more packets met congestion.
    Valid {
        /// By how much the count of ECN-CE has grown.
        ce: u64,
    },
    /// Marks were removed or changed on the way, or the peer does not count.
    Invalid,
}

/// The marks of one packet number space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// Packets sent with ECT(0).
    sent: u64,
    /// The newest counts.
    reported: EcnCounts,
}

impl Marks {
    pub(super) const fn on_sent(&mut self) {
        self.sent += 1;
    }

    /// Takes the counts of an ACK frame that newly acknowledges `acked` packets with ECT(0) and is the newest.
    pub(super) fn on_counts(&mut self, counts: Option<EcnCounts>, acked: u64) -> EcnReport {
        let Some(counts) = counts else {
            // RFC 9000 section 13.4.2.1: marked packets are acknowledged with counts.
            return if acked > 0 { EcnReport::Invalid } else { EcnReport::Valid { ce: 0 } };
        };
        let last = core::mem::replace(&mut self.reported, counts);
        let fell = counts.ect0 < last.ect0 || counts.ce < last.ce;
        let (ect0, ce) = (counts.ect0.saturating_sub(last.ect0), counts.ce.saturating_sub(last.ce));
        let too_few = ect0.saturating_add(ce) < acked;
        let too_many = counts.ect0.saturating_add(counts.ce) > self.sent;
        // We never send ECT(1).
        if fell || too_few || too_many || counts.ect1 > 0 { EcnReport::Invalid } else { EcnReport::Valid { ce } }
    }
}
