import { clientConfig, serverConfig, type ClientOptions, type Config } from "./config.js";
import type { EndpointOptions, ServerOptions } from "./config.js";
import { Endpoint } from "./endpoint.js";
import { Instance } from "./instance.js";

/** Where the module comes from. */
export type ModuleSource = WebAssembly.Module | BufferSource | URL | Response;

/** What an engine starts from; left out, the runtime's randomness and time of day. */
export interface EngineOptions {
  /** At least 32 bytes from a cryptographic source, used once: one seed and one sequence of calls give the same bytes. */
  readonly seed?: Uint8Array;
  /** The time of day, in seconds since 1970: certificates are judged by it. */
  readonly unixTime?: number;
}

/** One instance of the module. A trap ends it, and no other. */
export class Engine {
  readonly #instance: Instance;

  private constructor(instance: WebAssembly.Instance, options: EngineOptions) {
    this.#instance = new Instance(instance);
    this.seed(options.seed ?? crypto.getRandomValues(new Uint8Array(32)));
    this.setUnixTime(options.unixTime ?? Date.now() / 1000);
  }

  /** Loads the module and makes an instance of it. */
  static async load(source: ModuleSource, options: EngineOptions = {}): Promise<Engine> {
    const module = await compile(source);
    return new Engine(await WebAssembly.instantiate(module), options);
  }

  /** Makes an instance of a compiled module, without waiting. */
  static fromModule(module: WebAssembly.Module, options: EngineOptions = {}): Engine {
    return new Engine(new WebAssembly.Instance(module), options);
  }

  /** Seeds the engine anew, for the endpoints made from then on. */
  seed(seed: Uint8Array): void {
    this.#instance.pass(seed, (address, len) => this.#instance.check(this.#instance.exports.quillon_seed(address, len)));
  }

  /** Tells the time of day, in seconds since 1970. For every endpoint of the engine. */
  setUnixTime(seconds: number): void {
    this.#instance.check(this.#instance.exports.quillon_set_unix_time(BigInt(Math.floor(seconds))));
  }

  /** Makes a client's configuration, for several connections; sessions are resumed with the one that they came from. */
  createClientConfig(options: ClientOptions): Config {
    return clientConfig(this.#instance, options);
  }

  /** Makes a server's configuration, for several endpoints or clients. */
  createServerConfig(options: ServerOptions): Config {
    return serverConfig(this.#instance, options);
  }

  /** Makes an endpoint. */
  createEndpoint(options: EndpointOptions = {}): Endpoint {
    return new Endpoint(this.#instance, options);
  }
}

/** Compiles the module, wherever it comes from. */
export async function compile(source: ModuleSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) {
    return source;
  }
  if (source instanceof URL) {
    return compile(await fetchModule(source));
  }
  if (typeof Response !== "undefined" && source instanceof Response) {
    if (!source.ok) {
      throw new TypeError(`${source.url} cannot be loaded: ${source.status} ${source.statusText}`);
    }
    return WebAssembly.compile(await source.arrayBuffer());
  }
  return WebAssembly.compile(source as BufferSource);
}

/** Node's `fetch` has no files. */
async function fetchModule(url: URL): Promise<Response | BufferSource> {
  if (url.protocol !== "file:") {
    return fetch(url);
  }
  const { readFile } = await import("node:fs/promises");
  return readFile(url);
}
