//! The keys of a connection, level by level.

use alloc::sync::Arc;

use crate::crypto::{self, CipherSuite, KeyPair, Keys, OneRttKeys, Secret};
use crate::packet::{self, SAMPLE_LEN};
use crate::wire::{Level, Space, Version};

/// Every key that a connection has.
pub(super) struct KeyRing {
    initial: Option<KeyPair>,
    /// The version of `initial`.
    initial_version: Version,
    /// Initial keys of another version, while two are in use (RFC 9369 section 4.1).
    other_initial: Option<(Version, KeyPair)>,
    handshake_local: Option<Keys>,
    handshake_remote: Option<Keys>,
    /// A client's, to write early data.
    zero_rtt_local: Option<Keys>,
    /// A server's, to read early data.
    zero_rtt_remote: Option<Keys>,
    one_rtt: Option<OneRttKeys>,
    /// What a server writes 1-RTT packets with before the client's are to be read (RFC 9001 section 5.7).
    one_rtt_early: Option<Keys>,
    /// 1-RTT secrets, until both are there.
    one_rtt_local: Option<Secret>,
    one_rtt_remote: Option<Secret>,
}

impl KeyRing {
    pub(super) const fn new(version: Version, initial: KeyPair) -> Self {
        Self {
            initial: Some(initial),
            initial_version: version,
            other_initial: None,
            handshake_local: None,
            handshake_remote: None,
            zero_rtt_local: None,
            zero_rtt_remote: None,
            one_rtt: None,
            one_rtt_early: None,
            one_rtt_local: None,
            one_rtt_remote: None,
        }
    }

    /// Replaces the Initial keys: a Retry changed the connection ID that they come from.
    pub(super) fn set_initial(&mut self, keys: KeyPair) {
        self.initial = Some(keys);
        self.other_initial = None;
    }

    /// Whether there are Initial keys of `version`.
    pub(super) fn has_initial(&self, version: Version) -> bool {
        self.remote_initial(version).is_some()
    }

    /// Adds Initial keys of another version, to read with beside those in use.
    pub(super) fn add_initial(&mut self, version: Version, keys: KeyPair) {
        if self.initial.is_some() {
            self.other_initial = Some((version, keys));
        }
    }

    /// Goes on with the Initial keys of `version`, if they are the other ones. `keep` says whether those in use so far
    /// still read.
    pub(super) fn use_initial(&mut self, version: Version, keep: bool) {
        if let Some((_, keys)) = self.other_initial.take_if(|(other, _)| *other == version) {
            let previous = self.initial.replace(keys);
            let previous_version = core::mem::replace(&mut self.initial_version, version);
            self.other_initial = previous.filter(|_| keep).map(|keys| (previous_version, keys));
        }
    }

    fn remote_initial(&self, version: Version) -> Option<&Keys> {
        if version == self.initial_version {
            return self.initial.as_ref().map(|keys| &keys.remote);
        }
        self.other_initial.as_ref().filter(|(other, _)| *other == version).map(|(_, keys)| &keys.remote)
    }

    /// Installs a secret of TLS, for reading or writing.
    pub(super) fn install(
        &mut self,
        provider: &Arc<dyn crypto::Provider>,
        version: Version,
        level: Level,
        suite: CipherSuite,
        secret: Secret,
        for_writing: bool,
    ) {
        match (level, for_writing) {
            (Level::Handshake, true) => {
                self.handshake_local = Some(Keys::from_secret(provider.as_ref(), version, suite, &secret));
            }
            (Level::Handshake, false) => {
                self.handshake_remote = Some(Keys::from_secret(provider.as_ref(), version, suite, &secret));
            }
            (Level::ZeroRtt, true) => {
                self.zero_rtt_local = Some(Keys::from_secret(provider.as_ref(), version, suite, &secret));
            }
            (Level::ZeroRtt, false) => {
                self.zero_rtt_remote = Some(Keys::from_secret(provider.as_ref(), version, suite, &secret));
            }
            (Level::OneRtt, true) => {
                self.one_rtt_early = Some(Keys::from_secret(provider.as_ref(), version, suite, &secret));
                self.one_rtt_local = Some(secret);
            }
            (Level::OneRtt, false) => self.one_rtt_remote = Some(secret),
            (Level::Initial, _) => {}
        }
        if let (Some(_), Some(_)) = (&self.one_rtt_local, &self.one_rtt_remote)
            && let (Some(local), Some(remote)) = (self.one_rtt_local.take(), self.one_rtt_remote.take())
        {
            // RFC 9001 section 4.9.3: a client writes no 0-RTT packets any more.
            (self.zero_rtt_local, self.one_rtt_early) = (None, None);
            self.one_rtt = Some(OneRttKeys::new(Arc::clone(provider), version, suite, local, remote));
        }
    }

