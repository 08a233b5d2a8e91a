//! Priorities of streams (RFC 9000 section 2.3): who sends first, and who shares.

mod keyed;
mod pair;
mod stream_pair;

use keyed::Keyed;
use pair::MILLISECOND;
use quillon::packet::Frame;
use quillon::stream::{Chunk, FlowControl, Limits, Priority, Settings, Streams, WriteError};
use quillon::{Dir, Side, StreamId};
use stream_pair::{ROOM, SERVER_UNI};

fn urgency(urgency: u8) -> Priority {
    Priority { urgency, ..Priority::default() }
}

fn send_order(send_order: i64) -> Priority {
    Priority { send_order, ..Priority::default() }
}

fn whole(urgency: u8) -> Priority {
    Priority { urgency, incremental: false, ..Priority::default() }
}

/// A client whose peer allows plenty, with a stream of each priority that has `len` bytes to send.
fn streams(priorities: &[Priority], len: usize) -> (Streams, Vec<StreamId>) {
    let limits = Limits {
        max_data: 1 << 30,
        max_stream_data_uni: 1 << 20,
        max_stream_data_bidi_remote: 1 << 20,
        max_streams_uni: 1 << 20,
        max_streams_bidi: 1 << 20,
        ..Limits::default()
    };
    let mut streams = Streams::new(
        Side::Client,
        &Settings { receive: limits, flow_control: FlowControl::default(), send_buffer: 1 << 30 },
    );
    streams.set_peer_limits(&limits);
    let ids = priorities
        .iter()
        .map(|priority| {
            let id = streams.open(Dir::Uni).unwrap();
            streams.set_priority(id, *priority).unwrap();
            streams.write(id, &vec![0; len]).unwrap();
            id
        })
        .collect();
    (streams, ids)
}

/// The places in `ids` of the streams that send, frame by frame, each run of the same once.
fn order(streams: &mut Streams, ids: &[StreamId]) -> Vec<usize> {
    let mut order: Vec<_> = chunks(streams).iter().map(|chunk| place(ids, chunk)).collect();
    order.dedup();
    order
}

fn chunks(streams: &mut Streams) -> Vec<Chunk> {
    std::iter::from_fn(|| streams.next_data(ROOM)).collect()
}

fn place(ids: &[StreamId], chunk: &Chunk) -> usize {
    ids.iter().position(|id| *id == chunk.id).unwrap()
}

#[test]
fn the_more_urgent_stream_sends_everything_first() {
    let (mut streams, ids) = streams(&[urgency(3), urgency(7), urgency(0), urgency(3)], 1000);
    assert_eq!(order(&mut streams, &ids), [2, 0, 3, 1]);
}

#[test]
fn the_larger_send_order_goes_first_among_equally_urgent_streams() {
    let urgent = Priority { urgency: 1, send_order: i64::MIN, ..Priority::default() };
    let (mut streams, ids) = streams(&[send_order(-1), send_order(i64::MAX), send_order(5), urgent], 1000);
    assert_eq!(order(&mut streams, &ids), [3, 1, 2, 0]);
}

#[test]
fn incremental_streams_of_a_level_share_fairly() {
    let (mut streams, ids) = streams(&[urgency(2); 5], 50_000);
    let mut sent = [0; 5];
    while let Some(chunk) = streams.next_data(ROOM) {
        sent[place(&ids, &chunk)] += chunk.len;
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most - least <= ROOM, "{sent:?}");
    }
    assert_eq!(sent, [50_000; 5]);
}

#[test]
fn other_streams_of_a_level_are_sent_to_their_end_in_order_and_before_incremental_ones() {
    let (mut streams, ids) = streams(&[urgency(3), whole(3), whole(3), urgency(3)], 3000);
    assert_eq!(order(&mut streams, &ids)[..4], [1, 2, 0, 3]);
    // One that has nothing to send holds up no other, and is first again when it has.
    streams.write(ids[2], &[0; 3000]).unwrap();
    streams.write(ids[0], &[0; 3000]).unwrap();
    assert_eq!(streams.next_data(ROOM).unwrap().id, ids[2]);
    streams.write(ids[1], &[0; 3000]).unwrap();
    assert_eq!(streams.next_data(ROOM).unwrap().id, ids[1]);
}

