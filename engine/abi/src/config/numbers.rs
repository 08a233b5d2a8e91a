//! The settings that are numbers.

use std::time::Duration;

use quillon::congestion::CongestionControl;
use quillon::diagnostics::{QlogSchema, QlogSettings, TextLogSettings};
use quillon::tls::rustls::ClientAuthentication;
use quillon::wire::Version;
use quillon::{Admission, DropPolicy, FlowControl};

use super::Config;
use crate::constants::*;
use crate::failure::Failure;

/// The arenas' lengths: one large datagram up to 16 MiB.
const ARENA_LENGTHS: std::ops::RangeInclusive<u64> = QUILLON_ARENA_DATA as u64 + 65_536..=1 << 24;
/// What handles can tell apart.
const MAX_CONNECTIONS: u64 = (1 << 20) - 1;
/// Sessions that a server may remember.
const MAX_SESSIONS: u64 = 1 << 20;

impl Config {
    /// Sets the number under `key`. What has a wider range here than in the engine is judged by the engine, when the
    /// configuration is used.
    pub(super) fn set_number(&mut self, key: u32, value: u64) -> Result<(), Failure> {
        let found = self.set_limit(key, value)?
            || self.set_transport(key, value)?
            || self.set_wire(key, value)?
            || self.set_tls(key, value)?
            || self.set_endpoint(key, value)?;
        if found { Ok(()) } else { Err(Failure::invalid("the configuration has no number under this key")) }
    }

