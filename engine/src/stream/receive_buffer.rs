//! The bytes of a receiving part, from the frame until the caller read them.
//!
//! Bytes lie in blocks addressed by offset: the first 2 KiB of a stream are one block, then come blocks of
//! 16 KiB. A frame's payload is copied once, to its place, in whatever order frames come. `read <= contiguous`;
//! `beyond` holds what arrived above `contiguous`. A buffer that is read empty holds no block.
//!
//! Flow control bounds the blocks: none lies past the limit that was announced.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::ranges::RangeSet;

const FIRST_BLOCK: usize = 2 * 1024;
const BLOCK: usize = 16 * 1024;

type Block = Box<[u8]>;

/// The blocks of a connection, used again where possible.
#[derive(Debug, Default)]
pub(super) struct BlockPool {
    first_blocks: Vec<Block>,
    blocks: Vec<Block>,
    held: usize,
}

impl BlockPool {
    /// How many spare blocks of each size are kept: a megabyte, which a burst fills between two reads.
    const SPARE: usize = 64;

    /// Bytes of memory, in buffers and spare.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// A block; its bytes are whatever they were.
    fn take(&mut self, size: usize) -> Block {
        let spare = if size == FIRST_BLOCK { &mut self.first_blocks } else { &mut self.blocks };
        spare.pop().unwrap_or_else(|| {
            self.held += size;
            vec![0; size].into_boxed_slice()
        })
    }

    fn give(&mut self, block: Block) {
        let spare = if block.len() == FIRST_BLOCK { &mut self.first_blocks } else { &mut self.blocks };
        if spare.len() < Self::SPARE {
            spare.push(block);
        } else {
            self.held -= block.len();
        }
    }

    /// A block that the caller took with its bytes.
    fn hand_over(&mut self, block: Block) -> Bytes {
        self.held -= block.len();
        Bytes::from(block)
    }

    /// Frees the spare blocks.
    pub(super) fn clear(&mut self) {
        for block in self.first_blocks.drain(..).chain(self.blocks.drain(..)) {
            self.held -= block.len();
        }
    }
}

/// The index of the block that holds `offset`.
fn block_index(offset: u64) -> u64 {
    match offset.checked_sub(FIRST_BLOCK as u64) {
        None => 0,
        Some(past) => 1 + past / BLOCK as u64,
    }
}

/// Where the block with this index starts, and its size.
fn block_span(index: u64) -> (u64, usize) {
    match index.checked_sub(1) {
        None => (0, FIRST_BLOCK),
        Some(past) => (FIRST_BLOCK as u64 + past * BLOCK as u64, BLOCK),
    }
}

/// The buffer of a receiving part.
#[derive(Debug, Default)]
pub(super) struct ReceiveBuffer {
    /// From the block that holds `read` on.
    blocks: VecDeque<Option<Block>>,
    /// The index of the first of `blocks`.
    first: u64,
    read: u64,
    contiguous: u64,
    beyond: RangeSet,
}

impl ReceiveBuffer {
    /// Every byte below was consumed.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// Every byte below arrived.
    pub(super) fn contiguous(&self) -> u64 {
        self.contiguous
    }

    /// How many separate ranges wait for bytes before them.
    pub(super) fn gaps(&self) -> usize {
        self.beyond.range_count()
    }

    /// Stores a frame's payload. Returns whether more bytes became readable.
    pub(super) fn insert(&mut self, offset: u64, data: &[u8], pool: &mut BlockPool) -> bool {
        let known = self.contiguous.saturating_sub(offset);
        let data = usize::try_from(known).ok().and_then(|known| data.get(known..)).unwrap_or_default();
        if data.is_empty() {
            return false;
        }
        let offset = offset.max(self.contiguous);
        let end = offset + data.len() as u64;
        self.store(offset, data, pool);
        if offset > self.contiguous {
            self.beyond.insert(offset..end);
            return false;
        }
        self.contiguous = end;
        while let Some(next) = self.beyond.first().filter(|next| next.start <= self.contiguous) {
            self.contiguous = self.contiguous.max(next.end);
            self.beyond.pop_first();
        }
        true
    }

