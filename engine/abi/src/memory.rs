//! Memory that crosses the boundary: blocks that the host asks for, arenas that it shares, slices that it passes.
//!
//! Everything the crate does with raw addresses is here. The host's promises are those of `quillon.h`: an address is
//! valid for the length beside it while the call lasts, and nothing else touches it meanwhile.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::{self, NonNull};

use crate::failure::Failure;

/// Enough for anything that C puts into a block.
const ALIGNMENT: usize = 16;

/// Allocates `len` bytes for the host to fill; null where `len` is 0 or there is no memory.
///
/// The host gives the block back with [`quillon_free`].
#[unsafe(no_mangle)]
pub extern "C" fn quillon_alloc(len: u32) -> *mut u8 {
    match block_layout(len as usize) {
        // SAFETY: the layout is not of size zero.
        Some(layout) => unsafe { alloc(layout) },
        None => ptr::null_mut(),
    }
}

/// Gives back a block from [`quillon_alloc`]; null is ignored.
///
/// # Safety
///
/// `block` came from `quillon_alloc(len)` and was not given back before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn quillon_free(block: *mut u8, len: u32) {
    if let (false, Some(layout)) = (block.is_null(), block_layout(len as usize)) {
        // SAFETY: by this function's contract the block was allocated with this layout.
        unsafe { dealloc(block, layout) }
    }
}

fn block_layout(len: usize) -> Option<Layout> {
    if len == 0 { None } else { Layout::from_size_align(len, ALIGNMENT).ok() }
}

/// The bytes that the host passes to a call.
///
/// # Safety
///
/// Where it is not null, `data` is valid for reading `len` bytes for the call that it was passed to, and `'a` ends
/// with that call.
pub(crate) unsafe fn input<'a>(data: *const u8, len: u32) -> Result<&'a [u8], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::invalid("an address is null"));
    }
    // SAFETY: by this function's contract. A `u32` fits `isize` on a 64-bit target; on a 32-bit one no valid block is
    // longer than `isize::MAX`.
    Ok(unsafe { std::slice::from_raw_parts(data, len as usize) })
}

/// The same, where it is text for people.
///
/// # Safety
///
/// As for [`input`].
pub(crate) unsafe fn text<'a>(data: *const u8, len: u32) -> Result<&'a str, Failure> {
    // SAFETY: by this function's contract.
    str::from_utf8(unsafe { input(data, len) }?).map_err(|_| Failure::invalid("the text is not UTF-8"))
}

/// Copies `bytes` to the host, as many as `capacity` holds; returns how many there are in all.
///
/// # Safety
///
/// Where it is not null, `out` is valid for writing `capacity` bytes, and does not overlap `bytes`.
pub(crate) unsafe fn output(bytes: &[u8], out: *mut u8, capacity: u32) -> Result<i32, Failure> {
    let len = bytes.len().min(capacity as usize);
    if len > 0 {
        if out.is_null() {
            return Err(Failure::invalid("an address is null"));
        }
        // SAFETY: by this function's contract; `len` is within both.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), out, len) };
    }
    Ok(i32::try_from(bytes.len()).unwrap_or(i32::MAX))
}

/// A block at a constant address that engine and host share: the engine has it during a call, the host between calls.
#[derive(Debug)]
pub(crate) struct Arena {
    // A raw address, not a `Box`: the host's copy of it must stay good while this value moves and is used.
    block: NonNull<u8>,
    layout: Layout,
}

impl Arena {
    /// An arena of `len` zeros.
    pub(crate) fn new(len: usize) -> Result<Self, Failure> {
        let layout = block_layout(len).ok_or_else(|| Failure::invalid("an arena's length is out of range"))?;
        // SAFETY: the layout is not of size zero.
        let block = NonNull::new(unsafe { alloc_zeroed(layout) });
        block.map(|block| Self { block, layout }).ok_or_else(|| Failure::memory("there is no memory for the arena"))
    }

    /// The address that the host is told.
    pub(crate) fn address(&self) -> *mut u8 {
        self.block.as_ptr()
    }

    /// The bytes.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the block is ours, of that size and initialised. The host, on this same thread, does not run while
        // the borrow lives: the engine calls nothing of the host's.
        unsafe { std::slice::from_raw_parts_mut(self.block.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and given back only here.
        unsafe { dealloc(self.block.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_and_nothing_is_null() {
        assert!(quillon_alloc(0).is_null());
        let block = quillon_alloc(33);
        assert_eq!(block as usize % ALIGNMENT, 0);
        // SAFETY: the block was just allocated with this length; null is always allowed.
        unsafe {
            quillon_free(block, 33);
            quillon_free(ptr::null_mut(), 33);
        }
    }

    #[test]
    fn null_is_refused_where_bytes_are_needed() {
        // SAFETY: null is allowed.
        unsafe {
            assert!(input(ptr::null(), 0).is_ok_and(<[u8]>::is_empty));
            assert!(input(ptr::null(), 1).is_err());
            assert!(output(b"abc", ptr::null_mut(), 1).is_err());
            assert!(output(b"abc", ptr::null_mut(), 0).is_ok_and(|len| len == 3));
        }
    }
}
