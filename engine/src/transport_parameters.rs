//! Transport parameters: what each end declares of itself inside the TLS handshake (RFC 9000 sections 7.4 and 18).
//!
//! Invariants:
//! - What [`TransportParameters::decode`] gives out has values in the ranges that the RFCs allow, and nothing that
//!   its sender may not send.
//! - Connection IDs are only carried: comparing them with those of the packets, and missing them, is the
//!   connection's (RFC 9000 section 7.3).
//! - The encoding is deterministic: parameters in the order of their identifiers, those at their default left out.

mod remembered;

pub use remembered::{InvalidRemembered, RememberedParameters};

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::error::{TransportError, TransportErrorCode};
use crate::wire::{ConnectionId, Reader, Side, UnexpectedEnd, Version, Writer, varint};

/// The identifiers (RFC 9000 section 18.2, RFC 9221 section 3, RFC 9287 section 3, RFC 9368 section 10.1).
mod id {
    pub(super) const ORIGINAL_DESTINATION_CONNECTION_ID: u64 = 0x00;
    pub(super) const MAX_IDLE_TIMEOUT: u64 = 0x01;
    pub(super) const STATELESS_RESET_TOKEN: u64 = 0x02;
    pub(super) const MAX_UDP_PAYLOAD_SIZE: u64 = 0x03;
    pub(super) const INITIAL_MAX_DATA: u64 = 0x04;
    pub(super) const INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: u64 = 0x05;
    pub(super) const INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: u64 = 0x06;
    pub(super) const INITIAL_MAX_STREAM_DATA_UNI: u64 = 0x07;
    pub(super) const INITIAL_MAX_STREAMS_BIDI: u64 = 0x08;
    pub(super) const INITIAL_MAX_STREAMS_UNI: u64 = 0x09;
    pub(super) const ACK_DELAY_EXPONENT: u64 = 0x0a;
    pub(super) const MAX_ACK_DELAY: u64 = 0x0b;
    pub(super) const DISABLE_ACTIVE_MIGRATION: u64 = 0x0c;
    pub(super) const PREFERRED_ADDRESS: u64 = 0x0d;
    pub(super) const ACTIVE_CONNECTION_ID_LIMIT: u64 = 0x0e;
    pub(super) const INITIAL_SOURCE_CONNECTION_ID: u64 = 0x0f;
    pub(super) const RETRY_SOURCE_CONNECTION_ID: u64 = 0x10;
    pub(super) const VERSION_INFORMATION: u64 = 0x11;
    pub(super) const MAX_DATAGRAM_FRAME_SIZE: u64 = 0x20;
    pub(super) const GREASE_QUIC_BIT: u64 = 0x2ab2;
}

/// The `n`-th of the identifiers that mean nothing, and that peers must ignore (RFC 9000 section 18.1). `n` is
/// taken modulo their number.
#[must_use]
pub const fn reserved_id(n: u64) -> u64 {
    const COUNT: u64 = (varint::MAX - 27) / 31 + 1;
    31 * (n % COUNT) + 27
}

