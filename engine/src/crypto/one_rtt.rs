use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::mem;

use super::{
    CipherSuite, DecryptError, HeaderKey, PacketKey, Provider, SAMPLE_LEN, Secret, header_key, next_secret, packet_key,
};
use crate::wire::{Time, Version};

/// The keys of 1-RTT packets through their updates (RFC 9001 section 6).
///
/// Three generations of receive keys are at hand: the current one, the next, made ahead of time, and for a while
/// the previous one, for packets that were overtaken. The key phase bit and the packet number choose one of them, and
/// only that one is tried, so that each packet costs one trial whatever its bit says (RFC 9001 section 9.5). The
/// next generation is made when the connection calls [`discard_previous`](Self::discard_previous), off the path of
/// received packets; only a peer that updates again before that makes [`open`](Self::open) derive keys.
pub struct OneRttKeys {
    provider: Arc<dyn Provider>,
    version: Version,
    suite: CipherSuite,
    // Header protection keys outlive updates (RFC 9001 section 6.1).
    local_header: Box<dyn HeaderKey>,
    remote_header: Box<dyn HeaderKey>,
    current: Generation,
    next: Option<Generation>,
    previous: Option<Previous>,
    /// How many updates have been made, by either end; its lowest bit is the key phase.
    updates: u64,
    /// When the peer's first packet of the current generation came.
    current_since: Option<Time>,
    /// Lowest and highest packet numbers opened with the current keys.
    opened: Option<(u64, u64)>,
    /// The lowest packet number sealed with the current keys.
    first_sealed: Option<u64>,
    /// Packets sealed with the current keys.
    sealed: u64,
    /// Packets that failed authentication, with any keys.
    failed: u64,
}

struct Generation {
    local_secret: Secret,
    remote_secret: Secret,
    local: Box<dyn PacketKey>,
    remote: Box<dyn PacketKey>,
}

struct Previous {
    remote: Box<dyn PacketKey>,
    highest_opened: Option<u64>,
}

/// What opening a packet did beside decrypting it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The peer has updated its keys, and ours have followed: packets sent from now on carry the other key phase.
    pub updated: bool,
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It fails authentication: to be dropped, it may come from anyone.
    Decrypt,
    /// The peer mixed key generations, or updated again before it could know of ours: KEY_UPDATE_ERROR
    /// (RFC 9001 sections 6.2 and 6.4).
    KeyUpdate,
    /// So many packets failed that forging one has become likely: AEAD_LIMIT_REACHED (RFC 9001 section 6.6).
    IntegrityLimit,
}

impl From<DecryptError> for OpenError {
    fn from(_: DecryptError) -> Self {
        Self::Decrypt
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Decrypt => "the packet fails authentication",
            Self::KeyUpdate => "the peer's key update breaks the rules",
            Self::IntegrityLimit => "too many packets failed authentication",
        })
    }
}

impl core::error::Error for OpenError {}

/// Which generation of keys a received packet asks for.
enum Choice {
    Current,
    Next,
    Previous,
}

impl OneRttKeys {
    /// The keys for the first pair of traffic secrets; `local` protects what we send.
    #[must_use]
    pub fn new(
        provider: Arc<dyn Provider>,
        version: Version,
        suite: CipherSuite,
        local: Secret,
        remote: Secret,
    ) -> Self {
        let local_header = header_key(&*provider, version, suite, &local);
        let remote_header = header_key(&*provider, version, suite, &remote);
        let current = Generation::new(&*provider, version, suite, local, remote);
        let next = Some(current.following(&*provider, version, suite));
        Self {
            provider,
            version,
            suite,
            local_header,
            remote_header,
            current,
            next,
            previous: None,
            updates: 0,
            current_since: None,
            opened: None,
            first_sealed: None,
            sealed: 0,
            failed: 0,
        }
    }

    /// The Key Phase bit of packets that we send, and of packets that the current keys open.
    #[must_use]
    pub fn phase(&self) -> bool {
        self.updates & 1 == 1
    }

