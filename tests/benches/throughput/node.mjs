// The benchmark's transfer in Node, over the bare ABI of quillon.wasm: `node node.mjs transfer MODULE DATA SUITE BYTES`,
// and packet protection alone: `node node.mjs aead MODULE SUITE PACKETS`. Prints how many seconds it took.

import { readFileSync } from "node:fs";
import { join } from "node:path";

// As in the benchmark: window, datagram size, and what the application writes at once.
const WINDOW = 16n << 20n;
const DATAGRAM_LEN = 1400n;
const CHUNK = 64 << 10;
const WARM_UP = 16 << 20;

// Of quillon.h.
const BLOCKED = -4;
const CONFIG = { data: 2, streamDataUni: 5, udpPayload: 8, sendBuffer: 15, alpn: 64, root: 65, certificate: 66, key: 67, suites: 68, sizes: 77 };
const ARENA_DATA = 4096;
const DESCRIPTOR_LEN = 64;
const EVENT = { accepted: 1, confirmed: 3, closed: 12 };
const STATUS = { deadline: 0, dataLen: 24, eventConnection: 68 };
const SEGMENTS = 64;

/** An instance of the module with one endpoint. */
class End {
  constructor(module, isServer, suite, data, seed) {
    this.x = new WebAssembly.Instance(module).exports;
    this.status = this.x.quillon_status();
    this.check(this.x.quillon_seed(this.put(new Uint8Array(32).fill(seed)), 32));
    this.check(this.x.quillon_set_unix_time(1_750_000_000n));
    this.config = this.check(this.x.quillon_config_new(isServer ? 1 : 0));
    for (const [key, value] of [
      [CONFIG.data, WINDOW], [CONFIG.streamDataUni, WINDOW], [CONFIG.udpPayload, DATAGRAM_LEN], [CONFIG.sendBuffer, WINDOW],
    ]) {
      this.check(this.x.quillon_config_set_number(this.config, key, value));
    }
    const file = (name) => readFileSync(join(data, name));
    const secrets = isServer
      ? [[CONFIG.certificate, file("server.der")], [CONFIG.key, file("server_key.der")]]
      : [[CONFIG.root, file("ca.der")]];
    for (const [key, value] of [
      [CONFIG.alpn, new TextEncoder().encode("test")], [CONFIG.suites, Uint8Array.of(suite >> 8, suite)], ...secrets,
      // None are tried: every engine sends datagrams of this length from the start.
      [CONFIG.sizes, new Uint8Array(0)],
    ]) {
      this.check(this.x.quillon_config_set_bytes(this.config, key, this.put(value), value.length));
    }
    this.endpoint = this.check(this.x.quillon_endpoint_new(0));
    if (isServer) this.check(this.x.quillon_endpoint_listen(this.endpoint, this.config));
    this.receiveArena = this.x.quillon_endpoint_receive_arena(this.endpoint);
    this.transmitArena = this.x.quillon_endpoint_transmit_arena(this.endpoint);
    this.chunk = this.put(new Uint8Array(CHUNK).fill(0x5a));
  }

  /** The memory's bytes; a view is void once the memory has grown. */
  get bytes() {
    if (this.view?.buffer !== this.x.memory.buffer) {
      this.view = new Uint8Array(this.x.memory.buffer);
      this.fields = new DataView(this.x.memory.buffer);
    }
    return this.view;
  }

  u32(address) {
    void this.bytes;
    return this.fields.getUint32(address, true);
  }

  put(bytes) {
    const address = this.x.quillon_alloc(bytes.length);
    this.bytes.set(bytes, address);
    return address;
  }

  check(result) {
    if (result >= 0) return result;
    const out = this.x.quillon_alloc(256);
    const len = this.x.quillon_last_error(out, 256);
    throw new Error(`error ${result}: ${new TextDecoder().decode(this.bytes.subarray(out, out + len))}`);
  }

  get deadline() {
    void this.bytes;
    return Number(this.fields.getBigUint64(this.status + STATUS.deadline, true));
  }

  connect(now) {
    const name = new TextEncoder().encode("localhost");
    const path = this.put(encodePath(50_000, 443));
    return this.check(
      this.x.quillon_endpoint_connect(this.endpoint, this.config, this.put(name), name.length, path, ...halves(now)),
    );
  }

  /** Everything that this end can send, straight into the other's arena. Returns whether there was anything. */
  pump(now, other) {
    const [lo, hi] = halves(now);
    let moved = false;
    for (;;) {
      const filled = this.check(this.x.quillon_endpoint_transmit(this.endpoint, SEGMENTS, lo, hi));
      if (filled === 0) return moved;
      moved = true;
      for (let index = 0; index < filled; index++) {
        const descriptor = this.transmitArena + index * DESCRIPTOR_LEN;
        const start = this.transmitArena + this.u32(descriptor);
        const len = this.u32(descriptor + 4);
        other.receive(lo, hi, this.bytes.subarray(start, start + len), this.u32(descriptor + 8), this.returnPath);
      }
    }
  }