/// The transport parameters of one end (RFC 9000 section 18.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportParameters {
    /// The destination connection ID of the client's first Initial. Only from servers.
    pub original_destination_connection_id: Option<ConnectionId>,
    /// Idle time, in milliseconds, after which the sender lets go of the connection. 0, the default: never.
    pub max_idle_timeout: u64,
    /// The stateless reset token of the connection ID of the handshake. Only from servers.
    pub stateless_reset_token: Option<[u8; 16]>,
    /// The largest UDP payload, in bytes, that the sender is willing to receive: at least 1200. Default 65527.
    pub max_udp_payload_size: u64,
    /// Bytes that the connection may carry to the sender. Default 0.
    pub initial_max_data: u64,
    /// Bytes that a bidirectional stream opened by the sender may carry to it. Default 0.
    pub initial_max_stream_data_bidi_local: u64,
    /// Bytes that a bidirectional stream opened by the receiver may carry to the sender. Default 0.
    pub initial_max_stream_data_bidi_remote: u64,
    /// Bytes that a unidirectional stream may carry to the sender. Default 0.
    pub initial_max_stream_data_uni: u64,
    /// Bidirectional streams that the receiver may open: at most 2^60. Default 0.
    pub initial_max_streams_bidi: u64,
    /// Unidirectional streams that the receiver may open: at most 2^60. Default 0.
    pub initial_max_streams_uni: u64,
    /// The sender's ACK Delay fields count in units of 2 to this power microseconds: at most 20. Default 3.
    pub ack_delay_exponent: u64,
    /// How long, in milliseconds, the sender may hold acknowledgements back: below 2^14. Default 25.
    pub max_ack_delay: u64,
    /// The receiver must not migrate towards the address of the handshake.
    pub disable_active_migration: bool,
    /// Where the server would rather be reached after the handshake. Only from servers.
    pub preferred_address: Option<PreferredAddress>,
    /// How many of the receiver's connection IDs the sender is willing to store: at least 2. Default 2.
    pub active_connection_id_limit: u64,
    /// The source connection ID of the sender's first Initial.
    pub initial_source_connection_id: Option<ConnectionId>,
    /// The source connection ID of the Retry. Only from servers.
    pub retry_source_connection_id: Option<ConnectionId>,
    /// The largest DATAGRAM frame, in bytes with its type and length, that the sender takes (RFC 9221 section 3).
    /// 0, the default: none.
    pub max_datagram_frame_size: u64,
    /// The version in use and those to choose from (RFC 9368 section 3).
    pub version_information: Option<VersionInformation>,
    /// The sender takes packets whose fixed bit is zero (RFC 9287 section 3).
    pub grease_quic_bit: bool,
}

/// Where a server would rather be reached, and the connection ID for it, whose sequence number is 1 (RFC 9000
/// section 18.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreferredAddress {
    /// Its IPv4 address. All zeros on the wire stand for `None`.
    pub ipv4: Option<SocketAddrV4>,
    /// Its IPv6 address. All zeros on the wire stand for `None`.
    pub ipv6: Option<SocketAddrV6>,
    /// The connection ID, never empty.
    pub connection_id: ConnectionId,
    /// The stateless reset token of that connection ID.
    pub stateless_reset_token: [u8; 16],
}

/// What an end says of versions (RFC 9368 section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInformation {
    /// The version in use.
    pub chosen: Version,
    /// From a client: those it could go on with, the best first, `chosen` among them. From a server: those that it
    /// has fully deployed, maybe none.
    pub available: Vec<Version>,
}

impl Default for TransportParameters {
    fn default() -> Self {
        Self {
            original_destination_connection_id: None,
            max_idle_timeout: 0,
            stateless_reset_token: None,
            max_udp_payload_size: 65527,
            initial_max_data: 0,
            initial_max_stream_data_bidi_local: 0,
            initial_max_stream_data_bidi_remote: 0,
            initial_max_stream_data_uni: 0,
            initial_max_streams_bidi: 0,
            initial_max_streams_uni: 0,
            ack_delay_exponent: 3,
            max_ack_delay: 25,
            disable_active_migration: false,
            preferred_address: None,
            active_connection_id_limit: 2,
            initial_source_connection_id: None,
            retry_source_connection_id: None,
            max_datagram_frame_size: 0,
            version_information: None,
            grease_quic_bit: false,
        }
    }
}

