//! Events, written into the status block.

use std::borrow::Cow;
use std::net::SocketAddr;

use quillon::{ConnectionError, ConnectionHandle, Event, SavedSession};

use crate::constants::*;
use crate::instance::Instance;
use crate::layout::{address_bytes, status, write_path};

/// What the status block says of an event.
#[derive(Debug, Default)]
struct Report {
    kind: u32,
    stream: u64,
    code: u64,
    data: Cow<'static, [u8]>,
    detail: u32,
    session: Option<SavedSession>,
}

/// Writes an event into the status block; returns its kind. `None`, and nothing written, for an event that the ABI
/// does not tell.
pub(crate) fn report(instance: &mut Instance, connection: ConnectionHandle, event: Event) -> Option<u32> {
    let report = Report::of(event)?;
    instance.event_session = report.session;
    instance.event_data = report.data;
    let block = &mut instance.status;
    block.set_u32(status::EVENT_KIND, report.kind);
    block.set_u32(status::EVENT_CONNECTION, connection.raw());
    block.set_u64(status::EVENT_STREAM, report.stream);
    block.set_u64(status::EVENT_CODE, report.code);
    block.set_data(status::EVENT_DATA, &instance.event_data);
    block.set_u32(status::EVENT_DETAIL, report.detail);
    Some(report.kind)
}

impl Report {
    fn of(event: Event) -> Option<Self> {
        let of = |kind| Self { kind, ..Self::default() };
        let on = |kind, stream: quillon::StreamId| Self { kind, stream: stream.0, ..Self::default() };
        let about = |kind, path| Self { kind, data: write_path(path).to_vec().into(), ..Self::default() };
        Some(match event {
            Event::Accepted => of(QUILLON_EVENT_ACCEPTED),
            Event::HandshakeComplete => of(QUILLON_EVENT_HANDSHAKE_COMPLETE),
            Event::HandshakeConfirmed => of(QUILLON_EVENT_HANDSHAKE_CONFIRMED),
            Event::StreamOpened { id } => on(QUILLON_EVENT_STREAM_OPENED, id),
            Event::StreamReadable { id } => on(QUILLON_EVENT_STREAM_READABLE, id),
            Event::StreamWritable { id } => on(QUILLON_EVENT_STREAM_WRITABLE, id),
            Event::StreamFinished { id } => on(QUILLON_EVENT_STREAM_FINISHED, id),
            Event::StreamReset { id, code } => Self { code, ..on(QUILLON_EVENT_STREAM_RESET, id) },
            Event::StreamStopped { id, code } => Self { code, ..on(QUILLON_EVENT_STREAM_STOPPED, id) },
            Event::StreamsAvailable { dir } => {
                Self { detail: crate::stream::direction(dir), ..of(QUILLON_EVENT_STREAMS_AVAILABLE) }
            }
            Event::KeyLog(line) => Self { data: line.into_bytes().into(), ..of(QUILLON_EVENT_KEY_LOG) },
            Event::Closed(error) => closed(error),
            Event::Drained => of(QUILLON_EVENT_DRAINED),
            Event::DatagramReceived => of(QUILLON_EVENT_DATAGRAM_RECEIVED),
            Event::DatagramAcked { id } => Self { code: id.0, ..of(QUILLON_EVENT_DATAGRAM_ACKED) },
            Event::DatagramLost { id } => Self { code: id.0, ..of(QUILLON_EVENT_DATAGRAM_LOST) },
            Event::DatagramDropped { id } => Self { code: id.0, ..of(QUILLON_EVENT_DATAGRAM_DROPPED) },
            Event::DatagramsOverflowed { count } => Self { code: count, ..of(QUILLON_EVENT_DATAGRAMS_OVERFLOWED) },
            Event::ClientHello => of(QUILLON_EVENT_CLIENT_HELLO),
            Event::KeysUpdated { by_peer } => Self { detail: by_peer.into(), ..of(QUILLON_EVENT_KEYS_UPDATED) },
            Event::NewToken { token } => Self { data: token.into(), ..of(QUILLON_EVENT_NEW_TOKEN) },
            Event::DataCreditAvailable => of(QUILLON_EVENT_DATA_CREDIT_AVAILABLE),
            Event::NewSession(session) => Self { session: Some(*session), ..of(QUILLON_EVENT_NEW_SESSION) },
            Event::EarlyDataAccepted => of(QUILLON_EVENT_EARLY_DATA_ACCEPTED),
            Event::EarlyDataRejected => of(QUILLON_EVENT_EARLY_DATA_REJECTED),
            Event::PeerCertificate => of(QUILLON_EVENT_PEER_CERTIFICATE),
            Event::PathChanged { path } => about(QUILLON_EVENT_PATH_CHANGED, &path),
            Event::PathValidated { path, new_peer_address } => {
                Self { detail: new_peer_address.into(), ..about(QUILLON_EVENT_PATH_VALIDATED, &path) }
            }
            Event::PathFailed { path } => about(QUILLON_EVENT_PATH_FAILED, &path),
            Event::PreferredAddress { ipv4, ipv6 } => {
                let addresses = ipv4.map(SocketAddr::V4).into_iter().chain(ipv6.map(SocketAddr::V6));
                let data: Vec<u8> = addresses.flat_map(address_bytes).collect();
                Self { data: data.into(), ..of(QUILLON_EVENT_PREFERRED_ADDRESS) }
            }
            Event::CryptoReceived => of(QUILLON_EVENT_CRYPTO_RECEIVED),
            Event::StreamAcked { id, offset } => Self { code: offset, ..on(QUILLON_EVENT_STREAM_ACKED, id) },
            Event::StreamClosed { id, error } => Self {
                code: error.unwrap_or_default(),
                detail: error.is_some().into(),
                ..on(QUILLON_EVENT_STREAM_CLOSED, id)
            },
            Event::StreamsFinished => of(QUILLON_EVENT_STREAMS_FINISHED),
            _ => return None,
        })
    }
}

fn closed(error: ConnectionError) -> Report {
    let plain = |detail, error: &ConnectionError| (detail, 0, error.to_string().into_bytes());
    let mut stream = 0;
    let (detail, code, data) = match error {
        ConnectionError::Transport { code, frame_type, reason, by_peer } => {
            stream = frame_type;
            let detail = if by_peer { QUILLON_CLOSED_TRANSPORT_PEER } else { QUILLON_CLOSED_TRANSPORT_LOCAL };
            (detail, code.0, reason.into_bytes())
        }
        ConnectionError::Application { code, reason, by_peer } => {
            let detail = if by_peer { QUILLON_CLOSED_APPLICATION_PEER } else { QUILLON_CLOSED_APPLICATION_LOCAL };
            (detail, code, reason)
        }
        ConnectionError::IdleTimeout => plain(QUILLON_CLOSED_IDLE_TIMEOUT, &error),
        ConnectionError::HandshakeTimeout => plain(QUILLON_CLOSED_HANDSHAKE_TIMEOUT, &error),
        ConnectionError::VersionNegotiation { .. } => plain(QUILLON_CLOSED_VERSION_NEGOTIATION, &error),
        ConnectionError::StatelessReset => plain(QUILLON_CLOSED_STATELESS_RESET, &error),
    };
    Report { kind: QUILLON_EVENT_CLOSED, code, stream, data: data.into(), detail, ..Report::default() }
}
