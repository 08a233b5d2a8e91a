//! The module's events, in the engine's own type.

use quillon::error::TransportErrorCode;
use quillon::wire::Version;
use quillon::{ConnectionError, DatagramId, Dir, Event, StreamId};

use super::layout::decode_path;

/// The kind of the event that tells of a session.
pub(super) const NEW_SESSION: u32 = 23;

/// The versions that the text on a Version Negotiation packet ends with.
fn versions(text: &str) -> Vec<Version> {
    let numbers = text.split(' ').filter_map(|word| word.strip_prefix("0x"));
    numbers.filter_map(|digits| u32::from_str_radix(digits, 16).ok()).map(Version).collect()
}

/// An event of the ABI; `None` for one that is not known, which is to be passed over.
pub(super) fn decode(kind: u32, stream: u64, code: u64, detail: u32, data: &[u8]) -> Option<Event> {
    let id = StreamId(stream);
    let text = || String::from_utf8_lossy(data).into_owned();
    Some(match kind {
        1 => Event::Accepted,
        2 => Event::HandshakeComplete,
        3 => Event::HandshakeConfirmed,
        4 => Event::StreamOpened { id },
        5 => Event::StreamReadable { id },
        6 => Event::StreamWritable { id },
        7 => Event::StreamFinished { id },
        8 => Event::StreamReset { id, code },
        9 => Event::StreamStopped { id, code },
        10 => Event::StreamsAvailable { dir: if detail == 0 { Dir::Bidi } else { Dir::Uni } },
        11 => Event::KeyLog(text()),
        12 => Event::Closed(match detail {
            1 | 2 => {
                let (code, by_peer) = (TransportErrorCode(code), detail == 2);
                ConnectionError::Transport { code, frame_type: stream, reason: text(), by_peer }
            }
            3 | 4 => ConnectionError::Application { code, reason: data.to_vec(), by_peer: detail == 4 },
            5 => ConnectionError::IdleTimeout,
            6 => ConnectionError::HandshakeTimeout,
            7 => ConnectionError::VersionNegotiation { supported: versions(&text()) },
            8 => ConnectionError::StatelessReset,
            _ => return None,
        }),
        13 => Event::Drained,
        14 => Event::DatagramReceived,
        15 => Event::DatagramAcked { id: DatagramId(code) },
        16 => Event::DatagramLost { id: DatagramId(code) },
        17 => Event::DatagramDropped { id: DatagramId(code) },
        18 => Event::DatagramsOverflowed { count: code },
        19 => Event::ClientHello,
        20 => Event::KeysUpdated { by_peer: detail != 0 },
        21 => Event::NewToken { token: data.to_vec() },
        22 => Event::DataCreditAvailable,
        24 => Event::EarlyDataAccepted,
        25 => Event::EarlyDataRejected,
        26 => Event::PeerCertificate,
        27 => Event::PathChanged { path: decode_path(data)? },
        28 => Event::PathValidated { path: decode_path(data)?, new_peer_address: detail != 0 },
        29 => Event::PathFailed { path: decode_path(data)? },
        32 => Event::StreamAcked { id, offset: code },
        33 => Event::StreamClosed { id, error: (detail != 0).then_some(code) },
        34 => Event::StreamsFinished,
        _ => return None,
    })
}
