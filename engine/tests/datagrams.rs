//! Datagrams (RFC 9221), through whole connections.

mod keyed;
mod pair;

use bytes::Bytes;
use keyed::Keyed;
use pair::{MILLISECOND, Pair, client_config};
use quillon::error::TransportErrorCode;
use quillon::packet::Frame;
use quillon::{
    Connection, ConnectionError, DatagramId, DatagramSettings, Dir, DropPolicy, EndpointConfig, Event,
    SendDatagramError, Side, TransportSettings,
};

fn with(datagrams: DatagramSettings) -> TransportSettings {
    TransportSettings { datagrams, ..TransportSettings::default() }
}

/// A client with default settings, connected to a server that announces `max_frame_size`.
fn announcing(max_frame_size: u64) -> Keyed {
    let server = with(DatagramSettings { max_frame_size, ..DatagramSettings::default() });
    Keyed::with(TransportSettings::default(), server)
}

fn received(connection: &mut Connection) -> Vec<Bytes> {
    std::iter::from_fn(|| connection.recv_datagram()).collect()
}

fn outcomes(pair: &mut Pair) -> Vec<Event> {
    let outcome = |event: &Event| match event {
        Event::DatagramAcked { .. } | Event::DatagramLost { .. } | Event::DatagramDropped { .. } => Some(event.clone()),
        _ => None,
    };
    std::iter::from_fn(|| pair.client.take(outcome).map(|(_, event)| event)).collect()
}

#[test]
fn datagrams_arrive_whole_and_in_order_and_are_acknowledged_by_id() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let sizes = [0, 1, 63, 64, 1000];
    let ids: Vec<_> = sizes
        .iter()
        .map(|size| pair.client.connection(client).send_datagram(Bytes::from(vec![*size as u8; *size])).unwrap())
        .collect();
    assert_eq!(ids, [0, 1, 2, 3, 4].map(DatagramId));
    assert_eq!(pair.client.connection(client).datagrams_queued(), 5);
    pair.settle();
    assert_eq!(pair.client.connection(client).datagrams_queued(), 0);
    assert!(pair.server.saw(&Event::DatagramReceived).is_some());
    let server = pair.server.connection(server);
    assert_eq!(server.peek_datagram(), Some(&b""[..]));
    assert!(server.consume_datagram());
    let sizes_received: Vec<_> = received(server).iter().map(Bytes::len).collect();
    assert_eq!(sizes_received, sizes[1..]);
    assert_eq!(server.peek_datagram(), None);
    assert!(!server.consume_datagram());
    let acked: Vec<_> = ids.into_iter().map(|id| Event::DatagramAcked { id }).collect();
    assert_eq!(outcomes(&mut pair), acked);
}

/// G1: a peer that announced nothing gets nothing.
#[test]
fn a_peer_without_support_is_named_as_the_reason() {
    let mut keyed = announcing(0);
    let client = keyed.client;
    let connection = keyed.pair.client.connection(client);
    assert_eq!(connection.max_datagram_size(), None);
    assert_eq!(connection.send_datagram(Bytes::new()), Err(SendDatagramError::Unsupported));
}

/// G1: the limit of the peer counts the frame's type and length (RFC 9221 section 3).
#[test]
fn a_datagram_larger_than_the_peer_takes_is_refused_with_its_limit() {
    for (frame, data) in [(2, 0), (65, 63), (66, 63), (67, 64), (500, 497)] {
        let mut keyed = announcing(frame);
        let (client, server) = (keyed.client, keyed.server);
        let connection = keyed.pair.client.connection(client);
        assert_eq!(connection.max_datagram_size(), Some(data), "{frame}");
        let refused = connection.send_datagram(Bytes::from(vec![0; data + 1]));
        assert_eq!(refused, Err(SendDatagramError::TooLargeForPeer { max: data }));
        connection.send_datagram(Bytes::from(vec![0; data])).unwrap();
        keyed.pair.settle();
        assert_eq!(received(keyed.pair.server.connection(server)), [vec![0; data]]);
    }
}

/// G2: unlike the reference, which answers nothing accepted for this, too.
#[test]
fn a_datagram_larger_than_the_path_carries_is_refused_with_the_size_that_fits() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let connection = pair.client.connection(client);
    let max = connection.max_datagram_size().unwrap();
    // 1200 bytes less the first byte, a connection ID of 8, a packet number of 4, the tag of 16 and the frame's type.
    assert_eq!(max, 1200 - 1 - 8 - 4 - 16 - 1);
    let refused = connection.send_datagram(Bytes::from(vec![0; max + 1]));
    assert_eq!(refused, Err(SendDatagramError::TooLargeForPath { max }));
    for size in max - 5..=max {
        pair.client.connection(client).send_datagram(Bytes::from(vec![1; size])).unwrap();
    }
    pair.settle();
    let sizes: Vec<_> = received(pair.server.connection(server)).iter().map(Bytes::len).collect();
    assert_eq!(sizes, (max - 5..=max).collect::<Vec<_>>());
}

