import type { Address, ClientOptions, EndpointOptions, ServerOptions, TransportSettings } from "./core/index.js";
import { DATAGRAM_HIGH_WATER_MARK } from "./datagrams.js";
import { QuicError } from "./error.js";
import { certificates, privateKey, type PemOrDer } from "./pem.js";
import type { PeerCertificate, SessionCallbacks } from "./session.js";
import type { SessionTicket } from "./ticket.js";
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
  /** The largest DATAGRAM frame that the peer may send, in bytes; 0: no datagrams. */
  readonly maxDatagramFrameSize?: number;
  /** The peer is asked not to move to other addresses. */
  readonly disableActiveMigration?: boolean;
}

/** Options of both ends. Times are milliseconds. */
export interface SessionOptions extends SessionCallbacks {
  /** Application protocols, in order of preference. */
  readonly alpn: string | readonly string[];
  readonly transportParams?: TransportParams;
  /** Cipher suites in order of preference. Default: ChaCha20-Poly1305 first, which is the fastest in WebAssembly. */
  readonly ciphers?: readonly CipherSuite[];
  /** How congestion is controlled. Default: `"cubic"`. */
  readonly cc?: "cubic" | "reno";
  /** What the window of a session, and of a stream, may grow to, in bytes. */
  readonly maxWindow?: number;
  readonly maxStreamWindow?: number;
  /**
   * Sends early data where a session is resumed, and takes it. An attacker can send it a second time: `stream.early` tells what
   * is early.
   */
  readonly enableEarlyData?: boolean;
  /** How many bytes of datagrams may wait to be read, and to be sent. Default: 262144. */
  readonly datagrams?: { readonly incomingHighWaterMark?: number; readonly outgoingHighWaterMark?: number };
  /** Has the last word on the peer's certificate, once the checks that were asked for have passed. */
  readonly onpeercertificate?: (peer: PeerCertificate) => boolean | Promise<boolean>;
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
  /** Accepts the certificates with these hashes, in place of `ca` and names. */
  readonly serverCertificateHashes?: readonly CertificateHash[];
  /** Our own chain and key, where the server asks for them. */
  readonly cert?: PemOrDer | readonly PemOrDer[];
  readonly key?: PemOrDer;
  /** An address token of the server, from `onnewtoken` of an earlier session; good once. It can be saved. */
  readonly token?: Uint8Array;
  /**
   * Resumes a session: from `onsessionticket` of an earlier one, which also settles the options, apart from `token`, `signal`,
   * `transport`, `servername` and the callbacks.
   */
  readonly sessionTicket?: SessionTicket;
  /** What carries the datagrams. Default: a UDP socket. */
  readonly transport?: DatagramTransport;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** The hash of a certificate, as in WebTransport. */
export interface CertificateHash {
  readonly algorithm: "sha-256";
  readonly value: Uint8Array | ArrayBuffer;
}

/** Options of `listen`. */
export interface ListenOptions extends SessionOptions, Omit<EndpointOptions, "admission"> {
  /** Where to listen, as `"host:port"` or its parts. Default: any port of `127.0.0.1`. */
  readonly address?: string | Address;
  /** The certificate chain, the leaf first. */
  readonly cert: PemOrDer | readonly PemOrDer[];
  /** The private key. */
  readonly key: PemOrDer;
  /** Each client has to prove its address first, which takes a round trip. Default: false. */
  readonly validateAddress?: boolean;
  /** Whether clients are asked for a certificate; it leads to one of `ca`, where there are any. Default: `"none"`. */
  readonly clientAuthentication?: "none" | "optional" | "required";
  /** Trusted certificates of clients. */
  readonly ca?: PemOrDer | readonly PemOrDer[];
  /** How many sessions are remembered, to be resumed. Default: 1000 with `enableEarlyData`, which needs them; else 0. */
  readonly sessionStore?: number;
  /** The key of stateless session tickets, 32 bytes; 32 more for the previous one. */
  readonly ticketKey?: Uint8Array;
  /** What carries the datagrams. Default: a UDP socket. */
  readonly transport?: DatagramTransport;
  /** Closes the endpoint. */
  readonly signal?: AbortSignal;
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

/** Sessions that a server with early data remembers. */
const SESSION_STORE = 1000;

/** The engine's options for a client; `defaultRoots` count where `ca` is left out. */
export function clientOptions(options: ConnectOptions, defaultRoots: () => readonly Uint8Array[]): ClientOptions {
  const verifyPeer = options.verifyPeer ?? true;
  const hashes = options.serverCertificateHashes?.map(({ value }) => new Uint8Array(value));
  const roots = options.ca === undefined ? defaultRoots : () => certificates(options.ca ?? [], "ca");
  return {
    ...common(options),
    roots: verifyPeer && hashes === undefined ? roots() : [],
    verifyPeer,
    ...(hashes !== undefined && { certificateHashes: hashes }),
    ...(options.cert !== undefined && { certificates: certificates(options.cert, "cert") }),
    ...(options.key !== undefined && { privateKey: privateKey(options.key) }),
    ...(options.token !== undefined && { token: options.token }),
  };
}

/** The engine's options for a server. */
export function serverOptions(options: ListenOptions): ServerOptions {
  const { clientAuthentication, ca, ticketKey } = options;
  return {
    ...common(options),
    certificates: certificates(options.cert, "cert"),
    privateKey: privateKey(options.key),
    sessionStore: options.sessionStore ?? (options.enableEarlyData === true ? SESSION_STORE : 0),
    ...(clientAuthentication !== undefined && { clientAuthentication }),
    ...(ca !== undefined && { roots: certificates(ca, "ca") }),
    ...(ticketKey !== undefined && { ticketKey }),
  };
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
    keyLog: options.onkeylog !== undefined,
    earlyData: options.enableEarlyData ?? false,
    askForVerdict: options.onpeercertificate !== undefined,
  };
}

/** How many bytes of datagrams may wait. */
export function highWaterMarks({ datagrams }: SessionOptions): { incoming: number; outgoing: number } {
  return {
    incoming: datagrams?.incomingHighWaterMark ?? DATAGRAM_HIGH_WATER_MARK,
    outgoing: datagrams?.outgoingHighWaterMark ?? DATAGRAM_HIGH_WATER_MARK,
  };
}

function transportSettings(options: SessionOptions): TransportSettings {
  const { handshakeTimeout, initialRtt, keepAlive, maxPayloadSize, maxWindow, maxStreamWindow } = options;
  const { incoming, outgoing } = highWaterMarks(options);
  return {
    ...options.transportParams,
    datagramReceiveBuffer: incoming,
    datagramSendBuffer: outgoing,
    // A socket that is connected reaches no other address.
    followPreferredAddress: false,
    congestionControl: options.cc === "reno" ? "new-reno" : "cubic",
    qlog: options.onqlog === undefined ? "none" : "0.3",
    ...(handshakeTimeout !== undefined && { handshakeTimeout }),
    ...(initialRtt !== undefined && { initialRtt }),
    ...(keepAlive !== undefined && { keepAlive }),
    ...(maxPayloadSize !== undefined && { maxUdpPayloadSize: maxPayloadSize }),
    ...(maxWindow !== undefined && { maxWindow }),
    ...(maxStreamWindow !== undefined && { maxStreamWindow }),
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
