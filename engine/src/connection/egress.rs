//! Datagrams out: which packets, with which frames, straight into the caller's buffer.
//!
//! A datagram is drafted packet by packet in plain text, padded where the RFC asks for it, then sealed in place: only
//! the last packet of a datagram can know how much padding is missing.

use alloc::vec::Vec;

use super::close::State;
use super::sent::SentFrame;
use super::{Connection, Idle, Outgoing, Transmit};
use crate::crypto::TAG_LEN;
use crate::diagnostics::Cause;
use crate::packet::{self, Frame, LongHeader, PacketType, ShortHeader};
use crate::path::{EcnState, MIN_DATAGRAM_SIZE};
use crate::recovery::SentPacket;
use crate::stream::Control;
use crate::wire::{ConnectionId, Ecn, Level, Space, Time, Writer};

/// The levels that packets are written in, in the order in which they share a datagram.
const LEVELS: [Level; 3] = [Level::Initial, Level::Handshake, Level::OneRtt];

/// The longest frame that [`Control`] maps to, HANDSHAKE_DONE and the like included: NEW_CONNECTION_ID.
const MAX_CONTROL_FRAME: usize = 1 + 8 + 8 + 1 + 20 + 16;

/// The header bytes that a packet needs at most, its tag included. Below this room nothing is begun.
const MIN_ROOM: usize = 100;

/// What a packet number space has to send.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    Nothing,
    /// An acknowledgment, which neither the window nor pacing holds back.
    Ack,
    /// Frames that ask for an acknowledgment.
    Data,
}

/// A packet in plain text, its tag's room behind it.
pub(super) struct Draft {
    pub(super) level: Level,
    pub(super) pn: u64,
    pub(super) pn_offset: usize,
    pub(super) pn_len: usize,
    /// Where a long header's Length field is.
    length_offset: Option<usize>,
    pub(super) start: usize,
    /// The end of the frames; the tag follows.
    pub(super) end: usize,
    pub(super) ack_eliciting: bool,
    /// Padding counts as in flight (RFC 9002 section 2).
    pub(super) padded: bool,
    /// It probes for a larger datagram.
    pub(super) size_probe: bool,
    /// It is a probe (RFC 9002 section 6.2.4).
    pub(super) probe: bool,
}

impl Connection {
    /// Fills `buffer` with datagrams to send: as many as fit of one size, one path and one ECN mark, ready for
    /// segmentation offload; the last may be shorter. Call it after every input until it answers [`Transmit::Idle`].
    ///
    /// `buffer` holds at least one datagram: 1200 bytes, or the size in the statistics where it is larger.
    pub fn transmit(&mut self, now: Time, buffer: &mut [u8]) -> Transmit {
        self.begin_turn(now);
        let transmit = self.transmit_batch(now, buffer);
        self.trace_blocked(&transmit);
        self.end_turn(Cause::Local);
        transmit
    }

    fn transmit_batch(&mut self, now: Time, buffer: &mut [u8]) -> Transmit {
        match self.state {
            State::Open => {}
            State::Closing(_) => return self.transmit_close(now, buffer),
            State::Draining { .. } | State::Drained => return Transmit::Idle(Idle::Nothing),
        }
        self.pace_streams(now);
        if let Err(error) = self.check_key_limits(now) {
            self.fail(now, error);
            return self.transmit_close(now, buffer);
        }
        let mut segment_size = self.paths.active().max_datagram_size();
        if buffer.len() < segment_size {
            return Transmit::Idle(Idle::BufferTooSmall);
        }
        if let Some(probe) = self.write_probe(now, buffer) {
            return Transmit::Send(probe);
        }
        if let Some(probe) = self.write_size_probe(now, buffer) {
            return Transmit::Send(probe);
        }
        let ecn = self.paths.active().ecn_mark();
        let (mut len, mut datagrams, mut idle) = (0, 0u64, Idle::Nothing);
        while let Some(room) = buffer.get_mut(len..).and_then(|rest| rest.get_mut(..segment_size)) {
            match self.write_datagram(now, room) {
                Ok(written) => {
                    len += written;
                    datagrams += 1;
                    if written == self.paths.active().max_datagram_size() && self.is_handshake_confirmed() {
                        self.paths.active_mut().note_full_datagram();
                    }
                    if datagrams == 1 {
                        segment_size = written;
                    }
                    // A shorter datagram ends the batch; handshake datagrams go out one by one.
                    let remarked = self.paths.active().ecn_mark() != ecn;
                    if written < segment_size || remarked || !self.is_handshake_complete() {
                        break;
                    }
                }
                Err(reason) => {
                    idle = reason;
                    break;
                }
            }
        }
        if len == 0 {
            self.app_limited = matches!(idle, Idle::Nothing | Idle::FlowControl);
            return Transmit::Idle(idle);
        }
        Transmit::Send(Outgoing { len, segment_size, path: self.paths.active().addresses(), ecn })
    }

