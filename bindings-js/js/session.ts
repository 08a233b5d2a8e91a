import type { Address, CloseInfo, Connection, Event, Stats } from "./core/index.js";
import { deferred, Signal } from "./deferred.js";
import type { Driver } from "./driver.js";
import { closeError, sessionClosed, type QuicError } from "./error.js";
import { StreamFactory, type QuicReceiveStream, type QuicSendStream, type QuicStream } from "./stream.js";

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
}

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
  /** The endpoint ended beneath the session. */
  fail(error: QuicError): void;
}

/** A QUIC connection. */
export class QuicSession {
  /** Resolves when the handshake is complete: the peer is who its certificate says. Rejects where it fails. */
  readonly opened: Promise<SessionInfo>;
  /** Resolves when the session was closed as an application wished; rejects where something went wrong. */
  readonly closed: Promise<SessionCloseInfo>;
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
  readonly #keylog: ((line: string) => void) | undefined;
  #end: QuicError | undefined;
  #lastStats: Stats | undefined;

  /** For the endpoint: sessions come from `connect` and `listen`. */
  constructor(driver: Driver, connection: Connection, keylog: ((line: string) => void) | undefined) {
    this.#driver = driver;
    this.#connection = connection;
    this.#keylog = keylog;
    this.opened = this.#opened.promise;
    this.closed = this.#closed.promise;
    this.incomingBidirectionalStreams = this.#bidirectional.readable;
    this.incomingUnidirectionalStreams = this.#unidirectional.readable;
    this.#streams = new StreamFactory({
      connection,
      call: (call) => driver.call(call),
      wake: () => {
        driver.wake();
      },
    });
    driver.add(connection, {
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

  /** Counts and measures; after the end, the last ones. */
  getStats(): Stats {
    return this.#lastStats ?? this.#driver.call(() => this.#connection.stats());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close().catch(() => undefined);
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
      case "key-log":
        callBack(() => this.#keylog?.(event.line));
        break;
      case "closed":
        this.#onClosed(event.info);
        break;
      default:
        break;
    }
  }

  #onOpened(): void {
    const { alpn, serverName, path, peerCertificate } = this.#connection;
    const { local, remote } = path;
    this.#opened.resolve({ protocol: alpn ?? "", servername: serverName, local, remote, peerCertificate });
    // The peer's limits are known now.
    this.#credit.notify();
  }

  #onStream(id: bigint): void {
    // RFC 9000 section 2.1: the second bit tells the direction.
    if ((id & 2n) === 0n) {
      this.#bidirectional.push(this.#streams.bidirectional(id));
    } else {
      this.#unidirectional.push(this.#streams.incoming(id));
    }
  }

  #onClosed(info: CloseInfo): void {
    this.#lastStats = this.#connection.stats();
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
    this.#closed.reject(error);
    this.#credit.fail(error);
    this.#streams.failAll(error);
    this.#bidirectional.end(clean ? undefined : error);
    this.#unidirectional.end(clean ? undefined : error);
  }
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
