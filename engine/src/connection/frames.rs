//! Frames to the rooms that own their state.

use super::Connection;
use super::sent::{Fate, SentFrame, rtt_view};
use crate::connection_id::Issued;
use crate::error::{TransportError, TransportErrorCode};
use crate::packet::{Ack, Frame, Frames, permitted};
use crate::path::SizeReport;
use crate::recovery::Recovery;
use crate::wire::{ConnectionId, Level, Side, Space, Time};

/// What the frames of a packet amount to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    /// One of them asks for an acknowledgment.
    pub(super) ack_eliciting: bool,
    /// All of them probe a path (RFC 9000 section 9.1).
    pub(super) probing: bool,
}

impl Connection {
    /// The frames of a packet. Tells what they amount to.
    pub(super) fn on_payload(
        &mut self,
        now: Time,
        level: Level,
        destination: &ConnectionId,
        payload: &[u8],
    ) -> Result<Content, TransportError> {
        if payload.is_empty() {
            return Err(Self::protocol_violation("a packet without frames"));
        }
        let mut content = Content { ack_eliciting: false, probing: true };
        let mut frames = 0;
        for item in Frames::new(payload) {
            let (ty, frame) = item?;
            if !permitted(ty, level) {
                return Err(Self::protocol_violation("a frame in a packet of the wrong type").in_frame(ty));
            }
            content.ack_eliciting |= frame.is_ack_eliciting();
            content.probing &= frame.is_probing();
            frames += 1;
            self.glitches.note_frame(level, &frame);
            self.on_frame(now, level, destination, ty, frame).map_err(|error| error.in_frame(ty))?;
        }
        self.charge_glitches(now, frames, payload.len())?;
        Ok(content)
    }

    fn on_frame(
        &mut self,
        now: Time,
        level: Level,
        destination: &ConnectionId,
        ty: u64,
        frame: Frame<'_>,
    ) -> Result<(), TransportError> {
        match frame {
            Frame::Padding { .. } | Frame::Ping => Ok(()),
            Frame::Ack(ack) => self.on_ack(now, level.space(), &ack),
            Frame::Crypto { offset, data } => {
                // Whatever version a server's CRYPTO data came in is the one that it goes on with (RFC 9369 section 4.1).
                self.handshake.settle_version();
                self.handshake.stream(level.space()).receive(offset, data)
            }
            Frame::Stream { id, offset, fin, data } => self.streams.on_stream(id, offset, fin, data),
            Frame::ResetStream { id, code, final_size } => self.streams.on_reset_stream(id, code, final_size),
            Frame::StopSending { id, code } => self.streams.on_stop_sending(id, code),
            Frame::MaxData { limit } => {
                self.streams.on_max_data(limit);
                Ok(())
            }
            Frame::MaxStreamData { id, limit } => self.streams.on_max_stream_data(id, limit),
            Frame::MaxStreams { dir, limit } => self.streams.on_max_streams(dir, limit),
            Frame::DataBlocked { limit } => self.streams.on_data_blocked(limit),
            Frame::StreamDataBlocked { id, limit } => self.streams.on_stream_data_blocked(id, limit),
            Frame::StreamsBlocked { dir, limit } => self.streams.on_streams_blocked(dir, limit),
            Frame::NewConnectionId { sequence, retire_prior_to, cid, reset_token } => {
                let result = self.remote_ids.on_new(Issued { sequence, id: cid, reset_token }, retire_prior_to);
                self.refresh_path_ids();
                result
            }
            Frame::RetireConnectionId { sequence } => {
                // RFC 9000 section 5.1.2: packets sent before may still be on their way.
                let until = now.saturating_add(self.recovery.pto(Space::Application).saturating_mul(3));
                self.local_ids.on_retire(sequence, destination, until)?;
                self.issue_connection_ids()
            }
            Frame::PathChallenge(data) => {
                self.paths.on_challenge(data);
                // RFC 9000 section 9.3.3: what is not a probe shows that the path in use is where we are.
                self.pending.ping |= self.paths.arrived_on_active();
                Ok(())
            }
            Frame::PathResponse(data) => {
                self.on_path_response(now, &data);
                Ok(())
            }
            Frame::NewToken { token } => self.on_new_token(token),
            Frame::HandshakeDone if self.side() == Side::Server => {
                Err(Self::protocol_violation("HANDSHAKE_DONE from a client"))
            }
            Frame::HandshakeDone => {
                if !self.is_handshake_confirmed() {
                    self.confirm_handshake();
                    self.follow_preferred_address(now);
                }
                Ok(())
            }
            Frame::Datagram { data } => self.on_datagram(ty, data),
            Frame::ConnectionClose(close) => {
                self.on_peer_close(now, &close);
                Ok(())
            }
        }
    }

    fn on_ack(&mut self, now: Time, space: Space, ack: &Ack<'_>) -> Result<(), TransportError> {
        // The exponent is 3 in Initial and Handshake packets, where delays mean nothing anyway (RFC 9000 section 19.3).
        let exponent = self.handshake.peer().map_or(3, |peer| peer.ack_delay_exponent);
        let delay = if space == Space::Application {
            ack.delay.saturating_mul(1 << exponent.min(20)).saturating_mul(1_000)
        } else {
            0
        };
        if space == Space::Application && !self.handshake.is_complete() {
            return Err(TransportError::new(
                TransportErrorCode::PROTOCOL_VIOLATION,
                "an acknowledgment of packets that were not sent",
            ));
        }
        self.stats.acks_received += 1;
        let context = self.timer_context();
        let (mut fate, recovery) = self.fate(now);
        let outcome = recovery.on_ack(now, space, ack.largest, ack.ranges(), delay, context, &mut fate)?;
        let (marked_lost, sizes) = (fate.marked_lost, fate.sizes);
        if let Some(largest) = fate.largest_ack_acked {
            recovery.received_mut(space).on_ack_of_our_ack(largest);
        }
        self.on_ecn_counts(now, space, ack.ecn, &outcome);
        self.on_marked_lost(marked_lost);
        self.on_size_report(now, &sizes);
        if space == Space::Application {
            self.confirm_key_update(now);
        }
        // The server has our address: it acknowledged a Handshake packet (RFC 9002 section 6.2.2.1).
        if outcome.newly_acked && space == Space::Handshake {
            self.timers.on_peer_validated_address();
        }
        Ok(())
    }

    /// Recovery, and beside it everything that hears from it.
    pub(super) fn fate(&mut self, now: Time) -> (Fate<'_>, &mut Recovery<SentFrame>) {
        let fate = Fate {
            now,
            rtt: rtt_view(self.recovery.rtt()),
            app_limited: self.app_limited,
            handshake: &mut self.handshake,
            streams: &mut self.streams,
            datagrams: &mut self.datagrams,
            local_ids: &mut self.local_ids,
            remote_ids: &mut self.remote_ids,
            pending: &mut self.pending,
            issued_tokens: &mut self.issued_tokens,
            congestion: self.congestion.as_mut(),
            stats: &mut self.stats,
            trace: self.trace.as_deref_mut(),
            largest_ack_acked: None,
            marked_lost: 0,
            sizes: SizeReport::default(),
        };
        (fate, &mut self.recovery)
    }
}
