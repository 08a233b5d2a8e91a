//! Answers to datagrams that belong to no connection.

use alloc::vec::Vec;

use super::admission::First;
use crate::crypto::Provider;
use crate::error::TransportErrorCode;
use crate::packet::FirstLook;
use crate::stateless::{self, Answered};
use crate::wire::{ConnectionId, FourTuple, Version};

/// A datagram that answers one without a connection.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) datagram: Vec<u8>,
    pub(super) path: FourTuple,
}

impl Reply {
    pub(super) fn version_negotiation(
        path: FourTuple,
        look: &FirstLook<'_>,
        first_byte: u8,
        versions: &[Version],
    ) -> Option<Self> {
        stateless::version_negotiation(look, first_byte, versions).map(|datagram| Self { datagram, path })
    }

    pub(super) fn retry(
        first: &First,
        retry_source: &ConnectionId,
        token: &[u8],
        provider: &dyn Provider,
    ) -> Option<Self> {
        let datagram = stateless::retry(provider, &answered(first), retry_source, token)?;
        Some(Self { datagram, path: first.path })
    }

    pub(super) fn close(
        first: &First,
        provider: &dyn Provider,
        code: TransportErrorCode,
        reason: &str,
    ) -> Option<Self> {
        let datagram = stateless::connection_close(provider, &answered(first), code, reason)?;
        Some(Self { datagram, path: first.path })
    }
}

const fn answered(first: &First) -> Answered {
    Answered { version: first.version, destination: first.destination, source: first.source }
}
