//! One datagram in: packets, protection, frames.

use alloc::vec::Vec;

use super::close::State;
use super::{Connection, ConnectionError};
use crate::crypto::OpenError;
use crate::diagnostics::{Cause, DropTrigger, TraceEvent};
use crate::error::{TransportError, TransportErrorCode};
use crate::packet::{self, Layout, PacketType};
use crate::path::Arrival;
use crate::wire::{ConnectionId, Ecn, FourTuple, Level, Space, Time};

/// A packet whose protection was removed.
struct Unprotected<'a> {
    level: Level,
    pn: u64,
    key_phase: bool,
    payload: &'a mut [u8],
}

/// Why a packet was not processed.
enum Drop {
    /// It is of no use: damaged, old, a duplicate, not for us.
    Silently(DropTrigger),
    /// Its keys may come later.
    NoKeys,
    /// It is authentic and breaks the protocol.
    Violation(TransportError),
}

impl From<OpenError> for Drop {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Decrypt => Self::Silently(DropTrigger::DecryptionFailure),
            OpenError::KeyUpdate => Self::Violation(TransportError::new(
                TransportErrorCode::KEY_UPDATE_ERROR,
                "packets of both key phases are out of order",
            )),
            OpenError::IntegrityLimit => Self::Violation(TransportError::new(
                TransportErrorCode::AEAD_LIMIT_REACHED,
                "too many packets failed authentication",
            )),
        }
    }
}

impl Connection {
    /// Takes a datagram in. Its packets are decrypted in place; what it holds afterwards is of no use.
    ///
    /// Damaged, unauthentic and foreign packets are dropped and counted; authentic ones that break the protocol close
    /// the connection.
    pub fn receive(&mut self, now: Time, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        self.begin_turn(now);
        self.receive_datagram(now, path, ecn, datagram);
        self.end_turn(Cause::Received);
    }

    fn receive_datagram(&mut self, now: Time, path: FourTuple, ecn: Ecn, datagram: &mut [u8]) {
        match self.state {
            State::Open => {}
            State::Closing(_) => {
                // RFC 9000 section 10.2.1: packets from elsewhere need no answer.
                if let Arrival::Known(_) = self.paths.arrive(path, datagram.len()) {
                    self.on_datagram_while_closing();
                }
                return;
            }
            State::Draining { .. } | State::Drained => return,
        }
        if let Arrival::Unknown { addresses, .. } = self.paths.arrive(path, datagram.len())
            && !self.may_arrive_from(now, &addresses)
        {
            self.stats.packets_dropped += 1;
            return self.tell(&TraceEvent::DatagramDropped { len: datagram.len() });
        }
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += datagram.len() as u64;
        self.tell(&TraceEvent::DatagramReceived { len: datagram.len(), ecn });
        self.receive_packets(now, ecn, datagram);
        self.paths.arrive_on_active();
        if !self.undecryptable.is_empty() {
            self.replay_undecryptable(now);
        }
    }

    /// The packets of a datagram, one after the other (RFC 9000 section 12.2).
    fn receive_packets(&mut self, now: Time, ecn: Ecn, datagram: &mut [u8]) {
        let datagram_len = datagram.len();
        let mut destination = None;
        let mut rest = datagram;
        while !rest.is_empty() && matches!(self.state, State::Open) {
            let Some(layout) = self.parse_packet(rest) else {
                return self.drop_packet(None, rest.len(), DropTrigger::Invalid);
            };
            // All packets of a datagram are for one connection ID (RFC 9000 section 12.2).
            let same = *destination.get_or_insert(layout.dcid) == layout.dcid;
            let Some((packet, next)) = core::mem::take(&mut rest).split_at_mut_checked(layout.len) else { return };
            rest = next;
            if same {
                self.receive_packet(now, ecn, datagram_len, &layout, packet);
            } else {
                self.drop_packet(Some(layout.ty), layout.len, DropTrigger::ConnectionUnknown);
            }
        }
    }