impl TransportParameters {
    /// Appends the encoding to `out`, and behind it a parameter that means nothing, for peers to ignore (RFC 9000
    /// section 18.1; [`reserved_id`] makes its identifier).
    ///
    /// The caller keeps to the ranges of the fields and, as a client, leaves those of servers out.
    pub fn encode(&self, out: &mut Vec<u8>, grease: Option<(u64, &[u8])>) {
        let default = Self::default();
        put_connection_id(out, id::ORIGINAL_DESTINATION_CONNECTION_ID, self.original_destination_connection_id);
        put_integer(out, id::MAX_IDLE_TIMEOUT, self.max_idle_timeout, default.max_idle_timeout);
        if let Some(token) = &self.stateless_reset_token {
            put(out, id::STATELESS_RESET_TOKEN, token);
        }
        let integers = [
            (id::MAX_UDP_PAYLOAD_SIZE, self.max_udp_payload_size, default.max_udp_payload_size),
            (id::INITIAL_MAX_DATA, self.initial_max_data, 0),
            (id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, self.initial_max_stream_data_bidi_local, 0),
            (id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, self.initial_max_stream_data_bidi_remote, 0),
            (id::INITIAL_MAX_STREAM_DATA_UNI, self.initial_max_stream_data_uni, 0),
            (id::INITIAL_MAX_STREAMS_BIDI, self.initial_max_streams_bidi, 0),
            (id::INITIAL_MAX_STREAMS_UNI, self.initial_max_streams_uni, 0),
            (id::ACK_DELAY_EXPONENT, self.ack_delay_exponent, default.ack_delay_exponent),
            (id::MAX_ACK_DELAY, self.max_ack_delay, default.max_ack_delay),
        ];
        for (id, value, default) in integers {
            put_integer(out, id, value, default);
        }
        if self.disable_active_migration {
            put(out, id::DISABLE_ACTIVE_MIGRATION, &[]);
        }
        if let Some(address) = &self.preferred_address {
            address.encode(out);
        }
        let limit = self.active_connection_id_limit;
        put_integer(out, id::ACTIVE_CONNECTION_ID_LIMIT, limit, default.active_connection_id_limit);
        put_connection_id(out, id::INITIAL_SOURCE_CONNECTION_ID, self.initial_source_connection_id);
        put_connection_id(out, id::RETRY_SOURCE_CONNECTION_ID, self.retry_source_connection_id);
        if let Some(information) = &self.version_information {
            information.encode(out);
        }
        put_integer(out, id::MAX_DATAGRAM_FRAME_SIZE, self.max_datagram_frame_size, 0);
        if self.grease_quic_bit {
            put(out, id::GREASE_QUIC_BIT, &[]);
        }
        if let Some((id, value)) = grease {
            put(out, id, value);
        }
    }

    /// Reads the transport parameters that `sender` sent. Unknown ones are ignored (RFC 9000 section 7.4.2).
    ///
    /// # Errors
    ///
    /// TRANSPORT_PARAMETER_ERROR where a known parameter comes twice, has a value that is malformed or not allowed,
    /// or comes from a client and is only a server's (RFC 9000 sections 7.4 and 18.2, RFC 9368 section 4).
    pub fn decode(bytes: &[u8], sender: Side) -> Result<Self, TransportError> {
        Self::read_all(bytes, sender)
            .map_err(|Invalid(reason)| TransportError::new(TransportErrorCode::TRANSPORT_PARAMETER_ERROR, reason))
    }

