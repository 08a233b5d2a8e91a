//! What becomes of packets that are late, doubled, damaged or not for us, and of frames that no packet may carry.

mod puppet;

use quillon::error::TransportErrorCode as Code;
use quillon::packet::Frame;
use quillon::wire::Level;
use quillon::{ConnectionError, Dir, Event, Idle, Side, StreamId, Transmit, TransportSettings};

use puppet::Puppets;
use puppet::forge::{Forge, encode};

const BOTH: [Side; 2] = [Side::Client, Side::Server];

fn data_frame(from: Side, index: u64) -> Vec<u8> {
    let id = StreamId::new(from, Dir::Uni, index);
    encode(&Frame::Stream { id, offset: 0, fin: true, data: b"data" })
}

/// How many streams the end on `side` was told of.
fn opened(puppets: &mut Puppets, side: Side) -> usize {
    let now = puppets.pair.now;
    let end = puppets.pair.end(side);
    end.transmit(now);
    std::iter::from_fn(|| end.take(|event| matches!(event, Event::StreamOpened { .. }).then_some(()))).count()
}

/// P1, P2: a server closes with PROTOCOL_VIOLATION for Initial packets too, although anyone can make them; the reference
/// discards an empty one, RFC 9000 section 12.4 does not.
#[test]
fn p1_p2_reserved_bits_and_no_frames_in_initial_packets() {
    for (turned_bits, payload, code) in [
        (0x0c, encode(&Frame::Ping), Code::PROTOCOL_VIOLATION),
        (0x00, Vec::new(), Code::PROTOCOL_VIOLATION),
        (0x00, encode(&Frame::MaxData { limit: 1 }), Code::PROTOCOL_VIOLATION),
        (0x00, vec![0x21], Code::FRAME_ENCODING_ERROR),
    ] {
        let mut puppets = Puppets::default();
        puppets.connect();
        // A first Initial that breaks the rules leaves no connection: here there is one.
        puppets.pair.run_for(puppets.pair.latency);
        let mut forge = Forge::initial(&puppets.pair.client.sent[0]);
        forge.turned_bits = turned_bits;
        let datagram = forge.datagram(&payload);
        puppets.inject(Side::Server, datagram);
        puppets.assert_closes(Side::Server, code, "9000 12.4 and 17.2 in Initial");
    }
}

/// P5: an acknowledgment of a number that was not sent: beyond the last, or below the first where the settings let
/// numbers begin higher. Ranges below zero are FRAME_ENCODING_ERROR (RFC 9000 section 19.3.1); the reference has a code
/// of its own for them.
#[test]
fn p5_acknowledgments_of_what_was_not_sent() {
    let never = [0x02, 0x7f, 0xff, 0x00, 0x00, 0x00].to_vec();
    let below_first = [0x02, 0x05, 0x00, 0x00, 0x00].to_vec();
    let below_zero = [0x02, 0x05, 0x00, 0x00, 0x06].to_vec();
    for me in BOTH {
        for (first, ack, code) in [
            (0, &never, Code::PROTOCOL_VIOLATION),
            (1000, &below_first, Code::PROTOCOL_VIOLATION),
            (0, &below_zero, Code::FRAME_ENCODING_ERROR),
        ] {
            let transport = TransportSettings { initial_packet_number: first, ..TransportSettings::default() };
            let (mut puppets, _) = Puppets::connected(transport);
            let mut forge = puppets.forge(me.peer(), Level::OneRtt);
            forge.packet_number += u64::from(first);
            puppets.inject(me, forge.datagram(ack));
            puppets.assert_closes(me, code, "9000 13.1 and 19.3.1: ACK");
        }
    }
}

