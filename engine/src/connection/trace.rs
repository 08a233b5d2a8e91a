//! What the connection's logs are told. Without a log, each of these is one comparison.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::close::State;
use super::egress::Draft;
use super::sent::SentFrame;
use super::{Connection, ConnectionError, Event, Idle, Transmit};
use crate::congestion::{initial_window, minimum_window};
use crate::crypto::OneRttKeys;
use crate::diagnostics::{
    BlockedReason, Cause, Closure, ConnectionState, DropTrigger, Importance, Initiator, Keys, LossTrigger, Metrics,
    MigrationState, Movement, Packet, PacketTrigger, RecoveryParameters, Retransmission, Snapshot, StreamState,
    TimerType, Trace, TraceEvent,
};
use crate::packet::{self, Frame, Layout, PacketType};
use crate::recovery::{self, PacketFate, SentPacket};
use crate::stream::{ReceiveState, StreamEvent};
use crate::transport_parameters::TransportParameters;
use crate::wire::{Dir, Ecn, Level, Space, StreamId, Time, Version};

/// Logs and their state.
impl Connection {
    /// Takes what there is of the connection's qlog, where [the settings](crate::TransportSettings::qlog) ask for one:
    /// whole records, to be appended to a file whose name ends in `.sqlog`. Call it as often as
    /// [`poll_event`](Self::poll_event). What is left when an endpoint's connection is drained comes from
    /// [`Endpoint::poll_last_logs`](crate::Endpoint::poll_last_logs).
    pub fn poll_qlog(&mut self) -> Option<String> {
        self.trace.as_mut()?.take_qlog()
    }

    /// Takes what there is of the connection's text log, where [the settings](crate::TransportSettings::text_log) ask
    /// for one: whole lines. See [`poll_qlog`](Self::poll_qlog) for when.
    pub fn poll_text_log(&mut self) -> Option<String> {
        self.trace.as_mut()?.take_text()
    }

    /// How many events are missing from the logs because they were not taken in time.
    #[must_use]
    pub fn log_events_dropped(&self) -> u64 {
        self.trace.as_ref().map_or(0, |trace| trace.dropped())
    }

    pub(super) fn start_trace(&mut self, now: Time, unix_time: Duration) {
        let (qlog, text, original) = (self.settings.qlog, self.settings.text_log, self.handshake.original());
        let Some(trace) = Trace::new(qlog, text, self.side(), original, now, unix_time) else { return };
        self.trace = Some(Box::new(trace));
        let (local_id, remote_id) = (self.handshake.local(), self.remote_ids.active());
        self.tell(&TraceEvent::ConnectionStarted { path: self.path(), local_id, remote_id });
        let versions = &self.settings.versions;
        let ours = if self.side().is_client() { versions.offered() } else { versions.supported().collect() };
        let (client, server): (&[Version], &[Version]) =
            if self.side().is_client() { (&ours, &[]) } else { (&[], &ours) };
        self.tell(&TraceEvent::VersionInformation { server, client, chosen: Some(self.version) });
        let mtu = self.paths.active().max_datagram_size() as u64;
        self.tell(&TraceEvent::RecoveryParametersSet(RecoveryParameters {
            reordering_threshold: recovery::PACKET_THRESHOLD as u64,
            timer_granularity: recovery::GRANULARITY,
            initial_rtt: u64::try_from(self.settings.initial_rtt.as_nanos()).unwrap_or(u64::MAX),
            max_datagram_size: mtu,
            initial_congestion_window: initial_window(mtu),
            minimum_congestion_window: minimum_window(mtu),
            persistent_congestion_threshold: recovery::PERSISTENT_CONGESTION_THRESHOLD,
        }));
        self.end_turn(Cause::Local);
    }

    /// Records an event.
    pub(super) fn tell(&mut self, event: &TraceEvent<'_>) {
        if let Some(trace) = &mut self.trace {
            trace.record(event);
        }
    }

    /// An input begins, at `now`. What the caller's commands changed before it is recorded as theirs.
    #[inline]
    pub(super) fn begin_turn(&mut self, now: Time) {
        if let Some(trace) = &mut self.trace {
            trace.set_now(now);
            self.end_turn(Cause::Local);
        }
    }

    /// An input is dealt with: what has changed is recorded.
    #[inline]
    pub(super) fn end_turn(&mut self, cause: Cause) {
        if self.trace.is_some() {
            self.record_turn(cause);
        }
    }

