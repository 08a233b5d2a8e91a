use super::LONG_HEADER;

/// How many bytes of ciphertext header protection samples (RFC 9001 section 5.4.2).
pub const SAMPLE_LEN: usize = 16;

/// How far behind the start of the packet number the sample lies: the longest packet number (RFC 9001
/// section 5.4.2).
const SAMPLE_DISTANCE: usize = 4;

/// The first byte's bits that are masked: four in a long header, five in a short one (RFC 9001 section 5.4.1).
const fn masked_bits(first: u8) -> u8 {
    if first & LONG_HEADER != 0 { 0x0f } else { 0x1f }
}

/// The ciphertext that header protection samples; `None` where the packet is too short for one, which makes it
/// invalid (RFC 9001 section 5.4.2). `packet` must end where the packet ends.
#[must_use]
pub fn sample(packet: &[u8], pn_offset: usize) -> Option<[u8; SAMPLE_LEN]> {
    packet.get(pn_offset.checked_add(SAMPLE_DISTANCE)?..)?.first_chunk().copied()
}

/// What a header says once its protection is removed.
///
/// Nothing of it may be acted upon before the packet's payload has been authenticated (RFC 9001 section 9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmasked {
    /// The first byte.
    pub first: u8,
    /// How many bytes the packet number takes: 1 to 4.
    pub pn_len: usize,
    /// The packet number as sent; [`number::decode`](super::number::decode) restores it.
    pub truncated_pn: u64,
}

impl Unmasked {
    /// How many bytes come before the payload.
    #[must_use]
    pub const fn header_len(&self, pn_offset: usize) -> usize {
        pn_offset + self.pn_len
    }

    /// Whether a reserved bit is set: a PROTOCOL_VIOLATION once the packet is authenticated (RFC 9000
    /// sections 17.2 and 17.3.1).
    #[must_use]
    pub const fn reserved_bits_set(&self) -> bool {
        let reserved = if self.first & LONG_HEADER != 0 { 0x0c } else { 0x18 };
        self.first & reserved != 0
    }

    /// The short header's key phase bit (RFC 9001 section 6). Means nothing in a long header.
    #[must_use]
    pub const fn key_phase(&self) -> bool {
        self.first & 0x04 != 0
    }

    /// The short header's latency spin bit (RFC 9000 section 17.4). Means nothing in a long header.
    #[must_use]
    pub const fn spin(&self) -> bool {
        self.first & 0x20 != 0
    }
}

/// Removes header protection in place (RFC 9001 section 5.4.1); `None`, and nothing is changed, where the packet
/// ends inside the packet number.
pub fn unmask(packet: &mut [u8], pn_offset: usize, mask: [u8; 5]) -> Option<Unmasked> {
    let [first_mask, pn_mask @ ..] = mask;
    let first = *packet.first()?;
    let first = first ^ first_mask & masked_bits(first);
    let pn_len = usize::from(first & 3) + 1;
    let pn = packet.get_mut(pn_offset..pn_offset.checked_add(pn_len)?)?;
    let mut truncated_pn = 0;
    for (byte, mask) in pn.iter_mut().zip(pn_mask) {
        *byte ^= mask;
        truncated_pn = truncated_pn << 8 | u64::from(*byte);
    }
    *packet.first_mut()? = first;
    Some(Unmasked { first, pn_len, truncated_pn })
}

/// Applies header protection in place (RFC 9001 section 5.4.1) to a packet whose packet number takes `pn_len`
/// bytes from `pn_offset`.
pub fn mask(packet: &mut [u8], pn_offset: usize, pn_len: usize, mask: [u8; 5]) {
    debug_assert!((1..=4).contains(&pn_len) && packet.len() >= pn_offset + pn_len);
    let [first_mask, pn_mask @ ..] = mask;
    if let Some(first) = packet.first_mut() {
        *first ^= first_mask & masked_bits(*first);
    }
    let pn = packet.get_mut(pn_offset..).unwrap_or_default();
    for (byte, mask) in pn.iter_mut().take(pn_len).zip(pn_mask) {
        *byte ^= mask;
    }
}
