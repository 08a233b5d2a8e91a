import { ADMISSION, CLIENT_AUTHENTICATION, CONGESTION, ConfigBytes, ConfigKey, DROP, QLOG, Role } from "./constants.js";
import type { Instance } from "./instance.js";
import { Owned } from "./owned.js";
import { ADDRESS_LEN, encodeAddress, type Address } from "./path.js";
import type { SavedSession } from "./saved.js";

/** Transport settings of one end; what is left out has the engine's default. Times are milliseconds. */
export interface TransportSettings {
  /** The longest silence before the connection is given up; 0 for no limit. */
  readonly maxIdleTimeout?: number;
  readonly initialMaxData?: number | bigint;
  readonly initialMaxStreamDataBidiLocal?: number | bigint;
  readonly initialMaxStreamDataBidiRemote?: number | bigint;
  readonly initialMaxStreamDataUni?: number | bigint;
  readonly initialMaxStreamsBidi?: number | bigint;
  readonly initialMaxStreamsUni?: number | bigint;
  /** The largest UDP payload that is sent, in bytes: at least 1200. */
  readonly maxUdpPayloadSize?: number;
  /** The largest UDP payload that the peer may send, in bytes. */
  readonly maxReceivedUdpPayloadSize?: number;
  /** The sizes of UDP payload that are tried on a path, in bytes; empty: none. */
  readonly mtuDiscoverySizes?: readonly number[];
  /** The round-trip time assumed before the first sample. */
  readonly initialRtt?: number;
  readonly maxAckDelay?: number;
  /** The power of two that the delays in ACK frames are divided by: 0 to 20. */
  readonly ackDelayExponent?: number;
  /** How many packets arrive before an acknowledgement is not held back any more. */
  readonly ackElicitingThreshold?: number;
  /** How many of the peer's connection IDs are kept: 2 to 8. */
  readonly activeConnectionIdLimit?: number;
  /** The silence after which a PING is sent; 0 for never. */
  readonly keepAlive?: number;
  /** The longest handshake; 0 for no limit. */
  readonly handshakeTimeout?: number;
  /** Bytes written and not yet acknowledged that the engine keeps. */
  readonly sendBuffer?: number;
  /** What the window of the connection, and of a stream, may grow to, in bytes. */
  readonly maxWindow?: number | bigint;
  readonly maxStreamWindow?: number | bigint;
  /** The peer gets credit by `extendMaxData`, `extendMaxStreamData` and `extendMaxStreams` alone. */
  readonly manualCredit?: boolean;
  /** The largest DATAGRAM frame that the peer may send, in bytes; 0: no datagrams. */
  readonly maxDatagramFrameSize?: number;
  /** What gives way when too many wait to be sent, and to be read. Default: the newest, and the oldest. */
  readonly datagramSendPolicy?: (typeof DROP)[number];
  readonly datagramReceivePolicy?: (typeof DROP)[number];
  /** How many bytes of datagrams may wait to be sent, and to be read; each datagram counts for 64 more than it has. */
  readonly datagramSendBuffer?: number;
  readonly datagramReceiveBuffer?: number;
  readonly congestionControl?: (typeof CONGESTION)[number];
  /** The first packet number in each space, below 2^31. */
  readonly initialPacketNumber?: number;
  /** How many packets a key protects before it is updated; 0: as many as is safe. */
  readonly packetsPerKey?: number | bigint;
  /** Sends what means nothing, so that peers keep ignoring it. Default: true. */
  readonly grease?: boolean;
  /** The QUIC bit may be anything, both ways. Default: true. */
  readonly greaseQuicBit?: boolean;
  /** Pads packets, so that sizes tell nothing. */
  readonly padPackets?: boolean;
  /** The peer is asked not to move to other addresses. */
  readonly disableActiveMigration?: boolean;
  /** A client moves to the server's preferred address. */
  readonly followPreferredAddress?: boolean;
  /** How many odd frames of a peer are borne at once, and in a second. */
  readonly floodBurst?: number;
  readonly floodRate?: number;
  /** Records a qlog: `Connection.pollLog("qlog")`. */
  readonly qlog?: (typeof QLOG)[number];
  /** Records what happens as lines of text: `Connection.pollLog("text")`. */
  readonly textLog?: boolean;
  /** Versions of QUIC to speak, by number, the best first; a client starts with the first. */
  readonly versions?: readonly number[];
  /** At a client that tries again after a Version Negotiation packet: the version of its first attempt. */
  readonly originalVersion?: number;
  /** Versions to change to where the peer allows, the best first. */
  readonly preferredVersions?: readonly number[];
}

