//! The logs: whatever a peer sends, a record is one line of valid JSON, and a line of text is one line.

use std::time::Duration;

use quillon::Side;
use quillon::diagnostics::{
    Closure, Importance, Initiator, Packet, QlogSchema, QlogSettings, TextLogSettings, Trace, TraceEvent,
};
use quillon::packet::PacketType;
use quillon::transport_parameters::TransportParameters;
use quillon::wire::{ConnectionId, Version};

/// The bytes as frames, as transport parameters, as a reason and as the name of a protocol.
pub(crate) fn logs(data: &[u8]) {
    for schema in [QlogSchema::V03, QlogSchema::Draft] {
        let qlog = QlogSettings { schema, buffer: 16 << 20, ..QlogSettings::default() };
        let text = TextLogSettings { importance: Importance::Extra, buffer: 16 << 20 };
        let trace = Trace::new(Some(qlog), Some(text), Side::Client, ConnectionId::EMPTY, 0, Duration::ZERO);
        let mut trace = trace.expect("logs were asked for");
        record(&mut trace, data);
        assert_eq!(trace.dropped(), 0, "a record exceeds its bound");
        let qlog = trace.take_qlog().expect("there is a header at least");
        let mut records = 0;
        for record in qlog.split_terminator('\n') {
            let json = record.strip_prefix('\u{1e}').expect("a record begins with its separator");
            assert!(json.chars().all(|c| !c.is_control()), "a control character in {record:?}");
            let rest = value(json.as_bytes()).expect("valid JSON");
            assert!(rest.is_empty(), "text behind the record: {record:?}");
            records += 1;
        }
        let text = trace.take_text().expect("there are events");
        assert!(text.ends_with('\n') && text.lines().all(|line| line.contains(" client ")));
        // qlog has a header.
        assert_eq!(records, text.lines().count() + 1);
    }
}

fn record(trace: &mut Trace, data: &[u8]) {
    let packet = Packet {
        ty: PacketType::OneRtt,
        version: Some(Version::V1),
        pn: Some(data.len() as u64),
        dcid: ConnectionId::EMPTY,
        scid: None,
        token_len: 0,
        key_phase: Some(true),
        len: data.len(),
        payload: data,
        ack_delay_exponent: 20,
        supported_versions: &[],
        trigger: None,
    };
    trace.record(&TraceEvent::PacketReceived(packet));
    if let Ok(parameters) = TransportParameters::decode(data, Side::Server) {
        let (initiator, parameters) = (Initiator::Remote, &parameters);
        trace.record(&TraceEvent::ParametersSet { initiator, parameters, cipher_suite: None });
    }
    trace.record(&TraceEvent::AlpnInformation { chosen: data });
    let closure = Closure::Application { initiator: Initiator::Remote, code: u64::MAX, reason: data };
    trace.record(&TraceEvent::ConnectionClosed(closure));
}

/// Reads one JSON value (RFC 8259) as compactly as the engine writes it. What is behind it; `None` where it is none.
fn value(text: &[u8]) -> Option<&[u8]> {
    match text.first()? {
        b'{' => list(&text[1..], b'}', |text| value(string(text)?.strip_prefix(b":")?)),
        b'[' => list(&text[1..], b']', value),
        b'"' => string(text),
        b't' => text.strip_prefix(b"true"),
        b'f' => text.strip_prefix(b"false"),
        b'0'..=b'9' => {
            let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(text.len());
            let number = std::str::from_utf8(&text[..end]).ok()?;
            number.parse::<f64>().ok()?;
            Some(&text[end..])
        }
        _ => None,
    }
}

fn list<'a>(text: &'a [u8], end: u8, entry: impl Fn(&'a [u8]) -> Option<&'a [u8]>) -> Option<&'a [u8]> {
    if let Some((first, rest)) = text.split_first()
        && *first == end
    {
        return Some(rest);
    }
    let mut text = entry(text)?;
    while let Some(rest) = text.strip_prefix(b",") {
        text = entry(rest)?;
    }
    let (last, rest) = text.split_first()?;
    (*last == end).then_some(rest)
}

fn string(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'u', a, b, c, d, rest @ ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => rest,
            [b'\\', b'"' | b'\\' | b'n' | b'r' | b't', rest @ ..] => rest,
            [b'\\', ..] | [] | [0..=0x1f, ..] => return None,
            [_, rest @ ..] => rest,
        };
    }
}
