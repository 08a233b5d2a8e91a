//! When keys are updated, by either end, and what becomes of the old ones (RFC 9001 section 6).

mod puppet;

use quillon::crypto::{self, CipherSuite, Secret};
use quillon::error::TransportErrorCode as Code;
use quillon::packet::Frame;
use quillon::wire::Level;
use quillon::{ConnectionHandle, Dir, Event, KeyUpdateError, Side, StreamId, TransportSettings};

use puppet::Puppets;
use puppet::forge::encode;
use puppet::pair::{MILLISECOND, Pair, SECOND};

fn updates(pair: &mut Pair, side: Side, by_peer: bool) -> usize {
    std::iter::from_fn(|| pair.end(side).saw(&Event::KeysUpdated { by_peer })).count()
}

fn update(pair: &mut Pair, handle: ConnectionHandle) -> Result<(), KeyUpdateError> {
    let now = pair.now;
    pair.client.connection(handle).initiate_key_update(now)
}

/// Moves `data` from the client to the server on a new stream.
fn transfer(pair: &mut Pair, client: ConnectionHandle, server: ConnectionHandle, data: &[u8]) {
    let id = pair.client.connection(client).open(Dir::Uni).unwrap();
    assert_eq!(pair.client.connection(client).write(id, data), Ok(data.len()));
    pair.client.connection(client).finish(id).unwrap();
    pair.settle();
    let mut received = vec![0; data.len() + 1];
    let mut len = 0;
    while let Ok(read) = pair.server.connection(server).read(id, &mut received[len..]) {
        len += read.len;
        if read.finished {
            break;
        }
    }
    assert_eq!(&received[..len], data);
}

/// K1: refused before the handshake is confirmed, before the previous update is, and for three probe timeouts after;
/// each with its own error. Unlike in the reference the next keys are always ready, and nothing is an assertion.
#[test]
fn k1_each_precondition_of_an_update_has_its_error() {
    let mut pair = Pair::default();
    let client = pair.connect();
    assert_eq!(update(&mut pair, client), Err(KeyUpdateError::HandshakeNotConfirmed));
    // Complete, not confirmed: HANDSHAKE_DONE is on its way.
    pair.run_for(2 * pair.latency);
    assert!(pair.client.connection(client).is_handshake_complete());
    assert_eq!(update(&mut pair, client), Err(KeyUpdateError::HandshakeNotConfirmed));
    pair.settle();
    let server = pair.server.saw(&Event::HandshakeComplete).unwrap();

    assert_eq!(update(&mut pair, client), Ok(()));
    assert_eq!(update(&mut pair, client), Err(KeyUpdateError::PreviousNotConfirmed));
    pair.run_for(2 * pair.latency + 30 * MILLISECOND);
    let Err(KeyUpdateError::TooSoon { until }) = update(&mut pair, client) else { panic!("three PTO have not passed") };
    pair.run_until(until - 1);
    assert_eq!(update(&mut pair, client), Err(KeyUpdateError::TooSoon { until }));
    pair.run_until(until);
    assert_eq!(update(&mut pair, client), Ok(()));
    transfer(&mut pair, client, server, b"under the third keys");
    let now = pair.now;
    pair.client.connection(client).close(now, 0, b"");
    assert_eq!(update(&mut pair, client), Err(KeyUpdateError::Closed));
    assert_eq!(updates(&mut pair, Side::Client, false), 2);
}

/// K2: the peer follows without being asked, at once and on an idle connection; data goes on both ways.
#[test]
fn k2_the_peer_follows_an_update() {
    let (mut puppets, [client, server]) = Puppets::connected(TransportSettings::default());
    let pair = &mut puppets.pair;
    assert_eq!(update(pair, client), Ok(()));
    pair.settle();
    assert_eq!((updates(pair, Side::Client, false), updates(pair, Side::Client, true)), (1, 0));
    assert_eq!((updates(pair, Side::Server, false), updates(pair, Side::Server, true)), (0, 1));
    transfer(pair, client, server, &[5; 5000]);
    // The next one is the server's, once the client has acknowledged a packet under its new keys.
    let now = pair.now;
    assert_eq!(pair.server.connection(server).initiate_key_update(now), Err(KeyUpdateError::PreviousNotConfirmed));
    let id = pair.server.connection(server).open(Dir::Uni).unwrap();
    pair.server.connection(server).write(id, b"to be acknowledged").unwrap();
    pair.settle();
    let now = pair.now;
    assert_eq!(pair.server.connection(server).initiate_key_update(now), Ok(()));
    pair.settle();
    assert_eq!((updates(pair, Side::Client, true), updates(pair, Side::Server, false)), (1, 1));
    transfer(pair, client, server, &[6; 5000]);
}

