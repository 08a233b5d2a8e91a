//! Two endpoints on a link that sees ECN marks and sizes, and may change, delay or drop what it carries. Packets are not
//! encrypted, so that tests read them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use quillon::{
    Connection, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, Side, StreamId, Time, Transmit,
    TransportSettings,
};

use crate::plain;

pub const MILLISECOND: Time = 1_000_000;
pub const SECOND: Time = 1_000 * MILLISECOND;
const LATENCY: Time = 10 * MILLISECOND;

/// A datagram on its way.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at: Time,
    pub from: Side,
    pub path: FourTuple,
    pub ecn: Ecn,
    pub bytes: Vec<u8>,
}

/// What the link does to a datagram: its further delay, or `None` where it is lost. It may be changed.
pub type Filter = Box<dyn FnMut(&mut Sent) -> Option<Time>>;

/// A client, a server and the link between them.
pub struct Link {
    pub now: Time,
    ends: [Endpoint; 2],
    handles: [Option<ConnectionHandle>; 2],
    pub events: [Vec<Event>; 2],
    pub sent: Vec<Sent>,
    pub filter: Filter,
    in_flight: Vec<(Time, Sent)>,
}

pub fn client_address() -> SocketAddr {
    "192.0.2.1:50000".parse().unwrap()
}

pub fn server_address() -> SocketAddr {
    "192.0.2.2:443".parse().unwrap()
}

impl Link {
    /// Two ends with these settings, connected over a link that does as `filter` says.
    pub fn connected(settings: &TransportSettings, filter: Filter) -> Self {
        let mut link = Self::unconnected(settings, filter);
        link.run_for(SECOND);
        assert!(link.events[0].contains(&Event::HandshakeConfirmed), "{:?}", link.events);
        link
    }

    /// The same before the first datagram.
    pub fn unconnected(settings: &TransportSettings, filter: Filter) -> Self {
        let mut ends = [1, 2].map(|seed| {
            let mut endpoint = Endpoint::new(EndpointConfig::default(), [seed; 32]);
            endpoint.set_unix_time(Duration::from_secs(1_767_225_600));
            endpoint
        });
        ends[1].set_server(Some(plain::server(settings.clone()))).unwrap();
        let now = 1_000 * SECOND;
        let path = FourTuple { local: client_address(), remote: server_address() };
        let handle = ends[0].connect(now, &plain::client(settings.clone()), "localhost", path).unwrap();
        let (handles, events) = ([Some(handle), None], [Vec::new(), Vec::new()]);
        Self { now, ends, handles, events, sent: Vec::new(), filter, in_flight: Vec::new() }
    }

    pub fn connection(&mut self, side: Side) -> &mut Connection {
        let at = usize::from(!side.is_client());
        self.ends[at].connection_mut(self.handles[at].expect("a connection")).expect("the connection is alive")
    }

    fn transmit(&mut self) {
        for (at, from) in [Side::Client, Side::Server].into_iter().enumerate() {
            let mut buffer = vec![0; 65_535];
            while let Transmit::Send(batch) = self.ends[at].transmit(self.now, &mut buffer) {
                for bytes in buffer[..batch.len].chunks(batch.segment_size) {
                    let mut sent = Sent { at: self.now, from, path: batch.path, ecn: batch.ecn, bytes: bytes.to_vec() };
                    self.sent.push(sent.clone());
                    if let Some(delay) = (self.filter)(&mut sent) {
                        self.in_flight.push((self.now + LATENCY + delay, sent));
                    }
                }
            }
            while let Some((handle, event)) = self.ends[at].poll_event() {
                self.handles[at].get_or_insert(handle);
                self.events[at].push(event);
            }
        }
    }

    fn receive(&mut self) {
        // Those that arrive at one time arrive in the order in which they were sent.
        while let Some(at) = (0..self.in_flight.len())
            .filter(|at| self.in_flight[*at].0 <= self.now)
            .min_by_key(|at| self.in_flight[*at].0)
        {
            let (_, mut sent) = self.in_flight.remove(at);
            let path = FourTuple { local: sent.path.remote, remote: sent.path.local };
            self.ends[usize::from(sent.from.is_client())].receive(self.now, path, sent.ecn, &mut sent.bytes);
        }
    }

    pub fn run_for(&mut self, duration: Time) {
        let until = self.now + duration;
        for steps in 0.. {
            assert!(steps < 1_000_000, "time does not advance");
            self.receive();
            self.transmit();
            let arrival = self.in_flight.iter().map(|(at, _)| *at).min();
            let next = [arrival, self.ends[0].timeout(), self.ends[1].timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            self.ends.iter_mut().for_each(|end| end.handle_timeout(now));
        }
        self.now = until;
    }

    /// Opens a stream of the client's and writes so many bytes to it; the server reads what comes when
    /// [`read_all`](Self::read_all) is called.
    pub fn upload(&mut self, bytes: usize) -> StreamId {
        let connection = self.connection(Side::Client);
        let id = connection.open(Dir::Uni).unwrap();
        assert_eq!(connection.write(id, &vec![7; bytes]), Ok(bytes));
        connection.finish(id).unwrap();
        id
    }

    /// The bytes that the server can read of a stream.
    pub fn read_all(&mut self, id: StreamId) -> usize {
        let mut buffer = vec![0; 1 << 20];
        let mut total = 0;
        while let Ok(read) = self.connection(Side::Server).read(id, &mut buffer)
            && read.len > 0
        {
            total += read.len;
        }
        total
    }

    /// What this side has sent since the first `after` datagrams.
    pub fn sent_by(&self, side: Side, after: usize) -> impl Iterator<Item = &Sent> {
        self.sent.iter().skip(after).filter(move |sent| sent.from == side)
    }
}
