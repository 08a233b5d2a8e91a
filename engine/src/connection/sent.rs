//! What packets carried, and what becomes of it: acknowledged or lost.

use super::Pending;
use super::handshake::Handshake;
use super::trace;
use crate::congestion::{Controller, RttView};
use crate::connection_id::{LocalIds, RemoteIds};
use crate::datagram::{DatagramId, Datagrams};
use crate::diagnostics::{Stats, Trace};
use crate::path::{MIN_DATAGRAM_SIZE, SizeReport};
use crate::recovery::{Feedback, Losses, PacketFate, Rtt, SentPacket};
use crate::stream::{Chunk, Control, Streams};
use crate::token::Outbox;
use crate::wire::{Ecn, Space, Time};

/// One thing that a packet carried.
#[derive(Clone, Copy, Debug)]
pub(super) enum SentFrame {
    /// An ACK up to this packet number.
    Ack {
        largest: u64,
    },
    Crypto {
        space: Space,
        offset: u64,
        len: u64,
    },
    Stream(Chunk),
    Datagram(DatagramId),
    Control(Control),
    HandshakeDone,
    NewConnectionId {
        sequence: u64,
    },
    RetireConnectionId {
        sequence: u64,
    },
    NewToken {
        sequence: u64,
    },
}

/// Carries news of sent packets to the rooms whose frames they carried.
pub(super) struct Fate<'a> {
    pub(super) now: Time,
    pub(super) rtt: RttView,
    /// Whether the sender had less to send than the window allows: such acknowledgments do not grow it.
    pub(super) app_limited: bool,
    pub(super) handshake: &'a mut Handshake,
    pub(super) streams: &'a mut Streams,
    pub(super) datagrams: &'a mut Datagrams,
    pub(super) local_ids: &'a mut LocalIds,
    pub(super) remote_ids: &'a mut RemoteIds,
    pub(super) pending: &'a mut Pending,
    pub(super) issued_tokens: &'a mut Outbox,
    pub(super) congestion: &'a mut dyn Controller,
    pub(super) stats: &'a mut Stats,
    pub(super) trace: Option<&'a mut Trace>,
    /// The highest of our acknowledgments that the peer has seen.
    pub(super) largest_ack_acked: Option<u64>,
    /// How many packets sent with ECT(0) were lost.
    pub(super) marked_lost: u64,
    /// What was learnt of the sizes that the path carries.
    pub(super) sizes: SizeReport,
}

impl Feedback<SentFrame> for Fate<'_> {
    fn packet_acked(&mut self, packet: &SentPacket) {
        self.stats.packets_acked += 1;
        self.stats.bytes_acked += packet.size as u64;
        if packet.size_probe {
            self.sizes.probe_acked = Some(packet.size);
        } else {
            self.sizes.large_acked |= packet.size > MIN_DATAGRAM_SIZE;
        }
        // Packets of a path that was left have no size: they say nothing of this one (RFC 9000 section 9.4).
        if packet.in_flight && packet.size > 0 {
            self.congestion.on_acked(self.now, packet.time, packet.size as u64, self.app_limited, self.rtt);
        }
    }

    fn frame_acked(&mut self, frame: SentFrame) {
        match frame {
            SentFrame::Ack { largest } => self.largest_ack_acked = self.largest_ack_acked.max(Some(largest)),
            SentFrame::Crypto { space, offset, len } => self.handshake.stream(space).on_acked(offset, len),
            SentFrame::Stream(chunk) => self.streams.on_data_acked(&chunk),
            SentFrame::Datagram(id) => self.datagrams.on_acked(id),
            SentFrame::Control(control) => self.streams.on_control_acked(&control),
            SentFrame::HandshakeDone => self.pending.handshake_done = false,
            SentFrame::NewToken { sequence } => self.issued_tokens.on_acked(sequence),
            SentFrame::NewConnectionId { .. } => {}
            SentFrame::RetireConnectionId { .. } => self.remote_ids.on_acked(),
        }
    }

    fn packet_lost(&mut self, packet: &SentPacket) {
        self.stats.packets_lost += 1;
        self.stats.bytes_lost += packet.size as u64;
        self.marked_lost += u64::from(packet.ecn == Ecn::Ect0);
        if packet.size_probe {
            self.sizes.probe_lost = Some(packet.size);
        } else {
            self.sizes.large_lost |= packet.size > MIN_DATAGRAM_SIZE;
        }
    }

    fn resolved(&mut self, space: Space, packet: &SentPacket, fate: PacketFate) {
        if let Some(trace) = &mut self.trace {
            trace::resolved(trace, space, packet, fate);
        }
    }

    fn rtt_updated(&mut self, rtt: &Rtt) {
        self.rtt = rtt_view(rtt);
    }

    fn losses(&mut self, losses: &Losses) {
        if losses.bytes > 0 {
            let window = self.congestion.window();
            self.congestion.on_congestion(self.now, losses.largest_sent_time, losses.bytes, losses.persistent, false);
            self.stats.congestion_events += u64::from(self.congestion.window() < window);
            self.stats.persistent_congestion_events += u64::from(losses.persistent);
            if let Some(trace) = &mut self.trace {
                trace.on_losses(losses.persistent);
            }
        }
    }

    fn spurious_congestion(&mut self) {
        self.congestion.on_spurious_congestion();
    }

    fn frame_lost(&mut self, frame: SentFrame) {
        if let Some(trace) = &mut self.trace {
            trace::marked_for_retransmit(trace, &frame);
        }
        match frame {
            SentFrame::Ack { .. } => {}
            SentFrame::Crypto { space, offset, len } => self.handshake.stream(space).on_lost(offset, len),
            SentFrame::Stream(chunk) => self.streams.on_data_lost(&chunk),
            SentFrame::Datagram(id) => self.datagrams.on_lost(id),
            SentFrame::Control(control) => self.streams.on_control_lost(&control),
            SentFrame::HandshakeDone => self.pending.handshake_done = true,
            SentFrame::NewConnectionId { sequence } => self.local_ids.on_lost(sequence),
            SentFrame::RetireConnectionId { sequence } => self.remote_ids.on_lost(sequence),
            SentFrame::NewToken { sequence } => self.issued_tokens.on_lost(sequence),
        }
    }
}

pub(super) fn rtt_view(rtt: &Rtt) -> RttView {
    RttView { latest: rtt.latest, smoothed: rtt.smoothed, min: rtt.min.unwrap_or(rtt.smoothed) }
}
