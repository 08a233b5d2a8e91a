//! Endpoints and links together, and the clock.
//!
//! Invariants: time moves only in [`Network::step`], to the next thing that happens; whoever was given something sends
//! and tells everything before time moves; every datagram that a node sent is in a link, was delivered, or was dropped
//! for a reason.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use quillon::rng::Rng;
use quillon::{ConnectionHandle, Event, FourTuple, Time};

use crate::addresses::Addresses;
use crate::chance::below;
use crate::host::Host;
use crate::invariants::Watch;
use crate::link::{Conditions, Datagram, Link};

/// The clock's origin: not zero, so that nobody takes it for one.
const START: Time = crate::SECOND;
/// Steps at one moment: more than that, and the nodes keep each other awake.
const STEPS_AT_ONE_MOMENT: u32 = 10_000;

/// A node of a network.
pub type NodeId = usize;

/// A link of a network.
pub type LinkId = usize;

/// How late a node wakes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wakeup {
    /// At most this much after its deadline, in nanoseconds, evenly distributed.
    pub delay: Time,
    /// Only at multiples of this; 0 for any time. A page in the background wakes up once a second.
    pub grid: Time,
}

impl Wakeup {
    fn at(self, deadline: Time, rng: &mut Rng) -> Time {
        let late = if self.delay == 0 { 0 } else { below(rng, self.delay + 1) };
        let at = deadline + late;
        if self.grid == 0 { at } else { at.next_multiple_of(self.grid) }
    }
}

/// One endpoint.
#[derive(Debug)]
struct Node<H> {
    host: H,
    nat: bool,
    wakeup: Wakeup,
    /// The deadline and when the node wakes up for it.
    alarm: Option<(Time, Time)>,
    events: VecDeque<(ConnectionHandle, Event)>,
    watch: Watch,
    /// It may have something to send or to tell.
    touched: bool,
}

/// Where the datagrams of all nodes went, beside the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Those that nodes sent.
    pub sent: u64,
    /// Those that nodes received.
    pub received: u64,
    /// No way leads to the address.
    pub unrouted: u64,
    /// On arrival nobody had the address: a NAT forgot it.
    pub unclaimed: u64,
}

/// Nodes, links, and the clock.
#[derive(Debug)]
pub struct Network<H> {
    now: Time,
    rng: Rng,
    nodes: Vec<Node<H>>,
    links: Vec<Link>,
    /// The links, one after the other, from one node to another.
    routes: BTreeMap<(NodeId, NodeId), Vec<LinkId>>,
    addresses: Addresses,
    ledger: Ledger,
    steps_here: u32,
}

