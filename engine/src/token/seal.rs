//! Tokens as bytes.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::Client;
use crate::crypto::{CipherSuite, Hash, NONCE_LEN, Provider, Secret, StaticKey, TAG_LEN};
use crate::wire::{ConnectionId, Reader};

/// The random bytes of a token: what its key is derived from, and its name.
pub(super) const SALT_LEN: usize = 16;

/// The first bytes of tokens. The kind is not secret: a server that cannot read a Retry token must still know it for
/// one (RFC 9000 section 8.1.3).
const RETRY: u8 = 0xb3;
const NEW_TOKEN: u8 = 0x5c;

/// The time at which a token was issued, in milliseconds.
const TIME_LEN: usize = 8;
const HEADER_LEN: usize = 1 + SALT_LEN;

const SUITE: CipherSuite = CipherSuite::Aes128Gcm;

/// What a token holds.
pub(super) enum Opened {
    Retry { issued: u64, original: ConnectionId },
    NewToken { issued: u64, salt: [u8; SALT_LEN] },
}

pub(super) fn retry(
    provider: &dyn Provider,
    key: &Secret,
    salt: [u8; SALT_LEN],
    issued: u64,
    client: Client,
    (original, retry_source): (&ConnectionId, &ConnectionId),
) -> Vec<u8> {
    let mut body = Vec::with_capacity(TIME_LEN + ConnectionId::MAX_LEN + TAG_LEN);
    body.extend_from_slice(&issued.to_be_bytes());
    body.extend_from_slice(original.as_slice());
    seal(provider, key, RETRY, salt, &retry_binding(client, retry_source), body)
}

pub(super) fn new_token(
    provider: &dyn Provider,
    key: &Secret,
    salt: [u8; SALT_LEN],
    issued: u64,
    client: Client,
) -> Vec<u8> {
    seal(provider, key, NEW_TOKEN, salt, &address(client), issued.to_be_bytes().to_vec())
}

/// Opens a token that `client` shows in an Initial sent to `destination`. `None` where it is not ours, or not for
/// them.
pub(super) fn open(
    provider: &dyn Provider,
    key: &StaticKey,
    token: &[u8],
    client: Client,
    destination: &ConnectionId,
) -> Option<Opened> {
    let mut reader = Reader::new(token);
    let kind = reader.u8().ok()?;
    let salt = reader.array().ok()?;
    let sealed = reader.rest();
    let binding = match kind {
        RETRY => retry_binding(client, destination),
        NEW_TOKEN => address(client),
        _ => return None,
    };
    let body = [Some(key.current()), key.previous()].into_iter().flatten().find_map(|key| {
        let (key, nonce) = derive(provider, key, kind, &salt);
        let mut body = Vec::from(sealed);
        provider.open(SUITE, key.as_slice(), &nonce, &binding, &mut body).is_ok().then_some(body)
    })?;
    let mut body = Reader::new(&body);
    let issued = u64::from_be_bytes(body.array().ok()?);
    match kind {
        RETRY => Some(Opened::Retry { issued, original: ConnectionId::new(body.rest())? }),
        _ => body.is_empty().then_some(Opened::NewToken { issued, salt }),
    }
}

/// Whether a token has the form of one from a Retry of ours. Tokens from elsewhere rarely do.
pub(super) fn claims_to_be_retry(token: &[u8]) -> bool {
    const LEAST: usize = HEADER_LEN + TIME_LEN + TAG_LEN;
    token.first() == Some(&RETRY) && (LEAST..=LEAST + ConnectionId::MAX_LEN).contains(&token.len())
}

fn seal(
    provider: &dyn Provider,
    key: &Secret,
    kind: u8,
    salt: [u8; SALT_LEN],
    binding: &[u8],
    mut body: Vec<u8>,
) -> Vec<u8> {
    let (key, nonce) = derive(provider, key, kind, &salt);
    provider.seal(SUITE, key.as_slice(), &nonce, binding, &mut body);
    let mut token = Vec::with_capacity(HEADER_LEN + body.len());
    token.push(kind);
    token.extend_from_slice(&salt);
    token.extend_from_slice(&body);
    token
}

/// Each token has a key and a nonce of its own: random nonces under one key would meet too soon.
fn derive(provider: &dyn Provider, key: &Secret, kind: u8, salt: &[u8; SALT_LEN]) -> (Secret, [u8; NONCE_LEN]) {
    let secret = provider.hmac(Hash::Sha256, key.as_slice(), &[b"quillon address token", &[kind], salt]);
    let mut nonce = [0; NONCE_LEN];
    let (sealing, rest) = secret.as_slice().split_at_checked(SUITE.key_len()).unwrap_or_default();
    nonce.iter_mut().zip(rest).for_each(|(out, byte)| *out = *byte);
    (Secret::new(sealing).unwrap_or(secret), nonce)
}

/// What a Retry token is bound to beside its contents: the version, the client's address with its port, and the
/// connection ID that the Retry asks for.
fn retry_binding(client: Client, retry_source: &ConnectionId) -> Vec<u8> {
    let mut binding = address(client);
    binding.extend_from_slice(&client.address.port().to_be_bytes());
    binding.extend_from_slice(retry_source.as_slice());
    binding
}

/// The bytes of a version and of an IP address, its family first.
fn address(client: Client) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + 1 + 16 + 2 + ConnectionId::MAX_LEN);
    bytes.extend_from_slice(&client.version.0.to_be_bytes());
    match client.address.ip() {
        IpAddr::V4(ip) => {
            bytes.push(4);
            bytes.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(6);
            bytes.extend_from_slice(&ip.octets());
        }
    }
    bytes
}