/// G2: what congestion control holds back waits, up to the buffer; what exceeds it is refused and says so.
#[test]
fn a_full_queue_refuses_the_newest() {
    let settings = with(DatagramSettings { send_buffer: 3 * 164, ..DatagramSettings::default() });
    let mut pair = Pair::default();
    let client = pair.connect_with(&client_config(settings), "localhost");
    pair.settle();
    for n in 0..3 {
        assert_eq!(pair.client.connection(client).send_datagram(Bytes::from(vec![0; 100])), Ok(DatagramId(n)));
    }
    let full = pair.client.connection(client).send_datagram(Bytes::new());
    assert_eq!(full, Err(SendDatagramError::QueueFull));
    pair.settle();
    assert_eq!(outcomes(&mut pair), [0, 1, 2].map(|n| Event::DatagramAcked { id: DatagramId(n) }));
    pair.client.connection(client).send_datagram(Bytes::new()).unwrap();
}

#[test]
fn a_full_queue_drops_the_oldest_where_that_is_the_policy_and_tells_which() {
    let datagrams = DatagramSettings { send_buffer: 3 * 164, send_policy: DropPolicy::Oldest, ..Default::default() };
    let mut pair = Pair::default();
    let client = pair.connect_with(&client_config(with(datagrams)), "localhost");
    pair.settle();
    for n in 0..5 {
        assert_eq!(pair.client.connection(client).send_datagram(Bytes::from(vec![n as u8; 100])), Ok(DatagramId(n)));
    }
    let large = pair.client.connection(client).send_datagram(Bytes::from(vec![0; 500]));
    assert_eq!(large, Err(SendDatagramError::QueueFull), "larger than the whole buffer");
    pair.settle();
    let dropped = [0, 1].map(|n| Event::DatagramDropped { id: DatagramId(n) });
    let acked = [2, 3, 4].map(|n| Event::DatagramAcked { id: DatagramId(n) });
    assert_eq!(outcomes(&mut pair), [dropped.as_slice(), &acked].concat());
}

#[test]
fn what_is_not_read_is_bounded_and_the_policy_says_what_gives_way() {
    for (receive_policy, kept) in [(DropPolicy::Oldest, [2, 3, 4]), (DropPolicy::Newest, [0, 1, 2])] {
        let datagrams = DatagramSettings { receive_buffer: 3 * 164, receive_policy, ..Default::default() };
        let mut pair = Pair::new(EndpointConfig::default(), with(datagrams));
        let (client, server) = pair.connected();
        let before = pair.server.connection(server).memory_used();
        for n in 0..5 {
            pair.client.connection(client).send_datagram(Bytes::from(vec![n; 100])).unwrap();
        }
        pair.settle();
        assert!(pair.server.saw(&Event::DatagramsOverflowed { count: 2 }).is_some());
        assert!(pair.server.saw(&Event::DatagramReceived).is_some());
        let held = pair.server.connection(server).memory_used() - before;
        assert!((300..1000).contains(&held), "{held}");
        let first_bytes: Vec<_> = received(pair.server.connection(server)).iter().map(|data| data[0]).collect();
        assert_eq!(first_bytes, kept);
    }
}

#[test]
fn what_waits_to_be_sent_is_accounted_until_it_is_sent() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let before = pair.client.connection(client).memory_used();
    for _ in 0..1000 {
        pair.client.connection(client).send_datagram(Bytes::from(vec![0; 900])).unwrap();
    }
    assert!(pair.client.connection(client).memory_used() >= before + 900_000);
    let full = pair.client.connection(client).send_datagram(Bytes::from(vec![0; 1100]));
    assert!(full.is_ok());
    for _ in 0..200 {
        let _ = pair.client.connection(client).send_datagram(Bytes::from(vec![0; 1100]));
    }
    assert!(pair.client.connection(client).memory_used() <= before + (1 << 20) + 1);
    pair.settle();
    assert_eq!(pair.client.connection(client).memory_used(), before);
}

