//! Settings on their way into the module, by the keys of the ABI.

use std::net::SocketAddr;
use std::time::Duration;

use quillon::congestion::CongestionControl;
use quillon::crypto::{CipherSuite, StaticKey};
use quillon::diagnostics::QlogSchema;
use quillon::{
    Admission, DatagramSettings, DropPolicy, EndpointConfig, FloodSettings, FlowControl, TransportSettings,
    VersionSettings,
};

use super::{RECEIVE_ARENA_LEN, TRANSMIT_ARENA_LEN, Wasm, layout};
use crate::backend::{BackendError, SessionHandle};
use crate::config::{ClientConfig, ServerConfig};
use crate::engine::Engine;

const ROLE_CLIENT: u32 = 0;
const ROLE_SERVER: u32 = 1;

/// Keys of settings, of the ABI.
mod key {
    pub(super) const MAX_IDLE_TIMEOUT_MS: u32 = 1;
    pub(super) const INITIAL_MAX_DATA: u32 = 2;
    pub(super) const INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: u32 = 3;
    pub(super) const INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: u32 = 4;
    pub(super) const INITIAL_MAX_STREAM_DATA_UNI: u32 = 5;
    pub(super) const INITIAL_MAX_STREAMS_BIDI: u32 = 6;
    pub(super) const INITIAL_MAX_STREAMS_UNI: u32 = 7;
    pub(super) const MAX_UDP_PAYLOAD_SIZE: u32 = 8;
    pub(super) const INITIAL_RTT_MS: u32 = 9;
    pub(super) const MAX_ACK_DELAY_MS: u32 = 10;
    pub(super) const KEEP_ALIVE_MS: u32 = 11;
    pub(super) const HANDSHAKE_TIMEOUT_MS: u32 = 12;
    pub(super) const VERIFY_PEER: u32 = 13;
    pub(super) const KEY_LOG: u32 = 14;
    pub(super) const SEND_BUFFER: u32 = 15;
    pub(super) const MAX_DATAGRAM_FRAME_SIZE: u32 = 16;
    pub(super) const DATAGRAM_SEND_BUFFER: u32 = 17;
    pub(super) const DATAGRAM_RECEIVE_BUFFER: u32 = 18;
    pub(super) const CONGESTION_CONTROL: u32 = 19;
    pub(super) const INITIAL_PACKET_NUMBER: u32 = 20;
    pub(super) const PACKETS_PER_KEY: u32 = 21;
    pub(super) const GREASE: u32 = 22;
    pub(super) const MAX_WINDOW: u32 = 24;
    pub(super) const MAX_STREAM_WINDOW: u32 = 25;
    pub(super) const MANUAL_CREDIT: u32 = 26;
    pub(super) const DISABLE_ACTIVE_MIGRATION: u32 = 27;
    pub(super) const FOLLOW_PREFERRED_ADDRESS: u32 = 28;
    pub(super) const EARLY_DATA: u32 = 29;
    pub(super) const SESSION_STORE: u32 = 30;
    pub(super) const CONNECTION_ID_LEN: u32 = 32;
    pub(super) const MEMORY_BUDGET: u32 = 33;
    pub(super) const MAX_CONNECTIONS: u32 = 34;
    pub(super) const RECEIVE_ARENA_LEN: u32 = 35;
    pub(super) const TRANSMIT_ARENA_LEN: u32 = 36;
    pub(super) const ADMISSION: u32 = 37;
    pub(super) const TOKENS_PER_CONNECTION: u32 = 38;
    pub(super) const ECN: u32 = 39;
    pub(super) const FLOOD_BURST: u32 = 51;
    pub(super) const FLOOD_RATE: u32 = 52;
    pub(super) const QLOG: u32 = 53;
    pub(super) const TEXT_LOG: u32 = 54;
    pub(super) const MAX_RECEIVED_UDP_PAYLOAD_SIZE: u32 = 55;
    pub(super) const ACK_DELAY_EXPONENT: u32 = 56;
    pub(super) const ACK_ELICITING_THRESHOLD: u32 = 57;
    pub(super) const ACTIVE_CONNECTION_ID_LIMIT: u32 = 58;
    pub(super) const GREASE_QUIC_BIT: u32 = 59;
    pub(super) const PAD_PACKETS: u32 = 60;
    pub(super) const ORIGINAL_VERSION: u32 = 61;
    pub(super) const DATAGRAM_SEND_POLICY: u32 = 62;
    pub(super) const DATAGRAM_RECEIVE_POLICY: u32 = 63;
    pub(super) const ALPN: u32 = 64;
    pub(super) const ROOT_CERTIFICATE: u32 = 65;
    pub(super) const CERTIFICATE: u32 = 66;
    pub(super) const PRIVATE_KEY: u32 = 67;
    pub(super) const CIPHER_SUITES: u32 = 68;
    pub(super) const VERSIONS: u32 = 69;
    pub(super) const PREFERRED_VERSIONS: u32 = 70;
    pub(super) const TOKEN: u32 = 71;
    pub(super) const TOKEN_KEY: u32 = 72;
    pub(super) const STATELESS_RESET_KEY: u32 = 73;
    pub(super) const TICKET_KEY: u32 = 74;
    pub(super) const PREFERRED_ADDRESS: u32 = 76;
    pub(super) const MTU_DISCOVERY_SIZES: u32 = 77;
}

