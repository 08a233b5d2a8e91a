//! A network path: its addresses, what may be sent on it before it is validated, its packet size.
//!
//! Invariant: on an unvalidated path no more than three times the bytes received are sent (RFC 9000 section 8.1).

use crate::wire::FourTuple;

/// Every path carries a UDP payload of this size (RFC 9000 section 14).
pub const MIN_DATAGRAM_SIZE: usize = 1200;

/// Responses to PATH_CHALLENGE that wait to be sent; a peer that asks for more at once gets the newest.
const MAX_RESPONSES: usize = 4;

/// A network path.
#[derive(Debug)]
pub struct Path {
    addresses: FourTuple,
    validated: bool,
    received: u64,
    sent: u64,
    max_datagram_size: usize,
    responses: [Option<[u8; 8]>; MAX_RESPONSES],
    next_response: usize,
}

impl Path {
    /// A path on which 1200 bytes are sent at most.
    #[must_use]
    pub const fn new(addresses: FourTuple, validated: bool) -> Self {
        Self {
            addresses,
            validated,
            received: 0,
            sent: 0,
            max_datagram_size: MIN_DATAGRAM_SIZE,
            responses: [None; MAX_RESPONSES],
            next_response: 0,
        }
    }

    /// The path's addresses.
    #[must_use]
    pub const fn addresses(&self) -> FourTuple {
        self.addresses
    }

    /// Whether a datagram with these addresses belongs to this path. A local address that one side does not know
    /// matches any; the path then learns it.
    pub fn matches(&mut self, addresses: &FourTuple) -> bool {
        if self.addresses.remote != addresses.remote || self.addresses.local.port() != addresses.local.port() {
            return false;
        }
        if self.addresses.local.ip().is_unspecified() {
            self.addresses.local = addresses.local;
            return true;
        }
        addresses.local.ip().is_unspecified() || self.addresses.local.ip() == addresses.local.ip()
    }

    /// Whether the peer has shown that it receives at this address.
    #[must_use]
    pub const fn is_validated(&self) -> bool {
        self.validated
    }

    /// The peer has shown that it receives at this address.
    pub const fn validate(&mut self) {
        self.validated = true;
    }

    /// Counts a datagram received.
    pub const fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    /// Counts a datagram sent.
    pub const fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// How many bytes may be sent now (RFC 9000 section 8.1).
    #[must_use]
    pub const fn allowance(&self) -> u64 {
        if self.validated { u64::MAX } else { self.received.saturating_mul(3).saturating_sub(self.sent) }
    }

    /// The largest UDP payload that is sent on this path.
    #[must_use]
    pub const fn max_datagram_size(&self) -> usize {
        self.max_datagram_size
    }

    /// Sets the largest UDP payload that is sent on this path; never below 1200.
    pub fn set_max_datagram_size(&mut self, size: usize) {
        self.max_datagram_size = size.max(MIN_DATAGRAM_SIZE);
    }

    /// A PATH_CHALLENGE arrived: its data is to be echoed (RFC 9000 section 8.2.2).
    pub fn on_challenge(&mut self, data: [u8; 8]) {
        if let Some(slot) = self.responses.get_mut(self.next_response) {
            *slot = Some(data);
        }
        self.next_response = (self.next_response + 1) % MAX_RESPONSES;
    }

    /// The data of the next PATH_RESPONSE to send. It is sent once (RFC 9000 section 13.3).
    pub fn take_response(&mut self) -> Option<[u8; 8]> {
        self.responses.iter_mut().find_map(Option::take)
    }

    /// Whether a PATH_RESPONSE waits to be sent.
    #[must_use]
    pub fn has_response(&self) -> bool {
        self.responses.iter().any(Option::is_some)
    }
}