/// P7: a packet that comes twice is processed once.
#[test]
fn p7_duplicates_are_ignored() {
    for me in BOTH {
        let (mut puppets, handles) = Puppets::connected(TransportSettings::default());
        let handle = handles[usize::from(me == Side::Server)];
        let mut forge = puppets.forge(me.peer(), Level::OneRtt);
        let datagram = forge.datagram(&data_frame(me.peer(), 0));
        let before = puppets.pair.end(me).connection(handle).stats();
        for _ in 0..5 {
            puppets.inject(me, datagram.clone());
        }
        let after = puppets.pair.end(me).connection(handle).stats();
        assert_eq!(after.packets_received - before.packets_received, 1);
        assert_eq!(after.packets_dropped - before.packets_dropped, 4);
        assert_eq!(opened(&mut puppets, me), 1);
    }
}

/// P8: of the packets of a datagram those for another connection ID than the first are ignored.
#[test]
fn p8_coalesced_packets_are_for_one_connection_id() {
    let mut puppets = Puppets::default();
    puppets.connect();
    // The server has answered, the client has its keys, and nothing has come back.
    puppets.pair.run_for(puppets.pair.latency);
    puppets.pair.client.outbound_filter = Some(Box::new(|_, _| false));
    puppets.pair.run_for(puppets.pair.latency);
    let mut handshake = puppets.forge(Side::Client, Level::Handshake);
    let (suite, secret) = puppets.client_tap.secret(Level::Handshake);
    let other = quillon::wire::ConnectionId::new(&[7; 8]).unwrap();
    let source =
        puppets.pair.client.sent.last().map(|last| quillon::packet::parse_greased(last, 8).unwrap().scid).unwrap();
    let mut stray = Forge::long(quillon::packet::PacketType::Handshake, other, source, suite, &secret);
    stray.packet_number = 2000;
    let ping = encode(&Frame::Ping);
    let server = puppets.pair.server.saw(&Event::Accepted).unwrap();
    let count = |puppets: &mut Puppets| puppets.pair.server.connection(server).stats().packets_received;
    let before = count(&mut puppets);
    let both = [handshake.packet(&ping), handshake.packet(&ping)].concat();
    puppets.inject(Side::Server, both);
    assert_eq!(count(&mut puppets) - before, 2);
    let mixed = [handshake.packet(&ping), stray.packet(&ping), handshake.packet(&ping)].concat();
    puppets.inject(Side::Server, mixed);
    assert_eq!(count(&mut puppets) - before, 4, "the stray packet is ignored, what follows it is not");
}

/// P9: packets that fail authentication are dropped and counted, and change nothing; the limit on their number is
/// tested beside the keys.
#[test]
fn p9_undecryptable_packets_are_dropped_and_counted() {
    for me in BOTH {
        let (mut puppets, handles) = Puppets::connected(TransportSettings::default());
        let handle = handles[usize::from(me == Side::Server)];
        let mut forge = puppets.forge(me.peer(), Level::OneRtt);
        let before = puppets.pair.end(me).connection(handle).stats();
        let memory = puppets.pair.end(me).connection(handle).memory_used();
        for round in 0..200u8 {
            let mut datagram = forge.datagram(&data_frame(me.peer(), round.into()));
            let last = datagram.len() - 1;
            datagram[last] ^= 1 + round;
            puppets.inject(me, datagram);
        }
        let after = puppets.pair.end(me).connection(handle).stats();
        assert_eq!(after.packets_received, before.packets_received);
        assert_eq!(after.packets_dropped - before.packets_dropped, 200);
        assert_eq!(puppets.pair.end(me).connection(handle).memory_used(), memory);
        assert_eq!(opened(&mut puppets, me), 0);
        puppets.assert_open("noise");
    }
}

