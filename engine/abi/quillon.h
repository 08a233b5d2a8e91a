/*
 * quillon.h: the C ABI of Quillon, a QUIC engine with no socket, clock, thread or entropy of its own.
 *
 * The same functions are the exports of quillon.wasm, for any host, and the symbols of the static library, for C.
 * ABI.md, beside this file, has the whole story. In short:
 *
 * - Seed first: until quillon_seed, calls that need the instance return QUILLON_ERR_UNSEEDED.
 * - One instance for each WebAssembly instance; natively one for each thread, whose handles mean nothing elsewhere.
 * - A result below zero is an error code, unless a function says otherwise. quillon_last_error has a line of text.
 * - Handles are positive numbers, checked at every use. In the module addresses are 32-bit offsets into its memory.
 * - Time is nanoseconds on a monotonic clock of any origin, passed as its lower and upper 32 bits.
 * - Structures are little-endian bytes at the offsets below, on every target. Addresses in them have 64 bits.
 * - Text is UTF-8 with a length, without an end mark. A function that copies out writes as many bytes as fit, and
 *   returns the length of all.
 * - Nothing is called back. Events are polled. No call keeps an address that it was given.
 *
 * Path, 40 bytes: our address, then the peer's, 20 bytes each:
 *      0 u16 family, 4 or 6     2 u16 port     4 u8[16] IP address (IPv4: the first 4 bytes)
 *
 * Arena: 64 descriptors of 64 bytes, then, from offset 4096, data. A descriptor:
 *      0 u32 offset of the data from the arena's start
 *      4 u32 length
 *      8 u32 length of each datagram in it, the last may be shorter; receive: 0 for a single one
 *     12 u32 ECN codepoint, 0 to 3
 *     16 u8[40] path
 *     56 8 bytes, unused
 *
 * Status block, 128 bytes:
 *      0 u64 deadline: after receive, transmit, timeout, handle_timeout, connect, close; all ones where there is none
 *      8 u32 why transmit stopped, QUILLON_IDLE_*
 *     12 u32 flags, QUILLON_FLAG_*: after peek
 *     16 u64 address of the data: after peek
 *     24 u32 length of the data
 *     32 u64 the peer's code: after QUILLON_ERR_RESET, QUILLON_ERR_STOPPED; what fits: after QUILLON_ERR_TOO_LARGE
 *     64 u32 event kind, QUILLON_EVENT_*: after poll_event, as all that follows
 *     68 u32 its connection
 *     72 u64 its stream; where a transport closed, the type of the frame at fault, 0 where not known
 *     80 u64 its code
 *     88 u64 address of its data
 *     96 u32 length of its data
 *    100 u32 its detail
 */
#ifndef QUILLON_H
#define QUILLON_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI's version: major in the upper 16 bits, minor in the lower. */
#define QUILLON_ABI_VERSION 0x00010000u

/*
 * Error codes
 */

/* quillon_seed was not called. */
#define QUILLON_ERR_UNSEEDED         (-1)
/* An argument is out of range, badly formed, or in a combination that is not allowed. */
#define QUILLON_ERR_INVALID_ARGUMENT (-2)
/* The handle names nothing, or something that is gone. */
#define QUILLON_ERR_INVALID_HANDLE   (-3)
/* Nothing to read, no room to write, or no credit for another stream: try again after the event. */
#define QUILLON_ERR_BLOCKED          (-4)
/* No such stream, or it is over. */
#define QUILLON_ERR_UNKNOWN_STREAM   (-5)
/* The sending part was finished. */
#define QUILLON_ERR_FINISHED         (-6)
/* The stream was reset; the code is in the status block. */
#define QUILLON_ERR_RESET            (-7)
/* The peer asked to stop sending; the code is in the status block. */
#define QUILLON_ERR_STOPPED          (-8)
/* The connection is closed. */
#define QUILLON_ERR_CLOSED           (-9)
/* TLS refused the configuration; the last error's text says why. */
#define QUILLON_ERR_TLS              (-10)
/* The endpoint's memory budget is reached, or an allocation failed. */
#define QUILLON_ERR_MEMORY           (-11)
/* As many objects of this kind as there can be. */
#define QUILLON_ERR_TOO_MANY         (-12)
/* The instance is inside another call. */
#define QUILLON_ERR_BUSY             (-13)
/* It is too early or too late for this; the last error's text says which. */
#define QUILLON_ERR_INVALID_STATE    (-14)
/* The peer does not take part in this extension. */
#define QUILLON_ERR_UNSUPPORTED      (-15)
/* More than fits; the most that does is in the status block. */
#define QUILLON_ERR_TOO_LARGE        (-16)

/*
 * Instance
 */

/* The ABI's version: major in the upper 16 bits, minor in the lower. Refuse another major. Needs no seed. */
uint32_t quillon_abi_version(void);

/* Allocates len bytes for the host to fill, aligned to 16; null where len is 0 or there is no memory. Needs no seed. */
uint8_t *quillon_alloc(uint32_t len);

/* Gives a block of quillon_alloc back, with the same length. Null is ignored. Needs no seed. */
void quillon_free(uint8_t *block, uint32_t len);

/* Seeds the instance from a cryptographic source: at least 32 bytes, used once. Again: for endpoints made later. */
int32_t quillon_seed(const uint8_t *seed, uint32_t len);

/* Tells the time of day, in seconds since 1970: certificates are judged by it. For every endpoint. */
int32_t quillon_set_unix_time(uint64_t seconds);

/* The address of the status block, constant for the instance's life. Needs no seed. */
const uint8_t *quillon_status(void);

/* Copies out the name of an error code. Returns its length, 0 for a number that is none. Needs no seed. */
int32_t quillon_error_name(int32_t code, uint8_t *out, uint32_t capacity);

/* Copies out a line of text on the last call that failed. Returns its length; 0 where the code says it all. */
int32_t quillon_last_error(uint8_t *out, uint32_t capacity);