    /// Writes one datagram of at most `out.len()` bytes. Tells its size, or why there is none.
    fn write_datagram(&mut self, now: Time, out: &mut [u8]) -> Result<usize, Idle> {
        let levels = self.levels();
        let wants = levels.map(|level| self.want(level));
        if wants.iter().all(|want| *want == Want::Nothing) {
            let blocked = self.streams.is_blocked_by_flow_control();
            return Err(if blocked { Idle::FlowControl } else { Idle::Nothing });
        }
        let (wants, held_back) = self.gate(now, wants);
        let allowance = usize::try_from(self.paths.active().allowance()).unwrap_or(usize::MAX);
        // An Initial is padded to 1200 bytes: below that allowance it cannot be sent at all.
        let least = if wants.first().is_some_and(|want| *want != Want::Nothing) { MIN_DATAGRAM_SIZE } else { MIN_ROOM };
        if allowance < least {
            return Err(Idle::Amplification);
        }
        // Where larger datagrams are swallowed, probes get through (RFC 8899 section 4.3).
        let largest = if self.pending.probes == [0; 3] { out.len() } else { out.len().min(MIN_DATAGRAM_SIZE) };
        let limit = largest.min(allowance);
        let mut writer = Writer::new(out.get_mut(..limit).unwrap_or_default());
        let mut drafts: [Option<Draft>; 3] = [None, None, None];
        for ((level, want), draft) in levels.into_iter().zip(wants).zip(&mut drafts) {
            if want != Want::Nothing && writer.remaining() >= MIN_ROOM {
                *draft = self.draft(now, level, want, &mut writer);
            }
        }
        let Some(last) = drafts.iter().rposition(Option::is_some) else {
            return Err(held_back.unwrap_or(Idle::Nothing));
        };
        self.pad(&mut drafts, last, &mut writer);
        let len = writer.position();
        self.seal_and_record(now, drafts, out.get_mut(..len).unwrap_or_default());
        Ok(len)
    }

    /// The levels that packets are written in now: early data has 0-RTT packets until there are keys for 1-RTT packets.
    fn levels(&self) -> [Level; 3] {
        let early = self.keys.can_write(Level::ZeroRtt) && !self.keys.can_write(Level::OneRtt);
        LEVELS.map(|level| if level == Level::OneRtt && early { Level::ZeroRtt } else { level })
    }

    /// What the space of `level` has to send.
    fn want(&self, level: Level) -> Want {
        if level == Level::ZeroRtt {
            return if self.has_early_data() { Want::Data } else { Want::Nothing };
        }
        if !self.keys.can_write(level) {
            return Want::Nothing;
        }
        let space = level.space();
        let data = self.probes(space) > 0
            || self.handshake.has_data(space)
            || (space == Space::Application
                // In the order of how often each is so.
                && (self.streams.has_data()
                    || self.pending.handshake_done
                    || self.pending.ping
                    || self.local_ids.has_unsent()
                    || self.remote_ids.has_retiring()
                    || self.issued_tokens.has_unsent()
                    || self.streams.has_control()
                    || self.datagrams.has_data()));
        if data {
            Want::Data
        } else if self.recovery.received(space).ack_needed_now() {
            Want::Ack
        } else {
            Want::Nothing
        }
    }

