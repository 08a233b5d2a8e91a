import type { Address, CloseInfo, Config, Connection, Event, Path, SavedSession, Stats } from "./core/index.js";
import { QuicDatagrams } from "./datagrams.js";
import { deferred, Signal, type Deferred } from "./deferred.js";
import type { Driver } from "./driver.js";
import { closeError, QuicError, sessionClosed } from "./error.js";
import { SessionTicket } from "./ticket.js";
import type { DatagramTransport } from "./transport/transport.js";
import { StreamFactory, type QuicReceiveStream, type QuicSendStream, type QuicStream, type StreamHost } from "./stream.js";

/** What the handshake settled. */
export interface SessionInfo {
  /** The application protocol. */
  readonly protocol: string;
  /** The server's name, as the client asked for it; `null` where it did not. */
  readonly servername: string | null;
  readonly local: Address;
  readonly remote: Address;
  /** The peer's own certificate, DER; `null` where it showed none. */
  readonly peerCertificate: Uint8Array | null;
  /** Whether an earlier session was resumed. */
  readonly resumed: boolean;
  /** Whether early data was sent or received, and whether the server took it. */
  readonly earlyDataAttempted: boolean;
  readonly earlyDataAccepted: boolean;
}

/** What a session tells of itself. */
export interface SessionCallbacks {
  /** A line of an NSS key log. Whoever has them can read the session. */
  readonly onkeylog?: (line: string, session: QuicSession) => void;
  /** A piece of a qlog, JSON text sequences; `fin`: the last one. */
  readonly onqlog?: (chunk: string, fin: boolean, session: QuicSession) => void;
  /** At a client: an address token for a later session with the server. It can be saved. */
  readonly onnewtoken?: (token: Uint8Array, session: QuicSession) => void;
  /** At a client: a session that one later call of `connect` can resume, in this process. */
  readonly onsessionticket?: (ticket: SessionTicket, session: QuicSession) => void;
}

/** A certificate to judge. */
export interface PeerCertificate {
  /** The chain, DER, the peer's own first. */
  readonly certificates: readonly Uint8Array[];
  /** The server's name, as the client asked for it. */
  readonly servername: string | null;
}

/** What `connect` and `listen` tell a session. */
export interface SessionSettings extends SessionCallbacks {
  readonly onpeercertificate?: (peer: PeerCertificate) => boolean | Promise<boolean>;
  readonly highWaterMarks: { readonly incoming: number; readonly outgoing: number };
  /** The configuration of a client, with which its sessions are resumed. */
  readonly config?: Config;
  /** Opens a socket of a client. */
  readonly bind?: (options: BindOptions) => Promise<DatagramTransport>;
}

/** Which socket a session moves to. */
export interface BindOptions {
  /** The peer. */
  readonly remote: Address;
  /** Our IP address. Default: any. */
  readonly address?: string;
  /** Our port. Default: any. */
  readonly port?: number;
}

/** Where a session moves. */
export interface MigrateOptions extends Omit<BindOptions, "remote"> {
  /** What carries the datagrams from then on. Default: a new UDP socket. */
  readonly transport?: DatagramTransport;
}

/** A TLS alert (RFC 8446 section 6): the certificate is not accepted. */
const BAD_CERTIFICATE = 42;

/** How a session is closed. */
export interface CloseOptions {
  /** The application's error code. Default: 0. */
  readonly code?: bigint | number;
  /** For people. */
  readonly reason?: string;
}

/** How a stream is opened. */
export interface StreamOptions {
  /** Gives up waiting for the peer's leave. */
  readonly signal?: AbortSignal;
}

/** How a session ended. */
export interface SessionCloseInfo {
  /** The error code of the application that closed it. */
  readonly code: bigint;
  readonly reason: string;
  /** Whether the peer closed it. */
  readonly byPeer: boolean;
}

/** What the driver tells a session. */
export interface SessionPort {
  onEvent(event: Event): void;
  /** Everything was sent and told for now. */
  onFlush?(): void;
  /** The endpoint ended beneath the session. */
  fail(error: QuicError): void;
}

