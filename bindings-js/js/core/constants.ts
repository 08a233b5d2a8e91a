// The numbers of the C ABI: what `quillon.h` defines, which a test compares with these.

/** The major version of the ABI that this package speaks. */
export const ABI_MAJOR = 1;

/** Error codes: `QUILLON_ERR_*`. */
export const ErrorCode = {
  UNSEEDED: -1,
  INVALID_ARGUMENT: -2,
  INVALID_HANDLE: -3,
  BLOCKED: -4,
  UNKNOWN_STREAM: -5,
  FINISHED: -6,
  RESET: -7,
  STOPPED: -8,
  CLOSED: -9,
  TLS: -10,
  MEMORY: -11,
  TOO_MANY: -12,
  BUSY: -13,
  INVALID_STATE: -14,
  UNSUPPORTED: -15,
  TOO_LARGE: -16,
} as const;

/** Roles: `QUILLON_ROLE_*`. */
export const Role = {
  CLIENT: 0,
  SERVER: 1,
} as const;

/** Keys of a configuration's numbers: `QUILLON_CONFIG_*`. */
export const ConfigKey = {
  MAX_IDLE_TIMEOUT_MS: 1,
  INITIAL_MAX_DATA: 2,
  INITIAL_MAX_STREAM_DATA_BIDI_LOCAL: 3,
  INITIAL_MAX_STREAM_DATA_BIDI_REMOTE: 4,
  INITIAL_MAX_STREAM_DATA_UNI: 5,
  INITIAL_MAX_STREAMS_BIDI: 6,
  INITIAL_MAX_STREAMS_UNI: 7,
  MAX_UDP_PAYLOAD_SIZE: 8,
  INITIAL_RTT_MS: 9,
  MAX_ACK_DELAY_MS: 10,
  KEEP_ALIVE_MS: 11,
  HANDSHAKE_TIMEOUT_MS: 12,
  VERIFY_PEER: 13,
  KEY_LOG: 14,
  SEND_BUFFER: 15,
  MAX_DATAGRAM_FRAME_SIZE: 16,
  DATAGRAM_SEND_BUFFER: 17,
  DATAGRAM_RECEIVE_BUFFER: 18,
  CONGESTION_CONTROL: 19,
  INITIAL_PACKET_NUMBER: 20,
  PACKETS_PER_KEY: 21,
  GREASE: 22,
  ASK_ON_CLIENT_HELLO: 23,
  MAX_WINDOW: 24,
  MAX_STREAM_WINDOW: 25,
  MANUAL_CREDIT: 26,
  DISABLE_ACTIVE_MIGRATION: 27,
  FOLLOW_PREFERRED_ADDRESS: 28,
  EARLY_DATA: 29,
  SESSION_STORE: 30,
  ASK_FOR_VERDICT: 31,
  CONNECTION_ID_LEN: 32,
  MEMORY_BUDGET: 33,
  MAX_CONNECTIONS: 34,
  RECEIVE_ARENA_LEN: 35,
  TRANSMIT_ARENA_LEN: 36,
  ADMISSION: 37,
  TOKENS_PER_CONNECTION: 38,
  ECN: 39,
  CLIENT_AUTHENTICATION: 48,
  CERTIFICATE_HASH_RULE: 49,
  EXTERNAL_TLS: 50,
  FLOOD_BURST: 51,
  FLOOD_RATE: 52,
  QLOG: 53,
  TEXT_LOG: 54,
  MAX_RECEIVED_UDP_PAYLOAD_SIZE: 55,
  ACK_DELAY_EXPONENT: 56,
  ACK_ELICITING_THRESHOLD: 57,
  ACTIVE_CONNECTION_ID_LIMIT: 58,
  GREASE_QUIC_BIT: 59,
  PAD_PACKETS: 60,
  ORIGINAL_VERSION: 61,
  DATAGRAM_SEND_POLICY: 62,
  DATAGRAM_RECEIVE_POLICY: 63,
} as const;

/** Keys of a configuration's bytes: `QUILLON_CONFIG_*`. */
export const ConfigBytes = {
  ALPN: 64,
  ROOT_CERTIFICATE: 65,
  CERTIFICATE: 66,
  PRIVATE_KEY: 67,
  CIPHER_SUITES: 68,
  VERSIONS: 69,
  PREFERRED_VERSIONS: 70,
  TOKEN: 71,
  TOKEN_KEY: 72,
  STATELESS_RESET_KEY: 73,
  TICKET_KEY: 74,
  CERTIFICATE_HASH: 75,
  PREFERRED_ADDRESS: 76,
  MTU_DISCOVERY_SIZES: 77,
} as const;

/** Event kinds: `QUILLON_EVENT_*`. */
export const EventKind = {
  NONE: 0,
  ACCEPTED: 1,
  HANDSHAKE_COMPLETE: 2,
  HANDSHAKE_CONFIRMED: 3,
  STREAM_OPENED: 4,
  STREAM_READABLE: 5,
  STREAM_WRITABLE: 6,
  STREAM_FINISHED: 7,
  STREAM_RESET: 8,
  STREAM_STOPPED: 9,
  STREAMS_AVAILABLE: 10,
  KEY_LOG: 11,
  CLOSED: 12,
  DRAINED: 13,
  DATAGRAM_RECEIVED: 14,
  DATAGRAM_ACKED: 15,
  DATAGRAM_LOST: 16,
  DATAGRAM_DROPPED: 17,
  DATAGRAMS_OVERFLOWED: 18,
  CLIENT_HELLO: 19,
  KEYS_UPDATED: 20,
  NEW_TOKEN: 21,
  DATA_CREDIT_AVAILABLE: 22,
  NEW_SESSION: 23,
  EARLY_DATA_ACCEPTED: 24,
  EARLY_DATA_REJECTED: 25,
  PEER_CERTIFICATE: 26,
  PATH_CHANGED: 27,
  PATH_VALIDATED: 28,
  PATH_FAILED: 29,
  PREFERRED_ADDRESS: 30,
  CRYPTO_RECEIVED: 31,
  STREAM_ACKED: 32,
  STREAM_CLOSED: 33,
  STREAMS_FINISHED: 34,
} as const;