    /// What the peer may send, and how much is buffered.
    fn set_limit(&mut self, key: u32, value: u64) -> Result<bool, Failure> {
        let transport = &mut self.transport;
        match key {
            QUILLON_CONFIG_INITIAL_MAX_DATA => transport.initial_max_data = varint(value)?,
            QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_LOCAL => {
                transport.initial_max_stream_data_bidi_local = varint(value)?;
            }
            QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_REMOTE => {
                transport.initial_max_stream_data_bidi_remote = varint(value)?;
            }
            QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_UNI => transport.initial_max_stream_data_uni = varint(value)?,
            QUILLON_CONFIG_INITIAL_MAX_STREAMS_BIDI => transport.initial_max_streams_bidi = streams(value)?,
            QUILLON_CONFIG_INITIAL_MAX_STREAMS_UNI => transport.initial_max_streams_uni = streams(value)?,
            QUILLON_CONFIG_MAX_WINDOW => set_window(&mut transport.flow_control, Some(varint(value)?), None),
            QUILLON_CONFIG_MAX_STREAM_WINDOW => set_window(&mut transport.flow_control, None, Some(varint(value)?)),
            QUILLON_CONFIG_MANUAL_CREDIT => {
                transport.flow_control = if flag(value)? { FlowControl::Manual } else { FlowControl::default() };
            }
            QUILLON_CONFIG_SEND_BUFFER => transport.send_buffer = value,
            QUILLON_CONFIG_MAX_DATAGRAM_FRAME_SIZE => transport.datagrams.max_frame_size = varint(value)?,
            QUILLON_CONFIG_DATAGRAM_SEND_BUFFER => transport.datagrams.send_buffer = value,
            QUILLON_CONFIG_DATAGRAM_RECEIVE_BUFFER => transport.datagrams.receive_buffer = value,
            QUILLON_CONFIG_DATAGRAM_SEND_POLICY => transport.datagrams.send_policy = drop_policy(value)?,
            QUILLON_CONFIG_DATAGRAM_RECEIVE_POLICY => transport.datagrams.receive_policy = drop_policy(value)?,
            QUILLON_CONFIG_FLOOD_BURST => transport.floods.burst = within(value, 1, u64::from(u32::MAX))?,
            QUILLON_CONFIG_FLOOD_RATE => transport.floods.refill_per_second = within(value, 0, u64::from(u32::MAX))?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_transport(&mut self, key: u32, value: u64) -> Result<bool, Failure> {
        let transport = &mut self.transport;
        let milliseconds = Duration::from_millis(value);
        let unless_zero = (value > 0).then_some(milliseconds);
        match key {
            QUILLON_CONFIG_MAX_IDLE_TIMEOUT_MS => transport.max_idle_timeout = milliseconds,
            QUILLON_CONFIG_MAX_UDP_PAYLOAD_SIZE => {
                transport.max_udp_payload_size = within(value, 1200, u64::from(u16::MAX))?;
            }
            QUILLON_CONFIG_INITIAL_RTT_MS => {
                transport.initial_rtt = unless_zero.ok_or_else(|| Failure::invalid("a round trip takes time"))?;
            }
            // RFC 9000 section 18.2: values of 2^14 or greater are invalid.
            QUILLON_CONFIG_MAX_ACK_DELAY_MS => {
                transport.max_ack_delay = Duration::from_millis(within(value, 0, (1 << 14) - 1)?);
            }
            QUILLON_CONFIG_KEEP_ALIVE_MS => transport.keep_alive = unless_zero,
            QUILLON_CONFIG_HANDSHAKE_TIMEOUT_MS => transport.handshake_timeout = unless_zero,
            QUILLON_CONFIG_CONGESTION_CONTROL => {
                transport.congestion = match u32::try_from(value) {
                    Ok(QUILLON_CONGESTION_CUBIC) => CongestionControl::Cubic,
                    Ok(QUILLON_CONGESTION_NEW_RENO) => CongestionControl::NewReno,
                    _ => return Err(Failure::invalid("there is no such congestion control")),
                };
            }
            QUILLON_CONFIG_INITIAL_PACKET_NUMBER => {
                transport.initial_packet_number = within(value, 0, (1 << 31) - 1)?;
            }
            QUILLON_CONFIG_PACKETS_PER_KEY => transport.packets_per_key = (value > 0).then_some(value),
            QUILLON_CONFIG_GREASE => transport.grease = flag(value)?,
            QUILLON_CONFIG_DISABLE_ACTIVE_MIGRATION => transport.disable_active_migration = flag(value)?,
            QUILLON_CONFIG_FOLLOW_PREFERRED_ADDRESS => transport.follow_preferred_address = flag(value)?,
            QUILLON_CONFIG_QLOG => {
                let schema = match u32::try_from(value) {
                    Ok(QUILLON_QLOG_NONE) => None,
                    Ok(QUILLON_QLOG_0_3) => Some(QlogSchema::V03),
                    Ok(QUILLON_QLOG_DRAFT) => Some(QlogSchema::Draft),
                    _ => return Err(Failure::invalid("there is no such qlog")),
                };
                transport.qlog = schema.map(|schema| QlogSettings { schema, ..QlogSettings::default() });
            }
            QUILLON_CONFIG_TEXT_LOG => transport.text_log = flag(value)?.then(TextLogSettings::default),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// What packets and acknowledgments look like.
    fn set_wire(&mut self, key: u32, value: u64) -> Result<bool, Failure> {
        let transport = &mut self.transport;
        match key {
            QUILLON_CONFIG_MAX_RECEIVED_UDP_PAYLOAD_SIZE => {
                transport.max_received_udp_payload_size = within(value, 1200, u64::from(u16::MAX))?;
            }
            QUILLON_CONFIG_ACK_DELAY_EXPONENT => transport.ack_delay_exponent = within(value, 0, 20)?,
            QUILLON_CONFIG_ACK_ELICITING_THRESHOLD => {
                transport.ack_eliciting_threshold = within(value, 1, u64::from(u16::MAX))?;
            }
            QUILLON_CONFIG_ACTIVE_CONNECTION_ID_LIMIT => transport.active_connection_id_limit = within(value, 2, 8)?,
            QUILLON_CONFIG_ECN => transport.ecn = flag(value)?,
            QUILLON_CONFIG_GREASE_QUIC_BIT => transport.grease_quic_bit = flag(value)?,
            QUILLON_CONFIG_PAD_PACKETS => transport.pad_packets = flag(value)?,
            QUILLON_CONFIG_ORIGINAL_VERSION => {
                transport.versions.original = Some(Version(within(value, 1, u64::from(u32::MAX))?));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_tls(&mut self, key: u32, value: u64) -> Result<bool, Failure> {
        match key {
            QUILLON_CONFIG_VERIFY_PEER => self.tls.verify_nothing = !flag(value)?,
            QUILLON_CONFIG_KEY_LOG => self.tls.key_log = flag(value)?,
            QUILLON_CONFIG_ASK_ON_CLIENT_HELLO => self.ask_on_client_hello = flag(value)?,
            QUILLON_CONFIG_EARLY_DATA => self.tls.early_data = flag(value)?,
            QUILLON_CONFIG_SESSION_STORE => self.tls.session_store = within(value, 0, MAX_SESSIONS)?,
            QUILLON_CONFIG_ASK_FOR_VERDICT => self.tls.ask_for_verdict = flag(value)?,
            QUILLON_CONFIG_CLIENT_AUTHENTICATION => {
                self.tls.client_authentication = match u32::try_from(value) {
                    Ok(QUILLON_CLIENT_AUTHENTICATION_NONE) => None,
                    Ok(QUILLON_CLIENT_AUTHENTICATION_OPTIONAL) => Some(ClientAuthentication::Optional),
                    Ok(QUILLON_CLIENT_AUTHENTICATION_REQUIRED) => Some(ClientAuthentication::Required),
                    _ => return Err(Failure::invalid("there is no such client authentication")),
                };
            }
            QUILLON_CONFIG_CERTIFICATE_HASH_RULE => self.tls.web_rule = flag(value)?,
            QUILLON_CONFIG_EXTERNAL_TLS => self.tls.external = flag(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_endpoint(&mut self, key: u32, value: u64) -> Result<bool, Failure> {
        let endpoint = &mut self.endpoint;
        match key {
            QUILLON_CONFIG_CONNECTION_ID_LEN => endpoint.connection_id_len = within(value, 4, 20)?,
            QUILLON_CONFIG_MEMORY_BUDGET => endpoint.memory_budget = within(value, 0, u64::from(u32::MAX))?,
            QUILLON_CONFIG_MAX_CONNECTIONS => endpoint.max_connections = within(value, 0, MAX_CONNECTIONS)?,
            QUILLON_CONFIG_ADMISSION => {
                endpoint.admission = match u32::try_from(value) {
                    Ok(QUILLON_ADMISSION_AUTOMATIC) => Admission::Automatic,
                    Ok(QUILLON_ADMISSION_RETRY) => Admission::AutomaticWithRetry { threshold: 0 },
                    Ok(QUILLON_ADMISSION_ASK) => Admission::Ask,
                    _ => return Err(Failure::invalid("there is no such admission")),
                };
            }
            QUILLON_CONFIG_TOKENS_PER_CONNECTION => endpoint.tokens.per_connection = within(value, 0, 8)?,
            QUILLON_CONFIG_RECEIVE_ARENA_LEN => {
                self.receive_arena = within(value, *ARENA_LENGTHS.start(), *ARENA_LENGTHS.end())?;
            }
            QUILLON_CONFIG_TRANSMIT_ARENA_LEN => {
                self.transmit_arena = within(value, *ARENA_LENGTHS.start(), *ARENA_LENGTHS.end())?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn drop_policy(value: u64) -> Result<DropPolicy, Failure> {
    match u32::try_from(value) {
        Ok(QUILLON_DROP_OLDEST) => Ok(DropPolicy::Oldest),
        Ok(QUILLON_DROP_NEWEST) => Ok(DropPolicy::Newest),
        _ => Err(Failure::invalid("there is no such policy")),
    }
}

/// Changes what windows may grow to; the credit is automatic then.
fn set_window(flow_control: &mut FlowControl, connection: Option<u64>, stream: Option<u64>) {
    if *flow_control == FlowControl::Manual {
        *flow_control = FlowControl::default();
    }
    if let FlowControl::Automatic { max_window, max_stream_window } = flow_control {
        *max_window = connection.unwrap_or(*max_window);
        *max_stream_window = stream.unwrap_or(*max_stream_window);
    }
}

pub(super) fn within<T: TryFrom<u64>>(value: u64, least: u64, most: u64) -> Result<T, Failure> {
    let value = (least..=most).contains(&value).then_some(value).and_then(|value| T::try_from(value).ok());
    value.ok_or_else(|| Failure::invalid("the value is out of range"))
}

fn flag(value: u64) -> Result<bool, Failure> {
    within::<u8>(value, 0, 1).map(|value| value == 1)
}

/// RFC 9000 section 16: a variable-length integer has 62 bits.
fn varint(value: u64) -> Result<u64, Failure> {
    within(value, 0, (1 << 62) - 1)
}

/// RFC 9000 section 4.6: there are at most 2^60 streams of a kind.
fn streams(value: u64) -> Result<u64, Failure> {
    within(value, 0, 1 << 60)
}
