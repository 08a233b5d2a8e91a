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
    one_rtt: Option<OneRttKeys>,
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
            one_rtt: None,
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
            (Level::OneRtt, true) => self.one_rtt_local = Some(secret),
            (Level::OneRtt, false) => self.one_rtt_remote = Some(secret),
            (Level::Initial | Level::ZeroRtt, _) => {}
        }
        if let (Some(_), Some(_)) = (&self.one_rtt_local, &self.one_rtt_remote)
            && let (Some(local), Some(remote)) = (self.one_rtt_local.take(), self.one_rtt_remote.take())
        {
            self.one_rtt = Some(OneRttKeys::new(Arc::clone(provider), version, suite, local, remote));
        }
    }

    pub(super) fn one_rtt(&self) -> Option<&OneRttKeys> {
        self.one_rtt.as_ref()
    }

    pub(super) const fn one_rtt_mut(&mut self) -> Option<&mut OneRttKeys> {
        self.one_rtt.as_mut()
    }

    /// Whether packets of `level` can be written.
    pub(super) const fn can_write(&self, level: Level) -> bool {
        match level {
            Level::Initial => self.initial.is_some(),
            Level::Handshake => self.handshake_local.is_some(),
            Level::OneRtt => self.one_rtt.is_some(),
            Level::ZeroRtt => false,
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
            Level::ZeroRtt => None,
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
            Level::ZeroRtt | Level::OneRtt => return None,
        };
        keys.packet.open(pn, header, payload).ok()
    }

    /// Seals a packet in place and masks its header. `packet` is header, plaintext and room for the tag.
    pub(super) fn seal(&mut self, level: Level, pn: u64, pn_offset: usize, pn_len: usize, packet: &mut [u8]) {
        let header_len = pn_offset + pn_len;
        let long = match level {
            Level::Initial => self.initial.as_ref().map(|pair| &pair.local),
            Level::Handshake => self.handshake_local.as_ref(),
            Level::ZeroRtt | Level::OneRtt => None,
        };
        let mask = if let Some(keys) = long {
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
