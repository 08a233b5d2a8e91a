//! How urgent a stream is to the one who sends on it (RFC 9000 section 2.3).

/// The place of a stream among those that have something to send. Local to the sender: nothing of it is on the wire.
///
/// The fields are those of RFC 9218 section 4, and the send order of WebTransport. Streams of a smaller urgency go
/// first; with the same urgency, those of a larger send order. Among streams alike in both, what was lost goes before
/// what is new; then those that are not incremental, each to its end, in the order of their IDs; then the incremental
/// ones, which take turns, a packet's worth each. A stream without anything to send holds up no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// 0, the most urgent, to 7 (RFC 9218 section 4.1). Default: 3.
    pub urgency: u8,
    /// Whether the receiver has use for a part of the stream, so that it shares with others (RFC 9218 section 4.2).
    /// Default: true, other than for HTTP responses: nothing is known of the streams, and none should wait for
    /// another's end.
    pub incremental: bool,
    /// Streams with larger numbers go first. Default: 0.
    pub send_order: i64,
}

impl Priority {
    /// The least urgent (RFC 9218 section 4.1).
    pub const MAX_URGENCY: u8 = 7;

    /// With an urgency in range.
    pub(super) fn clamped(self) -> Self {
        Self { urgency: self.urgency.min(Self::MAX_URGENCY), ..self }
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self { urgency: 3, incremental: true, send_order: 0 }
    }
}
