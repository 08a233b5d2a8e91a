//! Key updates of 1-RTT packets (RFC 9001 section 6).
#![cfg(feature = "ring")]

use quillon::crypto::{self, CipherSuite, OneRttKeys, OpenError, Secret, TAG_LEN};
use quillon::wire::{Time, Version};

const SUITE: CipherSuite = CipherSuite::Aes128Gcm;
const HEADER: &[u8] = b"header";

/// One end's keys, and what a packet of it looks like on the way.
struct End(OneRttKeys);

struct Packet {
    number: u64,
    phase: bool,
    bytes: Vec<u8>,
}

fn pair() -> (End, End) {
    let (client, server) = (Secret::new(&[1; 32]).unwrap(), Secret::new(&[2; 32]).unwrap());
    let keys = |local: &Secret, remote: &Secret| {
        End(OneRttKeys::new(crypto::ring::provider(), Version::V1, SUITE, local.clone(), remote.clone()))
    };
    (keys(&client, &server), keys(&server, &client))
}

impl End {
    fn send(&mut self, number: u64) -> Packet {
        let phase = self.0.phase();
        let mut bytes = [HEADER, &number.to_be_bytes(), &[0; TAG_LEN]].concat();
        self.0.seal(number, &mut bytes, HEADER.len());
        Packet { number, phase, bytes }
    }

    /// Whether the peer's packet made us update.
    fn receive(&mut self, now: Time, packet: &Packet) -> Result<bool, OpenError> {
        let mut bytes = packet.bytes.clone();
        let (header, payload) = bytes.split_at_mut(HEADER.len());
        let (plaintext, opened) = self.0.open(now, packet.number, packet.phase, header, payload)?;
        assert_eq!(plaintext, packet.number.to_be_bytes());
        Ok(opened.updated)
    }
}

#[test]
fn both_ends_update_again_and_again() {
    let (mut a, mut b) = pair();
    assert_eq!(a.receive(0, &b.send(0)), Ok(false));
    for round in 0..9u64 {
        let (initiator, responder) = if round % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let number = 10 * (round + 1);
        assert_eq!(responder.receive(number, &initiator.send(number)), Ok(false));
        initiator.0.initiate_update();
        assert_ne!(initiator.0.phase(), responder.0.phase());
        let packet = initiator.send(number + 1);
        assert_eq!(responder.receive(number, &packet), Ok(true));
        assert_eq!(responder.receive(number, &initiator.send(number + 2)), Ok(false));
        assert_eq!(initiator.0.phase(), responder.0.phase());
        assert_eq!(initiator.receive(number, &responder.send(number + 3)), Ok(false));
        assert_eq!((initiator.0.updates(), responder.0.updates()), (round + 1, round + 1));
        if round % 3 == 0 {
            initiator.0.discard_previous();
            responder.0.discard_previous();
        }
    }
    assert_eq!((a.0.failed_packets(), b.0.failed_packets()), (0, 0));
}

#[test]
fn overtaken_packets_open_with_the_previous_keys_until_they_are_discarded() {
    let (mut a, mut b) = pair();
    assert_eq!(b.receive(1, &a.send(0)), Ok(false));
    let (overtaken, late, too_late) = (a.send(1), a.send(2), a.send(3));
    a.0.initiate_update();
    let (second, first) = (a.send(4), a.send(5));
    assert_eq!(b.0.previous_superseded_at(), None);
    assert_eq!(b.receive(7, &first), Ok(true));
    assert_eq!(b.0.previous_superseded_at(), Some(7));
    assert_eq!(b.receive(8, &overtaken), Ok(false));
    assert_eq!(b.receive(8, &second), Ok(false), "a new packet with a lower number than the one that led");
    assert_eq!(b.receive(9, &late), Ok(false));
    assert_eq!(b.0.previous_superseded_at(), Some(7));
    b.0.discard_previous();
    assert_eq!(b.0.previous_superseded_at(), None);
    assert_eq!(b.receive(10, &too_late), Err(OpenError::Decrypt));
    assert_eq!(b.0.failed_packets(), 1);
    assert_eq!(b.receive(10, &a.send(6)), Ok(false));
}

#[test]
fn the_initiator_opens_old_packets_until_the_peer_follows() {
    let (mut a, mut b) = pair();
    assert_eq!(a.receive(0, &b.send(0)), Ok(false));
    a.0.initiate_update();
    // The peer has not seen the update: its packets have any number and the old phase.
    assert_eq!(a.receive(1, &b.send(1)), Ok(false));
    assert_eq!(a.0.previous_superseded_at(), None, "nothing has superseded the old keys yet");
    a.0.discard_previous();
    assert_eq!(a.receive(2, &b.send(1000)), Ok(false), "old keys stay until the new ones are seen in use");
    assert_eq!(b.receive(3, &a.send(0)), Ok(true));
    let overtaken = b.send(1001);
    assert_eq!(a.receive(4, &b.send(1002)), Ok(false));
    assert_eq!(a.0.previous_superseded_at(), Some(4));
    assert_eq!(a.receive(5, &overtaken), Ok(false));
}

#[test]
fn simultaneous_updates_are_one() {
    let (mut a, mut b) = pair();
    a.0.initiate_update();
    b.0.initiate_update();
    assert_eq!(a.receive(0, &b.send(0)), Ok(false));
    assert_eq!(b.receive(0, &a.send(0)), Ok(false));
    assert_eq!((a.0.updates(), b.0.updates()), (1, 1));
}

