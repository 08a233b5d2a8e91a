//! Network paths: their addresses, what may be sent on them before they are validated, their packet sizes.
//!
//! [`Paths`] holds the path in use, and a few others: those that are being validated, and the last good one, to fall
//! back to. It decides when a path is challenged and when it has failed; what follows from that (congestion state,
//! connection IDs, closing) is its caller's.
//!
//! Invariants: on a peer's address that is not validated no more than three times the bytes received are sent (RFC
//! 9000 section 8.1); there are never more than [`MAX_PATHS`] paths; challenges and answers are bounded on each.

mod ecn;
mod history;
mod paths;
mod size;
mod validation;

pub use ecn::{EcnState, EcnValidation};
pub use paths::{Arrival, MAX_PATHS, PathDue, Paths, Proof};
pub use size::SizeReport;
pub use validation::Schedule;

use alloc::boxed::Box;

use crate::wire::{ConnectionId, Ecn, FourTuple, Time};
use size::SizeSearch;
use validation::{Answer, Validation};

/// Every path carries a UDP payload of this size (RFC 9000 section 14).
pub const MIN_DATAGRAM_SIZE: usize = 1200;

/// Responses to PATH_CHALLENGE that wait to be sent; a peer that asks for more at once gets the newest.
const MAX_RESPONSES: usize = 4;

/// A datagram smaller than this carries no probe: header, PATH_CHALLENGE, tag.
const MIN_PROBE_SIZE: u64 = 64;

/// Names a path of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathId(u64);

/// What a path starts with.
#[derive(Clone, Copy, Debug)]
pub struct NewPath {
    /// Its addresses.
    pub addresses: FourTuple,
    /// The sequence number of the peer's connection ID that is used on it.
    pub remote_id: u64,
    /// Whether it needs no validation.
    pub validated: bool,
    /// Whether anti-amplification holds until it is validated: the peer chose its address there, and has not shown
    /// that it receives at it.
    pub limited: bool,
}

/// Counts and measures of one path. Bytes are UDP payload; times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathStats {
    /// Its addresses.
    pub addresses: FourTuple,
    /// Whether it is the one in use: what is not a probe is sent on it.
    pub active: bool,
    /// Whether it is validated (RFC 9000 section 8.2).
    pub validated: bool,
    /// Whether a validation is under way.
    pub validating: bool,
    /// Whether at most three times what was received is sent on it, because the peer has not shown that it receives at
    /// its address (RFC 9000 section 8).
    pub amplification_limited: bool,
    /// Bytes of the datagrams sent.
    pub bytes_sent: u64,
    /// Bytes of the datagrams received.
    pub bytes_received: u64,
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// The smoothed round-trip time of the path in use; for another, that of its last validation, if any.
    pub rtt: Option<u64>,
    /// The largest UDP payload that is sent on it.
    pub max_udp_payload_size: u64,
    /// Whether ECN marks survive it.
    pub ecn: EcnState,
}

/// A network path.
#[derive(Debug)]
pub struct Path {
    id: PathId,
    addresses: FourTuple,
    /// The sequence number of the peer's connection ID that is used on it.
    remote_id: u64,
    /// Our connection ID that the peer uses on it, once it has sent something.
    local_id: Option<ConnectionId>,
    validated: bool,
    limited: bool,
    received: u64,
    sent: u64,
    datagrams_received: u64,
    datagrams_sent: u64,
    max_datagram_size: usize,
    size_search: Option<Box<SizeSearch>>,
    ecn: EcnValidation,
    responses: [Option<[u8; 8]>; MAX_RESPONSES],
    next_response: usize,
    validation: Option<Validation>,
    /// It is to be the path in use as soon as it is validated.
    wanted: bool,
    rtt: Option<u64>,
    /// When it is dropped.
    expires: Option<Time>,
}

impl Path {
    const fn new(id: PathId, new: NewPath) -> Self {
        Self {
            id,
            addresses: new.addresses,
            remote_id: new.remote_id,
            local_id: None,
            validated: new.validated,
            limited: new.limited,
            received: 0,
            sent: 0,
            datagrams_received: 0,
            datagrams_sent: 0,
            max_datagram_size: MIN_DATAGRAM_SIZE,
            size_search: None,
            ecn: EcnValidation::new(),
            responses: [None; MAX_RESPONSES],
            next_response: 0,
            validation: None,
            wanted: false,
            rtt: None,
            expires: None,
        }
    }

