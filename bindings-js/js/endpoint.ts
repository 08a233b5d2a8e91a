import type { Address } from "./core/index.js";
import type { Driver } from "./driver.js";
import { QuicError } from "./error.js";

/** A local address, and the sessions behind it. */
export class QuicEndpoint {
  /** Where the endpoint can be reached. */
  readonly address: Address;
  /** Resolves when the endpoint and its sessions are gone. */
  readonly closed: Promise<void>;
  readonly #driver: Driver;

  /** For `connect` and `listen`. */
  constructor(driver: Driver, address: Address) {
    this.#driver = driver;
    this.address = address;
    this.closed = driver.closed;
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
