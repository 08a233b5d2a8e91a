/**
 * Layer 0: the engine as it is, synchronous, without promises, timers or sockets. The names are those of the Rust
 * crate `quillon` in JavaScript's spelling.
 *
 * @module
 */
export type { ClientOptions, CommonOptions, EndpointOptions, Identity, ServerOptions } from "./config.js";
export { Config, type TransportSettings } from "./config.js";
export { Connection, type ClientHello, type EarlyDataStatus, type Migration, type Peek, type Priority } from "./connection.js";
export type { Read } from "./connection.js";
export { Endpoint, type DatagramSink, type Ecn, type Idle } from "./endpoint.js";
export { compile, Engine, type EngineOptions, type ModuleSource } from "./engine.js";
export { EngineError, type ErrorName } from "./error.js";
export type { CloseCause, CloseInfo, Dir, Event } from "./event.js";
export { Incoming, type AddressValidation } from "./incoming.js";
export type { Time } from "./instance.js";
export { parseIP, Path, type Address } from "./path.js";
export { SavedSession } from "./saved.js";
export type { Stats } from "./stats.js";
