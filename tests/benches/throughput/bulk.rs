//! A transfer between two hosts in one thread: what one end sends, the other receives at once.

use std::time::{Duration, Instant};

use quillon::{ConnectionHandle, Dir, Event, FourTuple, Time};
use quillon_tests::host::{Batch, Host};

use crate::CHUNK;

/// Both ends and the clock: virtual, so that timers cost nothing but their handling.
struct Ends<H> {
    now: Time,
    client: H,
    server: H,
}

/// Moves `bytes` bytes from `client` to `server` and returns how long that took, the handshake not included.
pub(crate) fn transfer<H: Host>(client: H, server: H, bytes: usize) -> Duration {
    let mut ends = Ends { now: 1, client, server };
    let (sender, receiver) = ends.connect();
    let chunk = vec![0x5a; CHUNK];
    let started = Instant::now();
    let id = ends.client.open(sender, Dir::Uni).expect("the server grants streams");
    let (mut written, mut read, mut finished) = (0, 0, false);
    while read < bytes {
        while written < bytes {
            let taken = ends.client.write(sender, id, &chunk[..CHUNK.min(bytes - written)]);
            written += taken;
            if taken == 0 {
                break;
            }
        }
        if written == bytes && !finished {
            ends.client.finish(sender, id);
            finished = true;
        }
        ends.turn();
        while ends.client.poll_event().is_some() {}
        while ends.server.poll_event().is_some() {}
        ends.server.read(receiver, id, &mut |bytes| read += bytes.len());
    }
    started.elapsed()
}

impl<H: Host> Ends<H> {
    fn connect(&mut self) -> (ConnectionHandle, ConnectionHandle) {
        let path = path();
        let client = self.client.connect(self.now, "localhost", path);
        let mut server = None;
        loop {
            self.turn();
            while let Some((handle, event)) = self.server.poll_event() {
                if event == Event::Accepted {
                    server = Some(handle);
                }
            }
            while let Some((_, event)) = self.client.poll_event() {
                match (event, server) {
                    (Event::HandshakeConfirmed, Some(server)) => return (client, server),
                    (Event::Closed(error), _) => panic!("{error}"),
                    _ => {}
                }
            }
        }
    }

    /// A turn takes 100 microseconds, and where nothing moved, as long as to the next deadline.
    fn turn(&mut self) {
        let moved = pump(self.now, &mut self.client, &mut self.server);
        self.now += 50_000;
        let moved = pump(self.now, &mut self.server, &mut self.client) || moved;
        self.now += 50_000;
        if !moved {
            let deadlines = [self.client.timeout(), self.server.timeout()];
            let next = deadlines.into_iter().flatten().min().expect("a connection has a deadline");
            self.now = self.now.max(next);
        }
        for end in [&mut self.client, &mut self.server] {
            if end.timeout().is_some_and(|deadline| deadline <= self.now) {
                end.handle_timeout(self.now);
            }
        }
    }
}

fn pump<H: Host>(now: Time, from: &mut H, to: &mut H) -> bool {
    let mut moved = false;
    from.transmit(now, &mut |Batch { bytes, segment_size, path, ecn }| {
        let path = FourTuple { local: path.remote, remote: path.local };
        to.receive(now, Batch { bytes, segment_size, path, ecn });
        moved = true;
    });
    moved
}

fn path() -> FourTuple {
    FourTuple { local: ([127, 0, 0, 1], 50_000).into(), remote: ([127, 0, 0, 1], 443).into() }
}
