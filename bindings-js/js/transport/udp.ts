/**
 * Datagrams over UDP, by `node:dgram`: Node, and the runtimes that have the same module.
 *
 * @module
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";

import { Path, type Address } from "../core/index.js";
import type { DatagramReceiver, DatagramTransport } from "./transport.js";

export type { DatagramReceiver, DatagramTransport } from "./transport.js";

/** How a socket is made. */
export interface UdpOptions {
  /** The IP address to bind. Default: any, of the remote's family. */
  readonly address?: string;
  /** The port to bind. Default: any. */
  readonly port?: number;
  /** The only peer: the socket then hears nobody else, and learns that nobody listens there. */
  readonly remote?: Address;
}

/** What the system holds for us while we do something else, in bytes. */
const RECEIVE_BUFFER = 4 << 20;
/** Datagrams that wait for the system; more are dropped. */
const MAX_QUEUED = 1024;
/** Paths that are remembered. */
const MAX_PATHS = 4096;

/** A UDP socket. */
export class UdpTransport implements DatagramTransport {
  readonly local: Address;
  readonly #socket: Socket;
  readonly #remote: Address | undefined;
  readonly #paths = new Map<string, Path>();
  readonly #free: Slot[] = [];
  #slots = 0;
  #last: Path | undefined;
  #receiver: DatagramReceiver | undefined;

  private constructor(socket: Socket, remote: Address | undefined) {
    this.#socket = socket;
    this.#remote = remote;
    const { address, port } = socket.address();
    this.local = { address, port };
    socket.on("message", (datagram, from) => {
      this.#receiver?.onDatagram(datagram, this.#path(from), 0);
    });
    socket.on("error", (error) => {
      this.#receiver?.onError(error);
    });
  }

  /** Makes a socket; rejects where the system refuses the address. */
  static async bind(options: UdpOptions = {}): Promise<UdpTransport> {
    const { address, port = 0, remote } = options;
    const type = isIPv6(address ?? remote?.address ?? "") ? "udp6" : "udp4";
    // Addresses are numeric: nothing is to be looked up.
    const socket = createSocket({
      type,
      lookup: (host, _options, callback) => {
        callback(null, host, type === "udp6" ? 6 : 4);
      },
    });
    try {
      await started(socket, () => socket.bind({ port, ...(address !== undefined && { address }) }), "listening");
      if (remote !== undefined) {
        await started(socket, () => { socket.connect(remote.port, remote.address); }, "connect");
      }
    } catch (error) {
      socket.close();
      throw error;
    }
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER);
    } catch {
      // The system's default is slower, and works.
    }
    return new UdpTransport(socket, remote);
  }

  start(receiver: DatagramReceiver): void {
    this.#receiver = receiver;
  }

  send(datagram: Uint8Array, path: Path): void {
    const slot = this.#free.pop() ?? this.#newSlot();
    if (slot === undefined) {
      return;
    }
    const message = slot.fill(datagram);
    if (this.#remote === undefined) {
      this.#socket.send(message, path.remote.port, path.remote.address, slot.done);
    } else {
      this.#socket.send(message, slot.done);
    }
  }

  setRef(ref: boolean): void {
    if (ref) {
      this.#socket.ref();
    } else {
      this.#socket.unref();
    }
  }

  async close(): Promise<void> {
    this.#receiver = undefined;
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }

  #newSlot(): Slot | undefined {
    if (this.#slots >= MAX_QUEUED) {
      return undefined;
    }
    this.#slots++;
    return new Slot((slot, error) => {
      this.#free.push(slot);
      if (error !== null) {
        this.#receiver?.onError(error);
      }
    });
  }

  /** The path to a peer: the same object for the same peer. */
  #path(from: RemoteInfo): Path {
    const last = this.#last?.remote;
    if (this.#last !== undefined && last?.port === from.port && last.address === from.address) {
      return this.#last;
    }
    const key = `${from.address}|${from.port}`;
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = new Path(this.local, { address: from.address, port: from.port });
      if (this.#paths.size >= MAX_PATHS) {
        this.#paths.clear();
      }
      this.#paths.set(key, path);
    }
    this.#last = path;
    return path;
  }
}

/** A datagram on its way to the system: a buffer that is used again. */
class Slot {
  #buffer = Buffer.allocUnsafeSlow(1536);
  /** The socket calls this when the buffer is free. */
  readonly done: (error: Error | null) => void;

  constructor(release: (slot: Slot, error: Error | null) => void) {
    this.done = (error) => {
      release(this, error);
    };
  }

  fill(datagram: Uint8Array): Buffer {
    if (datagram.length > this.#buffer.length) {
      this.#buffer = Buffer.allocUnsafeSlow(datagram.length);
    }
    this.#buffer.set(datagram);
    return this.#buffer.subarray(0, datagram.length);
  }
}

/** Waits for an event that `start` brings about; rejects with the socket's error. */
async function started(socket: Socket, start: () => unknown, event: string): Promise<void> {
  const happened = once(socket, event);
  start();
  await happened;
}
