//! The end of a connection: closing, draining, gone (RFC 9000 section 10).

use alloc::string::String;
use alloc::vec::Vec;

use super::{Connection, ConnectionError, Event, Idle, Transmit};
use crate::error::{TransportError, TransportErrorCode};
use crate::packet::{ConnectionClose, Frame};
use crate::wire::{Level, Time, Writer};

/// Where a connection is in its life.
#[derive(Debug)]
pub(super) enum State {
    /// The handshake, and what follows it.
    Open,
    /// We closed. CONNECTION_CLOSE is repeated at growing intervals when the peer goes on sending.
    Closing(Closing),
    /// The peer closed, or nothing is to be sent any more.
    Draining {
        /// When the state is dropped.
        until: Time,
    },
    /// Over.
    Drained,
}

#[derive(Debug)]
pub(super) struct Closing {
    reason: CloseReason,
    until: Time,
    /// Whether CONNECTION_CLOSE is to be sent now.
    pending: bool,
    /// Packets received since the last CONNECTION_CLOSE, and how many make us send another.
    received: u32,
    threshold: u32,
}

#[derive(Debug)]
enum CloseReason {
    Transport(TransportError),
    Application { code: u64, reason: Vec<u8> },
}

/// The longest reason phrase that we send or keep.
const MAX_REASON: usize = 1024;

impl Connection {
    /// Closes the connection: the peer is told `code` and `reason`, whose first 1024 bytes are sent. Data that was
    /// not sent is dropped. Does nothing on a connection that is closed already.
    pub fn close(&mut self, now: Time, code: u64, reason: &[u8]) {
        self.begin_turn(now);
        let reason = reason.get(..MAX_REASON).unwrap_or(reason).to_vec();
        let event = ConnectionError::Application { code, reason: reason.clone(), by_peer: false };
        self.begin_closing(now, CloseReason::Application { code, reason }, event);
    }

    /// Closes the connection with an error of the transport instead of the application: NO_ERROR, a TLS alert
    /// ([`TransportErrorCode::crypto`]), or a code of an extension. The peer is told the code, the frame type and the
    /// start of the reason, during the handshake too (RFC 9000 section 19.19). Does nothing on a connection that is
    /// closed already.
    pub fn close_transport(&mut self, now: Time, error: TransportError) {
        self.fail(now, error);
    }

    /// Closes the connection because of an error found by the transport.
    pub(super) fn fail(&mut self, now: Time, error: TransportError) {
        let event = ConnectionError::Transport {
            code: error.code,
            frame_type: error.frame_type,
            reason: String::from(error.reason.as_ref()),
            by_peer: false,
        };
        self.begin_closing(now, CloseReason::Transport(error), event);
    }

    fn begin_closing(&mut self, now: Time, reason: CloseReason, event: ConnectionError) {
        if !matches!(self.state, State::Open) {
            return;
        }
        self.announce_close(event);
        // A client that has sent nothing, and a server that has received nothing, simply vanish.
        if self.stats.packets_sent == 0 && self.side().is_client() {
            self.vanish();
            return;
        }
        let until = now.saturating_add(self.closing_period());
        self.state = State::Closing(Closing { reason, until, pending: true, received: 0, threshold: 1 });
    }

    /// The peer closed the connection (RFC 9000 section 10.2.2).
    pub(super) fn on_peer_close(&mut self, now: Time, close: &ConnectionClose<'_>) {
        let error = match close {
            ConnectionClose::Transport { code, frame_type, reason } => ConnectionError::Transport {
                code: *code,
                frame_type: *frame_type,
                reason: String::from_utf8_lossy(cut(reason)).into_owned(),
                by_peer: true,
            },
            ConnectionClose::Application { code, reason } => {
                ConnectionError::Application { code: *code, reason: cut(reason).to_vec(), by_peer: true }
            }
        };
        self.drain(now, error);
    }

    /// Ends the connection without a word to the peer, and waits for late packets.
    pub(super) fn drain(&mut self, now: Time, error: ConnectionError) {
        if matches!(self.state, State::Open) {
            self.announce_close(error);
        }
        if !matches!(self.state, State::Drained) {
            self.state = State::Draining { until: now.saturating_add(self.closing_period()) };
        }
    }

