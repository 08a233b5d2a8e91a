/// Counts and measures of a connection. Bytes are UDP payload; times are nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams sent.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Bytes of the datagrams sent.
    pub bytes_sent: u64,
    /// Bytes of the datagrams received.
    pub bytes_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Packets received and authenticated, without duplicates.
    pub packets_received: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// Bytes of the packets declared lost.
    pub bytes_lost: u64,
    /// Packets dropped: undecryptable, duplicate, malformed, or of an unknown path.
    pub packets_dropped: u64,
    /// The smoothed round-trip time (RFC 9002 section 5.3).
    pub smoothed_rtt: u64,
    /// The latest round-trip sample; 0 before the first.
    pub latest_rtt: u64,
    /// The smallest round-trip sample; 0 before the first.
    pub min_rtt: u64,
    /// The variation of the round-trip time.
    pub rtt_variance: u64,
    /// The congestion window, in bytes.
    pub congestion_window: u64,
    /// Bytes sent and neither acknowledged nor lost.
    pub bytes_in_flight: u64,
    /// The slow-start threshold, in bytes, once there is one.
    pub ssthresh: Option<u64>,
    /// From the connection's start until the handshake completed, once it has.
    pub handshake_duration: Option<u64>,
    /// The largest UDP payload that is sent now.
    pub max_udp_payload_size: u64,
    /// Packets acknowledged, each once.
    pub packets_acked: u64,
    /// Bytes of the packets acknowledged, but for those sent on a path that was left before.
    pub bytes_acked: u64,
    /// ACK frames sent.
    pub acks_sent: u64,
    /// ACK frames received.
    pub acks_received: u64,
    /// How often the probe timeout has expired (RFC 9002 section 6.2).
    pub probe_timeouts: u64,
    /// How often losses made the congestion window smaller (RFC 9002 section 7.3.2).
    pub congestion_events: u64,
    /// How often losses established persistent congestion (RFC 9002 section 7.6).
    pub persistent_congestion_events: u64,
    /// How often packet keys were updated, by either end (RFC 9001 section 6).
    pub key_updates: u64,
    /// Streams that this end opened.
    pub streams_opened: u64,
    /// Streams that the peer opened, as far as the caller was told.
    pub streams_accepted: u64,
    /// DATAGRAM frames sent (RFC 9221).
    pub datagram_frames_sent: u64,
    /// DATAGRAM frames received (RFC 9221).
    pub datagram_frames_received: u64,
}

impl Stats {
    /// The number of fields, for those who carry them as an array.
    pub const FIELDS: usize = 30;

    /// The fields in order; what is absent is `u64::MAX`.
    #[must_use]
    pub fn to_array(&self) -> [u64; Self::FIELDS] {
        [
            self.datagrams_sent,
            self.datagrams_received,
            self.bytes_sent,
            self.bytes_received,
            self.packets_sent,
            self.packets_received,
            self.packets_lost,
            self.bytes_lost,
            self.packets_dropped,
            self.smoothed_rtt,
            self.latest_rtt,
            self.min_rtt,
            self.rtt_variance,
            self.congestion_window,
            self.bytes_in_flight,
            self.ssthresh.unwrap_or(u64::MAX),
            self.handshake_duration.unwrap_or(u64::MAX),
            self.max_udp_payload_size,
            self.packets_acked,
            self.bytes_acked,
            self.acks_sent,
            self.acks_received,
            self.probe_timeouts,
            self.congestion_events,
            self.persistent_congestion_events,
            self.key_updates,
            self.streams_opened,
            self.streams_accepted,
            self.datagram_frames_sent,
            self.datagram_frames_received,
        ]
    }
}
