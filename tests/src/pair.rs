//! A client and a server on a simulated path, in virtual time.
//!
//! Invariants: nothing reads a clock, so that a run is a function of its seeds and of what the test does; time moves
//! only in [`Pair::step`], to the next arrival or deadline; a run that does not come to its end within a bound of
//! virtual time or of steps panics.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quillon::rng::Rng;
use quillon::{ClientConfig, ConnectionHandle, EndpointConfig, Event, FourTuple, ServerConfig, Side, Time};

use crate::host::{Batch, Host, Native, client_config, server_config};
use crate::link::{Conditions, Datagram, Link};

/// The clock's origin: not zero, so that nobody takes it for one.
const START: Time = 1_000_000_000;
/// Virtual time that any run stays within.
const PATIENCE: Duration = Duration::from_secs(600);
/// Steps at one moment: more than that, and the ends keep each other awake.
const STEPS_AT_ONE_MOMENT: u32 = 100_000;

/// One end.
#[derive(Debug)]
pub struct Node<H> {
    /// What drives its endpoint.
    pub host: H,
    /// Its address.
    pub address: SocketAddr,
    /// Its events that no one has taken yet.
    pub events: VecDeque<(ConnectionHandle, Event)>,
}

impl<H: Host> Node<H> {
    fn new(host: H, port: u16) -> Self {
        Self { host, address: (Ipv4Addr::LOCALHOST, port).into(), events: VecDeque::new() }
    }

    /// Takes out the first event that `wanted` accepts.
    pub fn take_event(&mut self, wanted: impl Fn(&Event) -> bool) -> Option<(ConnectionHandle, Event)> {
        let at = self.events.iter().position(|(_, event)| wanted(event))?;
        self.events.remove(at)
    }
}

/// A datagram that an end has sent: what [`Pair::sent`] records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub time: Time,
    /// By which end.
    pub from: Side,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A client and a server.
#[derive(Debug)]
pub struct Pair<H = Native> {
    /// The clock.
    pub now: Time,
    /// The end that connects.
    pub client: Node<H>,
    /// The end that accepts.
    pub server: Node<H>,
    /// The way from the client to the server.
    pub to_server: Link,
    /// The way back.
    pub to_client: Link,
    /// Every datagram sent so far, lost ones too, where [`Pair::record`] was called.
    pub sent: Vec<Sent>,
    recording: bool,
}

impl Pair {
    /// Native ends with default settings; everything follows from `seed`.
    #[must_use]
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self::with_configs(conditions, seed, client_config(), server_config())
    }

    /// Native ends with these settings.
    #[must_use]
    pub fn with_configs(conditions: Conditions, seed: u64, client: ClientConfig, server: ServerConfig) -> Self {
        let mut seeds = seeds(seed);
        let server = Native::new(EndpointConfig::default(), client.clone(), Some(server), seeds.bytes());
        let client = Native::new(EndpointConfig::default(), client, None, seeds.bytes());
        Self::of(client, server, conditions, seeds.u64())
    }
}

impl<H: Host> Pair<H> {
    /// These two ends, on links whose misfortunes follow from `seed`.
    #[must_use]
    pub fn of(client: H, server: H, conditions: Conditions, seed: u64) -> Self {
        let mut seeds = seeds(seed);
        Self {
            now: START,
            client: Node::new(client, 50_000),
            server: Node::new(server, 443),
            to_server: Link::new(conditions, seeds.bytes()),
            to_client: Link::new(conditions, seeds.bytes()),
            sent: Vec::new(),
            recording: false,
        }
    }

    /// Records from now on what both ends send.
    #[must_use]
    pub fn record(mut self) -> Self {
        self.recording = true;
        self
    }

    /// The path as the client sees it.
    #[must_use]
    pub fn path(&self) -> FourTuple {
        FourTuple { local: self.client.address, remote: self.server.address }
    }

