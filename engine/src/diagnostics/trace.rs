//! From the connection to its logs.

use alloc::string::String;
use core::time::Duration;

use super::event::{BlockedReason, CongestionState, Importance, TraceEvent};
use super::qlog::{Origin, Qlog, QlogSettings};
use super::snapshot::{Cause, Signals, Snapshot, congestion_state};
use super::text_log::{TextLog, TextLogSettings};
use crate::wire::{ConnectionId, Side, Time};

/// What a connection records of itself: each event once, in as many renderings as were asked for.
#[derive(Debug)]
pub struct Trace {
    side: Side,
    start: Time,
    now: Time,
    qlog: Option<Qlog>,
    text: Option<TextLog>,
    last: Option<Snapshot>,
    congestion: Option<CongestionState>,
    signals: Signals,
    blocked: Option<BlockedReason>,
}

impl Trace {
    /// Starts the logs that are asked for; `None` where none is.
    #[must_use]
    pub fn new(
        qlog: Option<QlogSettings>,
        text: Option<TextLogSettings>,
        side: Side,
        original: ConnectionId,
        now: Time,
        unix_time: Duration,
    ) -> Option<Self> {
        let origin = Origin { side, original, unix_time };
        let (qlog, text) =
            (qlog.map(|settings| Qlog::new(settings, &origin)), text.map(|settings| TextLog::new(settings, origin)));
        if qlog.is_none() && text.is_none() {
            return None;
        }
        let signals = Signals::default();
        Some(Self { side, start: now, now, qlog, text, last: None, congestion: None, signals, blocked: None })
    }

    /// Notes the time of the events that follow.
    pub fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// Records an event that happens now.
    pub fn record(&mut self, event: &TraceEvent<'_>) {
        let (time, importance) = (self.now.saturating_sub(self.start), event.importance());
        if let Some(qlog) = self.qlog.as_mut().filter(|qlog| importance <= qlog.settings.importance) {
            qlog.event(time, event);
        }
        if let Some(text) = self.text.as_mut().filter(|text| importance <= text.settings.importance) {
            text.event(time, event);
        }
    }

    /// Whether events of this importance are recorded.
    #[must_use]
    pub fn wants(&self, importance: Importance) -> bool {
        self.qlog.as_ref().is_some_and(|qlog| importance <= qlog.settings.importance)
            || self.text.as_ref().is_some_and(|text| importance <= text.settings.importance)
    }

    /// Packets were lost, and congestion control heard of it.
    pub fn on_losses(&mut self, persistent: bool) {
        self.signals.lost = true;
        self.signals.persistent |= persistent;
    }

    /// Congestion control heard of ECN-CE marks.
    pub fn on_ecn_ce(&mut self) {
        self.signals.ecn = true;
    }

    /// What there is to send waits for `reason`; with none, it goes out, or there is nothing.
    pub fn on_blocked(&mut self, reason: Option<BlockedReason>) {
        let old = core::mem::replace(&mut self.blocked, reason);
        if old != reason {
            self.record(&TraceEvent::ConnectionDataBlockedUpdated { old, new: reason });
        }
    }

    /// Records what has changed since the last look at the connection.
    pub fn look(&mut self, snapshot: Snapshot, cause: Cause) {
        let last = self.last.take();
        if last.as_ref() != Some(&snapshot) {
            let (side, now) = (self.side, self.now);
            snapshot.changes(last.as_ref(), side, now, cause, &mut |event| self.record(event));
        }
        let signals = core::mem::take(&mut self.signals);
        // Recovery ends with the window's next growth.
        let window = |snapshot: &Snapshot| snapshot.metrics.congestion_window;
        let grown = last.as_ref().is_some_and(|last| window(last) < window(&snapshot));
        let (old, metrics) = (self.congestion, &snapshot.metrics);
        let (new, trigger) = congestion_state(old, metrics, signals, grown);
        if old != Some(new) {
            self.congestion = Some(new);
            self.record(&TraceEvent::CongestionStateUpdated { old, new, trigger });
        }
        self.last = Some(snapshot);
    }

    /// Takes the records of qlog that are there.
    pub fn take_qlog(&mut self) -> Option<String> {
        self.qlog.as_mut()?.records.take()
    }

    /// Takes the lines of the text log that are there.
    pub fn take_text(&mut self) -> Option<String> {
        self.text.as_mut()?.records.take()
    }

    /// How many events were dropped because a log was not taken in time.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.qlog.as_ref().map_or(0, |qlog| qlog.records.dropped())
            + self.text.as_ref().map_or(0, |text| text.records.dropped())
    }

    /// The bytes that wait.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.qlog.as_ref().map_or(0, |qlog| qlog.records.memory_used())
            + self.text.as_ref().map_or(0, |text| text.records.memory_used())
    }
}
