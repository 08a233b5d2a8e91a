//! Streams: sending, receiving, flow control, limits (RFC 9000 sections 2, 3 and 4).
//!
//! [`Streams`] holds every stream of a connection. The caller writes and reads; the connection brings the frames
//! that arrived, asks for control frames and chunks of data to send, and reports what became of them.
//!
//! Invariants:
//!
//! - What is buffered to send has credit at both levels: a write takes no more than the peer allows. So one
//!   stream that the peer does not read cannot fill the buffer and hold up the others.
//! - No operation looks at all streams. Whatever a stream needs (a control frame, a turn to send, an event to
//!   tell) it has a place in a queue for; [`Streams`] settles these places after each operation on a stream.
//! - A payload byte is copied at most once on its way out ([`Streams::copy_chunk`]; bytes lent to
//!   [`Streams::write`] once more) and once on its way in, straight to its place.
//! - Memory is bounded: by [`Settings::send_buffer`] on the way out, by the limits announced on the way in, whose
//!   windows grow to a maximum ([`FlowControl`]), and by the number of streams for everything else.

mod caller;
mod concurrency;
mod credit;
mod egress;
mod error;
mod events;
mod flow_control;
mod ingress;
mod priority;
mod queue;
mod receive;
mod receive_buffer;
mod scheduler;
mod send;
mod send_buffer;
mod shutdown;
mod table;

pub use error::{AbortError, CreditError, OpenError, ReadError, WriteError};
pub use flow_control::{FlowControl, Pace};
pub use priority::Priority;
pub use receive::ReceiveState;
pub use send::SendState;

use alloc::collections::VecDeque;
use core::ops::Range;

use bytes::Bytes;

use self::concurrency::MAX_STREAMS;
use self::flow_control::{ReceiveWindow, SendCredit};
use self::queue::StreamQueue;
use self::receive_buffer::BlockPool;
use self::scheduler::{Pending, Scheduler};
use self::send::SendPart;
use self::shutdown::Shutdown;
use self::table::{Stream, Table};
use crate::wire::{Dir, Side, StreamId, varint};

/// Limits as transport parameters announce them, from the view of the end that announces them
/// (RFC 9000 section 18.2). The default is that of absent parameters: zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on all streams together, 0 to 2^62 - 1.
    pub max_data: u64,
    /// Bytes on a bidirectional stream that the announcing end opens, 0 to 2^62 - 1.
    pub max_stream_data_bidi_local: u64,
    /// Bytes on a bidirectional stream that the other end opens, 0 to 2^62 - 1.
    pub max_stream_data_bidi_remote: u64,
    /// Bytes on a unidirectional stream that the other end opens, 0 to 2^62 - 1.
    pub max_stream_data_uni: u64,
    /// Bidirectional streams that the other end may open, 0 to 2^60.
    pub max_streams_bidi: u64,
    /// Unidirectional streams that the other end may open, 0 to 2^60.
    pub max_streams_uni: u64,
}

impl Limits {
    /// The largest receive window of one stream: 4 GiB.
    pub const MAX_STREAM_WINDOW: u64 = 1 << 32;

    /// These limits as [`Streams`] enforces them when they are ours: values out of range become the nearest in
    /// range, and a stream's window is at most [`Self::MAX_STREAM_WINDOW`]. What is announced must be this.
    #[must_use]
    pub fn clamped(self) -> Self {
        Self {
            max_data: self.max_data.min(varint::MAX),
            max_stream_data_bidi_local: self.max_stream_data_bidi_local.min(Self::MAX_STREAM_WINDOW),
            max_stream_data_bidi_remote: self.max_stream_data_bidi_remote.min(Self::MAX_STREAM_WINDOW),
            max_stream_data_uni: self.max_stream_data_uni.min(Self::MAX_STREAM_WINDOW),
            max_streams_bidi: self.max_streams_bidi.min(MAX_STREAMS),
            max_streams_uni: self.max_streams_uni.min(MAX_STREAMS),
        }
    }
}

/// What the streams of a connection may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What we allow the peer at first; see [`Limits::clamped`].
    pub receive: Limits,
    /// How that grows.
    pub flow_control: FlowControl,
    /// The most bytes buffered on all streams together that are unsent or not acknowledged; at least 1, or
    /// nothing can be written.
    pub send_buffer: u64,
}

