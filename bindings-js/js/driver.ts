import {
  type Address,
  type ClientOptions,
  type Config,
  type Connection,
  type Endpoint,
  type EndpointOptions,
  type Engine,
  type Event,
  type Incoming,
  type Path,
  type ServerOptions,
  type Time,
} from "./core/index.js";
import { deferred, Signal } from "./deferred.js";
import { fromEngine, networkError, QuicError } from "./error.js";
import type { SessionPort } from "./session.js";
import type { DatagramTransport } from "./transport/transport.js";

/** The longest that `setTimeout` can wait, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;
/** How often the engine is told the time of day, in milliseconds. */
const CLOCK_STEP = 60_000;
const NANOSECONDS = 1e6;
/** Transports of an endpoint: the one in use, the one before it, for what is late, and one to move to. */
const MAX_TRANSPORTS = 3;
/** Engines that have trapped. */
const broken = new WeakSet<Engine>();

/** Whether an engine has trapped: what it held is lost. */
export function isBroken(engine: Engine): boolean {
  return broken.has(engine);
}

/** Runs a task after what is already there: datagrams that have come together are answered together. */
const soon: (task: () => void) => void = typeof setImmediate === "function" ? setImmediate : queueMicrotask;

/**
 * Drives one endpoint of the engine: datagrams from and to a transport, timers, events to their sessions.
 *
 * Invariant: while it runs, everything that the engine has to send was sent, and a timer is set for its deadline, or a
 * flush is scheduled.
 */
export class Driver {
  /** Resolves when nothing is left. */
  readonly closed: Promise<void>;
  readonly #engine: Engine;
  readonly #endpoint: Endpoint;
  /** The newest last. */
  readonly #transports: DatagramTransport[] = [];
  /** Clients may wait for a decision, or the endpoint is closing. */
  readonly #incoming = new Signal();
  readonly #sessions = new Map<Connection, SessionPort>();
  /** Those that want to know of each flush. */
  readonly #flushed = new Set<SessionPort>();
  readonly #onAccepted: (driver: Driver, connection: Connection) => void;
  readonly #closed = deferred<undefined>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #toldUnixTime: number;
  #scheduled = false;
  #closing = false;
  #keepRunning = false;
  #ended = false;
  #listening = false;
  /** Connections that have not ended: those that keep the process running. */
  readonly #live = new Set<Connection>();
  /** Those among them whose handshake is under way. */
  readonly #opening = new Set<Connection>();

  constructor(
    engine: Engine,
    options: EndpointOptions,
    transport: DatagramTransport,
    onAccepted: (driver: Driver, connection: Connection) => void,
  ) {
    this.#engine = engine;
    this.#endpoint = engine.createEndpoint(options);
    this.#onAccepted = onAccepted;
    this.#toldUnixTime = Date.now();
    this.closed = this.#closed.promise;
    this.addTransport(transport);
  }

  /** The engine, whose configurations and sessions this endpoint can use. */
  get engine(): Engine {
    return this.#engine;
  }

  get isClosing(): boolean {
    return this.#closing || this.#ended;
  }

