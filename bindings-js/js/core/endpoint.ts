import { clientConfig, Config, endpointConfig, serverConfig } from "./config.js";
import type { ClientOptions, EndpointOptions, ServerOptions } from "./config.js";
import { Connection } from "./connection.js";
import { EventKind, IDLE, Layout, Status } from "./constants.js";
import { EngineError } from "./error.js";
import { readEvent, type Event } from "./event.js";
import { Incoming } from "./incoming.js";
import { high, low, type Instance, type Time } from "./instance.js";
import { PathTable, type Path } from "./path.js";

/** An ECN codepoint: 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced. */
export type Ecn = 0 | 1 | 2 | 3;

/** Why nothing more is sent. */
export type Idle = (typeof IDLE)[number];

/**
 * Takes one datagram to send. `datagram` is a view of the module's memory: copy it, or be done with it, before
 * returning.
 */
export type DatagramSink = (datagram: Uint8Array, path: Path, ecn: Ecn) => void;

/** Many connections behind one address: datagrams in and out, deadlines, events. No promises, timers or sockets. */
export class Endpoint {
  readonly #instance: Instance;
  readonly #handle: number;
  readonly #receiveArena: number;
  readonly #transmitArena: number;
  readonly #connections = new Map<number, Connection>();
  readonly #paths = new PathTable();

  /** For the engine: endpoints come from `Engine.createEndpoint`. */
  constructor(instance: Instance, options: EndpointOptions) {
    this.#instance = instance;
    const { exports } = instance;
    const config = endpointConfig(instance, options);
    try {
      this.#handle = instance.check(exports.quillon_endpoint_new(config.handle));
    } finally {
      config.free();
    }
    this.#receiveArena = exports.quillon_endpoint_receive_arena(this.#handle);
    this.#transmitArena = exports.quillon_endpoint_transmit_arena(this.#handle);
  }

  /** Gives the endpoint up with its connections. Nothing is sent: close them and transmit first. */
  free(): void {
    this.#connections.clear();
    this.#instance.check(this.#instance.exports.quillon_endpoint_free(this.#handle));
  }

  [Symbol.dispose](): void {
    this.free();
  }

  /** Accepts connections from now on; `null` refuses them again. */
  listen(options: ServerOptions | Config | null): void {
    const { exports } = this.#instance;
    const listen = (config: number) => this.#instance.check(exports.quillon_endpoint_listen(this.#handle, config));
    if (options === null) {
      listen(0);
    } else {
      Config.use(options, (own) => serverConfig(this.#instance, own), listen);
    }
  }

  /** Opens a connection to a server by the name that its certificate is for. */
  connect(now: Time, options: ClientOptions | Config, serverName: string, path: Path): Connection {
    const { exports, scratch } = this.#instance;
    const name = new TextEncoder().encode(serverName);
    if (name.length > 255) {
      throw new EngineError("QUILLON_ERR_INVALID_ARGUMENT", "the server's name is too long");
    }
    return Config.use(options, (own) => clientConfig(this.#instance, own), (config) => {
      const pathAddress = scratch + 256;
      this.#instance.bytes.set(name, scratch);
      this.#instance.bytes.set(path.encoded, pathAddress);
      const handle = exports.quillon_endpoint_connect(
        this.#handle,
        config,
        scratch,
        name.length,
        pathAddress,
        low(now),
        high(now),
      );
      return this.#connection(this.#instance.check(handle));
    });
  }

  /** Takes in one datagram, which is copied. */
  receive(now: Time, path: Path, ecn: Ecn, datagram: Uint8Array): void {
    // Longer than any UDP datagram: as a network drops it.
    if (datagram.length > 65535) {
      return;
    }
    const { bytes, view, exports } = this.#instance;
    const arena = this.#receiveArena;
    bytes.set(datagram, arena + Layout.ARENA_DATA);
    view.setUint32(arena, Layout.ARENA_DATA, true);
    view.setUint32(arena + 4, datagram.length, true);
    view.setUint32(arena + 8, 0, true);
    view.setUint32(arena + 12, ecn, true);
    bytes.set(path.encoded, arena + 16);
    this.#instance.check(exports.quillon_endpoint_receive(this.#handle, 1, low(now), high(now)));
  }

  /** Gives `sink` every datagram that can be sent now; returns why it ended. */
  transmit(now: Time, sink: DatagramSink): Idle {
    const { exports } = this.#instance;
    const arena = this.#transmitArena;
    for (;;) {
      const count = this.#instance.check(
        exports.quillon_endpoint_transmit(this.#handle, 1, low(now), high(now)),
      );
      const { bytes, view } = this.#instance;
      for (let descriptor = arena; descriptor < arena + count * Layout.DESCRIPTOR_LEN; descriptor += Layout.DESCRIPTOR_LEN) {
        const end = arena + view.getUint32(descriptor, true) + view.getUint32(descriptor + 4, true);
        const segment = view.getUint32(descriptor + 8, true);
        const ecn = (view.getUint32(descriptor + 12, true) & 3) as Ecn;
        const path = this.#paths.find(bytes, descriptor + 16);
        for (let start = arena + view.getUint32(descriptor, true); start < end; start += segment) {
          sink(bytes.subarray(start, Math.min(start + segment, end)), path, ecn);
        }
      }
      const idle = IDLE[this.#instance.statusNumber(Status.IDLE)] ?? "nothing";
      if (count === 0 || idle !== "arena-full") {
        return idle;
      }
    }
  }

  /** When `handleTimeout` is due; `null` for never. */
  timeout(): Time | null {
    this.#instance.check(this.#instance.exports.quillon_endpoint_timeout(this.#handle));
    return this.#instance.deadline();
  }

  /** Does what the deadline was for. */
  handleTimeout(now: Time): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_endpoint_handle_timeout(this.#handle, low(now), high(now)));
  }

  /** The next client that waits for a decision, with the admission `"ask"`; `null` where there is none. */
  pollIncoming(): Incoming | null {
    const handle = this.#instance.check(this.#instance.exports.quillon_endpoint_poll_incoming(this.#handle));
    if (handle === 0) {
      return null;
    }
    return new Incoming(this.#instance, this.#handle, handle, (connection) => this.#connection(connection));
  }

  /** The next event, `null` where there is none. */
  pollEvent(): Event | null {
    for (;;) {
      const kind = this.#instance.check(this.#instance.exports.quillon_endpoint_poll_event(this.#handle));
      if (kind === EventKind.NONE) {
        return null;
      }
      const handle = this.#instance.statusNumber(Status.EVENT_CONNECTION);
      const event = readEvent(this.#instance, kind, this.#connection(handle));
      if (kind === EventKind.DRAINED) {
        this.#connections.delete(handle);
      }
      if (event !== null) {
        return event;
      }
    }
  }

  /** The bytes that the endpoint's connections hold. */
  get memoryUsed(): bigint {
    return this.#instance.exports.quillon_endpoint_memory_used(this.#handle);
  }

  #connection(handle: number): Connection {
    let connection = this.#connections.get(handle);
    if (connection === undefined) {
      connection = new Connection(this.#instance, this.#handle, handle);
      this.#connections.set(handle, connection);
    }
    return connection;
  }
}