    /// How many key updates there have been, by either end.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The cipher suite.
    #[must_use]
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// The header protection mask for a packet that we send.
    #[must_use]
    pub fn local_header_mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        self.local_header.mask(sample)
    }

    /// The header protection mask for a packet that we received.
    #[must_use]
    pub fn remote_header_mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        self.remote_header.mask(sample)
    }

    /// Seals a packet in place, whose header carries [`phase`](Self::phase); see [`PacketKey::seal`].
    ///
    /// The caller watches [`is_update_due`](Self::is_update_due) and [`is_exhausted`](Self::is_exhausted).
    pub fn seal(&mut self, packet_number: u64, packet: &mut [u8], header_len: usize) {
        debug_assert!(!self.is_exhausted());
        self.first_sealed.get_or_insert(packet_number);
        self.sealed += 1;
        self.current.local.seal(packet_number, packet, header_len);
    }

    /// Opens a packet in place with the keys that its Key Phase bit and packet number ask for; see
    /// [`PacketKey::open`]. `now` is when it came.
    ///
    /// Where the next keys open it, the peer has initiated an update, and the keys for both directions move on
    /// (RFC 9001 section 6.2).
    pub fn open<'a>(
        &mut self,
        now: Time,
        packet_number: u64,
        key_phase: bool,
        header: &[u8],
        payload: &'a mut [u8],
    ) -> Result<(&'a mut [u8], Opened), OpenError> {
        if self.failed > self.suite.integrity_limit() {
            return Err(OpenError::IntegrityLimit);
        }
        let choice = self.choose(packet_number, key_phase);
        let key = match (&choice, &self.previous) {
            (Choice::Current, _) => &self.current.remote,
            (Choice::Previous, Some(previous)) => &previous.remote,
            // Without the previous keys the next ones fail in their place, at the same cost.
            (Choice::Previous, None) | (Choice::Next, _) => {
                &self
                    .next
                    .get_or_insert_with(|| self.current.following(&*self.provider, self.version, self.suite))
                    .remote
            }
        };
        let Ok(plaintext) = key.open(packet_number, header, payload) else {
            self.failed += 1;
            let limit = self.failed > self.suite.integrity_limit();
            return Err(if limit { OpenError::IntegrityLimit } else { OpenError::Decrypt });
        };
        let updated = match choice {
            Choice::Current => self.opened_with_current(now, packet_number)?,
            Choice::Previous => self.opened_with_previous(packet_number)?,
            Choice::Next => self.opened_with_next(now, packet_number)?,
        };
        Ok((plaintext, Opened { updated }))
    }

    /// RFC 9001 section 6.5: the bit and the packet number tell the generations apart.
    fn choose(&self, packet_number: u64, key_phase: bool) -> Choice {
        if key_phase == self.phase() {
            return Choice::Current;
        }
        match self.opened {
            // The peer has not followed our update yet, and cannot be ahead of it.
            None if self.updates > 0 => Choice::Previous,
            Some((_, highest)) if packet_number <= highest => Choice::Previous,
            _ => Choice::Next,
        }
    }

    fn opened_with_current(&mut self, now: Time, packet_number: u64) -> Result<bool, OpenError> {
        // RFC 9001 section 6.4: old keys must not have protected a packet with a higher number.
        let highest_previous = self.previous.as_ref().and_then(|previous| previous.highest_opened);
        if highest_previous.is_some_and(|highest| packet_number < highest) {
            return Err(OpenError::KeyUpdate);
        }
        self.current_since.get_or_insert(now);
        let (low, high) = self.opened.unwrap_or((packet_number, packet_number));
        self.opened = Some((low.min(packet_number), high.max(packet_number)));
        Ok(false)
    }

    fn opened_with_previous(&mut self, packet_number: u64) -> Result<bool, OpenError> {
        let newer_was_lower = self.opened.is_some_and(|(lowest, _)| lowest < packet_number);
        match &mut self.previous {
            Some(previous) if !newer_was_lower => {
                previous.highest_opened = previous.highest_opened.max(Some(packet_number));
                Ok(false)
            }
            // RFC 9001 section 6.4. Without previous keys it was the next ones that opened a packet with a lower
            // number than the current ones did.
            _ => Err(OpenError::KeyUpdate),
        }
    }

    fn opened_with_next(&mut self, now: Time, packet_number: u64) -> Result<bool, OpenError> {
        // RFC 9001 section 6.2: a peer updates again once we acknowledged a packet of this phase. We did not send any.
        if self.updates > 0 && self.sealed == 0 {
            return Err(OpenError::KeyUpdate);
        }
        self.advance();
        self.current_since = Some(now);
        self.opened = Some((packet_number, packet_number));
        Ok(true)
    }

    /// Moves to the next generation.
    fn advance(&mut self) {
        let next =
            self.next.take().unwrap_or_else(|| self.current.following(&*self.provider, self.version, self.suite));
        let Generation { remote, .. } = mem::replace(&mut self.current, next);
        let highest_opened = self.opened.map(|(_, highest)| highest);
        self.previous = Some(Previous { remote, highest_opened });
        self.updates += 1;
        self.current_since = None;
        self.opened = None;
        self.first_sealed = None;
        self.sealed = 0;
    }

    /// Whether we may initiate an update, where `largest_acked` is the largest 1-RTT packet number that the peer has
    /// acknowledged: it must have acknowledged a packet sent with the current keys (RFC 9001 section 6.1). The
    /// handshake must also be confirmed, which the caller knows.
    #[must_use]
    pub fn can_update(&self, largest_acked: Option<u64>) -> bool {
        match (self.first_sealed, largest_acked) {
            (Some(first), Some(acked)) => acked >= first,
            _ => false,
        }
    }

    /// Initiates an update: from now on we send with the next keys. To be called where
    /// [`can_update`](Self::can_update) says so.
    pub fn initiate_update(&mut self) {
        self.advance();
    }

    /// When the peer's first packet of the current generation came, as long as the previous keys are kept:
    /// three times the PTO later they are to be [discarded](Self::discard_previous) (RFC 9001 section 6.5).
    #[must_use]
    pub fn previous_superseded_at(&self) -> Option<Time> {
        self.previous.as_ref().and(self.current_since)
    }

    /// Forgets the keys of the previous phase, once the peer has used those that replaced them (RFC 9001 section
    /// 6.1), and makes those of the next.
    pub fn discard_previous(&mut self) {
        if self.current_since.is_some() {
            self.previous = None;
        }
        if self.next.is_none() {
            self.next = Some(self.current.following(&*self.provider, self.version, self.suite));
        }
    }

    /// How many packets the current keys have sealed.
    #[must_use]
    pub fn sealed_packets(&self) -> u64 {
        self.sealed
    }

    /// How many received packets have failed authentication.
    #[must_use]
    pub fn failed_packets(&self) -> u64 {
        self.failed
    }

    /// Whether the keys have sealed so many packets, seven eighths of the limit, that it is time for an update.
    #[must_use]
    pub fn is_update_due(&self) -> bool {
        let limit = self.suite.confidentiality_limit();
        self.sealed >= limit - limit / 8
    }

    /// Whether the current keys must not seal another packet (RFC 9001 section 6.6): update, or close with
    /// AEAD_LIMIT_REACHED.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.sealed >= self.suite.confidentiality_limit()
    }
}

