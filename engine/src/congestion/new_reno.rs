//! NewReno (RFC 9002 section 7.3 and appendix B).

use super::{Controller, RttView, initial_window, minimum_window};
use crate::wire::Time;

/// The controller that RFC 9002 specifies.
#[derive(Clone, Debug)]
pub struct NewReno {
    mtu: u64,
    window: u64,
    ssthresh: Option<u64>,
    /// When the recovery period began. It ends for what was sent later.
    recovery_start: Option<Time>,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    acked: u64,
    /// Nothing has moved the window yet.
    initial: bool,
}

impl NewReno {
    /// A controller in slow start, for a path that takes datagrams of `mtu` bytes.
    #[must_use]
    pub fn new(mtu: u64) -> Self {
        let mtu = mtu.max(1);
        Self { mtu, window: initial_window(mtu), ssthresh: None, recovery_start: None, acked: 0, initial: true }
    }

    fn in_recovery(&self, sent_time: Time) -> bool {
        self.recovery_start.is_some_and(|start| sent_time <= start)
    }
}

impl Controller for NewReno {
    fn on_sent(&mut self, _now: Time, _bytes: u64, _bytes_in_flight: u64) {}

    fn on_acked(&mut self, _now: Time, sent_time: Time, bytes: u64, app_limited: bool, _rtt: RttView) {
        // RFC 9002 sections 7.8 and 7.3.2.
        if app_limited || self.in_recovery(sent_time) {
            return;
        }
        self.initial = false;
        if self.ssthresh.is_none_or(|ssthresh| self.window < ssthresh) {
            self.window = self.window.saturating_add(bytes);
            return;
        }
        // RFC 9002 section 7.3.3: one datagram for each window acknowledged, counted as in RFC 3465 section 2.1.
        self.acked = self.acked.saturating_add(bytes);
        if self.acked >= self.window {
            self.acked -= self.window;
            self.window = self.window.saturating_add(self.mtu);
        }
    }

    fn on_congestion(&mut self, now: Time, sent_time: Time, _lost_bytes: u64, persistent: bool, _by_ecn: bool) {
        if !self.in_recovery(sent_time) {
            // RFC 9002 section 7.3.2: half the window, once in a round trip.
            let half = self.window / 2;
            self.recovery_start = Some(now);
            self.ssthresh = Some(half);
            self.window = half.max(minimum_window(self.mtu));
            self.acked = 0;
            self.initial = false;
        }
        if persistent {
            // RFC 9002 section 7.6.2: back to slow start.
            self.window = minimum_window(self.mtu);
            self.recovery_start = None;
            self.acked = 0;
        }
    }

    fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu.max(1);
        // RFC 9002 section 7.2: the initial window is recalculated; a window that has moved stays.
        self.window = if self.initial { initial_window(self.mtu) } else { self.window.max(minimum_window(self.mtu)) };
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn ssthresh(&self) -> Option<u64> {
        self.ssthresh
    }
}