    fn receive_packet(&mut self, now: Time, ecn: Ecn, datagram_len: usize, layout: &Layout, packet: &mut [u8]) {
        match layout.ty {
            PacketType::VersionNegotiation => return self.on_version_negotiation(layout, packet),
            PacketType::Retry => return self.on_retry(now, layout, packet),
            // RFC 9000 section 14.1: a server ignores an Initial in a datagram below 1200 bytes.
            PacketType::Initial if !self.side().is_client() && datagram_len < crate::path::MIN_DATAGRAM_SIZE => {
                return self.drop_packet(Some(layout.ty), layout.len, DropTrigger::Invalid);
            }
            _ => {}
        }
        // What may be the token of a stateless reset, before decryption spoils it.
        let tail = packet.last_chunk().copied();
        match self.unprotect(now, layout, packet) {
            Ok(packet) => {
                if let Err(error) = self.on_packet(now, ecn, layout, &packet) {
                    self.fail(now, error);
                }
            }
            Err(Drop::NoKeys) if self.may_wait_for_keys(layout.len) => {
                if !self.replaying {
                    self.tell(&TraceEvent::PacketBuffered { ty: layout.ty, len: packet.len() });
                }
                self.undecryptable.push_back((Vec::from(packet), ecn));
            }
            Err(drop @ (Drop::NoKeys | Drop::Silently(_))) => {
                let trigger = if let Drop::Silently(trigger) = drop { trigger } else { DropTrigger::KeyUnavailable };
                self.drop_packet(Some(layout.ty), layout.len, trigger);
                if layout.ty == PacketType::OneRtt {
                    self.check_stateless_reset(now, tail);
                }
            }
            Err(Drop::Violation(error)) => self.fail(now, error),
        }
    }