  /** Sends and hears on one transport more. The oldest goes where there are too many. */
  addTransport(transport: DatagramTransport): void {
    if (this.#ended) {
      throw endpointClosed();
    }
    const [oldest] = this.#transports;
    if (oldest !== undefined && this.#transports.length === MAX_TRANSPORTS) {
      this.removeTransport(oldest);
    }
    this.#transports.push(transport);
    transport.start({
      onDatagram: (datagram, path, ecn) => {
        this.#run(() => {
          this.#endpoint.receive(this.now(), path, ecn, datagram);
        });
        this.#incoming.notify();
      },
      onError: (error) => {
        this.#onNetworkError(error);
      },
    });
    this.#updateRef();
  }

  /** Gives a transport up. */
  removeTransport(transport: DatagramTransport): void {
    const index = this.#transports.indexOf(transport);
    if (index >= 0) {
      this.#transports.splice(index, 1);
      transport.close().catch(() => undefined);
    }
  }

  /** The next client that waits for a decision; `null` when the endpoint closes. */
  async nextIncoming(): Promise<Incoming | null> {
    for (;;) {
      if (this.isClosing) {
        return null;
      }
      const incoming = this.call(() => this.#endpoint.pollIncoming());
      if (incoming !== null) {
        return incoming;
      }
      await this.#incoming.wait();
    }
  }

  /** Nanoseconds on the runtime's monotonic clock. */
  now(): Time {
    return Math.round(performance.now() * NANOSECONDS);
  }

  /** Accepts connections. */
  listen(options: ServerOptions | null): void {
    this.call(() => {
      this.#endpoint.listen(options);
    });
    this.#listening = options !== null;
    this.#updateRef();
  }

  /** Opens a connection. */
  connect(options: ClientOptions | Config, serverName: string, path: Path): Connection {
    const connection = this.call(() => this.#endpoint.connect(this.now(), options, serverName, path));
    this.wake();
    return connection;
  }

  /** Takes a connection's events from now on. */
  add(connection: Connection, port: SessionPort): void {
    this.#sessions.set(connection, port);
    if (port.onFlush !== undefined) {
      this.#flushed.add(port);
    }
    this.#opening.add(connection);
    this.#live.add(connection);
    this.#updateRef();
  }

  /** Calls the engine; throws a {@link QuicError}. A trap ends the endpoint. */
  call<T>(call: () => T): T {
    if (this.#ended) {
      throw endpointClosed();
    }
    try {
      return call();
    } catch (error) {
      const failure = fromEngine(error);
      if (failure.code === "ERR_QUIC_ENGINE") {
        this.destroy(failure);
      }
      throw failure;
    }
  }

  /** Says that there may be something to send. */
  wake(): void {
    if (!this.#scheduled && !this.#ended) {
      this.#scheduled = true;
      soon(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
  }

  /** Accepts no more, and ends when the last session has. `keepRunning`: the process waits for that. */
  close(keepRunning: boolean): void {
    if (this.#ended) {
      return;
    }
    this.#closing = true;
    this.#incoming.notify();
    this.#keepRunning ||= keepRunning;
    if (this.#listening) {
      this.listen(null);
    }
    this.#updateRef();
    this.wake();
  }

  /** Ends at once; sessions that are left fail with `error`. */
  destroy(error: QuicError): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    if (error.code === "ERR_QUIC_ENGINE") {
      broken.add(this.#engine);
    }
    this.#incoming.notify();
    clearTimeout(this.#timer);
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#flushed.clear();
    for (const session of sessions) {
      session.fail(error);
    }
    try {
      this.#endpoint.free();
    } catch {
      // A trapped engine frees nothing; it goes as a whole.
    }
    const closing = this.#transports.splice(0).map((transport) => transport.close());
    this.#closed.resolve(Promise.allSettled(closing).then(() => undefined));
  }

  /** Gives the engine an input. That it refuses one is a defect, and the end. */
  #run(input: () => void): void {
    if (this.#ended) {
      return;
    }
    try {
      input();
      this.wake();
    } catch (error) {
      this.destroy(fromEngine(error));
    }
  }

  /** Sends, tells, and sends again, until the engine has nothing to do before its deadline. */
  #flush(): void {
    if (this.#ended) {
      return;
    }
    try {
      this.#tellUnixTime();
      let event: Event | null;
      do {
        this.#endpoint.transmit(this.now(), (datagram, path, ecn) => {
          this.#transportFor(path.local)?.send(datagram, path, ecn);
        });
        event = this.#endpoint.pollEvent();
        for (let next = event; next !== null; next = this.#endpoint.pollEvent()) {
          this.#dispatch(next);
        }
      } while (event !== null);
      for (const session of this.#flushed) {
        session.onFlush?.();
      }
      this.#setTimer();
    } catch (error) {
      this.destroy(fromEngine(error));
      return;
    }
    if (this.#closing && this.#sessions.size === 0) {
      this.destroy(endpointClosed());
    }
  }

  /** The transport of one of our addresses. */
  #transportFor(local: Address): DatagramTransport | undefined {
    if (this.#transports.length > 1) {
      const isLocal = (own: Address) => own.port === local.port && own.address === local.address;
      const found = this.#transports.find((transport) => isLocal(transport.local));
      if (found !== undefined) {
        return found;
      }
    }
    return this.#transports[0];
  }

  #dispatch(event: Event): void {
    const { connection } = event;
    if (event.type === "accepted") {
      this.#onAccepted(this, connection);
    } else if (event.type === "handshake-complete") {
      this.#opening.delete(connection);
    } else if (event.type === "closed") {
      this.#forgetFlush(connection);
      this.#opening.delete(connection);
      this.#live.delete(connection);
      this.#updateRef();
    }
    this.#sessions.get(connection)?.onEvent(event);
    if (event.type === "drained") {
      this.#sessions.delete(connection);
    }
  }

  #forgetFlush(connection: Connection): void {
    const port = this.#sessions.get(connection);
    if (port !== undefined) {
      this.#flushed.delete(port);
    }
  }

  /** A timer that is too early looks again; so it is set anew only for an earlier deadline. */
  #setTimer(): void {
    const deadline = this.#endpoint.timeout();
    if (deadline === null || deadline >= this.#timerAt) {
      return;
    }
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const milliseconds = Math.ceil((deadline - this.now()) / NANOSECONDS);
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.#run(() => {
        this.#endpoint.handleTimeout(this.now());
      });
    }, Math.min(Math.max(milliseconds, 0), MAX_TIMER));
    this.#updateRef();
  }

  /** What lingers after the last session, to answer late packets, does not keep the process running. */
  #updateRef(): void {
    const ref = this.#listening || this.#keepRunning || this.#live.size > 0;
    for (const transport of this.#transports) {
      transport.setRef(ref);
    }
    if (ref) {
      this.#timer?.ref();
    } else {
      this.#timer?.unref();
    }
  }

  #tellUnixTime(): void {
    const now = Date.now();
    if (Math.abs(now - this.#toldUnixTime) >= CLOCK_STEP) {
      this.#toldUnixTime = now;
      this.#engine.setUnixTime(now / 1000);
    }
  }

  /** A network that refuses ends the attempts to open a session; one that is open outlives it, or times out. */
  #onNetworkError(cause: Error): void {
    if (this.#listening) {
      return;
    }
    const error = networkError("the network refuses", cause);
    for (const connection of this.#opening) {
      this.#live.delete(connection);
      this.#sessions.get(connection)?.fail(error);
      this.#forgetFlush(connection);
      this.#sessions.delete(connection);
    }
    this.#opening.clear();
    this.#updateRef();
    this.wake();
  }
}

function endpointClosed(): QuicError {
  return new QuicError("the endpoint is closed", { code: "ERR_QUIC_ENDPOINT_CLOSED" });
}
