//! What the caller is told of streams.
//!
//! A stream holds the set of what is to be told, and has one place in the queue: there are never more entries
//! than streams. A stream stays until it has nothing left to tell but its end, which is told when it is gone.

use super::receive::ReceivePart;
use super::send::SendPart;
use super::table::Stream;
use super::{StreamEvent, Streams};
use crate::wire::{Dir, StreamId};

/// Events of one stream that are to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventSet(u8);

impl EventSet {
    pub(super) const OPENED: Self = Self(1);
    pub(super) const READABLE: Self = Self(1 << 1);
    pub(super) const RESET: Self = Self(1 << 2);
    pub(super) const STOPPED: Self = Self(1 << 3);
    pub(super) const WRITABLE: Self = Self(1 << 4);
    pub(super) const ACKED: Self = Self(1 << 5);
    pub(super) const FINISHED: Self = Self(1 << 6);

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn insert(&mut self, event: Self) {
        self.0 |= event.0;
    }

    pub(super) fn remove(&mut self, event: Self) {
        self.0 &= !event.0;
    }

    /// The first of the events, in the order above.
    fn take(&mut self) -> Self {
        let first = Self(self.0 & self.0.wrapping_neg());
        self.remove(first);
        first
    }
}

impl Stream {
    /// The next event; `None` where it is out of date.
    fn take_event(&mut self, id: StreamId) -> Option<StreamEvent> {
        match self.events.take() {
            EventSet::OPENED => Some(StreamEvent::Opened { id }),
            EventSet::READABLE => {
                let readable = self.receive.as_ref().is_some_and(|receive| receive.readiness().is_ok());
                readable.then_some(StreamEvent::Readable { id })
            }
            EventSet::RESET => {
                let code = self.receive.as_mut().and_then(ReceivePart::tell_reset)?;
                Some(StreamEvent::Reset { id, code })
            }
            EventSet::STOPPED => {
                let code = self.send.as_ref().and_then(SendPart::stop_code)?;
                Some(StreamEvent::Stopped { id, code })
            }
            EventSet::WRITABLE => {
                let writable = self.send.as_ref().is_some_and(SendPart::is_open);
                writable.then_some(StreamEvent::Writable { id })
            }
            EventSet::ACKED => {
                let offset = self.send.as_ref().map(|send| send.buffer.acked_to())?;
                self.acked_told = offset;
                Some(StreamEvent::Acked { id, offset })
            }
            EventSet::FINISHED => Some(StreamEvent::Finished { id }),
            _ => None,
        }
    }
}

impl Streams {
    /// The next event.
    pub fn poll_event(&mut self) -> Option<StreamEvent> {
        if core::mem::take(&mut self.credit_available) {
            return Some(StreamEvent::CreditAvailable);
        }
        for dir in [Dir::Bidi, Dir::Uni] {
            if self.table.local.get_mut(dir).take_available() {
                return Some(StreamEvent::Available { dir });
            }
        }
        while let Some((id, ticket)) = self.queues.events.front() {
            let Some(stream) = self.table.get_mut(id).filter(|stream| stream.in_events == ticket) else {
                self.queues.events.drop_void_front();
                continue;
            };
            let event = stream.take_event(id);
            self.settle(id);
            if event.is_some() {
                return event;
            }
        }
        if let Some((id, error)) = self.closed.pop_front() {
            return Some(StreamEvent::Closed { id, error });
        }
        self.poll_all_over()
    }
}