    /// Which path this is.
    #[must_use]
    pub const fn id(&self) -> PathId {
        self.id
    }

    /// The path's addresses.
    #[must_use]
    pub const fn addresses(&self) -> FourTuple {
        self.addresses
    }

    /// Sets our address on this path.
    pub const fn set_local(&mut self, local: core::net::SocketAddr) {
        self.addresses.local = local;
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

    /// The sequence number of the peer's connection ID that is used on this path.
    #[must_use]
    pub const fn remote_id(&self) -> u64 {
        self.remote_id
    }

    /// Changes the peer's connection ID that is used on this path.
    pub const fn set_remote_id(&mut self, sequence: u64) {
        self.remote_id = sequence;
    }

    /// Our connection ID that the peer last used on this path.
    #[must_use]
    pub const fn local_id(&self) -> Option<ConnectionId> {
        self.local_id
    }

    /// Notes our connection ID that the peer uses on this path.
    pub const fn set_local_id(&mut self, id: ConnectionId) {
        self.local_id = Some(id);
    }

    /// Whether the path is validated; in the handshake, whether the peer has shown that it receives at its address.
    #[must_use]
    pub const fn is_validated(&self) -> bool {
        self.validated
    }

    /// The peer has shown that it receives at this address. Ends a validation.
    pub fn validate(&mut self) {
        self.validated = true;
        self.limited = false;
        self.validation = None;
    }

    /// Whether a validation is under way.
    #[must_use]
    pub const fn is_validating(&self) -> bool {
        self.validation.is_some()
    }

    /// Begins to validate the path, or begins anew. Until the outcome it counts as it did before.
    pub const fn begin_validation(&mut self, now: Time, schedule: Schedule) {
        self.validation = Some(Validation::new(now, schedule));
        self.expires = None;
    }

    /// Whether it is to be the path in use as soon as it is validated.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Makes it the path in use as soon as it is validated.
    pub const fn set_wanted(&mut self) {
        self.wanted = true;
    }

    /// Counts a datagram received.
    pub const fn on_received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
        self.datagrams_received += 1;
    }

