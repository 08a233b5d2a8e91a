//! What a connection tells of itself.

mod stats;

pub use stats::Stats;
