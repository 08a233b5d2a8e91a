//! The settings of one end's transport.

use alloc::vec::Vec;
use core::net::{SocketAddrV4, SocketAddrV6};
use core::time::Duration;

use super::builder::TransportSettingsBuilder;
use crate::congestion::CongestionControl;
use crate::datagram::DatagramSettings;
use crate::diagnostics::{QlogSettings, TextLogSettings};
use crate::flood::FloodSettings;
use crate::stream::FlowControl;
use crate::version_negotiation::VersionSettings;

/// Transport settings of one end of a connection.
///
/// The limits are what this end grants its peer, and travel in its transport parameters (RFC 9000 section 18.2). Make
/// them with [`TransportSettings::builder`], or set the fields: a value outside its range is refused when the settings
/// are used, by [`validate`](Self::validate).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// The connection ends silently when nothing was received for this long; zero never. The smaller of the two ends'
    /// values holds (RFC 9000 section 10.1). At most 2^62 - 1 ms, and told to the peer in whole milliseconds. Default:
    /// 30 s, because a path that is gone should not hold memory for ever.
    pub max_idle_timeout: Duration,
    /// Bytes that the peer may send on all streams together before we grant more (RFC 9000 section 4.1). 0 to
    /// 2^62 - 1. Default: 8 MiB.
    pub initial_max_data: u64,
    /// Bytes that the peer may send on one bidirectional stream that we opened (RFC 9000 section 4.1). 0 to 2^62 - 1.
    /// Default: 4 MiB.
    pub initial_max_stream_data_bidi_local: u64,
    /// Bytes that the peer may send on one bidirectional stream that it opened (RFC 9000 section 4.1). 0 to 2^62 - 1.
    /// Default: 4 MiB.
    pub initial_max_stream_data_bidi_remote: u64,
    /// Bytes that the peer may send on one unidirectional stream (RFC 9000 section 4.1). 0 to 2^62 - 1. Default: 4 MiB.
    pub initial_max_stream_data_uni: u64,
    /// Bidirectional streams that the peer may have open (RFC 9000 section 4.6). 0 to 2^60. Default: 100.
    pub initial_max_streams_bidi: u64,
    /// Unidirectional streams that the peer may have open (RFC 9000 section 4.6). 0 to 2^60. Default: 100.
    pub initial_max_streams_uni: u64,
    /// Bytes written and not yet acknowledged that the engine keeps, all streams together; at least 1. Default: 8 MiB.
    pub send_buffer: u64,
    /// The largest UDP payload that we send once the handshake is complete, in bytes, where the peer takes as much:
    /// 1200 to 65527. Until then 1200 (RFC 9000 section 14.1). What the path carries is discovered up to here. Default:
    /// 1452, what Ethernet carries over IPv6.
    pub max_udp_payload_size: u16,
    /// The sizes of UDP payload that are tried on a path, in bytes and any order, beside `max_udp_payload_size`, once
    /// there is enough to send to fill a datagram (RFC 9000 section 14.3): at most 16 of 1200 to 65527. With none
    /// `max_udp_payload_size` is used at once: choose what the path carries. Default: 1232, 1342, 1406, 1452.
    pub mtu_discovery_sizes: Vec<u16>,
    /// The largest UDP payload that the peer may send us, in bytes, its `max_udp_payload_size`: 1200 to 65527 (RFC
    /// 9000 section 18.2). Lower it where the buffers of the host are smaller. Default: 65527.
    pub max_received_udp_payload_size: u16,
    /// The round-trip time assumed before the first sample (RFC 9002 section 6.2.2): 1 us to 60 s. Default: 333 ms.
    pub initial_rtt: Duration,
    /// How long we may hold an acknowledgment back (RFC 9000 section 13.2.1): 0 to 16383 ms, told to the peer in whole
    /// milliseconds, rounded up. Default: 25 ms.
    pub max_ack_delay: Duration,
    /// The power of two by which the delays in our ACK frames, in microseconds, are divided (RFC 9000 section 19.3):
    /// 0 to 20. Default: 3, units of 8 us.
    pub ack_delay_exponent: u8,
    /// How many packets that ask for it arrive before an acknowledgment goes out ahead of `max_ack_delay` (RFC 9000
    /// section 13.2.2): 1 to 65535. Default: 2.
    pub ack_eliciting_threshold: u16,
    /// How many connection IDs of the peer we keep, for it to fill (RFC 9000 section 5.1.1): 2 to 8. Default: 4, room
    /// for two paths and one spare for each.
    pub active_connection_id_limit: u8,
    /// The packet number of our first packet in each space, 0 to 2^31 - 1: what four bytes carry to a peer that has
    /// received none (RFC 9000 section 17.1). Default: 0.
    pub initial_packet_number: u32,
    /// Sends a PING when nothing was received for this long (RFC 9000 section 10.1.2): above zero. Default: none.
    pub keep_alive: Option<Duration>,
    /// Gives up when the handshake takes longer: above zero. Default: 10 s, so that a name that leads nowhere is an
    /// error soon; `None` leaves it to the idle timeout.
    pub handshake_timeout: Option<Duration>,
    /// How what the peer may send grows, from the limits above. Default: automatic, as the caller reads; see
    /// [`FlowControl`].
    pub flow_control: FlowControl,
    /// Records the connection in qlog, for [`poll_qlog`](crate::Connection::poll_qlog). Default: none. What a server's
    /// first configuration says holds, whatever is [chosen](crate::Connection::choose) later.
    pub qlog: Option<QlogSettings>,
    /// Records the connection in lines of text, for [`poll_text_log`](crate::Connection::poll_text_log). Default: none;
    /// as for `qlog`, a server's first configuration holds.
    pub text_log: Option<TextLogSettings>,
    /// Datagrams (RFC 9221). Default: they are taken; see [`DatagramSettings`].
    pub datagrams: DatagramSettings,
    /// The versions of QUIC: at most 16 in each list, none of them 0. Default: starts with version 1,
    /// speaks 1 and 2.
    pub versions: VersionSettings,
    /// How many packets our keys protect before we update them (RFC 9001 section 6.6): at least 1, and no more often
    /// than the rules allow. Default: none, seven eighths of what the cipher suite bears: 7,340,032 packets of AES-GCM.
    pub packets_per_key: Option<u64>,
    /// How congestion is controlled (RFC 9002 section 7). Default: CUBIC.
    pub congestion: CongestionControl,
    /// Marks what is sent as ECN-capable, ECT(0), on paths where such marks survive, so that congestion can be told
    /// without loss (RFC 9000 section 13.4). Reports what arrives marked in any case. For hosts that can set the mark of
    /// [`Outgoing`](crate::Outgoing). Default: true.
    pub ecn: bool,
    /// How much of what achieves nothing the peer may send (RFC 9000 section 21.9). Default: 10,000 glitches at once, 330
    /// a second.
    pub floods: FloodSettings,
    /// Asks the peer not to move to another address of its own accord, and drops what arrives at another address of ours
    /// than that of the handshake and the preferred one. A NAT may still move the peer (RFC 9000 section 18.2). Default:
    /// false.
    pub disable_active_migration: bool,
    /// Where a server would rather be reached after the handshake, over IPv4 (RFC 9000 section 9.6): an address at which
    /// the host receives for the same endpoint. Of no use on a client, nor with an empty connection ID. Default: none.
    pub preferred_ipv4: Option<SocketAddrV4>,
    /// The same over IPv6. Default: none.
    pub preferred_ipv6: Option<SocketAddrV6>,
    /// As a client, moves to the preferred address of the server, if it has one of the family in use, once that is
    /// validated (RFC 9000 section 9.6.1). Otherwise [`Event::PreferredAddress`](crate::Event::PreferredAddress) is all.
    /// Default: true, as the RFC recommends.
    pub follow_preferred_address: bool,
    /// Announces `grease_quic_bit`, takes packets whose QUIC bit is zero, and makes that bit random towards a peer that
    /// announces it too (RFC 9287). Not for a socket on which that bit tells QUIC from another protocol (RFC 9443).
    /// Default: true.
    pub grease_quic_bit: bool,
    /// Pads every 0-RTT and 1-RTT packet that asks for an acknowledgment to the size of the path, so that sizes do not
    /// tell what is sent (RFC 9000 section 21.14). Costs bandwidth. Default: false.
    pub pad_packets: bool,
    /// Sends what means nothing, so that peers and middleboxes keep ignoring it: a reserved transport parameter (RFC
    /// 9000 section 18.1) and reserved versions (sections 6.3 and 15). Default: true.
    pub grease: bool,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            max_idle_timeout: Duration::from_secs(30),
            initial_max_data: 8 << 20,
            initial_max_stream_data_bidi_local: 4 << 20,
            initial_max_stream_data_bidi_remote: 4 << 20,
            initial_max_stream_data_uni: 4 << 20,
            initial_max_streams_bidi: 100,
            initial_max_streams_uni: 100,
            send_buffer: 8 << 20,
            max_udp_payload_size: 1452,
            mtu_discovery_sizes: Vec::from([1232, 1342, 1406, 1452]),
            max_received_udp_payload_size: 65_527,
            initial_rtt: Duration::from_millis(333),
            max_ack_delay: Duration::from_millis(25),
            ack_delay_exponent: 3,
            ack_eliciting_threshold: 2,
            active_connection_id_limit: 4,
            initial_packet_number: 0,
            keep_alive: None,
            handshake_timeout: Some(Duration::from_secs(10)),
            flow_control: FlowControl::default(),
            qlog: None,
            text_log: None,
            datagrams: DatagramSettings::default(),
            versions: VersionSettings::default(),
            packets_per_key: None,
            congestion: CongestionControl::default(),
            ecn: true,
            floods: FloodSettings::default(),
            disable_active_migration: false,
            preferred_ipv4: None,
            preferred_ipv6: None,
            follow_preferred_address: true,
            grease_quic_bit: true,
            pad_packets: false,
            grease: true,
        }
    }
}

impl TransportSettings {
    /// The default settings, to be changed one by one and then validated.
    ///
    /// ```
    /// use core::time::Duration;
    /// use quillon::TransportSettings;
    ///
    /// let settings = TransportSettings::builder()
    ///     .max_idle_timeout(Duration::from_secs(60))
    ///     .keep_alive(Some(Duration::from_secs(20)))
    ///     .initial_max_streams_bidi(1_000)
    ///     .build()?;
    /// assert_eq!(settings.initial_max_streams_bidi, 1_000);
    ///
    /// let refused = TransportSettings::builder().ack_delay_exponent(21).build().unwrap_err();
    /// assert_eq!(refused.to_string(), "ack_delay_exponent is 0 to 20");
    /// # Ok::<(), quillon::SettingsError>(())
    /// ```
    pub fn builder() -> TransportSettingsBuilder {
        TransportSettingsBuilder::default()
    }
}
