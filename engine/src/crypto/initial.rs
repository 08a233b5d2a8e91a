use super::version::Parameters;
use super::{CipherSuite, KeyPair, Keys, Provider, Secret};
use crate::wire::{ConnectionId, Side, Version};

/// The keys of Initial packets, which anyone who sees the client's first Destination Connection ID can make
/// (RFC 9001 section 5.2). They guard against accidents and off-path attackers, nobody else.
///
/// `dcid` is the Destination Connection ID of the client's first Initial, or after a Retry of the one that follows
/// it; `side` is ours.
#[must_use]
pub fn initial_keys(provider: &dyn Provider, version: Version, dcid: &ConnectionId, side: Side) -> KeyPair {
    const SUITE: CipherSuite = CipherSuite::Aes128Gcm;
    let salt = &Parameters::of(version).initial_salt;
    let initial_secret = provider.hkdf_extract(SUITE.hash(), salt, dcid.as_slice());
    let keys = |label: &[u8]| {
        let mut secret = Secret::zeroed(SUITE.hash().len());
        provider.hkdf_expand_label(SUITE.hash(), &initial_secret, label, secret.as_mut_slice());
        Keys::from_secret(provider, version, SUITE, &secret)
    };
    let (client, server) = (keys(b"client in"), keys(b"server in"));
    match side {
        Side::Client => KeyPair { local: client, remote: server },
        Side::Server => KeyPair { local: server, remote: client },
    }
}
