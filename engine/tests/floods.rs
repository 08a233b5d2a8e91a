//! What a peer may send in masses, and where it ends (RFC 9000 section 21.9): frames that achieve nothing, packets
//! before their keys, CRYPTO data in pieces, acknowledgments of what was never sent.

mod puppet;

use quillon::error::TransportErrorCode as Code;
use quillon::packet::{Frame, encode_ack};
use quillon::wire::{ConnectionId, Level, Writer};
use quillon::{ConnectionError, ConnectionHandle, Dir, Event, FloodSettings, Side, StreamId, TransportSettings};

use puppet::Puppets;
use puppet::forge::{Forge, encode};
use puppet::pair::{MILLISECOND, SECOND};

const BURST: u32 = 100;

fn tight() -> TransportSettings {
    TransportSettings { floods: FloodSettings { burst: BURST, refill_per_second: 10 }, ..TransportSettings::default() }
}

/// An end under attack: what it sends goes nowhere, so that its honest peer does not hear of what the forger did.
struct Victim {
    puppets: Puppets,
    side: Side,
    handle: ConnectionHandle,
    forge: Forge,
}

impl Victim {
    fn new(side: Side, transport: TransportSettings) -> Self {
        let (mut puppets, [client, server]) = Puppets::connected(transport);
        let forge = puppets.forge(side.peer(), Level::OneRtt);
        Self { puppets, side, handle: if side.is_client() { client } else { server }, forge }
    }

    /// Takes a packet with this payload; tells why the connection closed, if it did.
    fn take(&mut self, payload: &[u8]) -> Option<ConnectionError> {
        let datagram = self.forge.datagram(payload);
        let now = self.puppets.pair.now;
        let end = self.puppets.pair.end(self.side);
        end.inject(now, datagram);
        end.transmit(now);
        end.closed()
    }

    /// How many packets with this payload are taken before the connection closes with `code`; at most `most`.
    fn endures(&mut self, payload: &[u8], most: usize, code: Code) -> usize {
        for taken in 0..most {
            if let Some(error) = self.take(payload) {
                let ConnectionError::Transport { code: found, by_peer: false, .. } = &error else {
                    panic!("{error:?}")
                };
                assert_eq!(*found, code, "{error:?}");
                return taken;
            }
        }
        most
    }
}

/// P11: each frame that costs its receiver more than its sender, one to a packet, ends the connection when the budget
/// is used up, and not much before. The reference closes with INTERNAL_ERROR; the fault is the peer's, and
/// PROTOCOL_VIOLATION says so.
#[test]
fn p11_frames_that_achieve_nothing_use_up_a_budget() {
    let cid = ConnectionId::new(&[7; 8]).unwrap();
    for side in [Side::Client, Side::Server] {
        let theirs = StreamId::new(side.peer(), Dir::Bidi, 0);
        let rows = [
            ("PING", encode(&Frame::Ping)),
            ("RESET_STREAM", encode(&Frame::ResetStream { id: theirs, code: 0, final_size: 0 })),
            ("STOP_SENDING", encode(&Frame::StopSending { id: theirs, code: 0 })),
            (
                "NEW_CONNECTION_ID",
                encode(&Frame::NewConnectionId { sequence: 99, retire_prior_to: 0, cid, reset_token: [1; 16] }),
            ),
            ("RETIRE_CONNECTION_ID", encode(&Frame::RetireConnectionId { sequence: 1 })),
            ("PATH_CHALLENGE", encode(&Frame::PathChallenge([1; 8]))),
            ("PATH_RESPONSE", encode(&Frame::PathResponse([1; 8]))),
            ("CRYPTO", encode(&Frame::Crypto { offset: 0, data: b"" })),
            ("empty STREAM", encode(&Frame::Stream { id: theirs, offset: 0, fin: false, data: b"" })),
            ("MAX_DATA", encode(&Frame::MaxData { limit: 1 })),
            ("MAX_STREAMS", encode(&Frame::MaxStreams { dir: Dir::Uni, limit: 1 })),
        ];
        for (name, payload) in rows {
            let mut victim = Victim::new(side, tight());
            if name == "NEW_CONNECTION_ID" {
                // Room for one more.
                let retire = encode(&Frame::NewConnectionId {
                    sequence: 98,
                    retire_prior_to: 98,
                    cid: ConnectionId::new(&[6; 8]).unwrap(),
                    reset_token: [1; 16],
                });
                assert_eq!(victim.take(&retire), None);
            }
            let taken = victim.endures(&payload, 1000, Code::PROTOCOL_VIOLATION);
            assert!((BURST as usize - 10..=BURST as usize).contains(&taken), "{name} at the {side:?}: {taken}");
        }
    }
}

