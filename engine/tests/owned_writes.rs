//! Bytes that are handed over, out and in: not copied but into packets, kept until acknowledged, then let go.

mod pair;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use pair::{MILLISECOND, Pair, client_config};
use quillon::stream::{ReadError, WriteError};
use quillon::{ConnectionHandle, Dir, Event, StreamId, TransportSettings};

/// A caller's buffer that counts how often one like it was let go.
struct Lent {
    bytes: Vec<u8>,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn lend(len: usize, dropped: &Arc<AtomicUsize>) -> Bytes {
    Bytes::from_owner(Lent { bytes: vec![9; len], dropped: Arc::clone(dropped) })
}

fn dropped(count: &Arc<AtomicUsize>) -> usize {
    count.load(Ordering::Relaxed)
}

/// A pair whose client has a stream.
fn with_stream() -> (Pair, ConnectionHandle, ConnectionHandle, StreamId) {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    (pair, client, server, id)
}

fn acked(pair: &mut Pair) -> Vec<u64> {
    let offset = |event: &Event| if let Event::StreamAcked { offset, .. } = event { Some(*offset) } else { None };
    std::iter::from_fn(|| pair.client.take(offset).map(|(_, offset)| offset)).collect()
}

/// O1, O4: the engine holds on to the caller's memory until the peer has the bytes, with or without events, and the
/// caller need not keep anything.
#[test]
fn handed_over_memory_is_held_until_it_is_acknowledged_and_no_longer() {
    let (mut pair, client, _, id) = with_stream();
    let count = Arc::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    let mut data = lend(3000, &count);
    assert_eq!(pair.client.connection(client).write_bytes(id, &mut data), Ok(3000));
    drop(data);
    pair.run_for(50 * MILLISECOND);
    assert_eq!(dropped(&count), 0, "sent, and lost");
    pair.client.outbound_filter = None;
    pair.settle();
    assert_eq!(dropped(&count), 1);
    assert_eq!(acked(&mut pair), [], "nobody asked to be told");
}

/// O2: offsets only grow, and nothing is told twice. That the end arrived is told as [`Event::StreamFinished`] instead of
/// by a length of 0.
#[test]
fn acknowledged_offsets_grow_to_the_end() {
    let (mut pair, client, server, id) = with_stream();
    let count = Arc::default();
    pair.client.connection(client).set_acked_events(id, true).unwrap();
    let mut written = 0;
    let mut told = Vec::new();
    for _ in 0..100 {
        if written < 500_000 {
            let mut data = lend(10_000, &count);
            written += pair.client.connection(client).write_bytes(id, &mut data).unwrap_or(0);
        }
        pair.run_for(5 * MILLISECOND);
        let before = told.len();
        told.extend(acked(&mut pair));
        // What was told is what was let go.
        if told.len() > before {
            assert_eq!(dropped(&count) as u64, told.last().unwrap() / 10_000);
        }
    }
    assert_eq!((written, told.last()), (500_000, Some(&500_000)));
    assert!(told.len() > 2 && told.is_sorted_by(|a, b| a < b), "{told:?}");
    pair.client.connection(client).finish(id).unwrap();
    pair.settle();
    assert!(pair.client.saw(&Event::StreamFinished { id }).is_some());
    assert_eq!(acked(&mut pair), [], "no more bytes");
    assert!(pair.server.connection(server).peek(id).is_ok());
}

/// O2: events that are not polled do not pile up.
#[test]
fn acknowledgments_of_a_stream_are_told_as_one() {
    let (mut pair, client, _, id) = with_stream();
    pair.client.connection(client).set_acked_events(id, true).unwrap();
    for _ in 0..10 {
        pair.client.connection(client).write(id, &[0; 500]).unwrap();
        pair.run_for(MILLISECOND);
    }
    pair.settle();
    let told = acked(&mut pair);
    assert!(told.len() <= 10 && told.last() == Some(&5000), "{told:?}");
    pair.client.connection(client).set_acked_events(id, false).unwrap();
    pair.client.connection(client).write(id, &[0; 500]).unwrap();
    pair.settle();
    assert_eq!(acked(&mut pair), []);
}

/// O3: a reset lets the memory go at once, and nothing is told of what the peer may have got.
#[test]
fn a_reset_lets_memory_go_without_a_word_on_acknowledgment() {
    let (mut pair, client, _, id) = with_stream();
    let count = Arc::default();
    pair.client.connection(client).set_acked_events(id, true).unwrap();
    let mut data = lend(3000, &count);
    pair.client.connection(client).write_bytes(id, &mut data).unwrap();
    pair.run_for(MILLISECOND);
    assert_eq!(dropped(&count), 0);
    pair.client.connection(client).reset(id, 4).unwrap();
    assert_eq!((data.len(), dropped(&count)), (0, 1));
    pair.settle();
    assert_eq!(acked(&mut pair), []);
    assert!(pair.client.saw(&Event::StreamClosed { id, error: Some(4) }).is_some());
}

/// O6: a connection that is gone lets go of everything, and tells nothing of its streams.
#[test]
fn a_closed_connection_lets_memory_go_without_an_event_for_each_stream() {
    let (mut pair, client, _, id) = with_stream();
    let count = Arc::default();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    for _ in 0..3 {
        pair.client.connection(client).write_bytes(id, &mut lend(3000, &count)).unwrap();
    }
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    pair.run_for(5 * pair::SECOND);
    assert!(pair.client.saw(&Event::Drained).is_some());
    assert_eq!(dropped(&count), 3);
    assert!(pair.client.saw(&Event::StreamClosed { id, error: None }).is_none());
}

#[test]
fn what_was_not_taken_stays_with_the_caller() {
    let transport = TransportSettings { send_buffer: 5000, ..TransportSettings::default() };
    let mut pair = Pair::default();
    let client = pair.connect_with(&client_config(transport), "localhost");
    pair.settle();
    let connection = pair.client.connection(client);
    let id = connection.open(Dir::Uni).unwrap();
    let mut data = Bytes::from(vec![1; 8000]);
    assert_eq!(connection.write_bytes(id, &mut data), Ok(5000));
    assert_eq!(data.len(), 3000);
    assert_eq!(connection.write_bytes(id, &mut data), Err(WriteError::Blocked));
    assert_eq!(data.len(), 3000);
    pair.settle();
    assert!(pair.client.saw(&Event::StreamWritable { id }).is_some());
    assert_eq!(pair.client.connection(client).write_bytes(id, &mut data), Ok(3000));
}

#[test]
fn large_chunks_are_read_without_a_copy_and_count_no_longer() {
    let (mut pair, client, server, id) = with_stream();
    let sent: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
    let connection = pair.client.connection(client);
    assert_eq!(connection.write_bytes(id, &mut Bytes::from(sent.clone())), Ok(100_000));
    connection.finish(id).unwrap();
    pair.settle();
    let connection = pair.server.connection(server);
    let before = connection.memory_used();
    let (mut received, mut chunks) = (Vec::new(), 0);
    loop {
        let peeked = connection.peek(id).unwrap().data.as_ptr();
        let chunk = connection.read_chunk(id, usize::MAX).unwrap();
        assert!(chunk.data.len() < 4096 || chunk.data.as_ptr() == peeked, "{} bytes were copied", chunk.data.len());
        received.extend_from_slice(&chunk.data);
        chunks += 1;
        if chunk.finished {
            break;
        }
    }
    assert_eq!((received, chunks), (sent, 7));
    assert!(connection.memory_used() + 90_000 < before);
    assert_eq!(connection.read_chunk(id, 1), Err(ReadError::UnknownStream), "the end was told");
}

#[test]
fn chunks_are_as_small_as_asked_for() {
    let (mut pair, client, server, id) = with_stream();
    pair.client.connection(client).write(id, b"abcdef").unwrap();
    pair.settle();
    let connection = pair.server.connection(server);
    let chunk = connection.read_chunk(id, 4).unwrap();
    assert_eq!((&chunk.data[..], chunk.finished), (&b"abcd"[..], false));
    assert_eq!(&connection.read_chunk(id, 100).unwrap().data[..], b"ef");
    assert_eq!(connection.read_chunk(id, 100), Err(ReadError::Blocked));
}