/** A certificate chain and its key. */
export interface Identity {
  /** The certificate chain, DER, the leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** The private key, DER: PKCS #8, SEC 1 or PKCS #1. */
  readonly privateKey: Uint8Array;
}

/** What both ends configure. */
export interface CommonOptions {
  /** Application protocols, in order of preference. */
  readonly alpn: readonly string[];
  readonly transport?: TransportSettings;
  /** Cipher suites in order of preference, by number (RFC 8446 section B.4). */
  readonly cipherSuites?: readonly number[];
  /** Hands the session's secrets out as events. */
  readonly keyLog?: boolean;
  /** A client sends early data where it resumes a session that allows it; a server takes it. */
  readonly earlyData?: boolean;
  /** The peer's certificate waits for `acceptCertificate` or `rejectCertificate`, once the other checks have passed. */
  readonly askForVerdict?: boolean;
}

/** What a client configures. */
export interface ClientOptions extends CommonOptions, Partial<Identity> {
  /** Trusted certificates, DER. */
  readonly roots?: readonly Uint8Array[];
  /** `false`: accept any certificate. */
  readonly verifyPeer?: boolean;
  /** The SHA-256 of the certificates that are accepted, in place of roots and names. */
  readonly certificateHashes?: readonly Uint8Array[];
  /** Accepts those only if they are as the web's `serverCertificateHashes` asks. */
  readonly certificateHashWebRule?: boolean;
  /** An address token of the server, from an earlier connection; good once. */
  readonly token?: Uint8Array;
}

/** What a server configures. */
export interface ServerOptions extends CommonOptions, Identity {
  /** Whether clients are asked for a certificate; it leads to one of `roots`, where there are any. */
  readonly clientAuthentication?: (typeof CLIENT_AUTHENTICATION)[number];
  /** Trusted certificates of clients, DER. */
  readonly roots?: readonly Uint8Array[];
  /** How many sessions are remembered, to be resumed; early data needs it. */
  readonly sessionStore?: number;
  /** The key of stateless session tickets, 32 bytes; 32 more for the previous one. */
  readonly ticketKey?: Uint8Array;
  /** Each ClientHello waits for `choose` or `refuse`. */
  readonly askOnClientHello?: boolean;
  /** Where the server would rather be reached: one address for each family. */
  readonly preferredAddresses?: readonly Address[];
}

/** What an endpoint configures. */
export interface EndpointOptions {
  /** The length of our connection IDs, in bytes. */
  readonly connectionIdLen?: number;
  /** The bytes that the endpoint's connections may hold. */
  readonly memoryBudget?: number;
  readonly maxConnections?: number;
  /** Marks datagrams that are sent as ECN-capable, where that survives. Default: true. */
  readonly ecn?: boolean;
  /** Who decides about new clients: nobody, a Retry, or the caller by `pollIncoming`. */
  readonly admission?: (typeof ADMISSION)[number];
  /** How many address tokens a client gets for later connections: 0 to 8. */
  readonly tokensPerConnection?: number;
  /** The key of address tokens, 32 bytes; 32 more for the previous one. */
  readonly tokenKey?: Uint8Array;
  /** The key of stateless resets, 32 bytes; 32 more for the previous one. */
  readonly statelessResetKey?: Uint8Array;
  /** The lengths of the arenas, in bytes: 69632 to 16 MiB. */
  readonly receiveArenaLen?: number;
  readonly transmitArenaLen?: number;
}

