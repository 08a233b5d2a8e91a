use core::iter::FusedIterator;
use core::ops::RangeInclusive;

use super::decode::Malformed;
use super::encode::Sink;
use super::frame_type;
use crate::wire::{EcnCounts, Reader, Writer, varint};

/// The most ranges that [`encode_ack`] writes. Older ones are left out; with 63 beyond the first, the count stays
/// one byte and can be filled in at the end.
pub const MAX_ACK_RANGES: usize = 64;

/// An ACK frame (RFC 9000 section 19.3). Its ranges stay encoded; the decoder has validated them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The largest packet number acknowledged.
    pub largest: u64,
    /// How long the peer held the acknowledgement back, in units of 2 to the power of its ack_delay_exponent
    /// microseconds.
    pub delay: u64,
    /// The smallest packet number of the first range.
    smallest: u64,
    /// How many ranges follow the first.
    further: u64,
    /// Their gaps and lengths, as they are on the wire.
    encoded: &'a [u8],
    /// The ECN counts, in a frame of type 0x03.
    pub ecn: Option<EcnCounts>,
}

impl<'a> Ack<'a> {
    /// The ranges of packet numbers acknowledged, from the highest down, never empty, never touching.
    #[must_use]
    pub const fn ranges(&self) -> AckRanges<'a> {
        AckRanges { reader: Reader::new(self.encoded), next: Some((self.smallest, self.largest)) }
    }

    /// How many ranges there are.
    #[must_use]
    pub const fn range_count(&self) -> u64 {
        self.further.saturating_add(1)
    }

    pub(super) const fn frame_type(&self) -> u64 {
        if self.ecn.is_some() { frame_type::ACK_ECN } else { frame_type::ACK }
    }

    /// Reads what follows the type.
    pub(super) fn decode(reader: &mut Reader<'a>, with_ecn: bool) -> Result<Self, Malformed> {
        let largest = reader.varint()?;
        let delay = reader.varint()?;
        let further = reader.varint()?;
        let smallest = largest.checked_sub(reader.varint()?).ok_or(NEGATIVE)?;
        let mut ahead = reader.clone();
        let mut previous = smallest;
        for _ in 0..further {
            (previous, _) = next_range(ahead.varint()?, ahead.varint()?, previous).ok_or(NEGATIVE)?;
        }
        let encoded = reader.bytes(ahead.position() - reader.position())?;
        let ecn = match with_ecn {
            true => Some(EcnCounts { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? }),
            false => None,
        };
        Ok(Self { largest, delay, smallest, further, encoded, ecn })
    }

    /// Writes what follows the type.
    pub(super) fn encode(&self, sink: &mut impl Sink) {
        sink.varint(self.largest);
        sink.varint(self.delay);
        sink.varint(self.further);
        sink.varint(self.largest - self.smallest);
        sink.bytes(self.encoded);
        if let Some(ecn) = self.ecn {
            encode_counts(&ecn, sink);
        }
    }
}

fn encode_counts(counts: &EcnCounts, sink: &mut impl Sink) {
    sink.varint(counts.ect0);
    sink.varint(counts.ect1);
    sink.varint(counts.ce);
}

const fn counts_len(counts: &EcnCounts) -> usize {
    varint::len(counts.ect0) + varint::len(counts.ect1) + varint::len(counts.ce)
}

/// RFC 9000 section 19.3.1: a computed packet number that is negative is a FRAME_ENCODING_ERROR.
const NEGATIVE: Malformed = Malformed("an ACK range reaches below packet number 0");

/// The smallest and the largest number of the range below one whose smallest number is `previous`; `None` where it
/// reaches below zero (RFC 9000 section 19.3.1).
fn next_range(gap: u64, len: u64, previous: u64) -> Option<(u64, u64)> {
    // Neither varint nor their sum with 2 comes near the end of u64.
    let largest = previous.checked_sub(gap + 2)?;
    Some((largest.checked_sub(len)?, largest))
}

/// The ranges of an [`Ack`].
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    reader: Reader<'a>,
    /// The smallest and the largest number of the range that comes next.
    next: Option<(u64, u64)>,
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        let (smallest, largest) = self.next.take()?;
        if let (Ok(gap), Ok(len)) = (self.reader.varint(), self.reader.varint()) {
            self.next = next_range(gap, len, smallest);
        }
        Some(smallest..=largest)
    }
}

impl FusedIterator for AckRanges<'_> {}

/// Writes an ACK frame with as many of the `ranges`, which descend and do not touch, as fit in `room` bytes, at
/// most [`MAX_ACK_RANGES`]. `delay` is in units of 2 to the power of our ack_delay_exponent microseconds.
///
/// Returns whether a frame was written: there may be no range, or no room for the first.
pub fn encode_ack(
    w: &mut Writer<'_>,
    delay: u64,
    mut ranges: impl Iterator<Item = RangeInclusive<u64>>,
    ecn: Option<EcnCounts>,
    room: usize,
) -> bool {
    let Some((smallest, largest)) = ranges.next().map(RangeInclusive::into_inner) else { return false };
    let Some(first_range) = largest.checked_sub(smallest) else { return false };
    let delay = delay.min(varint::MAX);
    let fixed = 2 + varint::len(largest) + varint::len(delay) + varint::len(first_range);
    let needed = fixed + ecn.map_or(0, |ecn| counts_len(&ecn));
    let Some(mut room) = room.min(w.remaining()).checked_sub(needed) else { return false };

    w.varint(if ecn.is_some() { frame_type::ACK_ECN } else { frame_type::ACK });
    w.varint(largest);
    w.varint(delay);
    let count_offset = w.position();
    w.u8(0);
    w.varint(first_range);
    let mut previous = smallest;
    let mut further = 0;
    for (smallest, largest) in ranges.take(MAX_ACK_RANGES - 1).map(RangeInclusive::into_inner) {
        let gap = previous.checked_sub(largest).and_then(|distance| distance.checked_sub(2));
        debug_assert!(gap.is_some() && smallest <= largest, "ranges descend and do not touch");
        let (Some(gap), Some(len)) = (gap, largest.checked_sub(smallest)) else { break };
        let Some(left) = room.checked_sub(varint::len(gap) + varint::len(len)) else { break };
        room = left;
        w.varint(gap);
        w.varint(len);
        previous = smallest;
        further += 1;
    }
    if let Some(count) = w.written_mut().get_mut(count_offset) {
        *count = further;
    }
    if let Some(ecn) = ecn {
        encode_counts(&ecn, w);
    }
    true
}