/*
 * Configuration
 */

/* For quillon_endpoint_connect. */
#define QUILLON_ROLE_CLIENT 0u
/* For quillon_endpoint_listen. */
#define QUILLON_ROLE_SERVER 1u

/* The longest silence before the connection is given up, in milliseconds; 0 for no limit. */
#define QUILLON_CONFIG_MAX_IDLE_TIMEOUT_MS                 1u
/* How many bytes the peer may send on all streams before we read. */
#define QUILLON_CONFIG_INITIAL_MAX_DATA                    2u
/* The same for each bidirectional stream that we open. */
#define QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_LOCAL  3u
/* The same for each bidirectional stream that the peer opens. */
#define QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_BIDI_REMOTE 4u
/* The same for each unidirectional stream. */
#define QUILLON_CONFIG_INITIAL_MAX_STREAM_DATA_UNI         5u
/* How many bidirectional streams the peer may have open. */
#define QUILLON_CONFIG_INITIAL_MAX_STREAMS_BIDI            6u
/* How many unidirectional streams the peer may have open. */
#define QUILLON_CONFIG_INITIAL_MAX_STREAMS_UNI             7u
/* The largest UDP payload that is sent, in bytes. */
#define QUILLON_CONFIG_MAX_UDP_PAYLOAD_SIZE                8u
/* The round-trip time assumed before the first sample, in milliseconds. */
#define QUILLON_CONFIG_INITIAL_RTT_MS                      9u
/* The longest delay of an acknowledgement, in milliseconds. */
#define QUILLON_CONFIG_MAX_ACK_DELAY_MS                    10u
/* The silence after which a PING is sent, in milliseconds; 0 for never. */
#define QUILLON_CONFIG_KEEP_ALIVE_MS                       11u
/* The longest handshake, in milliseconds; 0 for no limit. */
#define QUILLON_CONFIG_HANDSHAKE_TIMEOUT_MS                12u
/* 1: verify the server's certificate (the default); 0: accept any. */
#define QUILLON_CONFIG_VERIFY_PEER                         13u
/* 1: hand out the session's secrets as events; 0: do not (the default). */
#define QUILLON_CONFIG_KEY_LOG                             14u
/* How many unacknowledged and unsent bytes a connection buffers. */
#define QUILLON_CONFIG_SEND_BUFFER                         15u
/* The largest DATAGRAM frame that the peer may send, in bytes; 0: no datagrams. */
#define QUILLON_CONFIG_MAX_DATAGRAM_FRAME_SIZE             16u
/* How many bytes of datagrams may wait to be sent. */
#define QUILLON_CONFIG_DATAGRAM_SEND_BUFFER                17u
/* How many bytes of datagrams may wait to be read. */
#define QUILLON_CONFIG_DATAGRAM_RECEIVE_BUFFER             18u
/* How congestion is controlled: QUILLON_CONGESTION_*. */
#define QUILLON_CONFIG_CONGESTION_CONTROL                  19u
/* The first packet number in each space, below 2^31. */
#define QUILLON_CONFIG_INITIAL_PACKET_NUMBER               20u
/* How many packets a key protects before it is updated; 0: as many as is safe. */
#define QUILLON_CONFIG_PACKETS_PER_KEY                     21u
/* 1: send what means nothing, so that peers keep ignoring it (the default); 0: do not. */
#define QUILLON_CONFIG_GREASE                              22u
/* 1: a server waits for quillon_connection_choose on each ClientHello; 0: it does not (the default). */
#define QUILLON_CONFIG_ASK_ON_CLIENT_HELLO                 23u
/* What the window of a connection may grow to, in bytes. */
#define QUILLON_CONFIG_MAX_WINDOW                          24u
/* What the window of a stream may grow to, in bytes. */
#define QUILLON_CONFIG_MAX_STREAM_WINDOW                   25u
/* 1: the peer gets credit by calls alone; 0: by itself, as is read (the default). */
#define QUILLON_CONFIG_MANUAL_CREDIT                       26u
/* 1: the peer is asked not to move to other addresses; 0: it may (the default). */
#define QUILLON_CONFIG_DISABLE_ACTIVE_MIGRATION            27u
/* 1: a client moves to the server's preferred address; 0: it does not. */
#define QUILLON_CONFIG_FOLLOW_PREFERRED_ADDRESS            28u
/* 1: a client sends early data, a server takes it; 0: neither (the default). */
#define QUILLON_CONFIG_EARLY_DATA                          29u
/* How many sessions a server remembers, for early data too; 0: none (the default). */
#define QUILLON_CONFIG_SESSION_STORE                       30u
/* 1: the host has the last word on the peer's certificate; 0: it has not (the default). */
#define QUILLON_CONFIG_ASK_FOR_VERDICT                     31u
/* The length of our connection IDs, in bytes. */
#define QUILLON_CONFIG_CONNECTION_ID_LEN                   32u
/* The bytes that an endpoint's connections may hold. */
#define QUILLON_CONFIG_MEMORY_BUDGET                       33u
/* How many connections an endpoint holds. */
#define QUILLON_CONFIG_MAX_CONNECTIONS                     34u
/* The length of the receive arena, in bytes. */
#define QUILLON_CONFIG_RECEIVE_ARENA_LEN                   35u
/* The length of the transmit arena, in bytes. */
#define QUILLON_CONFIG_TRANSMIT_ARENA_LEN                  36u
/* Who decides about new clients: QUILLON_ADMISSION_*. */
#define QUILLON_CONFIG_ADMISSION                           37u
/* How many address tokens a client gets for later connections, 0 to 8. */
#define QUILLON_CONFIG_TOKENS_PER_CONNECTION               38u
/* 1: datagrams that are sent are marked as ECN-capable where that survives (the default); 0: they are not. */
#define QUILLON_CONFIG_ECN                                 39u
/* Whether a server asks for certificates: QUILLON_CLIENT_AUTHENTICATION_*. */
#define QUILLON_CONFIG_CLIENT_AUTHENTICATION               48u
/* 0: a certificate with a known hash passes (the default); 1: if it is as the web's serverCertificateHashes asks. */
#define QUILLON_CONFIG_CERTIFICATE_HASH_RULE               49u
/* 1: the host runs TLS, with quillon_tls_*; 0: the engine does (the default). */
#define QUILLON_CONFIG_EXTERNAL_TLS                        50u
/* How many odd frames of a peer are borne at once. */
#define QUILLON_CONFIG_FLOOD_BURST                         51u
/* How many odd frames of a peer are borne in a second. */
#define QUILLON_CONFIG_FLOOD_RATE                          52u
/* The qlog to record: QUILLON_QLOG_*. */
#define QUILLON_CONFIG_QLOG                                53u
/* 1: record what happens as lines of text; 0: do not (the default). */
#define QUILLON_CONFIG_TEXT_LOG                            54u
/* The largest UDP payload that the peer may send, in bytes. */
#define QUILLON_CONFIG_MAX_RECEIVED_UDP_PAYLOAD_SIZE       55u
/* The power of two that the delays in ACK frames are divided by, 0 to 20. */
#define QUILLON_CONFIG_ACK_DELAY_EXPONENT                  56u
/* How many packets arrive before an acknowledgement is not held back any more. */
#define QUILLON_CONFIG_ACK_ELICITING_THRESHOLD             57u
/* How many of the peer's connection IDs are kept, 2 to 8. */
#define QUILLON_CONFIG_ACTIVE_CONNECTION_ID_LIMIT          58u
/* 1: the QUIC bit may be anything, both ways (the default); 0: it is one. */
#define QUILLON_CONFIG_GREASE_QUIC_BIT                     59u
/* 1: packets are padded, so that sizes tell nothing; 0: they are not (the default). */
#define QUILLON_CONFIG_PAD_PACKETS                         60u
/* At a client that tries again after a Version Negotiation packet: the version of its first attempt. */
#define QUILLON_CONFIG_ORIGINAL_VERSION                    61u
/* What gives way when too many datagrams wait to be sent: QUILLON_DROP_*. */
#define QUILLON_CONFIG_DATAGRAM_SEND_POLICY                62u
/* The same when too many wait to be read. */
#define QUILLON_CONFIG_DATAGRAM_RECEIVE_POLICY             63u

