//! Two ends joined by a link that loses, reorders and duplicates frames, under random use.
//!
//! Whatever happens, what is read is what was written, in order; no credit is exceeded (the receiving end closes
//! where it is); everything ends; and nothing is held when it has ended.

mod stream_pair;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use quillon::stream::{Chunk, Control, FlowControl, Limits, ReadError, Settings, StreamEvent, Streams, WriteError};
use quillon::wire::{Dir, Side, StreamId};
use stream_pair::*;

/// The byte at an offset of what `side` writes on a stream.
fn byte(side: Side, id: StreamId, offset: u64) -> u8 {
    let mixed = (offset + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (id.0 << 1 | u64::from(side.is_client()));
    (mixed >> 24) as u8
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Finished,
    Reset,
    Stopped,
}

#[derive(Clone, Debug)]
enum Frame {
    Control(Control),
    Data(Chunk, Vec<u8>),
}

/// One end, and what its caller knows.
struct End {
    side: Side,
    streams: Streams,
    /// How much was written on each stream, and how that ended.
    written: BTreeMap<StreamId, (u64, Option<Ending>)>,
    /// How much was read of each stream, and how that ended.
    read: BTreeMap<StreamId, (u64, Option<Ending>)>,
    told: BTreeSet<(StreamId, u8)>,
    in_flight: Vec<Frame>,
    largest_limits: BTreeMap<Option<StreamId>, u64>,
}

impl End {
    fn new(side: Side, limits: &Limits, send_buffer: u64) -> Self {
        let mut streams =
            Streams::new(side, &Settings { receive: *limits, flow_control: FlowControl::default(), send_buffer });
        streams.set_peer_limits(limits);
        let (written, read, told) = Default::default();
        Self { side, streams, written, read, told, in_flight: Vec::new(), largest_limits: BTreeMap::new() }
    }

    fn open(&mut self, dir: Dir) {
        if let Ok(id) = self.streams.open(dir) {
            self.written.insert(id, (0, None));
            if dir == Dir::Bidi {
                self.read.insert(id, (0, None));
            }
        }
    }

    fn pick(&self, of: &BTreeMap<StreamId, (u64, Option<Ending>)>, choice: usize) -> Option<StreamId> {
        let open: Vec<_> = of.iter().filter(|(_, (_, ending))| ending.is_none()).map(|(id, _)| *id).collect();
        (!open.is_empty()).then(|| open[choice % open.len()])
    }

    fn write(&mut self, choice: usize, len: usize, owned: bool) {
        let Some(id) = self.pick(&self.written, choice) else { return };
        let (at, ending) = self.written[&id];
        let data: Vec<u8> = (at..at + len as u64).map(|offset| byte(self.side, id, offset)).collect();
        let result = if owned {
            let mut rest = bytes::Bytes::from(data.clone());
            let result = self.streams.write_bytes(id, &mut rest);
            assert_eq!(data.len() - rest.len(), result.unwrap_or(0));
            result
        } else {
            self.streams.write(id, &data)
        };
        let entry = match result {
            Ok(taken) => (at + taken as u64, ending),
            Err(WriteError::Blocked) => (at, ending),
            Err(WriteError::Stopped(_)) => (at, Some(Ending::Stopped)),
            Err(error) => panic!("{error}"),
        };
        self.written.insert(id, entry);
    }

    fn end_writing(&mut self, choice: usize, reset: bool) {
        let Some(id) = self.pick(&self.written, choice) else { return };
        let ending = if reset {
            self.streams.reset(id, id.0).unwrap();
            Ending::Reset
        } else {
            match self.streams.finish(id) {
                Ok(()) => Ending::Finished,
                Err(error) => {
                    assert!(matches!(error, WriteError::Stopped(_)));
                    Ending::Stopped
                }
            }
        };
        self.written.entry(id).and_modify(|entry| entry.1 = Some(ending));
    }

    fn stop(&mut self, choice: usize) {
        let Some(id) = self.pick(&self.read, choice) else { return };
        self.streams.stop_sending(id, id.0).unwrap();
        self.read.entry(id).and_modify(|entry| entry.1 = Some(Ending::Stopped));
    }

    fn read(&mut self, choice: usize, len: usize) {
        let Some(id) = self.pick(&self.read, choice) else { return };
        let (at, _) = self.read[&id];
        let mut data = vec![0; len];
        // Both ways of reading, by turns.
        let result = if len.is_multiple_of(2) {
            self.streams.read(id, &mut data).map(|read| (read.len, read.finished))
        } else {
            let peeked = self.streams.peek(id).map(|peek| {
                let len = peek.data.len().min(len);
                data[..len].copy_from_slice(&peek.data[..len]);
                (len, peek.finished)
            });
            peeked.inspect(|(len, finished)| {
                if !finished {
                    assert_eq!(self.streams.consume(id, *len), Ok(*len));
                }
            })
        };
        let entry = match result {
            Ok((len, finished)) => {
                for (offset, got) in (at..).zip(&data[..len]) {
                    assert_eq!(*got, byte(self.side.peer(), id, offset), "stream {id} at {offset}");
                }
                (at + len as u64, finished.then_some(Ending::Finished))
            }
            Err(ReadError::Blocked) => (at, None),
            Err(ReadError::Reset(code)) => {
                assert_eq!(code, id.0);
                (at, Some(Ending::Reset))
            }
            Err(error) => panic!("{error}"),
        };
        self.read.insert(id, entry);
    }

    fn poll(&mut self) {
        while let Some(event) = self.streams.poll_event() {
            let (id, kind) = match event {
                StreamEvent::AllOver => panic!("nobody shut down"),
                StreamEvent::Opened { id } => {
                    assert_ne!(id.initiator(), self.side);
                    self.read.insert(id, (0, None));
                    if id.dir() == Dir::Bidi {
                        self.written.insert(id, (0, None));
                    }
                    (id, 0)
                }
                StreamEvent::Reset { id, code } => {
                    assert_eq!(code, id.0);
                    self.read.entry(id).and_modify(|entry| entry.1 = Some(Ending::Reset));
                    (id, 1)
                }
                StreamEvent::Stopped { id, code } => {
                    assert_eq!(code, id.0);
                    self.written.entry(id).and_modify(|entry| entry.1 = Some(Ending::Stopped));
                    (id, 2)
                }
                StreamEvent::Finished { id } => {
                    assert_eq!(self.written[&id].1, Some(Ending::Finished));
                    (id, 3)
                }
                StreamEvent::Readable { id } | StreamEvent::Writable { id } => {
                    assert!(self.read.contains_key(&id) || self.written.contains_key(&id));
                    continue;
                }
                StreamEvent::Closed { id, .. } => (id, 4),
                StreamEvent::Available { .. } | StreamEvent::CreditAvailable | StreamEvent::Acked { .. } => continue,
            };
            assert!(self.told.insert((id, kind)), "told twice: {event:?}");
        }
    }

    /// Puts frames on the link, as many as `count`.
    fn send(&mut self, count: usize, room: usize) {
        for _ in 0..count {
            if let Some(control) = self.streams.next_control() {
                self.check_limit(&control);
                self.in_flight.push(Frame::Control(control));
            } else if let Some(chunk) = self.streams.next_data(room) {
                assert!(chunk.len + 4 <= room);
                self.in_flight.push(Frame::Data(chunk, bytes_of(&self.streams, &chunk)));
            } else {
                return;
            }
        }
    }

    /// Limits announced never fall.
    fn check_limit(&mut self, control: &Control) {
        let (scope, limit) = match *control {
            Control::MaxData { limit } => (None, limit),
            Control::MaxStreamData { id, limit } => (Some(id), limit),
            _ => return,
        };
        let largest = self.largest_limits.entry(scope).or_default();
        assert!(limit >= *largest);
        *largest = limit;
    }
}

fn deliver(to: &mut Streams, frame: &Frame) {
    let result = match frame {
        Frame::Control(control) => deliver_control(to, *control),
        Frame::Data(chunk, data) => to.on_stream(chunk.id, chunk.offset, chunk.fin, data),
    };
    // Also where a credit would be exceeded.
    result.unwrap();
}

fn acked(from: &mut Streams, frame: &Frame) {
    match frame {
        Frame::Control(control) => from.on_control_acked(control),
        Frame::Data(chunk, _) => from.on_data_acked(chunk),
    }
}

fn lost(from: &mut Streams, frame: &Frame) {
    match frame {
        Frame::Control(control) => from.on_control_lost(control),
        Frame::Data(chunk, _) => from.on_data_lost(chunk),
    }
}

/// What becomes of one frame on the link.
fn carry(from: &mut End, to: &mut End, choice: usize, fate: u8) {
    if from.in_flight.is_empty() {
        return;
    }
    let at = choice % from.in_flight.len();
    let frame = from.in_flight[at].clone();
    match fate {
        // Arrives, and so does the acknowledgment.
        0..=4 => {
            deliver(&mut to.streams, &frame);
            acked(&mut from.streams, &frame);
        }
        // Arrives, and stays to arrive again.
        5 => return deliver(&mut to.streams, &frame),
        // Is lost.
        6 => lost(&mut from.streams, &frame),
        // Arrives, the acknowledgment does not.
        7 => {
            deliver(&mut to.streams, &frame);
            lost(&mut from.streams, &frame);
        }
        // Is sent again as a probe, while the first copy is under way.
        8 => return lost(&mut from.streams, &frame),
        // Is called lost too early.
        _ => {
            lost(&mut from.streams, &frame);
            deliver(&mut to.streams, &frame);
            acked(&mut from.streams, &frame);
        }
    }
    from.in_flight.remove(at);
}

#[derive(Clone, Debug)]
enum Op {
    Open { dir: Dir },
    Write { choice: usize, len: usize, owned: bool },
    EndWriting { choice: usize, reset: bool },
    Stop { choice: usize },
    Read { choice: usize, len: usize },
    Poll,
    Send { count: usize, room: usize },
    Carry { choice: usize, fate: u8 },
}

fn op() -> impl Strategy<Value = Op> {
    let choice = any::<u16>().prop_map(usize::from);
    prop_oneof![
        2 => prop_oneof![Just(Dir::Bidi), Just(Dir::Uni)].prop_map(|dir| Op::Open { dir }),
        6 => (choice.clone(), 1usize..6000, any::<bool>())
            .prop_map(|(choice, len, owned)| Op::Write { choice, len, owned }),
        3 => (choice.clone(), 1usize..20).prop_map(|(choice, len)| Op::Write { choice, len, owned: false }),
        1 => (choice.clone(), prop::bool::weighted(0.3))
            .prop_map(|(choice, reset)| Op::EndWriting { choice, reset }),
        1 => choice.clone().prop_map(|choice| Op::Stop { choice }),
        6 => (choice.clone(), 0usize..5000).prop_map(|(choice, len)| Op::Read { choice, len }),
        2 => Just(Op::Poll),
        8 => (1usize..10, 64usize..1500).prop_map(|(count, room)| Op::Send { count, room }),
        16 => (choice, 0u8..10).prop_map(|(choice, fate)| Op::Carry { choice, fate }),
    ]
}

fn run(ends: &mut [End; 2], side: usize, op: &Op) {
    let [client, server] = ends;
    let (end, other) = if side == 0 { (client, server) } else { (server, client) };
    match *op {
        Op::Open { dir } => end.open(dir),
        Op::Write { choice, len, owned } => end.write(choice, len, owned),
        Op::EndWriting { choice, reset } => end.end_writing(choice, reset),
        Op::Stop { choice } => end.stop(choice),
        Op::Read { choice, len } => end.read(choice, len),
        Op::Poll => end.poll(),
        Op::Send { count, room } => end.send(count, room),
        Op::Carry { choice, fate } => carry(end, other, choice, fate),
    }
}

/// Ends every stream over a link that has become good. Returns whether that came to rest.
fn conclude(ends: &mut [End; 2]) -> bool {
    for _ in 0..2000 {
        for side in [0, 1] {
            let [client, server] = ends;
            let (end, other) = if side == 0 { (client, server) } else { (server, client) };
            while end.pick(&end.written, 0).is_some() {
                end.end_writing(0, false);
            }
            for choice in 0..end.read.len() {
                end.read(choice, 4000);
            }
            end.poll();
            end.send(usize::MAX, 1200);
            while !end.in_flight.is_empty() {
                carry(end, other, 0, 0);
            }
            end.poll();
        }
        let is_over = |end: &End| end.streams.is_empty() && !end.streams.has_control() && !end.streams.has_data();
        if ends.iter().all(is_over) {
            return true;
        }
    }
    false
}

fn check_outcome(from: &End, to: &End) {
    for (id, (written, ending)) in &from.written {
        let Some((read, outcome)) = to.read.get(id) else {
            panic!("stream {id} was never seen");
        };
        assert!(read <= written, "stream {id}");
        match outcome {
            Some(Ending::Finished) => {
                assert_eq!(read, written, "stream {id}");
                assert!(matches!(ending, Some(Ending::Finished | Ending::Reset)));
            }
            Some(Ending::Reset) => assert_eq!(*ending, Some(Ending::Reset)),
            Some(Ending::Stopped) => assert!(ending.is_some()),
            None => panic!("stream {id} did not end"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_read_is_what_was_written(
        ops in prop::collection::vec((0usize..2, op()), 1..600),
        max_data in 1000u64..60_000,
        stream_data in 500u64..40_000,
        send_buffer in 100u64..50_000,
        streams in 1u64..6,
    ) {
        let limits = Limits {
            max_data,
            max_stream_data_bidi_local: stream_data,
            max_stream_data_bidi_remote: stream_data / 2 + 1,
            max_stream_data_uni: stream_data,
            max_streams_bidi: streams,
            max_streams_uni: streams,
        };
        let mut ends = [End::new(Side::Client, &limits, send_buffer), End::new(Side::Server, &limits, send_buffer)];
        for (side, op) in &ops {
            run(&mut ends, *side, op);
            for end in &ends {
                // Data to send: bounded by the buffer, segments at most half empty. Data received: by the window,
                // and by a block at each end of each stream; and the spare blocks.
                let open = end.streams.len() as u64;
                let bound = 2 * send_buffer + max_data + open * (64 + 2 * 16_384) + 8 * (16_384 + 2048);
                prop_assert!(end.streams.memory_used() as u64 <= bound);
            }
        }
        prop_assert!(conclude(&mut ends), "it did not come to rest");
        let [client, server] = &ends;
        check_outcome(client, server);
        check_outcome(server, client);
        prop_assert_eq!((client.streams.memory_used(), server.streams.memory_used()), (0, 0));
        prop_assert!(!client.streams.is_blocked_by_flow_control());
    }
}