    fn record_turn(&mut self, cause: Cause) {
        if let Some(mut trace) = self.trace.take() {
            trace.look(self.snapshot(), cause);
            self.trace = Some(trace);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let (rtt, path) = (self.recovery.rtt(), self.paths.active());
        let timer = if self.is_closed() { None } else { self.recovery.timer(self.timer_context()) };
        Snapshot {
            path: path.addresses(),
            remote_id: self.remote_ids.active(),
            version: self.version,
            mtu: path.max_datagram_size() as u64,
            reached: ConnectionState::ALL.map(|state| self.has_reached(state)),
            metrics: Metrics {
                min_rtt: rtt.min,
                smoothed_rtt: Some(rtt.smoothed),
                latest_rtt: rtt.min.map(|_| rtt.latest),
                rtt_variance: Some(rtt.variance),
                pto_count: Some(self.recovery.pto_count().into()),
                congestion_window: Some(self.congestion.window()),
                bytes_in_flight: Some(self.recovery.bytes_in_flight()),
                ssthresh: self.congestion.ssthresh(),
            },
            keys: Keys {
                initial: self.keys.can_write(Level::Initial),
                handshake_local: self.keys.can_write(Level::Handshake),
                handshake_remote: self.keys.can_read_handshake(),
                zero_rtt: self.keys.can_write(Level::ZeroRtt) || self.keys.reads_early_data(),
                one_rtt: self.keys.one_rtt().map(OneRttKeys::updates),
                previous: self.keys.one_rtt().and_then(OneRttKeys::previous_superseded_at).is_some(),
            },
            loss_timer: timer.map(|timer| {
                let kind = if timer.probe { TimerType::Pto } else { TimerType::Ack };
                (kind, timer.space, timer.due)
            }),
        }
    }

    fn has_reached(&self, state: ConnectionState) -> bool {
        match state {
            ConnectionState::Attempted => self.stats.packets_sent > 0 || self.stats.packets_received > 0,
            ConnectionState::HandshakeStarted => self.keys.can_write(Level::Handshake) || self.is_handshake_complete(),
            ConnectionState::PeerValidated => !self.side().is_client() && self.paths.active().is_validated(),
            ConnectionState::HandshakeComplete => self.is_handshake_complete(),
            ConnectionState::HandshakeConfirmed => self.is_handshake_confirmed(),
            ConnectionState::Closing => matches!(self.state, State::Closing(_)),
            ConnectionState::Draining => matches!(self.state, State::Draining { .. }),
            ConnectionState::Closed => matches!(self.state, State::Drained),
        }
    }

    /// A packet is about to be sealed: header and frames are still in plain text.
    pub(super) fn trace_packet_sent(&mut self, draft: &Draft, packet: &[u8]) {
        if self.trace.is_none() {
            return;
        }
        let payload = packet.get(draft.payload_range()).unwrap_or_default();
        let probe = draft.probe.then_some(PacketTrigger::Probe);
        let key_phase = packet.first().filter(|first| **first & 0x80 == 0).map(|first| first & 0x04 != 0);
        let Ok(layout) = packet::parse_greased(packet, draft.dcid_len()) else { return };
        let exponent = self.settings.ack_delay_exponent.into();
        let event =
            Packet { trigger: probe, ..describe(&layout, draft.pn, key_phase, packet.len(), payload, exponent) };
        self.tell(&TraceEvent::PacketSent(event));
    }

    /// A packet was received, and is authentic.
    pub(super) fn trace_packet_received(&mut self, layout: &Layout, pn: u64, key_phase: bool, payload: &[u8]) {
        if self.trace.is_none() {
            return;
        }
        let key_phase = (layout.ty == PacketType::OneRtt).then_some(key_phase);
        let exponent = self.handshake.peer().map_or(3, |peer| peer.ack_delay_exponent);
        let trigger = self.replaying.then_some(PacketTrigger::KeysAvailable);
        let event = Packet { trigger, ..describe(layout, pn, key_phase, layout.len, payload, exponent) };
        self.tell(&TraceEvent::PacketReceived(event));
    }

    /// A packet without a packet number was received: Retry or Version Negotiation.
    pub(super) fn trace_unnumbered(&mut self, layout: &Layout, versions: &[Version]) {
        let packet = describe(layout, 0, None, layout.len, &[], 0);
        let token_len = if layout.ty == PacketType::Retry { packet.token_len } else { 0 };
        let packet = Packet { pn: None, token_len, supported_versions: versions, ..packet };
        self.tell(&TraceEvent::PacketReceived(packet));
        if layout.ty == PacketType::VersionNegotiation && self.trace.is_some() {
            let client = self.settings.versions.offered();
            self.tell(&TraceEvent::VersionInformation { server: versions, client: &client, chosen: None });
        }
    }

    /// Counts a packet that is dropped, and says why.
    pub(super) fn drop_packet(&mut self, ty: Option<PacketType>, len: usize, trigger: DropTrigger) {
        self.stats.packets_dropped += 1;
        self.tell(&TraceEvent::PacketDropped { ty, len, trigger });
    }

    /// Counts a datagram that is sent.
    pub(super) fn count_datagram(&mut self, len: usize, ecn: Ecn) {
        self.stats.datagrams_sent += 1;
        self.stats.bytes_sent += len as u64;
        self.tell(&TraceEvent::DatagramSent { len, ecn });
    }

    /// Records why nothing more is sent.
    pub(super) fn trace_blocked(&mut self, transmit: &Transmit) {
        let Some(trace) = &mut self.trace else { return };
        match transmit {
            Transmit::Send(_) | Transmit::Idle(Idle::Nothing) => trace.on_blocked(None),
            Transmit::Idle(Idle::CongestionWindow) => trace.on_blocked(Some(BlockedReason::CongestionControl)),
            Transmit::Idle(Idle::Pacing) => trace.on_blocked(Some(BlockedReason::Pacing)),
            Transmit::Idle(Idle::Amplification) => trace.on_blocked(Some(BlockedReason::AmplificationProtection)),
            Transmit::Idle(Idle::FlowControl) => trace.on_blocked(Some(BlockedReason::FlowControl)),
            Transmit::Idle(Idle::BufferTooSmall) => {}
        }
    }

    /// The caller gave `len` bytes of a stream, and where `fin` is set its end.
    pub(super) fn trace_written(&mut self, id: StreamId, len: usize, fin: bool) {
        if len > 0 || fin {
            self.tell(&TraceEvent::StreamDataMoved { id, len, movement: Movement::ToTransport, fin });
        }
    }

    /// The caller took `len` bytes of a stream.
    pub(super) fn trace_read(&mut self, id: StreamId, len: usize) {
        if self.trace.is_none() {
            return;
        }
        let read = matches!(self.streams.receive_state(id), None | Some(ReceiveState::DataRead));
        if len > 0 || read {
            self.tell(&TraceEvent::StreamDataMoved { id, len, movement: Movement::ToApplication, fin: read });
        }
        if read {
            self.tell(&TraceEvent::StreamStateUpdated { id, state: StreamState::DataRead });
        }
    }

    /// A datagram changed hands.
    pub(super) fn trace_datagram(&mut self, len: usize, movement: Movement) {
        self.tell(&TraceEvent::DatagramDataMoved { len, movement });
    }

    /// Our transport parameters, encoded, are about to be sent.
    pub(super) fn trace_parameters(&mut self, encoded: &[u8]) {
        if self.trace.is_some()
            && let Ok(parameters) = TransportParameters::decode(encoded, self.side())
        {
            let event =
                TraceEvent::ParametersSet { initiator: Initiator::Local, parameters: &parameters, cipher_suite: None };
            self.tell(&event);
        }
    }

    /// The peer's transport parameters have come.
    pub(super) fn trace_peer_parameters(&mut self) {
        let cipher_suite = self.handshake.session().and_then(|session| session.cipher_suite());
        if let (Some(trace), Some(parameters)) = (&mut self.trace, self.handshake.peer()) {
            trace.record(&TraceEvent::ParametersSet { initiator: Initiator::Remote, parameters, cipher_suite });
        }
    }

    /// The handshake is complete: the application protocol is settled.
    pub(super) fn trace_handshake_complete(&mut self) {
        let chosen = self.handshake.session().and_then(|session| session.alpn());
        if let (Some(trace), Some(chosen)) = (&mut self.trace, chosen) {
            trace.record(&TraceEvent::AlpnInformation { chosen });
        }
    }

    /// Tells the caller of a path, and records how far the change of path is.
    pub(super) fn announce_path(&mut self, event: Event, new: MigrationState) {
        let (Event::PathChanged { path } | Event::PathFailed { path } | Event::PathValidated { path, .. }) = event
        else {
            return;
        };
        self.events.push_back(event);
        self.tell(&TraceEvent::MigrationStateUpdated { new, path });
    }

    pub(super) fn trace_close(&mut self, error: &ConnectionError) {
        let initiator = |by_peer: bool| if by_peer { Initiator::Remote } else { Initiator::Local };
        self.tell(&TraceEvent::ConnectionClosed(match error {
            ConnectionError::Transport { code, reason, by_peer, .. } => {
                Closure::Transport { initiator: initiator(*by_peer), code: *code, reason: reason.as_bytes() }
            }
            ConnectionError::Application { code, reason, by_peer } => {
                Closure::Application { initiator: initiator(*by_peer), code: *code, reason }
            }
            ConnectionError::IdleTimeout => Closure::IdleTimeout,
            ConnectionError::HandshakeTimeout => Closure::HandshakeTimeout,
            ConnectionError::VersionNegotiation { .. } => Closure::VersionMismatch,
            ConnectionError::StatelessReset => Closure::StatelessReset,
        }));
    }

    /// Counts a stream that this end opened.
    pub(super) fn count_opened(&mut self, id: StreamId) {
        self.stats.streams_opened += 1;
        self.tell(&TraceEvent::StreamStateUpdated { id, state: StreamState::SendOpen });
        if id.dir() == Dir::Bidi {
            self.tell(&TraceEvent::StreamStateUpdated { id, state: StreamState::ReceiveOpen });
        }
    }

    /// The caller is told of a stream.
    pub(super) fn trace_stream(&mut self, event: &StreamEvent) {
        let (id, state) = match *event {
            StreamEvent::Opened { id } => {
                self.stats.streams_accepted += 1;
                (id, StreamState::ReceiveOpen)
            }
            StreamEvent::Finished { id } => (id, StreamState::DataReceived),
            StreamEvent::Reset { id, .. } => (id, StreamState::ResetReceived),
            StreamEvent::Stopped { id, .. } => (id, StreamState::ResetSent),
            _ => return,
        };
        self.tell(&TraceEvent::StreamStateUpdated { id, state });
        if state == StreamState::ReceiveOpen && id.dir() == Dir::Bidi {
            self.tell(&TraceEvent::StreamStateUpdated { id, state: StreamState::SendOpen });
        }
    }
}

/// A packet as its header says.
fn describe<'a>(
    layout: &Layout,
    pn: u64,
    key_phase: Option<bool>,
    len: usize,
    payload: &'a [u8],
    ack_delay_exponent: u64,
) -> Packet<'a> {
    let long = layout.ty != PacketType::OneRtt;
    Packet {
        ty: layout.ty,
        version: long.then_some(layout.version),
        pn: Some(pn),
        dcid: layout.dcid,
        scid: long.then_some(layout.scid),
        token_len: layout.token.len(),
        key_phase,
        len,
        payload,
        ack_delay_exponent,
        supported_versions: &[],
        trigger: None,
    }
}