    /// Counts a datagram sent.
    pub const fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
        self.datagrams_sent += 1;
    }

    /// How many bytes may be sent now (RFC 9000 section 8.1).
    #[must_use]
    pub const fn allowance(&self) -> u64 {
        if self.limited { self.received.saturating_mul(3).saturating_sub(self.sent) } else { u64::MAX }
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

    /// Lets datagrams grow up to `bound`: by discovery among `sizes`, or at once, if there are none. What the path is
    /// known to carry stays.
    pub fn allow_sizes(&mut self, bound: usize, sizes: &[u16]) {
        let current = self.max_datagram_size;
        if sizes.is_empty() {
            self.size_search = None;
            self.set_max_datagram_size(bound);
        } else {
            self.set_max_datagram_size(current.min(bound));
            self.size_search = Some(Box::new(SizeSearch::new(current, bound, sizes)));
        }
    }

    /// A datagram as large as may be was sent: a larger one would be of use.
    pub fn note_full_datagram(&mut self) {
        if let Some(search) = &mut self.size_search {
            search.note_full();
        }
    }

    /// The size of the datagram that is to probe this path now.
    #[must_use]
    pub fn next_size_probe(&self, now: Time) -> Option<usize> {
        self.size_search.as_ref()?.next_probe(now)
    }

    /// A probe of `size` bytes was sent.
    pub fn on_size_probe_sent(&mut self, size: usize) {
        if let Some(search) = &mut self.size_search {
            search.on_probe_sent(size);
        }
    }

    /// Gives up the probe that is under way, without counting it.
    pub fn forget_size_probe(&mut self) {
        if let Some(search) = &mut self.size_search {
            search.forget_probe();
        }
    }

    /// Takes what was learnt of sizes. Returns whether the largest datagram changed.
    pub fn on_size_report(&mut self, now: Time, report: &SizeReport) -> bool {
        let size = self.size_search.as_mut().and_then(|search| search.on_report(now, report));
        let changed = size.is_some_and(|size| size != self.max_datagram_size);
        if let Some(size) = size {
            self.set_max_datagram_size(size);
        }
        changed
    }

    /// The path does not take a datagram of `size` bytes.
    pub fn exclude_size(&mut self, size: usize) {
        let allowed = self.size_search.as_mut().map(|search| search.exclude(size));
        if self.max_datagram_size >= size {
            self.set_max_datagram_size(allowed.unwrap_or(MIN_DATAGRAM_SIZE));
        }
    }

    /// What is known of ECN on this path.
    #[must_use]
    pub const fn ecn_state(&self) -> EcnState {
        self.ecn.state()
    }

    /// How the next datagram on this path is marked.
    #[must_use]
    pub const fn ecn_mark(&self) -> Ecn {
        self.ecn.mark()
    }

    /// Marks nothing on this path.
    pub const fn disable_ecn(&mut self) {
        self.ecn.disable();
    }

    /// Counts a datagram of `packets` packets that was marked as [`ecn_mark`](Self::ecn_mark) had it. `pto` is the
    /// probe timeout, in nanoseconds.
    pub fn on_marked(&mut self, now: Time, packets: u64, pto: u64) {
        self.ecn.on_sent(now, packets, pto);
    }

    /// The peer reports marks as they were sent.
    pub const fn on_marks_confirmed(&mut self) {
        self.ecn.on_confirmed();
    }

    /// What the peer reports of marks cannot be.
    pub const fn on_marks_contradicted(&mut self) {
        self.ecn.on_contradicted();
    }

    /// Packets that were marked are lost.
    pub const fn on_marked_lost(&mut self, packets: u64) {
        self.ecn.on_lost(packets);
    }

    /// Takes over the validation of ECN of another, which is the same path behind another port.
    pub const fn inherit_ecn(&mut self, other: EcnValidation) {
        self.ecn = other;
    }

    /// The validation of ECN on this path.
    #[must_use]
    pub const fn ecn(&self) -> EcnValidation {
        self.ecn
    }

    /// A PATH_CHALLENGE arrived: its data is to be echoed (RFC 9000 section 8.2.2).
    fn on_challenge(&mut self, data: [u8; 8]) {
        if let Some(slot) = self.responses.get_mut(self.next_response) {
            *slot = Some(data);
        }
        self.next_response = (self.next_response + 1) % MAX_RESPONSES;
    }

    /// The data of the next PATH_RESPONSE to send. It is sent once (RFC 9000 section 13.3).
    pub fn take_response(&mut self) -> Option<[u8; 8]> {
        self.responses.iter_mut().find_map(Option::take)
    }

    /// Whether a PATH_CHALLENGE is to be sent now.
    #[must_use]
    pub fn is_challenge_due(&self, now: Time) -> bool {
        self.validation.as_ref().is_some_and(|validation| validation.is_due(now))
    }

    /// A PATH_CHALLENGE with `data` was sent, in a datagram of 1200 bytes or in a smaller one.
    pub fn on_challenge_sent(&mut self, now: Time, data: [u8; 8], full_size: bool) {
        if let Some(validation) = &mut self.validation {
            validation.on_sent(now, data, full_size);
        }
    }

    fn has_probe(&self, now: Time) -> bool {
        (self.is_challenge_due(now) || self.responses.iter().any(Option::is_some)) && self.allowance() >= MIN_PROBE_SIZE
    }

    /// A PATH_RESPONSE arrived. Tells what it proves, if it answers a challenge on this path.
    fn on_response(&mut self, now: Time, data: &[u8; 8]) -> Option<Answer> {
        let answer = self.validation.as_ref()?.on_response(now, data)?;
        self.limited = false;
        self.rtt = Some(answer.rtt);
        if answer.full_size {
            self.validate();
        } else if let Some(validation) = &mut self.validation {
            *validation = validation.again(now);
        }
        Some(answer)
    }

    fn stats(&self, active: bool) -> PathStats {
        PathStats {
            addresses: self.addresses,
            active,
            validated: self.validated,
            validating: self.validation.is_some(),
            amplification_limited: self.limited,
            bytes_sent: self.sent,
            bytes_received: self.received,
            datagrams_sent: self.datagrams_sent,
            datagrams_received: self.datagrams_received,
            rtt: self.rtt,
            max_udp_payload_size: self.max_datagram_size as u64,
            ecn: self.ecn.state(),
        }
    }
}
