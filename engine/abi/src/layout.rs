//! The structures that cross the boundary, byte by byte: paths, descriptors, the status block.
//!
//! Little-endian at fixed offsets on every target. Reading and writing past a structure's end does nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use quillon::FourTuple;

use crate::failure::Failure;

/// One address: family, port, IP.
pub(crate) const ADDRESS_LEN: usize = 20;
/// Two addresses, ours first.
pub(crate) const PATH_LEN: usize = crate::QUILLON_PATH_LEN as usize;

/// Writes `bytes` at `offset`.
pub(crate) fn put(target: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = target.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Reads `N` bytes at `offset`.
pub(crate) fn take<const N: usize>(source: &[u8], offset: usize) -> Option<[u8; N]> {
    source.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// Reads a path: two addresses.
pub(crate) fn read_path(bytes: &[u8; PATH_LEN]) -> Result<FourTuple, Failure> {
    Ok(FourTuple { local: read_address_at(bytes, 0)?, remote: read_address_at(bytes, ADDRESS_LEN)? })
}

/// Writes a path.
pub(crate) fn write_path(path: &FourTuple) -> [u8; PATH_LEN] {
    let mut bytes = [0; PATH_LEN];
    write_address(&mut bytes, 0, path.local);
    write_address(&mut bytes, ADDRESS_LEN, path.remote);
    bytes
}

/// Reads an address on its own.
pub(crate) fn read_address(bytes: &[u8]) -> Result<SocketAddr, Failure> {
    if bytes.len() != ADDRESS_LEN {
        return Err(Failure::invalid("an address has 20 bytes"));
    }
    read_address_at(bytes, 0)
}

/// Writes an address on its own.
pub(crate) fn address_bytes(address: SocketAddr) -> [u8; ADDRESS_LEN] {
    let mut bytes = [0; ADDRESS_LEN];
    write_address(&mut bytes, 0, address);
    bytes
}

fn read_address_at(bytes: &[u8], at: usize) -> Result<SocketAddr, Failure> {
    let field = |offset| take(bytes, at + offset).map(u16::from_le_bytes).unwrap_or_default();
    let (family, port) = (field(0), field(2));
    let ip = match family {
        4 => IpAddr::V4(Ipv4Addr::from(take::<4>(bytes, at + 4).unwrap_or_default())),
        6 => IpAddr::V6(Ipv6Addr::from(take::<16>(bytes, at + 4).unwrap_or_default())),
        _ => return Err(Failure::invalid("an address's family is 4 or 6")),
    };
    Ok(SocketAddr::new(ip, port))
}

fn write_address(bytes: &mut [u8], at: usize, address: SocketAddr) {
    put(bytes, at + 2, &address.port().to_le_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            put(bytes, at, &4_u16.to_le_bytes());
            put(bytes, at + 4, &ip.octets());
        }
        IpAddr::V6(ip) => {
            put(bytes, at, &6_u16.to_le_bytes());
            put(bytes, at + 4, &ip.octets());
        }
    }
}

/// A descriptor of either arena.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Where the data is, from the arena's start.
    pub(crate) offset: u32,
    /// How many bytes.
    pub(crate) len: u32,
    /// The length of each datagram in it, the last may be shorter; 0: it is one datagram.
    pub(crate) segment_size: u32,
    /// The ECN codepoint.
    pub(crate) ecn: u32,
    /// The two addresses.
    pub(crate) path: FourTuple,
}

impl Descriptor {
    const LEN: usize = crate::QUILLON_DESCRIPTOR_LEN as usize;

    /// Reads the `index`-th descriptor of an arena.
    pub(crate) fn read(arena: &[u8], index: u32) -> Result<Self, Failure> {
        let at = index as usize * Self::LEN;
        let field = |offset| take(arena, at + offset).map(u32::from_le_bytes).unwrap_or_default();
        let path = take(arena, at + 16).ok_or_else(|| Failure::invalid("no such descriptor"))?;
        Ok(Self { offset: field(0), len: field(4), segment_size: field(8), ecn: field(12), path: read_path(&path)? })
    }

    /// Writes the `index`-th descriptor of an arena.
    pub(crate) fn write(&self, arena: &mut [u8], index: u32) {
        let at = index as usize * Self::LEN;
        for (field, value) in [self.offset, self.len, self.segment_size, self.ecn].into_iter().enumerate() {
            put(arena, at + 4 * field, &value.to_le_bytes());
        }
        put(arena, at + 16, &write_path(&self.path));
    }
}

/// Offsets in the status block.
pub(crate) mod status {
    pub(crate) const DEADLINE: usize = 0;
    pub(crate) const IDLE: usize = 8;
    pub(crate) const FLAGS: usize = 12;
    pub(crate) const DATA: usize = 16;
    pub(crate) const CODE: usize = 32;
    pub(crate) const EVENT_KIND: usize = 64;
    pub(crate) const EVENT_CONNECTION: usize = 68;
    pub(crate) const EVENT_STREAM: usize = 72;
    pub(crate) const EVENT_CODE: usize = 80;
    pub(crate) const EVENT_DATA: usize = 88;
    pub(crate) const EVENT_DETAIL: usize = 100;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_descriptors_survive() -> Result<(), Box<dyn std::error::Error>> {
        let path = FourTuple { local: "192.0.2.1:4433".parse()?, remote: "[2001:db8::2]:65535".parse()? };
        let bytes = write_path(&path);
        assert_eq!(bytes[..8], [4, 0, 0x51, 0x11, 192, 0, 2, 1]);
        assert_eq!(bytes[20..26], [6, 0, 0xff, 0xff, 0x20, 0x01]);
        let mut arena = [0; 3 * Descriptor::LEN];
        let descriptor = Descriptor { offset: 4096, len: 2500, segment_size: 1200, ecn: 2, path };
        descriptor.write(&mut arena, 2);
        assert_eq!(Descriptor::read(&arena, 2).map_err(|failure| failure.text)?, descriptor);
        assert!(Descriptor::read(&arena, 1).is_err(), "no family");
        assert!(Descriptor::read(&arena, 3).is_err(), "past the end");
        Ok(())
    }
}
