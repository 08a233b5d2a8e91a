//! Datagrams: unreliable data beside the streams (RFC 9221).
//!
//! [`Datagrams`] holds what waits to be sent and what waits to be read. The caller sends and receives; the
//! connection asks for what fits into a packet and reports what became of it.
//!
//! Invariants:
//!
//! - A datagram is sent once or not at all: what is lost is reported, never repeated (RFC 9221 section 5.2). Each
//!   that was accepted ends in exactly one of acknowledged, lost and dropped.
//! - A payload byte is copied once on its way out, into the packet, and once on its way in. Buffers of what was
//!   read in place are used again.
//! - Memory is bounded by [`DatagramSettings::send_buffer`] and [`DatagramSettings::receive_buffer`]. The outcomes that wait to be
//!   told are bounded too: with [`MAX_OUTCOMES`] of them nothing more is accepted.

mod error;
mod receive;

pub use error::SendDatagramError;

use alloc::collections::VecDeque;

use bytes::Bytes;

use self::receive::ReceiveQueue;
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::varint;

/// How many outcomes may wait to be told before nothing more is accepted.
pub const MAX_OUTCOMES: usize = 4096;

/// What a queued datagram counts for beside its bytes, so that empty ones count too.
const OVERHEAD: u64 = 64;

const fn cost_of(data: &[u8]) -> u64 {
    data.len() as u64 + OVERHEAD
}

/// A datagram that was accepted to be sent. The numbers of a connection count up from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatagramId(pub u64);

/// What gives way when a queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropPolicy {
    /// Those that have waited longest: what is new matters more.
    Oldest,
    /// The new one.
    Newest,
}

/// What the datagrams of a connection may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramSettings {
    /// The largest DATAGRAM frame that the peer may send, in bytes with its type and length, its
    /// `max_datagram_frame_size`: 0 to 2^62 - 1, where 0 takes none (RFC 9221 section 3). Default: 65535, whatever
    /// fits into a packet; what is not read is bounded by `receive_buffer`.
    pub max_frame_size: u64,
    /// The most bytes that wait for congestion control; each datagram counts for 64 more than it has. With less than
    /// that nothing can be sent. Default: 1 MiB.
    pub send_buffer: u64,
    /// What gives way when more waits to be sent. Default: the newest, which is refused with an error.
    pub send_policy: DropPolicy,
    /// The most bytes that wait to be read; each datagram counts for 64 more than it has. Default: 256 KiB.
    pub receive_buffer: u64,
    /// What gives way when more waits to be read. Default: the oldest; an event tells how many.
    pub receive_policy: DropPolicy,
}

impl Default for DatagramSettings {
    fn default() -> Self {
        Self {
            max_frame_size: 65_535,
            send_buffer: 1 << 20,
            send_policy: DropPolicy::Newest,
            receive_buffer: 256 << 10,
            receive_policy: DropPolicy::Oldest,
        }
    }
}

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramEvent {
    /// There are datagrams to read.
    Received,
    /// The peer acknowledged the datagram's packet. It may have dropped the datagram nevertheless.
    Acked(DatagramId),
    /// The datagram's packet counts as lost. It may have arrived nevertheless.
    Lost(DatagramId),
    /// The datagram was never sent.
    Dropped(DatagramId),
    /// Datagrams that arrived were dropped before they were read.
    Overflowed {
        /// How many since this was last told.
        count: u64,
    },
}

/// A datagram that waits to be sent.
#[derive(Debug)]
struct Queued {
    id: DatagramId,
    data: Bytes,
}

/// The datagrams of a connection.
#[derive(Debug)]
pub struct Datagrams {
    settings: DatagramSettings,
    /// The largest DATAGRAM frame that the peer takes.
    peer_max_frame_size: u64,
    next_id: u64,
    to_send: VecDeque<Queued>,
    /// The bytes of `to_send`, overhead included.
    send_cost: u64,
    outcomes: VecDeque<DatagramEvent>,
    received: ReceiveQueue,
}

/// How many bytes a DATAGRAM frame with a Length has around `len` bytes of data (RFC 9221 section 4).
const fn frame_overhead(len: usize) -> usize {
    1 + varint::len(len as u64)
}

impl Datagrams {
    /// No datagrams, and a peer that takes none so far.
    #[must_use]
    pub const fn new(settings: &DatagramSettings) -> Self {
        Self {
            settings: *settings,
            peer_max_frame_size: 0,
            next_id: 0,
            to_send: VecDeque::new(),
            send_cost: 0,
            outcomes: VecDeque::new(),
            received: ReceiveQueue::new(settings.receive_buffer, settings.receive_policy),
        }
    }

    /// The peer's `max_datagram_frame_size` transport parameter (RFC 9221 section 3). Datagrams that wait and are
    /// larger are dropped when their turn comes.
    pub const fn set_peer_max_frame_size(&mut self, size: u64) {
        self.peer_max_frame_size = size;
    }

    /// The most bytes that a datagram may have for the peer, in a frame with a Length; `None` where it takes none.
    #[must_use]
    pub fn peer_max_size(&self) -> Option<usize> {
        let frame = usize::try_from(self.peer_max_frame_size).unwrap_or(usize::MAX);
        // The Length's own size depends on what is left for the data.
        let largest = [1, 2, 4, 8].into_iter().filter_map(|length| {
            let data = frame.checked_sub(1 + length)?;
            (varint::len(data as u64) <= length).then_some(data)
        });
        largest.max()
    }