impl<H: Host> Network<H> {
    /// An empty network. Everything that happens by chance follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self {
            now: START,
            rng: Rng::from_seed(bytes),
            nodes: Vec::new(),
            links: Vec::new(),
            routes: BTreeMap::new(),
            addresses: Addresses::default(),
            ledger: Ledger::default(),
            steps_here: 0,
        }
    }

    /// Adds a node with one address. One behind a NAT has an address that others do not see; one that accepts
    /// connections is watched for amplification.
    pub fn add_node(&mut self, host: H, address: SocketAddr, nat: bool, serves: bool) -> NodeId {
        let (alarm, events, watch) = (None, VecDeque::new(), Watch::new(serves));
        let wakeup = Wakeup::default();
        self.nodes.push(Node { host, nat, wakeup, alarm, events, watch, touched: true });
        let id = self.nodes.len() - 1;
        self.addresses.add(id, address, nat);
        id
    }

    /// Gives a node another address, in addition.
    pub fn add_address(&mut self, node: NodeId, address: SocketAddr) {
        self.addresses.add(node, address, self.nodes[node].nat);
    }

    /// Adds a link.
    pub fn add_link(&mut self, conditions: Conditions) -> LinkId {
        let rng = self.rng.fork();
        self.links.push(Link::new(conditions, rng));
        self.links.len() - 1
    }

    /// Says over which links datagrams go from one node to another. A link may be part of several ways.
    pub fn route(&mut self, from: NodeId, to: NodeId, links: &[LinkId]) {
        self.routes.insert((from, to), links.to_vec());
    }

    /// Joins two nodes by a link each way; returns the one from the first and the one back.
    pub fn join(&mut self, one: NodeId, other: NodeId, there: Conditions, back: Conditions) -> (LinkId, LinkId) {
        let links = (self.add_link(there), self.add_link(back));
        self.route(one, other, &[links.0]);
        self.route(other, one, &[links.1]);
        links
    }

    /// How late a node wakes up from now on.
    pub fn set_wakeup(&mut self, node: NodeId, wakeup: Wakeup) {
        self.nodes[node].wakeup = wakeup;
        self.nodes[node].alarm = None;
        self.nodes[node].touched = true;
    }

    /// Lets the NAT before a node forget its mappings: what it sends is shown from another address from now on.
    pub fn rebind(&mut self, node: NodeId) {
        if self.nodes[node].nat {
            self.addresses.rebind(node);
        }
    }

    /// Virtual time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// A link.
    pub fn link(&mut self, link: LinkId) -> &mut Link {
        &mut self.links[link]
    }

    /// How many links there are.
    #[must_use]
    pub const fn link_count(&self) -> usize {
        self.links.len()
    }

    /// A node's endpoint, to command it.
    pub fn host(&mut self, node: NodeId) -> &mut H {
        self.nodes[node].touched = true;
        &mut self.nodes[node].host
    }

    /// Whose an address is or was, as others see it.
    #[must_use]
    pub fn owner(&self, shown: SocketAddr) -> Option<NodeId> {
        self.addresses.owner(shown)
    }

    /// Where datagrams went.
    #[must_use]
    pub const fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Opens a connection from one of a node's addresses to a server's.
    ///
    /// # Panics
    /// Where the endpoint refuses.
    pub fn connect(&mut self, node: NodeId, local: SocketAddr, remote: SocketAddr) -> ConnectionHandle {
        let now = self.now;
        let connection = self.host(node).connect(now, "localhost", FourTuple { local, remote });
        let connection = connection.expect("the endpoint has room");
        self.nodes[node].watch.on_begun(connection);
        connection
    }

    /// The next event of a node that nobody has taken.
    pub fn poll_event(&mut self, node: NodeId) -> Option<(ConnectionHandle, Event)> {
        self.nodes[node].events.pop_front()
    }

    /// Lets every node that was given something send and tell what follows, and checks what must hold.
    ///
    /// # Panics
    /// Where something does not hold.
    pub fn settle(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].touched {
                self.settle_node(node);
            }
        }
        let mut inside = 0;
        let (mut duplicated, mut dropped) = (0, 0);
        for link in &self.links {
            link.check();
            let counts = link.counts();
            inside += link.inside() as u64;
            duplicated += counts.duplicated;
            dropped += counts.dropped();
        }
        let Ledger { sent, received, unrouted, unclaimed } = self.ledger;
        let gone = received + unrouted + unclaimed + dropped + inside;
        assert_eq!(sent + duplicated, gone, "datagrams vanish or appear: {:?}", self.ledger);
    }

    /// When something happens next; `None` where nothing will.
    pub fn next_event(&mut self) -> Option<Time> {
        self.settle();
        let alarms = self.nodes.iter().filter_map(|node| node.alarm.map(|(_, at)| at));
        self.links.iter().filter_map(Link::next_event).chain(alarms).min()
    }

    /// Moves the clock to the next thing that happens and lets it happen; `false` where nothing will.
    ///
    /// # Panics
    /// Where something does not hold that must, or where time stands still.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.next_event() else { return false };
        self.steps_here = if next > self.now { 0 } else { self.steps_here + 1 };
        assert!(self.steps_here < STEPS_AT_ONE_MOMENT, "at {}: time stands still", self.now);
        self.now = self.now.max(next);
        for link in 0..self.links.len() {
            self.links[link].advance(self.now);
            while let Some(datagram) = self.links[link].receive(self.now) {
                self.arrive(link, datagram);
            }
        }
        for node in &mut self.nodes {
            if node.alarm.is_some_and(|(_, at)| at <= self.now) {
                node.alarm = None;
                node.host.handle_timeout(self.now);
                node.touched = true;
            }
        }
        self.settle();
        true
    }

    /// Runs until `until`.
    pub fn run_until(&mut self, until: Time) {
        while self.next_event().is_some_and(|next| next <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    fn settle_node(&mut self, id: NodeId) {
        let now = self.now;
        loop {
            let node = &mut self.nodes[id];
            let told = node.events.len();
            while let Some((connection, event)) = node.host.poll_event() {
                match event {
                    Event::Accepted => node.watch.on_begun(connection),
                    Event::Closed(_) => node.watch.on_closed(connection),
                    Event::Drained => node.watch.on_drained(connection),
                    _ => {}
                }
                node.events.push_back((connection, event));
            }
            let mut out = Vec::new();
            node.watch.before_transmit(&mut node.host);
            node.host.transmit(now, &mut |outgoing, bytes| {
                for bytes in bytes.chunks(outgoing.segment_size) {
                    out.push(Datagram { path: outgoing.path, ecn: outgoing.ecn, bytes: bytes.to_vec() });
                }
            });
            for datagram in &out {
                node.watch.on_sent(datagram.path.remote, datagram.bytes.len());
            }
            node.watch.after_transmit(now, &mut node.host);
            if out.is_empty() && node.events.len() == told {
                break;
            }
            for datagram in out {
                self.send(id, datagram);
            }
        }
        let node = &mut self.nodes[id];
        node.touched = false;
        let deadline = node.host.timeout();
        if node.alarm.map(|(deadline, _)| deadline) != deadline {
            node.alarm = deadline.map(|deadline| (deadline, node.wakeup.at(deadline, &mut self.rng).max(now)));
        }
    }

    /// A node sends a datagram: its NAT shows another source.
    fn send(&mut self, from: NodeId, mut datagram: Datagram) {
        self.ledger.sent += 1;
        let shown = self.addresses.shown(from, datagram.path.local);
        let to = self.addresses.owner(datagram.path.remote);
        let link = to.and_then(|to| self.routes.get(&(from, to))).and_then(|links| links.first());
        match (shown, link) {
            (Some(shown), Some(link)) => {
                datagram.path.local = shown;
                self.links[*link].send(self.now, datagram);
            }
            _ => self.ledger.unrouted += 1,
        }
    }

    /// A datagram has left a link: it goes on, or is there.
    fn arrive(&mut self, link: LinkId, mut datagram: Datagram) {
        let FourTuple { local: source, remote: destination } = datagram.path;
        let ends = self.addresses.owner(source).zip(self.addresses.owner(destination));
        let route = ends.and_then(|ends| self.routes.get(&ends));
        let next = route.and_then(|route| {
            let at = route.iter().position(|hop| *hop == link)?;
            route.get(at + 1)
        });
        if let Some(next) = next {
            return self.links[*next].send(self.now, datagram);
        }
        let Some((id, own)) = self.addresses.reached(destination) else {
            self.ledger.unclaimed += 1;
            return;
        };
        self.ledger.received += 1;
        let node = &mut self.nodes[id];
        node.watch.on_received(source, &datagram.bytes);
        let path = FourTuple { local: own, remote: source };
        node.host.receive(self.now, path, datagram.ecn, &mut datagram.bytes);
        node.touched = true;
    }
}