    fn read_all(bytes: &[u8], sender: Side) -> Result<Self, Invalid> {
        let mut parameters = Self::default();
        let mut seen = Seen(0);
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let id = reader.varint()?;
            let mut value = Reader::new(reader.varint_bytes()?);
            if seen.again(id) {
                return Err(Invalid("a transport parameter comes twice"));
            }
            if sender.is_client() && is_server_only(id) {
                return Err(Invalid("a client sent a server's transport parameter"));
            }
            parameters.read(id, &mut value, sender)?;
            if !value.is_empty() {
                return Err(Invalid("a transport parameter is longer than its value"));
            }
        }
        // A server that chose an empty connection ID cannot offer another address.
        let empty = parameters.initial_source_connection_id.is_some_and(|id| id.is_empty());
        if empty && parameters.preferred_address.is_some() {
            return Err(Invalid("preferred_address from a server with an empty connection ID"));
        }
        Ok(parameters)
    }

    /// Reads the value of one parameter. A reader that is not empty afterwards had too much in it.
    fn read(&mut self, id: u64, value: &mut Reader<'_>, sender: Side) -> Result<(), Invalid> {
        match id {
            id::ORIGINAL_DESTINATION_CONNECTION_ID => {
                self.original_destination_connection_id = Some(connection_id(value)?);
            }
            id::MAX_IDLE_TIMEOUT => self.max_idle_timeout = value.varint()?,
            id::STATELESS_RESET_TOKEN => self.stateless_reset_token = Some(value.array()?),
            id::MAX_UDP_PAYLOAD_SIZE => {
                self.max_udp_payload_size =
                    within(value.varint()?, 1200..=varint::MAX, "max_udp_payload_size is below 1200")?;
            }
            id::INITIAL_MAX_DATA => self.initial_max_data = value.varint()?,
            id::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL => self.initial_max_stream_data_bidi_local = value.varint()?,
            id::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE => self.initial_max_stream_data_bidi_remote = value.varint()?,
            id::INITIAL_MAX_STREAM_DATA_UNI => self.initial_max_stream_data_uni = value.varint()?,
            // RFC 9000 section 4.6.
            id::INITIAL_MAX_STREAMS_BIDI => {
                self.initial_max_streams_bidi =
                    within(value.varint()?, 0..=1 << 60, "initial_max_streams_bidi is above 2^60")?;
            }
            id::INITIAL_MAX_STREAMS_UNI => {
                self.initial_max_streams_uni =
                    within(value.varint()?, 0..=1 << 60, "initial_max_streams_uni is above 2^60")?;
            }
            id::ACK_DELAY_EXPONENT => {
                self.ack_delay_exponent = within(value.varint()?, 0..=20, "ack_delay_exponent is above 20")?;
            }
            id::MAX_ACK_DELAY => {
                self.max_ack_delay = within(value.varint()?, 0..=(1 << 14) - 1, "max_ack_delay is 2^14 or above")?;
            }
            id::DISABLE_ACTIVE_MIGRATION => self.disable_active_migration = true,
            id::PREFERRED_ADDRESS => self.preferred_address = Some(PreferredAddress::decode(value)?),
            id::ACTIVE_CONNECTION_ID_LIMIT => {
                self.active_connection_id_limit =
                    within(value.varint()?, 2..=varint::MAX, "active_connection_id_limit is below 2")?;
            }
            id::INITIAL_SOURCE_CONNECTION_ID => self.initial_source_connection_id = Some(connection_id(value)?),
            id::RETRY_SOURCE_CONNECTION_ID => self.retry_source_connection_id = Some(connection_id(value)?),
            id::VERSION_INFORMATION => self.version_information = Some(VersionInformation::decode(value, sender)?),
            id::MAX_DATAGRAM_FRAME_SIZE => self.max_datagram_frame_size = value.varint()?,
            id::GREASE_QUIC_BIT => self.grease_quic_bit = true,
            _ => {
                value.rest();
            }
        }
        Ok(())
    }
}

impl PreferredAddress {
    fn encode(&self, out: &mut Vec<u8>) {
        let ipv4 = self.ipv4.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let ipv6 = self.ipv6.unwrap_or(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0));
        let mut buffer = [0; 4 + 2 + 16 + 2 + 1 + ConnectionId::MAX_LEN + 16];
        let mut w = Writer::new(&mut buffer);
        w.bytes(&ipv4.ip().octets());
        w.u16(ipv4.port());
        w.bytes(&ipv6.ip().octets());
        w.u16(ipv6.port());
        w.u8(self.connection_id.len() as u8);
        w.bytes(self.connection_id.as_slice());
        w.bytes(&self.stateless_reset_token);
        put(out, id::PREFERRED_ADDRESS, w.written());
    }

    fn decode(value: &mut Reader<'_>) -> Result<Self, Invalid> {
        let ipv4 = SocketAddrV4::new(Ipv4Addr::from(value.array::<4>()?), value.u16()?);
        let ipv6 = SocketAddrV6::new(Ipv6Addr::from(value.array::<16>()?), value.u16()?, 0, 0);
        let len = value.u8()?;
        let connection_id = connection_id(&mut Reader::new(value.bytes(len.into())?))?;
        let stateless_reset_token = value.array()?;
        if connection_id.is_empty() {
            return Err(Invalid("preferred_address has an empty connection ID"));
        }
        Ok(Self {
            ipv4: Some(ipv4).filter(|address| !address.ip().is_unspecified() || address.port() != 0),
            ipv6: Some(ipv6).filter(|address| !address.ip().is_unspecified() || address.port() != 0),
            connection_id,
            stateless_reset_token,
        })
    }
}

