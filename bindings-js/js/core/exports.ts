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
  quillon_config_set_session(config: number, session: number): number;
  quillon_session_take(): number;
  quillon_session_free(session: number): number;
  quillon_endpoint_poll_incoming(endpoint: number): number;
  quillon_incoming_info(incoming: number, key: number, out: number, capacity: number): number;
  quillon_incoming_accept(endpoint: number, incoming: number, config: number, nowLo: number, nowHi: number): number;
  quillon_incoming_refuse(endpoint: number, incoming: number, nowLo: number, nowHi: number): number;
  quillon_incoming_retry(endpoint: number, incoming: number, nowLo: number, nowHi: number): number;
  quillon_incoming_ignore(endpoint: number, incoming: number): number;
  quillon_connection_update_key(endpoint: number, connection: number, nowLo: number, nowHi: number): number;
  quillon_connection_export(
    endpoint: number,
    connection: number,
    label: number,
    labelLen: number,
    context: number,
    contextLen: number,
    out: number,
    capacity: number,
  ): number;
  quillon_connection_choose(
    endpoint: number,
    connection: number,
    config: number,
    nowLo: number,
    nowHi: number,
  ): number;
  quillon_connection_refuse(
    endpoint: number,
    connection: number,
    code: bigint,
    reason: number,
    reasonLen: number,
    nowLo: number,
    nowHi: number,
  ): number;
  quillon_connection_migrate(
    endpoint: number,
    connection: number,
    local: number,
    migration: number,
    nowLo: number,
    nowHi: number,
  ): number;
  quillon_connection_set_local_address(endpoint: number, connection: number, local: number): number;
  quillon_connection_accept_certificate(endpoint: number, connection: number, nowLo: number, nowHi: number): number;
  quillon_connection_reject_certificate(
    endpoint: number,
    connection: number,
    alert: number,
    reason: number,
    reasonLen: number,
    nowLo: number,
    nowHi: number,
  ): number;
  quillon_connection_extend_max_data(endpoint: number, connection: number, bytes: bigint): number;
  quillon_connection_extend_max_streams(endpoint: number, connection: number, dir: number, count: bigint): number;
  quillon_connection_shutdown(endpoint: number, connection: number): number;
  quillon_connection_poll_log(endpoint: number, connection: number, log: number): number;
  quillon_datagram_send(endpoint: number, connection: number, data: number, len: number): bigint;
  quillon_datagram_max_size(endpoint: number, connection: number): number;
  quillon_datagram_peek(endpoint: number, connection: number): number;
  quillon_datagram_consume(endpoint: number, connection: number): number;
  quillon_stream_set_priority(
    endpoint: number,
    connection: number,
    stream: bigint,
    urgency: number,
    incremental: number,
    sendOrder: bigint,
  ): number;
  quillon_stream_set_acked_events(endpoint: number, connection: number, stream: bigint, enabled: number): number;
  quillon_stream_extend_max_data(endpoint: number, connection: number, stream: bigint, bytes: bigint): number;
  quillon_stream_send_credit(endpoint: number, connection: number, stream: bigint): bigint;
  quillon_stream_is_early_data(endpoint: number, connection: number, stream: bigint): number;
}

/** Whether a module's exports look like the engine's. */
export function isEngine(exports: object): exports is Exports {
  return "quillon_abi_version" in exports && "memory" in exports;
}
