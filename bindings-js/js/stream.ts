import type { Connection, Dir, Priority } from "./core/index.js";
import { Signal } from "./deferred.js";
import { fromEngine, QuicError, streamError } from "./error.js";

/** What a stream needs of its session. */
export interface StreamHost {
  readonly connection: Connection;
  /** Calls the engine; throws a {@link QuicError}. */
  call<T>(call: () => T): T;
  /** Says that something may have to be sent. */
  wake(): void;
}

/** Bytes that a writer may hand over before it is told to wait. */
const HIGH_WATER_MARK = 65536;
/** Where so much is ready to read, more is: a chunk gathers up to {@link LONG_CHUNK}. */
const MUCH = 8192;
const LONG_CHUNK = 65536;
/** The application's code where the caller gives none. */
const NO_CODE = 0n;

/** The code that an abort or a cancellation carries. */
function codeOf(reason: unknown): bigint {
  return reason instanceof QuicError && reason.type === "application" ? reason.errorCode : NO_CODE;
}

/** Our part of a stream. */
export class SendPart {
  readonly writable: WritableStream<Uint8Array>;
  readonly #host: StreamHost;
  readonly #id: bigint;
  readonly #progress = new Signal();
  #controller: WritableStreamDefaultController | undefined;
  #error: QuicError | undefined;
  #acknowledged = false;
  #ended: () => void;

  constructor(host: StreamHost, id: bigint, ended: () => void) {
    this.#host = host;
    this.#id = id;
    this.#ended = ended;
    this.writable = new WritableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          // An abort waits for the write under way, which waits for the peer: end it. The stream errors by itself.
          controller.signal.addEventListener("abort", () => {
            this.#controller = undefined;
            this.reset(codeOf(controller.signal.reason));
          });
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#close(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_MARK }),
    );
  }

  onWritable(): void {
    this.#progress.notify();
  }

  onFinished(): void {
    this.#acknowledged = true;
    this.#progress.notify();
    this.#ended();
  }

  setPriority(priority: Priority): void {
    if (!this.#acknowledged) {
      this.#call(() => {
        this.#host.connection.setPriority(this.#id, priority);
      });
    }
  }

  reset(code: bigint): void {
    if (this.#error !== undefined || this.#acknowledged) {
      return;
    }
    try {
      this.#host.call(() => {
        this.#host.connection.reset(this.#id, code);
      });
      this.#host.wake();
    } catch (error) {
      this.fail(fromEngine(error));
      return;
    }
    this.fail(new QuicError(`the stream was reset here (code ${code})`, {
      code: "ERR_QUIC_STREAM_RESET",
      errorCode: code,
      type: "application",
    }));
  }

  /** Ends the part with an error, once. */
  fail(error: QuicError): void {
    if (this.#error !== undefined || this.#acknowledged) {
      return;
    }
    this.#error = error;
    this.#progress.fail(error);
    this.#controller?.error(error);
    this.#ended();
  }

  async #write(chunk: unknown): Promise<void> {
    if (!(chunk instanceof Uint8Array)) {
      throw new TypeError("a stream takes bytes: write a Uint8Array");
    }
    let rest = chunk;
    while (rest.length > 0) {
      const taken = this.#call(() => this.#host.connection.write(this.#id, rest));
      if (taken > 0) {
        rest = rest.subarray(taken);
        this.#host.wake();
      } else {
        await this.#progress.wait();
      }
    }
  }

  /** Resolves when the peer has acknowledged everything: then the session may be closed without loss. */
  async #close(): Promise<void> {
    this.#call(() => {
      this.#host.connection.finish(this.#id);
    });
    this.#host.wake();
    while (!this.#acknowledged) {
      await this.#progress.wait();
    }
  }

  #call<T>(call: () => T): T {
    if (this.#error !== undefined) {
      throw this.#error;
    }
    return this.#host.call(call);
  }
}

/** The peer's part of a stream. */
export class ReceivePart {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #host: StreamHost;
  readonly #id: bigint;
  readonly #progress = new Signal();
  #controller: ReadableByteStreamController | undefined;
  #error: QuicError | undefined;
  #done = false;
  #ended: () => void;

