//! The QUIC bit under RFC 9287: random where both ends want it, taken where we announced it, and checked where not.

mod puppet;

use quillon::packet::Frame;
use quillon::wire::Level;
use quillon::{Dir, Event, Side, StreamId, TransportSettings};

use puppet::Puppets;
use puppet::forge::{Forge, encode};
use puppet::pair::{Pair, client_config, server_config};

const QUIC_BIT: u8 = 0x40;

fn settings(grease_quic_bit: bool) -> TransportSettings {
    TransportSettings { grease_quic_bit, ..TransportSettings::default() }
}

/// How many datagrams each end sent with the bit clear and set, the client's first.
fn transfer(client: bool, server: bool) -> [(usize, usize); 2] {
    let mut puppets = Puppets::with_configs(&client_config(settings(client)), &server_config(settings(server)));
    let handle = puppets.connect();
    let pair = &mut puppets.pair;
    pair.settle();
    let id = pair.client.connection(handle).open(Dir::Bidi).unwrap();
    pair.client.connection(handle).write(id, &[1; 200_000]).unwrap();
    pair.settle();
    let server = pair.server.saw(&Event::HandshakeComplete).unwrap();
    let mut len = 0;
    let mut buffer = [0; 10_000];
    while let Ok(read) = pair.server.connection(server).read(id, &mut buffer) {
        len += read.len;
    }
    assert_eq!(len, 200_000);
    assert_eq!((pair.client.closed(), pair.server.closed()), (None, None));
    let count = |sent: &[Vec<u8>]| {
        let clear = sent.iter().filter(|datagram| datagram[0] & QUIC_BIT == 0).count();
        (clear, sent.len() - clear)
    };
    [count(&pair.client.sent), count(&pair.server.sent)]
}

#[test]
fn the_bit_is_random_where_both_ends_announce_it() {
    for (clear, set) in transfer(true, true) {
        assert!(clear > 10 && set > 10, "{clear} clear, {set} set");
    }
    for (client, server) in [(true, false), (false, true), (false, false)] {
        assert_eq!(transfer(client, server).map(|(clear, _)| clear), [0, 0], "{client} {server}");
    }
}

#[test]
fn a_client_keeps_the_bit_until_it_knows_the_server() {
    let mut pair = Pair::default();
    pair.connect();
    pair.run_for(pair.latency);
    let lost: Vec<_> = pair.client.sent.clone();
    assert!(!lost.is_empty() && lost.iter().all(|datagram| datagram[0] & QUIC_BIT != 0));
}

/// P10: a packet with the bit clear is taken exactly where we announced that.
#[test]
fn p10_a_clear_bit_is_taken_only_where_it_was_announced() {
    for me in [Side::Client, Side::Server] {
        for announced in [true, false] {
            let (mut puppets, handles) = Puppets::connected(settings(announced));
            let mut forge = puppets.forge(me.peer(), Level::OneRtt);
            forge.turned_bits = QUIC_BIT;
            let id = StreamId::new(me.peer(), Dir::Uni, 0);
            let frame = encode(&Frame::Stream { id, offset: 0, fin: true, data: b"data" });
            puppets.inject(me, forge.datagram(&frame));
            let handle = handles[usize::from(me == Side::Server)];
            let read = puppets.pair.end(me).connection(handle).read(id, &mut [0; 10]);
            assert_eq!(read.is_ok(), announced, "{me:?}");
        }
    }
}

/// P10: a first Initial with the bit clear is taken from a client only that shows a token of ours.
#[test]
fn p10_a_first_initial_with_a_clear_bit_needs_a_token() {
    let mut puppets = Puppets::default();
    puppets.connect();
    let now = puppets.pair.now;
    puppets.pair.client.transmit(now);
    let mut forge = Forge::initial(&puppets.pair.client.sent[0]);
    forge.turned_bits = QUIC_BIT;
    let ping = forge.datagram(&encode(&Frame::Ping));
    puppets.inject(Side::Server, ping);
    assert_eq!(puppets.pair.server.endpoint.connection_count(), 0);
    forge.turned_bits = 0;
    let ping = forge.datagram(&encode(&Frame::Ping));
    puppets.inject(Side::Server, ping);
    assert_eq!(puppets.pair.server.endpoint.connection_count(), 1);
}
