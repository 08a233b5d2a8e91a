//! The settings that are bytes, and lists of bytes.

use std::net::SocketAddr;

use quillon::crypto::{CipherSuite, StaticKey};
use quillon::wire::Version;

use super::Config;
use crate::constants::*;
use crate::failure::Failure;
use crate::layout::read_address;

/// Entries in a list of bytes, and bytes in an entry: far above what anybody needs.
const MAX_ENTRIES: usize = 1024;
const MAX_ENTRY_LEN: usize = 1 << 20;

impl Config {
    /// Sets the bytes under `key`, or appends them where the key names a list.
    pub(super) fn set_bytes(&mut self, key: u32, value: &[u8]) -> Result<(), Failure> {
        let may_be_empty = [QUILLON_CONFIG_TOKEN, QUILLON_CONFIG_MTU_DISCOVERY_SIZES].contains(&key);
        if (value.is_empty() && !may_be_empty) || value.len() > MAX_ENTRY_LEN {
            return Err(Failure::invalid("the value is empty or too long"));
        }
        match key {
            // RFC 7301 section 3.1: a protocol's name has 1 to 255 bytes.
            QUILLON_CONFIG_ALPN if value.len() > 255 => {
                return Err(Failure::invalid("a protocol's name has at most 255 bytes"));
            }
            QUILLON_CONFIG_ALPN => append(&mut self.tls.alpn, value.to_vec())?,
            QUILLON_CONFIG_ROOT_CERTIFICATE => append(&mut self.tls.roots, value.to_vec())?,
            QUILLON_CONFIG_CERTIFICATE => append(&mut self.tls.chain, value.to_vec())?,
            QUILLON_CONFIG_CERTIFICATE_HASH => append(&mut self.tls.hashes, hash(value)?)?,
            QUILLON_CONFIG_PRIVATE_KEY => self.tls.key = value.to_vec(),
            QUILLON_CONFIG_CIPHER_SUITES => self.tls.suites = suites(value)?,
            QUILLON_CONFIG_TICKET_KEY => self.tls.ticket_keys = Some(keys(value)?),
            QUILLON_CONFIG_VERSIONS => {
                let versions = versions(value)?;
                self.transport.versions.chosen = versions.first().copied().unwrap_or(Version::V1);
                self.transport.versions.available = versions;
            }
            QUILLON_CONFIG_PREFERRED_VERSIONS => self.transport.versions.preferred = versions(value)?,
            QUILLON_CONFIG_PREFERRED_ADDRESS => match read_address(value)? {
                SocketAddr::V4(address) => self.transport.preferred_ipv4 = Some(address),
                SocketAddr::V6(address) => self.transport.preferred_ipv6 = Some(address),
            },
            QUILLON_CONFIG_MTU_DISCOVERY_SIZES => self.transport.mtu_discovery_sizes = sizes(value)?,
            QUILLON_CONFIG_TOKEN => self.token = value.to_vec(),
            QUILLON_CONFIG_TOKEN_KEY => self.endpoint.tokens.key = Some(static_key(value)?),
            QUILLON_CONFIG_STATELESS_RESET_KEY => self.endpoint.stateless_reset_key = Some(static_key(value)?),
            _ => return Err(Failure::invalid("the configuration has no bytes under this key")),
        }
        Ok(())
    }
}

fn append<T>(list: &mut Vec<T>, entry: T) -> Result<(), Failure> {
    if list.len() >= MAX_ENTRIES {
        return Err(Failure::too_many("the list is full"));
    }
    list.push(entry);
    Ok(())
}

fn hash(value: &[u8]) -> Result<[u8; 32], Failure> {
    value.try_into().map_err(|_| Failure::invalid("a SHA-256 has 32 bytes"))
}

fn suites(value: &[u8]) -> Result<Vec<CipherSuite>, Failure> {
    let (suites, rest) = value.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Failure::invalid("a cipher suite's number has two bytes"));
    }
    let suites = suites.iter().map(|suite| CipherSuite::from_iana(u16::from_be_bytes(*suite)));
    suites.collect::<Option<_>>().ok_or_else(|| Failure::invalid("the engine has no such cipher suite"))
}

/// Sizes, 2 bytes each, most significant first.
fn sizes(value: &[u8]) -> Result<Vec<u16>, Failure> {
    let (sizes, rest) = value.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Failure::invalid("a size has two bytes"));
    }
    Ok(sizes.iter().map(|size| u16::from_be_bytes(*size)).collect())
}

/// Versions, 4 bytes each, most significant first.
fn versions(value: &[u8]) -> Result<Vec<Version>, Failure> {
    let (versions, rest) = value.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Failure::invalid("a version has four bytes"));
    }
    Ok(versions.iter().map(|version| Version(u32::from_be_bytes(*version))).collect())
}

/// A key, and maybe the one before it.
fn keys(value: &[u8]) -> Result<([u8; 32], Option<[u8; 32]>), Failure> {
    match value.as_chunks::<32>() {
        ([current], []) => Ok((*current, None)),
        ([current, previous], []) => Ok((*current, Some(*previous))),
        _ => Err(Failure::invalid("a key has 32 bytes, with the previous one 64")),
    }
}

fn static_key(value: &[u8]) -> Result<StaticKey, Failure> {
    let (current, previous) = keys(value)?;
    let key = StaticKey::new(current);
    Ok(match previous {
        Some(previous) => key.with_previous(previous),
        None => key,
    })
}
