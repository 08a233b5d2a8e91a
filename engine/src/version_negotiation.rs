//! Which versions to speak, and how two ends agree on one (RFC 9000 section 6, RFC 9368, RFC 9369 section 4).
//!
//! Only decisions, no state: what is sent and received is the endpoint's and the connection's.

use alloc::vec;
use alloc::vec::Vec;

use crate::error::{TransportError, TransportErrorCode};
use crate::transport_parameters::VersionInformation;
use crate::wire::Version;

/// The most versions that an end lists, in a Version Negotiation packet or in `version_information`.
pub const MAX_VERSIONS: usize = 16;

/// The versions that an end speaks, and which of them it would rather use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSettings {
    /// The version of a client's first packets: best one that the server is likely to know (RFC 9368 section 2.5). One
    /// that this crate does not speak, such as a reserved one, asks the server for the versions that it speaks. Not for
    /// servers. Default: version 1.
    pub chosen: Version,
    /// At a client, the versions that the server may go on with instead of `chosen`, the best first; with `chosen`
    /// alone there is no compatible version negotiation. At a server, the versions that it accepts, lists in Version
    /// Negotiation packets, and declares as fully deployed (RFC 9368 section 5). Those that this crate does not speak
    /// are left out. Default: version 1, version 2.
    pub available: Vec<Version>,
    /// At a server, those of `available` that it goes on with where the client's first flight allows, the best first;
    /// empty, it keeps to the one that the client chose. At a client, the versions that it chooses from after a Version
    /// Negotiation packet, the best first; empty, those of `available`. Default: empty.
    pub preferred: Vec<Version>,
    /// At a client, the version of its very first attempt, where this one reacts to a Version Negotiation packet:
    /// [`ClientConfig::after_version_negotiation`](crate::ClientConfig::after_version_negotiation) sets it. The server's
    /// list is then checked against a downgrade (RFC 9368 section 4). Default: none.
    pub original: Option<Version>,
}

impl Default for VersionSettings {
    fn default() -> Self {
        Self { chosen: Version::V1, available: vec![Version::V1, Version::V2], preferred: Vec::new(), original: None }
    }
}

impl VersionSettings {
    /// Those of `available` that this crate speaks.
    pub(crate) fn supported(&self) -> impl Iterator<Item = Version> + '_ {
        self.available.iter().copied().filter(|version| version.is_supported()).take(MAX_VERSIONS)
    }

    /// Whether a server accepts first packets of `version`.
    pub(crate) fn accepts(&self, version: Version) -> bool {
        self.supported().any(|supported| supported == version)
    }

    /// A client's Available Versions (RFC 9368 section 3): those that its first flight is compatible with, `chosen`
    /// among them.
    pub(crate) fn offered(&self) -> Vec<Version> {
        let mut offered: Vec<_> = self.supported().filter(|version| is_compatible(self.chosen, *version)).collect();
        if !offered.contains(&self.chosen) {
            offered.insert(0, self.chosen);
        }
        offered
    }

    /// The version that a client tries next when the server speaks those of `listed`; `None` where there is none in
    /// common, or where this attempt already reacts to such a list (RFC 9368 section 4).
    #[must_use]
    pub fn select(&self, listed: &[Version]) -> Option<Version> {
        if self.original.is_some() { None } else { select_version(self.choices(), listed) }
    }

    fn choices(&self) -> &[Version] {
        if self.preferred.is_empty() { &self.available } else { &self.preferred }
    }

    /// The version that a server goes on with: the best of `preferred` that the client, whose first packets are of
    /// version `chosen`, offers and that is compatible with it (RFC 9368 section 2.3).
    pub(crate) fn negotiate(&self, chosen: Version, offered: &[Version]) -> Version {
        // A version that is not declared as deployed would look like a downgrade (RFC 9368 section 4).
        let possible = |version: &Version| is_compatible(chosen, *version) && self.accepts(*version);
        let possible: Vec<_> = offered.iter().copied().filter(possible).collect();
        select_version(&self.preferred, &possible).unwrap_or(chosen)
    }

    /// A server's check of what a client says of versions, whose first packets are of version `chosen` (RFC 9368
    /// section 4).
    pub(crate) fn check_client(
        chosen: Version,
        information: Option<&VersionInformation>,
    ) -> Result<(), TransportError> {
        match information {
            Some(information) if information.chosen != chosen => {
                Err(error("the client's chosen version is not that of its packets"))
            }
            _ => Ok(()),
        }
    }

    /// A client's check of what a server says of versions, where `negotiated` is the version of its packets (RFC 9368
    /// section 4).
    pub(crate) fn check_server(
        &self,
        negotiated: Version,
        information: Option<&VersionInformation>,
    ) -> Result<(), TransportError> {
        let Some(information) = information else {
            // A server that knows only version 1 counts as one that says so (RFC 9368 section 8).
            let downgraded = self.original.is_some()
                && (self.chosen != Version::V1 || select_version(self.choices(), &[Version::V1]) != Some(Version::V1));
            if negotiated != self.chosen || downgraded {
                return Err(error("the server does not say which versions it speaks"));
            }
            return Ok(());
        };
        if information.chosen != negotiated {
            return Err(error("the server's chosen version is not that of its packets"));
        }
        if !self.offered().contains(&information.chosen) {
            return Err(error("the server chose a version that we did not offer"));
        }
        if self.original.is_some() {
            let mut listed = information.available.clone();
            if listed.is_empty() {
                return Err(error("the server says that it speaks no version"));
            }
            listed.push(negotiated);
            if select_version(self.choices(), &listed) != Some(self.chosen) {
                return Err(error("the server speaks a better version: its list of versions was forged"));
            }
        }
        Ok(())
    }
}

/// The first of `preferred` that is also in `offered` and that this crate speaks; reserved versions never match.
#[must_use]
pub fn select_version(preferred: &[Version], offered: &[Version]) -> Option<Version> {
    preferred.iter().copied().find(|version| version.is_supported() && offered.contains(version))
}

/// Whether a first flight of version `from` can be taken for one of version `to` (RFC 9368 section 2.2): versions 1 and
/// 2 are compatible both ways (RFC 9369 section 4).
const fn is_compatible(from: Version, to: Version) -> bool {
    from.0 == to.0 || from.is_supported() && to.is_supported()
}

fn error(reason: &'static str) -> TransportError {
    TransportError::new(TransportErrorCode::VERSION_NEGOTIATION_ERROR, reason)
}