    fn probes(&self, space: Space) -> u8 {
        self.pending.probes.get(space as usize).copied().unwrap_or(0)
    }

    /// Holds back what the congestion window or pacing does not allow now. Probes pass both (RFC 9002 section 7.5).
    fn gate(&mut self, now: Time, wants: [Want; 3]) -> ([Want; 3], Option<Idle>) {
        if !wants.contains(&Want::Data) {
            return (wants, None);
        }
        let size = self.paths.active().max_datagram_size() as u64;
        let in_flight = self.recovery.bytes_in_flight();
        let window = self.congestion.window();
        let held_back = if in_flight.saturating_add(size) > window {
            Some(Idle::CongestionWindow)
        } else {
            match self.pacer.next_send(now, size, window, self.recovery.rtt().smoothed) {
                Ok(()) => None,
                Err(until) => {
                    self.timers.pacing = Some(until);
                    Some(Idle::Pacing)
                }
            }
        };
        if held_back.is_none() {
            return (wants, None);
        }
        let mut gated = wants;
        for (want, level) in gated.iter_mut().zip(LEVELS) {
            let space = level.space();
            if *want == Want::Data && self.probes(space) == 0 && !self.would_wait_forever(space, held_back) {
                *want = if self.recovery.received(space).ack_needed_now() { Want::Ack } else { Want::Nothing };
            }
        }
        (gated, held_back)
    }

    /// Whether handshake data is held back behind a window full of application data, and no timer would send it: until
    /// the handshake is confirmed none runs for application data, which the peer may not be able to read yet. Such
    /// handshake data goes out as a probe would (RFC 9002 section 7.5).
    fn would_wait_forever(&self, space: Space, held_back: Option<Idle>) -> bool {
        space != Space::Application
            && held_back == Some(Idle::CongestionWindow)
            && !self.recovery.has_ack_eliciting_in_flight(space)
    }

    /// Writes one packet in plain text. `None`, and nothing written, where no frame came of it.
    fn draft(&mut self, now: Time, level: Level, want: Want, writer: &mut Writer<'_>) -> Option<Draft> {
        let space = level.space();
        let mut draft = self.begin(level, writer)?;
        let limit = (writer.position() + writer.remaining()).saturating_sub(TAG_LEN);
        let frames_start = writer.position();
        let mut frames = self.scratch.get_mut(space as usize).map(core::mem::take).unwrap_or_default();
        // RFC 9000 section 12.5: 0-RTT packets carry neither ACK nor CRYPTO.
        if level != Level::ZeroRtt {
            self.write_ack(now, space, writer, limit, &mut frames);
        }
        if want == Want::Data {
            let before = writer.position();
            self.write_frames(level, writer, limit, &mut frames);
            if writer.position() == before && self.probes(space) > 0 {
                // RFC 9002 section 6.2.4: rather data that was sent already, in the probe before included, than none.
                self.requeue(now, space, 1);
                self.write_frames(level, writer, limit, &mut frames);
                if writer.position() == before {
                    Frame::Ping.encode(writer);
                }
            }
            draft.ack_eliciting = writer.position() > before;
        } else if self.recovery.wants_ping(space) && limit > writer.position() {
            Frame::Ping.encode(writer);
            draft.ack_eliciting = true;
        }
        if draft.ack_eliciting
            && let Some(probes) = self.pending.probes.get_mut(space as usize)
        {
            draft.probe = *probes > 0;
            *probes = probes.saturating_sub(1);
        }
        if let Some(slot) = self.scratch.get_mut(space as usize) {
            *slot = frames;
        }
        if writer.position() == frames_start {
            writer.truncate(draft.start);
            return None;
        }
        // The sample for header protection begins 4 bytes after the packet number (RFC 9001 section 5.4.2).
        let short = (4 - draft.pn_len).saturating_sub(writer.position() - frames_start);
        writer.zeros(short);
        draft.end = writer.position();
        writer.zeros(TAG_LEN);
        Some(draft)
    }

