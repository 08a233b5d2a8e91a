//! A bulk transfer between two endpoints in memory, in virtual time: the same work every time, to count instructions with.
//!
//! ```sh
//! cargo build --release --package quillon --example transfer
//! valgrind --tool=callgrind target/release/examples/transfer 20 1 # megabytes, streams
//! ```
use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quillon::tls::rustls::{RustlsClient, RustlsServer};
use quillon::{
    ClientConfig, ConnectionHandle, Dir, Ecn, Endpoint, EndpointConfig, Event, FourTuple, Outgoing, ServerConfig,
    StreamId, Time, Transmit,
};

/// 2026-01-01: within the validity of the test certificates.
const UNIX_TIME: Duration = Duration::from_secs(1_767_225_600);

/// One way, in nanoseconds.
const LATENCY: Time = 1_000_000;

/// What is handed to a stream at once.
const PIECE: usize = 64 << 10;

struct End {
    endpoint: Endpoint,
    path: FourTuple,
    connection: Option<ConnectionHandle>,
    /// Batches on their way from here.
    sent: VecDeque<Batch>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
}

/// Datagrams that were sent together.
struct Batch {
    arrives: Time,
    buffer: Vec<u8>,
    len: usize,
    segment_size: usize,
}

impl End {
    fn new(seed: u8, local: SocketAddr, remote: SocketAddr) -> Self {
        let mut endpoint = Endpoint::new(EndpointConfig::default(), [seed; 32]);
        endpoint.set_unix_time(UNIX_TIME);
        Self { endpoint, path: FourTuple { local, remote }, connection: None, sent: VecDeque::new(), spare: Vec::new() }
    }

    fn transmit(&mut self, now: Time) {
        loop {
            let mut buffer = self.spare.pop().unwrap_or_else(|| vec![0; 65_507]);
            let Transmit::Send(Outgoing { len, segment_size, .. }) = self.endpoint.transmit(now, &mut buffer) else {
                return self.spare.push(buffer);
            };
            self.sent.push_back(Batch { arrives: now + LATENCY, buffer, len, segment_size });
        }
    }

    /// When its next batch arrives, or its endpoint has something to do.
    fn next_due(&mut self) -> Option<Time> {
        let arrival = self.sent.front().map(|batch| batch.arrives);
        arrival.into_iter().chain(self.endpoint.timeout()).min()
    }

    /// Takes in the next batch from `peer`, if it has arrived.
    fn receive(&mut self, now: Time, peer: &mut Self) {
        if let Some(mut batch) = peer.sent.pop_front_if(|batch| batch.arrives <= now) {
            for datagram in batch.buffer[..batch.len].chunks_mut(batch.segment_size) {
                self.endpoint.receive(now, self.path, Ecn::NotEct, datagram);
            }
            peer.spare.push(batch.buffer);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let megabytes: usize = arguments.next().map_or(Ok(20), |text| text.parse())?;
    let streams: usize = arguments.next().map_or(Ok(1), |text| text.parse())?;

    let ca = include_bytes!("../tests/data/ca.der").as_slice();
    let chain = [include_bytes!("../tests/data/localhost.der").as_slice()];
    let key = include_bytes!("../tests/data/localhost.key.der");
    let client_tls = RustlsClient::builder().alpn([b"test".as_slice()]).roots([ca]).build()?;
    let server_tls = RustlsServer::builder(chain, key).alpn([b"test".as_slice()]).build()?;
    let (client, server) = ("192.0.2.1:50000".parse()?, "192.0.2.2:443".parse()?);
    let (mut client, mut server) = (End::new(1, client, server), End::new(2, server, client));
    server.endpoint.set_server(Some(Arc::new(ServerConfig::new(Arc::new(server_tls)))))?;
    let mut now: Time = 1_000_000_000;
    let config = ClientConfig::new(Arc::new(client_tls));
    let handle = client.endpoint.connect(now, &config, "localhost", client.path)?;
    client.connection = Some(handle);

    let piece = Bytes::from(vec![0x5a; PIECE]);
    let total = megabytes * 1_000_000;
    let mut sending: Vec<(StreamId, usize)> = Vec::new();
    let (mut received, mut finished, mut readable) = (0, 0, Vec::new());
    while finished < streams {
        client.transmit(now);
        server.transmit(now);
        let due = [&mut client, &mut server].into_iter().filter_map(End::next_due).min();
        now = now.max(due.ok_or("nothing is due")?);
        client.endpoint.handle_timeout(now);
        server.endpoint.handle_timeout(now);
        server.receive(now, &mut client);
        client.receive(now, &mut server);
        let connection = client.endpoint.connection_mut(handle).ok_or("no connection")?;
        if connection.is_handshake_complete() && sending.is_empty() {
            for _ in 0..streams {
                sending.push((connection.open(Dir::Uni)?, total / streams));
            }
        }
        for (id, left) in &mut sending {
            while *left > 0 {
                let mut data = piece.slice(..PIECE.min(*left));
                match connection.write_bytes(*id, &mut data) {
                    Ok(written) => *left -= written,
                    Err(_) => break,
                }
                if *left == 0 {
                    connection.finish(*id)?;
                }
            }
        }
        while client.endpoint.poll_event().is_some() {}
        while let Some((handle, event)) = server.endpoint.poll_event() {
            server.connection = Some(handle);
            if let Event::StreamReadable { id } = event {
                readable.push(id);
            }
        }
        if let Some(connection) = server.connection.and_then(|handle| server.endpoint.connection_mut(handle)) {
            for id in readable.drain(..) {
                while let Ok(peek) = connection.peek(id) {
                    if peek.finished {
                        finished += 1;
                        break;
                    }
                    let len = peek.data.len();
                    received += connection.consume(id, len)?;
                }
            }
        }
    }
    for (name, end) in [("client", &client), ("server", &server)] {
        let connection = end.connection.and_then(|handle| end.endpoint.connection(handle)).ok_or("no connection")?;
        let stats = connection.stats();
        println!("{name}: {} datagrams out, {} in", stats.datagrams_sent, stats.datagrams_received);
    }
    println!("{received} bytes received");
    Ok(())
}
