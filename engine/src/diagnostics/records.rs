//! A bounded buffer of records that the caller takes away.

use alloc::string::String;

/// Whole records, one after the other. What does not fit is dropped and counted.
#[derive(Debug)]
pub(super) struct Records {
    text: String,
    capacity: usize,
    /// Records dropped since the last one kept.
    missing: u64,
    /// Records dropped in all.
    dropped: u64,
}

impl Records {
    /// A buffer for `capacity` bytes.
    pub(super) const fn new(capacity: usize) -> Self {
        Self { text: String::new(), capacity, missing: 0, dropped: 0 }
    }

    /// Appends the record that `write` writes, or drops it where the buffer is full. A record that follows dropped ones
    /// is preceded by what `tell` writes of their number.
    pub(super) fn append(&mut self, tell: impl FnOnce(&mut String, u64), write: impl FnOnce(&mut String)) {
        let end = self.text.len();
        if end < self.capacity {
            if self.missing > 0 {
                tell(&mut self.text, self.missing);
            }
            write(&mut self.text);
            if self.text.len() <= self.capacity {
                self.missing = 0;
                return;
            }
            self.text.truncate(end);
        }
        self.missing += 1;
        self.dropped += 1;
    }

    /// Takes what is there; `None` when there is nothing.
    pub(super) fn take(&mut self) -> Option<String> {
        if self.text.is_empty() { None } else { Some(core::mem::take(&mut self.text)) }
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) const fn memory_used(&self) -> usize {
        self.text.len()
    }
}