    /// Writes a packet's header, for the path in use.
    fn begin(&self, level: Level, writer: &mut Writer<'_>) -> Option<Draft> {
        self.begin_to(level, self.remote_ids.active(), writer)
    }

    /// Writes a packet's header, to this connection ID of the peer.
    pub(super) fn begin_to(&self, level: Level, dcid: ConnectionId, writer: &mut Writer<'_>) -> Option<Draft> {
        let space = level.space();
        let pn = self.recovery.next_packet_number(space);
        let pn_len = packet::number::encoded_len(pn, self.recovery.largest_acked(space));
        let start = writer.position();
        let (pn_offset, length_offset) = if level == Level::OneRtt {
            let key_phase = self.keys.local_phase()?;
            (ShortHeader { dcid, spin: false, key_phase }.encode(writer, pn, pn_len), None)
        } else {
            let (ty, version) = match level {
                Level::Initial => (PacketType::Initial, self.version),
                Level::ZeroRtt => (PacketType::ZeroRtt, self.handshake.chosen_version()),
                Level::Handshake | Level::OneRtt => (PacketType::Handshake, self.version),
            };
            let token: &[u8] = if level == Level::Initial { &self.handshake.token } else { &[] };
            let scid = self.handshake.local();
            let offsets = LongHeader { ty, version, dcid, scid, token }.encode(writer, pn, pn_len);
            (offsets.pn, Some(offsets.length))
        };
        if writer.overflowed() {
            return None;
        }
        let end = writer.position();
        Some(Draft {
            level,
            pn,
            pn_offset,
            pn_len,
            length_offset,
            start,
            end,
            ack_eliciting: false,
            padded: false,
            size_probe: false,
            probe: false,
        })
    }

    /// What there is to send at `level`, as far as it fits.
    fn write_frames(&mut self, level: Level, writer: &mut Writer<'_>, limit: usize, frames: &mut Vec<SentFrame>) {
        match level {
            Level::Initial | Level::Handshake => self.write_crypto(level.space(), writer, limit, frames),
            Level::ZeroRtt => {
                self.write_stream_control(writer, limit, frames);
                self.write_data(writer, limit, frames);
            }
            Level::OneRtt => {
                self.write_crypto(Space::Application, writer, limit, frames);
                self.write_application(writer, limit, frames);
            }
        }
    }

    fn write_ack(
        &mut self,
        now: Time,
        space: Space,
        writer: &mut Writer<'_>,
        limit: usize,
        frames: &mut Vec<SentFrame>,
    ) {
        let received = self.recovery.received(space);
        let Some(largest) = received.largest().filter(|_| received.ack_pending()) else { return };
        let delay = (received.ack_delay(now) / 1_000) >> self.settings.ack_delay_exponent.min(20);
        let room = limit.saturating_sub(writer.position());
        if packet::encode_ack(writer, delay, received.ranges(), received.ecn_counts(), room) {
            self.recovery.received_mut(space).on_ack_sent();
            self.stats.acks_sent += 1;
            frames.push(SentFrame::Ack { largest });
        }
    }

    fn write_crypto(&mut self, space: Space, writer: &mut Writer<'_>, limit: usize, frames: &mut Vec<SentFrame>) {
        let stream = self.handshake.stream(space);
        while stream.has_data() {
            let room = limit.saturating_sub(writer.position());
            // Type, offset and a length of two bytes.
            let Some(max) = room.checked_sub(packet::crypto_frame_overhead(u64::from(u32::MAX), 64)) else { return };
            let Some((offset, data)) = stream.next_data(max) else { return };
            Frame::Crypto { offset, data }.encode(writer);
            frames.push(SentFrame::Crypto { space, offset, len: data.len() as u64 });
        }
    }

