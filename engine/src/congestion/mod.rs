//! Congestion control (RFC 9002 section 7): how many bytes may be in flight, and how fast they go out.
//!
//! A [`Controller`] sees packets sent, acknowledged and lost, and answers with a window; a [`Pacer`] spreads what the
//! window allows over the round trip. Neither knows packets, frames or spaces.
//!
//! Invariants:
//! - A window is never below two datagrams (RFC 9002 section 7.2).
//! - All arithmetic is on integers: the same signals give the same window on every target.
//!
//! Times and durations are nanoseconds, sizes are bytes without UDP and IP headers.

mod cubic;
mod hystart;
mod new_reno;
mod pacer;

pub use cubic::Cubic;
pub use new_reno::NewReno;
pub use pacer::Pacer;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt::Debug;

use crate::wire::Time;

/// The path's round-trip time, as a controller sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RttView {
    /// The newest sample; 0 before the first.
    pub latest: u64,
    /// The moving average.
    pub smoothed: u64,
    /// The least sample; the average before the first.
    pub min: u64,
}

/// A congestion control algorithm. One instance serves one path.
pub trait Controller: Send + Debug {
    /// A packet in flight was sent; `bytes_in_flight` includes it.
    fn on_sent(&mut self, now: Time, bytes: u64, bytes_in_flight: u64);

    /// A packet in flight, sent at `sent_time`, was acknowledged.
    ///
    /// `app_limited` says that the window was not used up when the acknowledgment arrived, for want of data or flow
    /// control credit; waiting for the pacer is not that (RFC 9002 section 7.8).
    fn on_acked(&mut self, now: Time, sent_time: Time, bytes: u64, app_limited: bool, rtt: RttView);

    /// Packets were lost, or the peer's ECN-CE count rose (`by_ecn`).
    ///
    /// `sent_time` is when the last packet lost was sent, or the largest one acknowledged with the rise. `persistent`
    /// marks persistent congestion (RFC 9002 section 7.6).
    fn on_congestion(&mut self, now: Time, sent_time: Time, lost_bytes: u64, persistent: bool, by_ecn: bool);

    /// The packets that the last call of [`on_congestion`](Self::on_congestion) told of were not lost: they came late.
    /// A controller may take back what it did. Default: nothing.
    fn on_spurious_congestion(&mut self) {}

    /// The largest datagram that the path takes has changed.
    fn on_mtu(&mut self, mtu: u64);

    /// How many bytes may be in flight.
    fn window(&self) -> u64;

    /// The slow start threshold; `None` before the first congestion, or where the algorithm has none.
    fn ssthresh(&self) -> Option<u64>;
}

/// Makes a connection's controllers: one for each path that it comes to use.
pub trait Factory: Send + Sync + Debug {
    /// A controller for a new path that takes datagrams of `mtu` bytes.
    fn build(&self, mtu: u64) -> Box<dyn Controller>;
}

/// Which algorithm controls congestion.
#[derive(Clone, Debug, Default)]
pub enum CongestionControl {
    /// NewReno (RFC 9002 section 7).
    NewReno,
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406).
    #[default]
    Cubic,
    /// The caller's own. It must answer the same signals with the same windows wherever runs are to be replayed.
    Custom(Arc<dyn Factory>),
}

impl CongestionControl {
    /// A controller for a new path that takes datagrams of `mtu` bytes.
    #[must_use]
    pub fn build(&self, mtu: u64) -> Box<dyn Controller> {
        match self {
            Self::NewReno => Box::new(NewReno::new(mtu)),
            Self::Cubic => Box::new(Cubic::new(mtu)),
            Self::Custom(factory) => factory.build(mtu),
        }
    }
}

/// Two of the caller's own are equal where they are the same object.
impl PartialEq for CongestionControl {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NewReno, Self::NewReno) | (Self::Cubic, Self::Cubic) => true,
            (Self::Custom(one), Self::Custom(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for CongestionControl {}

/// The window of a new path: ten datagrams, but no more than the larger of 14,720 bytes and two datagrams (RFC 9002
/// section 7.2).
#[must_use]
pub fn initial_window(mtu: u64) -> u64 {
    mtu.saturating_mul(10).min(minimum_window(mtu).max(14_720))
}

/// The least window: two datagrams (RFC 9002 section 7.2).
#[must_use]
pub const fn minimum_window(mtu: u64) -> u64 {
    mtu.saturating_mul(2)
}
