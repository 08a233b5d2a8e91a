//! What is sent, and what became of it (RFC 9000 section 13.3).

use super::events::EventSet;
use super::{Chunk, Control, Pace, Streams};
use crate::wire::Dir;

/// A STREAM frame's type, and at least a byte of stream ID and two of Length.
const MIN_HEADER: usize = 1 + 1 + 2;

const DIRS: [Dir; 2] = [Dir::Bidi, Dir::Uni];

impl Streams {
    /// Tells the time and the round-trip time, by which automatic windows grow. To be called before frames are taken;
    /// windows never grow where it is not.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// Whether [`Self::next_control`] has a frame.
    #[must_use]
    pub fn has_control(&self) -> bool {
        !self.queues.control.is_empty()
            || self.receive_window.update_due()
            || self.data_blocked_due()
            || DIRS.into_iter().any(|dir| self.table.remote.get(dir).update_due())
            || DIRS.into_iter().any(|dir| self.table.local.get(dir).report_due().is_some())
    }

    /// Whether [`Self::next_data`] has a chunk, given room.
    #[must_use]
    pub fn has_data(&self) -> bool {
        !self.queues.scheduler.is_empty()
    }

    /// RFC 9000 section 4.1: a writer waits for the connection's credit, and everything allowed was sent.
    fn data_blocked_due(&self) -> bool {
        !self.queues.waiting.is_empty() && self.send_credit.report_due() && !self.has_data()
    }

    /// Takes a control frame as sent. At most 25 bytes encoded.
    pub fn next_control(&mut self) -> Option<Control> {
        if !self.has_control() {
            return None;
        }
        if self.receive_window.update_due() {
            return Some(Control::MaxData { limit: self.receive_window.announce(&self.pace) });
        }
        for dir in DIRS {
            let remote = self.table.remote.get_mut(dir);
            if remote.update_due() {
                return Some(Control::MaxStreams { dir, limit: remote.announce() });
            }
            let local = self.table.local.get_mut(dir);
            if let Some(limit) = local.report_due() {
                local.on_reported(limit);
                return Some(Control::StreamsBlocked { dir, limit });
            }
        }
        if self.data_blocked_due() {
            return Some(Control::DataBlocked { limit: self.send_credit.report() });
        }
        while let Some((id, ticket)) = self.queues.control.front() {
            let Some(stream) = self.table.get_mut(id).filter(|stream| stream.in_control == ticket) else {
                self.queues.control.drop_void_front();
                continue;
            };
            let of_receiving = stream.receive.as_mut().and_then(|receive| receive.next_control(id, &self.pace));
            let control = of_receiving.or_else(|| stream.send.as_mut()?.next_control(id));
            self.queues.settle(id, stream);
            if control.is_some() {
                return control;
            }
        }
        None
    }

    /// Takes data as sent: what of the next stream fits into `room` bytes, the STREAM frame's header with a
    /// two-byte Length included. `None` where nothing is to be sent or `room` is too small to be worthwhile; 64
    /// bytes always suffice.
    pub fn next_data(&mut self, room: usize) -> Option<Chunk> {
        // Most packets are full after one chunk.
        if room < MIN_HEADER {
            return None;
        }
        loop {
            let turn = self.queues.scheduler.next()?;
            let stream = self.table.get_mut(turn.id).filter(|stream| turn.is_valid(&stream.in_scheduler));
            let Some(stream) = stream else {
                self.queues.scheduler.skip();
                continue;
            };
            let chunk = stream.send.as_mut()?.take_chunk(turn.id, room)?;
            self.queues.settle(turn.id, stream);
            if turn.is_valid(&stream.in_scheduler) {
                self.queues.scheduler.rotate();
            }
            return Some(chunk);
        }
    }

    /// Copies a chunk's bytes to the start of `out`, which must have room for them.
    pub fn copy_chunk(&self, chunk: &Chunk, out: &mut [u8]) {
        let send = self.table.get(chunk.id).and_then(|stream| stream.send.as_ref());
        debug_assert!(send.is_some() && out.len() >= chunk.len);
        if let (Some(send), Some(out)) = (send, out.get_mut(..chunk.len)) {
            send.buffer.copy(chunk.offset, out);
        }
    }

    /// A chunk was acknowledged.
    pub fn on_data_acked(&mut self, chunk: &Chunk) {
        let Some(stream) = self.table.get_mut(chunk.id) else { return };
        let Some(send) = &mut stream.send else { return };
        let finished = self.send.track(send, |send| send.on_acked(chunk));
        if stream.acked_events && send.buffer.acked_to() > stream.acked_told && !send.is_reset() {
            stream.events.insert(EventSet::ACKED);
        }
        if finished {
            stream.events.insert(EventSet::FINISHED);
        }
        self.queues.settle(chunk.id, stream);
        if !self.queues.waiting.is_empty() {
            self.wake_writers();
        }
    }

    /// A chunk was lost: what of it still matters is sent again.
    pub fn on_data_lost(&mut self, chunk: &Chunk) {
        let Some(stream) = self.table.get_mut(chunk.id) else { return };
        let Some(send) = &mut stream.send else { return };
        send.on_lost(chunk);
        self.queues.settle(chunk.id, stream);
    }

    /// A control frame was acknowledged.
    pub fn on_control_acked(&mut self, control: &Control) {
        let (Control::ResetStream { id, .. } | Control::StopSending { id, .. }) = *control else { return };
        let Some(stream) = self.table.get_mut(id) else { return };
        match (control, &mut stream.send, &mut stream.receive) {
            (Control::ResetStream { .. }, Some(send), _) => send.on_reset_acked(),
            (Control::StopSending { .. }, _, Some(receive)) => receive.on_stop_acked(),
            _ => {}
        }
        self.settle(id);
    }

    /// A control frame was lost: it is sent again where it still says something (RFC 9000 section 13.3).
    pub fn on_control_lost(&mut self, control: &Control) {
        let id = match *control {
            Control::MaxData { limit } => return self.receive_window.on_announcement_lost(limit),
            Control::DataBlocked { limit } => return self.send_credit.on_report_lost(limit),
            Control::MaxStreams { dir, limit } => return self.table.remote.get_mut(dir).on_announcement_lost(limit),
            Control::StreamsBlocked { dir, limit } => return self.table.local.get_mut(dir).on_report_lost(limit),
            Control::MaxStreamData { id, .. }
            | Control::ResetStream { id, .. }
            | Control::StopSending { id, .. }
            | Control::StreamDataBlocked { id, .. } => id,
        };
        let Some(stream) = self.table.get_mut(id) else { return };
        match (*control, &mut stream.send, &mut stream.receive) {
            (Control::ResetStream { .. }, Some(send), _) => send.on_reset_lost(),
            (Control::StreamDataBlocked { limit, .. }, Some(send), _) => send.credit.on_report_lost(limit),
            (Control::StopSending { .. }, _, Some(receive)) => receive.on_stop_lost(),
            (Control::MaxStreamData { limit, .. }, _, Some(receive)) => receive.on_limit_lost(limit),
            _ => {}
        }
        self.queues.settle(id, stream);
    }
}
