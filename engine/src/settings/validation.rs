//! The ranges of the settings.

use core::fmt;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::TransportSettings;
use crate::stream::{FlowControl, Limits};
use crate::version_negotiation::MAX_VERSIONS;
use crate::wire::{Version, varint};

/// A setting outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The name of the setting.
    pub setting: &'static str,
    /// The values that it takes, with their unit.
    pub range: &'static str,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}", self.setting, self.range)
    }
}

impl core::error::Error for SettingsError {}

/// What a variable-length integer carries (RFC 9000 section 16).
const VARINT: &str = "0 to 2^62 - 1";
/// RFC 9000 section 4.6.
const MAX_STREAMS: RangeInclusive<u64> = 0..=1 << 60;
const STREAMS: &str = "0 to 2^60";
/// From what every path carries (RFC 9000 section 14) to what a UDP datagram does.
const UDP_PAYLOAD: RangeInclusive<u16> = 1200..=65_527;
const UDP_PAYLOAD_RANGE: &str = "1200 to 65527 bytes";

fn check(within: bool, setting: &'static str, range: &'static str) -> Result<(), SettingsError> {
    if within { Ok(()) } else { Err(SettingsError { setting, range }) }
}

/// The buffer of a log, where there is one.
fn check_buffer(bytes: Option<usize>, setting: &'static str) -> Result<(), SettingsError> {
    check(bytes.is_none_or(|bytes| (4 << 10..=64 << 20).contains(&bytes)), setting, "4 KiB to 64 MiB")
}

impl TransportSettings {
    /// Whether every setting is within its range. Opening a connection and
    /// [`Endpoint::set_server`](crate::Endpoint::set_server) ask for this.
    ///
    /// # Errors
    ///
    /// The first setting that is not.
    pub fn validate(&self) -> Result<(), SettingsError> {
        // Every field is named: one that is added has to say its range here.
        let Self {
            max_idle_timeout,
            initial_max_data,
            initial_max_stream_data_bidi_local,
            initial_max_stream_data_bidi_remote,
            initial_max_stream_data_uni,
            initial_max_streams_bidi,
            initial_max_streams_uni,
            send_buffer,
            max_udp_payload_size,
            mtu_discovery_sizes,
            max_received_udp_payload_size,
            initial_rtt,
            max_ack_delay,
            ack_delay_exponent,
            ack_eliciting_threshold,
            active_connection_id_limit,
            initial_packet_number,
            keep_alive,
            handshake_timeout,
            flow_control,
            qlog,
            text_log,
            datagrams,
            versions,
            packets_per_key,
            congestion: _,
            ecn: _,
            floods,
            disable_active_migration: _,
            preferred_ipv4: _,
            preferred_ipv6: _,
            follow_preferred_address: _,
            grease_quic_bit: _,
            pad_packets: _,
            grease: _,
        } = self;
        let idle = max_idle_timeout.as_millis() <= u128::from(varint::MAX);
        check(idle, "max_idle_timeout", "0 to 2^62 - 1 milliseconds; 0 is none")?;
        for (value, name) in [
            (initial_max_data, "initial_max_data"),
            (initial_max_stream_data_bidi_local, "initial_max_stream_data_bidi_local"),
            (initial_max_stream_data_bidi_remote, "initial_max_stream_data_bidi_remote"),
            (initial_max_stream_data_uni, "initial_max_stream_data_uni"),
        ] {
            check(*value <= varint::MAX, name, VARINT)?;
        }
        check(MAX_STREAMS.contains(initial_max_streams_bidi), "initial_max_streams_bidi", STREAMS)?;
        check(MAX_STREAMS.contains(initial_max_streams_uni), "initial_max_streams_uni", STREAMS)?;
        check(*send_buffer > 0, "send_buffer", "at least 1 byte")?;
        check(UDP_PAYLOAD.contains(max_udp_payload_size), "max_udp_payload_size", UDP_PAYLOAD_RANGE)?;
        let sizes = mtu_discovery_sizes.iter().all(|size| UDP_PAYLOAD.contains(size));
        check(sizes && mtu_discovery_sizes.len() <= 16, "mtu_discovery_sizes", "at most 16 of 1200 to 65527 bytes")?;
        let received = UDP_PAYLOAD.contains(max_received_udp_payload_size);
        check(received, "max_received_udp_payload_size", UDP_PAYLOAD_RANGE)?;
        let rtt = Duration::from_micros(1)..=Duration::from_secs(60);
        check(rtt.contains(initial_rtt), "initial_rtt", "1 microsecond to 60 seconds")?;
        // RFC 9000 section 18.2: values of 2^14 or greater are invalid.
        let ack_delay = *max_ack_delay <= Duration::from_millis((1 << 14) - 1);
        check(ack_delay, "max_ack_delay", "0 to 16383 milliseconds")?;
        check(*ack_delay_exponent <= 20, "ack_delay_exponent", "0 to 20")?;
        check(*ack_eliciting_threshold > 0, "ack_eliciting_threshold", "1 to 65535 packets")?;
        check((2..=8).contains(active_connection_id_limit), "active_connection_id_limit", "2 to 8")?;
        check(*initial_packet_number < 1 << 31, "initial_packet_number", "0 to 2^31 - 1")?;
        check(keep_alive.is_none_or(|period| !period.is_zero()), "keep_alive", "above zero, or none")?;
        check(handshake_timeout.is_none_or(|limit| !limit.is_zero()), "handshake_timeout", "above zero, or none")?;
        if let FlowControl::Automatic { max_window, max_stream_window } = flow_control {
            check(*max_window <= varint::MAX, "flow_control.max_window", VARINT)?;
            let stream_window = *max_stream_window <= Limits::MAX_STREAM_WINDOW;
            check(stream_window, "flow_control.max_stream_window", "0 to 4 GiB")?;
        }
        check_buffer(qlog.map(|log| log.buffer), "qlog.buffer")?;
        check_buffer(text_log.map(|log| log.buffer), "text_log.buffer")?;
        check(datagrams.max_frame_size <= varint::MAX, "datagrams.max_frame_size", VARINT)?;
        check(floods.burst > 0, "floods.burst", "above zero")?;
        check(*packets_per_key != Some(0), "packets_per_key", "at least 1, or none")?;
        let lists = [&versions.available, &versions.preferred];
        let version = versions.chosen != Version::NEGOTIATION;
        check(
            version && lists.iter().all(|list| list.len() <= MAX_VERSIONS),
            "versions",
            "at most 16 in a list, none 0",
        )
    }
}
