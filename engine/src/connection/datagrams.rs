//! The caller's datagram commands, and DATAGRAM frames out and in (RFC 9221).

use alloc::vec::Vec;

use bytes::Bytes;

use super::close::State;
use super::sent::SentFrame;
use super::{Connection, Event};
use crate::crypto::TAG_LEN;
use crate::datagram::{DatagramEvent, DatagramId, Fit, SendDatagramError, max_size_in};
use crate::diagnostics::Movement;
use crate::error::TransportError;
use crate::packet::{Frame, frame_type};
use crate::wire::{Level, Writer, varint};

pub(super) const fn event(event: DatagramEvent) -> Event {
    match event {
        DatagramEvent::Received => Event::DatagramReceived,
        DatagramEvent::Acked(id) => Event::DatagramAcked { id },
        DatagramEvent::Lost(id) => Event::DatagramLost { id },
        DatagramEvent::Dropped(id) => Event::DatagramDropped { id },
        DatagramEvent::Overflowed { count } => Event::DatagramsOverflowed { count },
    }
}

/// Datagram commands. Received datagrams can be read after a close too, until [`Event::Drained`].
impl Connection {
    /// Queues a datagram: it goes out once, as soon as congestion control allows, before stream data. An event tells
    /// what became of it, unless the connection ends before: [`Event::DatagramAcked`], [`Event::DatagramLost`] or
    /// [`Event::DatagramDropped`].
    ///
    /// # Errors
    /// [`SendDatagramError`]; nothing was queued then.
    pub fn send_datagram(&mut self, data: Bytes) -> Result<DatagramId, SendDatagramError> {
        if !matches!(self.state, State::Open) {
            return Err(SendDatagramError::Closed);
        }
        let path_max = self.path_max_datagram();
        let len = data.len();
        let id = self.datagrams.send(data, path_max)?;
        self.trace_datagram(len, Movement::ToTransport);
        Ok(id)
    }

    /// The most bytes that [`send_datagram`](Self::send_datagram) takes now, by the path and by the peer; `None`
    /// where the peer takes no datagrams or the connection is closed. It changes with the path.
    #[must_use]
    pub fn max_datagram_size(&self) -> Option<usize> {
        let peer_max = self.datagrams.peer_max_size().filter(|_| matches!(self.state, State::Open))?;
        Some(peer_max.min(self.path_max_datagram()))
    }

    /// How many accepted datagrams wait to be sent.
    #[must_use]
    pub fn datagrams_queued(&self) -> usize {
        self.datagrams.queued()
    }

    /// Takes the oldest received datagram, without a copy; `None` where none waits.
    pub fn recv_datagram(&mut self) -> Option<Bytes> {
        let data = self.datagrams.receive()?;
        self.trace_datagram(data.len(), Movement::ToApplication);
        Some(data)
    }

    /// The oldest received datagram, in place; [`consume_datagram`](Self::consume_datagram) drops it. Its buffer is
    /// used again, so that reading this way allocates nothing in the long run.
    #[must_use]
    pub fn peek_datagram(&self) -> Option<&[u8]> {
        self.datagrams.peek()
    }

    /// Drops the oldest received datagram. Returns whether there was one.
    pub fn consume_datagram(&mut self) -> bool {
        let len = self.datagrams.peek().map(<[u8]>::len);
        if let Some(len) = len {
            self.trace_datagram(len, Movement::ToApplication);
        }
        self.datagrams.consume()
    }

    /// What a packet alone in its UDP payload carries, with a packet number of 4 bytes, so that the answer does not
    /// change with the packet numbers.
    fn path_max_datagram(&self) -> usize {
        // A 0-RTT packet has a version, both connection IDs with their lengths, and a Length of 2 bytes.
        let early = if self.keys.can_write(Level::OneRtt) { 0 } else { 4 + 1 + 1 + self.handshake.local().len() + 2 };
        let header = 1 + early + self.remote_ids.active().len() + 4;
        max_size_in(self.paths.active().max_datagram_size().saturating_sub(header + TAG_LEN))
    }

    /// Writes the datagrams that fit. Returns whether stream data may follow: not where a datagram is next that needs
    /// more than is left of this packet, so that streams do not keep it waiting.
    pub(super) fn write_datagrams(
        &mut self,
        writer: &mut Writer<'_>,
        limit: usize,
        frames: &mut Vec<SentFrame>,
    ) -> bool {
        if !self.datagrams.has_data() {
            return true;
        }
        let path_max = self.path_max_datagram();
        while let Some(data) = self.datagrams.front(path_max) {
            let fit = Fit::of(data.len(), limit.saturating_sub(writer.position()));
            if fit == Fit::No {
                return false;
            }
            let Some((id, data)) = self.datagrams.take_front() else { return true };
            frames.push(SentFrame::Datagram(id));
            self.stats.datagram_frames_sent += 1;
            if let Fit::ToEnd { padding } = fit {
                writer.zeros(padding);
                Frame::Datagram { data: &data }.encode_to_end(writer);
                return false;
            }
            Frame::Datagram { data: &data }.encode(writer);
        }
        true
    }

    /// A DATAGRAM frame of either type (RFC 9221 section 4).
    pub(super) fn on_datagram(&mut self, ty: u64, data: &[u8]) -> Result<(), TransportError> {
        let length = if ty == frame_type::DATAGRAM_WITH_LENGTH { varint::len(data.len() as u64) } else { 0 };
        self.stats.datagram_frames_received += 1;
        self.datagrams.on_datagram(1 + length + data.len(), data)
    }
}
