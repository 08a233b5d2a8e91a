import { ErrorCode, FLAG_FINISHED, Info, Role, State, StatsField, Status } from "./constants.js";
import type { Dir } from "./event.js";
import { high, low, type Instance, type Time } from "./instance.js";
import { Path } from "./path.js";

/** Counts and measures of a connection. Bytes are UDP payload; times are nanoseconds. */
export interface Stats {
  readonly datagramsSent: bigint;
  readonly datagramsReceived: bigint;
  readonly bytesSent: bigint;
  readonly bytesReceived: bigint;
  readonly packetsSent: bigint;
  readonly packetsReceived: bigint;
  readonly packetsLost: bigint;
  readonly bytesLost: bigint;
  readonly packetsDropped: bigint;
  readonly smoothedRtt: bigint;
  readonly latestRtt: bigint;
  readonly minRtt: bigint;
  readonly rttVariance: bigint;
  readonly congestionWindow: bigint;
  readonly bytesInFlight: bigint;
  /** `null` before the first loss. */
  readonly ssthresh: bigint | null;
  /** `null` before the handshake is complete. */
  readonly handshakeDuration: bigint | null;
  readonly maxUdpPayloadSize: bigint;
}

/** The next contiguous bytes of a stream. */
export interface Peek {
  /** A view of the module's memory, good until the next call on the endpoint. */
  readonly data: Uint8Array;
  /** Whether the stream's end was reached: then `data` is empty. */
  readonly finished: boolean;
}

/** What {@link Connection.read} did. */
export interface Read {
  /** How many bytes were copied. */
  readonly len: number;
  /** Whether the stream's end was reached. */
  readonly finished: boolean;
}

const ABSENT = 2n ** 64n - 1n;
const utf8 = new TextDecoder();

/**
 * A connection of an endpoint, without promises, timers or sockets. After a command that may send, `transmit` on the
 * endpoint.
 */
export class Connection {
  readonly #instance: Instance;
  readonly #endpoint: number;
  /** The engine's handle. */
  readonly handle: number;

  /** For the endpoint: connections come from `connect` and from events. */
  constructor(instance: Instance, endpoint: number, handle: number) {
    this.#instance = instance;
    this.#endpoint = endpoint;
    this.handle = handle;
  }

