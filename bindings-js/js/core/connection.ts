import { Config, serverConfig, type ServerOptions } from "./config.js";
import { EARLY_DATA, ErrorCode, FLAG_FINISHED, Info, LOG, MIGRATE, Role, State, Status } from "./constants.js";
import { EngineError } from "./error.js";
import type { Dir } from "./event.js";
import { high, low, type Instance, type Time } from "./instance.js";
import { ADDRESS_LEN, encodeAddress, Path, type Address } from "./path.js";
import { readStats, type Stats } from "./stats.js";

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

/** What is sent first. */
export interface Priority {
  /** 0 goes first, 7 last. Default: 3. */
  readonly urgency?: number;
  /** Takes turns with others of its urgency. Default: true. */
  readonly incremental?: boolean;
  /** Among equals those with a larger one go first. Default: 0. */
  readonly sendOrder?: bigint | number;
}

/** How a client moves to another address: at once, when the path is validated, or not at all and the path is tested. */
export type Migration = (typeof MIGRATE)[number];

/** What became of early data. */
export type EarlyDataStatus = (typeof EARLY_DATA)[number];

/** What a client that waits for `choose` or `refuse` asks for. */
export interface ClientHello {
  /** `null` where it names no server. */
  readonly serverName: string | null;
  readonly alpn: readonly string[];
}