/// G4: lost datagrams are told by id and never sent again.
#[test]
fn a_lost_datagram_is_told_and_not_sent_again() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    pair.client.outbound_filter = Some(Box::new(|_, _| false));
    pair.client.connection(client).send_datagram(Bytes::from_static(b"lost")).unwrap();
    pair.run_for(MILLISECOND);
    pair.client.outbound_filter = None;
    pair.settle();
    assert_eq!(outcomes(&mut pair), [Event::DatagramLost { id: DatagramId(0) }]);
    pair.client.connection(client).send_datagram(Bytes::from_static(b"next")).unwrap();
    pair.settle();
    assert_eq!(received(pair.server.connection(server)), [&b"next"[..]]);
    assert_eq!(outcomes(&mut pair), [Event::DatagramAcked { id: DatagramId(1) }]);
}

/// G3: the check is on the frame, its type and length included (RFC 9221 section 3).
#[test]
fn a_frame_larger_than_announced_is_a_protocol_violation() {
    for (frame_size, payload) in [(0, vec![0x30]), (66, [&[0x31, 0x40, 64][..], &[7; 64]].concat())] {
        let mut keyed = announcing(frame_size);
        keyed.forge_payload(Side::Client, &payload);
        keyed.pair.settle();
        let Some(ConnectionError::Transport { code, by_peer, .. }) = keyed.pair.client.closed() else {
            panic!("{:?}", keyed.pair.client.events)
        };
        assert_eq!((code, by_peer), (TransportErrorCode::PROTOCOL_VIOLATION, true));
    }
    let mut keyed = announcing(66);
    keyed.forge_payload(Side::Client, &[&[0x31, 63][..], &[7; 63]].concat());
    keyed.forge_payload(Side::Client, &[&[0x30][..], &[8; 65]].concat());
    let server = keyed.server;
    assert!(!keyed.pair.server.connection(server).is_closed());
    assert_eq!(received(keyed.pair.server.connection(server)), [vec![7; 63], vec![8; 65]]);
}

/// G5: there is no flag for it: datagrams and stream data share packets as long as there is room.
#[test]
fn small_datagrams_share_a_packet_with_one_another_and_with_streams() {
    let mut keyed = Keyed::new();
    let sent = keyed.pair.client.sent.len();
    let client = keyed.client;
    let connection = keyed.pair.client.connection(client);
    for n in 0..3 {
        connection.send_datagram(Bytes::from(vec![n; 10])).unwrap();
    }
    let id = connection.open(Dir::Uni).unwrap();
    connection.write(id, b"stream").unwrap();
    keyed.pair.settle();
    let payloads = keyed.payloads(Side::Client, sent);
    let kinds = keyed.frames(Side::Client, sent, |frame| match frame {
        Frame::Datagram { .. } => Some("datagram"),
        Frame::Stream { .. } => Some("stream"),
        _ => None,
    });
    assert_eq!(kinds, ["datagram", "datagram", "datagram", "stream"]);
    assert!(payloads[0].len() > 30 + 6);
}

/// Datagrams go before stream data, also those that need a packet of their own; neither stops the other for good.
#[test]
fn streams_do_not_keep_large_datagrams_waiting() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let connection = pair.client.connection(client);
    let id = connection.open(Dir::Uni).unwrap();
    connection.write(id, &[0; 1 << 20]).unwrap();
    let max = connection.max_datagram_size().unwrap();
    for _ in 0..5 {
        pair.client.connection(client).send_datagram(Bytes::from(vec![0; max])).unwrap();
        // The first round trip: the window is full of what was written before.
        pair.run_for(15 * MILLISECOND);
    }
    pair.run_for(30 * MILLISECOND);
    assert_eq!(received(pair.server.connection(server)).len(), 5);
    assert!(pair.server.connection(server).peek(id).is_ok());
}

#[test]
fn datagrams_obey_congestion_control() {
    let mut pair = Pair::default();
    let (client, _) = pair.connected();
    let before = pair.client.sent.len();
    for _ in 0..100 {
        pair.client.connection(client).send_datagram(Bytes::from(vec![0; 1100])).unwrap();
    }
    let window = pair.client.connection(client).stats().congestion_window;
    pair.run_for(5 * MILLISECOND);
    let bytes: usize = pair.client.sent[before..].iter().map(Vec::len).sum();
    assert!(bytes as u64 <= window + 1200, "{bytes} of {window}");
    assert!(pair.client.connection(client).datagrams_queued() > 50);
    pair.settle();
    assert_eq!(outcomes(&mut pair).len(), 100);
}