/// Settings by key.
#[derive(Debug, Default)]
struct Values {
    numbers: Vec<(u32, u64)>,
    bytes: Vec<(u32, Vec<u8>)>,
}

impl Wasm {
    fn set_number(&mut self, settings: u32, key: u32, value: u64) -> Result<(), BackendError> {
        self.check_call(|e| &e.config_set_number, (settings, key, value)).map(drop)
    }

    fn set_bytes(&mut self, settings: u32, key: u32, value: &[u8]) -> Result<(), BackendError> {
        let (address, len) = self.stage(value)?;
        self.check_call(|e| &e.config_set_bytes, (settings, key, address, len)).map(drop)
    }

    fn set_all(&mut self, settings: u32, values: &Values) -> Result<(), BackendError> {
        values.numbers.iter().try_for_each(|(key, value)| self.set_number(settings, *key, *value))?;
        values.bytes.iter().try_for_each(|(key, value)| self.set_bytes(settings, *key, value))
    }

    /// Makes a configuration and fills it.
    fn new_config(&mut self, role: u32, values: &Values) -> Result<u32, BackendError> {
        let settings = self.check_call(|e| &e.config_new, role)?;
        let set = self.set_all(settings, values);
        if let Err(error) = set {
            if !self.trapped {
                self.call(|e| &e.config_free, settings)?;
            }
            return Err(error);
        }
        Ok(settings)
    }

    /// Makes the endpoint.
    pub(super) fn new_endpoint(&mut self, config: &EndpointConfig) -> Result<u32, BackendError> {
        let settings = self.new_config(ROLE_CLIENT, &endpoint_values(config))?;
        let endpoint = self.check_call(|e| &e.endpoint_new, settings)?;
        self.call(|e| &e.config_free, settings)?;
        Ok(endpoint)
    }

    /// Runs `f` with a server's configuration, which is freed afterwards.
    pub(super) fn with_server_config(
        &mut self,
        config: &ServerConfig,
        key_log: bool,
        f: impl FnOnce(&mut Self, u32) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let mut values = common_values(&config.alpn, config.suites(Engine::Wasm), key_log);
        values.add_transport(&config.transport, false);
        values.bytes.extend(config.identity.chain.iter().map(|der| (key::CERTIFICATE, der.clone())));
        values.bytes.push((key::PRIVATE_KEY, config.identity.key.clone()));
        values.numbers.push((key::EARLY_DATA, u64::from(config.early_data)));
        values.numbers.push((key::SESSION_STORE, config.session_store as u64));
        if let Some((current, previous)) = &config.ticket_keys {
            let previous = previous.as_ref().map_or(&[][..], |key| key);
            values.bytes.push((key::TICKET_KEY, [current, previous].concat()));
        }
        let settings = self.new_config(ROLE_SERVER, &values)?;
        let result = f(self, settings);
        if !self.trapped {
            self.call(|e| &e.config_free, settings)?;
        }
        result
    }

