//! Quillon in virtual time.
//!
//! A [`Network`](network::Network) joins any number of endpoints by links with a rate, a delay and seeded misfortune,
//! moves the clock from one thing that happens to the next, and checks after every step what must hold whatever
//! happens. A run is a function of its seeds and of what the caller does: no clock is read, all randomness comes from
//! [`quillon::rng::Rng`], and all arithmetic is on integers.
//!
//! - [`host`]: what drives an endpoint, native code or another build of the engine behind one trait.
//! - [`chance`]: probabilities, and the models of loss.
//! - [`queue`]: what a link does with datagrams that wait: drop-tail, CoDel, ECN marking.
//! - [`link`]: one direction of a path.
//! - [`addresses`]: who has which address, and the NAT between.
//! - [`network`]: endpoints and links together, and the clock.
//! - [`invariants`]: what is checked after every step.
//! - [`content`]: bytes of streams that are a function of the stream and the offset.
//! - [`flow`]: a transfer on one stream, with its measures.
//! - [`operations`]: random commands on both ends of connections over random networks.

pub mod addresses;
pub mod chance;
pub mod content;
pub mod flow;
pub mod host;
pub mod invariants;
pub mod link;
pub mod network;
pub mod operations;
pub mod queue;

/// Nanoseconds in a millisecond.
pub const MILLISECOND: quillon::Time = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: quillon::Time = 1_000 * MILLISECOND;
