//! The CRYPTO stream of one packet number space (RFC 9000 section 7.5, RFC 9001 section 4.1.3).

use alloc::vec::Vec;

use crate::error::{TransportError, TransportErrorCode};
use crate::ranges::RangeSet;

/// How far ahead of what TLS has taken the peer may send.
const MAX_BUFFER: u64 = 64 << 10;
/// Into how many pieces with gaps between what arrived may fall; browsers send a ClientHello in some 20.
const MAX_PIECES: usize = 256;

/// Both directions of a CRYPTO stream. What is sent is kept until the space's keys are discarded: flights are small.
#[derive(Debug, Default)]
pub(super) struct CryptoStream {
    outgoing: Vec<u8>,
    /// Everything below was sent at least once.
    sent: u64,
    lost: RangeSet,
    acked: RangeSet,

    /// Bytes from `delivered` on, with holes.
    incoming: Vec<u8>,
    delivered: u64,
    received: RangeSet,
}

impl CryptoStream {
    /// Appends what TLS wants sent.
    pub(super) fn push(&mut self, data: &[u8]) {
        self.outgoing.extend_from_slice(data);
    }

    /// Whether there is something to send.
    pub(super) fn has_data(&self) -> bool {
        !self.lost.is_empty() || self.sent < self.outgoing.len() as u64
    }

    /// The next range to send, of at most `max` bytes, counted as sent: its offset and its bytes. Lost ranges first.
    pub(super) fn next_data(&mut self, max: usize) -> Option<(u64, &[u8])> {
        let max = max as u64;
        let range = match self.lost.first() {
            Some(lost) => lost.start..lost.end.min(lost.start.saturating_add(max)),
            None => self.sent..(self.outgoing.len() as u64).min(self.sent.saturating_add(max)),
        };
        if range.is_empty() {
            return None;
        }
        self.lost.remove(range.clone());
        self.sent = self.sent.max(range.end);
        let data = self.outgoing.get(range.start as usize..range.end as usize)?;
        Some((range.start, data))
    }

    pub(super) fn on_acked(&mut self, offset: u64, len: u64) {
        self.acked.insert(offset..offset + len);
        self.lost.remove(offset..offset + len);
    }

    pub(super) fn on_lost(&mut self, offset: u64, len: u64) {
        self.lost.insert(offset..offset + len);
        for acked in self.acked.iter() {
            self.lost.remove(acked);
        }
    }

    /// Takes a CRYPTO frame in.
    pub(super) fn receive(&mut self, offset: u64, data: &[u8]) -> Result<(), TransportError> {
        let end = offset.saturating_add(data.len() as u64);
        if end <= self.delivered {
            return Ok(());
        }
        if end - self.delivered > MAX_BUFFER {
            return Err(TransportError::new(
                TransportErrorCode::CRYPTO_BUFFER_EXCEEDED,
                "CRYPTO data too far ahead of what was delivered",
            ));
        }
        let start = offset.max(self.delivered);
        let data = data.get((start - offset) as usize..).unwrap_or_default();
        let (from, to) = ((start - self.delivered) as usize, (end - self.delivered) as usize);
        if self.incoming.len() < to {
            self.incoming.resize(to, 0);
        }
        if let Some(slot) = self.incoming.get_mut(from..to) {
            slot.copy_from_slice(data);
        }
        self.received.insert(start..end);
        if self.received.range_count() > MAX_PIECES {
            return Err(TransportError::new(
                TransportErrorCode::CRYPTO_BUFFER_EXCEEDED,
                "CRYPTO data in too many pieces",
            ));
        }
        Ok(())
    }

    /// The bytes that can be delivered in order.
    pub(super) fn readable(&self) -> &[u8] {
        match self.received.first() {
            Some(first) if first.start == self.delivered => {
                self.incoming.get(..(first.end - first.start) as usize).unwrap_or_default()
            }
            _ => &[],
        }
    }

    /// The first `len` readable bytes were delivered.
    pub(super) fn consume(&mut self, len: usize) {
        let len = len.min(self.incoming.len());
        self.incoming.drain(..len);
        self.delivered += len as u64;
        self.received.remove_below(self.delivered);
    }

    /// Bytes held.
    pub(super) fn memory_used(&self) -> usize {
        self.outgoing.len() + self.incoming.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_delivered_in_order_whatever_the_order_of_arrival() {
        let mut stream = CryptoStream::default();
        stream.receive(3, b"def").unwrap();
        assert_eq!(stream.readable(), b"");
        stream.receive(0, b"abcd").unwrap();
        assert_eq!(stream.readable(), b"abcdef");
        stream.consume(2);
        assert_eq!(stream.readable(), b"cdef");
        stream.receive(0, b"ab").unwrap();
        assert_eq!(stream.readable(), b"cdef");
    }

    #[test]
    fn data_far_ahead_is_refused() {
        let mut stream = CryptoStream::default();
        assert_eq!(stream.receive(MAX_BUFFER - 1, b"x"), Ok(()));
        let error = stream.receive(MAX_BUFFER, b"x").unwrap_err();
        assert_eq!(error.code, TransportErrorCode::CRYPTO_BUFFER_EXCEEDED);
    }

    #[test]
    fn what_is_lost_is_sent_again_unless_acknowledged() {
        let mut stream = CryptoStream::default();
        stream.push(b"0123456789");
        assert_eq!(stream.next_data(4), Some((0, &b"0123"[..])));
        assert_eq!(stream.next_data(100), Some((4, &b"456789"[..])));
        assert_eq!(stream.next_data(100), None);
        stream.on_acked(2, 2);
        stream.on_lost(0, 10);
        assert_eq!(stream.next_data(100), Some((0, &b"01"[..])));
        assert_eq!(stream.next_data(100), Some((4, &b"456789"[..])));
        assert!(!stream.has_data());
    }
}
