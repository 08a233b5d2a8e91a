//! The parsers on their own: what they accept must survive the way back.

use quillon::Side;
use quillon::packet::{self, Frame, Frames};
use quillon::tls::client_hello::{self, Progress};
use quillon::transport_parameters::TransportParameters;
use quillon::wire::Writer;

/// Frames of a payload: each is decoded, encoded and decoded to the same.
pub(crate) fn frames(data: &[u8]) {
    let mut buffer = vec![0; data.len() + 64];
    for (_, frame) in Frames::new(data).map_while(Result::ok) {
        // An ACK is written from the receiver's ranges, not from a frame.
        if let Frame::Ack(ack) = frame {
            let ranges = ack.ranges().take(data.len() + 1).count();
            assert!(ranges <= data.len(), "more ranges than bytes");
            continue;
        }
        let mut writer = Writer::new(&mut buffer);
        frame.encode(&mut writer);
        assert!(!writer.overflowed(), "{frame:?} is longer than it came");
        let encoded = writer.written();
        assert_eq!(encoded.len(), frame.encoded_len());
        match Frames::new(encoded).next() {
            Some(Ok((ty, again))) => assert_eq!((ty, again), (frame.frame_type(), frame)),
            other => panic!("{frame:?} comes back as {other:?}"),
        }
    }
}

/// The packets of a datagram, and its first look with every length of connection ID.
pub(crate) fn packets(data: &[u8]) {
    for local_id_len in [0, 4, 8, 20] {
        if let Some(look) = packet::first_look(data, local_id_len) {
            assert!(look.dcid.len() <= data.len());
        }
        let mut rest = data;
        while let Ok(layout) = packet::parse_greased(rest, local_id_len) {
            assert!(layout.len > 0 && layout.len <= rest.len(), "a packet of its datagram");
            let _ = packet::supported_versions(rest).map(Iterator::count);
            let _ = packet::sample(rest, layout.pn_offset);
            let (mut one, after) = (rest[..layout.len].to_vec(), &rest[layout.len..]);
            if let Some(unmasked) = packet::unmask(&mut one, layout.pn_offset, [0; 5]) {
                assert!(unmasked.header_len(layout.pn_offset) <= one.len());
            }
            rest = after;
        }
    }
}

/// Transport parameters of either side.
pub(crate) fn transport_parameters(data: &[u8]) {
    for sender in [Side::Client, Side::Server] {
        if let Ok(parameters) = TransportParameters::decode(data, sender) {
            let mut encoded = Vec::new();
            parameters.encode(&mut encoded, None);
            assert_eq!(TransportParameters::decode(&encoded, sender).as_ref(), Ok(&parameters));
        }
    }
}

/// A ClientHello, whole and growing byte by byte: more bytes never take back an answer.
pub(crate) fn client_hello(data: &[u8]) {
    let whole = client_hello::parse(data);
    for len in (0..data.len()).step_by(1 + data.len() / 64) {
        match client_hello::parse(&data[..len]) {
            Ok(Progress::NeedMore) => {}
            early => assert_eq!(early, whole, "the answer at {len} bytes"),
        }
    }
}