/* An application protocol's name; appended to the list. */
#define QUILLON_CONFIG_ALPN                64u
/* A trusted certificate, DER; appended to the list. */
#define QUILLON_CONFIG_ROOT_CERTIFICATE    65u
/* A certificate of our chain, DER, the leaf first; appended to the list. */
#define QUILLON_CONFIG_CERTIFICATE         66u
/* The private key, DER (PKCS #8, SEC 1 or PKCS #1). */
#define QUILLON_CONFIG_PRIVATE_KEY         67u
/* Cipher suites in order of preference, each its two-byte number. */
#define QUILLON_CONFIG_CIPHER_SUITES       68u
/* The versions to speak, 4 bytes each, the best first. A client starts with the first. */
#define QUILLON_CONFIG_VERSIONS            69u
/* The versions to change to where the peer allows, 4 bytes each, the best first. */
#define QUILLON_CONFIG_PREFERRED_VERSIONS  70u
/* An address token of the server, from an earlier connection; good once. Empty: none. */
#define QUILLON_CONFIG_TOKEN               71u
/* The key of address tokens, 32 bytes; 32 more for the previous one, which is still accepted. */
#define QUILLON_CONFIG_TOKEN_KEY           72u
/* The key of stateless resets, 32 bytes; 32 more for the previous one. */
#define QUILLON_CONFIG_STATELESS_RESET_KEY 73u
/* The key of stateless session tickets, 32 bytes; 32 more for the previous one. */
#define QUILLON_CONFIG_TICKET_KEY          74u
/* The SHA-256 of a certificate that a client accepts, 32 bytes; appended to the list. */
#define QUILLON_CONFIG_CERTIFICATE_HASH    75u
/* Where a server would rather be reached, an address of 20 bytes; one for each family. */
#define QUILLON_CONFIG_PREFERRED_ADDRESS   76u
/* The sizes of UDP payload that are tried on a path, 2 bytes each; empty: none. */
#define QUILLON_CONFIG_MTU_DISCOVERY_SIZES 77u

/* CUBIC, the default. */
#define QUILLON_CONGESTION_CUBIC    0u
/* NewReno. */
#define QUILLON_CONGESTION_NEW_RENO 1u

/* Those that have waited longest: the default of those to be read. */
#define QUILLON_DROP_OLDEST 0u
/* The new one: the default of those to be sent. */
#define QUILLON_DROP_NEWEST 1u

/* None: the default. */
#define QUILLON_QLOG_NONE  0u
/* JSON text sequences of qlog 0.3, which qvis loads. */
#define QUILLON_QLOG_0_3   1u
/* JSON text sequences by the current draft. */
#define QUILLON_QLOG_DRAFT 2u

/* Clients are not asked: the default. */
#define QUILLON_CLIENT_AUTHENTICATION_NONE     0u
/* A client may come without a certificate. */
#define QUILLON_CLIENT_AUTHENTICATION_OPTIONAL 1u
/* A client without a certificate is refused. */
#define QUILLON_CLIENT_AUTHENTICATION_REQUIRED 2u

/* Clients are accepted while there is room: the default. */
#define QUILLON_ADMISSION_AUTOMATIC 0u
/* The same, but each has to prove its address first, by a Retry or a token. */
#define QUILLON_ADMISSION_RETRY     1u
/* The host decides: quillon_endpoint_poll_incoming. */
#define QUILLON_ADMISSION_ASK       2u

