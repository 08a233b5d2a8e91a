//! The state of a connection at one moment, and the events that lead from one to the next.
//!
//! States, figures, keys and timers change in many places. Rather than to tell of each change where it is made, the
//! connection is looked at after every input, and what differs becomes events.

use super::event::{
    CongestionState, CongestionTrigger, ConnectionState, Initiator, KeyTrigger, KeyType, Metrics, TimerChange,
    TimerType, TraceEvent,
};
use crate::wire::{ConnectionId, FourTuple, Side, Space, Time, Version};

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The path in use.
    pub path: FourTuple,
    /// The peer's connection ID in use.
    pub remote_id: ConnectionId,
    /// The version in use.
    pub version: Version,
    /// The largest datagram.
    pub mtu: u64,
    /// The states that were reached.
    pub reached: [bool; ConnectionState::ALL.len()],
    /// The figures.
    pub metrics: Metrics,
    /// The keys that are there: for each level what we send with, and what we receive with.
    pub keys: Keys,
    /// Loss detection's timer, its space, and when it is due.
    pub loss_timer: Option<(TimerType, Space, Time)>,
}

/// Which keys are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Both directions of Initial packets.
    pub initial: bool,
    /// Handshake packets that we send.
    pub handshake_local: bool,
    /// Handshake packets that the peer sends.
    pub handshake_remote: bool,
    /// 0-RTT packets, which the client sends.
    pub zero_rtt: bool,
    /// 1-RTT packets in both directions, and the number of updates.
    pub one_rtt: Option<u64>,
    /// The keys from before the last update are kept, for late packets.
    pub previous: bool,
}

/// The input that a look at the connection follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A command of the caller, or sending.
    Local,
    /// A datagram.
    Received,
    /// The passing of time.
    Timeout,
}

/// What congestion control heard since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Signals {
    pub(super) lost: bool,
    pub(super) persistent: bool,
    pub(super) ecn: bool,
}

