//! Names and values, in either of two notations: JSON, or the words of the text log.
//!
//! An event is described once, as a sequence of named values; the notation decides what is between them.

use alloc::string::String;
use core::fmt::Write;

/// The largest integer that every reader of JSON understands (RFC 7493 section 2.2).
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    /// `"name":value,"name":{"inner":value}`
    Json,
    /// `name=value name={inner=value}`
    Text,
}

/// Writes a JSON string with these contents, quotes included. Bytes that are not UTF-8 become U+FFFD, so that any
/// bytes of a peer give a valid string; control characters, and with them the separators of records and lines, are
/// escaped (RFC 8259 section 7).
pub fn write_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                // The C1 controls and the line separators of Unicode would break a line of the text log.
                '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                _ => out.push(c),
            }
        }
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out.push('"');
}

/// Writes nanoseconds as milliseconds, without a float: 1500000 is `1.5`.
pub(super) fn write_millis(out: &mut String, nanos: u64) {
    let (whole, mut fraction, mut digits) = (nanos / 1_000_000, nanos % 1_000_000, 6);
    let _ = write!(out, "{whole}");
    if fraction == 0 {
        return;
    }
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    let _ = write!(out, ".{fraction:0digits$}");
}

/// Named values, one after the other.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    out: &'a mut String,
    notation: Notation,
    first: bool,
}

impl<'a> Fields<'a> {
    /// The values of an object whose brackets the caller writes.
    pub(super) const fn new(out: &'a mut String, notation: Notation) -> Self {
        Self { out, notation, first: true }
    }

    fn key(&mut self, key: &str) {
        let separator = if self.notation == Notation::Json { ',' } else { ' ' };
        if !core::mem::take(&mut self.first) {
            self.out.push(separator);
        }
        match self.notation {
            Notation::Json => {
                self.out.push('"');
                self.out.push_str(key);
                self.out.push_str("\":");
            }
            Notation::Text => {
                self.out.push_str(key);
                self.out.push('=');
            }
        }
    }

    /// An integer. Beyond what JavaScript holds it becomes a string (draft-ietf-quic-qlog-main-schema section 11.3).
    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        write_number(self.out, self.notation, value);
    }

    /// An integer that may be missing.
    pub(super) fn number_if(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    /// A duration in milliseconds.
    pub(super) fn millis(&mut self, key: &str, nanos: u64) {
        self.key(key);
        write_millis(self.out, nanos);
    }

    /// A duration that may be missing.
    pub(super) fn millis_if(&mut self, key: &str, nanos: Option<u64>) {
        if let Some(nanos) = nanos {
            self.millis(key, nanos);
        }
    }

    /// A number as it stands.
    pub(super) fn literal(&mut self, key: &str, value: &'static str) {
        self.key(key);
        self.out.push_str(value);
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.literal(key, if value { "true" } else { "false" });
    }

    /// A word of the schema: no character needs escaping.
    pub(super) fn word(&mut self, key: &str, value: &str) {
        self.key(key);
        write_word(self.out, self.notation, value);
    }

    /// Text of any origin.
    pub(super) fn text(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        write_string(self.out, value);
    }

    /// What formats without quotes and backslashes: addresses, for instance.
    pub(super) fn display(&mut self, key: &str, value: impl core::fmt::Display) {
        self.key(key);
        match self.notation {
            Notation::Json => {
                let _ = write!(self.out, "\"{value}\"");
            }
            Notation::Text => {
                let _ = write!(self.out, "{value}");
            }
        }
    }

    pub(super) fn hex(&mut self, key: &str, bytes: &[u8]) {
        self.display(key, Hex(bytes));
    }

    pub(super) fn object(&mut self, key: &str, write: impl FnOnce(&mut Fields<'_>)) {
        self.key(key);
        self.out.push('{');
        write(&mut Fields::new(self.out, self.notation));
        self.out.push('}');
    }

    pub(super) fn list(&mut self, key: &str, write: impl FnOnce(&mut List<'_>)) {
        self.key(key);
        self.out.push('[');
        write(&mut List { out: self.out, notation: self.notation, first: true });
        self.out.push(']');
    }
}

/// Values without names.
#[derive(Debug)]
pub(super) struct List<'a> {
    out: &'a mut String,
    notation: Notation,
    first: bool,
}

impl List<'_> {
    fn next(&mut self) {
        let separator = if self.notation == Notation::Json { ',' } else { ' ' };
        if !core::mem::take(&mut self.first) {
            self.out.push(separator);
        }
    }

    pub(super) fn display(&mut self, value: impl core::fmt::Display) {
        self.next();
        match self.notation {
            Notation::Json => {
                let _ = write!(self.out, "\"{value}\"");
            }
            Notation::Text => {
                let _ = write!(self.out, "{value}");
            }
        }
    }

    pub(super) fn number(&mut self, value: u64) {
        self.next();
        write_number(self.out, self.notation, value);
    }

    /// A range: `[3]`, `[3,5]`, and as text `3` and `3-5`.
    pub(super) fn range(&mut self, first: u64, last: u64) {
        self.next();
        match self.notation {
            Notation::Json => {
                self.out.push('[');
                write_number(self.out, self.notation, first);
                if first != last {
                    self.out.push(',');
                    write_number(self.out, self.notation, last);
                }
                self.out.push(']');
            }
            Notation::Text if first == last => {
                let _ = write!(self.out, "{first}");
            }
            Notation::Text => {
                let _ = write!(self.out, "{first}-{last}");
            }
        }
    }

    /// An object without a name of its own.
    pub(super) fn object(&mut self, write: impl FnOnce(&mut Fields<'_>)) {
        self.next();
        self.out.push('{');
        write(&mut Fields::new(self.out, self.notation));
        self.out.push('}');
    }

    /// An object that says what it is: `{"key":"kind",...}`, and as text `kind{...}`.
    pub(super) fn tagged(&mut self, key: &str, kind: &str, write: impl FnOnce(&mut Fields<'_>)) {
        self.next();
        match self.notation {
            Notation::Json => {
                self.out.push('{');
                let mut fields = Fields::new(self.out, self.notation);
                fields.word(key, kind);
                write(&mut fields);
            }
            Notation::Text => {
                self.out.push_str(kind);
                self.out.push('{');
                write(&mut Fields::new(self.out, self.notation));
            }
        }
        self.out.push('}');
    }
}

fn write_number(out: &mut String, notation: Notation, value: u64) {
    let _ = match notation {
        Notation::Json if value > MAX_SAFE_INTEGER => write!(out, "\"{value}\""),
        Notation::Json | Notation::Text => write!(out, "{value}"),
    };
}

fn write_word(out: &mut String, notation: Notation, value: &str) {
    match notation {
        Notation::Json => {
            out.push('"');
            out.push_str(value);
            out.push('"');
        }
        Notation::Text => out.push_str(value),
    }
}

/// Bytes as lower-case hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl core::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_as_many_digits_as_they_need() {
        let text = |nanos| {
            let mut out = String::new();
            write_millis(&mut out, nanos);
            out
        };
        assert_eq!([0, 1, 1_500_000, 20_000_000, 333_000_001].map(text), ["0", "0.000001", "1.5", "20", "333.000001"]);
        assert_eq!(text(u64::MAX), "18446744073709.551615");
    }
}
