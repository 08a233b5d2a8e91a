//! CUBIC (RFC 9438), with HyStart++ in its first slow start (RFC 9406).

use super::hystart::{Growth, HyStart};
use super::{Controller, RttView, initial_window, minimum_window};
use crate::wire::Time;

/// The window after congestion, as a share of the one before: 0.7 (RFC 9438 section 4.6).
const BETA: (u64, u64) = (7, 10);
/// What Reno adds in a round trip to be as fast as it would be with that share: 3 (1 - beta) / (1 + beta)
/// (section 4.3).
const ALPHA: (u64, u64) = (9, 17);
/// A target is never more than this share of the window (section 4.2).
const MOST_GROWTH: (u64, u64) = (3, 2);

/// The controller that most of the Internet uses, and the engine's default.
///
/// The window is a cubic function of the time since congestion, flat around the window at which it happened; where Reno
/// would be faster, it is Reno's.
#[derive(Clone, Debug)]
pub struct Cubic {
    mtu: u64,
    window: u64,
    ssthresh: Option<u64>,
    /// When the recovery period began. It ends for what was sent later.
    recovery_start: Option<Time>,
    /// Before the first congestion.
    hystart: Option<HyStart>,
    /// The window before the last congestion, lowered where it was below the one before (section 4.7).
    w_max: u64,
    /// The window before the last congestion.
    prior: u64,
    epoch: Option<Epoch>,
    /// What to go back to, should the last congestion prove spurious.
    before: Option<Before>,
    /// Nothing has moved the window yet.
    initial: bool,
}

/// A stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Time,
    /// When the cubic function reaches `w_max`: microseconds after `start`.
    k: u64,
    /// Its plateau.
    origin: u64,
    /// Reno's window.
    w_est: u64,
    /// Fractions of bytes that the window and Reno's have still to grow by, in parts of the window.
    fraction: u64,
    est_fraction: u64,
    /// Since when there was too little to send.
    idle_since: Option<Time>,
}

/// The state before a congestion that may prove spurious.
#[derive(Clone, Copy, Debug)]
struct Before {
    window: u64,
    ssthresh: Option<u64>,
    w_max: u64,
}

impl Cubic {
    /// A controller in slow start, for a path that takes datagrams of `mtu` bytes.
    #[must_use]
    pub fn new(mtu: u64) -> Self {
        let mtu = mtu.max(1);
        Self {
            mtu,
            window: initial_window(mtu),
            ssthresh: None,
            recovery_start: None,
            hystart: Some(HyStart::default()),
            w_max: 0,
            prior: 0,
            epoch: None,
            before: None,
            initial: true,
        }
    }

    fn in_recovery(&self, sent_time: Time) -> bool {
        self.recovery_start.is_some_and(|start| sent_time <= start)
    }

    fn in_slow_start(&self) -> bool {
        self.ssthresh.is_none_or(|ssthresh| self.window < ssthresh)
    }

    fn slow_start(&mut self, now: Time, sent_time: Time, bytes: u64, rtt: RttView) {
        let growth = match &mut self.hystart {
            Some(hystart) => hystart.on_acked(now, sent_time, bytes, rtt.latest),
            None => Growth::By(bytes),
        };
        match growth {
            Growth::By(bytes) => self.window = self.window.saturating_add(bytes),
            Growth::Enough => {
                self.hystart = None;
                self.ssthresh = Some(self.window);
            }
        }
    }

    /// RFC 9438 sections 4.2 to 4.5.
    fn avoid_congestion(&mut self, now: Time, bytes: u64, rtt: RttView) {
        let (window, mtu, w_max) = (self.window.max(1), self.mtu, self.w_max);
        let epoch = self.epoch.get_or_insert_with(|| Epoch::new(now, window, w_max, mtu));
        epoch.resume(now);

        // Reno's window: one datagram a round trip once it has passed the window before the congestion.
        let (numerator, denominator) = if epoch.w_est >= self.prior { (1, 1) } else { ALPHA };
        let parts = mul_add(mtu.saturating_mul(numerator), bytes, epoch.est_fraction);
        let whole = u128::from(window) * u128::from(denominator);
        epoch.w_est = epoch.w_est.saturating_add(narrow(parts / whole));
        epoch.est_fraction = narrow(parts % whole);

        let elapsed = now.saturating_sub(epoch.start).saturating_add(rtt.smoothed) / 1_000;
        let most = narrow(u128::from(window) * u128::from(MOST_GROWTH.0) / u128::from(MOST_GROWTH.1));
        let target = epoch.w_cubic(elapsed, mtu).clamp(window, most);
        let parts = mul_add(target - window, bytes, epoch.fraction);
        let grown = window.saturating_add(narrow(parts / u128::from(window)));
        epoch.fraction = narrow(parts % u128::from(window));
        self.window = grown.max(epoch.w_est);
    }
}