    /// Queues a datagram. `path_max` is the most bytes of data that a packet carries on the path now.
    ///
    /// With [`DropPolicy::Oldest`] the datagram is accepted, and [`DatagramEvent::Dropped`] names those that give
    /// way.
    ///
    /// # Errors
    /// [`SendDatagramError`]; nothing was queued then.
    pub fn send(&mut self, data: Bytes, path_max: usize) -> Result<DatagramId, SendDatagramError> {
        let peer_max = self.peer_max_size().ok_or(SendDatagramError::Unsupported)?;
        if data.len() > peer_max {
            return Err(SendDatagramError::TooLargeForPeer { max: peer_max });
        }
        if data.len() > path_max {
            return Err(SendDatagramError::TooLargeForPath { max: path_max.min(peer_max) });
        }
        let cost = cost_of(&data);
        if cost > self.settings.send_buffer || self.outcomes.len() >= MAX_OUTCOMES {
            return Err(SendDatagramError::QueueFull);
        }
        if self.settings.send_policy == DropPolicy::Newest && self.send_cost + cost > self.settings.send_buffer {
            return Err(SendDatagramError::QueueFull);
        }
        while self.send_cost + cost > self.settings.send_buffer && self.drop_front() {}
        let id = DatagramId(self.next_id);
        self.next_id += 1;
        self.send_cost += cost;
        self.to_send.push_back(Queued { id, data });
        Ok(id)
    }

    /// Whether a datagram waits to be sent.
    #[must_use]
    pub fn has_data(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.to_send.len()
    }

    /// The data of the datagram to send next. Those that are larger than `path_max` or than the peer takes are
    /// dropped: the path or the peer changed since they were accepted.
    pub fn front(&mut self, path_max: usize) -> Option<&Bytes> {
        let max = self.peer_max_size().map_or(0, |peer_max| peer_max.min(path_max));
        let none = self.peer_max_frame_size == 0;
        while self.to_send.front().is_some_and(|queued| none || queued.data.len() > max) {
            self.drop_front();
        }
        self.to_send.front().map(|queued| &queued.data)
    }

    /// Takes the datagram at the front as sent.
    pub fn take_front(&mut self) -> Option<(DatagramId, Bytes)> {
        let Queued { id, data } = self.to_send.pop_front()?;
        self.send_cost -= cost_of(&data);
        Some((id, data))
    }

    /// Drops what waits to be sent; each is told.
    pub fn drop_unsent(&mut self) {
        while self.drop_front() {}
    }

    fn drop_front(&mut self) -> bool {
        let Some((id, _)) = self.take_front() else { return false };
        self.outcomes.push_back(DatagramEvent::Dropped(id));
        true
    }

    /// The packet of a datagram was acknowledged.
    pub fn on_acked(&mut self, id: DatagramId) {
        self.outcomes.push_back(DatagramEvent::Acked(id));
    }

    /// The packet of a datagram was lost. RFC 9221 section 5.2: it is not sent again.
    pub fn on_lost(&mut self, id: DatagramId) {
        self.outcomes.push_back(DatagramEvent::Lost(id));
    }

    /// A DATAGRAM frame, `frame_size` bytes with its type and length.
    ///
    /// # Errors
    /// PROTOCOL_VIOLATION where it is larger than we announced (RFC 9221 section 3).
    pub fn on_datagram(&mut self, frame_size: usize, data: &[u8]) -> Result<(), TransportError> {
        if frame_size as u64 > self.settings.max_frame_size {
            let reason = match self.settings.max_frame_size {
                0 => "DATAGRAM, and no support was announced",
                _ => "DATAGRAM larger than announced",
            };
            return Err(TransportError::new(TransportErrorCode::PROTOCOL_VIOLATION, reason));
        }
        self.received.push(data);
        Ok(())
    }

    /// The oldest datagram that was received, in place; [`Self::consume`] drops it.
    #[must_use]
    pub fn peek(&self) -> Option<&[u8]> {
        self.received.peek()
    }

    /// Drops the oldest datagram that was received. Returns whether there was one.
    pub fn consume(&mut self) -> bool {
        self.received.consume()
    }

    /// Takes the oldest datagram that was received, without a copy.
    pub fn receive(&mut self) -> Option<Bytes> {
        self.received.take()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<DatagramEvent> {
        self.received.poll_event().or_else(|| self.outcomes.pop_front())
    }

    /// Bytes of memory held, to send and received, and what is kept to be used again.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        usize::try_from(self.send_cost).unwrap_or(usize::MAX).saturating_add(self.received.held())
    }
}

/// The most bytes of data that fit into a frame without a Length, in a packet with `room` bytes for frames.
#[must_use]
pub const fn max_size_in(room: usize) -> usize {
    room.saturating_sub(1)
}

/// How a datagram of `len` bytes goes into `room` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// In a frame with a Length: other frames may follow.
    WithLength,
    /// In a frame that extends to the packet's end, behind so many bytes of PADDING.
    ToEnd {
        /// 0 or more.
        padding: usize,
    },
    /// Not at all.
    No,
}

impl Fit {
    /// How a datagram of `len` bytes goes into `room` bytes.
    #[must_use]
    pub const fn of(len: usize, room: usize) -> Self {
        if len + frame_overhead(len) <= room {
            Self::WithLength
        } else if len < room {
            Self::ToEnd { padding: room - 1 - len }
        } else {
            Self::No
        }
    }
}
