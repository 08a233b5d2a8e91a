//! The pacer: a token bucket that fills at 5/4 of the window per round trip (RFC 9002 section 7.7).

use crate::wire::Time;

/// The bucket holds this many datagrams, or [`BURST_TIME`] worth of sending, whichever is more.
const BURST_DATAGRAMS: u64 = 10;
const BURST_TIME: u64 = 2_000_000;
/// Waking up more often than this costs more than it smooths.
const WAKE_TIME: u64 = 1_000_000;

/// Spreads packets over the round trip. Packets that carry only ACK frames, and probes, are not held back by it.
#[derive(Clone, Debug)]
pub struct Pacer {
    mtu: u64,
    /// Bytes that may be sent now.
    tokens: u64,
    /// Up to when the bucket has been filled; `None` before the first packet.
    filled: Option<Time>,
    /// When, and for which window and round-trip time, that was done: again it would change nothing.
    filled_for: Option<(Time, u64, u64)>,
}

/// Bytes for time: 5/4 of the window per smoothed RTT.
#[derive(Clone, Copy)]
struct Rate {
    bytes: u64,
    time: u64,
}

impl Rate {
    fn new(window: u64, smoothed_rtt: u64) -> Self {
        Self { bytes: window.saturating_mul(5).max(1), time: smoothed_rtt.saturating_mul(4).max(1) }
    }

    /// The bytes that `time` is good for, rounded down.
    fn bytes_in(self, time: u64) -> u64 {
        mul_div(time, self.bytes, self.time)
    }

    /// The time that `bytes` take, rounded up.
    fn time_for(self, bytes: u64) -> u64 {
        let time = mul_div(bytes, self.time, self.bytes);
        if self.bytes_in(time) < bytes { time.saturating_add(1) } else { time }
    }
}

impl Pacer {
    /// A pacer with a full bucket, for a path that takes datagrams of `mtu` bytes.
    #[must_use]
    pub const fn new(mtu: u64) -> Self {
        Self { mtu, tokens: 0, filled: None, filled_for: None }
    }

    /// The largest datagram that the path takes has changed.
    pub const fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu;
        self.filled_for = None;
    }

    /// Whether `bytes` may go out at `now`, with this congestion window and smoothed RTT. `bytes` may be several
    /// datagrams; what exceeds the bucket is not waited for.
    ///
    /// # Errors
    ///
    /// The time to ask again, later than `now`.
    pub fn next_send(&mut self, now: Time, bytes: u64, window: u64, smoothed_rtt: u64) -> Result<(), Time> {
        // The packets of a batch ask one after the other; what suffices for one is within the bucket.
        let asked = Some((now, window, smoothed_rtt));
        if self.filled_for == asked && self.tokens >= bytes {
            return Ok(());
        }
        self.filled_for = asked;
        let rate = Rate::new(window, smoothed_rtt);
        let capacity = self.mtu.saturating_mul(BURST_DATAGRAMS).max(rate.bytes_in(BURST_TIME));
        self.fill(now, rate, capacity);
        let bytes = bytes.min(capacity);
        if self.tokens >= bytes {
            return Ok(());
        }
        let wanted = bytes.max(rate.bytes_in(WAKE_TIME).min(capacity));
        let from = self.filled.unwrap_or(now);
        Err(from.saturating_add(rate.time_for(wanted - self.tokens)).max(now.saturating_add(1)))
    }

    /// Takes `bytes` that were sent out of the bucket. Probes may find it empty.
    pub const fn on_sent(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub(bytes);
    }

    fn fill(&mut self, now: Time, rate: Rate, capacity: u64) {
        let Some(filled) = self.filled else {
            self.tokens = capacity;
            self.filled = Some(now);
            return;
        };
        let earned = rate.bytes_in(now.saturating_sub(filled));
        if earned >= capacity.saturating_sub(self.tokens) {
            self.tokens = capacity;
            self.filled = Some(filled.max(now));
        } else {
            // Only the time that whole bytes took is spent, so that no fraction is lost by asking often.
            self.tokens += earned;
            self.filled = Some(filled.saturating_add(rate.time_for(earned)));
        }
    }
}

/// `a * b / c` without overflow, capped at `u64::MAX`; by 64-bit division where it fits, as it nearly always does.
fn mul_div(a: u64, b: u64, c: u64) -> u64 {
    let c = c.max(1);
    match a.checked_mul(b) {
        Some(product) => product / c,
        None => u64::try_from(u128::from(a) * u128::from(b) / u128::from(c)).unwrap_or(u64::MAX),
    }
}
