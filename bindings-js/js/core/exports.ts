// The C ABI as JavaScript sees it: addresses and 32-bit numbers are numbers, 64-bit numbers are bigints.

/** What `quillon.wasm` exports; `quillon.h` says what each function does. */
export interface Exports {
  readonly memory: WebAssembly.Memory;
  quillon_abi_version(): number;
  quillon_alloc(len: number): number;
  quillon_free(block: number, len: number): void;
  quillon_seed(seed: number, len: number): number;
  quillon_set_unix_time(seconds: bigint): number;
  quillon_status(): number;
  quillon_last_error(out: number, capacity: number): number;
  quillon_config_new(role: number): number;
  quillon_config_free(config: number): number;
  quillon_config_set_number(config: number, key: number, value: bigint): number;
  quillon_config_set_bytes(config: number, key: number, value: number, len: number): number;
  quillon_endpoint_new(config: number): number;
  quillon_endpoint_free(endpoint: number): number;
  quillon_endpoint_listen(endpoint: number, config: number): number;
  quillon_endpoint_connect(
    endpoint: number,
    config: number,
    name: number,
    nameLen: number,
    path: number,
    nowLo: number,
    nowHi: number,
  ): number;
  quillon_endpoint_receive_arena(endpoint: number): number;
  quillon_endpoint_transmit_arena(endpoint: number): number;
  quillon_endpoint_receive(endpoint: number, count: number, nowLo: number, nowHi: number): number;
  quillon_endpoint_transmit(endpoint: number, maxSegments: number, nowLo: number, nowHi: number): number;
  quillon_endpoint_timeout(endpoint: number): number;
  quillon_endpoint_handle_timeout(endpoint: number, nowLo: number, nowHi: number): number;
  quillon_endpoint_poll_event(endpoint: number): number;
  quillon_endpoint_memory_used(endpoint: number): bigint;
  quillon_connection_close(
    endpoint: number,
    connection: number,
    code: bigint,
    reason: number,
    reasonLen: number,
    nowLo: number,
    nowHi: number,
  ): number;
  quillon_connection_stats(endpoint: number, connection: number, out: number, capacity: number): number;
  quillon_connection_info(endpoint: number, connection: number, key: number, out: number, capacity: number): number;
  quillon_stream_open(endpoint: number, connection: number, dir: number): bigint;
  quillon_stream_write(endpoint: number, connection: number, stream: bigint, data: number, len: number): number;
  quillon_stream_finish(endpoint: number, connection: number, stream: bigint): number;
  quillon_stream_reset(endpoint: number, connection: number, stream: bigint, code: bigint): number;
  quillon_stream_stop_sending(endpoint: number, connection: number, stream: bigint, code: bigint): number;
  quillon_stream_peek(endpoint: number, connection: number, stream: bigint): number;
  quillon_stream_consume(endpoint: number, connection: number, stream: bigint, len: number): number;
}

/** Whether a module's exports look like the engine's. */
export function isEngine(exports: object): exports is Exports {
  return "quillon_abi_version" in exports && "memory" in exports;
}
