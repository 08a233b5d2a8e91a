//! The numbers of the ABI: error codes, keys, event kinds.
//!
//! A number, once published, keeps its meaning; new ones are added at the end of their group. The names are those of
//! `quillon.h`, which a test compares with [`ALL`].

macro_rules! constants {
    ($($(#[$group_doc:meta])* $group:ident: $ty:ty { $($(#[$doc:meta])* $name:ident = $value:literal,)+ })+) => {
        $(
            $($(#[$doc])* pub const $name: $ty = $value;)+
            $(#[$group_doc])*
            pub const $group: &[(&str, i64)] = &[$((stringify!($name), $value)),+];
        )+
        /// Every group.
        pub const ALL: &[&[(&str, i64)]] = &[$($group),+];
    };
}

constants! {
    /// The version.
    VERSION: u32 {
        /// The ABI's version: major in the upper 16 bits, minor in the lower.
        QUILLON_ABI_VERSION = 0x0001_0000,
    }

    /// Error codes: every one is negative.
    ERRORS: i32 {
        /// `quillon_seed` was not called.
        QUILLON_ERR_UNSEEDED = -1,
        /// An argument is out of range, badly formed, or in a combination that is not allowed.
        QUILLON_ERR_INVALID_ARGUMENT = -2,
        /// The handle names nothing, or something that is gone.
        QUILLON_ERR_INVALID_HANDLE = -3,
        /// Nothing to read, no room to write, or no credit for another stream: try again after the event.
        QUILLON_ERR_BLOCKED = -4,
        /// No such stream, or it is over.
        QUILLON_ERR_UNKNOWN_STREAM = -5,
        /// The sending part was finished.
        QUILLON_ERR_FINISHED = -6,
        /// The stream was reset; the code is in the status block.
        QUILLON_ERR_RESET = -7,
        /// The peer asked to stop sending; the code is in the status block.
        QUILLON_ERR_STOPPED = -8,
        /// The connection is closed.
        QUILLON_ERR_CLOSED = -9,
        /// TLS refused the configuration; the last error's text says why.
        QUILLON_ERR_TLS = -10,
        /// The endpoint's memory budget is reached, or an allocation failed.
        QUILLON_ERR_MEMORY = -11,
        /// As many objects of this kind as there can be.
        QUILLON_ERR_TOO_MANY = -12,
        /// The instance is inside another call.
        QUILLON_ERR_BUSY = -13,
        /// It is too early or too late for this; the last error's text says which.
        QUILLON_ERR_INVALID_STATE = -14,
        /// The peer does not take part in this extension.
        QUILLON_ERR_UNSUPPORTED = -15,
        /// More than fits; the most that does is in the status block.
        QUILLON_ERR_TOO_LARGE = -16,
    }

    /// Roles of a configuration.
    ROLES: u32 {
        /// For `quillon_endpoint_connect`.
        QUILLON_ROLE_CLIENT = 0,
        /// For `quillon_endpoint_listen`.
        QUILLON_ROLE_SERVER = 1,
    }

    /// Keys of `quillon_config_set_number`.
    NUMBER_KEYS: u32 {
        /// The longest silence before the connection is given up, in milliseconds; 0 for no limit.
        QUILLON_CONFIG_MAX_IDLE_TIMEOUT_MS = 1,
        /// How many bytes the peer may send on all streams before we read.
        QUILLON_CONFIG_INITIAL_MAX_DATA = 2,
        /// The same for each bidirectional stream that we open.
        QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_LOCAL = 3,
        /// The same for each bidirectional stream that the peer opens.
        QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_REMOTE = 4,
        /// The same for each unidirectional stream.
        QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_UNI = 5,
        /// How many bidirectional streams the peer may have open.
        QUILLON_CONFIG_INITIAL_MAX_STREAMS_BIDI = 6,
        /// How many unidirectional streams the peer may have open.
        QUILLON_CONFIG_INITIAL_MAX_STREAMS_UNI = 7,
        /// The largest UDP payload that is sent, in bytes.
        QUILLON_CONFIG_MAX_UDP_PAYLOAD_SIZE = 8,
        /// The round-trip time assumed before the first sample, in milliseconds.
        QUILLON_CONFIG_INITIAL_RTT_MS = 9,
        /// The longest delay of an acknowledgement, in milliseconds.
        QUILLON_CONFIG_MAX_ACK_DELAY_MS = 10,
        /// The silence after which a PING is sent, in milliseconds; 0 for never.
        QUILLON_CONFIG_KEEP_ALIVE_MS = 11,
        /// The longest handshake, in milliseconds; 0 for no limit.
        QUILLON_CONFIG_HANDSHAKE_TIMEOUT_MS = 12,
        /// 1: verify the server's certificate (the default); 0: accept any.
        QUILLON_CONFIG_VERIFY_PEER = 13,
        /// 1: hand out the session's secrets as events; 0: do not (the default).
        QUILLON_CONFIG_KEY_LOG = 14,
        /// How many unacknowledged and unsent bytes a connection buffers.
        QUILLON_CONFIG_SEND_BUFFER = 15,
        /// The largest DATAGRAM frame that the peer may send, in bytes; 0: no datagrams.
        QUILLON_CONFIG_MAX_DATAGRAM_FRAME_SIZE = 16,
        /// How many bytes of datagrams may wait to be sent.
        QUILLON_CONFIG_DATAGRAM_SEND_BUFFER = 17,
        /// How many bytes of datagrams may wait to be read.
        QUILLON_CONFIG_DATAGRAM_RECEIVE_BUFFER = 18,
        /// How congestion is controlled: `QUILLON_CONGESTION_*`.
        QUILLON_CONFIG_CONGESTION_CONTROL = 19,
        /// The first packet number in each space, below 2^31.
        QUILLON_CONFIG_INITIAL_PACKET_NUMBER = 20,
        /// How many packets a key protects before it is updated; 0: as many as is safe.
        QUILLON_CONFIG_PACKETS_PER_KEY = 21,
        /// 1: send what means nothing, so that peers keep ignoring it (the default); 0: do not.
        QUILLON_CONFIG_GREASE = 22,
        /// 1: a server waits for `quillon_connection_choose` on each ClientHello; 0: it does not (the default).
        QUILLON_CONFIG_ASK_ON_CLIENT_HELLO = 23,
        /// What the window of a connection may grow to, in bytes.
        QUILLON_CONFIG_MAX_WINDOW = 24,
        /// What the window of a stream may grow to, in bytes.
        QUILLON_CONFIG_MAX_STREAM_WINDOW = 25,
        /// 1: the peer gets credit by calls alone; 0: by itself, as is read (the default).
        QUILLON_CONFIG_MANUAL_CREDIT = 26,
        /// 1: the peer is asked not to move to other addresses; 0: it may (the default).
        QUILLON_CONFIG_DISABLE_ACTIVE_MIGRATION = 27,
        /// 1: a client moves to the server's preferred address; 0: it does not.
        QUILLON_CONFIG_FOLLOW_PREFERRED_ADDRESS = 28,
        /// 1: a client sends early data, a server takes it; 0: neither (the default).
        QUILLON_CONFIG_EARLY_DATA = 29,
        /// How many sessions a server remembers, for early data too; 0: none (the default).
        QUILLON_CONFIG_SESSION_STORE = 30,
        /// 1: the host has the last word on the peer's certificate; 0: it has not (the default).
        QUILLON_CONFIG_ASK_FOR_VERDICT = 31,
        /// The length of our connection IDs, in bytes.
        QUILLON_CONFIG_CONNECTION_ID_LEN = 32,
        /// The bytes that an endpoint's connections may hold.
        QUILLON_CONFIG_MEMORY_BUDGET = 33,
        /// How many connections an endpoint holds.
        QUILLON_CONFIG_MAX_CONNECTIONS = 34,
        /// The length of the receive arena, in bytes.
        QUILLON_CONFIG_RECEIVE_ARENA_LEN = 35,
        /// The length of the transmit arena, in bytes.
        QUILLON_CONFIG_TRANSMIT_ARENA_LEN = 36,
        /// Who decides about new clients: `QUILLON_ADMISSION_*`.
        QUILLON_CONFIG_ADMISSION = 37,
        /// How many address tokens a client gets for later connections, 0 to 8.
        QUILLON_CONFIG_TOKENS_PER_CONNECTION = 38,
        /// 1: datagrams that are sent are marked as ECN-capable where that survives (the default); 0: they are not.
        QUILLON_CONFIG_ECN = 39,
        /// Whether a server asks for certificates: `QUILLON_CLIENT_AUTHENTICATION_*`.
        QUILLON_CONFIG_CLIENT_AUTHENTICATION = 48,
        /// 0: a certificate with a known hash passes (the default); 1: if it is as the web's serverCertificateHashes asks.
        QUILLON_CONFIG_CERTIFICATE_HASH_RULE = 49,
        /// 1: the host runs TLS, with `quillon_tls_*`; 0: the engine does (the default).
        QUILLON_CONFIG_EXTERNAL_TLS = 50,
        /// How many odd frames of a peer are borne at once.
        QUILLON_CONFIG_FLOOD_BURST = 51,
        /// How many odd frames of a peer are borne in a second.
        QUILLON_CONFIG_FLOOD_RATE = 52,
        /// The qlog to record: `QUILLON_QLOG_*`.
        QUILLON_CONFIG_QLOG = 53,
        /// 1: record what happens as lines of text; 0: do not (the default).
        QUILLON_CONFIG_TEXT_LOG = 54,
        /// The largest UDP payload that the peer may send, in bytes.
        QUILLON_CONFIG_MAX_RECEIVED_UDP_PAYLOAD_SIZE = 55,
        /// The power of two that the delays in ACK frames are divided by, 0 to 20.
        QUILLON_CONFIG_ACK_DELAY_EXPONENT = 56,
        /// How many packets arrive before an acknowledgement is not held back any more.
        QUILLON_CONFIG_ACK_ELICITING_THRESHOLD = 57,
        /// How many of the peer's connection IDs are kept, 2 to 8.
        QUILLON_CONFIG_ACTIVE_CONNECTION_ID_LIMIT = 58,
        /// 1: the QUIC bit may be anything, both ways (the default); 0: it is one.
        QUILLON_CONFIG_GREASE_QUIC_BIT = 59,
        /// 1: packets are padded, so that sizes tell nothing; 0: they are not (the default).
        QUILLON_CONFIG_PAD_PACKETS = 60,
        /// At a client that tries again after a Version Negotiation packet: the version of its first attempt.
        QUILLON_CONFIG_ORIGINAL_VERSION = 61,
        /// What gives way when too many datagrams wait to be sent: `QUILLON_DROP_*`.
        QUILLON_CONFIG_DATAGRAM_SEND_POLICY = 62,
        /// The same when too many wait to be read.
        QUILLON_CONFIG_DATAGRAM_RECEIVE_POLICY = 63,
    }

    /// Keys of `quillon_config_set_bytes`.
    BYTES_KEYS: u32 {
        /// An application protocol's name; appended to the list.
        QUILLON_CONFIG_ALPN = 64,
        /// A trusted certificate, DER; appended to the list.
        QUILLON_CONFIG_ROOT_CERTIFICATE = 65,
        /// A certificate of our chain, DER, the leaf first; appended to the list.
        QUILLON_CONFIG_CERTIFICATE = 66,
        /// The private key, DER (PKCS #8, SEC 1 or PKCS #1).
        QUILLON_CONFIG_PRIVATE_KEY = 67,
        /// Cipher suites in order of preference, each its two-byte number.
        QUILLON_CONFIG_CIPHER_SUITES = 68,
        /// The versions to speak, 4 bytes each, the best first. A client starts with the first.
        QUILLON_CONFIG_VERSIONS = 69,
        /// The versions to change to where the peer allows, 4 bytes each, the best first.
        QUILLON_CONFIG_PREFERRED_VERSIONS = 70,
        /// An address token of the server, from an earlier connection; good once. Empty: none.
        QUILLON_CONFIG_TOKEN = 71,
        /// The key of address tokens, 32 bytes; 32 more for the previous one, which is still accepted.
        QUILLON_CONFIG_TOKEN_KEY = 72,
        /// The key of stateless resets, 32 bytes; 32 more for the previous one.
        QUILLON_CONFIG_STATELESS_RESET_KEY = 73,
        /// The key of stateless session tickets, 32 bytes; 32 more for the previous one.
        QUILLON_CONFIG_TICKET_KEY = 74,
        /// The SHA-256 of a certificate that a client accepts, 32 bytes; appended to the list.
        QUILLON_CONFIG_CERTIFICATE_HASH = 75,
        /// Where a server would rather be reached, an address of 20 bytes; one for each family.
        QUILLON_CONFIG_PREFERRED_ADDRESS = 76,
        /// The sizes of UDP payload that are tried on a path, 2 bytes each; empty: none.
        QUILLON_CONFIG_MTU_DISCOVERY_SIZES = 77,
    }

    /// Values of `QUILLON_CONFIG_CONGESTION_CONTROL`.
    CONGESTION: u32 {
        /// CUBIC, the default.
        QUILLON_CONGESTION_CUBIC = 0,
        /// NewReno.
        QUILLON_CONGESTION_NEW_RENO = 1,
    }

    /// Values of `QUILLON_CONFIG_DATAGRAM_SEND_POLICY` and `QUILLON_CONFIG_DATAGRAM_RECEIVE_POLICY`.
    DROP_POLICIES: u32 {
        /// Those that have waited longest: the default of those to be read.
        QUILLON_DROP_OLDEST = 0,
        /// The new one: the default of those to be sent.
        QUILLON_DROP_NEWEST = 1,
    }

    /// Values of `QUILLON_CONFIG_QLOG`.
    QLOGS: u32 {
        /// None: the default.
        QUILLON_QLOG_NONE = 0,
        /// JSON text sequences of qlog 0.3, which qvis loads.
        QUILLON_QLOG_0_3 = 1,
        /// JSON text sequences by the current draft.
        QUILLON_QLOG_DRAFT = 2,
    }

    /// What `quillon_connection_poll_log` takes.
    LOGS: u32 {
        /// The qlog.
        QUILLON_LOG_QLOG = 0,
        /// The lines of text.
        QUILLON_LOG_TEXT = 1,
    }

    /// Values of `QUILLON_CONFIG_CLIENT_AUTHENTICATION`.
    CLIENT_AUTHENTICATIONS: u32 {
        /// Clients are not asked: the default.
        QUILLON_CLIENT_AUTHENTICATION_NONE = 0,
        /// A client may come without a certificate.
        QUILLON_CLIENT_AUTHENTICATION_OPTIONAL = 1,
        /// A client without a certificate is refused.
        QUILLON_CLIENT_AUTHENTICATION_REQUIRED = 2,
    }

    /// Values of `QUILLON_INFO_EARLY_DATA`.
    EARLY_DATA: u32 {
        /// There is none.
        QUILLON_EARLY_DATA_NONE = 0,
        /// It was sent, and the server has not answered.
        QUILLON_EARLY_DATA_OFFERED = 1,
        /// The server takes it.
        QUILLON_EARLY_DATA_ACCEPTED = 2,
        /// The server does not take it.
        QUILLON_EARLY_DATA_REJECTED = 3,
    }

    /// How `quillon_connection_migrate` goes over to another path.
    MIGRATIONS: u32 {
        /// At once; the path is validated meanwhile.
        QUILLON_MIGRATE_IMMEDIATE = 0,
        /// As soon as the path is validated.
        QUILLON_MIGRATE_VALIDATED = 1,
        /// Not at all: the path is only validated.
        QUILLON_MIGRATE_PROBE = 2,
    }

    /// Levels of `quillon_tls_*`.
    LEVELS: u32 {
        /// Initial packets.
        QUILLON_LEVEL_INITIAL = 0,
        /// 0-RTT packets.
        QUILLON_LEVEL_ZERO_RTT = 1,
        /// Handshake packets.
        QUILLON_LEVEL_HANDSHAKE = 2,
        /// 1-RTT packets.
        QUILLON_LEVEL_ONE_RTT = 3,
    }

    /// Whose packets a secret protects.
    SECRETS: u32 {
        /// Those that we receive.
        QUILLON_SECRET_READ = 0,
        /// Those that we send.
        QUILLON_SECRET_WRITE = 1,
    }

    /// Values of `QUILLON_CONFIG_ADMISSION`.
    ADMISSIONS: u32 {
        /// Clients are accepted while there is room: the default.
        QUILLON_ADMISSION_AUTOMATIC = 0,
        /// The same, but each has to prove its address first, by a Retry or a token.
        QUILLON_ADMISSION_RETRY = 1,
        /// The host decides: `quillon_endpoint_poll_incoming`.
        QUILLON_ADMISSION_ASK = 2,
    }

    /// Keys of `quillon_incoming_info`.
    INCOMING_KEYS: u32 {
        /// The addresses between which the first packet came: ours, then the client's.
        QUILLON_INCOMING_PATH = 1,
        /// What proves the client's address, 4 bytes: `QUILLON_ADDRESS_*`.
        QUILLON_INCOMING_ADDRESS_VALIDATION = 2,
        /// The version of QUIC, 4 bytes.
        QUILLON_INCOMING_VERSION = 3,
        /// The connection ID that the client's first packet was sent to.
        QUILLON_INCOMING_ORIGINAL_DESTINATION = 4,
    }

    /// What proves a client's address.
    ADDRESSES: u32 {
        /// Nothing: it may be forged.
        QUILLON_ADDRESS_UNPROVEN = 0,
        /// The client answers our Retry.
        QUILLON_ADDRESS_RETRY = 1,
        /// The client shows a token of an earlier connection.
        QUILLON_ADDRESS_TOKEN = 2,
    }

    /// Directions of `quillon_stream_open`, and the detail of `QUILLON_EVENT_STREAMS_AVAILABLE`.
    DIRECTIONS: u32 {
        /// Both ends send.
        QUILLON_DIR_BIDI = 0,
        /// Only the opener sends.
        QUILLON_DIR_UNI = 1,
    }

    /// Why `quillon_endpoint_transmit` stopped.
    IDLE: u32 {
        /// There is nothing to send.
        QUILLON_IDLE_NOTHING = 0,
        /// The congestion window is full.
        QUILLON_IDLE_CONGESTION_WINDOW = 1,
        /// A server may not send more before it hears from the client again.
        QUILLON_IDLE_AMPLIFICATION = 2,
        /// The peer's flow control limits are reached.
        QUILLON_IDLE_FLOW_CONTROL = 3,
        /// Sending is spread over time: go on at the deadline.
        QUILLON_IDLE_PACING = 4,
        /// The arena is full: send what it holds and call again.
        QUILLON_IDLE_ARENA_FULL = 5,
    }

    /// Bits of the status block's flags.
    FLAGS: u32 {
        /// The stream's data has all been read.
        QUILLON_FLAG_FINISHED = 1,
    }

    /// Event kinds.
    EVENTS: u32 {
        /// There is no event.
        QUILLON_EVENT_NONE = 0,
        /// A client has opened this connection.
        QUILLON_EVENT_ACCEPTED = 1,
        /// The handshake is complete: data flows both ways.
        QUILLON_EVENT_HANDSHAKE_COMPLETE = 2,
        /// The handshake is confirmed: the peer completed it too.
        QUILLON_EVENT_HANDSHAKE_CONFIRMED = 3,
        /// The peer has opened a stream.
        QUILLON_EVENT_STREAM_OPENED = 4,
        /// A stream has data, or its end, to read.
        QUILLON_EVENT_STREAM_READABLE = 5,
        /// A stream that was blocked has room.
        QUILLON_EVENT_STREAM_WRITABLE = 6,
        /// The peer has acknowledged all of a stream's data, its end included.
        QUILLON_EVENT_STREAM_FINISHED = 7,
        /// The peer has reset its part of a stream.
        QUILLON_EVENT_STREAM_RESET = 8,
        /// The peer asks to stop sending on a stream.
        QUILLON_EVENT_STREAM_STOPPED = 9,
        /// The peer allows more streams; the detail is their direction.
        QUILLON_EVENT_STREAMS_AVAILABLE = 10,
        /// A line of the key log, without its end.
        QUILLON_EVENT_KEY_LOG = 11,
        /// The connection is over; detail, code and data say how.
        QUILLON_EVENT_CLOSED = 12,
        /// The handle is gone: the connection's last event.
        QUILLON_EVENT_DRAINED = 13,
        /// Datagrams wait to be read.
        QUILLON_EVENT_DATAGRAM_RECEIVED = 14,
        /// The packet of the datagram whose number is the code was acknowledged.
        QUILLON_EVENT_DATAGRAM_ACKED = 15,
        /// The packet of the datagram whose number is the code counts as lost.
        QUILLON_EVENT_DATAGRAM_LOST = 16,
        /// The datagram whose number is the code was never sent.
        QUILLON_EVENT_DATAGRAM_DROPPED = 17,
        /// As many received datagrams as the code says were dropped before they were read.
        QUILLON_EVENT_DATAGRAMS_OVERFLOWED = 18,
        /// A client waits for `quillon_connection_choose` or `quillon_connection_refuse`.
        QUILLON_EVENT_CLIENT_HELLO = 19,
        /// Packet keys were updated; the detail is 1 where the peer began.
        QUILLON_EVENT_KEYS_UPDATED = 20,
        /// The data is an address token for a later connection to this server.
        QUILLON_EVENT_NEW_TOKEN = 21,
        /// The peer has raised the limit of the connection.
        QUILLON_EVENT_DATA_CREDIT_AVAILABLE = 22,
        /// A session that a later connection can resume: `quillon_session_take`.
        QUILLON_EVENT_NEW_SESSION = 23,
        /// The server takes the early data.
        QUILLON_EVENT_EARLY_DATA_ACCEPTED = 24,
        /// The server does not take the early data: streams start again from the first.
        QUILLON_EVENT_EARLY_DATA_REJECTED = 25,
        /// The peer's certificate waits for the host's verdict.
        QUILLON_EVENT_PEER_CERTIFICATE = 26,
        /// The data is the path in use from now on.
        QUILLON_EVENT_PATH_CHANGED = 27,
        /// The data is a path that works; the detail is 1 where the peer's IP address is new.
        QUILLON_EVENT_PATH_VALIDATED = 28,
        /// The data is a path on which nothing came back.
        QUILLON_EVENT_PATH_FAILED = 29,
        /// The data are the addresses, 20 bytes each, where the server would rather be reached.
        QUILLON_EVENT_PREFERRED_ADDRESS = 30,
        /// With TLS outside: bytes wait for `quillon_tls_take`.
        QUILLON_EVENT_CRYPTO_RECEIVED = 31,
        /// The peer has a stream up to the offset that is the code.
        QUILLON_EVENT_STREAM_ACKED = 32,
        /// A stream is over both ways; where the detail is 1, the code is why.
        QUILLON_EVENT_STREAM_CLOSED = 33,
        /// After `quillon_connection_shutdown`: every stream is over.
        QUILLON_EVENT_STREAMS_FINISHED = 34,
    }

    /// Details of `QUILLON_EVENT_CLOSED`.
    CLOSED: u32 {
        /// Our transport found an error.
        QUILLON_CLOSED_TRANSPORT_LOCAL = 1,
        /// The peer's transport found an error.
        QUILLON_CLOSED_TRANSPORT_PEER = 2,
        /// Our application closed.
        QUILLON_CLOSED_APPLICATION_LOCAL = 3,
        /// The peer's application closed.
        QUILLON_CLOSED_APPLICATION_PEER = 4,
        /// Nothing came for as long as the idle timeout.
        QUILLON_CLOSED_IDLE_TIMEOUT = 5,
        /// The handshake took too long.
        QUILLON_CLOSED_HANDSHAKE_TIMEOUT = 6,
        /// The server speaks no version of ours; the data ends with those that it speaks, such as 0x00000001.
        QUILLON_CLOSED_VERSION_NEGOTIATION = 7,
        /// The peer has lost the connection's state.
        QUILLON_CLOSED_STATELESS_RESET = 8,
    }

    /// Keys of `quillon_connection_info`.
    INFO_KEYS: u32 {
        /// The application protocol in use.
        QUILLON_INFO_ALPN = 1,
        /// The server's name, as the client asked for it.
        QUILLON_INFO_SERVER_NAME = 2,
        /// The peer's own certificate, DER.
        QUILLON_INFO_PEER_CERTIFICATE = 3,
        /// The path in use: two addresses of 20 bytes, ours first.
        QUILLON_INFO_PATH = 4,
        /// Flags, 4 bytes: `QUILLON_STATE_*`.
        QUILLON_INFO_STATE = 5,
        /// Our side, 4 bytes: `QUILLON_ROLE_*`.
        QUILLON_INFO_SIDE = 6,
        /// The version of QUIC, 4 bytes.
        QUILLON_INFO_VERSION = 7,
        /// While a ClientHello waits: the name that the client asks for.
        QUILLON_INFO_CLIENT_HELLO_SERVER_NAME = 8,
        /// While a ClientHello waits: the protocols it offers, each after a byte with its length.
        QUILLON_INFO_CLIENT_HELLO_ALPN = 9,
        /// The peer's chain, its own certificate first, each after 4 bytes with its length.
        QUILLON_INFO_PEER_CERTIFICATES = 10,
        /// What became of early data, 4 bytes: `QUILLON_EARLY_DATA_*`.
        QUILLON_INFO_EARLY_DATA = 11,
        /// Every path, 40 bytes each, the one in use first.
        QUILLON_INFO_PATHS = 12,
    }

    /// Bits of `QUILLON_INFO_STATE`.
    STATES: u32 {
        /// The handshake is complete.
        QUILLON_STATE_HANDSHAKE_COMPLETE = 1,
        /// The handshake is confirmed.
        QUILLON_STATE_HANDSHAKE_CONFIRMED = 2,
        /// The connection is closed.
        QUILLON_STATE_CLOSED = 4,
        /// The handshake resumed an earlier session.
        QUILLON_STATE_RESUMED = 8,
    }

    /// Fields of `quillon_connection_stats`: the index of each 8-byte number. Times are nanoseconds; a field that
    /// has no value yet is all ones.
    STATS: u32 {
        /// UDP datagrams sent.
        QUILLON_STATS_DATAGRAMS_SENT = 0,
        /// UDP datagrams received.
        QUILLON_STATS_DATAGRAMS_RECEIVED = 1,
        /// Bytes of UDP payload sent.
        QUILLON_STATS_BYTES_SENT = 2,
        /// Bytes of UDP payload received.
        QUILLON_STATS_BYTES_RECEIVED = 3,
        /// Packets sent.
        QUILLON_STATS_PACKETS_SENT = 4,
        /// Packets received and decrypted.
        QUILLON_STATS_PACKETS_RECEIVED = 5,
        /// Packets declared lost.
        QUILLON_STATS_PACKETS_LOST = 6,
        /// Bytes in packets declared lost.
        QUILLON_STATS_BYTES_LOST = 7,
        /// Packets dropped: undecryptable, duplicate, malformed.
        QUILLON_STATS_PACKETS_DROPPED = 8,
        /// The smoothed round-trip time.
        QUILLON_STATS_SMOOTHED_RTT = 9,
        /// The latest round-trip time.
        QUILLON_STATS_LATEST_RTT = 10,
        /// The least round-trip time.
        QUILLON_STATS_MIN_RTT = 11,
        /// The round-trip time's variation.
        QUILLON_STATS_RTT_VARIANCE = 12,
        /// The congestion window, in bytes.
        QUILLON_STATS_CONGESTION_WINDOW = 13,
        /// Bytes sent that are neither acknowledged nor lost.
        QUILLON_STATS_BYTES_IN_FLIGHT = 14,
        /// The slow start threshold, in bytes.
        QUILLON_STATS_SSTHRESH = 15,
        /// How long the handshake took.
        QUILLON_STATS_HANDSHAKE_DURATION = 16,
        /// The largest UDP payload that is sent, in bytes.
        QUILLON_STATS_MAX_UDP_PAYLOAD_SIZE = 17,
        /// Packets acknowledged, each once.
        QUILLON_STATS_PACKETS_ACKED = 18,
        /// Bytes of the packets acknowledged.
        QUILLON_STATS_BYTES_ACKED = 19,
        /// ACK frames sent.
        QUILLON_STATS_ACKS_SENT = 20,
        /// ACK frames received.
        QUILLON_STATS_ACKS_RECEIVED = 21,
        /// How often the probe timeout has expired (RFC 9002 section 6.2).
        QUILLON_STATS_PROBE_TIMEOUTS = 22,
        /// How often losses made the congestion window smaller (RFC 9002 section 7.3.2).
        QUILLON_STATS_CONGESTION_EVENTS = 23,
        /// How often losses established persistent congestion (RFC 9002 section 7.6).
        QUILLON_STATS_PERSISTENT_CONGESTION_EVENTS = 24,
        /// How often packet keys were updated, by either end (RFC 9001 section 6).
        QUILLON_STATS_KEY_UPDATES = 25,
        /// Streams that this end opened.
        QUILLON_STATS_STREAMS_OPENED = 26,
        /// Streams that the peer opened, as far as the caller was told.
        QUILLON_STATS_STREAMS_ACCEPTED = 27,
        /// DATAGRAM frames sent (RFC 9221).
        QUILLON_STATS_DATAGRAM_FRAMES_SENT = 28,
        /// DATAGRAM frames received (RFC 9221).
        QUILLON_STATS_DATAGRAM_FRAMES_RECEIVED = 29,
    }

    /// Layout of the arenas and of the status block.
    LAYOUT: u32 {
        /// Descriptors at the start of each arena.
        QUILLON_ARENA_DESCRIPTORS = 64,
        /// The length of a descriptor, in bytes.
        QUILLON_DESCRIPTOR_LEN = 64,
        /// Where an arena's data starts.
        QUILLON_ARENA_DATA = 4096,
        /// The length of a path, in bytes.
        QUILLON_PATH_LEN = 40,
        /// The length of the status block, in bytes.
        QUILLON_STATUS_LEN = 128,
    }
}