    /// The frames of 1-RTT packets, in order of urgency.
    fn write_application(&mut self, writer: &mut Writer<'_>, limit: usize, frames: &mut Vec<SentFrame>) {
        let fits = |writer: &Writer<'_>| limit.saturating_sub(writer.position()) >= MAX_CONTROL_FRAME;
        if self.pending.handshake_done && fits(writer) {
            self.pending.handshake_done = false;
            Frame::HandshakeDone.encode(writer);
            frames.push(SentFrame::HandshakeDone);
        }
        while fits(writer)
            && let Some(issued) = self.local_ids.next_unsent()
        {
            let (sequence, cid, reset_token) = (issued.sequence, issued.id, issued.reset_token);
            let retire_prior_to = self.local_ids.retire_prior_to(sequence);
            Frame::NewConnectionId { sequence, retire_prior_to, cid, reset_token }.encode(writer);
            frames.push(SentFrame::NewConnectionId { sequence });
        }
        while fits(writer)
            && let Some(sequence) = self.remote_ids.next_retiring()
        {
            Frame::RetireConnectionId { sequence }.encode(writer);
            frames.push(SentFrame::RetireConnectionId { sequence });
        }
        self.write_stream_control(writer, limit, frames);
        self.write_tokens(writer, limit, frames);
        if core::mem::take(&mut self.pending.ping) && fits(writer) {
            Frame::Ping.encode(writer);
        }
        self.write_data(writer, limit, frames);
    }

    fn write_stream_control(&mut self, writer: &mut Writer<'_>, limit: usize, frames: &mut Vec<SentFrame>) {
        while limit.saturating_sub(writer.position()) >= MAX_CONTROL_FRAME
            && let Some(control) = self.streams.next_control()
        {
            control_frame(&control).encode(writer);
            frames.push(SentFrame::Control(control));
        }
    }

    /// What comes last in 0-RTT and 1-RTT packets: datagrams, then stream data.
    fn write_data(&mut self, writer: &mut Writer<'_>, limit: usize, frames: &mut Vec<SentFrame>) {
        if !self.write_datagrams(writer, limit, frames) {
            return;
        }
        while let Some(chunk) = self.streams.next_data(limit.saturating_sub(writer.position())) {
            packet::encode_stream_header(writer, chunk.id, chunk.offset, chunk.len, chunk.fin, true);
            if let Some(slot) = writer.reserve(chunk.len) {
                self.streams.copy_chunk(&chunk, slot);
            }
            frames.push(SentFrame::Stream(chunk));
        }
    }

    /// Pads the last packet of the datagram where the RFC asks for 1200 bytes (RFC 9000 section 14.1): every Initial of
    /// a client, and a server's that asks for an acknowledgment. Where the settings ask for it, packets with application
    /// data are padded to the size of the path.
    fn pad(&self, drafts: &mut [Option<Draft>; 3], last: usize, writer: &mut Writer<'_>) {
        let pads = |draft: &Draft| draft.level == Level::Initial && (self.side().is_client() || draft.ack_eliciting);
        let hides = |draft: &Draft| draft.level.space() == Space::Application && draft.ack_eliciting;
        let missing = if self.settings.pad_packets && drafts.iter().flatten().any(hides) {
            writer.remaining()
        } else if drafts.iter().flatten().any(pads) {
            MIN_DATAGRAM_SIZE.saturating_sub(writer.position())
        } else {
            0
        };
        if missing == 0 {
            return;
        }
        if let Some(Some(draft)) = drafts.get_mut(last) {
            // What was the tag's room becomes PADDING: both are zeros.
            writer.zeros(missing);
            draft.end += missing;
            draft.padded = true;
        }
    }

    fn seal_and_record(&mut self, now: Time, drafts: [Option<Draft>; 3], datagram: &mut [u8]) {
        let ecn = self.paths.active().ecn_mark();
        self.paths.active_mut().on_sent(datagram.len());
        self.count_datagram(datagram.len(), ecn);
        if ecn == Ecn::Ect0 && self.paths.active().ecn_state() == EcnState::Testing {
            let (packets, pto) = (drafts.iter().flatten().count() as u64, self.recovery.pto(Space::Application));
            self.change_ecn(|path| path.on_marked(now, packets, pto));
        }
        for draft in drafts.into_iter().flatten() {
            let Some(packet) = datagram.get_mut(draft.start..draft.end + TAG_LEN) else { continue };
            self.seal(&draft, packet);
            self.record(now, &draft, packet.len(), ecn);
            // RFC 9001 section 4.9.1: a client's first Handshake packet ends its use of Initial packets.
            if draft.level == Level::Handshake && self.side().is_client() && self.keys.can_write(Level::Initial) {
                self.discard_space(Space::Initial);
            }
        }
    }