/* Makes a configuration with the defaults, for QUILLON_ROLE_*. Returns its handle. */
int32_t quillon_config_new(uint32_t role);

/* Gives a configuration up. What was made with it lives on. */
int32_t quillon_config_free(uint32_t config);

/* Sets the number under a key below 64. A configuration that was used cannot be changed. */
int32_t quillon_config_set_number(uint32_t config, uint32_t key, uint64_t value);

/* Sets the bytes under a key from 64 on, or appends them where the key names a list. */
int32_t quillon_config_set_bytes(uint32_t config, uint32_t key, const uint8_t *value, uint32_t len);

/* Has a client resume this session, of quillon_session_take: one connection can. 0: none. */
int32_t quillon_config_set_session(uint32_t config, uint32_t session);

/* After QUILLON_EVENT_NEW_SESSION, before the next poll: keeps the session. Returns its handle. */
int32_t quillon_session_take(void);

/* Gives a session up. */
int32_t quillon_session_free(uint32_t session);

/*
 * Endpoint
 */

/* Descriptors at the start of each arena. */
#define QUILLON_ARENA_DESCRIPTORS 64u
/* The length of a descriptor, in bytes. */
#define QUILLON_DESCRIPTOR_LEN    64u
/* Where an arena's data starts. */
#define QUILLON_ARENA_DATA        4096u
/* The length of a path, in bytes. */
#define QUILLON_PATH_LEN          40u
/* The length of the status block, in bytes. */
#define QUILLON_STATUS_LEN        128u

/* There is nothing to send. */
#define QUILLON_IDLE_NOTHING           0u
/* The congestion window is full. */
#define QUILLON_IDLE_CONGESTION_WINDOW 1u
/* A server may not send more before it hears from the client again. */
#define QUILLON_IDLE_AMPLIFICATION     2u
/* The peer's flow control limits are reached. */
#define QUILLON_IDLE_FLOW_CONTROL      3u
/* Sending is spread over time: go on at the deadline. */
#define QUILLON_IDLE_PACING            4u
/* The arena is full: send what it holds and call again. */
#define QUILLON_IDLE_ARENA_FULL        5u

/* Makes an endpoint with the endpoint settings of a configuration, 0: with the defaults. Returns its handle. */
int32_t quillon_endpoint_new(uint32_t config);

/* Gives an endpoint up, with its connections and arenas. Sends nothing: close and transmit first. */
int32_t quillon_endpoint_free(uint32_t endpoint);

/* Accepts connections with a server's configuration; 0: refuses them again. */
int32_t quillon_endpoint_listen(uint32_t endpoint, uint32_t config);

/* Opens a connection to a server by its name, the one its certificate is for. Returns the connection's handle. */
int32_t quillon_endpoint_connect(uint32_t endpoint, uint32_t config, const uint8_t *name, uint32_t name_len,
                                 const uint8_t *path, uint32_t now_lo, uint32_t now_hi);

/* The address of the receive arena, constant for the endpoint's life; null for a bad handle. */
uint8_t *quillon_endpoint_receive_arena(uint32_t endpoint);

/* The address of the transmit arena, constant for the endpoint's life; null for a bad handle. */
uint8_t *quillon_endpoint_transmit_arena(uint32_t endpoint);

/* Takes in the datagrams of the first count descriptors. Their data is decrypted in place: gone afterwards. Returns
   the number of datagrams. A senseless descriptor ends the call with an error; those before it were taken in. */
int32_t quillon_endpoint_receive(uint32_t endpoint, uint32_t count, uint32_t now_lo, uint32_t now_hi);

/* Fills the transmit arena with batches of at most max_segments datagrams, 1: single ones. Returns the number of
   descriptors; 0: nothing can be sent now. The contents stay until the next call on the endpoint. */
int32_t quillon_endpoint_transmit(uint32_t endpoint, uint32_t max_segments, uint32_t now_lo, uint32_t now_hi);

/* Returns 1 where there is a deadline, else 0. */
int32_t quillon_endpoint_timeout(uint32_t endpoint);

/* Does what the deadline was for. Harmless when it comes early. */
int32_t quillon_endpoint_handle_timeout(uint32_t endpoint, uint32_t now_lo, uint32_t now_hi);

/* Takes the next event. Returns its kind, QUILLON_EVENT_NONE: there is none. Its data stays until the next poll. */
int32_t quillon_endpoint_poll_event(uint32_t endpoint);

/* The bytes that the endpoint's connections hold: what the memory budget bounds. */
int64_t quillon_endpoint_memory_used(uint32_t endpoint);

/*
 * Clients that wait for a decision, with QUILLON_ADMISSION_ASK
 */

/* The addresses between which the first packet came: ours, then the client's. */
#define QUILLON_INCOMING_PATH                 1u
/* What proves the client's address, 4 bytes: QUILLON_ADDRESS_*. */
#define QUILLON_INCOMING_ADDRESS_VALIDATION   2u
/* The version of QUIC, 4 bytes. */
#define QUILLON_INCOMING_VERSION              3u
/* The connection ID that the client's first packet was sent to. */
#define QUILLON_INCOMING_ORIGINAL_DESTINATION 4u

/* Nothing: it may be forged. */
#define QUILLON_ADDRESS_UNPROVEN 0u
/* The client answers our Retry. */
#define QUILLON_ADDRESS_RETRY    1u
/* The client shows a token of an earlier connection. */
#define QUILLON_ADDRESS_TOKEN    2u

/* Takes the next client that waits for a decision. Returns its handle, 0: there is none. Call it after receive. */
int32_t quillon_endpoint_poll_incoming(uint32_t endpoint);

/* Copies out what is known of a client under QUILLON_INCOMING_*. Returns its length. */
int32_t quillon_incoming_info(uint32_t incoming, uint32_t key, uint8_t *out, uint32_t capacity);