    fn store(&mut self, mut offset: u64, mut data: &[u8], pool: &mut BlockPool) {
        while !data.is_empty() {
            let index = block_index(offset);
            let (start, size) = block_span(index);
            let within = (offset - start) as usize;
            let (piece, rest) = data.split_at(data.len().min(size - within));
            let slot = (index - self.first) as usize;
            if self.blocks.len() <= slot {
                self.blocks.resize_with(slot + 1, || None);
            }
            if let Some(slot) = self.blocks.get_mut(slot) {
                let block = slot.get_or_insert_with(|| pool.take(size));
                if let Some(target) = block.get_mut(within..within + piece.len()) {
                    target.copy_from_slice(piece);
                }
            }
            offset += piece.len() as u64;
            data = rest;
        }
    }

    /// The readable bytes up to the end of their block.
    pub(super) fn peek(&self) -> &[u8] {
        let Some(Some(block)) = self.blocks.front() else { return &[] };
        let (start, size) = block_span(self.first);
        let from = (self.read - start) as usize;
        let to = usize::try_from(self.contiguous - start).map_or(size, |to| to.min(size));
        block.get(from..to).unwrap_or_default()
    }

    /// Drops up to `bytes` readable bytes. Returns how many.
    pub(super) fn consume(&mut self, bytes: u64, pool: &mut BlockPool) -> u64 {
        let bytes = bytes.min(self.contiguous - self.read);
        self.read += bytes;
        if self.read == self.contiguous && self.beyond.is_empty() {
            self.release(pool);
        }
        let first = block_index(self.read);
        while self.first < first {
            self.first += 1;
            if let Some(Some(block)) = self.blocks.pop_front() {
                pool.give(block);
            }
        }
        bytes
    }

    /// Takes up to `max` readable bytes, as many as lie in one piece. They leave with their block where they fill a
    /// quarter of it and nothing else that arrived lies in it; otherwise they are copied, so that few bytes never
    /// hold a large block.
    pub(super) fn take(&mut self, max: usize, pool: &mut BlockPool) -> Bytes {
        let data = self.peek();
        let data = data.get(..max).unwrap_or(data);
        let (len, (start, size)) = (data.len(), block_span(self.first));
        let (end, block_end) = (self.read + len as u64, start + size as u64);
        let rest_is_empty = end == block_end
            || (end == self.contiguous && self.beyond.first().is_none_or(|beyond| beyond.start >= block_end));
        if len < size / 4 || !rest_is_empty {
            let copy = Bytes::copy_from_slice(data);
            self.consume(len as u64, pool);
            return copy;
        }
        let block = self.blocks.front_mut().and_then(Option::take);
        let from = (self.read - start) as usize;
        let data = block.map(|block| pool.hand_over(block).slice(from..from + len)).unwrap_or_default();
        self.consume(len as u64, pool);
        data
    }

    /// Drops everything.
    pub(super) fn clear(&mut self, pool: &mut BlockPool) {
        self.release(pool);
        self.blocks = VecDeque::new();
        self.beyond = RangeSet::new();
    }

