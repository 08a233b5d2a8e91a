//! What a call of `transmit` puts into the buffer: datagrams of one size for one path, as segmentation offload wants
//! them, and no more of them at once than the path is given.

mod pair;

use pair::{MILLISECOND, Pair, client_config};
use quillon::{ConnectionHandle, Dir, Idle, Outgoing, Transmit, TransportSettings};

/// A connected pair whose client has written `len` bytes to a stream.
fn with_data(len: usize) -> (Pair, ConnectionHandle) {
    let mut pair = Pair::default();
    // No probes for larger datagrams among them.
    let settings = TransportSettings { max_udp_payload_size: 1200, ..TransportSettings::default() };
    let client = pair.connect_with(&client_config(settings), "localhost");
    pair.settle();
    let connection = pair.client.connection(client);
    let id = connection.open(Dir::Uni).unwrap();
    assert_eq!(connection.write(id, &vec![7; len]), Ok(len));
    (pair, client)
}

/// Everything that the client has to send now, through a buffer of `size` bytes, and why it stops.
fn batches(pair: &mut Pair, size: usize) -> (Vec<Outgoing>, Idle) {
    let (mut batches, mut buffer) = (Vec::new(), vec![0; size]);
    loop {
        match pair.client.endpoint.transmit(pair.now, &mut buffer) {
            Transmit::Send(outgoing) => {
                // The link of the pair carries them, so that the transfer goes on.
                for datagram in buffer[..outgoing.len].chunks(outgoing.segment_size) {
                    pair.server.inbound.push_back((pair.now + pair.latency, datagram.to_vec()));
                }
                batches.push(outgoing);
            }
            Transmit::Idle(idle) => return (batches, idle),
        }
    }
}

/// A1, A2: all datagrams of a batch are as large as the first, but for the last, which may be smaller and ends it; they
/// are for one path, and as many as the buffer holds.
#[test]
fn datagrams_of_a_batch_have_one_size() {
    for datagrams_in_buffer in [1, 3, 64] {
        let (mut pair, client) = with_data(9_000);
        let size = pair.client.connection(client).stats().max_udp_payload_size as usize;
        let (batches, idle) = batches(&mut pair, datagrams_in_buffer * size);
        assert_eq!(idle, Idle::Nothing);
        let (last, full) = batches.split_last().unwrap();
        let sent: usize = batches.iter().map(|batch| batch.len).sum();
        assert!((9_000..10_000).contains(&sent), "{sent}");
        for batch in full {
            assert_eq!((batch.segment_size, batch.len % size), (size, 0), "{batches:?}");
        }
        assert!(last.segment_size <= size && last.len % size != 0, "the rest is smaller: {batches:?}");
        for batch in &batches {
            assert!(batch.len <= datagrams_in_buffer * size);
            assert_eq!((batch.path, batch.ecn), (pair.client.path(), batches[0].ecn));
        }
        let expected = sent.div_ceil(size).div_ceil(datagrams_in_buffer);
        assert_eq!(batches.len(), expected, "the buffer is filled: {batches:?}");
    }
}

/// A1: what is smaller than the first stands alone or ends a batch, and a larger one never follows: in a whole transfer,
/// acknowledgments, probes of any kind and changing datagram sizes included.
#[test]
fn no_datagram_is_larger_than_the_first_of_its_batch() {
    let (mut pair, _) = with_data(200_000);
    let (mut several, mut sent) = (0, 0);
    // A link without delay: every millisecond both ends take what the other has sent.
    for _ in 0..200 {
        pair.now += MILLISECOND;
        pair.client.endpoint.handle_timeout(pair.now);
        pair.server.endpoint.handle_timeout(pair.now);
        let (batches, _) = batches(&mut pair, 20_000);
        for batch in &batches {
            assert!(batch.segment_size > 0 && batch.segment_size <= batch.len && batch.len <= 20_000, "{batch:?}");
            several += usize::from(batch.len > batch.segment_size);
            sent += batch.len;
        }
        for (_, datagram) in std::mem::take(&mut pair.server.inbound) {
            pair.server.inject(pair.now, datagram);
        }
        for datagram in pair.server.transmit(pair.now) {
            pair.client.inject(pair.now, datagram);
        }
    }
    assert!(several > 5 && sent > 200_000, "{several} batches of several datagrams, {sent} bytes");
}

/// A3: what is sent at once is bounded by pacing and the congestion window, whatever the buffer holds, and `transmit`
/// says so; it counts what it hands out as sent now, and asks for no call afterwards.
#[test]
fn a_burst_is_bounded_whatever_the_buffer_holds() {
    let (mut pair, client) = with_data(100_000);
    let window = pair.client.connection(client).stats().congestion_window as usize;
    let (burst, idle) = batches(&mut pair, 1 << 20);
    let len: usize = burst.iter().map(|batch| batch.len).sum();
    assert!(len > 10_000 && len <= window, "{len} of {window}");
    assert!(matches!(idle, Idle::Pacing | Idle::CongestionWindow), "{idle:?}");
    // Another call at the same time sends nothing more, for the same reason.
    let again = pair.client.endpoint.connection_mut(client).unwrap().transmit(pair.now, &mut [0; 20_000]);
    assert_eq!(again, Transmit::Idle(idle));
}

/// W15: a batch is complete in itself: bytes, path and ECN mark. It is counted as sent by the call that made it.
#[test]
fn a_batch_is_counted_when_it_is_made() {
    let (mut pair, client) = with_data(3_000);
    let before = pair.client.connection(client).stats();
    let (batches, _) = batches(&mut pair, 65_535);
    let after = pair.client.connection(client).stats();
    let sent: usize = batches.iter().map(|batch| batch.len).sum();
    assert_eq!(after.bytes_sent - before.bytes_sent, sent as u64);
    assert!(after.bytes_in_flight >= 3_000);
    assert!(pair.client.endpoint.timeout().is_some(), "the probe timeout runs");
}
