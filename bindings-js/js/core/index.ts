/**
 * Layer 0: the engine as it is, synchronous, without promises, timers or sockets. The names are those of the Rust
 * crate `quillon` in JavaScript's spelling.
 *
 * @module
 */
export type { ClientOptions, CommonOptions, EndpointOptions, ServerOptions, TransportSettings } from "./config.js";
export { Connection, type Peek, type Read, type Stats } from "./connection.js";
export { Endpoint, type DatagramSink, type Ecn, type Idle } from "./endpoint.js";
export { compile, Engine, type EngineOptions, type ModuleSource } from "./engine.js";
export { EngineError, type ErrorName } from "./error.js";
export type { CloseCause, CloseInfo, Dir, Event } from "./event.js";
export type { Time } from "./instance.js";
export { parseIP, Path, type Address } from "./path.js";
