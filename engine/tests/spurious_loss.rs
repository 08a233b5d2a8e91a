//! Packets declared lost that were only late (RFC 9002 section 6.1): congestion is taken back, and thresholds adapt.
mod link;
mod pair;
mod plain;

use quillon::{Side, TransportSettings};

use link::{Link, MILLISECOND, SECOND, Sent};

const CLIENT: Side = Side::Client;

fn settings() -> TransportSettings {
    TransportSettings { max_udp_payload_size: 1_200, ..TransportSettings::default() }
}

/// A link that does this to the n-th full datagram of the client.
fn link(mut change: impl FnMut(u32) -> Option<u64> + 'static) -> Link {
    let mut count = 0;
    let filter = move |sent: &mut Sent| {
        if !sent.from.is_client() || sent.bytes.len() < 1_200 {
            return Some(0);
        }
        count += 1;
        change(count)
    };
    Link::connected(&settings(), Box::new(filter))
}

fn upload(link: &mut Link, bytes: usize) {
    let id = link.upload(bytes);
    link.run_for(5 * SECOND);
    assert_eq!(link.read_all(id), bytes);
}

/// RFC 9002 section 7.3.2 leaves it open, RFC 9438 section 4.9 has it: the window of before is restored.
#[test]
fn a_late_packet_gives_the_window_back() {
    let mut late = link(|count| Some(if count == 30 { 12 * MILLISECOND } else { 0 }));
    upload(&mut late, 300_000);
    let stats = late.connection(CLIENT).stats();
    assert!(stats.packets_lost >= 1, "it was declared lost");
    assert_eq!(stats.ssthresh, None, "and that was taken back");
    let mut lost = link(|count| (count != 30).then_some(0));
    upload(&mut lost, 300_000);
    let without = lost.connection(CLIENT).stats();
    assert!(without.ssthresh.is_some());
    assert!(stats.congestion_window > without.congestion_window);
}

/// One packet of two was really lost: that is congestion.
#[test]
fn nothing_is_taken_back_while_one_loss_stands() {
    let mut link = link(|count| match count {
        30 => Some(15 * MILLISECOND),
        31 => None,
        _ => Some(0),
    });
    upload(&mut link, 300_000);
    assert!(link.connection(CLIENT).stats().ssthresh.is_some());
}

/// A path that reorders all the time is learnt: most of what comes late is not declared lost. By a threshold of three
/// packets nearly all of it would be.
#[test]
fn thresholds_adapt_to_reordering() {
    let mut link = link(|count| Some(if count % 20 == 0 { 2 * MILLISECOND } else { 0 }));
    upload(&mut link, 1_600_000);
    let stats = link.connection(CLIENT).stats();
    let late = stats.packets_sent / 20;
    assert!((1..=late / 2).contains(&stats.packets_lost), "{} of {late}", stats.packets_lost);
}