/** Names one configuration in the engine; frees it when it is disposed of. */
export class Config extends Owned {
  readonly #instance: Instance;

  constructor(instance: Instance, role: number) {
    super(instance, instance.check(instance.exports.quillon_config_new(role)), "quillon_config_free");
    this.#instance = instance;
  }

  /** Appends to the list under a key. */
  setList(key: number, values: readonly Uint8Array[] | undefined): this {
    for (const value of values ?? []) {
      this.setBytes(key, value);
    }
    return this;
  }

  /** Has the next connection resume a session that came from a connection with this configuration; `null`: none. */
  setSession(session: SavedSession | null): this {
    this.#instance.check(this.#instance.exports.quillon_config_set_session(this.handle, session?.handle ?? 0));
    return this;
  }

  /** Has the next connection show an address token of the server; empty: none. */
  setToken(token: Uint8Array): this {
    return this.setBytes(ConfigBytes.TOKEN, token);
  }

  /** Calls with a configuration's handle: a caller's own, or one that is made and freed. */
  static use<O, T>(options: O | Config, make: (options: O) => Config, call: (handle: number) => T): T {
    if (options instanceof Config) {
      return call(options.handle);
    }
    const config = make(options);
    try {
      return call(config.handle);
    } finally {
      config.free();
    }
  }

  /** Sets the number under a key; leaves it where `value` is left out. */
  setNumber(key: number, value: number | bigint | boolean | undefined): this {
    if (value !== undefined) {
      const { exports } = this.#instance;
      this.#instance.check(exports.quillon_config_set_number(this.handle, key, BigInt(value)));
    }
    return this;
  }

  /** Sets the bytes under a key, or appends them to its list; leaves them where `value` is left out. */
  setBytes(key: number, value: Uint8Array | undefined): this {
    if (value === undefined) {
      return this;
    }
    const { exports } = this.#instance;
    this.#instance.pass(value, (address, len) =>
      this.#instance.check(exports.quillon_config_set_bytes(this.handle, key, address, len)),
    );
    return this;
  }
}

/** The number of a word. One that is none is refused by the engine. */
function position(words: readonly string[], word: string | undefined): number | undefined {
  if (word === undefined) {
    return undefined;
  }
  const index = words.indexOf(word);
  return index < 0 ? words.length : index;
}

function addressBytes(address: Address): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_LEN);
  encodeAddress(bytes, 0, address);
  return bytes;
}

/** Numbers of `len` bytes each, the most significant first. */
function numbers(values: readonly number[] | undefined, len: 2 | 4): Uint8Array | undefined {
  if (values === undefined) {
    return undefined;
  }
  const view = new DataView(new ArrayBuffer(values.length * len));
  for (const [index, value] of values.entries()) {
    if (len === 2) {
      view.setUint16(2 * index, value);
    } else {
      view.setUint32(4 * index, value);
    }
  }
  return new Uint8Array(view.buffer);
}

/** Makes a client's configuration. */
export function clientConfig(instance: Instance, options: ClientOptions): Config {
  return build(instance, Role.CLIENT, (config) => {
    common(config, options);
    config.setNumber(ConfigKey.VERIFY_PEER, options.verifyPeer);
    config.setNumber(ConfigKey.CERTIFICATE_HASH_RULE, options.certificateHashWebRule);
    config.setList(ConfigBytes.ROOT_CERTIFICATE, options.roots);
    config.setList(ConfigBytes.CERTIFICATE_HASH, options.certificateHashes);
    config.setList(ConfigBytes.CERTIFICATE, options.certificates);
    config.setBytes(ConfigBytes.PRIVATE_KEY, options.privateKey);
    config.setBytes(ConfigBytes.TOKEN, options.token);
  });
}