    /// The configuration for a connection: one that is there, so that its sessions can be resumed, or a new one.
    pub(super) fn client_config(
        &mut self,
        config: &ClientConfig,
        session: Option<SessionHandle>,
        key_log: bool,
    ) -> Result<u32, BackendError> {
        let known = self.configs.find(config).copied();
        let settings = match known {
            Some(settings) => settings,
            None => {
                let mut values = common_values(&config.alpn, config.suites(Engine::Wasm), key_log);
                values.add_transport(&config.transport, true);
                values.numbers.push((key::VERIFY_PEER, u64::from(config.verify_peer)));
                values.numbers.push((key::EARLY_DATA, u64::from(config.early_data)));
                values.bytes.extend(config.roots.iter().map(|der| (key::ROOT_CERTIFICATE, der.clone())));
                let settings = self.new_config(ROLE_CLIENT, &values)?;
                if let Some(oldest) = self.configs.keep(config, settings) {
                    self.call(|e| &e.config_free, oldest)?;
                }
                settings
            }
        };
        self.set_bytes(settings, key::TOKEN, &config.token)?;
        self.check_call(|e| &e.config_set_session, (settings, session.unwrap_or_default()))?;
        Ok(settings)
    }
}

fn common_values(alpn: &[Vec<u8>], suites: &[CipherSuite], key_log: bool) -> Values {
    let mut values = Values::default();
    values.bytes.extend(alpn.iter().map(|protocol| (key::ALPN, protocol.clone())));
    let suites = suites.iter().flat_map(|suite| suite.to_iana().to_be_bytes()).collect();
    values.bytes.push((key::CIPHER_SUITES, suites));
    values.numbers.push((key::KEY_LOG, u64::from(key_log)));
    values
}

fn endpoint_values(config: &EndpointConfig) -> Values {
    let admission = match config.admission {
        Admission::Automatic => 0,
        Admission::AutomaticWithRetry { .. } => 1,
        Admission::Ask => 2,
    };
    let mut values = Values::default();
    values.numbers.extend([
        (key::CONNECTION_ID_LEN, config.connection_id_len as u64),
        (key::MEMORY_BUDGET, config.memory_budget as u64),
        (key::MAX_CONNECTIONS, u64::from(config.max_connections)),
        (key::ADMISSION, admission),
        (key::TOKENS_PER_CONNECTION, u64::from(config.tokens.per_connection)),
        (key::RECEIVE_ARENA_LEN, RECEIVE_ARENA_LEN as u64),
        (key::TRANSMIT_ARENA_LEN, TRANSMIT_ARENA_LEN as u64),
    ]);
    let keys = [(key::TOKEN_KEY, &config.tokens.key), (key::STATELESS_RESET_KEY, &config.stateless_reset_key)];
    values.bytes.extend(keys.into_iter().filter_map(|(key, value)| Some((key, static_key(value.as_ref()?)))));
    values
}

fn static_key(key: &StaticKey) -> Vec<u8> {
    let previous = key.previous().map_or(&[][..], |previous| previous.as_slice());
    [key.current().as_slice(), previous].concat()
}