/* Accepts a client with a server's configuration, 0: with the endpoint's. Returns the connection's handle. The
   client's handle is gone, as after every decision. */
int32_t quillon_incoming_accept(uint32_t endpoint, uint32_t incoming, uint32_t config, uint32_t now_lo,
                                uint32_t now_hi);

/* Refuses a client: it is told so. */
int32_t quillon_incoming_refuse(uint32_t endpoint, uint32_t incoming, uint32_t now_lo, uint32_t now_hi);

/* Has a client prove its address first; it then comes back as another. QUILLON_ERR_INVALID_STATE, and it still waits:
   the address is proven. */
int32_t quillon_incoming_retry(uint32_t endpoint, uint32_t incoming, uint32_t now_lo, uint32_t now_hi);

/* Drops what a client sent, without a word. */
int32_t quillon_incoming_ignore(uint32_t endpoint, uint32_t incoming);

/*
 * Events
 */

/* There is no event. */
#define QUILLON_EVENT_NONE                  0u
/* A client has opened this connection. */
#define QUILLON_EVENT_ACCEPTED              1u
/* The handshake is complete: data flows both ways. */
#define QUILLON_EVENT_HANDSHAKE_COMPLETE    2u
/* The handshake is confirmed: the peer completed it too. */
#define QUILLON_EVENT_HANDSHAKE_CONFIRMED   3u
/* The peer has opened a stream. */
#define QUILLON_EVENT_STREAM_OPENED         4u
/* A stream has data, or its end, to read. */
#define QUILLON_EVENT_STREAM_READABLE       5u
/* A stream that was blocked has room. */
#define QUILLON_EVENT_STREAM_WRITABLE       6u
/* The peer has acknowledged all of a stream's data, its end included. */
#define QUILLON_EVENT_STREAM_FINISHED       7u
/* The peer has reset its part of a stream. */
#define QUILLON_EVENT_STREAM_RESET          8u
/* The peer asks to stop sending on a stream. */
#define QUILLON_EVENT_STREAM_STOPPED        9u
/* The peer allows more streams; the detail is their direction. */
#define QUILLON_EVENT_STREAMS_AVAILABLE     10u
/* A line of the key log, without its end. */
#define QUILLON_EVENT_KEY_LOG               11u
/* The connection is over; detail, code and data say how. */
#define QUILLON_EVENT_CLOSED                12u
/* The handle is gone: the connection's last event. */
#define QUILLON_EVENT_DRAINED               13u
/* Datagrams wait to be read. */
#define QUILLON_EVENT_DATAGRAM_RECEIVED     14u
/* The packet of the datagram whose number is the code was acknowledged. */
#define QUILLON_EVENT_DATAGRAM_ACKED        15u
/* The packet of the datagram whose number is the code counts as lost. */
#define QUILLON_EVENT_DATAGRAM_LOST         16u
/* The datagram whose number is the code was never sent. */
#define QUILLON_EVENT_DATAGRAM_DROPPED      17u
/* As many received datagrams as the code says were dropped before they were read. */
#define QUILLON_EVENT_DATAGRAMS_OVERFLOWED  18u
/* A client waits for quillon_connection_choose or quillon_connection_refuse. */
#define QUILLON_EVENT_CLIENT_HELLO          19u
/* Packet keys were updated; the detail is 1 where the peer began. */
#define QUILLON_EVENT_KEYS_UPDATED          20u
/* The data is an address token for a later connection to this server. */
#define QUILLON_EVENT_NEW_TOKEN             21u
/* The peer has raised the limit of the connection. */
#define QUILLON_EVENT_DATA_CREDIT_AVAILABLE 22u
/* A session that a later connection can resume: quillon_session_take. */
#define QUILLON_EVENT_NEW_SESSION           23u
/* The server takes the early data. */
#define QUILLON_EVENT_EARLY_DATA_ACCEPTED   24u
/* The server does not take the early data: streams start again from the first. */
#define QUILLON_EVENT_EARLY_DATA_REJECTED   25u
/* The peer's certificate waits for the host's verdict. */
#define QUILLON_EVENT_PEER_CERTIFICATE      26u
/* The data is the path in use from now on. */
#define QUILLON_EVENT_PATH_CHANGED          27u
/* The data is a path that works; the detail is 1 where the peer's IP address is new. */
#define QUILLON_EVENT_PATH_VALIDATED        28u
/* The data is a path on which nothing came back. */
#define QUILLON_EVENT_PATH_FAILED           29u
/* The data are the addresses, 20 bytes each, where the server would rather be reached. */
#define QUILLON_EVENT_PREFERRED_ADDRESS     30u
/* With TLS outside: bytes wait for quillon_tls_take. */
#define QUILLON_EVENT_CRYPTO_RECEIVED       31u
/* The peer has a stream up to the offset that is the code. */
#define QUILLON_EVENT_STREAM_ACKED          32u
/* A stream is over both ways; where the detail is 1, the code is why. */
#define QUILLON_EVENT_STREAM_CLOSED         33u
/* After quillon_connection_shutdown: every stream is over. */
#define QUILLON_EVENT_STREAMS_FINISHED      34u

/* Our transport found an error. */
#define QUILLON_CLOSED_TRANSPORT_LOCAL     1u
/* The peer's transport found an error. */
#define QUILLON_CLOSED_TRANSPORT_PEER      2u
/* Our application closed. */
#define QUILLON_CLOSED_APPLICATION_LOCAL   3u
/* The peer's application closed. */
#define QUILLON_CLOSED_APPLICATION_PEER    4u
/* Nothing came for as long as the idle timeout. */
#define QUILLON_CLOSED_IDLE_TIMEOUT        5u
/* The handshake took too long. */
#define QUILLON_CLOSED_HANDSHAKE_TIMEOUT   6u
/* The server speaks no version of ours; the data ends with those that it speaks, such as 0x00000001. */
#define QUILLON_CLOSED_VERSION_NEGOTIATION 7u
/* The peer has lost the connection's state. */
#define QUILLON_CLOSED_STATELESS_RESET     8u

