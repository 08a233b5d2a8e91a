import type { Address, ClientOptions, EndpointOptions, ServerOptions, TransportSettings } from "./core/index.js";
import { QuicError } from "./error.js";
import { certificates, privateKey, type PemOrDer } from "./pem.js";
import type { DatagramTransport } from "./transport/transport.js";

/** What the transport parameters say; the defaults are the engine's. Times are milliseconds. */
export interface TransportParams {
  readonly maxIdleTimeout?: number;
  readonly initialMaxData?: number | bigint;
  readonly initialMaxStreamDataBidiLocal?: number | bigint;
  readonly initialMaxStreamDataBidiRemote?: number | bigint;
  readonly initialMaxStreamDataUni?: number | bigint;
  readonly initialMaxStreamsBidi?: number | bigint;
  readonly initialMaxStreamsUni?: number | bigint;
  readonly maxAckDelay?: number;
}

/** Options of both ends. Times are milliseconds. */
export interface SessionOptions {
  /** Application protocols, in order of preference. */
  readonly alpn: string | readonly string[];
  readonly transportParams?: TransportParams;
  /** Cipher suites in order of preference. Default: ChaCha20-Poly1305 first, which is the fastest in WebAssembly. */
  readonly ciphers?: readonly CipherSuite[];
  /** Receives the lines of an NSS key log. Whoever has them can read the session. */
  readonly keylog?: (line: string) => void;
  /** The longest handshake; 0 for no limit. */
  readonly handshakeTimeout?: number;
  /** The round-trip time assumed before the first sample. */
  readonly initialRtt?: number;
  /** The silence after which a PING is sent; 0 for never. */
  readonly keepAlive?: number;
  /** The largest UDP payload that is sent, in bytes: at least 1200. */
  readonly maxPayloadSize?: number;
}

/** Options of `connect`. */
export interface ConnectOptions extends SessionOptions {
  /** The name that the server's certificate is for. Default: the host in the address. */
  readonly servername?: string;
  /** Trusted certificates. Default: those that come with the runtime. */
  readonly ca?: PemOrDer | readonly PemOrDer[];
  /** `false` accepts any certificate: whoever is on the path can read and change everything. Default: `true`. */
  readonly verifyPeer?: boolean;
  /** What carries the datagrams. Default: a UDP socket. */
  readonly transport?: DatagramTransport;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** Options of `listen`. */
export interface ListenOptions extends SessionOptions, EndpointOptions {
  /** Where to listen, as `"host:port"` or its parts. Default: any port of `127.0.0.1`. */
  readonly address?: string | Address;
  /** The certificate chain, the leaf first. */
  readonly cert: PemOrDer | readonly PemOrDer[];
  /** The private key. */
  readonly key: PemOrDer;
  /** What carries the datagrams. Default: a UDP socket. */
  readonly transport?: DatagramTransport;
}

const SUITES = {
  TLS_AES_128_GCM_SHA256: 0x1301,
  TLS_AES_256_GCM_SHA384: 0x1302,
  TLS_CHACHA20_POLY1305_SHA256: 0x1303,
} as const;

/** A cipher suite of TLS 1.3. */
export type CipherSuite = keyof typeof SUITES;

const DEFAULT_CIPHERS: readonly CipherSuite[] = [
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
];

/** The engine's options for a client; `defaultRoots` count where `ca` is left out. */
export function clientOptions(options: ConnectOptions, defaultRoots: () => readonly Uint8Array[]): ClientOptions {
  const verifyPeer = options.verifyPeer ?? true;
  const roots = options.ca === undefined ? defaultRoots : () => certificates(options.ca ?? [], "ca");
  return {
    ...common(options),
    roots: verifyPeer ? roots() : [],
    verifyPeer,
  };
}

/** The engine's options for a server. */
export function serverOptions(options: ListenOptions): ServerOptions {
  return { ...common(options), certificates: certificates(options.cert, "cert"), privateKey: privateKey(options.key) };
}

function common(options: SessionOptions): Omit<ClientOptions, "roots" | "verifyPeer"> {
  const alpn = typeof options.alpn === "string" ? [options.alpn] : options.alpn;
  if (alpn.length === 0) {
    throw new QuicError('the option "alpn" names no protocol: QUIC requires one', { code: "ERR_QUIC_INVALID_OPTIONS" });
  }
  const ciphers = options.ciphers ?? DEFAULT_CIPHERS;
  return {
    alpn,
    transport: transportSettings(options),
    cipherSuites: ciphers.map((name) => SUITES[name]),
    keyLog: options.keylog !== undefined,
  };
}

function transportSettings(options: SessionOptions): TransportSettings {
  return {
    ...options.transportParams,
    ...(options.handshakeTimeout !== undefined && { handshakeTimeout: options.handshakeTimeout }),
    ...(options.initialRtt !== undefined && { initialRtt: options.initialRtt }),
    ...(options.keepAlive !== undefined && { keepAlive: options.keepAlive }),
    ...(options.maxPayloadSize !== undefined && { maxUdpPayloadSize: options.maxPayloadSize }),
  };
}

/** Host and port out of `"host:port"`, `"[::1]:443"`, or its parts. */
export function parseAddress(address: string | Address): Address {
  if (typeof address !== "string") {
    return address;
  }
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65535) {
    const hint = "give host:port, an IPv6 address in brackets";
    throw new QuicError(`"${address}" is no address: ${hint}`, { code: "ERR_QUIC_INVALID_OPTIONS" });
  }
  return { address: host, port: Number(port) };
}