impl Snapshot {
    /// Tells of everything that differs from `old`; without one, of everything.
    pub(super) fn changes(
        &self,
        old: Option<&Self>,
        side: Side,
        now: Time,
        cause: Cause,
        tell: &mut impl FnMut(&TraceEvent<'_>),
    ) {
        if let Some(old) = old {
            if old.version != self.version {
                let chosen = Some(self.version);
                tell(&TraceEvent::VersionInformation { server: &[], client: &[], chosen });
            }
            if old.path != self.path {
                tell(&TraceEvent::PathAssigned { path: self.path });
            }
            if old.remote_id != self.remote_id {
                let (old, new) = (old.remote_id, self.remote_id);
                tell(&TraceEvent::ConnectionIdUpdated { initiator: Initiator::Remote, old, new });
            }
        }
        self.keys.changes(old.map(|old| old.keys).unwrap_or_default(), side, cause, tell);
        self.states(old, tell);
        if let Some(old) = old.filter(|old| old.mtu != self.mtu) {
            tell(&TraceEvent::MtuUpdated { old: old.mtu, new: self.mtu });
        }
        let before = old.map(|old| old.metrics).unwrap_or_default();
        if before != self.metrics {
            tell(&TraceEvent::MetricsUpdated(changed(&before, &self.metrics)));
        }
        self.timers(old, now, cause, tell);
    }

    fn states(&self, old: Option<&Self>, tell: &mut impl FnMut(&TraceEvent<'_>)) {
        let before = |index: usize| old.is_some_and(|old| old.reached.get(index).copied().unwrap_or(false));
        let states = ConnectionState::ALL.into_iter().enumerate();
        let mut previous = states.clone().filter(|(index, _)| before(*index)).map(|(_, state)| state).next_back();
        for (index, new) in states {
            if self.reached.get(index).copied().unwrap_or(false) && !before(index) {
                tell(&TraceEvent::ConnectionStateUpdated { old: previous, new });
                previous = Some(new);
            }
        }
    }

    fn timers(&self, old: Option<&Self>, now: Time, cause: Cause, tell: &mut impl FnMut(&TraceEvent<'_>)) {
        let gone = |due: Time| {
            if cause == Cause::Timeout && due <= now { TimerChange::Expired } else { TimerChange::Cancelled }
        };
        let before = old.and_then(|old| old.loss_timer);
        if before != self.loss_timer {
            let kept = |(timer, space, _): (TimerType, Space, Time)| {
                self.loss_timer.is_some_and(|(new, of, _)| (new, of) == (timer, space))
            };
            // A timer that is set anew need not be cancelled first.
            if let Some((timer, space, due)) = before
                && (!kept((timer, space, due)) || gone(due) == TimerChange::Expired)
            {
                tell(&TraceEvent::TimerUpdated { timer, space, change: gone(due) });
            }
            if let Some((timer, space, due)) = self.loss_timer {
                let change = TimerChange::Set(due.saturating_sub(now));
                tell(&TraceEvent::TimerUpdated { timer, space, change });
            }
        }
    }
}

impl Keys {
    fn changes(self, old: Self, side: Side, cause: Cause, tell: &mut impl FnMut(&TraceEvent<'_>)) {
        let (us, peer) = (side, side.peer());
        let pairs = [
            (KeyType::Initial(us), old.initial, self.initial),
            (KeyType::Initial(peer), old.initial, self.initial),
            (KeyType::Handshake(us), old.handshake_local, self.handshake_local),
            (KeyType::Handshake(peer), old.handshake_remote, self.handshake_remote),
            (KeyType::ZeroRtt(Side::Client), old.zero_rtt, self.zero_rtt),
        ];
        let (phase, trigger) = (None, KeyTrigger::Tls);
        for (key, before, after) in pairs {
            match (before, after) {
                (false, true) => tell(&TraceEvent::KeyUpdated { key, phase, trigger }),
                (true, false) => tell(&TraceEvent::KeyDiscarded { key, phase, trigger }),
                _ => {}
            }
        }
        let both = [KeyType::OneRtt(us), KeyType::OneRtt(peer)];
        if old.one_rtt != self.one_rtt
            && let Some(generation) = self.one_rtt
        {
            let trigger = match (old.one_rtt, cause) {
                (None, _) => KeyTrigger::Tls,
                (Some(_), Cause::Received) => KeyTrigger::RemoteUpdate,
                (Some(_), Cause::Local | Cause::Timeout) => KeyTrigger::LocalUpdate,
            };
            for key in both {
                tell(&TraceEvent::KeyUpdated { key, phase: Some(generation), trigger });
            }
        }
        if let Some(generation) = old.one_rtt
            && old.previous
            && !self.previous
        {
            // Only the peer's are kept through an update.
            let phase = generation.checked_sub(1);
            tell(&TraceEvent::KeyDiscarded { key: KeyType::OneRtt(peer), phase, trigger: KeyTrigger::LocalUpdate });
        }
    }
}

/// The figures of `new` that differ from those of `old`.
fn changed(old: &Metrics, new: &Metrics) -> Metrics {
    let differs = |old: Option<u64>, new: Option<u64>| new.filter(|_| old != new);
    Metrics {
        min_rtt: differs(old.min_rtt, new.min_rtt),
        smoothed_rtt: differs(old.smoothed_rtt, new.smoothed_rtt),
        latest_rtt: differs(old.latest_rtt, new.latest_rtt),
        rtt_variance: differs(old.rtt_variance, new.rtt_variance),
        pto_count: differs(old.pto_count, new.pto_count),
        congestion_window: differs(old.congestion_window, new.congestion_window),
        bytes_in_flight: differs(old.bytes_in_flight, new.bytes_in_flight),
        ssthresh: differs(old.ssthresh, new.ssthresh),
    }
}

/// The phase of congestion control, as far as the window and the threshold tell, and what has moved it.
pub(super) fn congestion_state(
    old: Option<CongestionState>,
    metrics: &Metrics,
    signals: Signals,
    reset: bool,
) -> (CongestionState, Option<CongestionTrigger>) {
    let below = metrics.ssthresh.is_none_or(|threshold| metrics.congestion_window.unwrap_or(0) < threshold);
    let growing = if below { CongestionState::SlowStart } else { CongestionState::CongestionAvoidance };
    if signals.persistent {
        (CongestionState::SlowStart, Some(CongestionTrigger::PersistentCongestion))
    } else if signals.ecn {
        (CongestionState::Recovery, Some(CongestionTrigger::Ecn))
    } else if signals.lost {
        (CongestionState::Recovery, Some(CongestionTrigger::Loss))
    } else if old == Some(CongestionState::Recovery) && !reset {
        (CongestionState::Recovery, None)
    } else {
        (growing, None)
    }
}
