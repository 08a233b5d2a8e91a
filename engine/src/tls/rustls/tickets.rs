//! Tickets that hold a server's sessions, sealed.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use ::rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::scope;
use crate::crypto::{self, CipherSuite, NONCE_LEN, Provider, TAG_LEN};

/// How long a ticket can be used.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What seals a ticket: a nonce drawn at random is no risk for 2^32 tickets of a key.
const SUITE: CipherSuite = CipherSuite::Aes256Gcm;

const KEY_ID_LEN: usize = 8;
const HEADER_LEN: usize = KEY_ID_LEN + NONCE_LEN;
/// Seconds since the Unix epoch.
const TIME_LEN: usize = 8;

/// The keys of a server's stateless tickets: 32 bytes each, from a cryptographic source.
///
/// Whoever has a key can read every session that was resumed with its tickets: replace it at least once a day, by a
/// new config with the new key and the old one as the previous, and forget it after another day. Servers with the same
/// keys resume each other's sessions.
#[derive(Clone)]
pub struct TicketKeys {
    current: Zeroizing<[u8; 32]>,
    previous: Option<Zeroizing<[u8; 32]>>,
}

impl TicketKeys {
    /// Keys that seal and open tickets with `current`.
    #[must_use]
    pub fn new(current: [u8; 32]) -> Self {
        Self { current: Zeroizing::new(current), previous: None }
    }

    /// Opens tickets that were sealed with `key` too.
    #[must_use]
    pub fn with_previous(mut self, key: [u8; 32]) -> Self {
        self.previous = Some(Zeroizing::new(key));
        self
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

/// A key, and the name by which tickets call it.
struct TicketKey {
    id: [u8; KEY_ID_LEN],
    key: Zeroizing<[u8; 32]>,
}

impl TicketKey {
    fn new(provider: &dyn Provider, key: &Zeroizing<[u8; 32]>) -> Self {
        let mac = provider.hmac_sha256(key.as_slice(), b"quillon ticket key id");
        Self { id: mac.first_chunk().copied().unwrap_or_default(), key: key.clone() }
    }
}

/// Seals sessions into tickets: the key's name, a nonce, and the time and the session, sealed with what they are bound to
/// beside them.
pub(super) struct SealedTickets {
    current: TicketKey,
    previous: Option<TicketKey>,
}

impl SealedTickets {
    pub(super) fn new(keys: &TicketKeys) -> Self {
        let provider = crypto::ring::provider();
        Self {
            current: TicketKey::new(provider.as_ref(), &keys.current),
            previous: keys.previous.as_ref().map(|key| TicketKey::new(provider.as_ref(), key)),
        }
    }
}

/// What a ticket is of no use without.
fn bound() -> Option<[u8; 36]> {
    scope::exchange(|exchange| exchange.binding.as_ref().map(|binding| binding.of_tickets()))
}

impl ProducesTickets for SealedTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (bound, now) = (bound()?, quillon_ambient::unix_time()?);
        let mut nonce = [0; NONCE_LEN];
        if !quillon_ambient::fill(&mut nonce) {
            return None;
        }
        let mut sealed = Vec::with_capacity(TIME_LEN + plain.len() + TAG_LEN);
        sealed.extend_from_slice(&now.as_secs().to_be_bytes());
        sealed.extend_from_slice(plain);
        crypto::ring::provider().seal(SUITE, self.current.key.as_slice(), &nonce, &bound, &mut sealed);
        let mut ticket = Vec::with_capacity(HEADER_LEN + sealed.len());
        ticket.extend_from_slice(&self.current.id);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (bound, now) = (bound()?, quillon_ambient::unix_time()?);
        let (id, rest) = cipher.split_first_chunk::<KEY_ID_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let key = [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.id == *id)?;
        let mut plain = sealed.to_vec();
        crypto::ring::provider().open(SUITE, key.key.as_slice(), nonce, &bound, &mut plain).ok()?;
        let (time, session) = plain.split_first_chunk::<TIME_LEN>()?;
        let age = now.as_secs().saturating_sub(u64::from_be_bytes(*time));
        (age <= LIFETIME.as_secs()).then(|| session.to_vec())
    }
}

impl fmt::Debug for SealedTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedTickets").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::super::scope::{Binding, Exchange, run, surroundings};
    use super::*;
    use crate::rng::Rng;
    use crate::wire::Version;

    fn binding() -> Binding {
        Binding { version: Version::V1, client_authentication: [0; 32], early_data_context: Vec::new() }
    }

    /// Runs `f` as a call of rustls at that second of the day.
    fn at<R>(seconds: u64, binding: Binding, f: impl FnOnce() -> R) -> R {
        let exchange = Exchange { binding: Some(Arc::new(binding)), ..Exchange::default() };
        run(surroundings(Rng::from_seed([3; 32]), Duration::from_secs(seconds)), exchange, f).0
    }

    #[test]
    fn a_ticket_opens_for_a_day_and_under_what_it_is_bound_to() {
        let tickets = SealedTickets::new(&TicketKeys::new([7; 32]));
        let ticket = at(1000, binding(), || tickets.encrypt(b"session")).unwrap();
        let open = |seconds, binding| at(seconds, binding, || tickets.decrypt(&ticket));
        assert_eq!(open(1000 + 86_400, binding()).as_deref(), Some(&b"session"[..]));
        assert_eq!(open(1001 + 86_400, binding()), None);
        assert_eq!(open(1000, Binding { version: Version::V2, ..binding() }), None);
        assert_eq!(open(1000, Binding { client_authentication: [1; 32], ..binding() }), None);
        // Nothing of it is sealed for those who read the packet.
        assert!(!ticket.windows(7).any(|window| window == b"session"));
        assert_eq!(tickets.decrypt(&ticket), None, "outside a call");
    }

    #[test]
    fn a_ticket_that_was_changed_or_cut_does_not_open() {
        let tickets = SealedTickets::new(&TicketKeys::new([7; 32]));
        let ticket = at(1000, binding(), || tickets.encrypt(b"session")).unwrap();
        at(1000, binding(), || {
            for index in 0..ticket.len() {
                let mut changed = ticket.clone();
                changed[index] ^= 1;
                assert_eq!(tickets.decrypt(&changed), None, "byte {index}");
                assert_eq!(tickets.decrypt(&ticket[..index]), None, "cut to {index} bytes");
            }
            assert!(tickets.decrypt(&ticket).is_some());
        });
    }
}