/// S13, P11: frames for streams that are over are accepted, and charged.
#[test]
fn p11_late_frames_for_closed_streams() {
    for side in [Side::Client, Side::Server] {
        let id = StreamId::new(side.peer(), Dir::Uni, 0);
        let last = encode(&Frame::Stream { id, offset: 0, fin: true, data: b"all" });
        for late in [
            last.clone(),
            encode(&Frame::ResetStream { id, code: 0, final_size: 3 }),
            encode(&Frame::StreamDataBlocked { id, limit: 1 }),
        ] {
            let mut victim = Victim::new(side, tight());
            assert_eq!(victim.take(&last), None);
            let handle = victim.handle;
            let read = victim.puppets.pair.end(side).connection(handle).read(id, &mut [0; 10]).unwrap();
            assert!(read.finished);
            let taken = victim.endures(&late, 1000, Code::PROTOCOL_VIOLATION);
            assert!(taken <= BURST as usize && taken >= BURST as usize / 2 - 10, "{late:x?}: {taken}");
        }
    }
}

/// P11: the default budget takes 10,000 PINGs at once, and 300 a second for ever.
#[test]
fn p11_an_honest_rate_is_never_closed() {
    let mut victim = Victim::new(Side::Server, TransportSettings::default());
    let ping = encode(&Frame::Ping);
    for _ in 0..9_900 {
        assert_eq!(victim.take(&ping), None);
    }
    victim.puppets.pair.now += 31 * SECOND;
    let mut victim = Victim::new(Side::Server, TransportSettings::default());
    for _ in 0..40 * 300 {
        victim.puppets.pair.now += SECOND / 300;
        assert_eq!(victim.take(&ping), None);
    }
}

/// P11: the budget comes back with time.
#[test]
fn p11_the_budget_is_refilled() {
    let mut victim = Victim::new(Side::Server, tight());
    let ping = encode(&Frame::Ping);
    for _ in 0..85 {
        assert_eq!(victim.take(&ping), None);
    }
    victim.puppets.pair.now += 5 * SECOND;
    for _ in 0..50 {
        assert_eq!(victim.take(&ping), None);
    }
    assert!(victim.endures(&ping, 1000, Code::PROTOCOL_VIOLATION) < 20);
}

/// P11: packets full of frames of a few bytes; as many as an honest sender packs together cost nothing.
#[test]
fn p11_tiny_frames() {
    let id = StreamId::new(Side::Client, Dir::Uni, 0);
    let tiny = encode(&Frame::Stream { id, offset: 0, fin: false, data: b"x" });
    let mut victim = Victim::new(Side::Server, tight());
    assert_eq!(victim.endures(&tiny.repeat(64), 1000, Code::PROTOCOL_VIOLATION), 1000);
    // 5000 bytes, of which 277 frames would have been honest: 12 times 64 more.
    let taken = victim.endures(&tiny.repeat(1000), 1000, Code::PROTOCOL_VIOLATION);
    assert!((7..=8).contains(&taken), "{taken}");
}

/// An ACK frame of 600 ranges, each of one packet.
fn ragged_ack(largest: u16) -> Vec<u8> {
    let count = 599u16;
    let mut frame = vec![0x02];
    frame.extend((largest | 0x4000).to_be_bytes());
    frame.push(0);
    frame.extend((count | 0x4000).to_be_bytes());
    frame.push(0);
    frame.extend(std::iter::repeat_n([0, 0], count.into()).flatten());
    frame
}

/// P11: ACK frames of more ranges than any loss leaves.
#[test]
fn p11_ack_ranges() {
    // A server that has sent some 2500 packets. One in which a number of the frame was left out is of no use here.
    let (mut victim, ack) = (2300..2400)
        .step_by(7)
        .find_map(|largest| {
            let mut victim = Victim::new(Side::Server, tight());
            let (handle, pair) = (victim.handle, &mut victim.puppets.pair);
            let id = pair.server.connection(handle).open(Dir::Uni).unwrap();
            pair.server.connection(handle).write(id, &vec![1; 3_600_000]).unwrap();
            pair.run_for(5 * SECOND);
            let ack = ragged_ack(largest);
            victim.take(&ack).is_none().then_some((victim, ack))
        })
        .unwrap();
    let taken = victim.endures(&ack, 1000, Code::PROTOCOL_VIOLATION);
    assert!((BURST as usize / 2 - 10..=BURST as usize / 2).contains(&taken), "{taken}");
}

/// P11: a stream opened and reset, again and again: each costs us a stream, and the peer one packet.
#[test]
fn p11_stream_churn() {
    let mut victim = Victim::new(Side::Server, tight());
    let before = victim.puppets.pair.server.endpoint.memory_used();
    for index in 0..10_000 {
        let id = StreamId::new(Side::Client, Dir::Uni, index);
        let open = encode(&Frame::Stream { id, offset: 0, fin: false, data: b"x" });
        let reset = encode(&Frame::ResetStream { id, code: 0, final_size: 1 });
        if let Some(error) = victim.take(&[open, reset].concat()) {
            assert!(matches!(error, ConnectionError::Transport { code: Code::PROTOCOL_VIOLATION, .. }), "{error:?}");
            assert!(index as u32 >= BURST - 10 && index as u32 <= BURST, "{index}");
            assert!(victim.puppets.pair.server.endpoint.memory_used() <= before + (64 << 10));
            return;
        }
    }
    panic!("10,000 streams were reset");
}