/** Makes a server's configuration. */
export function serverConfig(instance: Instance, options: ServerOptions): Config {
  return build(instance, Role.SERVER, (config) => {
    common(config, options);
    config.setList(ConfigBytes.CERTIFICATE, options.certificates);
    config.setBytes(ConfigBytes.PRIVATE_KEY, options.privateKey);
    config.setList(ConfigBytes.ROOT_CERTIFICATE, options.roots);
    config
      .setNumber(ConfigKey.CLIENT_AUTHENTICATION, position(CLIENT_AUTHENTICATION, options.clientAuthentication))
      .setNumber(ConfigKey.SESSION_STORE, options.sessionStore)
      .setNumber(ConfigKey.ASK_ON_CLIENT_HELLO, options.askOnClientHello)
      .setBytes(ConfigBytes.TICKET_KEY, options.ticketKey)
      .setList(ConfigBytes.PREFERRED_ADDRESS, options.preferredAddresses?.map(addressBytes));
  });
}

/** Makes an endpoint's configuration. */
export function endpointConfig(instance: Instance, options: EndpointOptions): Config {
  return build(instance, Role.CLIENT, (config) => {
    config
      .setNumber(ConfigKey.CONNECTION_ID_LEN, options.connectionIdLen)
      .setNumber(ConfigKey.MEMORY_BUDGET, options.memoryBudget)
      .setNumber(ConfigKey.MAX_CONNECTIONS, options.maxConnections)
      .setNumber(ConfigKey.ECN, options.ecn)
      .setNumber(ConfigKey.ADMISSION, position(ADMISSION, options.admission))
      .setNumber(ConfigKey.TOKENS_PER_CONNECTION, options.tokensPerConnection)
      .setNumber(ConfigKey.RECEIVE_ARENA_LEN, options.receiveArenaLen)
      .setNumber(ConfigKey.TRANSMIT_ARENA_LEN, options.transmitArenaLen)
      .setBytes(ConfigBytes.TOKEN_KEY, options.tokenKey)
      .setBytes(ConfigBytes.STATELESS_RESET_KEY, options.statelessResetKey);
  });
}

function build(instance: Instance, role: number, set: (config: Config) => void): Config {
  const config = new Config(instance, role);
  try {
    set(config);
    return config;
  } catch (error) {
    config.free();
    throw error;
  }
}