#[test]
fn an_update_waits_for_an_acknowledgment_in_the_current_phase() {
    let (mut a, _) = pair();
    assert!(!a.0.can_update(None));
    a.send(5);
    a.send(6);
    assert!(!a.0.can_update(None));
    assert!(!a.0.can_update(Some(4)));
    assert!(a.0.can_update(Some(5)));
    a.0.initiate_update();
    assert!(!a.0.can_update(Some(6)));
    a.send(7);
    assert!(!a.0.can_update(Some(6)));
    assert!(a.0.can_update(Some(7)));
}

#[test]
fn forged_phases_change_nothing() {
    let (mut a, mut b) = pair();
    for number in 0..20 {
        let mut forged = a.send(number);
        forged.phase = !forged.phase;
        assert_eq!(b.receive(0, &forged), Err(OpenError::Decrypt));
    }
    assert_eq!((b.0.updates(), b.0.failed_packets()), (0, 20));
    assert_eq!(b.receive(0, &a.send(20)), Ok(false));
    a.0.initiate_update();
    assert_eq!(b.receive(0, &a.send(21)), Ok(true));
    let mut forged = a.send(22);
    forged.phase = !forged.phase;
    assert_eq!(b.receive(0, &forged), Err(OpenError::Decrypt));
    assert_eq!(b.receive(0, &a.send(23)), Ok(false));
}

#[test]
fn a_second_update_before_we_could_acknowledge_the_first_is_an_error() {
    let (mut a, mut b) = pair();
    a.0.initiate_update();
    assert_eq!(b.receive(0, &a.send(0)), Ok(true));
    a.0.initiate_update();
    assert_eq!(b.receive(0, &a.send(1)), Err(OpenError::KeyUpdate));
}

#[test]
fn old_keys_for_a_packet_sent_after_newer_ones_are_an_error() {
    // The peer goes back: packet 2 has new keys, packet 3 the old ones.
    let (a, mut b) = pair();
    let (mut old, mut new) = (a, pair().0);
    new.0.initiate_update();
    assert_eq!(b.receive(0, &old.send(1)), Ok(false));
    assert_eq!(b.receive(0, &new.send(2)), Ok(true));
    assert_eq!(b.receive(0, &new.send(4)), Ok(false));
    assert_eq!(b.receive(0, &old.send(3)), Err(OpenError::KeyUpdate));

    // The same, where the update was ours and the old packet comes first.
    let (mut a, mut b) = pair();
    let mut new = pair().1;
    new.0.initiate_update();
    a.0.initiate_update();
    assert_eq!(a.receive(0, &b.send(3)), Ok(false));
    assert_eq!(a.receive(0, &new.send(2)), Err(OpenError::KeyUpdate));
}

#[test]
fn limits_are_counted_per_key_and_per_connection() {
    let (mut a, mut b) = pair();
    assert_eq!(SUITE.confidentiality_limit(), 1 << 23);
    assert_eq!(SUITE.integrity_limit(), 1 << 52);
    assert_eq!(CipherSuite::ChaCha20Poly1305.integrity_limit(), 1 << 36);
    for number in 0..3 {
        let mut packet = a.send(number);
        packet.bytes[10] ^= 1;
        assert_eq!(b.receive(0, &packet), Err(OpenError::Decrypt));
    }
    assert_eq!((a.0.sealed_packets(), b.0.failed_packets()), (3, 3));
    assert!(!a.0.is_update_due() && !a.0.is_exhausted());
    a.0.initiate_update();
    assert_eq!(a.0.sealed_packets(), 0);
}

/// K3: an update is due in time before the keys may protect no more packets (RFC 9001 section 6.6).
#[test]
fn keys_wear_out_at_the_limit_of_their_suite() {
    let secret = || Secret::new(&[1; 32]).unwrap();
    let mut keys = OneRttKeys::new(crypto::null::provider(), Version::V1, SUITE, secret(), secret());
    let limit = SUITE.confidentiality_limit();
    let (mut due, mut packet) = (None, [0; 32]);
    for number in 0..limit {
        if keys.is_update_due() {
            due.get_or_insert(number);
        }
        assert!(!keys.is_exhausted());
        keys.seal(number, &mut packet, HEADER.len());
    }
    assert!(keys.is_exhausted());
    assert!(due.is_some_and(|due| due < limit - (1 << 19)), "{due:?}");
    keys.initiate_update();
    assert!(!keys.is_update_due() && !keys.is_exhausted());
}

#[test]
fn keys_of_another_suite_or_version_do_not_fit() {
    let secret = || Secret::new(&[1; 32]).unwrap();
    let keys = |version, suite| End(OneRttKeys::new(crypto::ring::provider(), version, suite, secret(), secret()));
    let packet = keys(Version::V1, SUITE).send(1);
    assert_eq!(keys(Version::V1, SUITE).receive(0, &packet), Ok(false));
    assert_eq!(keys(Version(0x6b33_43cf), SUITE).receive(0, &packet), Err(OpenError::Decrypt));
    assert_eq!(keys(Version::V1, CipherSuite::ChaCha20Poly1305).receive(0, &packet), Err(OpenError::Decrypt));
    let debug = format!("{:?}", keys(Version::V1, SUITE).0);
    assert_eq!(debug, "OneRttKeys { suite: Aes128Gcm, updates: 0, sealed: 0, failed: 0, .. }");
}