#[test]
fn what_was_lost_goes_first_within_its_level_and_not_before_a_more_urgent_one() {
    let (mut streams, ids) = streams(&[urgency(3), urgency(3), urgency(1)], 1000);
    let chunks = chunks(&mut streams);
    let lost = chunks.iter().find(|chunk| chunk.id == ids[0]).unwrap();
    streams.write(ids[1], b"new").unwrap();
    streams.write(ids[2], b"new").unwrap();
    streams.on_data_lost(lost);
    assert_eq!(order(&mut streams, &ids), [2, 0, 1]);
}

#[test]
fn a_priority_can_change_at_any_time() {
    let (mut streams, ids) = streams(&[urgency(3), urgency(3)], 10_000);
    assert_eq!(streams.priority(ids[0]), Some(urgency(3)));
    streams.set_priority(ids[1], urgency(0)).unwrap();
    for _ in 0..4 {
        assert_eq!(streams.next_data(ROOM).unwrap().id, ids[1]);
    }
    streams.set_priority(ids[1], urgency(200)).unwrap();
    assert_eq!(streams.priority(ids[1]), Some(urgency(7)), "the least urgent");
    assert_eq!(order(&mut streams, &ids), [0, 1]);
}

#[test]
fn only_streams_that_send_have_a_priority() {
    let (mut streams, _) = streams(&[], 0);
    let unknown = Err(WriteError::UnknownStream);
    assert_eq!(streams.set_priority(SERVER_UNI, Priority::default()), unknown);
    streams.on_stream(SERVER_UNI, 0, false, b"x").unwrap();
    assert_eq!(streams.set_priority(SERVER_UNI, Priority::default()), unknown);
    assert_eq!(streams.priority(SERVER_UNI), None);
}

#[test]
fn changing_priorities_and_resets_leave_nothing_behind() {
    let (mut streams, ids) = streams(&[urgency(3); 100], 1000);
    for round in 0..1000 {
        for (n, id) in ids.iter().enumerate() {
            streams.set_priority(*id, urgency(((round + n) % 8) as u8)).unwrap();
        }
    }
    for id in &ids[1..] {
        streams.reset(*id, 0).unwrap();
    }
    assert_eq!(order(&mut streams, &ids), [0]);
    assert!(!streams.has_data());
}

/// W16: the reference has no priorities, and its caller offers the important data first. Ours writes in any order and
/// says what is important.
#[test]
fn on_the_wire_the_urgent_stream_overtakes_what_was_written_before() {
    let mut keyed = Keyed::new();
    let sent = keyed.pair.client.sent.len();
    let client = keyed.client;
    let connection = keyed.pair.client.connection(client);
    let bulk = connection.open(Dir::Uni).unwrap();
    connection.write(bulk, &[0; 200_000]).unwrap();
    keyed.pair.run_for(MILLISECOND);
    let connection = keyed.pair.client.connection(client);
    let urgent = connection.open(Dir::Uni).unwrap();
    connection.set_priority(urgent, urgency(0)).unwrap();
    connection.write(urgent, &[1; 5000]).unwrap();
    connection.finish(urgent).unwrap();
    keyed.pair.settle();
    let order = keyed.frames(Side::Client, sent, |frame| match frame {
        Frame::Stream { id, .. } => Some(*id),
        _ => None,
    });
    let first = order.iter().position(|id| *id == urgent).unwrap();
    let last = order.iter().rposition(|id| *id == urgent).unwrap();
    assert!(first > 0 && last < order.len() - 50, "{first} to {last} of {}", order.len());
    assert!(order[first..=last].iter().all(|id| *id == urgent), "nothing comes between");
}
