//! Discovery of the packet size (RFC 8899; RFC 9000 section 14.3).
mod link;
mod pair;
mod plain;

use quillon::{Side, TransportSettings};

use link::{Link, SECOND, Sent, client_address, server_address};

const CLIENT: Side = Side::Client;

/// A link that drops what is larger than `limit`.
fn limited(limit: usize) -> impl FnMut(&mut Sent) -> Option<u64> {
    move |sent| (sent.bytes.len() <= limit).then_some(0)
}

fn connected(settings: &TransportSettings, limit: usize) -> Link {
    Link::connected(settings, Box::new(limited(limit)))
}

fn size(link: &mut Link) -> u64 {
    link.connection(CLIENT).stats().max_udp_payload_size
}

/// Uploads so much, and expects it to arrive within the time.
fn upload(link: &mut Link, bytes: usize, seconds: u64) {
    let id = link.upload(bytes);
    link.run_for(seconds * SECOND);
    assert_eq!(link.read_all(id), bytes);
}

#[test]
fn the_largest_size_that_the_path_carries_is_found() {
    for (limit, found) in [(1_500, 1_452), (1_451, 1_406), (1_400, 1_342), (1_300, 1_232), (1_200, 1_200)] {
        let mut link = connected(&TransportSettings::default(), limit);
        upload(&mut link, 2_000_000, 20);
        assert_eq!(size(&mut link), found, "limit {limit}");
        let stats = link.connection(CLIENT).stats();
        assert_eq!(stats.congestion_events, 0, "the loss of a probe is not congestion, limit {limit}");
        let largest =
            link.sent_by(CLIENT, 0).filter(|sent| sent.bytes.len() <= limit).map(|sent| sent.bytes.len()).max();
        assert_eq!(largest, Some(found as usize));
    }
}

/// RFC 8899 section 5.1.2: a size is tried three times, alone in its datagram, as PING and PADDING.
#[test]
fn each_size_is_tried_three_times() {
    let mut link = connected(&TransportSettings::default(), 1_200);
    upload(&mut link, 1_000_000, 20);
    let tried = |size: usize| link.sent_by(CLIENT, 0).filter(|sent| sent.bytes.len() == size).count();
    assert_eq!([1_452, 1_406, 1_342, 1_232].map(tried), [3, 0, 3, 3], "by halves");
    for sent in link.sent_by(CLIENT, 0).filter(|sent| sent.bytes.len() > 1_200) {
        let packets = plain::packets(std::slice::from_ref(&sent.bytes));
        let [packet] = packets.as_slice() else { panic!("one packet") };
        let probes = |frame: &quillon::packet::Frame<'_>| {
            matches!(frame, quillon::packet::Frame::Ping | quillon::packet::Frame::Padding { .. })
        };
        assert!(packet.frames.iter().all(probes), "{:?}", packet.frames);
    }
}

/// A connection that has little to send has no use for large datagrams.
#[test]
fn nothing_is_tried_before_a_datagram_is_full() {
    let mut link = connected(&TransportSettings::default(), 1_500);
    upload(&mut link, 500, 5);
    assert!(link.sent.iter().all(|sent| sent.bytes.len() <= 1_200));
    assert_eq!(size(&mut link), 1_200);
}

#[test]
fn sizes_are_a_setting_and_none_uses_the_largest_at_once() {
    let settings =
        TransportSettings { max_udp_payload_size: 1_400, mtu_discovery_sizes: vec![], ..TransportSettings::default() };
    let mut link = connected(&settings, 1_500);
    assert_eq!(size(&mut link), 1_400);
    let settings = TransportSettings {
        max_udp_payload_size: 9_000,
        mtu_discovery_sizes: vec![4_000, 1_300, 65_000],
        ..TransportSettings::default()
    };
    for (limit, found) in [(10_000, 9_000), (8_000, 4_000), (1_500, 1_300)] {
        let mut link = connected(&settings, limit);
        upload(&mut link, 2_000_000, 20);
        assert_eq!(size(&mut link), found);
    }
}

/// RFC 8899 section 4.3: a path that stops to carry large packets is noticed; later the search begins anew.
#[test]
fn a_black_hole_brings_small_packets_and_a_new_search_later() {
    let hole = std::rc::Rc::new(std::cell::Cell::new(1_500));
    let limit = hole.clone();
    let filter = move |sent: &mut Sent| (sent.bytes.len() <= limit.get()).then_some(0);
    let settings = TransportSettings { max_idle_timeout: std::time::Duration::ZERO, ..TransportSettings::default() };
    let mut link = Link::connected(&settings, Box::new(filter));
    upload(&mut link, 500_000, 5);
    assert_eq!(size(&mut link), 1_452);
    hole.set(1_300);
    upload(&mut link, 500_000, 20);
    assert_eq!(size(&mut link), 1_200);
    link.run_for(61 * SECOND);
    upload(&mut link, 500_000, 20);
    assert_eq!(size(&mut link), 1_232);
}

/// What the host is told by its interface (EMSGSIZE) needs no probing.
#[test]
fn a_datagram_that_the_interface_refuses_lowers_the_size() {
    let mut link = connected(&TransportSettings::default(), 1_500);
    upload(&mut link, 500_000, 5);
    let path = quillon::FourTuple { local: client_address(), remote: server_address() };
    link.connection(CLIENT).on_datagram_too_large(path, 1_452);
    assert_eq!(size(&mut link), 1_406);
    link.connection(CLIENT).on_datagram_too_large(path, 1_000);
    assert_eq!(size(&mut link), 1_200, "never below");
    let after = link.sent.len();
    upload(&mut link, 500_000, 5);
    assert!(link.sent_by(CLIENT, after).all(|sent| sent.bytes.len() <= 1_200));
}