/** A QUIC connection. */
export class QuicSession {
  /** Resolves when the handshake is complete: the peer is who its certificate says. Rejects where it fails. */
  readonly opened: Promise<SessionInfo>;
  /** Resolves when the session was closed as an application wished; rejects where something went wrong. */
  readonly closed: Promise<SessionCloseInfo>;
  /** Resolves when no more streams are opened: after {@link shutdown}, and when the session ends. */
  readonly draining: Promise<void>;
  readonly datagrams: QuicDatagrams;
  /** Streams that the peer opens, on which both ends send. */
  readonly incomingBidirectionalStreams: ReadableStream<QuicStream>;
  /** Streams that the peer opens, on which it alone sends. */
  readonly incomingUnidirectionalStreams: ReadableStream<QuicReceiveStream>;
  readonly #driver: Driver;
  readonly #connection: Connection;
  readonly #opened = deferred<SessionInfo>();
  readonly #closed = deferred<SessionCloseInfo>();
  readonly #streams: StreamFactory;
  readonly #credit = new Signal();
  readonly #bidirectional = new Incoming<QuicStream>();
  readonly #unidirectional = new Incoming<QuicReceiveStream>();
  readonly #settings: SessionSettings;
  readonly #confirmed = deferred<undefined>();
  readonly #draining = deferred<undefined>();
  readonly #streamsFinished = new Signal();
  readonly #moves = new Map<string, Deferred<undefined>>();
  #end: QuicError | undefined;
  #lastStats: Stats | undefined;

  /** For the endpoint: sessions come from `connect` and `listen`. */
  constructor(driver: Driver, connection: Connection, settings: SessionSettings) {
    this.#driver = driver;
    this.#connection = connection;
    this.#settings = settings;
    this.draining = this.#draining.promise;
    this.opened = this.#opened.promise;
    this.closed = this.#closed.promise;
    this.incomingBidirectionalStreams = this.#bidirectional.readable;
    this.incomingUnidirectionalStreams = this.#unidirectional.readable;
    const host: StreamHost = {
      connection,
      call: (call) => driver.call(call),
      wake: () => {
        driver.wake();
      },
    };
    this.#streams = new StreamFactory(host);
    const { incoming, outgoing } = settings.highWaterMarks;
    this.datagrams = new QuicDatagrams(host, incoming, outgoing);
    const onFlush = () => {
      this.#pollLog(false);
    };
    driver.add(connection, {
      ...(settings.onqlog !== undefined && { onFlush }),
      onEvent: (event) => {
        this.#onEvent(event);
      },
      fail: (error) => {
        this.#finish(error);
      },
    });
  }

  /** Opens a stream on which both ends send; waits until the peer allows one more. */
  async createBidirectionalStream(options: StreamOptions = {}): Promise<QuicStream> {
    return this.#streams.bidirectional(await this.#open("bidi", options));
  }

  /** Opens a stream on which only we send; waits until the peer allows one more. */
  async createUnidirectionalStream(options: StreamOptions = {}): Promise<QuicSendStream> {
    return this.#streams.outgoing(await this.#open("uni", options));
  }

  /**
   * Closes the session at once: what was not delivered is lost. To lose nothing, close the writables first, and wait for
   * them.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    if (this.#end === undefined) {
      const reason = new TextEncoder().encode(options.reason ?? "");
      this.#driver.call(() => {
        this.#connection.close(this.#driver.now(), BigInt(options.code ?? 0), reason);
      });
      this.#driver.wake();
    }
    await this.#closed.promise;
  }

  /**
   * Opens and takes no more streams, and closes the session when those that are open are over, at both ends. The peer is
   * not told before.
   */
  async shutdown(options: CloseOptions = {}): Promise<void> {
    if (this.#end === undefined) {
      const finished = this.#streamsFinished.wait();
      this.#driver.call(() => {
        this.#connection.shutdown();
      });
      this.#draining.resolve(undefined);
      this.#driver.wake();
      await Promise.race([finished, this.#closed.promise]);
    }
    await this.close(options);
  }

