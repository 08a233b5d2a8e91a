use alloc::vec::Vec;

use super::version::Parameters;
use super::{CipherSuite, Provider, TAG_LEN};
use crate::wire::{ConnectionId, Version};

/// The integrity tag that ends a Retry packet (RFC 9001 section 5.8): `original_dcid` is the Destination
/// Connection ID of the Initial that it answers, `retry_without_tag` the packet up to the tag. The key is public:
/// the tag guards against corruption and against senders that did not see the Initial.
#[must_use]
pub fn retry_tag(
    provider: &dyn Provider,
    version: Version,
    original_dcid: &ConnectionId,
    retry_without_tag: &[u8],
) -> [u8; TAG_LEN] {
    let parameters = Parameters::of(version);
    let mut pseudo_packet = Vec::with_capacity(1 + original_dcid.len() + retry_without_tag.len() + TAG_LEN);
    pseudo_packet.push(original_dcid.len() as u8);
    pseudo_packet.extend_from_slice(original_dcid.as_slice());
    pseudo_packet.extend_from_slice(retry_without_tag);
    let header_len = pseudo_packet.len();
    pseudo_packet.resize(header_len + TAG_LEN, 0);
    // The whole pseudo-packet is associated data; with packet number 0 the nonce is the IV.
    provider.packet_key(CipherSuite::Aes128Gcm, &parameters.retry_key, parameters.retry_nonce).seal(
        0,
        &mut pseudo_packet,
        header_len,
    );
    pseudo_packet.last_chunk().copied().unwrap_or_default()
}