impl Generation {
    fn new(provider: &dyn Provider, version: Version, suite: CipherSuite, local: Secret, remote: Secret) -> Self {
        Self {
            local: packet_key(provider, version, suite, &local),
            remote: packet_key(provider, version, suite, &remote),
            local_secret: local,
            remote_secret: remote,
        }
    }

    fn following(&self, provider: &dyn Provider, version: Version, suite: CipherSuite) -> Self {
        let next = |secret| next_secret(provider, version, suite, secret);
        Self::new(provider, version, suite, next(&self.local_secret), next(&self.remote_secret))
    }
}

impl fmt::Debug for OneRttKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneRttKeys")
            .field("suite", &self.suite)
            .field("updates", &self.updates)
            .field("sealed", &self.sealed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "ring"))]
mod tests {
    use super::*;

    fn keys() -> OneRttKeys {
        let (local, remote) = (Secret::zeroed(32), Secret::zeroed(32));
        OneRttKeys::new(crate::crypto::ring::provider(), Version::V1, CipherSuite::Aes128Gcm, local, remote)
    }

    /// K3, P9: failures count over all keys: an update does not start the count again.
    #[test]
    fn k3_the_integrity_limit_is_counted_over_all_keys() {
        let mut keys = keys();
        keys.failed = CipherSuite::Aes128Gcm.integrity_limit() - 1;
        keys.initiate_update();
        assert_eq!(keys.open(0, 0, true, b"header", &mut [0; 32]), Err(OpenError::Decrypt));
        assert_eq!(keys.open(0, 1, false, b"header", &mut [0; 32]), Err(OpenError::IntegrityLimit));
        assert_eq!(keys.open(0, 2, true, b"header", &mut [0; 32]), Err(OpenError::IntegrityLimit));
    }

    #[test]
    fn k3_the_confidentiality_limit_is_counted_for_each_key() {
        let mut keys = keys();
        let limit = CipherSuite::Aes128Gcm.confidentiality_limit();
        keys.sealed = limit - limit / 8 - 1;
        assert!(!keys.is_update_due());
        keys.seal(7, &mut [0; 64], 8);
        assert!(keys.is_update_due() && !keys.is_exhausted());
        keys.sealed = limit;
        assert!(keys.is_exhausted());
        keys.initiate_update();
        assert!(!keys.is_update_due() && !keys.is_exhausted());
    }
}