#[test]
fn outcomes_that_nobody_polls_hold_new_datagrams_back() {
    let mut datagrams = quillon::datagram::Datagrams::new(&DatagramSettings::default());
    datagrams.set_peer_max_frame_size(100);
    let mut accepted = 0;
    for _ in 0..2 * quillon::datagram::MAX_OUTCOMES {
        if let Ok(id) = datagrams.send(Bytes::new(), 100) {
            accepted += 1;
            assert_eq!(datagrams.take_front().map(|(front, _)| front), Some(id));
            datagrams.on_acked(id);
        }
    }
    assert_eq!(accepted, quillon::datagram::MAX_OUTCOMES);
}

#[test]
fn datagrams_that_no_longer_fit_are_dropped_when_their_turn_comes() {
    let mut datagrams = quillon::datagram::Datagrams::new(&DatagramSettings::default());
    datagrams.set_peer_max_frame_size(2000);
    let large = datagrams.send(Bytes::from(vec![0; 1300]), 1400).unwrap();
    let small = datagrams.send(Bytes::from(vec![0; 100]), 1400).unwrap();
    assert_eq!(datagrams.front(1100).map(Bytes::len), Some(100));
    assert_eq!(datagrams.poll_event(), Some(quillon::datagram::DatagramEvent::Dropped(large)));
    assert_eq!(datagrams.take_front().map(|(id, _)| id), Some(small));
}

#[test]
fn after_a_close_nothing_is_sent_and_what_arrived_can_be_read() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    pair.client.connection(client).send_datagram(Bytes::from_static(b"bye")).unwrap();
    pair.run_for(MILLISECOND);
    let now = pair.now;
    pair.client.connection(client).close(now, 1, b"");
    assert_eq!(pair.client.connection(client).send_datagram(Bytes::new()), Err(SendDatagramError::Closed));
    assert_eq!(pair.client.connection(client).max_datagram_size(), None);
    pair.run_for(11 * MILLISECOND);
    assert!(pair.server.connection(server).is_closed());
    let told: Vec<_> = pair.server.events.iter().map(|(_, event)| event.clone()).collect();
    let at = |wanted: fn(&Event) -> bool| told.iter().position(wanted).unwrap();
    assert!(at(|event| *event == Event::DatagramReceived) < at(|event| matches!(event, Event::Closed(_))));
    assert_eq!(received(pair.server.connection(server)), [&b"bye"[..]]);
}

/// G4: whatever is lost, each accepted datagram has one outcome and arrives once at most; one that was acknowledged
/// arrived.
#[test]
fn under_loss_each_datagram_has_one_outcome() {
    let mut pair = Pair::default();
    let (client, server) = pair.connected();
    let (mut up, mut down) = (0u32, 0u32);
    pair.client.outbound_filter = Some(Box::new(move |_, _| {
        up += 1;
        up * 7 % 5 != 0
    }));
    pair.server.outbound_filter = Some(Box::new(move |_, _| {
        down += 1;
        down * 11 % 7 != 0
    }));
    let stream = pair.client.connection(client).open(Dir::Uni).unwrap();
    let (mut accepted, mut arrived) = (0, Vec::new());
    for n in 0..300u64 {
        let connection = pair.client.connection(client);
        let _ = connection.write(stream, &[0; 2000]);
        let mut data = vec![0; (n as usize * 37) % 1100 + 8];
        data[..8].copy_from_slice(&n.to_be_bytes());
        assert_eq!(connection.send_datagram(data.into()), Ok(DatagramId(n)));
        accepted += 1;
        pair.run_for(2 * MILLISECOND);
        let connection = pair.server.connection(server);
        arrived.extend(received(connection).iter().map(|data| u64::from_be_bytes(data[..8].try_into().unwrap())));
        while let Ok(len) = connection.peek(stream).map(|peek| peek.data.len()) {
            connection.consume(stream, len).unwrap();
        }
    }
    pair.run_for(10 * pair::SECOND);
    let late = received(pair.server.connection(server));
    arrived.extend(late.iter().map(|data| u64::from_be_bytes(data[..8].try_into().unwrap())));
    let (mut ended, mut lost) = (Vec::new(), 0);
    for outcome in outcomes(&mut pair) {
        match outcome {
            Event::DatagramAcked { id } => {
                assert!(arrived.contains(&id.0));
                ended.push(id.0);
            }
            Event::DatagramLost { id } => {
                lost += 1;
                ended.push(id.0);
            }
            other => panic!("{other:?}"),
        }
    }
    ended.sort_unstable();
    assert_eq!(ended, (0..accepted).collect::<Vec<_>>());
    assert!(lost > 10 && lost < 200, "{lost}");
    arrived.sort_unstable();
    assert!(arrived.is_sorted_by(|a, b| a < b), "none twice");
}
