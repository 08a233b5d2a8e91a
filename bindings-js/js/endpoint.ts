import type { Address, Incoming } from "./core/index.js";
import type { Driver } from "./driver.js";
import { QuicError } from "./error.js";
import { QuicSession, type SessionSettings } from "./session.js";

/** A client that waits for a decision, 10 seconds at most. */
export class QuicIncoming {
  readonly local: Address;
  readonly remote: Address;
  /** Whether the client has proven its address: by the answer to a Retry, or by a token of an earlier session. */
  readonly remoteAddressValidated: boolean;
  readonly #driver: Driver;
  readonly #incoming: Incoming;
  readonly #settings: SessionSettings;

  /** For the endpoint. */
  constructor(driver: Driver, incoming: Incoming, settings: SessionSettings) {
    this.#driver = driver;
    this.#incoming = incoming;
    this.#settings = settings;
    this.local = incoming.path.local;
    this.remote = incoming.path.remote;
    this.remoteAddressValidated = incoming.addressValidation !== "unproven";
  }

  /** Accepts the client: its handshake starts. */
  accept(): QuicSession {
    const connection = this.#decide(() => this.#incoming.accept(this.#driver.now()));
    return new QuicSession(this.#driver, connection, this.#settings);
  }

  /** Refuses the client: it is told so. */
  refuse(): void {
    this.#decide(() => {
      this.#incoming.refuse(this.#driver.now());
    });
  }

  /** Drops what the client sent, without a word. */
  ignore(): void {
    this.#decide(() => {
      this.#incoming.ignore();
    });
  }

  /** Has the client prove its address first: it comes back as another. `false` where it has proven it, and still waits. */
  retry(): boolean {
    return this.#decide(() => this.#incoming.retry(this.#driver.now()));
  }

  #decide<T>(decision: () => T): T {
    const result = this.#driver.call(decision);
    this.#driver.wake();
    return result;
  }
}

/** A local address, and the sessions behind it. */
export class QuicEndpoint {
  /** Where the endpoint can be reached. */
  readonly address: Address;
  /** Resolves when the endpoint and its sessions are gone. */
  readonly closed: Promise<void>;
  readonly #driver: Driver;
  readonly #settings: SessionSettings | undefined;

  /** For `listen`; with `settings` the endpoint's clients wait for decisions. */
  constructor(driver: Driver, address: Address, settings?: SessionSettings) {
    this.#driver = driver;
    this.#settings = settings;
    this.address = address;
    this.closed = driver.closed;
  }

  /** The clients that wait, where `listen` was given no `onsession`. Ends when the endpoint closes. */
  async *[Symbol.asyncIterator](): AsyncGenerator<QuicIncoming, undefined> {
    const settings = this.#settings;
    if (settings === undefined) {
      throw new QuicError("the sessions go to onsession: leave it out", { code: "ERR_QUIC_INVALID_STATE" });
    }
    for (;;) {
      const incoming = await this.#driver.nextIncoming();
      if (incoming === null) {
        return undefined;
      }
      yield new QuicIncoming(this.#driver, incoming, settings);
    }
  }

  /** Accepts no more sessions, and ends when the last one has. */
  close(): Promise<void> {
    this.#driver.close(true);
    return this.closed;
  }

  /** Ends at once; nobody is told, and the sessions fail. */
  destroy(): void {
    this.#driver.destroy(new QuicError("the endpoint was destroyed", { code: "ERR_QUIC_ENDPOINT_CLOSED" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
