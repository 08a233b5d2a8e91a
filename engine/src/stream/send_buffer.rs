//! The bytes of a sending part, from the write until the acknowledgment.
//!
//! Bytes lie in segments that never move: a segment is the caller's own [`Bytes`], or a vector that small writes
//! fill up. `acked_to <= sent <= end`; bytes below `acked_to` are gone.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use crate::ranges::RangeSet;

/// The smallest vector made for copied bytes.
const MIN_SEGMENT: usize = 64;
/// The largest: acknowledged bytes are freed in pieces of this size.
const MAX_SEGMENT: usize = 16 * 1024;
/// Owned bytes up to this length are copied: as a segment they would cost more than the copy.
const COPIED_LEN: usize = 256;

#[derive(Debug)]
enum Storage {
    Shared(Bytes),
    Copied(Vec<u8>),
}

#[derive(Debug)]
struct Segment {
    start: u64,
    storage: Storage,
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match &self.storage {
            Storage::Shared(bytes) => bytes,
            Storage::Copied(bytes) => bytes,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes().len() as u64
    }

    fn holds(&self, offset: u64) -> bool {
        (self.start..self.end()).contains(&offset)
    }

    /// Bytes of memory.
    fn held(&self) -> usize {
        match &self.storage {
            Storage::Shared(bytes) => bytes.len(),
            Storage::Copied(bytes) => bytes.capacity(),
        }
    }
}

/// The buffer of a sending part.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    segments: VecDeque<Segment>,
    /// The segment of the bytes last taken, as far as it is held: the next mostly lie there too.
    taken_from: usize,
    /// Every byte below was acknowledged.
    acked_to: u64,
    /// Every byte below was sent.
    sent: u64,
    /// Every byte below was written.
    end: u64,
    /// Acknowledged above `acked_to`.
    acked: RangeSet,
    /// Lost, and not sent again so far.
    lost: RangeSet,
    held: usize,
}

impl SendBuffer {
    /// Bytes of memory held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Bytes written and not acknowledged, gaps included.
    pub(super) fn buffered(&self) -> u64 {
        self.end - self.acked_to
    }

    /// Every byte below was acknowledged.
    pub(super) fn acked_to(&self) -> u64 {
        self.acked_to
    }

    /// How many bytes were written, ever.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The largest offset sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn unsent(&self) -> u64 {
        self.end - self.sent
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    pub(super) fn is_acked(&self) -> bool {
        self.acked_to == self.end
    }

    /// Appends a copy of `data`.
    pub(super) fn append(&mut self, mut data: &[u8]) {
        let mut capacity = MIN_SEGMENT;
        if let Some(Segment { storage: Storage::Copied(tail), .. }) = self.segments.back_mut() {
            let (fits, rest) = data.split_at(data.len().min(tail.capacity() - tail.len()));
            tail.extend_from_slice(fits);
            self.end += fits.len() as u64;
            data = rest;
            // A stream that writes little by little doubles its segments, so that there are few.
            capacity = tail.capacity().saturating_mul(2);
        }
        while !data.is_empty() {
            let mut segment = Vec::with_capacity(capacity.max(data.len()).min(MAX_SEGMENT));
            let (fits, rest) = data.split_at(data.len().min(segment.capacity()));
            segment.extend_from_slice(fits);
            self.push(Storage::Copied(segment), fits.len());
            data = rest;
        }
    }

    /// Appends `data` without a copy, unless it is small.
    pub(super) fn append_owned(&mut self, data: Bytes) {
        if data.len() <= COPIED_LEN {
            self.append(&data);
        } else {
            let len = data.len();
            self.push(Storage::Shared(data), len);
        }
    }

    fn push(&mut self, storage: Storage, len: usize) {
        let segment = Segment { start: self.end, storage };
        self.held += segment.held();
        self.end += len as u64;
        self.segments.push_back(segment);
    }

    /// What to send next, the lost first. Empty where nothing is to be sent.
    pub(super) fn next(&self) -> Range<u64> {
        self.lost.first().unwrap_or(self.sent..self.end)
    }

    /// Takes `len` bytes of [`Self::next`] as sent.
    pub(super) fn take(&mut self, len: u64) {
        self.taken_from = self.find(self.next().start);
        if let Some(lost) = self.lost.first() {
            self.lost.remove(lost.start..lost.end.min(lost.start + len));
        } else {
            self.sent = self.end.min(self.sent + len);
        }
    }

