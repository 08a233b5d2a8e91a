import { ConfigBytes, ConfigKey, Role } from "./constants.js";
import type { Instance } from "./instance.js";

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
  /** The round-trip time assumed before the first sample. */
  readonly initialRtt?: number;
  readonly maxAckDelay?: number;
  /** The silence after which a PING is sent; 0 for never. */
  readonly keepAlive?: number;
  /** The longest handshake; 0 for no limit. */
  readonly handshakeTimeout?: number;
  /** Bytes written and not yet acknowledged that the engine keeps. */
  readonly sendBuffer?: number;
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
}

/** What a client configures. */
export interface ClientOptions extends CommonOptions {
  /** Trusted certificates, DER. */
  readonly roots?: readonly Uint8Array[];
  /** `false`: accept any certificate. */
  readonly verifyPeer?: boolean;
}

/** What a server configures. */
export interface ServerOptions extends CommonOptions {
  /** The certificate chain, DER, the leaf first. */
  readonly certificates: readonly Uint8Array[];
  /** The private key, DER: PKCS #8, SEC 1 or PKCS #1. */
  readonly privateKey: Uint8Array;
}

/** What an endpoint configures. */
export interface EndpointOptions {
  /** The length of our connection IDs, in bytes. */
  readonly connectionIdLen?: number;
  /** The bytes that the endpoint's connections may hold. */
  readonly memoryBudget?: number;
  readonly maxConnections?: number;
}

/** Names one configuration in the engine; frees it when it is disposed of. */
export class Config {
  readonly #instance: Instance;
  /** The engine's handle. */
  readonly handle: number;

  constructor(instance: Instance, role: number) {
    this.#instance = instance;
    this.handle = instance.check(instance.exports.quillon_config_new(role));
  }

  /** Gives the configuration up. What was made with it lives on. */
  free(): void {
    this.#instance.check(this.#instance.exports.quillon_config_free(this.handle));
  }

  setNumber(key: number, value: number | bigint | boolean | undefined): this {
    if (value !== undefined) {
      const { exports } = this.#instance;
      this.#instance.check(exports.quillon_config_set_number(this.handle, key, BigInt(value)));
    }
    return this;
  }

  setBytes(key: number, value: Uint8Array): this {
    const { exports } = this.#instance;
    this.#instance.pass(value, (address, len) =>
      this.#instance.check(exports.quillon_config_set_bytes(this.handle, key, address, len)),
    );
    return this;
  }
}

/** Makes a client's configuration. */
export function clientConfig(instance: Instance, options: ClientOptions): Config {
  return build(instance, Role.CLIENT, (config) => {
    common(config, options);
    config.setNumber(ConfigKey.VERIFY_PEER, options.verifyPeer);
    for (const root of options.roots ?? []) {
      config.setBytes(ConfigBytes.ROOT_CERTIFICATE, root);
    }
  });
}

/** Makes a server's configuration. */
export function serverConfig(instance: Instance, options: ServerOptions): Config {
  return build(instance, Role.SERVER, (config) => {
    common(config, options);
    for (const certificate of options.certificates) {
      config.setBytes(ConfigBytes.CERTIFICATE, certificate);
    }
    config.setBytes(ConfigBytes.PRIVATE_KEY, options.privateKey);
  });
}

/** Makes an endpoint's configuration. */
export function endpointConfig(instance: Instance, options: EndpointOptions): Config {
  return build(instance, Role.CLIENT, (config) => {
    config
      .setNumber(ConfigKey.CONNECTION_ID_LEN, options.connectionIdLen)
      .setNumber(ConfigKey.MEMORY_BUDGET, options.memoryBudget)
      .setNumber(ConfigKey.MAX_CONNECTIONS, options.maxConnections);
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
  config
    .setNumber(ConfigKey.MAX_IDLE_TIMEOUT_MS, transport.maxIdleTimeout)
    .setNumber(ConfigKey.INITIAL_MAX_DATA, transport.initialMaxData)
    .setNumber(ConfigKey.INITIAL_MAX_STREAM_DATA_BIDI_LOCAL, transport.initialMaxStreamDataBidiLocal)
    .setNumber(ConfigKey.INITIAL_MAX_STREAM_DATA_BIDI_REMOTE, transport.initialMaxStreamDataBidiRemote)
    .setNumber(ConfigKey.INITIAL_MAX_STREAM_DATA_UNI, transport.initialMaxStreamDataUni)
    .setNumber(ConfigKey.INITIAL_MAX_STREAMS_BIDI, transport.initialMaxStreamsBidi)
    .setNumber(ConfigKey.INITIAL_MAX_STREAMS_UNI, transport.initialMaxStreamsUni)
    .setNumber(ConfigKey.MAX_UDP_PAYLOAD_SIZE, transport.maxUdpPayloadSize)
    .setNumber(ConfigKey.INITIAL_RTT_MS, transport.initialRtt)
    .setNumber(ConfigKey.MAX_ACK_DELAY_MS, transport.maxAckDelay)
    .setNumber(ConfigKey.KEEP_ALIVE_MS, transport.keepAlive)
    .setNumber(ConfigKey.HANDSHAKE_TIMEOUT_MS, transport.handshakeTimeout)
    .setNumber(ConfigKey.SEND_BUFFER, transport.sendBuffer)
    .setNumber(ConfigKey.KEY_LOG, options.keyLog);
  const utf8 = new TextEncoder();
  for (const protocol of options.alpn) {
    config.setBytes(ConfigBytes.ALPN, utf8.encode(protocol));
  }
  if (options.cipherSuites !== undefined) {
    const numbers = options.cipherSuites.flatMap((suite) => [suite >> 8, suite & 0xff]);
    config.setBytes(ConfigBytes.CIPHER_SUITES, Uint8Array.from(numbers));
  }
}
