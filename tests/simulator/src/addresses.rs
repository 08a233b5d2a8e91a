//! Who has which address, and the NAT between.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::network::NodeId;

/// The addresses of all nodes. One behind a NAT is seen at another address than it knows.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Who is reached at an address that the network shows, and at which of its own.
    inside: BTreeMap<SocketAddr, (NodeId, SocketAddr)>,
    /// What a node's own address is shown as.
    outside: BTreeMap<(NodeId, SocketAddr), SocketAddr>,
    /// Whom an address belonged to: none is given to another later.
    history: BTreeMap<SocketAddr, NodeId>,
    /// Addresses that NATs gave out.
    given: u32,
}

impl Addresses {
    /// Gives a node an address; behind a NAT it is shown as another.
    pub fn add(&mut self, node: NodeId, own: SocketAddr, nat: bool) {
        let shown = if nat { self.fresh() } else { own };
        self.map(node, own, shown);
    }

    /// The NAT before a node forgets: all of the node's addresses are shown as others from now on, and nothing gets
    /// through to the earlier ones.
    pub fn rebind(&mut self, node: NodeId) {
        let own: Vec<_> = self.outside.range((node, LEAST)..).map(|(key, _)| *key).collect();
        for (owner, own) in own {
            if owner == node
                && let Some(shown) = self.outside.remove(&(node, own))
            {
                self.inside.remove(&shown);
                let shown = self.fresh();
                self.map(node, own, shown);
            }
        }
    }

    /// What a node's own address is shown as; `None` where it has no such address.
    #[must_use]
    pub fn shown(&self, node: NodeId, own: SocketAddr) -> Option<SocketAddr> {
        self.outside.get(&(node, own)).copied()
    }

    /// Who is reached at an address now, and at which of its own.
    #[must_use]
    pub fn reached(&self, shown: SocketAddr) -> Option<(NodeId, SocketAddr)> {
        self.inside.get(&shown).copied()
    }

    /// Whose an address is or was.
    #[must_use]
    pub fn owner(&self, shown: SocketAddr) -> Option<NodeId> {
        self.history.get(&shown).copied()
    }

    fn map(&mut self, node: NodeId, own: SocketAddr, shown: SocketAddr) {
        self.inside.insert(shown, (node, own));
        self.outside.insert((node, own), shown);
        self.history.insert(shown, node);
    }

    fn fresh(&mut self) -> SocketAddr {
        self.given += 1;
        let [_, high, middle, low] = self.given.to_be_bytes();
        let ip = Ipv4Addr::new(203, 0, 113, high.wrapping_add(middle));
        SocketAddr::new(IpAddr::V4(ip), 1_024 + u16::from_be_bytes([middle, low]))
    }
}

/// Before all others in order.
const LEAST: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
