//! Credit, of a stream and of the connection (RFC 9000 sections 4.1 and 4.2).
//!
//! Both levels count alike, so one type serves both: [`ReceiveWindow`] is the credit that we give and
//! [`SendCredit`] the credit that we have. Window auto-tuning belongs in [`ReceiveWindow::window`].

use crate::wire::varint;

/// Credit given to the peer. `consumed <= received <= limit`, always.
#[derive(Clone, Debug)]
pub(super) struct ReceiveWindow {
    /// How far `limit` may run ahead of `consumed`.
    window: u64,
    /// A stream's largest offset; for the connection, the sum of those.
    received: u64,
    /// What left our buffers: read, or dropped with a reset or a stop.
    consumed: u64,
    /// The largest limit announced so far.
    limit: u64,
    /// The announcement of `limit` did not arrive, or the peer says that it waits.
    repeat: bool,
}

impl ReceiveWindow {
    pub(super) fn new(window: u64) -> Self {
        let window = window.min(varint::MAX);
        Self { window, received: 0, consumed: 0, limit: window, repeat: false }
    }

    pub(super) fn window(&self) -> u64 {
        self.window
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Whether the peer may send `more` new bytes.
    pub(super) fn admits(&self, more: u64) -> bool {
        more <= self.limit.saturating_sub(self.received)
    }

    pub(super) fn on_received(&mut self, more: u64) {
        debug_assert!(self.admits(more));
        self.received = self.received.saturating_add(more);
    }

    pub(super) fn on_consumed(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes);
        debug_assert!(self.consumed <= self.received);
    }

    /// The limit that could be announced now.
    fn next_limit(&self) -> u64 {
        self.consumed.saturating_add(self.window).min(varint::MAX)
    }

    /// Whether an announcement is due: half of the window was consumed since the last one, so that updates are
    /// few (RFC 9000 section 4.2), or the last one has to be repeated.
    pub(super) fn update_due(&self) -> bool {
        let increment = self.next_limit().saturating_sub(self.limit);
        self.repeat || (increment > 0 && increment >= self.window / 2)
    }

    /// The limit to announce, which counts as announced from now on.
    pub(super) fn announce(&mut self) -> u64 {
        self.repeat = false;
        self.limit = self.limit.max(self.next_limit());
        self.limit
    }

    /// The announcement of `limit` was lost: sent again unless a larger one followed (RFC 9000 section 13.3).
    pub(super) fn on_announcement_lost(&mut self, limit: u64) {
        self.repeat |= limit == self.limit;
    }

    /// The peer cannot send past `limit`: what can be given is given now.
    pub(super) fn on_peer_blocked(&mut self, limit: u64) {
        self.repeat |= limit == self.limit && self.next_limit() > self.limit;
    }
}

/// Credit that the peer gave. `used <= limit`, always.
#[derive(Clone, Debug)]
pub(super) struct SendCredit {
    limit: u64,
    used: u64,
    /// The limit that the last BLOCKED frame named.
    reported: Option<u64>,
}

impl SendCredit {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: 0, reported: None }
    }

    pub(super) fn available(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    pub(super) fn take(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.available());
        self.used = self.used.saturating_add(bytes);
    }

    /// Gives back credit that was taken for bytes that were never sent.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// A limit from the peer. One that does not raise it is ignored (RFC 9000 section 4.1).
    pub(super) fn raise(&mut self, limit: u64) -> bool {
        let raised = limit > self.limit;
        self.limit = self.limit.max(limit);
        raised
    }

    /// Whether a blocked sender has yet to report the limit that blocks it.
    pub(super) fn report_due(&self) -> bool {
        self.available() == 0 && self.reported != Some(self.limit)
    }

    pub(super) fn has_reported(&self) -> bool {
        self.reported.is_some()
    }

    /// The limit for a BLOCKED frame, which counts as sent from now on.
    pub(super) fn report(&mut self) -> u64 {
        self.reported = Some(self.limit);
        self.limit
    }

    pub(super) fn on_report_lost(&mut self, limit: u64) {
        if self.reported == Some(limit) {
            self.reported = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_due_at_half_of_the_window() {
        let mut window = ReceiveWindow::new(100);
        window.on_received(100);
        assert!(!window.admits(1));
        window.on_consumed(49);
        assert!(!window.update_due());
        window.on_consumed(1);
        assert!(window.update_due());
        assert_eq!(window.announce(), 150);
        assert!(!window.update_due());
    }

    #[test]
    fn only_the_latest_announcement_is_repeated() {
        let mut window = ReceiveWindow::new(10);
        window.on_received(10);
        window.on_consumed(5);
        assert_eq!(window.announce(), 15);
        window.on_consumed(5);
        assert_eq!(window.announce(), 20);
        window.on_announcement_lost(15);
        assert!(!window.update_due());
        window.on_announcement_lost(20);
        assert!(window.update_due());
        assert_eq!(window.announce(), 20);
    }

    #[test]
    fn no_window_is_never_due_and_no_limit_passes_the_largest_integer() {
        assert!(!ReceiveWindow::new(0).update_due());
        let mut window = ReceiveWindow::new(u64::MAX);
        window.on_received(7);
        window.on_consumed(7);
        assert!(!window.update_due());
        assert_eq!(window.announce(), varint::MAX);
    }

    #[test]
    fn a_limit_is_reported_once() {
        let mut credit = SendCredit::new(3);
        credit.take(3);
        assert!(credit.report_due());
        assert_eq!(credit.report(), 3);
        assert!(!credit.report_due());
        credit.on_report_lost(2);
        assert!(!credit.report_due());
        credit.on_report_lost(3);
        assert!(credit.report_due());
        assert!(credit.raise(4) && !credit.raise(4) && !credit.report_due());
    }
}
