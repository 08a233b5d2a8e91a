import { Config, serverConfig, type ServerOptions } from "./config.js";
import type { Connection } from "./connection.js";
import { ADDRESS, ErrorCode, IncomingInfo } from "./constants.js";
import { high, low, type Instance, type Time } from "./instance.js";
import { Path } from "./path.js";

/** What proves a client's address: nothing, the answer to a Retry, a token of an earlier connection. */
export type AddressValidation = (typeof ADDRESS)[number];

/** A client that waits for a decision, 10 seconds at most. After a decision it is gone. */
export class Incoming {
  readonly #instance: Instance;
  readonly #endpoint: number;
  readonly #handle: number;
  readonly #accepted: (connection: number) => Connection;
  /** Our address and the client's. */
  readonly path: Path;
  readonly addressValidation: AddressValidation;
  /** The version of QUIC. */
  readonly version: number;

  /** For the endpoint: clients come from `pollIncoming`. */
  constructor(instance: Instance, endpoint: number, handle: number, accepted: (connection: number) => Connection) {
    this.#instance = instance;
    this.#endpoint = endpoint;
    this.#handle = handle;
    this.#accepted = accepted;
    this.path = Path.decode(this.#info(IncomingInfo.PATH), 0);
    this.addressValidation = ADDRESS[this.#number(IncomingInfo.ADDRESS_VALIDATION)] ?? "unproven";
    this.version = this.#number(IncomingInfo.VERSION);
  }

  /** The connection ID that the client's first packet was sent to. */
  get originalDestination(): Uint8Array {
    return this.#info(IncomingInfo.ORIGINAL_DESTINATION);
  }

  /** Accepts the client, with settings of its own or with what the endpoint listens with. */
  accept(now: Time, options?: ServerOptions | Config): Connection {
    const { exports } = this.#instance;
    const accept = (config: number) =>
      this.#accepted(
        this.#instance.check(
          exports.quillon_incoming_accept(this.#endpoint, this.#handle, config, low(now), high(now)),
        ),
      );
    return options === undefined ? accept(0) : Config.use(options, (own) => serverConfig(this.#instance, own), accept);
  }

  /** Refuses the client: it is told so. */
  refuse(now: Time): void {
    const { exports } = this.#instance;
    this.#instance.check(exports.quillon_incoming_refuse(this.#endpoint, this.#handle, low(now), high(now)));
  }

  /** Has the client prove its address first; it then comes back as another. `false`: it is proven, and the client waits. */
  retry(now: Time): boolean {
    const { exports } = this.#instance;
    const result = exports.quillon_incoming_retry(this.#endpoint, this.#handle, low(now), high(now));
    return result !== ErrorCode.INVALID_STATE && this.#instance.check(result) >= 0;
  }

  /** Drops what the client sent, without a word. */
  ignore(): void {
    this.#instance.check(this.#instance.exports.quillon_incoming_ignore(this.#endpoint, this.#handle));
  }

  #number(key: number): number {
    const bytes = this.#info(key);
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  #info(key: number): Uint8Array {
    const { exports } = this.#instance;
    return this.#instance.take((out, capacity) => exports.quillon_incoming_info(this.#handle, key, out, capacity));
  }
}