impl VersionInformation {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, id::VERSION_INFORMATION);
        put_varint(out, 4 * (1 + self.available.len() as u64));
        for version in core::iter::once(&self.chosen).chain(&self.available) {
            out.extend_from_slice(&version.0.to_be_bytes());
        }
    }

    /// RFC 9368 section 4 says what counts as a parsing failure.
    fn decode(value: &mut Reader<'_>, sender: Side) -> Result<Self, Invalid> {
        let chosen = Version(value.u32()?);
        let mut available = Vec::with_capacity(value.remaining() / 4);
        while !value.is_empty() {
            available.push(Version(value.u32()?));
        }
        if chosen.0 == 0 || available.contains(&Version(0)) {
            return Err(Invalid("version_information lists version 0"));
        }
        if sender.is_client() && !available.contains(&chosen) {
            return Err(Invalid("version_information does not list the chosen version"));
        }
        Ok(Self { chosen, available })
    }
}

/// What is wrong, for people.
struct Invalid(&'static str);

impl From<UnexpectedEnd> for Invalid {
    fn from(_: UnexpectedEnd) -> Self {
        Self("the transport parameters end inside a value")
    }
}

/// The known parameters that have come: one bit each. Unknown ones are not remembered, to keep this bounded.
struct Seen(u64);

impl Seen {
    /// Notes the parameter; whether it had come before.
    fn again(&mut self, id: u64) -> bool {
        let bit = match id {
            id::ORIGINAL_DESTINATION_CONNECTION_ID..=id::VERSION_INFORMATION | id::MAX_DATAGRAM_FRAME_SIZE => 1 << id,
            id::GREASE_QUIC_BIT => 1 << 63,
            _ => 0,
        };
        let again = self.0 & bit != 0;
        self.0 |= bit;
        again
    }
}

/// RFC 9000 section 18.2, at its end.
const fn is_server_only(id: u64) -> bool {
    matches!(
        id,
        id::ORIGINAL_DESTINATION_CONNECTION_ID
            | id::STATELESS_RESET_TOKEN
            | id::PREFERRED_ADDRESS
            | id::RETRY_SOURCE_CONNECTION_ID
    )
}

fn within(value: u64, range: core::ops::RangeInclusive<u64>, otherwise: &'static str) -> Result<u64, Invalid> {
    if range.contains(&value) { Ok(value) } else { Err(Invalid(otherwise)) }
}

fn connection_id(value: &mut Reader<'_>) -> Result<ConnectionId, Invalid> {
    ConnectionId::new(value.rest()).ok_or(Invalid("a connection ID is longer than 20 bytes"))
}

fn put_varint(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0; 8];
    let mut w = Writer::new(&mut buffer);
    w.varint(value.min(varint::MAX));
    out.extend_from_slice(w.written());
}

fn put(out: &mut Vec<u8>, id: u64, value: &[u8]) {
    put_varint(out, id);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn put_integer(out: &mut Vec<u8>, id: u64, value: u64, default: u64) {
    if value != default {
        put_varint(out, id);
        put_varint(out, varint::len(value) as u64);
        put_varint(out, value);
    }
}

fn put_connection_id(out: &mut Vec<u8>, id: u64, value: Option<ConnectionId>) {
    if let Some(value) = value {
        put(out, id, value.as_slice());
    }
}
