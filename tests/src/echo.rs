//! A whole life of a connection, step by step: handshake, a stream that the server echoes, close, nothing left.

use quillon::{ConnectionHandle, Dir, Event, Side, StreamId};

use crate::fixtures::noise;
use crate::host::Host;
use crate::pair::{Pair, Sent};

/// What the client sends and gets back.
const LEN: usize = 100_000;

/// Everything that a run has put out: what must not depend on where it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Every datagram of both ends.
    pub sent: Vec<Sent>,
    /// Every event, and whose it was.
    pub events: Vec<(Side, ConnectionHandle, Event)>,
}

/// Bytes on their way into a stream.
#[derive(Debug)]
struct Outbound {
    connection: ConnectionHandle,
    id: StreamId,
    bytes: Vec<u8>,
    written: usize,
    /// Whether nothing will be added.
    complete: bool,
    finished: bool,
}

impl Outbound {
    fn flush(&mut self, host: &mut impl Host) {
        self.written += host.write(self.connection, self.id, &self.bytes[self.written..]);
        if self.complete && !self.finished && self.written == self.bytes.len() {
            host.finish(self.connection, self.id);
            self.finished = true;
        }
    }
}

/// A run that can be interleaved with others.
#[derive(Debug)]
pub struct Echo<H> {
    pair: Pair<H>,
    events: Vec<(Side, ConnectionHandle, Event)>,
    request: Option<Outbound>,
    answer: Option<Outbound>,
    echoed: Vec<u8>,
}

impl<H: Host> Echo<H> {
    /// Begins with the client's call of `connect`.
    #[must_use]
    pub fn new(pair: Pair<H>) -> Self {
        let mut pair = pair.record();
        let path = pair.path();
        pair.client.host.connect(pair.now, "localhost", path);
        Self { pair, events: Vec::new(), request: None, answer: None, echoed: Vec::new() }
    }

    /// Goes on to the next moment at which something happens. `false` when nothing is left of either end.
    pub fn step(&mut self) -> bool {
        let goes_on = self.pair.step();
        while let Some((connection, event)) = self.pair.client.events.pop_front() {
            match event {
                Event::HandshakeComplete => {
                    let id = self.pair.client.host.open(connection, Dir::Bidi).expect("the server grants streams");
                    let bytes = noise(LEN, 1);
                    self.request =
                        Some(Outbound { connection, id, bytes, written: 0, complete: true, finished: false });
                }
                Event::StreamReadable { id } => {
                    let echoed = &mut self.echoed;
                    if self.pair.client.host.read(connection, id, &mut |bytes| echoed.extend_from_slice(bytes)) {
                        self.pair.client.host.close(self.pair.now, connection, 7, b"done");
                    }
                }
                _ => {}
            }
            self.events.push((Side::Client, connection, event));
        }
        while let Some((connection, event)) = self.pair.server.events.pop_front() {
            if let Event::StreamReadable { id } = event {
                let answer = self.answer.get_or_insert_with(|| Outbound {
                    connection,
                    id,
                    bytes: Vec::new(),
                    written: 0,
                    complete: false,
                    finished: false,
                });
                let bytes = &mut answer.bytes;
                answer.complete |=
                    self.pair.server.host.read(connection, id, &mut |read| bytes.extend_from_slice(read));
            }
            if matches!(event, Event::Closed(_)) {
                self.answer = None;
            }
            self.events.push((Side::Server, connection, event));
        }
        if let Some(request) = self.request.as_mut().filter(|request| !request.finished) {
            request.flush(&mut self.pair.client.host);
        }
        if let Some(answer) = self.answer.as_mut().filter(|answer| !answer.finished) {
            answer.flush(&mut self.pair.server.host);
        }
        goes_on
    }

    /// Runs to the end and returns everything put out.
    ///
    /// # Panics
    /// Where the echo is not what was sent, or something is left.
    #[must_use]
    pub fn finish(mut self) -> Output {
        while self.step() {}
        assert_eq!(self.echoed, noise(LEN, 1));
        for side in [Side::Client, Side::Server] {
            let last = self.events.iter().rfind(|(of, ..)| *of == side);
            assert!(matches!(last, Some((_, _, Event::Drained))), "{last:?}");
        }
        Output { sent: self.pair.sent, events: self.events }
    }
}