  constructor(host: StreamHost, id: bigint, ended: () => void) {
    this.#host = host;
    this.#id = id;
    this.#ended = ended;
    // Nothing is read ahead: what the application does not take stays in the engine, and the peer waits.
    this.readable = new ReadableStream(
      {
        type: "bytes",
        start: (controller) => {
          this.#controller = controller;
        },
        pull: (controller) => this.#pull(controller),
        cancel: (reason) => {
          this.stopSending(codeOf(reason));
        },
      },
      { highWaterMark: 0 },
    );
  }

  onReadable(): void {
    this.#progress.notify();
  }

  stopSending(code: bigint): void {
    if (this.#error !== undefined || this.#done) {
      return;
    }
    try {
      this.#host.call(() => {
        this.#host.connection.stopSending(this.#id, code);
      });
      this.#host.wake();
    } catch (error) {
      this.fail(fromEngine(error));
      return;
    }
    this.fail(streamError("ERR_QUIC_STREAM_STOPPED", code));
  }

  /** Ends the part with an error, once. */
  fail(error: QuicError): void {
    if (this.#error !== undefined || this.#done) {
      return;
    }
    this.#error = error;
    this.#progress.fail(error);
    this.#controller?.error(error);
    this.#ended();
  }

  /** Hands over what there is, or waits for the peer. */
  async #pull(controller: ReadableByteStreamController): Promise<void> {
    while (this.#error === undefined) {
      if (this.#deliver(controller)) {
        this.#host.wake();
        return;
      }
      try {
        await this.#progress.wait();
      } catch {
        // The stream has failed: its controller knows.
        return;
      }
    }
  }

  /** Copies once, from the module's memory to where the application sees it. False where there is nothing. */
  #deliver(controller: ReadableByteStreamController): boolean {
    try {
      return this.#host.call(() => this.#take(controller));
    } catch (error) {
      this.fail(fromEngine(error));
      return true;
    }
  }

  #take(controller: ReadableByteStreamController): boolean {
    const { connection } = this.#host;
    const request = controller.byobRequest;
    if (request?.view) {
      const { buffer, byteOffset, byteLength } = request.view;
      const read = connection.read(this.#id, new Uint8Array(buffer, byteOffset, byteLength));
      if (read !== null && read.len > 0) {
        request.respond(read.len);
      }
      return this.#taken(controller, read?.finished ?? null);
    }
    const peek = connection.peek(this.#id);
    if (peek === null || peek.finished) {
      return this.#taken(controller, peek?.finished ?? null);
    }
    const target = new Uint8Array(peek.data.length < MUCH ? peek.data.length : LONG_CHUNK);
    const read = connection.read(this.#id, target);
    if (read !== null && read.len > 0) {
      controller.enqueue(target.subarray(0, read.len));
    }
    return this.#taken(controller, read?.finished ?? null);
  }

  /** Closes the readable side at the stream's end. `null`: there was nothing. */
  #taken(controller: ReadableByteStreamController, finished: boolean | null): boolean {
    if (finished === true) {
      this.#done = true;
      controller.close();
      // A reader with a buffer of its own gets it back.
      controller.byobRequest?.respond(0);
      this.#ended();
    }
    return finished !== null;
  }
}

/** What a session keeps of a stream: its parts that are still at work. */
export class StreamState {
  readonly #parts: { send?: SendPart; receive?: ReceivePart };

  constructor(parts: { send?: SendPart; receive?: ReceivePart }) {
    this.#parts = parts;
  }

  onReadable(): void {
    this.#parts.receive?.onReadable();
  }

  onWritable(): void {
    this.#parts.send?.onWritable();
  }

  onFinished(): void {
    this.#parts.send?.onFinished();
  }

  onReset(code: bigint): void {
    this.#parts.receive?.fail(streamError("ERR_QUIC_STREAM_RESET", code));
  }

  onStopped(code: bigint): void {
    this.#parts.send?.fail(streamError("ERR_QUIC_STREAM_STOPPED", code));
  }

  fail(error: QuicError): void {
    this.#parts.receive?.fail(error);
    this.#parts.send?.fail(error);
  }
}

