//! Key updates: who may make them, when, and how long old keys stay (RFC 9001 section 6).

use core::fmt;

use super::{Connection, Event};
use crate::crypto::OneRttKeys;
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{Space, Time};

/// More packets than fit the buffer of one call.
const MAX_BATCH: u64 = 1 << 16;

/// Why keys cannot be updated now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyUpdateError {
    /// The handshake is not confirmed (RFC 9001 section 6.1).
    HandshakeNotConfirmed,
    /// The peer has not acknowledged a packet under the keys of the update before (RFC 9001 section 6.1).
    PreviousNotConfirmed,
    /// It did so less than three probe timeouts ago: packets under the keys before may still be on their way
    /// (RFC 9001 section 6.5).
    TooSoon {
        /// When keys can be updated.
        until: Time,
    },
    /// The connection is closed.
    Closed,
}

impl fmt::Display for KeyUpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HandshakeNotConfirmed => "the handshake is not confirmed",
            Self::PreviousNotConfirmed => "the peer has not confirmed the previous key update",
            Self::TooSoon { .. } => "the previous key update is too recent",
            Self::Closed => "the connection is closed",
        })
    }
}

impl core::error::Error for KeyUpdateError {}

/// What the timing of key updates depends on, beside the keys.
#[derive(Debug, Default)]
pub(super) struct KeyUpdates {
    /// Whether the keys in use come from an update that the peer has not acknowledged a packet of.
    unconfirmed: bool,
    /// When the peer first acknowledged a packet of the keys in use, where they come from an update.
    confirmed_at: Option<Time>,
}

impl Connection {
    /// Updates the keys of 1-RTT packets (RFC 9001 section 6): what is sent from now on is protected by new ones, a
    /// PING at least, and the peer follows. Keys are also updated without a call, long before they have protected as
    /// many packets as is safe.
    ///
    /// # Errors
    ///
    /// [`KeyUpdateError`]: it is too early.
    pub fn initiate_key_update(&mut self, now: Time) -> Result<(), KeyUpdateError> {
        if self.is_closed() {
            return Err(KeyUpdateError::Closed);
        }
        self.may_update_keys(now)?;
        if let Some(keys) = self.keys.one_rtt_mut() {
            keys.initiate_update();
        }
        self.pending.ping = true;
        self.on_keys_updated(false);
        Ok(())
    }

    fn may_update_keys(&self, now: Time) -> Result<(), KeyUpdateError> {
        if !self.is_handshake_confirmed() {
            return Err(KeyUpdateError::HandshakeNotConfirmed);
        }
        if self.key_updates.unconfirmed {
            return Err(KeyUpdateError::PreviousNotConfirmed);
        }
        let until = self.key_updates.confirmed_at.map(|at| at.saturating_add(self.old_keys_kept()));
        match until {
            Some(until) if now < until => Err(KeyUpdateError::TooSoon { until }),
            _ => Ok(()),
        }
    }

    /// Keys of either end's update are in use from now on.
    pub(super) fn on_keys_updated(&mut self, by_peer: bool) {
        self.key_updates = KeyUpdates { unconfirmed: true, confirmed_at: None };
        self.events.push_back(Event::KeysUpdated { by_peer });
    }

    /// The peer acknowledged 1-RTT packets.
    pub(super) fn confirm_key_update(&mut self, now: Time) {
        if self.key_updates.unconfirmed {
            let largest_acked = self.recovery.largest_acked(Space::Application);
            if self.keys.one_rtt().is_some_and(|keys| keys.can_update(largest_acked)) {
                self.key_updates = KeyUpdates { unconfirmed: false, confirmed_at: Some(now) };
            }
        }
    }

    /// Updates keys before they have sealed too much, and stops where they have (RFC 9001 section 6.6).
    pub(super) fn check_key_limits(&mut self, now: Time) -> Result<(), TransportError> {
        let Some(keys) = self.keys.one_rtt() else { return Ok(()) };
        let interval = self.settings.packets_per_key.unwrap_or(u64::MAX);
        if !keys.is_update_due() && keys.sealed_packets() < interval {
            return Ok(());
        }
        // No call of `transmit` writes as many packets as are left then.
        let exhausted = keys.sealed_packets().saturating_add(MAX_BATCH) >= keys.suite().confidentiality_limit();
        match self.may_update_keys(now) {
            Ok(()) => {}
            // To wait is good, to go on without new keys is not possible.
            Err(KeyUpdateError::TooSoon { .. }) if exhausted => {}
            Err(_) if exhausted => {
                return Err(TransportError::new(
                    TransportErrorCode::AEAD_LIMIT_REACHED,
                    "the keys have protected as many packets as is safe",
                ));
            }
            Err(_) => return Ok(()),
        }
        if let Some(keys) = self.keys.one_rtt_mut() {
            keys.initiate_update();
        }
        self.on_keys_updated(false);
        Ok(())
    }

    /// How long keys stay after an update for packets that were overtaken (RFC 9001 section 6.5).
    fn old_keys_kept(&self) -> Time {
        self.recovery.pto(Space::Application).saturating_mul(3)
    }

    /// When the keys from before an update are to go.
    pub(super) fn old_keys_deadline(&self) -> Option<Time> {
        let since = self.keys.one_rtt().and_then(OneRttKeys::previous_superseded_at)?;
        Some(since.saturating_add(self.old_keys_kept()))
    }

    /// Forgets the keys from before an update when their time has come. The next keys are made then, and not when the
    /// peer's next update arrives: how long its packet takes must not tell (RFC 9001 section 9.5).
    pub(super) fn discard_old_keys(&mut self, now: Time) {
        if self.old_keys_deadline().is_some_and(|deadline| deadline <= now)
            && let Some(keys) = self.keys.one_rtt_mut()
        {
            keys.discard_previous();
        }
    }
}
