/**
 * Datagrams between two endpoints of one process: for tests and tutorials.
 *
 * @module
 */
import { Path, type Address, type Ecn } from "../core/index.js";
import type { DatagramReceiver, DatagramTransport } from "./transport.js";

export type { DatagramReceiver, DatagramTransport } from "./transport.js";

/** What a memory does to datagrams. */
export interface MemoryOptions {
  /** How long a datagram takes, in milliseconds. Default: 0, which is still not at once. */
  readonly latency?: number;
  /** Tells of each datagram whether it is lost. Default: none is. */
  readonly drop?: (datagram: Uint8Array) => boolean;
}

/** Datagrams under way in one direction; more are dropped. */
const MAX_QUEUED = 4096;

/** One end of a memory. Where a datagram is addressed to does not matter: there is one other end. */
export class MemoryTransport implements DatagramTransport {
  readonly local: Address;
  readonly #options: MemoryOptions;
  #peer: MemoryTransport | undefined;
  #receiver: DatagramReceiver | undefined;
  #queued = 0;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #isRef = false;

  private constructor(local: Address, options: MemoryOptions) {
    this.local = local;
    this.#options = options;
  }

  /** Two ends that hear each other: the first for a client, the second for a server, by convention. */
  static pair(options: MemoryOptions = {}): [MemoryTransport, MemoryTransport] {
    const one = new MemoryTransport({ address: "192.0.2.1", port: 50000 }, options);
    const other = new MemoryTransport({ address: "192.0.2.2", port: 443 }, options);
    one.#peer = other;
    other.#peer = one;
    return [one, other];
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  send(datagram: Uint8Array, path: Path, ecn: Ecn): void {
    if (this.#queued >= MAX_QUEUED || this.#options.drop?.(datagram) === true) {
      return;
    }
    const copy = datagram.slice();
    const back = new Path(path.remote, path.local);
    this.#queued++;
    const timer = setTimeout(() => {
      this.#queued--;
      this.#timers.delete(timer);
      const receiver = this.#peer === undefined ? undefined : this.#peer.#receiver;
      receiver?.onDatagram(copy, back, ecn);
    }, this.#options.latency ?? 0);
    this.#timers.add(timer);
    if (!this.#isRef) {
      timer.unref();
    }
  }

  setRef(ref: boolean): void {
    this.#isRef = ref;
    for (const timer of this.#timers) {
      if (ref) {
        timer.ref();
      } else {
        timer.unref();
      }
    }
  }

  /** Hears nothing more; what is under way to the other end still arrives. */
  close(): Promise<void> {
    this.#receiver = undefined;
    return Promise.resolve();
  }
}
