import { Signal } from "./deferred.js";
import { fromEngine, QuicError } from "./error.js";
import type { StreamHost } from "./stream.js";

/** How many bytes of datagrams may wait, by default; each counts for 64 more than it has. */
export const DATAGRAM_HIGH_WATER_MARK = 262_144;

/** The datagrams of a session: each is delivered whole and once, or not at all. */
export class QuicDatagrams {
  /** The datagrams of the peer. Those that are not read in time give way to later ones. */
  readonly readable: ReadableStream<Uint8Array>;
  /** How many bytes of datagrams wait to be read; the oldest give way to more. */
  readonly incomingHighWaterMark: number;
  /** How many bytes of datagrams wait to be sent; a writer waits with more. */
  readonly outgoingHighWaterMark: number;
  readonly #host: StreamHost;
  readonly #received = new Signal();
  readonly #sent = new Signal();
  readonly #writers = new Set<WritableStreamDefaultController>();
  #reader: ReadableStreamDefaultController<Uint8Array> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;
  #end: QuicError | undefined;

  /** For the session. */
  constructor(host: StreamHost, incomingHighWaterMark: number, outgoingHighWaterMark: number) {
    this.#host = host;
    this.incomingHighWaterMark = incomingHighWaterMark;
    this.outgoingHighWaterMark = outgoingHighWaterMark;
    // Nothing is read ahead: what waits stays in the engine, which bounds it.
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#reader = controller;
        },
        pull: (controller) => this.#pull(controller),
        cancel: () => {
          this.#reader = undefined;
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** The most bytes that a datagram may have now; 0 while the peer takes none. It changes with the path. */
  get maxDatagramSize(): number {
    return this.#end === undefined ? (this.#host.call(() => this.#host.connection.maxDatagramSize) ?? 0) : 0;
  }

  /** The first of the writables. */
  get writable(): WritableStream<Uint8Array> {
    this.#writable ??= this.createWritable();
    return this.#writable;
  }

  /**
   * Makes a writable for datagrams: each chunk is one. A write waits until there is room, not until the datagram arrives. A
   * chunk that is larger than `maxDatagramSize` is dropped, as the network drops.
   */
  createWritable(): WritableStream<Uint8Array> {
    let own: WritableStreamDefaultController | undefined;
    const forget = () => {
      if (own !== undefined) {
        this.#writers.delete(own);
      }
    };
    return new WritableStream<Uint8Array>({
      start: (controller) => {
        own = controller;
        this.#writers.add(controller);
        controller.signal.addEventListener("abort", () => {
          // An abort waits for the write under way, which waits for room: it looks again.
          forget();
          this.#sent.notify();
        });
        if (this.#end !== undefined) {
          controller.error(this.#end);
        }
      },
      write: (chunk, controller) => this.#write(chunk, controller.signal),
      close: forget,
      abort: forget,
    });
  }

  /** Datagrams wait to be read. */
  onReceived(): void {
    this.#received.notify();
  }

  /** There may be room, or the peer's limit is known. */
  onProgress(): void {
    this.#sent.notify();
  }

  /** Ends both directions; without an error where the session was closed without one. */
  end(error: QuicError, clean: boolean): void {
    this.#end = error;
    this.#received.notify();
    this.#sent.fail(error);
    for (const controller of this.#writers) {
      controller.error(error);
    }
    this.#writers.clear();
    if (clean) {
      this.#reader?.close();
    } else {
      this.#reader?.error(error);
    }
    this.#reader = undefined;
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#reader !== undefined) {
      const datagram = this.#take();
      if (datagram !== null) {
        controller.enqueue(datagram);
        return;
      }
      await this.#received.wait();
    }
  }

  #take(): Uint8Array | null {
    const { connection } = this.#host;
    try {
      return this.#host.call(() => {
        const datagram = connection.peekDatagram()?.slice() ?? null;
        if (datagram !== null) {
          connection.consumeDatagram();
        }
        return datagram;
      });
    } catch (error) {
      // The session's end tells the reader.
      if (fromEngine(error).code === "ERR_QUIC_SESSION_CLOSED") {
        return null;
      }
      throw error;
    }
  }

  async #write(chunk: unknown, signal: AbortSignal): Promise<void> {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError("a datagram is bytes: write a Uint8Array");
    }
    const { connection } = this.#host;
    while (!signal.aborted) {
      if (this.#end !== undefined) {
        throw this.#end;
      }
      const max = this.#host.call(() => connection.maxDatagramSize);
      if (max !== null && (chunk.length > max || this.#host.call(() => connection.sendDatagram(chunk)) !== null)) {
        this.#host.wake();
        return;
      }
      if (max === null && this.#host.call(() => connection.isHandshakeComplete)) {
        throw new QuicError("the peer takes no datagrams", { code: "ERR_QUIC_UNSUPPORTED" });
      }
      await this.#sent.wait();
    }
  }
}