/// E1: the error that closed a connection is told once, the close is sent once for it, and whatever is called afterwards
/// is defined: commands are refused by their own errors, input is ignored, nothing panics.
#[test]
fn e1_a_closed_connection_refuses_and_does_not_panic() {
    for me in BOTH {
        let (mut puppets, handles) = Puppets::connected(TransportSettings::default());
        let handle = handles[usize::from(me == Side::Server)];
        let mut forge = puppets.forge(me.peer(), Level::OneRtt);
        let open = puppets.pair.end(me).connection(handle).open(Dir::Bidi).unwrap();
        puppets.inject(me, forge.datagram(&[0x21]));
        let now = puppets.pair.now;
        let end = puppets.pair.end(me);
        assert_eq!(end.transmit(now).len(), 1);
        assert!(matches!(end.closed(), Some(ConnectionError::Transport { by_peer: false, .. })));
        for _ in 0..3 {
            let connection = end.connection(handle);
            assert!(connection.is_closed() && !connection.is_drained());
            assert!(connection.open(Dir::Uni).is_err());
            assert!(connection.write(open, b"x").is_err());
            assert!(connection.finish(open).is_err());
            assert!(connection.reset(open, 0).is_err());
            assert!(connection.stop_sending(open, 0).is_err());
            assert!(connection.initiate_key_update(now).is_err());
            connection.close(now, 1, b"again");
            end.endpoint.handle_timeout(now);
            assert_eq!((end.transmit(now).len(), end.closed()), (0, None));
        }
        puppets.pair.settle();
        let end = puppets.pair.end(me);
        assert!(end.saw(&Event::Drained).is_some());
        assert!(end.endpoint.connection(handle).is_none());
    }
}

/// E2: what blocks one stream blocks nothing else: the connection lives and others go on.
#[test]
fn e2_a_blocked_stream_is_no_error_of_the_connection() {
    let transport = TransportSettings {
        initial_max_stream_data_uni: 1000,
        initial_max_streams_bidi: 1,
        ..TransportSettings::default()
    };
    let (mut puppets, [client, _]) = Puppets::connected(transport);
    let connection = puppets.pair.client.connection(client);
    let blocked = connection.open(Dir::Uni).unwrap();
    assert_eq!(connection.write(blocked, &[1; 2000]), Ok(1000));
    assert!(connection.write(blocked, &[1; 2000]).is_err());
    let free = connection.open(Dir::Bidi).unwrap();
    assert!(connection.open(Dir::Bidi).is_err());
    assert_eq!(connection.write(free, &[2; 2000]), Ok(2000));
    puppets.pair.settle();
    let server =
        puppets.pair.server.take(|event| matches!(event, Event::StreamReadable { .. }).then_some(())).unwrap().0;
    assert_eq!(puppets.pair.server.connection(server).read(free, &mut [0; 4000]).unwrap().len, 2000);
    puppets.assert_open("a blocked stream");
}

/// E3, E4: a first Initial that cannot be decrypted leaves no connection and is not answered.
#[test]
fn e4_a_first_packet_of_no_use_leaves_nothing() {
    let mut puppets = Puppets::default();
    puppets.connect();
    let now = puppets.pair.now;
    let mut first = puppets.pair.client.transmit(now).remove(0);
    *first.last_mut().unwrap() ^= 1;
    puppets.inject(Side::Server, first);
    assert_eq!(puppets.pair.server.endpoint.connection_count(), 0);
    assert!(puppets.pair.server.transmit(now).is_empty());
    assert_eq!((puppets.pair.server.endpoint.timeout(), puppets.pair.server.endpoint.memory_used()), (None, 0));
}

/// E5: a buffer that is too small is told as such, whatever waits, and loses nothing; `transmit` has no other failure.
#[test]
fn e5_a_buffer_that_is_too_small_loses_nothing() {
    let (mut puppets, [client, server]) = Puppets::connected(TransportSettings::default());
    let now = puppets.pair.now;
    let end = &mut puppets.pair.client;
    let id = end.connection(client).open(Dir::Uni).unwrap();
    end.connection(client).write(id, b"data").unwrap();
    for len in [0, 1, 100, 1199] {
        assert_eq!(end.endpoint.transmit(now, &mut vec![0; len]), Transmit::Idle(Idle::BufferTooSmall));
    }
    puppets.pair.settle();
    assert_eq!(puppets.pair.server.connection(server).read(id, &mut [0; 10]).unwrap().len, 4);
}