impl Values {
    /// Every field of the settings. Of the logs the schema goes over: how much they tell and keep is the default.
    fn add_transport(&mut self, transport: &TransportSettings, is_client: bool) {
        // Without `..`: a field that is new is not forgotten.
        let TransportSettings {
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
            congestion,
            ecn,
            floods: FloodSettings { burst, refill_per_second },
            disable_active_migration,
            preferred_ipv4,
            preferred_ipv6,
            follow_preferred_address,
            grease_quic_bit,
            pad_packets,
            grease,
        } = transport;
        self.numbers.extend([
            (key::MAX_IDLE_TIMEOUT_MS, millis(*max_idle_timeout)),
            (key::INITIAL_MAX_DATA, *initial_max_data),
            (key::INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, *initial_max_stream_data_bidi_local),
            (key::INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, *initial_max_stream_data_bidi_remote),
            (key::INITIAL_MAX_STREAM_DATA_UNI, *initial_max_stream_data_uni),
            (key::INITIAL_MAX_STREAMS_BIDI, *initial_max_streams_bidi),
            (key::INITIAL_MAX_STREAMS_UNI, *initial_max_streams_uni),
            (key::SEND_BUFFER, *send_buffer),
            (key::MAX_UDP_PAYLOAD_SIZE, u64::from(*max_udp_payload_size)),
            (key::MAX_RECEIVED_UDP_PAYLOAD_SIZE, u64::from(*max_received_udp_payload_size)),
            (key::INITIAL_RTT_MS, millis(*initial_rtt)),
            (key::MAX_ACK_DELAY_MS, millis(*max_ack_delay)),
            (key::ACK_DELAY_EXPONENT, u64::from(*ack_delay_exponent)),
            (key::ACK_ELICITING_THRESHOLD, u64::from(*ack_eliciting_threshold)),
            (key::ACTIVE_CONNECTION_ID_LIMIT, u64::from(*active_connection_id_limit)),
            (key::INITIAL_PACKET_NUMBER, u64::from(*initial_packet_number)),
            (key::KEEP_ALIVE_MS, keep_alive.map_or(0, millis)),
            (key::HANDSHAKE_TIMEOUT_MS, handshake_timeout.map_or(0, millis)),
            (key::QLOG, qlog.map_or(0, |qlog| if qlog.schema == QlogSchema::Draft { 2 } else { 1 })),
            (key::TEXT_LOG, u64::from(text_log.is_some())),
            (key::PACKETS_PER_KEY, packets_per_key.unwrap_or_default()),
            (key::CONGESTION_CONTROL, u64::from(*congestion == CongestionControl::NewReno)),
            (key::FLOOD_BURST, u64::from(*burst)),
            (key::FLOOD_RATE, u64::from(*refill_per_second)),
            (key::DISABLE_ACTIVE_MIGRATION, u64::from(*disable_active_migration)),
            (key::FOLLOW_PREFERRED_ADDRESS, u64::from(*follow_preferred_address)),
            (key::ECN, u64::from(*ecn)),
            (key::GREASE_QUIC_BIT, u64::from(*grease_quic_bit)),
            (key::PAD_PACKETS, u64::from(*pad_packets)),
            (key::GREASE, u64::from(*grease)),
        ]);
        let sizes = mtu_discovery_sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        self.bytes.push((key::MTU_DISCOVERY_SIZES, sizes));
        self.add_datagrams(datagrams);
        self.add_versions(versions, is_client);
        match *flow_control {
            FlowControl::Manual => self.numbers.push((key::MANUAL_CREDIT, 1)),
            FlowControl::Automatic { max_window, max_stream_window } => {
                self.numbers.extend([(key::MAX_WINDOW, max_window), (key::MAX_STREAM_WINDOW, max_stream_window)]);
            }
        }
        let preferred = preferred_ipv4.map(SocketAddr::V4).into_iter().chain(preferred_ipv6.map(SocketAddr::V6));
        self.bytes.extend(preferred.map(|at| (key::PREFERRED_ADDRESS, layout::encode_address(at).to_vec())));
    }

    fn add_datagrams(&mut self, datagrams: &DatagramSettings) {
        let DatagramSettings { max_frame_size, send_buffer, send_policy, receive_buffer, receive_policy } = *datagrams;
        self.numbers.extend([
            (key::MAX_DATAGRAM_FRAME_SIZE, max_frame_size),
            (key::DATAGRAM_SEND_BUFFER, send_buffer),
            (key::DATAGRAM_SEND_POLICY, u64::from(send_policy == DropPolicy::Newest)),
            (key::DATAGRAM_RECEIVE_BUFFER, receive_buffer),
            (key::DATAGRAM_RECEIVE_POLICY, u64::from(receive_policy == DropPolicy::Newest)),
        ]);
    }