/*
 * Connections
 */

/* The application protocol in use. */
#define QUILLON_INFO_ALPN                     1u
/* The server's name, as the client asked for it. */
#define QUILLON_INFO_SERVER_NAME              2u
/* The peer's own certificate, DER. */
#define QUILLON_INFO_PEER_CERTIFICATE         3u
/* The path in use: two addresses of 20 bytes, ours first. */
#define QUILLON_INFO_PATH                     4u
/* Flags, 4 bytes: QUILLON_STATE_*. */
#define QUILLON_INFO_STATE                    5u
/* Our side, 4 bytes: QUILLON_ROLE_*. */
#define QUILLON_INFO_SIDE                     6u
/* The version of QUIC, 4 bytes. */
#define QUILLON_INFO_VERSION                  7u
/* While a ClientHello waits: the name that the client asks for. */
#define QUILLON_INFO_CLIENT_HELLO_SERVER_NAME 8u
/* While a ClientHello waits: the protocols it offers, each after a byte with its length. */
#define QUILLON_INFO_CLIENT_HELLO_ALPN        9u
/* The peer's chain, its own certificate first, each after 4 bytes with its length. */
#define QUILLON_INFO_PEER_CERTIFICATES        10u
/* What became of early data, 4 bytes: QUILLON_EARLY_DATA_*. */
#define QUILLON_INFO_EARLY_DATA               11u
/* Every path, 40 bytes each, the one in use first. */
#define QUILLON_INFO_PATHS                    12u

/* The handshake is complete. */
#define QUILLON_STATE_HANDSHAKE_COMPLETE  1u
/* The handshake is confirmed. */
#define QUILLON_STATE_HANDSHAKE_CONFIRMED 2u
/* The connection is closed. */
#define QUILLON_STATE_CLOSED              4u
/* The handshake resumed an earlier session. */
#define QUILLON_STATE_RESUMED             8u

/* UDP datagrams sent. */
#define QUILLON_STATS_DATAGRAMS_SENT               0u
/* UDP datagrams received. */
#define QUILLON_STATS_DATAGRAMS_RECEIVED           1u
/* Bytes of UDP payload sent. */
#define QUILLON_STATS_BYTES_SENT                   2u
/* Bytes of UDP payload received. */
#define QUILLON_STATS_BYTES_RECEIVED               3u
/* Packets sent. */
#define QUILLON_STATS_PACKETS_SENT                 4u
/* Packets received and decrypted. */
#define QUILLON_STATS_PACKETS_RECEIVED             5u
/* Packets declared lost. */
#define QUILLON_STATS_PACKETS_LOST                 6u
/* Bytes in packets declared lost. */
#define QUILLON_STATS_BYTES_LOST                   7u
/* Packets dropped: undecryptable, duplicate, malformed. */
#define QUILLON_STATS_PACKETS_DROPPED              8u
/* The smoothed round-trip time. */
#define QUILLON_STATS_SMOOTHED_RTT                 9u
/* The latest round-trip time. */
#define QUILLON_STATS_LATEST_RTT                   10u
/* The least round-trip time. */
#define QUILLON_STATS_MIN_RTT                      11u
/* The round-trip time's variation. */
#define QUILLON_STATS_RTT_VARIANCE                 12u
/* The congestion window, in bytes. */
#define QUILLON_STATS_CONGESTION_WINDOW            13u
/* Bytes sent that are neither acknowledged nor lost. */
#define QUILLON_STATS_BYTES_IN_FLIGHT              14u
/* The slow start threshold, in bytes. */
#define QUILLON_STATS_SSTHRESH                     15u
/* How long the handshake took. */
#define QUILLON_STATS_HANDSHAKE_DURATION           16u
/* The largest UDP payload that is sent, in bytes. */
#define QUILLON_STATS_MAX_UDP_PAYLOAD_SIZE         17u
/* Packets acknowledged, each once. */
#define QUILLON_STATS_PACKETS_ACKED                18u
/* Bytes of the packets acknowledged. */
#define QUILLON_STATS_BYTES_ACKED                  19u
/* ACK frames sent. */
#define QUILLON_STATS_ACKS_SENT                    20u
/* ACK frames received. */
#define QUILLON_STATS_ACKS_RECEIVED                21u
/* How often the probe timeout has expired (RFC 9002 section 6.2). */
#define QUILLON_STATS_PROBE_TIMEOUTS               22u
/* How often losses made the congestion window smaller (RFC 9002 section 7.3.2). */
#define QUILLON_STATS_CONGESTION_EVENTS            23u
/* How often losses established persistent congestion (RFC 9002 section 7.6). */
#define QUILLON_STATS_PERSISTENT_CONGESTION_EVENTS 24u
/* How often packet keys were updated, by either end (RFC 9001 section 6). */
#define QUILLON_STATS_KEY_UPDATES                  25u
/* Streams that this end opened. */
#define QUILLON_STATS_STREAMS_OPENED               26u
/* Streams that the peer opened, as far as the caller was told. */
#define QUILLON_STATS_STREAMS_ACCEPTED             27u
/* DATAGRAM frames sent (RFC 9221). */
#define QUILLON_STATS_DATAGRAM_FRAMES_SENT         28u
/* DATAGRAM frames received (RFC 9221). */
#define QUILLON_STATS_DATAGRAM_FRAMES_RECEIVED     29u

/* Closes a connection with the application's code and reason. Transmit afterwards to tell the peer. */
int32_t quillon_connection_close(uint32_t endpoint, uint32_t connection, uint64_t code, const uint8_t *reason,
                                 uint32_t reason_len, uint32_t now_lo, uint32_t now_hi);

