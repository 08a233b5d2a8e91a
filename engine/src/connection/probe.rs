//! Probes: PATH_CHALLENGE and PATH_RESPONSE, each in a datagram of its own, on the path that they are about.

use super::egress::Draft;
use super::{Connection, Outgoing};
use crate::crypto::TAG_LEN;
use crate::packet::Frame;
use crate::path::MIN_DATAGRAM_SIZE;
use crate::wire::{Ecn, Level, Time, Writer};

/// PATH_CHALLENGE and PATH_RESPONSE: a type and eight bytes.
const PROBE_FRAME: usize = 9;

impl Connection {
    /// Writes the next datagram with path probes. `None` when there is none to send.
    pub(super) fn write_probe(&mut self, now: Time, buffer: &mut [u8]) -> Option<Outgoing> {
        let id = self.paths.next_probe(now).filter(|_| self.keys.can_write(Level::OneRtt))?;
        let path = self.paths.get(id)?;
        let (addresses, dcid) = (path.addresses(), self.remote_ids.id(path.remote_id()));
        // RFC 9000 sections 8.2.1 and 8.2.2: 1200 bytes, unless that is more than the path may carry yet.
        let limit = usize::try_from(path.allowance()).unwrap_or(usize::MAX).min(MIN_DATAGRAM_SIZE);
        let datagram = buffer.get_mut(..limit)?;
        let mut writer = Writer::new(datagram);
        let mut draft = self.begin_to(Level::OneRtt, dcid, &mut writer)?;
        let fits = |writer: &Writer<'_>| writer.remaining() >= PROBE_FRAME + TAG_LEN;
        let path = self.paths.get_mut(id)?;
        if path.is_challenge_due(now) && fits(&writer) {
            // Unpredictable, and another in each (RFC 9000 section 8.2.1).
            let data = self.rng.bytes();
            Frame::PathChallenge(data).encode(&mut writer);
            path.on_challenge_sent(now, data, limit == MIN_DATAGRAM_SIZE);
        }
        while fits(&writer)
            && let Some(data) = path.take_response()
        {
            Frame::PathResponse(data).encode(&mut writer);
        }
        writer.zeros(writer.remaining().saturating_sub(TAG_LEN));
        draft.end = writer.position();
        writer.zeros(TAG_LEN);
        path.on_sent(limit);
        self.send_probe(now, &draft, datagram);
        Some(Outgoing { len: limit, segment_size: limit, path: addresses, ecn: Ecn::NotEct })
    }

    /// Probes are repeated by their own schedule, and say nothing of the path in use: neither loss detection nor the
    /// congestion window counts them (RFC 9000 section 9.4).
    fn send_probe(&mut self, now: Time, draft: &Draft, datagram: &mut [u8]) {
        self.count_datagram(datagram.len(), Ecn::NotEct);
        self.seal(draft, datagram);
        if let Some(frames) = self.scratch.get_mut(crate::wire::Space::Application as usize) {
            frames.clear();
        }
        self.record(now, draft, datagram.len(), Ecn::NotEct);
    }
}