function common(config: Config, options: CommonOptions): void {
  const { transport = {} } = options;
  limits(config, transport);
  config
    .setNumber(ConfigKey.MAX_IDLE_TIMEOUT_MS, transport.maxIdleTimeout)
    .setNumber(ConfigKey.MAX_UDP_PAYLOAD_SIZE, transport.maxUdpPayloadSize)
    .setNumber(ConfigKey.INITIAL_RTT_MS, transport.initialRtt)
    .setNumber(ConfigKey.MAX_ACK_DELAY_MS, transport.maxAckDelay)
    .setNumber(ConfigKey.MAX_RECEIVED_UDP_PAYLOAD_SIZE, transport.maxReceivedUdpPayloadSize)
    .setBytes(ConfigBytes.MTU_DISCOVERY_SIZES, numbers(transport.mtuDiscoverySizes, 2))
    .setNumber(ConfigKey.ACK_DELAY_EXPONENT, transport.ackDelayExponent)
    .setNumber(ConfigKey.ACK_ELICITING_THRESHOLD, transport.ackElicitingThreshold)
    .setNumber(ConfigKey.ACTIVE_CONNECTION_ID_LIMIT, transport.activeConnectionIdLimit)
    .setNumber(ConfigKey.KEEP_ALIVE_MS, transport.keepAlive)
    .setNumber(ConfigKey.HANDSHAKE_TIMEOUT_MS, transport.handshakeTimeout)
    .setNumber(ConfigKey.CONGESTION_CONTROL, position(CONGESTION, transport.congestionControl))
    .setNumber(ConfigKey.INITIAL_PACKET_NUMBER, transport.initialPacketNumber)
    .setNumber(ConfigKey.PACKETS_PER_KEY, transport.packetsPerKey)
    .setNumber(ConfigKey.GREASE, transport.grease)
    .setNumber(ConfigKey.GREASE_QUIC_BIT, transport.greaseQuicBit)
    .setNumber(ConfigKey.PAD_PACKETS, transport.padPackets)
    .setNumber(ConfigKey.ORIGINAL_VERSION, transport.originalVersion)
    .setNumber(ConfigKey.DISABLE_ACTIVE_MIGRATION, transport.disableActiveMigration)
    .setNumber(ConfigKey.FOLLOW_PREFERRED_ADDRESS, transport.followPreferredAddress)
    .setNumber(ConfigKey.QLOG, position(QLOG, transport.qlog))
    .setNumber(ConfigKey.TEXT_LOG, transport.textLog)
    .setBytes(ConfigBytes.VERSIONS, numbers(transport.versions, 4))
    .setBytes(ConfigBytes.PREFERRED_VERSIONS, numbers(transport.preferredVersions, 4))
    .setNumber(ConfigKey.KEY_LOG, options.keyLog)
    .setNumber(ConfigKey.EARLY_DATA, options.earlyData)
    .setNumber(ConfigKey.ASK_FOR_VERDICT, options.askForVerdict)
    .setBytes(ConfigBytes.CIPHER_SUITES, numbers(options.cipherSuites, 2));
  const utf8 = new TextEncoder();
  config.setList(ConfigBytes.ALPN, options.alpn.map((protocol) => utf8.encode(protocol)));
}

/** What the peer may send, and how much is buffered. */
function limits(config: Config, transport: TransportSettings): void {
  config
    .setNumber(ConfigKey.INITIAL_MAX_DATA, transport.initialMaxData)
    .setNumber(ConfigKey.INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, transport.initialMaxStreamDataBidiLocal)
    .setNumber(ConfigKey.INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, transport.initialMaxStreamDataBidiRemote)
    .setNumber(ConfigKey.INITIAL_MAX_STREAM_DATA_UNI, transport.initialMaxStreamDataUni)
    .setNumber(ConfigKey.INITIAL_MAX_STREAMS_BIDI, transport.initialMaxStreamsBidi)
    .setNumber(ConfigKey.INITIAL_MAX_STREAMS_UNI, transport.initialMaxStreamsUni)
    .setNumber(ConfigKey.MAX_WINDOW, transport.maxWindow)
    .setNumber(ConfigKey.MAX_STREAM_WINDOW, transport.maxStreamWindow)
    // Last: what windows grow to means nothing without automatic credit.
    .setNumber(ConfigKey.MANUAL_CREDIT, transport.manualCredit === true ? true : undefined)
    .setNumber(ConfigKey.SEND_BUFFER, transport.sendBuffer)
    .setNumber(ConfigKey.MAX_DATAGRAM_FRAME_SIZE, transport.maxDatagramFrameSize)
    .setNumber(ConfigKey.DATAGRAM_SEND_BUFFER, transport.datagramSendBuffer)
    .setNumber(ConfigKey.DATAGRAM_RECEIVE_BUFFER, transport.datagramReceiveBuffer)
    .setNumber(ConfigKey.DATAGRAM_SEND_POLICY, position(DROP, transport.datagramSendPolicy))
    .setNumber(ConfigKey.DATAGRAM_RECEIVE_POLICY, position(DROP, transport.datagramReceivePolicy))
    .setNumber(ConfigKey.FLOOD_BURST, transport.floodBurst)
    .setNumber(ConfigKey.FLOOD_RATE, transport.floodRate);
}
