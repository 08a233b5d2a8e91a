//! Sets of `u64` kept as disjoint, sorted, non-adjacent half-open ranges.
//!
//! Used for acknowledged and received packet numbers and for stream offsets. Stored inline in a vector: such
//! sets hold few ranges and grow at the high end, where insertion is constant time.

use alloc::vec::Vec;
use core::ops::Range;

/// A set of `u64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range<u64>>,
}

impl RangeSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds every value of `range`. Returns how many values were new.
    pub fn insert(&mut self, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        // Packets and stream data mostly come in order.
        if let Some(last) = self.ranges.last_mut().filter(|last| last.end == range.start) {
            last.end = range.end;
            return range.end - range.start;
        }
        // The first range that touches or follows ours; the common case is at the end.
        let first = match self.ranges.last() {
            None => 0,
            Some(last) if last.end < range.start => self.ranges.len(),
            Some(last) if last.start <= range.start => self.ranges.len() - 1,
            Some(_) => self.ranges.partition_point(|r| r.end < range.start),
        };
        let mut merged = range.clone();
        let mut known = 0;
        let mut end = first;
        while let Some(r) = self.ranges.get(end) {
            if r.start > range.end {
                break;
            }
            known += r.end.min(range.end).saturating_sub(r.start.max(range.start));
            merged.start = merged.start.min(r.start);
            merged.end = merged.end.max(r.end);
            end += 1;
        }
        if end == first {
            self.ranges.insert(first, merged);
        } else {
            if let Some(slot) = self.ranges.get_mut(first) {
                *slot = merged;
            }
            self.ranges.drain(first + 1..end);
        }
        range.end - range.start - known
    }

    /// Removes every value of `range`.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.ranges.partition_point(|r| r.end <= range.start);
        let end = self.ranges.partition_point(|r| r.start < range.end);
        if first >= end {
            return;
        }
        let left = self.ranges[first].start..range.start;
        let right = range.end..self.ranges[end - 1].end;
        let keep = [left, right].into_iter().filter(|r| !r.is_empty());
        self.ranges.splice(first..end, keep);
    }

    /// Whether `value` is in the set.
    #[must_use]
    pub fn contains(&self, value: u64) -> bool {
        if self.ranges.last().is_none_or(|last| last.end <= value) {
            return false;
        }
        let at = self.ranges.partition_point(|r| r.end <= value);
        self.ranges.get(at).is_some_and(|r| r.start <= value)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many disjoint ranges the set has.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// The lowest range.
    #[must_use]
    pub fn first(&self) -> Option<Range<u64>> {
        self.ranges.first().cloned()
    }

    /// The highest range.
    #[must_use]
    pub fn last(&self) -> Option<Range<u64>> {
        self.ranges.last().cloned()
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        if self.ranges.is_empty() { None } else { Some(self.ranges.remove(0)) }
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Range<u64>> + ExactSizeIterator + '_ {
        self.ranges.iter().cloned()
    }

    /// Removes every value below `floor`.
    pub fn remove_below(&mut self, floor: u64) {
        self.remove(0..floor);
    }

    /// Removes every value, and keeps the storage.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(ops in prop::collection::vec((any::<bool>(), 0u64..64, 0u64..16), 0..64)) {
            let mut set = RangeSet::new();
            let mut model = BTreeSet::new();
            for (add, start, len) in ops {
                let range = start..start + len;
                if add {
                    let new = range.clone().filter(|v| model.insert(*v)).count() as u64;
                    prop_assert_eq!(set.insert(range), new);
                } else {
                    for v in range.clone() { model.remove(&v); }
                    set.remove(range);
                }
                let flat: BTreeSet<u64> = set.iter().flatten().collect();
                prop_assert_eq!(&flat, &model);
                for (a, b) in set.iter().zip(set.iter().skip(1)) {
                    prop_assert!(a.end < b.start);
                }
                for v in 0..80 { prop_assert_eq!(set.contains(v), model.contains(&v)); }
            }
        }
    }
}