/* Copies out the statistics: 8-byte numbers in the order of QUILLON_STATS_*. Returns the length of all. */
int32_t quillon_connection_stats(uint32_t endpoint, uint32_t connection, uint8_t *out, uint32_t capacity);

/* Copies out what is known under QUILLON_INFO_*. Returns its length, 0: not known. */
int32_t quillon_connection_info(uint32_t endpoint, uint32_t connection, uint32_t key, uint8_t *out,
                                uint32_t capacity);

/* Updates the keys of packets. QUILLON_ERR_INVALID_STATE: too early. Transmit afterwards. */
int32_t quillon_connection_update_key(uint32_t endpoint, uint32_t connection, uint32_t now_lo, uint32_t now_hi);

/* Derives keying material of capacity bytes from the handshake, for a label and a context. Returns its length. */
int32_t quillon_connection_export(uint32_t endpoint, uint32_t connection, const uint8_t *label, uint32_t label_len,
                                  const uint8_t *context, uint32_t context_len, uint8_t *out, uint32_t capacity);

/* After QUILLON_EVENT_CLIENT_HELLO: goes on with this server's configuration. */
int32_t quillon_connection_choose(uint32_t endpoint, uint32_t connection, uint32_t config, uint32_t now_lo,
                                  uint32_t now_hi);

/* After QUILLON_EVENT_CLIENT_HELLO: refuses the client with a code of the transport; 0x100 + n is the TLS alert n. */
int32_t quillon_connection_refuse(uint32_t endpoint, uint32_t connection, uint64_t code, const uint8_t *reason,
                                  uint32_t reason_len, uint32_t now_lo, uint32_t now_hi);

/* There is none. */
#define QUILLON_EARLY_DATA_NONE     0u
/* It was sent, and the server has not answered. */
#define QUILLON_EARLY_DATA_OFFERED  1u
/* The server takes it. */
#define QUILLON_EARLY_DATA_ACCEPTED 2u
/* The server does not take it. */
#define QUILLON_EARLY_DATA_REJECTED 3u

/* At once; the path is validated meanwhile. */
#define QUILLON_MIGRATE_IMMEDIATE 0u
/* As soon as the path is validated. */
#define QUILLON_MIGRATE_VALIDATED 1u
/* Not at all: the path is only validated. */
#define QUILLON_MIGRATE_PROBE     2u

/* Moves a client to another of its addresses, 20 bytes, as QUILLON_MIGRATE_* says. QUILLON_ERR_INVALID_STATE: the last
   error says why not. Transmit afterwards. */
int32_t quillon_connection_migrate(uint32_t endpoint, uint32_t connection, const uint8_t *local, uint32_t migration,
                                   uint32_t now_lo, uint32_t now_hi);

/* Tells that our address, 20 bytes, is another now, by the host's own doing. */
int32_t quillon_connection_set_local_address(uint32_t endpoint, uint32_t connection, const uint8_t *local);

/* After QUILLON_EVENT_PEER_CERTIFICATE: the handshake goes on. Transmit afterwards. */
int32_t quillon_connection_accept_certificate(uint32_t endpoint, uint32_t connection, uint32_t now_lo,
                                              uint32_t now_hi);

/* After QUILLON_EVENT_PEER_CERTIFICATE: closes with a TLS alert, such as 42, bad_certificate. Transmit afterwards. */
int32_t quillon_connection_reject_certificate(uint32_t endpoint, uint32_t connection, uint32_t alert,
                                              const uint8_t *reason, uint32_t reason_len, uint32_t now_lo,
                                              uint32_t now_hi);

/* With QUILLON_CONFIG_MANUAL_CREDIT: lets the peer send so many bytes more on all streams together. */
int32_t quillon_connection_extend_max_data(uint32_t endpoint, uint32_t connection, uint64_t bytes);

/* With QUILLON_CONFIG_MANUAL_CREDIT: lets the peer open so many streams more of a direction. */
int32_t quillon_connection_extend_max_streams(uint32_t endpoint, uint32_t connection, uint32_t dir, uint64_t count);

/* Stops new streams, ours and the peer's, and lets those that are open finish: QUILLON_EVENT_STREAMS_FINISHED follows. */
int32_t quillon_connection_shutdown(uint32_t endpoint, uint32_t connection);

/* The qlog. */
#define QUILLON_LOG_QLOG 0u
/* The lines of text. */
#define QUILLON_LOG_TEXT 1u

/* Takes what a log has recorded since the last call, QUILLON_LOG_*: shown in the status block until the next call of this
   function. Returns its length; 0: nothing. After QUILLON_EVENT_DRAINED the rest can still be taken, once. */
int32_t quillon_connection_poll_log(uint32_t endpoint, uint32_t connection, uint32_t log);

/*
 * TLS outside the engine, with QUILLON_CONFIG_EXTERNAL_TLS. QUILLON_ERR_INVALID_STATE: the last error says what is
 * out of order. Transmit after each call.
 */

/* Initial packets. */
#define QUILLON_LEVEL_INITIAL   0u
/* 0-RTT packets. */
#define QUILLON_LEVEL_ZERO_RTT  1u
/* Handshake packets. */
#define QUILLON_LEVEL_HANDSHAKE 2u
/* 1-RTT packets. */
#define QUILLON_LEVEL_ONE_RTT   3u

/* Those that we receive. */
#define QUILLON_SECRET_READ  0u
/* Those that we send. */
#define QUILLON_SECRET_WRITE 1u

/* Copies out our transport parameters, which the handshake carries. Returns their length. A server has them from the
   first QUILLON_EVENT_CRYPTO_RECEIVED on. */
int32_t quillon_tls_local_parameters(uint32_t endpoint, uint32_t connection, uint8_t *out, uint32_t capacity);

/* Takes the peer's next bytes, shown in the status block until the next call of this function, with their level in the
   flags. Returns their length; 0: none wait. */