    pub(super) fn one_rtt(&self) -> Option<&OneRttKeys> {
        self.one_rtt.as_ref()
    }

    pub(super) const fn one_rtt_mut(&mut self) -> Option<&mut OneRttKeys> {
        self.one_rtt.as_mut()
    }

    /// Whether Handshake packets can be read.
    pub(super) const fn can_read_handshake(&self) -> bool {
        self.handshake_remote.is_some()
    }

    /// Whether packets of `level` can be written.
    pub(super) const fn can_write(&self, level: Level) -> bool {
        match level {
            Level::Initial => self.initial.is_some(),
            Level::Handshake => self.handshake_local.is_some(),
            Level::OneRtt => self.one_rtt.is_some() || self.one_rtt_early.is_some(),
            Level::ZeroRtt => self.zero_rtt_local.is_some(),
        }
    }

    /// Whether 0-RTT packets can be read.
    pub(super) const fn reads_early_data(&self) -> bool {
        self.zero_rtt_remote.is_some()
    }

    /// Forgets the keys of 0-RTT packets.
    pub(super) fn discard_early_data(&mut self) {
        (self.zero_rtt_local, self.zero_rtt_remote) = (None, None);
    }

    /// The Key Phase bit of 1-RTT packets that we send. `None` without the keys.
    pub(super) fn local_phase(&self) -> Option<bool> {
        match &self.one_rtt {
            Some(keys) => Some(keys.phase()),
            None => self.one_rtt_early.as_ref().map(|_| false),
        }
    }

    /// The mask that protects the header of a received packet. `None` without the keys.
    pub(super) fn remote_header_mask(
        &self,
        level: Level,
        version: Version,
        sample: &[u8; SAMPLE_LEN],
    ) -> Option<[u8; 5]> {
        match level {
            Level::Initial => self.remote_initial(version).map(|keys| keys.header.mask(sample)),
            Level::Handshake => self.handshake_remote.as_ref().map(|keys| keys.header.mask(sample)),
            Level::OneRtt => self.one_rtt.as_ref().map(|keys| keys.remote_header_mask(sample)),
            Level::ZeroRtt => self.zero_rtt_remote.as_ref().map(|keys| keys.header.mask(sample)),
        }
    }

    /// Removes the protection of a long-header packet's payload, in place.
    pub(super) fn open_long<'a>(
        &self,
        level: Level,
        version: Version,
        pn: u64,
        header: &[u8],
        payload: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        let keys = match level {
            Level::Initial => self.remote_initial(version)?,
            Level::Handshake => self.handshake_remote.as_ref()?,
            Level::ZeroRtt => self.zero_rtt_remote.as_ref()?,
            Level::OneRtt => return None,
        };
        keys.packet.open(pn, header, payload).ok()
    }

    /// Seals a packet in place and masks its header. `packet` is header, plaintext and room for the tag.
    pub(super) fn seal(&mut self, level: Level, pn: u64, pn_offset: usize, pn_len: usize, packet: &mut [u8]) {
        let header_len = pn_offset + pn_len;
        let fixed = match level {
            Level::Initial => self.initial.as_ref().map(|pair| &pair.local),
            Level::Handshake => self.handshake_local.as_ref(),
            Level::ZeroRtt => self.zero_rtt_local.as_ref(),
            Level::OneRtt => self.one_rtt_early.as_ref(),
        };
        let mask = if let Some(keys) = fixed {
            keys.packet.seal(pn, packet, header_len);
            packet::sample(packet, pn_offset).map(|sample| keys.header.mask(&sample))
        } else if let Some(keys) = self.one_rtt.as_mut().filter(|_| level == Level::OneRtt) {
            keys.seal(pn, packet, header_len);
            packet::sample(packet, pn_offset).map(|sample| keys.local_header_mask(&sample))
        } else {
            None
        };
        if let Some(mask) = mask {
            packet::mask(packet, pn_offset, pn_len, mask);
        }
    }

    pub(super) fn discard(&mut self, space: Space) {
        match space {
            Space::Initial => (self.initial, self.other_initial) = (None, None),
            Space::Handshake => (self.handshake_local, self.handshake_remote) = (None, None),
            Space::Application => {}
        }
    }
}
