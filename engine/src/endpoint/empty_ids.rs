//! Connections that are reached without a connection ID: by the addresses of their paths (RFC 9000 section 5.2).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::wire::FourTuple;

/// The peer's address and our port. Our IP address is left out: a host may not know it at first.
type Key = (SocketAddr, u16);

fn key(path: FourTuple) -> Key {
    (path.remote, path.local.port())
}

/// Which connection has which path. Invariant: each of `paths` that is not another connection's is in `connections`.
#[derive(Debug, Default)]
pub(super) struct EmptyIds {
    connections: BTreeMap<Key, u32>,
    /// The paths of each connection: a handful.
    paths: BTreeMap<u32, Vec<Key>>,
}

impl EmptyIds {
    pub(super) fn get(&self, path: FourTuple) -> Option<u32> {
        self.connections.get(&key(path)).copied()
    }

    /// Sets the paths of a connection; one that another connection has stays that one's.
    pub(super) fn set(&mut self, index: u32, paths: impl Iterator<Item = FourTuple>) {
        let new: Vec<Key> = paths.map(key).collect();
        let old = self.paths.remove(&index).unwrap_or_default();
        for gone in old.iter().filter(|key| !new.contains(key)) {
            if self.connections.get(gone) == Some(&index) {
                self.connections.remove(gone);
            }
        }
        for key in &new {
            self.connections.entry(*key).or_insert(index);
        }
        if !new.is_empty() {
            self.paths.insert(index, new);
        }
    }
}