/// What became of a packet.
pub(super) fn resolved(trace: &mut Trace, space: Space, packet: &SentPacket, fate: PacketFate) {
    let (pn, len) = (packet.pn, packet.size);
    let trigger = match fate {
        PacketFate::Acked => return trace.record(&TraceEvent::PacketAcked { space, pn }),
        PacketFate::LostByThreshold => LossTrigger::ReorderingThreshold,
        PacketFate::LostByTime => LossTrigger::TimeThreshold,
    };
    trace.record(&TraceEvent::PacketLost { space, pn, len, trigger });
}

/// What a lost packet carried is to be sent again, as far as it still matters.
pub(super) fn marked_for_retransmit(trace: &mut Trace, frame: &SentFrame) {
    if !trace.wants(Importance::Extra) {
        return;
    }
    let what = match *frame {
        SentFrame::Crypto { offset, len, .. } => Retransmission::Crypto { offset, len },
        SentFrame::Stream(chunk) => {
            Retransmission::Stream { id: chunk.id, offset: chunk.offset, len: chunk.len as u64, fin: chunk.fin }
        }
        SentFrame::Control(control) => Retransmission::Frame(super::egress::control_frame(&control)),
        SentFrame::HandshakeDone => Retransmission::Frame(Frame::HandshakeDone),
        SentFrame::NewConnectionId { sequence } => Retransmission::NewConnectionId(sequence),
        SentFrame::RetireConnectionId { sequence } => Retransmission::Frame(Frame::RetireConnectionId { sequence }),
        _ => return,
    };
    trace.record(&TraceEvent::MarkedForRetransmit(what));
}

impl Draft {
    /// Where the frames of a packet that starts at the front of its buffer are.
    fn payload_range(&self) -> core::ops::Range<usize> {
        self.pn_offset + self.pn_len - self.start..self.end - self.start
    }

    /// The length of a short header's connection ID.
    const fn dcid_len(&self) -> usize {
        (self.pn_offset - self.start).saturating_sub(1)
    }
}