  receive(lo, hi, datagrams, stride, path) {
    const arena = this.receiveArena;
    this.bytes.set(datagrams, arena + ARENA_DATA);
    this.fields.setUint32(arena, ARENA_DATA, true);
    this.fields.setUint32(arena + 4, datagrams.length, true);
    this.fields.setUint32(arena + 8, stride, true);
    this.fields.setUint32(arena + 12, 0, true);
    this.bytes.set(path, arena + 16);
    this.check(this.x.quillon_endpoint_receive(this.endpoint, 1, lo, hi));
  }

  settle(now) {
    this.check(this.x.quillon_endpoint_timeout(this.endpoint));
    if (this.deadline <= now) this.check(this.x.quillon_endpoint_handle_timeout(this.endpoint, ...halves(now)));
  }

  /** The kinds and connections of the events that wait. */
  *events() {
    for (let kind; (kind = this.check(this.x.quillon_endpoint_poll_event(this.endpoint))) !== 0;) {
      if (kind === EVENT.closed) throw new Error("the connection was closed");
      yield [kind, this.u32(this.status + STATUS.eventConnection)];
    }
  }
}

function encodePath(local, remote) {
  const path = new Uint8Array(40);
  for (const [offset, port] of [[0, local], [20, remote]]) {
    path.set([4, 0, port & 0xff, port >> 8, 127, 0, 0, 1], offset);
  }
  return path;
}

function halves(now) {
  return [now >>> 0, Math.floor(now / 2 ** 32)];
}

/** Two ends and a virtual clock: a turn takes 100 microseconds, and where nothing moved, as long as to the next deadline. */
class Ends {
  constructor(client, server) {
    [this.client, this.server, this.now] = [client, server, 1];
    client.returnPath = encodePath(443, 50_000);
    server.returnPath = encodePath(50_000, 443);
  }

  turn() {
    let moved = this.client.pump(this.now, this.server);
    this.now += 50_000;
    moved = this.server.pump(this.now, this.client) || moved;
    this.now += 50_000;
    if (!moved) this.now = Math.max(this.now, Math.min(this.client.deadline, this.server.deadline));
    this.client.settle(this.now);
    this.server.settle(this.now);
  }

  connect() {
    const client = this.client.connect(this.now);
    let server;
    for (;;) {
      this.turn();
      for (const [kind, connection] of this.server.events()) if (kind === EVENT.accepted) server = connection;
      for (const [kind] of this.client.events()) if (kind === EVENT.confirmed) return [client, server];
    }
  }
}

/** Moves bytes from a client to a server; returns the seconds, the handshake not included. */
function transfer(module, data, suite, bytes) {
  const ends = new Ends(new End(module, false, suite, data, 1), new End(module, true, suite, data, 2));
  const [sender, receiver] = ends.connect();
  const { client, server } = ends;
  const started = performance.now();
  const id = client.x.quillon_stream_open(client.endpoint, sender, 1);
  let [written, read, finished] = [0, 0, false];
  while (read < bytes) {
    while (written < bytes) {
      const len = Math.min(CHUNK, bytes - written);
      const taken = client.x.quillon_stream_write(client.endpoint, sender, id, client.chunk, len);
      if (taken === BLOCKED) break;
      written += client.check(taken);
    }
    if (written === bytes && !finished) {
      client.check(client.x.quillon_stream_finish(client.endpoint, sender, id));
      finished = true;
    }
    ends.turn();
    for (const _ of client.events());
    for (const _ of server.events());
    for (let len; (len = server.x.quillon_stream_peek(server.endpoint, receiver, id)) > 0;) {
      server.check(server.x.quillon_stream_consume(server.endpoint, receiver, id, len));
      read += len;
    }
  }
  return (performance.now() - started) / 1000;
}

/** Seals and opens packets; returns the seconds. */
function aead(module, suite, packets) {
  const { aead_bound } = new WebAssembly.Instance(module).exports;
  const started = performance.now();
  if (aead_bound(suite, packets) !== packets) throw new Error("a packet did not open");
  return (performance.now() - started) / 1000;
}

const [what, file, ...rest] = process.argv.slice(2);
const module = new WebAssembly.Module(readFileSync(file));
if (what === "transfer") {
  const [data, suite, bytes] = [rest[0], Number(rest[1]), Number(rest[2])];
  // V8 optimises while the module runs: what it does first is not what a long transfer sees.
  transfer(module, data, suite, Math.min(bytes, WARM_UP));
  console.log(transfer(module, data, suite, bytes));
} else {
  const [suite, packets] = rest.map(Number);
  aead(module, suite, Math.min(packets, 10_000));
  console.log(aead(module, suite, packets));
}
