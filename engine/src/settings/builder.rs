//! Settings one by one.

use alloc::vec::Vec;
use core::net::{SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use super::{SettingsError, TransportSettings};
use crate::congestion::CongestionControl;
use crate::datagram::DatagramSettings;
use crate::diagnostics::{QlogSettings, TextLogSettings};
use crate::flood::FloodSettings;
use crate::stream::FlowControl;
use crate::version_negotiation::VersionSettings;

/// Makes [`TransportSettings`] that are within their ranges; from [`TransportSettings::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "the settings come from `build`"]
pub struct TransportSettingsBuilder {
    settings: TransportSettings,
}

macro_rules! setters {
    ($($name:ident: $type:ty,)+) => {
        impl TransportSettingsBuilder {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](TransportSettings::", stringify!($name), ").")]
                pub fn $name(mut self, value: $type) -> Self {
                    self.settings.$name = value;
                    self
                }
            )+
        }
    };
}

setters! {
    max_idle_timeout: Duration,
    initial_max_data: u64,
    initial_max_stream_data_bidi_local: u64,
    initial_max_stream_data_bidi_remote: u64,
    initial_max_stream_data_uni: u64,
    initial_max_streams_bidi: u64,
    initial_max_streams_uni: u64,
    send_buffer: u64,
    max_udp_payload_size: u16,
    mtu_discovery_sizes: Vec<u16>,
    max_received_udp_payload_size: u16,
    initial_rtt: Duration,
    max_ack_delay: Duration,
    ack_delay_exponent: u8,
    ack_eliciting_threshold: u16,
    active_connection_id_limit: u8,
    initial_packet_number: u32,
    keep_alive: Option<Duration>,
    handshake_timeout: Option<Duration>,
    flow_control: FlowControl,
    qlog: Option<QlogSettings>,
    text_log: Option<TextLogSettings>,
    datagrams: DatagramSettings,
    versions: VersionSettings,
    packets_per_key: Option<u64>,
    congestion: CongestionControl,
    ecn: bool,
    floods: FloodSettings,
    disable_active_migration: bool,
    preferred_ipv4: Option<SocketAddrV4>,
    preferred_ipv6: Option<SocketAddrV6>,
    follow_preferred_address: bool,
    grease_quic_bit: bool,
    pad_packets: bool,
    grease: bool,
}

impl TransportSettingsBuilder {
    /// The settings.
    ///
    /// # Errors
    ///
    /// The first setting that is outside its range.
    pub fn build(self) -> Result<TransportSettings, SettingsError> {
        self.settings.validate()?;
        Ok(self.settings)
    }
}