const utf8 = new TextDecoder();
const encoder = new TextEncoder();
/** The most keying material that TLS derives, in bytes. */
const MAX_KEYING_MATERIAL = 8160;

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

  /** Sets what is sent first. */
  setPriority(id: bigint, { urgency = 3, incremental = true, sendOrder = 0 }: Priority): void {
    const { exports } = this.#instance;
    this.#instance.check(
      exports.quillon_stream_set_priority(
        this.#endpoint,
        this.handle,
        id,
        urgency,
        incremental ? 1 : 0,
        BigInt(sendOrder),
      ),
    );
  }

  /** Chooses whether the event `stream-acked` tells how far the peer has a stream. At first it does not. */
  setAckedEvents(id: bigint, enabled: boolean): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_stream_set_acked_events(this.#endpoint, this.handle, id, enabled ? 1 : 0));
  }

  /** How many bytes the peer lets us send on a stream now. */
  sendCredit(id: bigint): bigint {
    const credit = this.#instance.exports.quillon_stream_send_credit(this.#endpoint, this.handle, id);
    if (credit < 0n) {
      throw this.#instance.error(Number(credit));
    }
    return credit;
  }

  /** Whether what can be read is early data: an attacker may have sent it a second time. */
  isEarlyData(id: bigint): boolean {
    const { exports } = this.#instance;
    return this.#instance.check(exports.quillon_stream_is_early_data(this.#endpoint, this.handle, id)) === 1;
  }

  /** With `manualCredit`: lets the peer send so many bytes more on a stream. */
  extendMaxStreamData(id: bigint, bytes: bigint): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_stream_extend_max_data(this.#endpoint, this.handle, id, bytes));
  }

  /** With `manualCredit`: lets the peer send so many bytes more on all streams together. */
  extendMaxData(bytes: bigint): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_connection_extend_max_data(this.#endpoint, this.handle, bytes));
  }

  /** With `manualCredit`: lets the peer open so many streams more. */
  extendMaxStreams(dir: Dir, count: bigint): void {
    const { exports } = this.#instance;
    this.#instance.check(
      exports.quillon_connection_extend_max_streams(this.#endpoint, this.handle, dir === "bidi" ? 0 : 1, count),
    );
  }

  /**
   * Queues a datagram: it is sent once or not at all. Returns its number, which events name; `null` while too many wait.
   * Throws `QUILLON_ERR_TOO_LARGE` where it is longer than {@link maxDatagramSize}.
   */
  sendDatagram(data: Uint8Array): bigint | null {
    const { exports, scratch, scratchLen } = this.#instance;
    if (data.length > scratchLen) {
      throw new EngineError("QUILLON_ERR_TOO_LARGE", "no datagram is so long");
    }
    this.#instance.bytes.set(data, scratch);
    const id = exports.quillon_datagram_send(this.#endpoint, this.handle, scratch, data.length);
    if (id >= 0n) {
      return id;
    }
    if (id === BigInt(ErrorCode.BLOCKED)) {
      return null;
    }
    throw this.#instance.error(Number(id));
  }

  /** The most bytes that a datagram may have now; `null` where the peer takes none, or has not said so yet. */
  get maxDatagramSize(): number | null {
    const size = this.#instance.exports.quillon_datagram_max_size(this.#endpoint, this.handle);
    return size === ErrorCode.UNSUPPORTED || size === ErrorCode.CLOSED ? null : this.#instance.check(size);
  }

  /**
   * Shows the oldest received datagram; `null` where there is none until the event `datagram-received`. A view of the
   * module's memory, good until the next call on the endpoint.
   */
  peekDatagram(): Uint8Array | null {
    const { exports } = this.#instance;
    const len = this.#instance.checkBlocked(exports.quillon_datagram_peek(this.#endpoint, this.handle));
    return len === null ? null : this.#instance.statusData(Status.DATA, Status.DATA_LEN);
  }

  /** Takes off the datagram that was shown: it is read. */
  consumeDatagram(): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_datagram_consume(this.#endpoint, this.handle));
  }

  /** Updates the keys of packets. Throws `QUILLON_ERR_INVALID_STATE` where it is too early. */
  updateKey(now: Time): void {
    const { exports } = this.#instance;
    this.#instance.check(
      exports.quillon_connection_update_key(this.#endpoint, this.handle, low(now), high(now)),
    );
  }

  /** Derives `length` bytes from the handshake, for a label and a context (RFC 8446 section 7.5). */
  exportKeyingMaterial(length: number, label: Uint8Array, context: Uint8Array): Uint8Array {
    const { exports, scratch, scratchLen } = this.#instance;
    if (length > MAX_KEYING_MATERIAL || label.length + context.length > scratchLen - MAX_KEYING_MATERIAL) {
      throw new EngineError("QUILLON_ERR_INVALID_ARGUMENT", "keying material has at most 8160 bytes");
    }
    const inputs = scratch + MAX_KEYING_MATERIAL;
    const { bytes } = this.#instance;
    bytes.set(label, inputs);
    bytes.set(context, inputs + label.length);
    this.#instance.check(
      exports.quillon_connection_export(
        this.#endpoint,
        this.handle,
        inputs,
        label.length,
        inputs + label.length,
        context.length,
        scratch,
        length,
      ),
    );
    return this.#instance.bytes.slice(scratch, scratch + length);
  }

  /** Moves a client to another of its addresses. Throws `QUILLON_ERR_INVALID_STATE` where it cannot. */
  migrate(now: Time, local: Address, migration: Migration): void {
    const { exports } = this.#instance;
    const result = this.#withAddress(local, (address) =>
      exports.quillon_connection_migrate(
        this.#endpoint,
        this.handle,
        address,
        MIGRATE.indexOf(migration),
        low(now),
        high(now),
      ),
    );
    this.#instance.check(result);
  }

  /** Tells that our address is another now, by the caller's own doing. */
  setLocalAddress(local: Address): void {
    const { exports } = this.#instance;
    const result = this.#withAddress(local, (address) =>
      exports.quillon_connection_set_local_address(this.#endpoint, this.handle, address),
    );
    this.#instance.check(result);
  }

  /** After `peer-certificate`: the handshake goes on. */
  acceptCertificate(now: Time): void {
    const { exports } = this.#instance;
    this.#instance.check(
      exports.quillon_connection_accept_certificate(this.#endpoint, this.handle, low(now), high(now)),
    );
  }

  /** After `peer-certificate`: closes with a TLS alert, such as 42, bad_certificate. */
  rejectCertificate(now: Time, alert: number, reason: string): void {
    const { exports } = this.#instance;
    this.#instance.pass(encoder.encode(reason), (address, len) =>
      this.#instance.check(
        exports.quillon_connection_reject_certificate(
          this.#endpoint,
          this.handle,
          alert,
          address,
          len,
          low(now),
          high(now),
        ),
      ),
    );
  }

  /** After `client-hello`: goes on with these settings. */
  choose(now: Time, options: ServerOptions | Config): void {
    const { exports } = this.#instance;
    Config.use(options, (own) => serverConfig(this.#instance, own), (config) =>
      this.#instance.check(
        exports.quillon_connection_choose(this.#endpoint, this.handle, config, low(now), high(now)),
      ),
    );
  }

  /** After `client-hello`: refuses the client with a code of the transport; 0x100 + n is the TLS alert n. */
  refuse(now: Time, code: bigint, reason: string): void {
    const { exports } = this.#instance;
    this.#instance.pass(encoder.encode(reason), (address, len) =>
      this.#instance.check(
        exports.quillon_connection_refuse(this.#endpoint, this.handle, code, address, len, low(now), high(now)),
      ),
    );
  }

  /** Stops new streams, ours and the peer's, and lets those that are open finish: `streams-finished` follows. */
  shutdown(): void {
    this.#instance.check(this.#instance.exports.quillon_connection_shutdown(this.#endpoint, this.handle));
  }

  /** Takes what a log has recorded since the last call; empty where there is nothing. Once after `drained`, too. */
  pollLog(log: (typeof LOG)[number]): string {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_connection_poll_log(this.#endpoint, this.handle, LOG.indexOf(log)));
    return utf8.decode(this.#instance.statusData(Status.DATA, Status.DATA_LEN));
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
    return readStats(bytes);
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

  /** The peer's chain, DER, its own certificate first. */
  get peerCertificates(): Uint8Array[] {
    const bytes = this.#info(Info.PEER_CERTIFICATES);
    const view = new DataView(bytes.buffer);
    const certificates = [];
    for (let at = 0; at + 4 <= bytes.length;) {
      const end = at + 4 + view.getUint32(at, true);
      certificates.push(bytes.slice(at + 4, end));
      at = end;
    }
    return certificates;
  }

  /** The version of QUIC. */
  get version(): number {
    return this.#number(Info.VERSION);
  }

  /** What a client that waits for `choose` or `refuse` asks for. */
  get clientHello(): ClientHello {
    const offered = this.#info(Info.CLIENT_HELLO_ALPN);
    const alpn = [];
    for (let at = 0; at < offered.length;) {
      const end = at + 1 + (offered[at] ?? 0);
      alpn.push(utf8.decode(offered.subarray(at + 1, end)));
      at = end;
    }
    return { serverName: this.#text(Info.CLIENT_HELLO_SERVER_NAME), alpn };
  }

  /** What became of early data. */
  get earlyDataStatus(): EarlyDataStatus {
    return EARLY_DATA[this.#number(Info.EARLY_DATA)] ?? "none";
  }

  /** Every path, the one in use first. */
  get paths(): Path[] {
    const bytes = this.#info(Info.PATHS);
    return Array.from({ length: bytes.length / (2 * ADDRESS_LEN) }, (_, index) =>
      Path.decode(bytes, 2 * index * ADDRESS_LEN),
    );
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

  /** Whether the handshake resumed an earlier session. */
  get isResumed(): boolean {
    return this.#is(State.RESUMED);
  }

  #withAddress(address: Address, call: (address: number) => number): number {
    const { bytes, scratch } = this.#instance;
    encodeAddress(bytes, scratch, address);
    return call(scratch);
  }

  #number(key: number): number {
    const bytes = this.#info(key);
    return bytes.length < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
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