/** A stream on which we send. */
export interface QuicSendStream {
  /** The stream's number in its session. */
  readonly id: bigint;
  readonly direction: Dir;
  /**
   * Takes bytes, and waits while the peer grants no credit. Closing it ends our part of the stream, and resolves when the
   * peer has acknowledged everything.
   */
  readonly writable: WritableStream<Uint8Array>;
  /** Gives our part up with an application code. */
  resetStream(code?: bigint | number): void;
  /** Sets what is sent first. */
  setPriority(priority: Priority): void;
}

/** A stream on which the peer sends. */
export interface QuicReceiveStream {
  /** The stream's number in its session. */
  readonly id: bigint;
  readonly direction: Dir;
  /** Whether the peer sent it before the handshake was complete: an attacker may have sent it a second time. */
  readonly early: boolean;
  /** Gives bytes. The peer may send as many more only as are read. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Asks the peer to stop, with an application code. */
  stopSending(code?: bigint | number): void;
}

/** A stream on which both ends send. */
export class QuicStream implements QuicSendStream, QuicReceiveStream {
  readonly id: bigint;
  readonly direction = "bidi";
  readonly early: boolean;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly #send: SendPart;
  readonly #receive: ReceivePart;

  /** For the session: streams come from `createBidirectionalStream` and `incomingBidirectionalStreams`. */
  constructor(id: bigint, send: SendPart, receive: ReceivePart, early: boolean) {
    this.id = id;
    this.early = early;
    this.readable = receive.readable;
    this.writable = send.writable;
    this.#send = send;
    this.#receive = receive;
  }

  resetStream(code: bigint | number = NO_CODE): void {
    this.#send.reset(BigInt(code));
  }

  setPriority(priority: Priority): void {
    this.#send.setPriority(priority);
  }

  stopSending(code: bigint | number = NO_CODE): void {
    this.#receive.stopSending(BigInt(code));
  }
}

/** A stream whose parts are made and entered into `streams` until both have ended. */
export class StreamFactory {
  readonly #host: StreamHost;
  readonly #streams = new Map<bigint, StreamState>();
  #closed: QuicError | undefined;

  constructor(host: StreamHost) {
    this.#host = host;
  }

  /** What is kept of a stream; `undefined` where it is over. */
  find(id: bigint): StreamState | undefined {
    return this.#streams.get(id);
  }

  bidirectional(id: bigint, early = false): QuicStream {
    let parts = 2;
    const ended = () => {
      parts--;
      if (parts === 0) {
        this.#streams.delete(id);
      }
    };
    const send = new SendPart(this.#host, id, ended);
    const receive = new ReceivePart(this.#host, id, ended);
    this.#enter(id, new StreamState({ send, receive }));
    return new QuicStream(id, send, receive, early);
  }

  outgoing(id: bigint): QuicSendStream {
    const send = new SendPart(this.#host, id, () => this.#streams.delete(id));
    this.#enter(id, new StreamState({ send }));
    return {
      id,
      direction: "uni",
      writable: send.writable,
      resetStream: (code = NO_CODE) => {
        send.reset(BigInt(code));
      },
      setPriority: (priority) => {
        send.setPriority(priority);
      },
    };
  }

  incoming(id: bigint, early: boolean): QuicReceiveStream {
    const receive = new ReceivePart(this.#host, id, () => this.#streams.delete(id));
    this.#enter(id, new StreamState({ receive }));
    return {
      id,
      direction: "uni",
      early,
      readable: receive.readable,
      stopSending: (code = NO_CODE) => {
        receive.stopSending(BigInt(code));
      },
    };
  }

  /** Ends every stream, and those that come. */
  close(error: QuicError): void {
    this.#closed = error;
    this.failAll(error);
  }

  /** Ends every stream. */
  failAll(error: QuicError): void {
    for (const stream of [...this.#streams.values()]) {
      stream.fail(error);
    }
    this.#streams.clear();
  }

  #enter(id: bigint, state: StreamState): void {
    this.#streams.set(id, state);
    if (this.#closed !== undefined) {
      state.fail(this.#closed);
    }
  }
}

