//! Which streams exist (RFC 9000 sections 2.1 and 3).
//!
//! A stream is created when it is opened here or first named by the peer, and removed when both parts are over
//! and the caller was told everything. A lower-numbered stream that a higher one opened exists in the count
//! only, until a frame names it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;

use super::Limits;
use super::concurrency::{Admission, LocalStreams, PerDir, RemoteStreams};
use super::events::EventSet;
use super::flow_control::{FlowControl, Growth};
use super::queue::Ticket;
use super::receive::ReceivePart;
use super::scheduler::Place;
use super::send::SendPart;
use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{Dir, Side, StreamId};

/// A stream, and its places in the queues.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) send: Option<SendPart>,
    pub(super) receive: Option<ReceivePart>,
    pub(super) events: EventSet,
    /// The first error code that ended a part, of either end.
    pub(super) error: Option<u64>,
    /// Whether the caller wants to hear of acknowledgments, and how far it was told.
    pub(super) acked_events: bool,
    pub(super) acked_told: u64,
    pub(super) in_events: Ticket,
    pub(super) in_control: Ticket,
    pub(super) in_waiting: Ticket,
    /// How many bytes the writer that waits was refused.
    pub(super) refused: u64,
    pub(super) in_scheduler: Place,
    /// Counted among those that wait for their own credit.
    pub(super) counted_blocked: bool,
}

impl Stream {
    pub(super) fn has_control(&self) -> bool {
        self.send.as_ref().is_some_and(SendPart::has_control)
            || self.receive.as_ref().is_some_and(ReceivePart::has_control)
    }

    /// Whether nothing can happen to the stream any more.
    pub(super) fn is_over(&self) -> bool {
        self.send.as_ref().is_none_or(SendPart::is_terminal)
            && self.receive.as_ref().is_none_or(ReceivePart::is_terminal)
            && self.events.is_empty()
    }
}

/// The streams of a connection.
#[derive(Debug)]
pub(super) struct Table {
    side: Side,
    /// What we allow the peer.
    limits: Limits,
    flow_control: FlowControl,
    /// What the peer allows us.
    peer_limits: Limits,
    streams: BTreeMap<StreamId, Box<Stream>>,
    /// Frames that had no effect, since they were last asked for.
    pub(super) glitches: u64,
    pub(super) local: PerDir<LocalStreams>,
    pub(super) remote: PerDir<RemoteStreams>,
}

impl Table {
    pub(super) fn new(side: Side, limits: Limits, flow_control: FlowControl) -> Self {
        let growth = flow_control.growth();
        Self {
            side,
            peer_limits: Limits::default(),
            streams: BTreeMap::new(),
            glitches: 0,
            local: PerDir::new(LocalStreams::default(), LocalStreams::default()),
            remote: PerDir::new(
                RemoteStreams::new(limits.max_streams_bidi, growth),
                RemoteStreams::new(limits.max_streams_uni, growth),
            ),
            limits,
            flow_control,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.streams.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.streams.get_mut(&id).map(Box::as_mut)
    }

    /// Takes limits from the peer's transport parameters. Returns the streams whose writers waited for them.
    pub(super) fn set_peer_limits(&mut self, limits: &Limits) -> impl Iterator<Item = StreamId> + '_ {
        self.peer_limits = *limits;
        self.local.get_mut(Dir::Bidi).raise(limits.max_streams_bidi);
        self.local.get_mut(Dir::Uni).raise(limits.max_streams_uni);
        let (side, limits) = (self.side, *limits);
        self.streams.iter_mut().filter_map(move |(id, stream)| {
            let limit = send_limit(side, &limits, *id);
            stream.send.as_mut()?.raise_limit(limit).then_some(*id)
        })
    }