/** How a connection ended: `QUILLON_CLOSED_*`. */
export const Closed = {
  TRANSPORT_LOCAL: 1,
  TRANSPORT_PEER: 2,
  APPLICATION_LOCAL: 3,
  APPLICATION_PEER: 4,
  IDLE_TIMEOUT: 5,
  HANDSHAKE_TIMEOUT: 6,
  VERSION_NEGOTIATION: 7,
  STATELESS_RESET: 8,
} as const;

/** What can be asked of a connection: `QUILLON_INFO_*`. */
export const Info = {
  ALPN: 1,
  SERVER_NAME: 2,
  PEER_CERTIFICATE: 3,
  PATH: 4,
  STATE: 5,
  SIDE: 6,
  VERSION: 7,
  CLIENT_HELLO_SERVER_NAME: 8,
  CLIENT_HELLO_ALPN: 9,
  PEER_CERTIFICATES: 10,
  EARLY_DATA: 11,
  PATHS: 12,
} as const;

/** A connection's state: `QUILLON_STATE_*`. */
export const State = {
  HANDSHAKE_COMPLETE: 1,
  HANDSHAKE_CONFIRMED: 2,
  CLOSED: 4,
  RESUMED: 8,
} as const;

/** Fields of the statistics: `QUILLON_STATS_*`. */
export const StatsField = {
  DATAGRAMS_SENT: 0,
  DATAGRAMS_RECEIVED: 1,
  BYTES_SENT: 2,
  BYTES_RECEIVED: 3,
  PACKETS_SENT: 4,
  PACKETS_RECEIVED: 5,
  PACKETS_LOST: 6,
  BYTES_LOST: 7,
  PACKETS_DROPPED: 8,
  SMOOTHED_RTT: 9,
  LATEST_RTT: 10,
  MIN_RTT: 11,
  RTT_VARIANCE: 12,
  CONGESTION_WINDOW: 13,
  BYTES_IN_FLIGHT: 14,
  SSTHRESH: 15,
  HANDSHAKE_DURATION: 16,
  MAX_UDP_PAYLOAD_SIZE: 17,
  PACKETS_ACKED: 18,
  BYTES_ACKED: 19,
  ACKS_SENT: 20,
  ACKS_RECEIVED: 21,
  PROBE_TIMEOUTS: 22,
  CONGESTION_EVENTS: 23,
  PERSISTENT_CONGESTION_EVENTS: 24,
  KEY_UPDATES: 25,
  STREAMS_OPENED: 26,
  STREAMS_ACCEPTED: 27,
  DATAGRAM_FRAMES_SENT: 28,
  DATAGRAM_FRAMES_RECEIVED: 29,
} as const;

/** Why nothing more is sent: `QUILLON_IDLE_*`, by number. */
export const IDLE = ["nothing", "congestion-window", "amplification", "flow-control", "pacing", "arena-full"] as const;

/** What can be asked of a client that waits: `QUILLON_INCOMING_*`. */
export const IncomingInfo = {
  PATH: 1,
  ADDRESS_VALIDATION: 2,
  VERSION: 3,
  ORIGINAL_DESTINATION: 4,
} as const;

/** How a client moves: `QUILLON_MIGRATE_*`, by number. */
export const MIGRATE = ["immediate", "validated", "probe"] as const;

/** Logs of a connection: `QUILLON_LOG_*`, by number. */
export const LOG = ["qlog", "text"] as const;

/** Who decides about new clients: `QUILLON_ADMISSION_*`, by number. */
export const ADMISSION = ["automatic", "retry", "ask"] as const;

/** What proves a client's address: `QUILLON_ADDRESS_*`, by number. */
export const ADDRESS = ["unproven", "retry", "token"] as const;

/** How congestion is controlled: `QUILLON_CONGESTION_*`, by number. */
export const CONGESTION = ["cubic", "new-reno"] as const;

/** Whether a server asks for certificates: `QUILLON_CLIENT_AUTHENTICATION_*`, by number. */
export const CLIENT_AUTHENTICATION = ["none", "optional", "required"] as const;

/** What became of early data: `QUILLON_EARLY_DATA_*`, by number. */
export const EARLY_DATA = ["none", "offered", "accepted", "rejected"] as const;

/** What gives way when too many datagrams wait: `QUILLON_DROP_*`, by number. */
export const DROP = ["oldest", "newest"] as const;

/** The qlog to record: `QUILLON_QLOG_*`, by number. */
export const QLOG = ["none", "0.3", "draft"] as const;

/** Layout of arenas and paths. */
export const Layout = {
  ARENA_DESCRIPTORS: 64,
  DESCRIPTOR_LEN: 64,
  ARENA_DATA: 4096,
  PATH_LEN: 40,
} as const;

/** Offsets in the status block. */
export const Status = {
  DEADLINE: 0,
  IDLE: 8,
  FLAGS: 12,
  DATA: 16,
  DATA_LEN: 24,
  CODE: 32,
  EVENT_CONNECTION: 68,
  EVENT_STREAM: 72,
  EVENT_CODE: 80,
  EVENT_DATA: 88,
  EVENT_DATA_LEN: 96,
  EVENT_DETAIL: 100,
} as const;

/** The flag of a stream whose data has all been read. */
export const FLAG_FINISHED = 1;
