//! Address tokens (RFC 9000 sections 8.1.2 to 8.1.4): what a server gives a client, to be shown in a later Initial as
//! proof that the client receives at its address.
//!
//! A token is sealed: a first byte that tells its kind, 16 random bytes, and an AEAD ciphertext under a key that is
//! derived from a [`StaticKey`] and those bytes. Every token is bound to a version of QUIC (RFC 9369 section 5) and to
//! the time; a Retry token to IP address and port and to both connection IDs of the Retry, a NEW_TOKEN token to the IP
//! address.
//!
//! Invariants: a token is accepted only for what it is bound to, within its lifetime, and a NEW_TOKEN token only once;
//! what is remembered to that end is bounded, and where the bound is reached tokens are refused, never accepted twice.

mod outbox;
mod seal;
mod spent;

pub(crate) use outbox::{Inbox, Outbox};

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use crate::crypto::{Provider, StaticKey};
use crate::rng::Rng;
use crate::wire::{ConnectionId, Version};
use seal::Opened;
use spent::Spent;

/// The longest token that is sent: a longer one would leave no room for the handshake in an Initial of 1200 bytes.
pub const MAX_LEN: usize = 900;

/// How far in the future a token may have been issued, by another worker's clock, in milliseconds.
const MAX_CLOCK_SKEW: u64 = 5_000;

/// How a server makes and judges address tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// The key under which tokens are sealed. Several workers behind one address need one key: the client's next
    /// packet may reach another of them. Default: `None`, one derived from the endpoint's seed, so that no token
    /// outlives the process.
    pub key: Option<StaticKey>,
    /// How long a Retry token is good for: a client answers a Retry at once. Default: 10 s.
    pub retry_lifetime: Duration,
    /// How long a NEW_TOKEN token is good for. Default: 24 hours.
    pub lifetime: Duration,
    /// How many NEW_TOKEN tokens a client gets when its handshake is confirmed, 8 at most: one for each later
    /// connection that it may open. Default: 1.
    pub per_connection: u8,
    /// How many tokens an endpoint remembers as used, so that none is accepted twice. Where more are used within
    /// `lifetime`, those issued before the oldest that is remembered are no longer accepted. About 50 bytes each.
    /// Default: 10,000.
    ///
    /// Each worker and each process remembers by itself: a token is good once at each of several workers that share
    /// the key, and once more after a restart with the same key. Where that matters, route clients to workers by
    /// address, or shorten `lifetime`.
    pub remembered: usize,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            key: None,
            retry_lifetime: Duration::from_secs(10),
            lifetime: Duration::from_secs(24 * 60 * 60),
            per_connection: 1,
            remembered: 10_000,
        }
    }
}

/// Who shows a token, or is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The version of its Initial packets, or the one that its connection agreed on (RFC 9369 section 5).
    pub version: Version,
    /// Its address.
    pub address: SocketAddr,
}

/// What a token says about the client that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: there is none, it is not for this client, has expired, was used, or is not of ours.
    Absent,
    /// It is a Retry token, and not a good one: the client is told INVALID_TOKEN (RFC 9000 section 8.1.3).
    InvalidRetry,
    /// The client answers our Retry.
    Retry {
        /// The connection ID that its very first Initial was sent to.
        original: ConnectionId,
    },
    /// The client has been at this address before. [Spend](Tokens::spend) the ticket on accepting it.
    NewToken(Ticket),
}

/// Names a NEW_TOKEN token, so that it can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    issued: u64,
    salt: [u8; seal::SALT_LEN],
}

/// Makes and judges tokens. An [`Endpoint`](crate::Endpoint) does so by itself; this is for callers who do without
/// one. `clock` is in milliseconds, of a clock that all who share the key agree on.
#[derive(Debug)]
pub struct Tokens {
    settings: TokenSettings,
    key: StaticKey,
    spent: Spent,
}

impl Tokens {
    /// Tokens under the key of the settings or, where they have none, under `seeded`.
    #[must_use]
    pub fn new(settings: TokenSettings, seeded: [u8; 32]) -> Self {
        let key = settings.key.clone().unwrap_or_else(|| StaticKey::new(seeded));
        let spent = Spent::new(settings.remembered);
        Self { settings, key, spent }
    }

    /// How many tokens a client gets when its handshake is confirmed.
    #[must_use]
    pub fn per_connection(&self) -> usize {
        usize::from(self.settings.per_connection).min(outbox::MAX_TOKENS)
    }

    /// A token for a Retry that answers an Initial sent to `original` and asks for one sent to `retry_source`.
    #[must_use]
    pub fn retry(
        &self,
        provider: &dyn Provider,
        rng: &mut Rng,
        clock: u64,
        client: Client,
        (original, retry_source): (&ConnectionId, &ConnectionId),
    ) -> Vec<u8> {
        seal::retry(provider, self.key.current(), rng.bytes(), clock, client, (original, retry_source))
    }

    /// A token for a later connection of the same version from the same IP address.
    #[must_use]
    pub fn new_token(&self, provider: &dyn Provider, rng: &mut Rng, clock: u64, client: Client) -> Vec<u8> {
        seal::new_token(provider, self.key.current(), rng.bytes(), clock, client)
    }

    /// Judges the token of an Initial that `client` sent to `destination`.
    #[must_use]
    pub fn judge(
        &self,
        provider: &dyn Provider,
        clock: u64,
        client: Client,
        destination: &ConnectionId,
        token: &[u8],
    ) -> Verdict {
        let lives = |issued: u64, lifetime: Duration| {
            let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
            issued <= clock.saturating_add(MAX_CLOCK_SKEW) && clock.saturating_sub(issued) <= lifetime
        };
        match seal::open(provider, &self.key, token, client, destination) {
            Some(Opened::Retry { issued, original }) if lives(issued, self.settings.retry_lifetime) => {
                Verdict::Retry { original }
            }
            Some(Opened::NewToken { issued, salt }) if lives(issued, self.settings.lifetime) => {
                let ticket = Ticket { issued, salt };
                if self.spent.contains(&ticket) { Verdict::Absent } else { Verdict::NewToken(ticket) }
            }
            _ if seal::claims_to_be_retry(token) => Verdict::InvalidRetry,
            _ => Verdict::Absent,
        }
    }

    /// A connection is accepted on the strength of this token: no other will be.
    pub fn spend(&mut self, clock: u64, ticket: Ticket) {
        let lifetime = u64::try_from(self.settings.lifetime.as_millis()).unwrap_or(u64::MAX);
        self.spent.insert(ticket, clock.saturating_sub(lifetime));
    }
}