    fn release(&mut self, pool: &mut BlockPool) {
        while let Some(block) = self.blocks.pop_front() {
            if let Some(block) = block {
                pool.give(block);
            }
        }
        self.first = block_index(self.read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEN: usize = FIRST_BLOCK + 3 * BLOCK;

    fn byte(offset: u64) -> u8 {
        (offset ^ (offset >> 8)) as u8
    }

    #[test]
    fn a_buffer_that_is_read_empty_holds_no_block() {
        let (mut buffer, mut pool) = (ReceiveBuffer::default(), BlockPool::default());
        assert!(buffer.insert(0, &[1; 3000], &mut pool));
        assert_eq!(pool.held(), FIRST_BLOCK + BLOCK);
        assert_eq!(buffer.peek().len(), FIRST_BLOCK);
        assert_eq!(buffer.consume(u64::MAX, &mut pool), 3000);
        assert!(buffer.blocks.is_empty() && buffer.peek().is_empty());
        pool.clear();
        assert_eq!(pool.held(), 0);
        assert!(buffer.insert(3000, &[2; 5], &mut pool));
        assert_eq!(buffer.peek(), [2; 5]);
    }

    #[test]
    fn large_pieces_leave_with_their_block_and_small_ones_are_copied() {
        let (mut buffer, mut pool) = (ReceiveBuffer::default(), BlockPool::default());
        let all: Vec<u8> = (0..(FIRST_BLOCK + 2 * BLOCK) as u64).map(byte).collect();
        buffer.insert(0, &all[..FIRST_BLOCK + 8000], &mut pool);
        let address = buffer.peek().as_ptr();
        assert_eq!(buffer.take(100, &mut pool), all[..100], "copied");
        let first = buffer.take(usize::MAX, &mut pool);
        assert_eq!((first.as_ptr(), &first[..]), (address.wrapping_add(100), &all[100..FIRST_BLOCK]));
        let address = buffer.peek().as_ptr();
        let second = buffer.take(usize::MAX, &mut pool);
        assert_eq!((second.as_ptr(), &second[..]), (address, &all[FIRST_BLOCK..FIRST_BLOCK + 8000]));
        assert_eq!(pool.held(), 0, "the blocks are the caller's");
        // The rest of the second block arrives in a new one; what lies behind a gap keeps its block here.
        buffer.insert(FIRST_BLOCK as u64 + 8000, &all[FIRST_BLOCK + 8000..FIRST_BLOCK + 14_000], &mut pool);
        buffer.insert(FIRST_BLOCK as u64 + 15_000, &all[FIRST_BLOCK + 15_000..], &mut pool);
        let address = buffer.peek().as_ptr();
        let copied = buffer.take(usize::MAX, &mut pool);
        assert_eq!(copied, all[FIRST_BLOCK + 8000..FIRST_BLOCK + 14_000]);
        assert_ne!(copied.as_ptr(), address);
        buffer.insert(FIRST_BLOCK as u64 + 14_000, &all[FIRST_BLOCK + 14_000..FIRST_BLOCK + 15_000], &mut pool);
        let mut rest = Vec::new();
        while buffer.read() < buffer.contiguous() {
            rest.extend_from_slice(&buffer.take(5000, &mut pool));
        }
        assert_eq!(rest, all[FIRST_BLOCK + 14_000..]);
        pool.clear();
        assert_eq!(pool.held(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bytes_come_out_in_order(pieces in prop::collection::vec((0..LEN, 1usize..5000, 0usize..5000), 1..60)) {
            let (mut buffer, mut pool) = (ReceiveBuffer::default(), BlockPool::default());
            let all: Vec<u8> = (0..LEN as u64).map(byte).collect();
            let mut arrived = vec![false; LEN];
            let rest = (0..LEN).step_by(4000).map(|at| (at, 4000, 1500));
            for (at, len, read) in pieces.into_iter().chain(rest) {
                let end = LEN.min(at + len);
                let before = buffer.contiguous();
                let advanced = buffer.insert(at as u64, &all[at..end], &mut pool);
                arrived[at..end].fill(true);
                let expected = arrived.iter().take_while(|arrived| **arrived).count() as u64;
                prop_assert_eq!(buffer.contiguous(), expected);
                prop_assert_eq!(advanced, expected > before);
                let peeked = buffer.peek();
                prop_assert_eq!(peeked, &all[buffer.read() as usize..][..peeked.len()]);
                prop_assert_eq!(peeked.is_empty(), buffer.read() == expected);
                if read % 2 == 0 {
                    buffer.consume(read.min(peeked.len()) as u64, &mut pool);
                } else {
                    let start = buffer.read() as usize;
                    let taken = buffer.take(read, &mut pool);
                    prop_assert_eq!(&taken[..], &all[start..start + taken.len()]);
                }
            }
            buffer.clear(&mut pool);
            pool.clear();
            prop_assert_eq!(pool.held(), 0);
        }
    }
}
