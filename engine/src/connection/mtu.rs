//! The size of datagrams: probes for a larger one, and what came of them (RFC 9000 section 14.3).

use super::{Connection, Outgoing};
use crate::crypto::TAG_LEN;
use crate::packet::Frame;
use crate::path::{PathId, SizeReport};
use crate::wire::{FourTuple, Level, Space, Time, Writer};

impl Connection {
    /// Tells that the network interface refused a datagram of `size` bytes on this path because it is too large
    /// (EMSGSIZE). Smaller ones go out from now on; never below 1200 bytes.
    pub fn on_datagram_too_large(&mut self, path: FourTuple, size: usize) {
        let Some(path) = self.paths.find(&path).and_then(|id| self.paths.get_mut(id)) else { return };
        path.exclude_size(size);
        self.apply_path_size();
    }

    /// A path is validated: larger datagrams may be tried on it, or used, where nothing is to be discovered.
    pub(super) fn allow_larger(&mut self, id: PathId) {
        let bound = self.path_size();
        if let Some(path) = self.paths.get_mut(id) {
            path.allow_sizes(bound, &self.settings.mtu_discovery_sizes);
        }
    }

    /// Writes a datagram that probes for a larger size. `None` when there is none to send.
    pub(super) fn write_size_probe(&mut self, now: Time, buffer: &mut [u8]) -> Option<Outgoing> {
        let path = self.paths.active();
        let size = path.next_size_probe(now)?;
        let room = self.recovery.bytes_in_flight().saturating_add(size as u64) <= self.congestion.window();
        let quiet = self.pending.probes == [0; 3] && path.is_validated() && self.is_handshake_confirmed();
        if !room || !quiet {
            return None;
        }
        let (addresses, ecn) = (path.addresses(), path.ecn_mark());
        let datagram = buffer.get_mut(..size)?;
        let mut writer = Writer::new(datagram);
        let mut draft = self.begin_to(Level::OneRtt, self.remote_ids.active(), &mut writer)?;
        Frame::Ping.encode(&mut writer);
        writer.zeros(writer.remaining().saturating_sub(TAG_LEN));
        draft.end = writer.position();
        writer.zeros(TAG_LEN);
        (draft.ack_eliciting, draft.padded, draft.size_probe) = (true, true, true);
        self.paths.active_mut().on_size_probe_sent(size);
        self.paths.active_mut().on_sent(size);
        self.count_datagram(size, ecn);
        self.seal(&draft, datagram);
        if let Some(frames) = self.scratch.get_mut(Space::Application as usize) {
            frames.clear();
        }
        self.record(now, &draft, size, ecn);
        Some(Outgoing { len: size, segment_size: size, path: addresses, ecn })
    }

    /// What an acknowledgment or a timer told of sizes.
    pub(super) fn on_size_report(&mut self, now: Time, report: &SizeReport) {
        if self.paths.active_mut().on_size_report(now, report) {
            self.apply_path_size();
        }
    }
}
