//! What connections take of the allocator: nothing for a packet in steady state, and little while they are idle.
#[path = "pair/mod.rs"]
mod pair;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use pair::{End, MILLISECOND, Pair, client_config};
use quillon::{ConnectionHandle, Dir, Ecn, Endpoint, Event, FourTuple, StreamId, Time, Transmit, TransportSettings};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counted for each thread: tests run side by side.
struct Counted;

fn count(allocations: u64, bytes: i64) {
    // A thread that ends frees what it held after its counts are gone.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + allocations));
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: each call goes to the system's allocator as it is; counting allocates nothing.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promise is that of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        // SAFETY: the caller's promise is that of this function.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promise is that of this function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: the caller's promise is that of this function.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Moves the next datagrams that `from` has to send, at once. Tells whether there were any.
fn pass(now: Time, from: &mut Endpoint, to: &mut Endpoint, path: FourTuple, buffer: &mut [u8]) -> bool {
    let Transmit::Send(batch) = from.transmit(now, buffer) else { return false };
    for datagram in buffer[..batch.len].chunks_mut(batch.segment_size) {
        to.receive(now, path, Ecn::NotEct, datagram);
    }
    true
}

/// Drops what the server can read. Returns how many bytes that were.
fn read(server: &mut End) -> usize {
    let mut read = 0;
    while let Some((handle, event)) = server.endpoint.poll_event() {
        let Event::StreamReadable { id } = event else { continue };
        let connection = server.connection(handle);
        while let Ok(len) = connection.peek(id).map(|peek| peek.data.len()) {
            read += connection.consume(id, len).unwrap();
        }
    }
    read
}

/// One round of a transfer from the client: writes, moves, reads. Returns how many bytes were read.
fn round(pair: &mut Pair, (client, id): (ConnectionHandle, StreamId), data: &Bytes, buffer: &mut [u8]) -> usize {
    let (to_server, to_client) = (pair.server.path(), pair.client.path());
    pair.now += MILLISECOND;
    let now = pair.now;
    pair.client.endpoint.handle_timeout(now);
    pair.server.endpoint.handle_timeout(now);
    let connection = pair.client.connection(client);
    while connection.write_bytes(id, &mut data.clone()).is_ok() {}
    let mut bytes = 0;
    while pass(now, &mut pair.client.endpoint, &mut pair.server.endpoint, to_server, buffer) {
        bytes += read(&mut pair.server);
    }
    while pass(now, &mut pair.server.endpoint, &mut pair.client.endpoint, to_client, buffer) {}
    while pair.client.endpoint.poll_event().is_some() {}
    let _ = (pair.client.endpoint.timeout(), pair.server.endpoint.timeout());
    bytes
}

#[test]
fn packets_of_a_bulk_transfer_allocate_nothing_at_either_end() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    let (data, mut buffer) = (Bytes::from(vec![7; 64 << 10]), vec![0; 65_507]);
    // Windows and logs grow to the size of the flight first.
    let mut warm = 0;
    while warm < 32 << 20 {
        warm += round(&mut pair, (client, id), &data, &mut buffer);
    }
    let packets = pair.client.connection(client).stats().packets_sent;
    let allocations = ALLOCATIONS.get();
    let mut read = 0;
    while read < 16 << 20 {
        read += round(&mut pair, (client, id), &data, &mut buffer);
    }
    let allocations = ALLOCATIONS.get() - allocations;
    let packets = pair.client.connection(client).stats().packets_sent - packets;
    assert!(packets > 10_000, "{packets}");
    assert_eq!(allocations, 0, "in {packets} packets");
}

#[test]
fn an_idle_connection_holds_little() {
    let mut pair = Pair::default();
    let config = client_config(TransportSettings::default());
    // The first connection leaves what endpoints and TLS keep for all.
    let mut held = HELD.get();
    for _ in 0..3 {
        held = HELD.get();
        pair.connect_with(&config, "localhost");
        pair.settle();
        for end in [&mut pair.client, &mut pair.server] {
            assert!(end.saw(&Event::HandshakeConfirmed).is_some());
            (end.events, end.sent, end.inbound) = Default::default();
        }
    }
    let held = HELD.get() - held;
    println!("both ends of an idle connection hold {held} bytes");
    assert!(held < 48 << 10, "{held}");
}