impl Epoch {
    fn new(now: Time, window: u64, w_max: u64, mtu: u64) -> Self {
        let origin = w_max.max(window);
        // K = cbrt((w_max - window) / C), with C = 0.4 datagrams a second cubed: in microseconds.
        let distance = u128::from(origin - window) * 5 * 1_000_000_000_000_000_000 / (2 * u128::from(mtu));
        let k = cube_root(distance);
        Self { start: now, k, origin, w_est: window, fraction: 0, est_fraction: 0, idle_since: None }
    }

    /// The cubic function at `elapsed` microseconds after the start (RFC 9438 section 4.2, figure 1).
    fn w_cubic(&self, elapsed: u64, mtu: u64) -> u64 {
        // Beyond this the target is out of reach anyway, and the cube would not fit: about 100 hours.
        const FAR: i128 = 1 << 38;
        let distance = (i128::from(elapsed) - i128::from(self.k)).clamp(-FAR, FAR);
        let cube = distance * distance * distance / 1_000_000_000_000;
        let offset = cube * 2 / 5 * i128::from(mtu.min(1 << 16)) / 1_000_000;
        u64::try_from((i128::from(self.origin) + offset).max(0)).unwrap_or(u64::MAX)
    }

    /// Time in which there was too little to send does not count (RFC 9438 section 5.8).
    fn resume(&mut self, now: Time) {
        if let Some(since) = self.idle_since.take() {
            self.start = self.start.saturating_add(now.saturating_sub(since));
        }
    }
}

impl Controller for Cubic {
    fn on_sent(&mut self, _now: Time, _bytes: u64, _bytes_in_flight: u64) {}

    fn on_acked(&mut self, now: Time, sent_time: Time, bytes: u64, app_limited: bool, rtt: RttView) {
        if self.in_recovery(sent_time) {
            return;
        }
        if app_limited {
            if let Some(epoch) = &mut self.epoch {
                epoch.idle_since.get_or_insert(now);
            }
            return;
        }
        self.initial = false;
        if self.in_slow_start() {
            self.slow_start(now, sent_time, bytes, rtt);
        } else {
            self.avoid_congestion(now, bytes, rtt);
        }
    }

    fn on_congestion(&mut self, now: Time, sent_time: Time, _lost_bytes: u64, persistent: bool, by_ecn: bool) {
        if !self.in_recovery(sent_time) {
            // A mark is the network's own word: nothing to take back.
            let before = Before { window: self.window, ssthresh: self.ssthresh, w_max: self.w_max };
            self.before = (!by_ecn).then_some(before);
            // RFC 9438 section 4.7: another flow wants the room, so the plateau moves down.
            self.w_max = if self.window < self.w_max { self.window / 20 * 17 } else { self.window };
            self.prior = self.window;
            let reduced = narrow(u128::from(self.window) * u128::from(BETA.0) / u128::from(BETA.1));
            self.window = reduced.max(minimum_window(self.mtu));
            self.ssthresh = Some(self.window);
            self.recovery_start = Some(now);
            self.epoch = None;
            self.hystart = None;
            self.initial = false;
        }
        if persistent {
            // RFC 9002 section 7.6.2: back to slow start.
            self.window = minimum_window(self.mtu);
            self.recovery_start = None;
            self.epoch = None;
            self.before = None;
        }
    }

    fn on_spurious_congestion(&mut self) {
        // RFC 9438 section 4.9.
        if let Some(before) = self.before.take()
            && before.window > self.window
        {
            self.window = before.window;
            self.ssthresh = before.ssthresh;
            self.w_max = before.w_max;
            self.recovery_start = None;
            self.epoch = None;
        }
    }

    fn on_mtu(&mut self, mtu: u64) {
        self.mtu = mtu.max(1);
        // RFC 9002 section 7.2: the initial window is recalculated; a window that has moved stays.
        self.window = if self.initial { initial_window(self.mtu) } else { self.window.max(minimum_window(self.mtu)) };
    }

    fn window(&self) -> u64 {
        self.window
    }

    fn ssthresh(&self) -> Option<u64> {
        self.ssthresh
    }
}

fn mul_add(a: u64, b: u64, c: u64) -> u128 {
    u128::from(a) * u128::from(b) + u128::from(c)
}

fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// The integer cube root, rounded down. Bit by bit: it is needed once an epoch.
fn cube_root(value: u128) -> u64 {
    let mut root: u128 = 0;
    // The largest root has 43 bits.
    for bit in (0..43).rev() {
        let candidate = root | 1 << bit;
        if candidate * candidate * candidate <= value {
            root = candidate;
        }
    }
    narrow(root)
}

#[cfg(test)]
mod tests {
    use super::cube_root;

    #[test]
    fn cube_roots_are_rounded_down() {
        for root in [0u128, 1, 2, 3, 10, 1_000_003, (1 << 42) + 7] {
            let cube = root * root * root;
            assert_eq!(u128::from(cube_root(cube)), root);
            assert_eq!(u128::from(cube_root(cube + 1)), root.max(u128::from(cube == 0)));
            if root > 1 {
                assert_eq!(u128::from(cube_root(cube - 1)), root - 1);
            }
        }
    }
}