    /// A client starts with the first of its list.
    fn add_versions(&mut self, versions: &VersionSettings, is_client: bool) {
        let VersionSettings { chosen, available, preferred, original } = versions;
        let first = is_client.then_some(*chosen);
        let others = available.iter().copied().filter(|version| Some(*version) != first);
        let listed: Vec<u8> = first.into_iter().chain(others).flat_map(|version| version.0.to_be_bytes()).collect();
        self.bytes.push((key::VERSIONS, listed));
        if !preferred.is_empty() {
            let preferred = preferred.iter().flat_map(|version| version.0.to_be_bytes()).collect();
            self.bytes.push((key::PREFERRED_VERSIONS, preferred));
        }
        self.numbers.extend(original.map(|version| (key::ORIGINAL_VERSION, u64::from(version.0))));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quillon::diagnostics::{QlogSettings, TextLogSettings};

    use super::*;

    /// The settings that go over, with their keys; each key once.
    fn values(transport: &TransportSettings) -> BTreeSet<(u32, Vec<u8>)> {
        let mut values = Values::default();
        values.add_transport(transport, true);
        let numbers = values.numbers.into_iter().map(|(key, value)| (key, value.to_be_bytes().to_vec()));
        numbers.chain(values.bytes).collect()
    }

    #[test]
    fn every_setting_goes_over() {
        let default = values(&TransportSettings::default());
        let changes: [fn(&mut TransportSettings); 44] = [
            |t| t.max_idle_timeout = Duration::from_secs(7),
            |t| t.initial_max_data = 7,
            |t| t.initial_max_stream_data_bidi_local = 7,
            |t| t.initial_max_stream_data_bidi_remote = 7,
            |t| t.initial_max_stream_data_uni = 7,
            |t| t.initial_max_streams_bidi = 7,
            |t| t.initial_max_streams_uni = 7,
            |t| t.send_buffer = 7,
            |t| t.max_udp_payload_size = 1300,
            |t| t.mtu_discovery_sizes = Vec::new(),
            |t| t.ecn = false,
            |t| t.max_received_udp_payload_size = 1300,
            |t| t.initial_rtt = Duration::from_secs(7),
            |t| t.max_ack_delay = Duration::from_millis(7),
            |t| t.ack_delay_exponent = 7,
            |t| t.ack_eliciting_threshold = 7,
            |t| t.active_connection_id_limit = 7,
            |t| t.initial_packet_number = 7,
            |t| t.keep_alive = Some(Duration::from_secs(7)),
            |t| t.handshake_timeout = None,
            |t| t.flow_control = FlowControl::Manual,
            |t| t.flow_control = FlowControl::Automatic { max_window: 7, max_stream_window: 8 << 20 },
            |t| t.flow_control = FlowControl::Automatic { max_window: 16 << 20, max_stream_window: 7 },
            |t| t.qlog = Some(QlogSettings::default()),
            |t| t.qlog = Some(QlogSettings { schema: QlogSchema::Draft, ..QlogSettings::default() }),
            |t| t.text_log = Some(TextLogSettings::default()),
            |t| t.datagrams.max_frame_size = 7,
            |t| t.datagrams.send_buffer = 7,
            |t| t.datagrams.send_policy = DropPolicy::Oldest,
            |t| t.datagrams.receive_buffer = 7,
            |t| t.datagrams.receive_policy = DropPolicy::Newest,
            |t| t.versions.chosen = quillon::wire::Version::V2,
            |t| t.versions.available = vec![quillon::wire::Version::V1],
            |t| t.versions.preferred = vec![quillon::wire::Version::V2],
            |t| t.versions.original = Some(quillon::wire::Version::V2),
            |t| t.packets_per_key = Some(7),
            |t| t.congestion = CongestionControl::NewReno,
            |t| t.floods = FloodSettings { burst: 7, refill_per_second: 7 },
            |t| t.disable_active_migration = true,
            |t| t.preferred_ipv4 = Some("192.0.2.1:7".parse().expect("an address")),
            |t| t.preferred_ipv6 = Some("[2001:db8::1]:7".parse().expect("an address")),
            |t| t.follow_preferred_address = false,
            |t| t.grease_quic_bit = false,
            |t| t.pad_packets = true,
        ];
        let mut seen = BTreeSet::from([default]);
        for (index, change) in changes.into_iter().enumerate() {
            let mut transport = TransportSettings::default();
            change(&mut transport);
            assert!(seen.insert(values(&transport)), "change {index} does not go over");
        }
        assert!(seen.insert(values(&TransportSettings { grease: false, ..TransportSettings::default() })));
    }
}