/// Readable bytes, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// The next bytes of the stream, as many as lie in one piece.
    pub data: &'a [u8],
    /// The stream ended: `data` is empty and none follows.
    pub finished: bool,
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// How many bytes.
    pub len: usize,
    /// The stream ended: these bytes were its last.
    pub finished: bool,
}

/// What a read brought, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadChunk {
    /// The bytes.
    pub data: Bytes,
    /// The stream ended: these bytes were its last.
    pub finished: bool,
}

/// A frame that carries no data. Taking it from [`Streams::next_control`] counts as sending it; what became of
/// it comes back by [`Streams::on_control_acked`] and [`Streams::on_control_lost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// RFC 9000 section 19.9.
    MaxData {
        /// Bytes that the peer may send on all streams together.
        limit: u64,
    },
    /// RFC 9000 section 19.10.
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// Bytes that the peer may send on it.
        limit: u64,
    },
    /// RFC 9000 section 19.11.
    MaxStreams {
        /// Of which direction.
        dir: Dir,
        /// Streams that the peer may open, closed ones included.
        limit: u64,
    },
    /// RFC 9000 section 19.4.
    ResetStream {
        /// The stream.
        id: StreamId,
        /// The application's error code.
        code: u64,
        /// How many bytes were sent on the stream.
        final_size: u64,
    },
    /// RFC 9000 section 19.5.
    StopSending {
        /// The stream.
        id: StreamId,
        /// The application's error code.
        code: u64,
    },
    /// RFC 9000 section 19.12.
    DataBlocked {
        /// The connection's limit that blocks.
        limit: u64,
    },
    /// RFC 9000 section 19.13.
    StreamDataBlocked {
        /// The stream.
        id: StreamId,
        /// Its limit that blocks.
        limit: u64,
    },
    /// RFC 9000 section 19.14.
    StreamsBlocked {
        /// Of which direction.
        dir: Dir,
        /// The limit that blocks.
        limit: u64,
    },
}

/// What one STREAM frame carries (RFC 9000 section 19.8). The bytes stay in the stream's buffer until
/// [`Streams::copy_chunk`]; what became of them comes back by [`Streams::on_data_acked`] and
/// [`Streams::on_data_lost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The stream.
    pub id: StreamId,
    /// Where in the stream the bytes lie.
    pub offset: u64,
    /// How many bytes, 0 to 16,383.
    pub len: usize,
    /// Whether the stream ends with them.
    pub fin: bool,
}

impl Chunk {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len as u64
    }
}

/// What the caller is told. At most one of a kind waits for each stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// After [`Streams::shut_down`]: every stream is over.
    AllOver,
    /// The peer opened a stream.
    Opened {
        /// The stream.
        id: StreamId,
    },
    /// There is more to read, or the end.
    Readable {
        /// The stream.
        id: StreamId,
    },
    /// A write that was refused, in whole or in part, can go on.
    Writable {
        /// The stream.
        id: StreamId,
    },
    /// The peer has everything up to `offset`: more than when this was last told. Only where
    /// [`Streams::set_acked_events`] asks for it.
    Acked {
        /// The stream.
        id: StreamId,
        /// Every byte below was acknowledged.
        offset: u64,
    },
    /// Both parts are over: everything was delivered and read, or was given up. The stream is gone, and this is its
    /// last event.
    Closed {
        /// The stream.
        id: StreamId,
        /// The first error code that ended a part, of either end; `None` where both ended in good order.
        error: Option<u64>,
    },
    /// The peer has all data and the end.
    Finished {
        /// The stream.
        id: StreamId,
    },
    /// The peer reset the stream; what was not read is gone, and reading is over.
    Reset {
        /// The stream.
        id: StreamId,
        /// The peer's error code.
        code: u64,
    },
    /// The peer wants no more data; the stream was reset in answer, and writing is over.
    Stopped {
        /// The stream.
        id: StreamId,
        /// The peer's error code.
        code: u64,
    },
    /// The connection has credit again, after it was used up.
    CreditAvailable,
    /// Opening a stream, refused before, is possible.
    Available {
        /// Of which direction.
        dir: Dir,
    },
}

