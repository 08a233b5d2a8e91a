//! The graceful end: no new streams, and word when those that are open are over.

use super::{StreamEvent, Streams};
use crate::wire::Dir;

/// Whether new streams are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shutdown {
    /// They are.
    #[default]
    No,
    /// They are not, and some may be open.
    Waiting,
    /// They are not, and the caller knows that none is open.
    Told,
}

impl Streams {
    /// Opens no more streams from now on, and lets the peer open no more than it was already allowed (RFC 9000 section
    /// 4.6). [`StreamEvent::AllOver`] follows when every stream is over.
    pub fn shut_down(&mut self) {
        if self.shutdown == Shutdown::No {
            self.shutdown = Shutdown::Waiting;
            self.table.remote.get_mut(Dir::Bidi).freeze();
            self.table.remote.get_mut(Dir::Uni).freeze();
        }
    }

    /// Tells, once each time, that no stream is left.
    pub(super) fn poll_all_over(&mut self) -> Option<StreamEvent> {
        match (self.shutdown, self.table.len()) {
            (Shutdown::Waiting, 0) => {
                self.shutdown = Shutdown::Told;
                Some(StreamEvent::AllOver)
            }
            // The peer had leave for one more.
            (Shutdown::Told, 1..) => {
                self.shutdown = Shutdown::Waiting;
                None
            }
            _ => None,
        }
    }
}
