// Two QUIC endpoints of one engine, joined by memory: a handshake, then a transfer, as a page can run them.
import { Path } from "../bindings-js/dist/core/index.js";

const CLIENT = { address: "192.0.2.1", port: 50000 };
const SERVER = { address: "192.0.2.2", port: 443 };
const BLOCK = 65536;

/** @typedef {{ certificate: Uint8Array, privateKey: Uint8Array, authority: Uint8Array }} Identity DER */
/** @typedef {{ bytes: number, milliseconds: number, datagrams: number, sent: string, received: string }} Report */

/**
 * Moves `length` bytes from a client to a server over QUIC, encrypted and authenticated, and compares their hashes.
 *
 * @param {import("../bindings-js/dist/core/index.js").Engine} engine
 * @param {Identity} identity whose certificate is for "localhost"
 * @param {number} length
 * @returns {Promise<Report>}
 */
export async function transfer(engine, { certificate, privateKey, authority }, length) {
  const ends = {
    client: { endpoint: engine.createEndpoint(), to: "server" },
    server: { endpoint: engine.createEndpoint(), to: "client" },
  };
  ends.server.endpoint.listen({ alpn: ["quillon-demo/1"], certificates: [certificate], privateKey });
  const source = pattern(length);
  // A byte more than is sent: a read always has room, so that it blocks or finishes.
  const sink = new Uint8Array(length + 1);
  const state = { written: 0, received: 0, finished: false, id: null, datagrams: 0 };
  const start = performance.now();
  const now = () => Math.round((performance.now() - start) * 1e6);
  const connection = ends.client.endpoint.connect(
    now(),
    { alpn: ["quillon-demo/1"], roots: [authority] },
    "localhost",
    new Path(CLIENT, SERVER),
  );
  while (!state.finished) {
    for (const { endpoint, to } of Object.values(ends)) {
      endpoint.handleTimeout(now());
      for (const datagram of flight(endpoint, now())) {
        ends[to].endpoint.receive(now(), new Path(datagram.remote, datagram.local), 0, datagram.bytes);
        state.datagrams += 1;
      }
      for (let event = endpoint.pollEvent(); event !== null; event = endpoint.pollEvent()) {
        follow(event, state, sink);
      }
    }
    if (state.id !== null) {
      write(connection, state, source);
    }
  }
  const milliseconds = performance.now() - start;
  for (const { endpoint } of Object.values(ends)) {
    endpoint.free();
  }
  const [sent, received] = await Promise.all([sha256(source), sha256(sink.subarray(0, state.received))]);
  return { bytes: length, milliseconds, datagrams: state.datagrams, sent, received };
}

/** What an endpoint has to send, copied: the views are gone with the next call. */
function flight(endpoint, now) {
  const datagrams = [];
  endpoint.transmit(now, (view, { local, remote }) => datagrams.push({ bytes: view.slice(), local, remote }));
  return datagrams;
}

function follow(event, state, sink) {
  switch (event.type) {
    case "handshake-complete":
      // The first to complete is the client.
      state.id ??= event.connection.open("uni");
      break;
    case "stream-readable":
      for (let read = event.connection.read(event.id, sink.subarray(state.received)); read !== null; ) {
        state.received += read.len;
        state.finished = read.finished;
        read = read.finished ? null : event.connection.read(event.id, sink.subarray(state.received));
      }
      break;
    case "closed":
      throw new Error(event.info.reason);
  }
}

function write(connection, state, source) {
  while (state.written < source.length) {
    const taken = connection.write(state.id, source.subarray(state.written, state.written + BLOCK));
    if (taken === 0) {
      return;
    }
    state.written += taken;
    if (state.written === source.length) {
      connection.finish(state.id);
    }
  }
}

/** Bytes that look random and are not. */
function pattern(length) {
  const bytes = new Uint8Array(length);
  for (let at = 0, state = 1; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