    pub(super) fn seal(&mut self, draft: &Draft, packet: &mut [u8]) {
        let pn_offset = draft.pn_offset - draft.start;
        if let Some(length_offset) = draft.length_offset {
            packet::set_length(packet, length_offset - draft.start, packet.len() - pn_offset);
        }
        self.trace_packet_sent(draft, packet);
        self.grease_quic_bit(packet);
        self.keys.seal(draft.level, draft.pn, pn_offset, draft.pn_len, packet);
    }

    pub(super) fn record(&mut self, now: Time, draft: &Draft, size: usize, ecn: Ecn) {
        let space = draft.level.space();
        let in_flight = draft.ack_eliciting || draft.padded;
        let ack_eliciting = draft.ack_eliciting;
        let size_probe = draft.size_probe;
        let sent = SentPacket { pn: draft.pn, time: now, size, ack_eliciting, in_flight, ecn, size_probe };
        if let Some(frames) = self.scratch.get_mut(space as usize) {
            self.recovery.on_packet_sent(space, sent, frames);
        }
        self.stats.packets_sent += 1;
        if in_flight {
            self.congestion.on_sent(now, size as u64, self.recovery.bytes_in_flight());
            self.pacer.on_sent(size as u64);
        }
        if draft.ack_eliciting {
            self.timers.on_ack_eliciting_sent(now);
        }
    }

    /// One datagram with a CONNECTION_CLOSE in each level that the peer may read.
    pub(super) fn write_close_datagram(
        &mut self,
        now: Time,
        buffer: &mut [u8],
        write: impl Fn(Level, &mut Writer<'_>, usize),
    ) -> Option<Outgoing> {
        let allowance = usize::try_from(self.paths.active().allowance()).unwrap_or(usize::MAX);
        let limit = buffer.len().min(allowance).min(MIN_DATAGRAM_SIZE);
        let mut writer = Writer::new(buffer.get_mut(..limit)?);
        let mut drafts: [Option<Draft>; 3] = [None, None, None];
        for (level, slot) in LEVELS.into_iter().zip(&mut drafts) {
            if !self.keys.can_write(level) || writer.remaining() < MIN_ROOM {
                continue;
            }
            if let Some(mut draft) = self.begin(level, &mut writer) {
                // The levels share the datagram: none takes more than half of what is left.
                let limit = writer.position() + writer.remaining() / 2;
                write(level, &mut writer, limit);
                draft.end = writer.position();
                writer.zeros(TAG_LEN);
                *slot = Some(draft);
            }
        }
        let last = drafts.iter().rposition(Option::is_some)?;
        if limit == MIN_DATAGRAM_SIZE {
            self.pad(&mut drafts, last, &mut writer);
        }
        let len = writer.position();
        if writer.overflowed() {
            return None;
        }
        let ecn = self.paths.active().ecn_mark();
        self.seal_and_record(now, drafts, buffer.get_mut(..len)?);
        Some(Outgoing { len, segment_size: len, path: self.paths.active().addresses(), ecn })
    }
}

pub(super) const fn control_frame(control: &Control) -> Frame<'static> {
    match *control {
        Control::MaxData { limit } => Frame::MaxData { limit },
        Control::MaxStreamData { id, limit } => Frame::MaxStreamData { id, limit },
        Control::MaxStreams { dir, limit } => Frame::MaxStreams { dir, limit },
        Control::ResetStream { id, code, final_size } => Frame::ResetStream { id, code, final_size },
        Control::StopSending { id, code } => Frame::StopSending { id, code },
        Control::DataBlocked { limit } => Frame::DataBlocked { limit },
        Control::StreamDataBlocked { id, limit } => Frame::StreamDataBlocked { id, limit },
        Control::StreamsBlocked { dir, limit } => Frame::StreamsBlocked { dir, limit },
    }
}