    /// The segment that holds `offset`; one past the last where none does.
    fn find(&self, offset: u64) -> usize {
        if self.segments.get(self.taken_from).is_some_and(|segment| segment.holds(offset)) {
            return self.taken_from;
        }
        self.segments.partition_point(|segment| segment.end() <= offset)
    }

    /// Copies the bytes from `offset` to `out`, which must all be held.
    pub(super) fn copy(&self, mut offset: u64, mut out: &mut [u8]) {
        for segment in self.segments.range(self.find(offset)..) {
            let within = usize::try_from(offset.saturating_sub(segment.start)).unwrap_or(usize::MAX);
            let bytes = segment.bytes().get(within..).unwrap_or_default();
            let (target, rest) = out.split_at_mut(out.len().min(bytes.len()));
            target.copy_from_slice(bytes.get(..target.len()).unwrap_or_default());
            offset += target.len() as u64;
            out = rest;
            if out.is_empty() {
                return;
            }
        }
        debug_assert!(out.is_empty(), "bytes that are no longer held");
    }

    pub(super) fn on_acked(&mut self, range: Range<u64>) {
        debug_assert!(range.end <= self.sent);
        if range.start > self.acked_to {
            if !self.lost.is_empty() {
                self.lost.remove(range.clone());
            }
            self.acked.insert(range);
            return;
        }
        if range.end <= self.acked_to {
            return;
        }
        self.acked_to = range.end;
        while let Some(next) = self.acked.first().filter(|next| next.start <= self.acked_to) {
            self.acked_to = self.acked_to.max(next.end);
            self.acked.pop_first();
        }
        if !self.lost.is_empty() {
            self.lost.remove_below(self.acked_to);
        }
        while let Some(segment) = self.segments.front().filter(|segment| segment.end() <= self.acked_to) {
            self.held -= segment.held();
            self.segments.pop_front();
            self.taken_from = self.taken_from.saturating_sub(1);
        }
    }

    pub(super) fn on_lost(&mut self, range: Range<u64>) {
        debug_assert!(range.end <= self.sent);
        let start = range.start.max(self.acked_to);
        if start >= range.end {
            return;
        }
        self.lost.insert(start..range.end);
        // Acknowledged in the meantime, in a later packet.
        let overlap = self.acked.iter().skip_while(|acked| acked.end <= start);
        for acked in overlap.take_while(|acked| acked.start < range.end) {
            self.lost.remove(acked);
        }
    }

    /// Drops everything, and forgets what was never sent.
    pub(super) fn clear(&mut self) {
        *self = Self { sent: self.sent, end: self.sent, acked_to: self.sent, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn copied(buffer: &SendBuffer, range: Range<u64>) -> Vec<u8> {
        let mut out = vec![0; (range.end - range.start) as usize];
        buffer.copy(range.start, &mut out);
        out
    }

    #[test]
    fn small_writes_share_segments() {
        let mut buffer = SendBuffer::default();
        for byte in 0..10_000u32 {
            buffer.append(&[byte as u8]);
        }
        assert!(buffer.segments.len() <= 9, "{}", buffer.segments.len());
        assert!(copied(&buffer, 100..9_000).iter().zip(100u32..).all(|(byte, at)| *byte == at as u8));
    }

    #[test]
    fn owned_bytes_are_not_copied() {
        let data = Bytes::from(vec![7; 1000]);
        let mut buffer = SendBuffer::default();
        buffer.append(&[1]);
        buffer.append_owned(data.clone());
        buffer.append(&[2]);
        assert!(matches!(&buffer.segments[1].storage, Storage::Shared(bytes) if bytes.as_ptr() == data.as_ptr()));
        assert_eq!(copied(&buffer, 0..2), [1, 7]);
        assert_eq!(copied(&buffer, 1000..1002), [7, 2]);
    }

    #[test]
    fn what_was_acknowledged_is_not_sent_again() {
        let mut buffer = SendBuffer::default();
        buffer.append(&[0; 100]);
        buffer.take(100);
        buffer.on_acked(40..60);
        buffer.on_lost(30..70);
        assert_eq!(buffer.next(), 30..40);
        buffer.take(5);
        assert_eq!(buffer.next(), 35..40);
        buffer.on_acked(0..40);
        assert_eq!(buffer.next(), 60..70);
        buffer.on_acked(60..100);
        assert!(buffer.is_acked() && !buffer.has_lost());
        assert_eq!((buffer.held(), buffer.buffered(), buffer.unsent()), (0, 0, 0));
    }
}