/// CRYPTO data with more gaps than any fragmentation leaves, after the handshake and within it.
#[test]
fn crypto_data_in_too_many_pieces() {
    let pieces = |start: u64| -> Vec<u8> {
        (0..300).flat_map(|n| encode(&Frame::Crypto { offset: start + 2 * n, data: b"x" })).collect()
    };
    for side in [Side::Client, Side::Server] {
        let mut victim = Victim::new(side, TransportSettings::default());
        let start = victim.puppets.tap(side.peer()).said(Level::OneRtt) + 1;
        assert_eq!(victim.endures(&pieces(start), 1, Code::CRYPTO_BUFFER_EXCEEDED), 0);
        let mut victim = Victim::new(side, TransportSettings::default());
        let far = encode(&Frame::Crypto { offset: start + (64 << 10), data: b"x" });
        assert_eq!(victim.endures(&far, 1, Code::CRYPTO_BUFFER_EXCEEDED), 0);
    }
    // Anyone can send Initial packets.
    let mut puppets = Puppets::default();
    puppets.connect();
    puppets.pair.client.transmit(puppets.pair.now);
    let mut forge = Forge::initial(&puppets.pair.client.sent[0]);
    let datagram = forge.datagram(&pieces(1));
    puppets.inject(Side::Server, datagram);
    let error = puppets.outcome(Side::Server)[0].clone();
    let expected = Code::CRYPTO_BUFFER_EXCEEDED;
    assert!(matches!(&error, Some(ConnectionError::Transport { code, .. }) if *code == expected), "{error:?}");
}

/// P5: a peer that acknowledges everything up to the last packet, received or not, meets a number that was left out.
#[test]
fn p5_optimistic_acknowledgments_close() {
    for side in [Side::Client, Side::Server] {
        let mut victim = Victim::new(side, TransportSettings::default());
        let handle = victim.handle;
        let pair = &mut victim.puppets.pair;
        let id = pair.end(side).connection(handle).open(Dir::Uni).unwrap();
        pair.end(side).connection(handle).write(id, &[1; 200_000]).unwrap();
        pair.run_for(5 * SECOND);
        assert_eq!(pair.end(side).closed(), None, "honest acknowledgments know nothing of the gap");
        let mut buffer = [0; 64];
        let mut writer = Writer::new(&mut buffer);
        assert!(encode_ack(&mut writer, 0, std::iter::once(0..=150), None, 64));
        let ack = writer.written().to_vec();
        assert_eq!(victim.endures(&ack, 1, Code::PROTOCOL_VIOLATION), 0);
    }
}

/// P6: 1-RTT packets that overtake the handshake wait for their keys: eight of them, and 16 KiB, which is twice as
/// many as in the reference. The rest is dropped, as on the network.
#[test]
fn p6_packets_before_their_keys_wait_within_bounds() {
    for (size, count, kept) in [(10, 12, 8), (3_000, 12, 5), (1_400, 7, 7)] {
        let mut puppets = Puppets::default();
        let handle = puppets.connect();
        // The server has answered; its answer is on its way.
        puppets.pair.run_for(puppets.pair.latency + MILLISECOND);
        let (suite, secret) = puppets.server_tap.secret(Level::OneRtt);
        let handshake = puppets.forge(Side::Server, Level::Handshake);
        let mut forge = Forge::short(handshake.destination(), suite, &secret);
        for index in 0..count {
            let id = StreamId::new(Side::Server, Dir::Uni, index);
            let datagram = forge.datagram(&encode(&Frame::Stream { id, offset: 0, fin: true, data: &vec![1; size] }));
            puppets.inject(Side::Client, datagram);
        }
        assert!(puppets.pair.client.connection(handle).memory_used() < 64 << 10);
        puppets.pair.run_for(puppets.pair.latency);
        let opened = std::iter::from_fn(|| {
            puppets.pair.client.take(|event| matches!(event, Event::StreamOpened { .. }).then_some(()))
        });
        assert_eq!(opened.count(), kept, "{count} packets of {size} bytes");
    }
}

/// P11: a peer that updates its keys as often as it can is charged for each.
#[test]
fn p11_key_updates() {
    let (mut puppets, [client, server]) = Puppets::connected(TransportSettings {
        floods: FloodSettings { burst: 20, refill_per_second: 0 },
        ..TransportSettings::default()
    });
    let pair = &mut puppets.pair;
    for round in 0..40 {
        // Long enough after the one before for an honest peer.
        pair.run_for(SECOND);
        let now = pair.now;
        let id = pair.client.connection(client).open(Dir::Uni).unwrap();
        pair.client.connection(client).write(id, b"x").unwrap();
        pair.client.connection(client).finish(id).unwrap();
        pair.client.connection(client).initiate_key_update(now).unwrap();
        pair.run_for(SECOND);
        if let Some(error) = pair.server.closed() {
            assert!(matches!(error, ConnectionError::Transport { code: Code::PROTOCOL_VIOLATION, .. }), "{error:?}");
            assert!((5..=20).contains(&round), "{round}");
            return;
        }
        assert_eq!(pair.server.connection(server).read(id, &mut [0; 10]).map(|read| read.len), Ok(1));
    }
    panic!("forty updates were taken");
}