/// The places of streams in queues.
#[derive(Debug, Default)]
struct Queues {
    /// Those with a control frame to send.
    control: StreamQueue,
    /// Those with data to send.
    scheduler: Scheduler,
    /// Those whose writers wait for room in the send buffer or for the connection's credit.
    waiting: StreamQueue,
    /// Those with something to tell.
    events: StreamQueue,
    /// How many have writers that wait for the stream's own credit.
    blocked: usize,
}

impl Queues {
    /// Gives a stream the places that fit its state.
    fn settle(&mut self, id: StreamId, stream: &mut Stream) {
        let control = stream.has_control();
        self.control.set(id, &mut stream.in_control, control);
        if let Some(send) = &stream.send {
            self.scheduler.update(id, &mut stream.in_scheduler, send.pending());
            if stream.in_waiting.is_queued() && !send.is_open() {
                self.waiting.set(id, &mut stream.in_waiting, false);
            }
            if send.is_blocked() != stream.counted_blocked {
                stream.counted_blocked = send.is_blocked();
                self.blocked = if stream.counted_blocked { self.blocked + 1 } else { self.blocked.saturating_sub(1) };
            }
        }
        self.events.set(id, &mut stream.in_events, !stream.events.is_empty());
    }

    /// Takes a stream out of every queue.
    fn forget(&mut self, id: StreamId, stream: &mut Stream) {
        self.control.set(id, &mut stream.in_control, false);
        self.scheduler.update(id, &mut stream.in_scheduler, Pending::Nothing);
        self.waiting.set(id, &mut stream.in_waiting, false);
        self.events.set(id, &mut stream.in_events, false);
    }

    fn sweep(&mut self, table: &Table) {
        self.control.sweep(|id, ticket| table.get(id).is_some_and(|stream| stream.in_control == ticket));
        self.waiting.sweep(|id, ticket| table.get(id).is_some_and(|stream| stream.in_waiting == ticket));
        self.events.sweep(|id, ticket| table.get(id).is_some_and(|stream| stream.in_events == ticket));
        self.scheduler.sweep(|id| table.get(id).map(|stream| &stream.in_scheduler));
    }
}

/// The bytes that wait to be sent or acknowledged, on all streams together.
#[derive(Debug)]
struct SendTotals {
    cap: u64,
    buffered: u64,
    held: usize,
}

impl SendTotals {
    fn room(&self) -> u64 {
        self.cap.saturating_sub(self.buffered)
    }

    /// Whether there is room worth waking writers for.
    fn has_worthwhile_room(&self) -> bool {
        let room = self.room();
        room > 0 && room >= self.cap / 8
    }

    /// Runs an operation on a stream's sending part, and counts what it did to the buffer.
    fn track<T>(&mut self, send: &mut SendPart, operation: impl FnOnce(&mut SendPart) -> T) -> T {
        let (buffered, held) = (send.buffer.buffered(), send.buffer.held());
        let result = operation(send);
        self.buffered = (self.buffered + send.buffer.buffered()).saturating_sub(buffered);
        self.held = (self.held + send.buffer.held()).saturating_sub(held);
        result
    }
}

/// The streams of a connection.
#[derive(Debug)]
pub struct Streams {
    table: Table,
    queues: Queues,
    /// The credit that we give, at the connection's level.
    receive_window: ReceiveWindow,
    flow_control: FlowControl,
    pace: Pace,
    /// The credit that we have, at the connection's level. Taken when bytes are written.
    send_credit: SendCredit,
    /// The peer gave credit after it had been used up, which nobody was told of yet.
    credit_available: bool,
    /// Streams that are gone, and the first error of each, which nobody was told of yet. A stream that the peer opened
    /// is told before it can go, so that between two rounds of events there are as many as we allow to be open at most,
    /// and those that the caller opened and gave up.
    closed: VecDeque<(StreamId, Option<u64>)>,
    shutdown: Shutdown,
    send: SendTotals,
    pool: BlockPool,
}