    /// Opens a stream; `None` at the peer's limit.
    pub(super) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let id = StreamId::new(self.side, dir, self.local.get_mut(dir).open()?);
        let stream = create(self.side, &self.limits, self.flow_control.stream_growth(), &self.peer_limits, id);
        self.streams.insert(id, Box::new(stream));
        Some(id)
    }

    /// The stream of a frame that its sender sends: STREAM, RESET_STREAM, STREAM_DATA_BLOCKED.
    pub(super) fn receiving(&mut self, id: StreamId) -> Result<Option<&mut Stream>, TransportError> {
        if id.dir() == Dir::Uni && id.initiator() == self.side {
            return Err(state_error("frame of a sender for a stream on which only we send"));
        }
        self.named(id)
    }

    /// The stream of a frame that its receiver sends: MAX_STREAM_DATA, STOP_SENDING.
    pub(super) fn sending(&mut self, id: StreamId) -> Result<Option<&mut Stream>, TransportError> {
        if id.dir() == Dir::Uni && id.initiator() != self.side {
            return Err(state_error("frame of a receiver for a stream on which only the peer sends"));
        }
        self.named(id)
    }

    /// The stream that a frame names, created where it is new; `None` where it is over.
    fn named(&mut self, id: StreamId) -> Result<Option<&mut Stream>, TransportError> {
        let vacant = match self.streams.entry(id) {
            Entry::Occupied(stream) => return Ok(Some(stream.into_mut())),
            Entry::Vacant(vacant) => vacant,
        };
        if id.initiator() == self.side {
            // RFC 9000 sections 19.5, 19.8 and 19.10.
            let is_open = self.local.get(id.dir()).is_open(id.index());
            self.glitches += u64::from(is_open);
            return if is_open { Ok(None) } else { Err(state_error("frame for a stream that we did not open")) };
        }
        match self.remote.get_mut(id.dir()).admit(id.index()) {
            Admission::New => {
                let mut stream =
                    create(self.side, &self.limits, self.flow_control.stream_growth(), &self.peer_limits, id);
                stream.events.insert(EventSet::OPENED);
                Ok(Some(vacant.insert(Box::new(stream))))
            }
            Admission::Closed => {
                self.glitches += 1;
                Ok(None)
            }
            // RFC 9000 section 4.6.
            Admission::BeyondLimit => {
                Err(TransportError::new(TransportErrorCode::STREAM_LIMIT_ERROR, "stream beyond the limit"))
            }
        }
    }

    /// Removes a stream that is over.
    pub(super) fn remove(&mut self, id: StreamId) {
        if self.streams.remove(&id).is_some() && id.initiator() != self.side {
            self.remote.get_mut(id.dir()).on_closed();
        }
    }
}

fn state_error(reason: &'static str) -> TransportError {
    TransportError::new(TransportErrorCode::STREAM_STATE_ERROR, reason)
}

/// The limit that the peer's transport parameters set for what we send on a stream (RFC 9000 section 18.2).
fn send_limit(side: Side, peer: &Limits, id: StreamId) -> u64 {
    match id.dir() {
        Dir::Bidi if id.initiator() == side => peer.max_stream_data_bidi_remote,
        Dir::Bidi => peer.max_stream_data_bidi_local,
        Dir::Uni => peer.max_stream_data_uni,
    }
}

fn create(side: Side, ours: &Limits, growth: Growth, peer: &Limits, id: StreamId) -> Stream {
    let is_local = id.initiator() == side;
    let (sends, receive_window) = match id.dir() {
        Dir::Bidi if is_local => (true, Some(ours.max_stream_data_bidi_local)),
        Dir::Bidi => (true, Some(ours.max_stream_data_bidi_remote)),
        Dir::Uni if is_local => (true, None),
        Dir::Uni => (false, Some(ours.max_stream_data_uni)),
    };
    Stream {
        send: sends.then(|| SendPart::new(send_limit(side, peer, id))),
        receive: receive_window.map(|window| ReceivePart::new(window, growth)),
        events: EventSet::default(),
        error: None,
        acked_events: false,
        acked_told: 0,
        in_events: Ticket::default(),
        in_control: Ticket::default(),
        in_waiting: Ticket::default(),
        refused: 0,
        in_scheduler: Place::default(),
        counted_blocked: false,
    }
}