    /// The end on that side.
    pub fn node(&mut self, side: Side) -> &mut Node<H> {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// Opens a connection and runs until both ends have completed the handshake; returns their handles.
    pub fn connect(&mut self) -> (ConnectionHandle, ConnectionHandle) {
        let path = self.path();
        let client = self.client.host.connect(self.now, "localhost", path);
        let mut server = None;
        let mut complete = 0;
        self.run_until(|pair| {
            if let Some((handle, _)) = pair.server.take_event(|event| *event == Event::Accepted) {
                server = Some(handle);
            }
            for side in [Side::Client, Side::Server] {
                complete += i32::from(pair.node(side).take_event(|event| *event == Event::HandshakeComplete).is_some());
            }
            complete == 2
        });
        (client, server.unwrap_or_else(|| panic!("the server completed a handshake without accepting it")))
    }

    /// Puts what both ends have to send on its way, moves the clock to the next arrival or deadline, and lets it
    /// happen. `false` when nothing is left to happen.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.next_moment() else { return false };
        self.now = self.now.max(next);
        self.deliver();
        for node in [&mut self.client, &mut self.server] {
            if node.host.timeout().is_some_and(|deadline| deadline <= self.now) {
                node.host.handle_timeout(self.now);
            }
            while let Some(event) = node.host.poll_event() {
                node.events.push_back(event);
            }
        }
        true
    }

    /// Runs until `done`, which is asked after each step.
    ///
    /// # Panics
    /// Where nothing is left to happen before, or it takes more than ten minutes of virtual time.
    pub fn run_until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now + PATIENCE.as_nanos() as Time;
        let mut steps_here = 0;
        while !done(self) {
            let before = self.now;
            assert!(
                self.step(),
                "nothing is left to happen; events: {:?} {:?}",
                self.client.events,
                self.server.events
            );
            steps_here = if self.now == before { steps_here + 1 } else { 0 };
            assert!(steps_here < STEPS_AT_ONE_MOMENT, "the ends keep each other awake without time passing");
            assert!(self.now < end, "not done in {PATIENCE:?}; {:?} {:?}", self.client.events, self.server.events);
        }
    }

    /// Runs for that long, or until nothing is left to happen.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration.as_nanos() as Time;
        while self.next_moment().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Sends `data` on a new stream of `from` and returns what the other end reads from it. The stream's events are
    /// taken out on the way.
    ///
    /// # Panics
    /// Where the peer grants no stream, or the transfer does not come to its end.
    pub fn transfer(
        &mut self,
        from: Side,
        (sender, receiver): (ConnectionHandle, ConnectionHandle),
        dir: quillon::Dir,
        data: &[u8],
    ) -> Vec<u8> {
        let id = self.node(from).host.open(sender, dir).expect("the peer grants streams");
        let (mut written, mut ended) = (0, false);
        let (mut read, mut finished) = (Vec::with_capacity(data.len()), false);
        self.run_until(|pair| {
            let host = &mut pair.node(from).host;
            written += host.write(sender, id, &data[written..]);
            if written == data.len() && !ended {
                host.finish(sender, id);
                ended = true;
            }
            if !finished {
                finished = pair.node(from.peer()).host.read(receiver, id, &mut |bytes| read.extend_from_slice(bytes));
            }
            finished && pair.node(from).take_event(|event| *event == Event::StreamFinished { id }).is_some()
        });
        read
    }

    /// Hands everything that both ends can send to the links.
    pub fn transmit(&mut self) {
        let now = self.now;
        let (recording, sent) = (self.recording, &mut self.sent);
        for (from, node, link) in [
            (Side::Client, &mut self.client, &mut self.to_server),
            (Side::Server, &mut self.server, &mut self.to_client),
        ] {
            node.host.transmit(now, &mut |batch| {
                for bytes in batch.bytes.chunks(batch.segment_size.max(1)) {
                    if recording {
                        sent.push(Sent { time: now, from, bytes: bytes.to_vec() });
                    }
                    link.send(now, Datagram { path: batch.path, ecn: batch.ecn, bytes: bytes.to_vec() });
                }
            });
        }
    }

    fn deliver(&mut self) {
        for (node, link) in [(&mut self.server, &mut self.to_server), (&mut self.client, &mut self.to_client)] {
            while let Some(mut datagram) = link.receive(self.now) {
                let path = FourTuple { local: datagram.path.remote, remote: datagram.path.local };
                let segment_size = datagram.bytes.len();
                let batch = Batch { bytes: &mut datagram.bytes, segment_size, path, ecn: datagram.ecn };
                node.host.receive(self.now, batch);
            }
        }
    }

    fn next_moment(&mut self) -> Option<Time> {
        self.transmit();
        let arrivals = [self.to_server.next_arrival(), self.to_client.next_arrival()];
        let deadlines = [self.client.host.timeout(), self.server.host.timeout()];
        arrivals.into_iter().chain(deadlines).flatten().min()
    }
}

fn seeds(seed: u64) -> Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Rng::from_seed(bytes)
}