impl Streams {
    /// No streams, and no credit from the peer yet.
    #[must_use]
    pub fn new(side: Side, settings: &Settings) -> Self {
        let limits = settings.receive.clamped();
        Self {
            table: Table::new(side, limits, settings.flow_control),
            queues: Queues::default(),
            receive_window: ReceiveWindow::new(limits.max_data, settings.flow_control.growth()),
            flow_control: settings.flow_control,
            pace: Pace::default(),
            credit_available: false,
            closed: VecDeque::new(),
            shutdown: Shutdown::default(),
            send_credit: SendCredit::new(0),
            send: SendTotals { cap: settings.send_buffer, buffered: 0, held: 0 },
            pool: BlockPool::default(),
        }
    }

    /// The peer's limits, from its transport parameters. Limits only rise: those of a later call add to those of
    /// an earlier one (RFC 9000 section 7.4.1).
    pub fn set_peer_limits(&mut self, limits: &Limits) {
        let raised: alloc::vec::Vec<StreamId> = self.table.set_peer_limits(limits).collect();
        self.send_credit.raise(limits.max_data);
        for id in raised {
            self.resume_writer(id);
        }
        self.wake_writers();
    }

    /// How many streams are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether every stream is over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The state of a stream's sending part, while the stream is not over.
    #[must_use]
    pub fn send_state(&self, id: StreamId) -> Option<SendState> {
        self.table.get(id)?.send.as_ref().map(SendPart::state)
    }

    /// The state of a stream's receiving part, while the stream is not over.
    #[must_use]
    pub fn receive_state(&self, id: StreamId) -> Option<ReceiveState> {
        self.table.get(id)?.receive.as_ref().map(receive::ReceivePart::state)
    }

    /// Whether a writer waits for the peer's credit, the stream's or the connection's.
    #[must_use]
    pub fn is_blocked_by_flow_control(&self) -> bool {
        self.queues.blocked > 0 || (!self.queues.waiting.is_empty() && self.send_credit.available() == 0)
    }

    /// Bytes of memory held for stream data, to send and received.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.send.held + self.pool.held()
    }

    /// Settles a stream after an operation on it: its places in the queues, and whether it is over.
    fn settle(&mut self, id: StreamId) {
        let Some(stream) = self.table.get_mut(id) else { return };
        self.queues.settle(id, stream);
        if stream.is_over() {
            self.queues.forget(id, stream);
            self.closed.push_back((id, stream.error));
            self.table.remove(id);
            self.queues.sweep(&self.table);
            if self.table.len() == 0 {
                self.pool.clear();
            }
        }
    }

    /// A stream has new credit of its own: its writer can go on, or waits for the connection's turn.
    fn resume_writer(&mut self, id: StreamId) {
        let can_write = self.send_credit.available() > 0 && self.send.room() > 0;
        let Some(stream) = self.table.get_mut(id) else { return };
        if can_write {
            stream.events.insert(events::EventSet::WRITABLE);
        } else {
            self.queues.waiting.set(id, &mut stream.in_waiting, true);
        }
        self.settle(id);
    }

    /// Wakes writers that waited for the connection, where there is something for them: as many as it suffices
    /// for, so that thousands do not run for the room of a few. The others' turn comes with the next
    /// acknowledgment, or now where none is to come.
    fn wake_writers(&mut self) {
        if self.send_credit.available() == 0 || !self.send.has_worthwhile_room() {
            return;
        }
        let mut room = match self.send.buffered {
            0 => u64::MAX,
            _ => self.send.room().min(self.send_credit.available()),
        };
        while room > 0 {
            let Some((id, ticket)) = self.queues.waiting.front() else { return };
            let Some(stream) = self.table.get_mut(id).filter(|stream| stream.in_waiting == ticket) else {
                self.queues.waiting.drop_void_front();
                continue;
            };
            self.queues.waiting.set(id, &mut stream.in_waiting, false);
            if let Some(send) = &mut stream.send {
                if send.credit.available() > 0 {
                    room = room.saturating_sub(stream.refused);
                    stream.events.insert(events::EventSet::WRITABLE);
                } else {
                    // It used up the stream's own credit meanwhile: now it waits for that.
                    send.set_blocked();
                }
            }
            self.settle(id);
        }
    }
}
