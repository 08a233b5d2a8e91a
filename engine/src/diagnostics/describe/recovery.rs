//! Loss detection and congestion control.

use super::super::event::{
    CongestionState, CongestionTrigger, EcnState, Metrics, RecoveryParameters, TimerChange, TimerType,
};
use super::super::fields::Fields;
use super::space as space_name;
use crate::wire::Space;

pub(super) fn parameters(parameters: &RecoveryParameters, f: &mut Fields<'_>) {
    f.number("reordering_threshold", parameters.reordering_threshold);
    // 9/8 (RFC 9002 section 6.1.2).
    f.literal("time_threshold", "1.125");
    f.number("timer_granularity", parameters.timer_granularity / 1_000_000);
    f.millis("initial_rtt", parameters.initial_rtt);
    f.number("max_datagram_size", parameters.max_datagram_size);
    f.number("initial_congestion_window", parameters.initial_congestion_window);
    f.number("minimum_congestion_window", parameters.minimum_congestion_window);
    f.number("persistent_congestion_threshold", parameters.persistent_congestion_threshold);
}

pub(super) fn metrics(metrics: &Metrics, f: &mut Fields<'_>) {
    f.millis_if("min_rtt", metrics.min_rtt);
    f.millis_if("smoothed_rtt", metrics.smoothed_rtt);
    f.millis_if("latest_rtt", metrics.latest_rtt);
    f.millis_if("rtt_variance", metrics.rtt_variance);
    f.number_if("pto_count", metrics.pto_count);
    f.number_if("congestion_window", metrics.congestion_window);
    f.number_if("bytes_in_flight", metrics.bytes_in_flight);
    f.number_if("ssthresh", metrics.ssthresh);
}

const fn congestion_state(state: CongestionState) -> &'static str {
    match state {
        CongestionState::SlowStart => "slow_start",
        CongestionState::CongestionAvoidance => "congestion_avoidance",
        CongestionState::Recovery => "recovery",
    }
}

pub(super) fn congestion(
    old: Option<CongestionState>,
    new: CongestionState,
    trigger: Option<CongestionTrigger>,
    f: &mut Fields<'_>,
) {
    if let Some(old) = old {
        f.word("old", congestion_state(old));
    }
    f.word("new", congestion_state(new));
    match trigger {
        Some(CongestionTrigger::Loss) => f.word("trigger", "packet_loss"),
        Some(CongestionTrigger::PersistentCongestion) => f.word("trigger", "persistent_congestion"),
        Some(CongestionTrigger::Ecn) => f.word("trigger", "ecn"),
        None => {}
    }
}

pub(super) fn timer(timer: TimerType, space: Space, change: TimerChange, f: &mut Fields<'_>) {
    let timer = match timer {
        TimerType::Ack => "ack",
        TimerType::Pto => "pto",
    };
    f.word("timer_type", timer);
    f.word("packet_number_space", space_name(space));
    match change {
        TimerChange::Set(delta) => {
            f.word("event_type", "set");
            f.millis("delta", delta);
        }
        TimerChange::Expired => f.word("event_type", "expired"),
        TimerChange::Cancelled => f.word("event_type", "cancelled"),
    }
}

pub(super) const fn ecn(state: EcnState) -> &'static str {
    match state {
        EcnState::Testing => "testing",
        EcnState::Unknown => "unknown",
        EcnState::Failed => "failed",
        EcnState::Capable => "capable",
    }
}