/// K2: a packet that the update overtook is read for three probe timeouts, and then no more; the old keys go by a
/// timer, on an idle connection too.
#[test]
fn k2_old_keys_stay_for_three_probe_timeouts() {
    for late in [false, true] {
        let (mut puppets, [client, server]) = Puppets::connected(TransportSettings::default());
        let pair = &mut puppets.pair;
        // Two datagrams under the old keys are held up.
        pair.client.outbound_filter = Some(Box::new(|_, _| false));
        let id = pair.client.connection(client).open(Dir::Uni).unwrap();
        pair.client.connection(client).write(id, b"overtaken").unwrap();
        pair.run_for(MILLISECOND);
        let overtaken = pair.client.sent.last().unwrap().clone();
        assert_eq!(update(pair, client), Ok(()));
        // The server sees the update, and nothing of the stream.
        let mut ping = true;
        pair.client.outbound_filter = Some(Box::new(move |_, _| std::mem::take(&mut ping)));
        pair.run_for(pair.latency + MILLISECOND);
        assert_eq!(updates(pair, Side::Server, true), 1);
        let dropped = pair.server.connection(server).stats().packets_dropped;
        pair.run_for(if late { SECOND } else { 5 * MILLISECOND });
        let now = pair.now;
        pair.server.inject(now, overtaken);
        let opened = pair.server.connection(server).read(id, &mut [0; 100]);
        let dropped = pair.server.connection(server).stats().packets_dropped - dropped;
        if late {
            assert_eq!((opened.is_ok(), dropped), (false, 1));
        } else {
            assert_eq!((opened.map(|read| read.len), dropped), (Ok(9), 0));
        }
    }
}

/// K3: keys are updated by themselves when they have protected as many packets as the settings say.
#[test]
fn k3_keys_are_updated_before_they_protect_too_much() {
    let transport = TransportSettings { packets_per_key: Some(20), ..TransportSettings::default() };
    let (mut puppets, [client, server]) = Puppets::connected(transport);
    let pair = &mut puppets.pair;
    for _ in 0..5 {
        transfer(pair, client, server, &[7; 40_000]);
    }
    let made = updates(pair, Side::Client, false) + updates(pair, Side::Server, false);
    let seen = updates(pair, Side::Client, true) + updates(pair, Side::Server, true);
    assert!(made >= 5, "{made} updates");
    // Where both ends update at once, neither sees the other's.
    assert!(seen > 0 && seen <= made, "{seen} of {made} updates seen");
    assert_eq!(pair.client.closed(), None);
}

/// The secret after `secret`.
fn next(suite: CipherSuite, secret: &Secret) -> Secret {
    let mut bytes = vec![0; suite.hash().len()];
    crypto::ring::provider().hkdf_expand_label(suite.hash(), secret, b"quic ku", &mut bytes);
    Secret::new(&bytes).unwrap()
}

#[test]
fn a_peer_that_updates_twice_before_it_is_answered_is_closed() {
    for me in [Side::Client, Side::Server] {
        let (mut puppets, _) = Puppets::connected(TransportSettings::default());
        let mut forge = puppets.forge(me.peer(), Level::OneRtt);
        let (suite, secret) = puppets.tap(me.peer()).secret(Level::OneRtt);
        let second = next(suite, &secret);
        let third = next(suite, &second);
        let ping = encode(&Frame::Ping);
        for secret in [second, third] {
            forge.rekey(suite, &secret);
            let datagram = forge.datagram(&ping);
            puppets.inject(me, datagram);
        }
        // The peer itself has not updated and cannot read the close.
        let error = puppets.outcome(me)[0].clone();
        let expected = Code::KEY_UPDATE_ERROR;
        assert!(
            matches!(&error, Some(quillon::ConnectionError::Transport { code, .. }) if *code == expected),
            "{error:?}"
        );
    }
}

#[test]
fn old_keys_on_a_packet_after_newer_ones_close() {
    let (mut puppets, _) = Puppets::connected(TransportSettings::default());
    let (mut old, mut new) = (puppets.forge(Side::Client, Level::OneRtt), puppets.forge(Side::Client, Level::OneRtt));
    let (suite, secret) = puppets.tap(Side::Client).secret(Level::OneRtt);
    new.rekey(suite, &next(suite, &secret));
    new.packet_number = 1001;
    let ping = encode(&Frame::Ping);
    puppets.inject(Side::Server, new.datagram(&ping));
    new.packet_number = 1005;
    puppets.inject(Side::Server, new.datagram(&ping));
    old.packet_number = 1003;
    puppets.inject(Side::Server, old.datagram(&ping));
    let error = puppets.outcome(Side::Server)[0].clone();
    let expected = Code::KEY_UPDATE_ERROR;
    assert!(matches!(&error, Some(quillon::ConnectionError::Transport { code, .. }) if *code == expected), "{error:?}");
}

/// K2: anyone can turn the Key Phase bit over; without the keys nothing comes of it.
#[test]
fn k2_a_forged_key_phase_changes_nothing() {
    let (mut puppets, [client, server]) = Puppets::connected(TransportSettings::default());
    let mut forge = puppets.forge(Side::Client, Level::OneRtt);
    let (suite, secret) = (CipherSuite::Aes128Gcm, Secret::new(&[9; 32]).unwrap());
    forge.rekey(suite, &secret);
    let frame = encode(&Frame::Stream { id: StreamId(0), offset: 0, fin: false, data: b"forged" });
    for _ in 0..10 {
        puppets.inject(Side::Server, forge.datagram(&frame));
    }
    assert!(puppets.pair.server.connection(server).read(StreamId(0), &mut [0; 10]).is_err());
    assert_eq!(updates(&mut puppets.pair, Side::Server, true), 0);
    transfer(&mut puppets.pair, client, server, b"as before");
}