int32_t quillon_tls_take(uint32_t endpoint, uint32_t connection);

/* Sends bytes of TLS at a level, behind those given before. */
int32_t quillon_tls_submit(uint32_t endpoint, uint32_t connection, uint32_t level, const uint8_t *data, uint32_t len,
                           uint32_t now_lo, uint32_t now_hi);

/* Installs a traffic secret of a cipher suite, for QUILLON_SECRET_*. */
int32_t quillon_tls_install_secret(uint32_t endpoint, uint32_t connection, uint32_t level, uint32_t direction,
                                   uint32_t suite, const uint8_t *secret, uint32_t len, uint32_t now_lo,
                                   uint32_t now_hi);

/* At a client: gives the server's transport parameters, when EncryptedExtensions has brought them. */
int32_t quillon_tls_set_peer_parameters(uint32_t endpoint, uint32_t connection, const uint8_t *parameters,
                                        uint32_t len, uint32_t now_lo, uint32_t now_hi);

/* The handshake is complete, with this application protocol; len 0: none. */
int32_t quillon_tls_complete(uint32_t endpoint, uint32_t connection, const uint8_t *alpn, uint32_t len,
                             uint32_t now_lo, uint32_t now_hi);

/* TLS has failed: closes the connection with an alert. */
int32_t quillon_tls_fail(uint32_t endpoint, uint32_t connection, uint32_t alert, const uint8_t *reason,
                         uint32_t reason_len, uint32_t now_lo, uint32_t now_hi);

/*
 * Datagrams
 */

/* Queues a datagram: it is sent once or not at all, before stream data. Returns its number, which events name.
   QUILLON_ERR_TOO_LARGE: the status block's code is the most that fits now. QUILLON_ERR_UNSUPPORTED: the peer takes
   none. QUILLON_ERR_BLOCKED: too many wait. */
int64_t quillon_datagram_send(uint32_t endpoint, uint32_t connection, const uint8_t *data, uint32_t len);

/* The most bytes that a datagram may have now. QUILLON_ERR_UNSUPPORTED: the peer takes none. */
int32_t quillon_datagram_max_size(uint32_t endpoint, uint32_t connection);

/* Shows the oldest received datagram, in the status block, good until the next call on the endpoint. Returns its
   length. QUILLON_ERR_BLOCKED: wait for QUILLON_EVENT_DATAGRAM_RECEIVED. */
int32_t quillon_datagram_peek(uint32_t endpoint, uint32_t connection);

/* Takes off the datagram that was shown: it is read. */
int32_t quillon_datagram_consume(uint32_t endpoint, uint32_t connection);

/*
 * Streams
 */

/* Both ends send. */
#define QUILLON_DIR_BIDI 0u
/* Only the opener sends. */
#define QUILLON_DIR_UNI  1u

/* The stream's data has all been read. */
#define QUILLON_FLAG_FINISHED 1u

/* Opens a stream. Returns its id. QUILLON_ERR_BLOCKED: wait for QUILLON_EVENT_STREAMS_AVAILABLE. */
int64_t quillon_stream_open(uint32_t endpoint, uint32_t connection, uint32_t dir);

/* Copies bytes into the send buffer. Returns how many were taken, at least 1 of a non-empty block.
   QUILLON_ERR_BLOCKED: wait for QUILLON_EVENT_STREAM_WRITABLE. */
int32_t quillon_stream_write(uint32_t endpoint, uint32_t connection, uint64_t stream, const uint8_t *data,
                             uint32_t len);

/* Sets what is sent first: urgency 0 (first) to 7, default 3; incremental 1: takes turns with others (the default), 0:
   goes to its end first; among equals those with a larger send_order go first, default 0. */
int32_t quillon_stream_set_priority(uint32_t endpoint, uint32_t connection, uint64_t stream, uint32_t urgency,
                                    uint32_t incremental, int64_t send_order);

/* Ends our part after what was written. */
int32_t quillon_stream_finish(uint32_t endpoint, uint32_t connection, uint64_t stream);

/* Gives our part up with an application code: what is not delivered yet never will be. */
int32_t quillon_stream_reset(uint32_t endpoint, uint32_t connection, uint64_t stream, uint64_t code);

/* Asks the peer to stop sending, with an application code. */
int32_t quillon_stream_stop_sending(uint32_t endpoint, uint32_t connection, uint64_t stream, uint64_t code);

/* Shows the next contiguous bytes, in the status block, good until the next call on the endpoint. Returns their
   length; 0 with QUILLON_FLAG_FINISHED: the end. QUILLON_ERR_BLOCKED: wait for QUILLON_EVENT_STREAM_READABLE. */
int32_t quillon_stream_peek(uint32_t endpoint, uint32_t connection, uint64_t stream);

/* Takes bytes that were shown off the front: they are read. */
int32_t quillon_stream_consume(uint32_t endpoint, uint32_t connection, uint64_t stream, uint32_t len);

/* Chooses whether QUILLON_EVENT_STREAM_ACKED tells how far the peer has a stream, 1 or 0 (at first). */
int32_t quillon_stream_set_acked_events(uint32_t endpoint, uint32_t connection, uint64_t stream, uint32_t enabled);

/* With QUILLON_CONFIG_MANUAL_CREDIT: lets the peer send so many bytes more on a stream. */
int32_t quillon_stream_extend_max_data(uint32_t endpoint, uint32_t connection, uint64_t stream, uint64_t bytes);

/* How many bytes the peer lets us send on a stream now. */
int64_t quillon_stream_send_credit(uint32_t endpoint, uint32_t connection, uint64_t stream);

/* Whether what can be read is early data, 1 or 0: an attacker may have sent it a second time. */
int32_t quillon_stream_is_early_data(uint32_t endpoint, uint32_t connection, uint64_t stream);

#ifdef __cplusplus
}
#endif

#endif