  /** Updates the keys of packets. Throws where it is too early for another. */
  updateKey(): void {
    this.#call(() => {
      this.#connection.updateKey(this.#driver.now());
    });
    this.#driver.wake();
  }

  /** Derives `length` bytes from the handshake, the same at both ends, for a label and a context. */
  exportKeyingMaterial(length: number, label: string, context: Uint8Array = new Uint8Array(0)): Uint8Array {
    const encoded = new TextEncoder().encode(label);
    return this.#call(() => this.#connection.exportKeyingMaterial(length, encoded, context));
  }

  /** The addresses in use, ours and the peer's. */
  get path(): Path {
    return this.#call(() => this.#connection.path);
  }

  /**
   * Moves a client's session to a new socket, when the server has answered there; until then, and where it does not
   * answer, the session stays where it is.
   */
  async migrate(options: MigrateOptions = {}): Promise<void> {
    const { bind } = this.#settings;
    if (bind === undefined) {
      throw new QuicError("only a client moves", { code: "ERR_QUIC_INVALID_STATE" });
    }
    // RFC 9000 section 9: not before the handshake is confirmed.
    await this.#confirmed.promise;
    const { transport: given, ...where } = options;
    const transport = given ?? (await bind({ ...where, remote: this.path.remote }));
    this.#driver.addTransport(transport);
    const moved = deferred<undefined>();
    const key = addressKey(transport.local);
    this.#moves.set(key, moved);
    try {
      this.#call(() => {
        this.#connection.migrate(this.#driver.now(), transport.local, "validated");
      });
      this.#driver.wake();
      await moved.promise;
    } catch (error) {
      this.#driver.removeTransport(transport);
      throw error;
    } finally {
      this.#moves.delete(key);
    }
  }

  /** Counts and measures; after the end, the last ones. */
  getStats(): Stats {
    return this.#lastStats ?? this.#driver.call(() => this.#connection.stats());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().catch(() => undefined);
  }

  #call<T>(call: () => T): T {
    if (this.#end !== undefined) {
      throw this.#end;
    }
    return this.#driver.call(call);
  }

  async #open(dir: "bidi" | "uni", { signal }: StreamOptions): Promise<bigint> {
    const aborted = deferred<never>();
    const onAbort = () => {
      aborted.reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort);
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (this.#end !== undefined) {
          throw this.#end;
        }
        const id = this.#driver.call(() => this.#connection.open(dir));
        if (id !== null) {
          return id;
        }
        await Promise.race([this.#credit.wait(), aborted.promise]);
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  #onEvent(event: Event): void {
    switch (event.type) {
      case "handshake-complete":
        this.#onOpened();
        break;
      case "stream-opened":
        this.#onStream(event.id);
        break;
      case "stream-readable":
        this.#streams.find(event.id)?.onReadable();
        break;
      case "stream-writable":
        this.#streams.find(event.id)?.onWritable();
        break;
      case "stream-finished":
        this.#streams.find(event.id)?.onFinished();
        break;
      case "stream-reset":
        this.#streams.find(event.id)?.onReset(event.code);
        break;
      case "stream-stopped":
        this.#streams.find(event.id)?.onStopped(event.code);
        break;
      case "streams-available":
        this.#credit.notify();
        break;
      case "streams-finished":
        this.#streamsFinished.notify();
        break;
      case "datagram-received":
        this.datagrams.onReceived();
        break;
      case "datagram-acked":
      case "datagram-lost":
      case "datagram-dropped":
        this.datagrams.onProgress();
        break;
      case "closed":
        this.#onClosed(event.info);
        break;
      default:
        this.#onRareEvent(event);
    }
  }

  #onRareEvent(event: Event): void {
    const { onkeylog, onnewtoken } = this.#settings;
    switch (event.type) {
      case "handshake-confirmed":
        this.#confirmed.resolve(undefined);
        break;
      case "key-log":
        callBack(() => onkeylog?.(event.line, this));
        break;
      case "new-token":
        callBack(() => onnewtoken?.(event.token, this));
        break;
      case "new-session":
        this.#onNewSession(event.session);
        break;
      case "early-data-rejected":
        this.#onEarlyDataRejected();
        break;
      case "peer-certificate":
        void this.#judge();
        break;
      case "path-changed":
        this.#moves.get(addressKey(event.path.local))?.resolve(undefined);
        break;
      case "path-failed":
        this.#moves.get(addressKey(event.path.local))?.reject(
          new QuicError("nothing came back on the new path", { code: "ERR_QUIC_MIGRATION_FAILED" }),
        );
        break;
      default:
        break;
    }
  }

  #onOpened(): void {
    const { alpn, serverName, path, peerCertificate, isResumed, earlyDataStatus } = this.#connection;
    const { local, remote } = path;
    this.#opened.resolve({
      protocol: alpn ?? "",
      servername: serverName,
      local,
      remote,
      peerCertificate,
      resumed: isResumed,
      earlyDataAttempted: earlyDataStatus !== "none",
      earlyDataAccepted: earlyDataStatus === "accepted",
    });
    // The peer's limits are known now.
    this.#credit.notify();
    this.datagrams.onProgress();
  }

  #onNewSession(saved: SavedSession): void {
    const { config, onsessionticket } = this.#settings;
    if (config === undefined || onsessionticket === undefined) {
      saved.free();
      return;
    }
    const ticket = new SessionTicket({ engine: this.#driver.engine, config, saved });
    callBack(() => {
      onsessionticket(ticket, this);
    });
  }

  /** Streams start again from the first: what was sent on those that are open is lost. */
  #onEarlyDataRejected(): void {
    const error = new QuicError("the server did not take the early data", { code: "ERR_QUIC_EARLY_DATA_REJECTED" });
    this.#streams.failAll(error);
    this.#credit.notify();
  }

  /** Asks the application for its verdict on the peer's certificate. A judge that throws does not accept. */
  async #judge(): Promise<void> {
    const { peerCertificates: certificates, serverName: servername } = this.#connection;
    let isAccepted = false;
    let reason = "the certificate was not accepted";
    try {
      isAccepted = (await this.#settings.onpeercertificate?.({ certificates, servername })) === true;
    } catch (error) {
      reason = error instanceof Error ? error.message : reason;
    }
    if (this.#end !== undefined) {
      return;
    }
    this.#driver.call(() => {
      if (isAccepted) {
        this.#connection.acceptCertificate(this.#driver.now());
      } else {
        this.#connection.rejectCertificate(this.#driver.now(), BAD_CERTIFICATE, reason);
      }
    });
    this.#driver.wake();
  }

  #pollLog(fin: boolean): void {
    const { onqlog } = this.#settings;
    if (onqlog === undefined) {
      return;
    }
    const chunk = this.#connection.pollLog("qlog");
    if (chunk !== "" || fin) {
      callBack(() => {
        onqlog(chunk, fin, this);
      });
    }
  }

  #onStream(id: bigint): void {
    const early = this.#connection.isEarlyData(id);
    // RFC 9000 section 2.1: the second bit tells the direction.
    if ((id & 2n) === 0n) {
      this.#bidirectional.push(this.#streams.bidirectional(id, early));
    } else {
      this.#unidirectional.push(this.#streams.incoming(id, early));
    }
  }

  #onClosed(info: CloseInfo): void {
    this.#lastStats = this.#connection.stats();
    if (this.#end === undefined) {
      this.#pollLog(true);
    }
    const error = closeError(info);
    if (error === null) {
      const { code, reason, byPeer } = info;
      this.#closed.resolve({ code, reason, byPeer });
    }
    this.#finish(error ?? sessionClosed(info), error === null);
  }

  /** Ends everything that waits, once. */
  #finish(error: QuicError, clean = false): void {
    if (this.#end !== undefined) {
      return;
    }
    this.#end = error;
    this.#opened.reject(error);
    this.#confirmed.reject(error);
    this.#closed.reject(error);
    this.#credit.fail(error);
    this.#streams.close(error);
    this.#draining.resolve(undefined);
    for (const move of this.#moves.values()) {
      move.reject(error);
    }
    this.datagrams.end(error, clean);
    this.#bidirectional.end(clean ? undefined : error);
    this.#unidirectional.end(clean ? undefined : error);
  }
}

function addressKey({ address, port }: Address): string {
  return `${address}|${port}`;
}

/** Calls the application: what it throws is its own, and must not stop the endpoint. */
export function callBack(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Streams that the peer opened and the application has not taken; the peer's stream limit bounds them. */
class Incoming<T> {
  readonly readable: ReadableStream<T>;
  #controller: ReadableStreamDefaultController<T> | undefined;
  #ended = false;

  constructor() {
    this.readable = new ReadableStream<T>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#ended = true;
      },
    });
  }

  push(stream: T): void {
    if (!this.#ended) {
      this.#controller?.enqueue(stream);
    }
  }

  end(error: QuicError | undefined): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    if (error === undefined) {
      this.#controller?.close();
    } else {
      this.#controller?.error(error);
    }
  }
}
