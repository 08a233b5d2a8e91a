//! Deadlines: idle, handshake, keep-alive, pacing, close. Loss and acknowledgment deadlines live in their rooms.

use super::close::State;
use super::{Connection, ConnectionError};
use crate::diagnostics::Cause;
use crate::path::MIN_DATAGRAM_SIZE;
use crate::recovery::{TimeoutOutcome, TimerContext};
use crate::settings::TransportSettings;
use crate::wire::{Level, Space, Time};

/// The deadlines that belong to no room.
#[derive(Debug)]
pub(super) struct Timers {
    /// Our and the peer's idle timeout; 0 is none.
    local_idle: Time,
    peer_idle: Time,
    /// When the idle timeout began to count.
    idle_since: Time,
    /// Whether an ack-eliciting packet was sent since something was received: only the first restarts the idle timeout.
    sent_since_received: bool,
    handshake: Option<Time>,
    keep_alive: Option<Time>,
    /// When something was last received or a keep-alive sent.
    alive_since: Time,
    pub(super) pacing: Option<Time>,
    /// Whether the server is known to have validated our address.
    peer_validated_address: bool,
}

fn nanos(duration: core::time::Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Timers {
    pub(super) fn new(now: Time, settings: &TransportSettings) -> Self {
        Self {
            local_idle: nanos(settings.max_idle_timeout),
            peer_idle: 0,
            idle_since: now,
            sent_since_received: false,
            handshake: settings.handshake_timeout.map(|timeout| now.saturating_add(nanos(timeout))),
            keep_alive: settings.keep_alive.map(nanos).filter(|period| *period > 0),
            alive_since: now,
            pacing: None,
            peer_validated_address: false,
        }
    }

    /// Takes over settings that were chosen after the connection started; the handshake's deadline stays.
    pub(super) fn adopt(&mut self, settings: &TransportSettings) {
        self.local_idle = nanos(settings.max_idle_timeout);
        self.keep_alive = settings.keep_alive.map(nanos).filter(|period| *period > 0);
    }

    pub(super) const fn set_peer_idle_timeout(&mut self, timeout: Time) {
        self.peer_idle = timeout;
    }

    pub(super) const fn on_handshake_complete(&mut self) {
        self.handshake = None;
    }

    pub(super) const fn on_peer_validated_address(&mut self) {
        self.peer_validated_address = true;
    }

    pub(super) const fn on_received(&mut self, now: Time) {
        self.idle_since = now;
        self.alive_since = now;
        self.sent_since_received = false;
    }

    pub(super) const fn on_ack_eliciting_sent(&mut self, now: Time) {
        if !self.sent_since_received {
            self.sent_since_received = true;
            self.idle_since = now;
        }
    }

    /// RFC 9000 section 10.1: the smaller of both ends' timeouts, and never less than three probe timeouts.
    fn idle_deadline(&self, pto: Time) -> Option<Time> {
        let timeout = match (self.local_idle, self.peer_idle) {
            (0, 0) => return None,
            (0, one) | (one, 0) => one,
            (local, peer) => local.min(peer),
        };
        Some(self.idle_since.saturating_add(timeout.max(pto.saturating_mul(3))))
    }

    fn keep_alive_deadline(&self) -> Option<Time> {
        self.keep_alive.map(|period| self.alive_since.saturating_add(period))
    }
}

impl Connection {
    /// What recovery's timer depends on.
    pub(super) fn timer_context(&self) -> TimerContext {
        TimerContext {
            handshake_confirmed: self.is_handshake_confirmed(),
            handshake_keys: self.keys.can_write(Level::Handshake),
            peer_completed_address_validation: !self.side().is_client()
                || self.timers.peer_validated_address
                || self.is_handshake_confirmed(),
            // An Initial takes a full datagram: below that the server has to wait for the client. A path to which the
            // client moved waits for its validation.
            amplification_limited: self.paths.active().allowance() < MIN_DATAGRAM_SIZE as u64,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; `None` when nothing is.
    #[must_use]
    pub fn timeout(&self) -> Option<Time> {
        if !matches!(self.state, State::Open) {
            return self.closing_deadline();
        }
        let max_ack_delay = nanos(self.settings.max_ack_delay);
        let acks =
            Space::ALL.into_iter().filter_map(|space| self.recovery.received(space).ack_deadline(max_ack_delay)).min();
        [
            acks,
            self.recovery.timeout(self.timer_context()),
            self.timers.idle_deadline(self.recovery.pto(Space::Application)),
            self.timers.handshake,
            self.timers.pacing,
            self.keep_alive_deadline(),
            self.old_keys_deadline(),
            self.paths.timeout(),
            self.local_ids.timeout(),
            self.early_data.discard_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn keep_alive_deadline(&self) -> Option<Time> {
        if self.is_handshake_complete() { self.timers.keep_alive_deadline() } else { None }
    }

    /// Does what is due at `now`. Call it when [`timeout`](Self::timeout) has passed, any time later, and
    /// [`transmit`](Self::transmit) after it. Being late is safe.
    pub fn handle_timeout(&mut self, now: Time) {
        self.begin_turn(now);
        self.expire(now);
        self.end_turn(Cause::Timeout);
    }

    fn expire(&mut self, now: Time) {
        if !matches!(self.state, State::Open) {
            if self.closing_deadline().is_some_and(|deadline| deadline <= now) {
                self.vanish();
            }
            return;
        }
        let pto = self.recovery.pto(Space::Application);
        if self.timers.idle_deadline(pto).is_some_and(|deadline| deadline <= now) {
            return self.abandon(ConnectionError::IdleTimeout);
        }
        if self.timers.handshake.is_some_and(|deadline| deadline <= now) {
            return self.abandon(ConnectionError::HandshakeTimeout);
        }
        self.discard_old_keys(now);
        if self.timers.pacing.is_some_and(|deadline| deadline <= now) {
            self.timers.pacing = None;
        }
        self.on_path_timeout(now);
        if !matches!(self.state, State::Open) {
            return;
        }
        if self.keep_alive_deadline().is_some_and(|deadline| deadline <= now) {
            self.timers.alive_since = now;
            self.pending.ping = true;
        }
        self.discard_early_data(now);
        let max_ack_delay = nanos(self.settings.max_ack_delay);
        for space in Space::ALL {
            self.recovery.received_mut(space).on_timeout(now, max_ack_delay);
        }
        if self.recovery.timeout(self.timer_context()).is_some_and(|deadline| deadline <= now) {
            self.on_loss_timeout(now);
        }
    }

    /// RFC 9002 appendix A.9.
    fn on_loss_timeout(&mut self, now: Time) {
        let context = self.timer_context();
        let (mut fate, recovery) = self.fate(now);
        let outcome = recovery.on_timeout(now, context, &mut fate);
        let (marked_lost, sizes) = (fate.marked_lost, fate.sizes);
        self.on_marked_lost(marked_lost);
        self.on_size_report(now, &sizes);
        let TimeoutOutcome::Probe { space, count } = outcome else { return };
        self.stats.probe_timeouts += 1;
        self.probe(now, space, count);
        // RFC 9002 section 6.2.4: the other spaces' data goes along: the peer may have keys for one of them only.
        if !context.handshake_confirmed {
            for level in [Level::Initial, Level::Handshake, Level::OneRtt] {
                let other = level.space();
                if other != space && self.recovery.has_ack_eliciting_in_flight(other) && self.keys.can_write(level) {
                    self.probe(now, other, count);
                }
            }
        }
    }

    /// Makes `count` probes due in `space`, with the data of the oldest packets.
    fn probe(&mut self, now: Time, space: Space, count: u8) {
        self.requeue(now, space, usize::from(count));
        if let Some(probes) = self.pending.probes.get_mut(space as usize) {
            *probes = count;
        }
    }

    /// Queues again what the oldest `packets` outstanding packets of `space` carry.
    pub(super) fn requeue(&mut self, now: Time, space: Space, packets: usize) {
        let (mut fate, recovery) = self.fate(now);
        recovery.requeue(space, packets, &mut fate);
    }
}
