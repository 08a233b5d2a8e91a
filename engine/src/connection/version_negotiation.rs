//! Versions: the server's list, the choice of a compatible one, and the packets of two versions while it is made
//! (RFC 9000 section 6, RFC 9368, RFC 9369 section 4.1).

use alloc::vec::Vec;

use super::{Connection, ConnectionError};
use crate::crypto::initial_keys;
use crate::diagnostics::DropTrigger;
use crate::error::TransportError;
use crate::packet::{self, Layout};
use crate::transport_parameters::TransportParameters;
use crate::version_negotiation::VersionSettings;
use crate::wire::{Level, Version};

impl Connection {
    /// The version in use: at first the client's choice, once the handshake is complete the one that both agreed on.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The version of the client's first packets.
    #[must_use]
    pub const fn client_chosen_version(&self) -> Version {
        self.handshake.chosen_version()
    }

    /// Whether a long-header packet of `level` and `version` is one of this connection; makes ready to read it where it
    /// may be the first of a version that the server moves to.
    pub(super) fn admits_version(&mut self, level: Level, version: Version) -> bool {
        let chosen = self.handshake.chosen_version();
        match level {
            // 0-RTT packets keep the version of the first flight (RFC 9369 section 4.1).
            Level::ZeroRtt => version == chosen,
            _ if version == self.version => true,
            // The server keeps its Initial keys of the client's choice for what was sent before the client knew.
            Level::Initial if !self.side().is_client() => version == chosen,
            Level::Initial => {
                let undecided = version.is_supported() && self.handshake.awaits_version();
                if !undecided || !self.settings.versions.offered().contains(&version) {
                    return false;
                }
                if !self.keys.has_initial(version) {
                    let keys = initial_keys(self.crypto.as_ref(), version, &self.initial_dcid(), self.side());
                    self.keys.add_initial(version, keys);
                }
                true
            }
            Level::Handshake | Level::OneRtt => false,
        }
    }

    /// The connection ID that Initial keys are made of: after a Retry the one that it brought.
    fn initial_dcid(&self) -> crate::wire::ConnectionId {
        self.handshake.retry.unwrap_or(self.handshake.original())
    }

    /// An authentic Initial of `version`: a client learns from the first one of another version that the server moved to
    /// it (RFC 9369 section 4.1).
    pub(super) fn on_initial_version(&mut self, version: Version) {
        if self.side().is_client() && version != self.version {
            self.version = version;
            self.keys.use_initial(version, false);
            self.handshake.settle_version();
        }
    }

    /// A server, once it knows what the client says of itself: the version to go on with.
    pub(super) fn negotiate_version(&mut self, client: &TransportParameters) -> Result<(), TransportError> {
        let chosen = self.handshake.chosen_version();
        let information = client.version_information.as_ref();
        VersionSettings::check_client(chosen, information)?;
        let offered = information.map(|information| information.available.as_slice()).unwrap_or_default();
        let negotiated = self.settings.versions.negotiate(chosen, offered);
        if negotiated != chosen {
            // Whatever the client sent a Retry's token in, the keys come from the same connection ID.
            let keys = initial_keys(self.crypto.as_ref(), negotiated, &self.initial_dcid(), self.side());
            self.version = negotiated;
            self.keys.add_initial(negotiated, keys);
            self.keys.use_initial(negotiated, true);
        }
        Ok(())
    }

    /// RFC 9000 section 6.2, RFC 9368 section 4. The caller has compared the connection IDs.
    pub(super) fn on_version_negotiation(&mut self, layout: &Layout, packet: &[u8]) {
        let chosen = self.handshake.chosen_version();
        let expected = self.side().is_client()
            && self.handshake.remote.is_none()
            && self.handshake.retry.is_none()
            && self.settings.versions.original.is_none();
        let supported: Vec<Version> = packet::supported_versions(packet)
            .filter(|_| expected && self.is_answer(packet))
            .into_iter()
            .flatten()
            .take(MAX_LISTED)
            .collect();
        // A list with our version is not an answer to us; a reserved version may be there by chance.
        if supported.is_empty() || (supported.contains(&chosen) && !chosen.is_reserved()) {
            return self.drop_packet(Some(layout.ty), layout.len, DropTrigger::Unexpected);
        }
        self.trace_unnumbered(layout, &supported);
        self.abandon(ConnectionError::VersionNegotiation { supported });
    }

    /// Whether a Version Negotiation packet carries the connection IDs of our first packets, exchanged (RFC 8999
    /// section 6).
    fn is_answer(&self, packet: &[u8]) -> bool {
        packet::first_look(packet, 0).is_some_and(|look| {
            look.dcid == self.handshake.local().as_slice() && look.scid == self.handshake.original().as_slice()
        })
    }
}

/// The most versions of a list that are told to the caller.
const MAX_LISTED: usize = 64;