    /// Ends the connection at once and silently.
    pub(super) fn abandon(&mut self, error: ConnectionError) {
        if matches!(self.state, State::Open) {
            self.announce_close(error);
        }
        self.vanish();
    }

    /// What happened on streams and to datagrams before the close is told before it: what was received can still be read.
    fn announce_close(&mut self, error: ConnectionError) {
        while let Some(event) = self.poll_room_event() {
            self.events.push_back(event);
        }
        self.trace_close(&error);
        self.events.push_back(Event::Closed(error));
    }

    /// Drops what is left of the connection.
    pub(super) fn vanish(&mut self) {
        if !matches!(self.state, State::Drained) {
            self.state = State::Drained;
            self.local_ids.clear();
            self.unroute_original();
            self.events.push_back(Event::Drained);
        }
    }

    /// RFC 9000 section 10.2: three times the probe timeout.
    fn closing_period(&self) -> Time {
        self.recovery.pto(crate::wire::Space::Application).saturating_mul(3)
    }

    /// When the closing or draining state ends.
    pub(super) fn closing_deadline(&self) -> Option<Time> {
        match &self.state {
            State::Closing(closing) => Some(closing.until),
            State::Draining { until } => Some(*until),
            State::Open | State::Drained => None,
        }
    }

    /// A datagram arrived after we closed: the answer is repeated after 1, 2, 4, ... of them (RFC 9000 section 10.2.1).
    pub(super) fn on_datagram_while_closing(&mut self) {
        if let State::Closing(closing) = &mut self.state {
            closing.received += 1;
            if closing.received >= closing.threshold {
                closing.received = 0;
                closing.threshold = closing.threshold.saturating_mul(2);
                closing.pending = true;
            }
        }
    }

    /// Sends CONNECTION_CLOSE in every level that the peer may be able to read (RFC 9000 section 10.2.3).
    pub(super) fn transmit_close(&mut self, now: Time, buffer: &mut [u8]) -> Transmit {
        let State::Closing(closing) = &mut self.state else { return Transmit::Idle(Idle::Nothing) };
        if !core::mem::take(&mut closing.pending) {
            return Transmit::Idle(Idle::Nothing);
        }
        // The reason moves out while the packets are built, and back: building needs the whole connection.
        let reason = core::mem::replace(&mut closing.reason, CloseReason::Application { code: 0, reason: Vec::new() });
        let sent = self.write_close_datagram(now, buffer, |level, w, limit| reason.write(level, w, limit));
        if let State::Closing(closing) = &mut self.state {
            closing.reason = reason;
            // Without room now it goes out when the peer has sent more.
            closing.pending = sent.is_none();
        }
        match sent {
            Some(outgoing) => Transmit::Send(outgoing),
            None => Transmit::Idle(Idle::Amplification),
        }
    }
}

impl CloseReason {
    /// Writes the frame for `level`, the reason cut to what fits below `limit`.
    fn write(&self, level: Level, w: &mut Writer<'_>, limit: usize) {
        // The frame's other fields take at most 1 + 8 + 8 + 2 bytes.
        let room = limit.saturating_sub(w.position()).saturating_sub(19);
        let frame = match self {
            Self::Transport(error) => ConnectionClose::Transport {
                code: error.code,
                frame_type: error.frame_type,
                reason: truncate(&error.reason, room),
            },
            Self::Application { code, reason } if level == Level::OneRtt => {
                ConnectionClose::Application { code: *code, reason: reason.get(..room).unwrap_or(reason) }
            }
            // The application's code and reason are not for packets that others can read (RFC 9000 section 10.2.3).
            Self::Application { .. } => {
                ConnectionClose::Transport { code: TransportErrorCode::APPLICATION_ERROR, frame_type: 0, reason: &[] }
            }
        };
        Frame::ConnectionClose(frame).encode(w);
    }
}

fn truncate(reason: &str, room: usize) -> &[u8] {
    let mut end = room.min(reason.len()).min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.as_bytes().get(..end).unwrap_or_default()
}

fn cut(reason: &[u8]) -> &[u8] {
    reason.get(..MAX_REASON).unwrap_or(reason)
}