  /** Opens a stream; `null` where the peer grants no more until the event `streams-available`. */
  open(dir: Dir): bigint | null {
    const { exports } = this.#instance;
    const id = exports.quillon_stream_open(this.#endpoint, this.handle, dir === "bidi" ? 0 : 1);
    if (id >= 0n) {
      return id;
    }
    if (id === BigInt(ErrorCode.BLOCKED)) {
      return null;
    }
    throw this.#instance.error(Number(id));
  }

  /** Copies bytes into a stream; returns how many were taken: fewer than all until the event `stream-writable`. */
  write(id: bigint, data: Uint8Array): number {
    const { exports, scratch, scratchLen } = this.#instance;
    let taken = 0;
    while (taken < data.length) {
      const part = data.subarray(taken, taken + scratchLen);
      this.#instance.bytes.set(part, scratch);
      const result = exports.quillon_stream_write(this.#endpoint, this.handle, id, scratch, part.length);
      const len = this.#instance.checkBlocked(result) ?? 0;
      taken += len;
      if (len < part.length) {
        break;
      }
    }
    return taken;
  }

  /** Ends our part of a stream after what was written. */
  finish(id: bigint): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_stream_finish(this.#endpoint, this.handle, id));
  }

  /** Gives our part of a stream up with an application code. */
  reset(id: bigint, code: bigint): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_stream_reset(this.#endpoint, this.handle, id, code));
  }

  /** Asks the peer to stop sending, with an application code. */
  stopSending(id: bigint, code: bigint): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_stream_stop_sending(this.#endpoint, this.handle, id, code));
  }

  /** Shows the next contiguous bytes of a stream; `null` where there are none until the event `stream-readable`. */
  peek(id: bigint): Peek | null {
    const { exports } = this.#instance;
    const len = this.#instance.checkBlocked(exports.quillon_stream_peek(this.#endpoint, this.handle, id));
    if (len === null) {
      return null;
    }
    const data = this.#instance.statusData(Status.DATA, Status.DATA_LEN);
    return { data, finished: (this.#instance.statusNumber(Status.FLAGS) & FLAG_FINISHED) !== 0 };
  }

  /** Takes `len` bytes that were shown off the front of a stream: they are read. */
  consume(id: bigint, len: number): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_stream_consume(this.#endpoint, this.handle, id, len));
  }

  /** Copies the next bytes of a stream; `null` where there are none until the event `stream-readable`. */
  read(id: bigint, out: Uint8Array): Read | null {
    let len = 0;
    while (len < out.length) {
      const peek = this.peek(id);
      if (peek === null) {
        return len === 0 ? null : { len, finished: false };
      }
      if (peek.finished) {
        return { len, finished: true };
      }
      const part = peek.data.subarray(0, out.length - len);
      out.set(part, len);
      this.consume(id, part.length);
      len += part.length;
    }
    return { len, finished: false };
  }

  /** Closes the connection, with the application's code and a reason for people. */
  close(now: Time, code: bigint, reason: Uint8Array): void {
    const { exports } = this.#instance;
    this.#instance.pass(reason, (address, len) =>
      this.#instance.check(
        exports.quillon_connection_close(this.#endpoint, this.handle, code, address, len, low(now), high(now)),
      ),
    );
  }

  stats(): Stats {
    const { exports } = this.#instance;
    const bytes = this.#instance.take((out, capacity) =>
      exports.quillon_connection_stats(this.#endpoint, this.handle, out, capacity),
    );
    const view = new DataView(bytes.buffer);
    const field = (index: number) => view.getBigUint64(8 * index, true);
    const optional = (index: number) => (field(index) === ABSENT ? null : field(index));
    return {
      datagramsSent: field(StatsField.DATAGRAMS_SENT),
      datagramsReceived: field(StatsField.DATAGRAMS_RECEIVED),
      bytesSent: field(StatsField.BYTES_SENT),
      bytesReceived: field(StatsField.BYTES_RECEIVED),
      packetsSent: field(StatsField.PACKETS_SENT),
      packetsReceived: field(StatsField.PACKETS_RECEIVED),
      packetsLost: field(StatsField.PACKETS_LOST),
      bytesLost: field(StatsField.BYTES_LOST),
      packetsDropped: field(StatsField.PACKETS_DROPPED),
      smoothedRtt: field(StatsField.SMOOTHED_RTT),
      latestRtt: field(StatsField.LATEST_RTT),
      minRtt: field(StatsField.MIN_RTT),
      rttVariance: field(StatsField.RTT_VARIANCE),
      congestionWindow: field(StatsField.CONGESTION_WINDOW),
      bytesInFlight: field(StatsField.BYTES_IN_FLIGHT),
      ssthresh: optional(StatsField.SSTHRESH),
      handshakeDuration: optional(StatsField.HANDSHAKE_DURATION),
      maxUdpPayloadSize: field(StatsField.MAX_UDP_PAYLOAD_SIZE),
    };
  }

  /** The application protocol in use, once it is known. */
  get alpn(): string | null {
    return this.#text(Info.ALPN);
  }

  /** The server's name, as the client asked for it. */
  get serverName(): string | null {
    return this.#text(Info.SERVER_NAME);
  }

  /** The peer's own certificate, DER. */
  get peerCertificate(): Uint8Array | null {
    const certificate = this.#info(Info.PEER_CERTIFICATE);
    return certificate.length === 0 ? null : certificate;
  }

  /** The path in use. */
  get path(): Path {
    return Path.decode(this.#info(Info.PATH), 0);
  }

  get side(): "client" | "server" {
    return this.#info(Info.SIDE)[0] === Role.CLIENT ? "client" : "server";
  }

  get isHandshakeComplete(): boolean {
    return this.#is(State.HANDSHAKE_COMPLETE);
  }

  get isHandshakeConfirmed(): boolean {
    return this.#is(State.HANDSHAKE_CONFIRMED);
  }

  get isClosed(): boolean {
    return this.#is(State.CLOSED);
  }

  #is(state: number): boolean {
    return ((this.#info(Info.STATE)[0] ?? 0) & state) !== 0;
  }

  #text(key: number): string | null {
    const bytes = this.#info(key);
    return bytes.length === 0 ? null : utf8.decode(bytes);
  }

  #info(key: number): Uint8Array {
    const { exports } = this.#instance;
    return this.#instance.take((out, capacity) =>
      exports.quillon_connection_info(this.#endpoint, this.handle, key, out, capacity),
    );
  }
}