    /// Removes header and packet protection (RFC 9001 section 5).
    fn unprotect<'a>(&mut self, now: Time, layout: &Layout, packet: &'a mut [u8]) -> Result<Unprotected<'a>, Drop> {
        let level = layout.ty.level().ok_or(Drop::Silently(DropTrigger::Unexpected))?;
        if level != Level::OneRtt && !self.admits_version(level, layout.version) {
            // A Handshake packet of the version that the server moved to may overtake its Initial.
            let early = level == Level::Handshake && self.handshake.awaits_version();
            return Err(if early { Drop::NoKeys } else { Drop::Silently(DropTrigger::Unsupported) });
        }
        let space = level.space();
        let sample = packet::sample(packet, layout.pn_offset).ok_or(Drop::Silently(DropTrigger::Invalid))?;
        let mask = self.keys.remote_header_mask(level, layout.version, &sample).ok_or_else(|| {
            // Initial keys are only ever discarded; the others are yet to come, or gone with the handshake, or, for early
            // data that is not taken, never there.
            let gone = match level {
                Level::Initial => true,
                Level::ZeroRtt => !self.awaits_early_data_keys(),
                Level::Handshake | Level::OneRtt => self.handshake.is_confirmed(),
            };
            if gone { Drop::Silently(DropTrigger::KeyUnavailable) } else { Drop::NoKeys }
        })?;
        let unmasked = packet::unmask(packet, layout.pn_offset, mask).ok_or(Drop::Silently(DropTrigger::Invalid))?;
        let received = self.recovery.received(space);
        let expected = received.largest().map_or(0, |largest| largest + 1);
        let pn = packet::number::decode(unmasked.truncated_pn, unmasked.pn_len, expected);
        if received.is_duplicate(pn) {
            return Err(Drop::Silently(DropTrigger::Duplicate));
        }
        let header_len = unmasked.header_len(layout.pn_offset);
        let (header, payload) = packet.split_at_mut_checked(header_len).ok_or(Drop::Silently(DropTrigger::Invalid))?;
        let payload = if level == Level::OneRtt {
            let keys = self.keys.one_rtt_mut().ok_or(Drop::NoKeys)?;
            let (payload, opened) = keys.open(now, pn, unmasked.key_phase(), header, payload).map_err(Drop::from)?;
            if opened.updated {
                self.glitches.note();
                self.on_keys_updated(true);
            }
            payload
        } else {
            self.keys
                .open_long(level, layout.version, pn, header, payload)
                .ok_or(Drop::Silently(DropTrigger::DecryptionFailure))?
        };
        // Reserved bits are checked once the packet is known to be authentic (RFC 9000 section 17.2).
        if unmasked.reserved_bits_set() {
            return Err(Drop::Violation(Self::protocol_violation("reserved header bits are set")));
        }
        if space == Space::Application && payload.len() > self.memory_headroom {
            return Err(Drop::Silently(DropTrigger::Rejected));
        }
        Ok(Unprotected { level, pn, key_phase: unmasked.key_phase(), payload })
    }

    /// An authentic packet.
    fn on_packet(
        &mut self,
        now: Time,
        ecn: Ecn,
        layout: &Layout,
        packet: &Unprotected<'_>,
    ) -> Result<(), TransportError> {
        let Unprotected { level, pn, key_phase, ref payload } = *packet;
        if level != Level::OneRtt && !self.accept_source_id(layout.scid) {
            self.drop_packet(Some(layout.ty), layout.len, DropTrigger::Unexpected);
            return Ok(());
        }
        self.trace_packet_received(layout, pn, key_phase, payload);
        if level == Level::Initial {
            self.on_initial_version(layout.version);
        }
        self.stats.packets_received += 1;
        self.timers.on_received(now);
        self.discard_old_keys(now);
        if level == Level::Handshake && !self.side().is_client() {
            // A Handshake packet proves the client's address (RFC 9000 section 8.1), and ends the use of Initial
            // packets (RFC 9001 section 4.9.1).
            self.paths.active_mut().validate();
            self.discard_space(Space::Initial);
        }
        let space = level.space();
        let newest = self.recovery.received(space).largest().is_none_or(|largest| pn > largest);
        if level == Level::OneRtt {
            self.admit_arrival(now, &layout.dcid);
        }
        let content = self.on_payload(now, level, &layout.dcid, payload)?;
        self.recovery.received_mut(space).on_received(pn, now, content.ack_eliciting, ecn);
        if level == Level::OneRtt && newest && !content.probing && matches!(self.state, State::Open) {
            self.follow_peer(now);
        }
        if matches!(self.state, State::Open) { self.drive_handshake(now, space) } else { Ok(()) }
    }

    /// RFC 9000 section 7.2: the peer's first packet tells its connection ID; later ones keep it.
    fn accept_source_id(&mut self, source: ConnectionId) -> bool {
        match self.handshake.remote {
            Some(known) => known == source,
            None => {
                self.handshake.remote = Some(source);
                self.remote_ids.set_handshake_id(source);
                true
            }
        }
    }

    /// Packets that came before their keys, once more.
    pub(super) fn replay_undecryptable(&mut self, now: Time) {
        // Each is tried once a datagram: what still has no keys goes back to the end.
        for _ in 0..self.undecryptable.len() {
            let Some((mut packet, ecn)) = self.undecryptable.pop_front() else { return };
            if matches!(self.state, State::Open) {
                self.replaying = true;
                self.receive_packets(now, ecn, &mut packet);
                self.replaying = false;
            }
        }
    }

    /// RFC 9000 section 17.2.5.2.
    fn on_retry(&mut self, now: Time, layout: &Layout, packet: &[u8]) {
        let handshake = &self.handshake;
        let expected = self.side().is_client() && handshake.remote.is_none() && handshake.retry.is_none();
        let Some((body, tag)) = packet.split_last_chunk::<{ crate::crypto::TAG_LEN }>() else { return };
        let token = body.get(layout.token.clone()).unwrap_or_default();
        if !expected
            || token.is_empty()
            // A longer one would leave no room for what else an Initial carries.
            || token.len() > crate::token::MAX_LEN
            || layout.version != self.version
            || *tag != crate::crypto::retry_tag(self.crypto.as_ref(), self.version, &handshake.original(), body)
        {
            return self.drop_packet(Some(layout.ty), layout.len, DropTrigger::Unexpected);
        }
        self.trace_unnumbered(layout, &[]);
        self.handshake.retry = Some(layout.scid);
        self.handshake.token = Vec::from(token);
        self.remote_ids.set_handshake_id(layout.scid);
        let keys = crate::crypto::initial_keys(self.crypto.as_ref(), self.version, &layout.scid, self.side());
        self.keys.set_initial(keys);
        // Packet numbers go on (RFC 9000 section 17.2.5.3), the flight is sent again, early data too.
        let (mut fate, recovery) = self.fate(now);
        recovery.forget_sent(Space::Initial, &mut fate);
        recovery.forget_sent(Space::Application, &mut fate);
    }

    /// RFC 9000 section 10.3.1: `tail` is the last 16 bytes of a datagram that cannot be decrypted.
    fn check_stateless_reset(&mut self, now: Time, tail: Option<[u8; 16]>) {
        if let Some(token) = tail {
            self.receive_stateless_reset(now, &token);
        }
    }

    /// The peer's reset tokens that count now, with the sequence numbers of their connection IDs; none when the connection
    /// is gone.
    pub(crate) fn reset_tokens(&self) -> impl Iterator<Item = (u64, [u8; 16])> {
        self.remote_ids.reset_tokens().filter(|_| !matches!(self.state, State::Drained))
    }

    /// Ends the connection where `token` is one of the peer's stateless reset tokens, and tells whether it is. For
    /// datagrams whose connection ID leads nowhere; [`receive`](Self::receive) looks for itself.
    pub fn receive_stateless_reset(&mut self, now: Time, token: &[u8; 16]) -> bool {
        let known = self.remote_ids.is_reset_token(token);
        if known && matches!(self.state, State::Open | State::Closing(_)) {
            self.drain(now, ConnectionError::StatelessReset);
        }
        known
    }
}
