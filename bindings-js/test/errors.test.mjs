import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, before, test } from "node:test";

import { connect, listen, QuicError } from "quillon";
import { ca, cert, key } from "./fixtures.mjs";

let endpoint;
let address;

before(async () => {
  endpoint = await listen(() => undefined, { alpn: "test", cert, key });
  address = `127.0.0.1:${endpoint.address.port}`;
});

after(() => endpoint.close());

/** The error that a session ends with: one line. */
async function failure(options, to = address) {
  const session = await connect(to, { alpn: "test", ca, ...options });
  const failed = (promise) => promise.then(() => assert.fail("no error"), (error) => error);
  const [opened, closed] = await Promise.all([failed(session.opened), failed(session.closed)]);
  assert.equal(opened, closed);
  assert.ok(opened instanceof QuicError && /^.+$/.test(opened.message), opened.message);
  return opened;
}

async function socketOn(host) {
  const socket = createSocket("udp4").bind(0, host);
  await once(socket, "listening");
  return socket;
}

test("an untrusted certificate", async () => {
  const error = await failure({ ca: undefined });
  assert.deepEqual([error.code, error.type], ["ERR_QUIC_TRANSPORT_ERROR", "transport"]);
  assert.ok(error.errorCode >= 0x100n && error.reason !== "", error.message);
});

test("a certificate for another name", async () => {
  const error = await failure({ servername: "example.org" });
  assert.equal(error.code, "ERR_QUIC_TRANSPORT_ERROR");
  assert.match(error.message, /example\.org|localhost/);
});

test("any certificate, where that is asked for", async () => {
  const session = await connect(address, { alpn: "test", verifyPeer: false, servername: "example.org" });
  await session.opened;
  await session.close();
});

test("no common protocol", async () => {
  const error = await failure({ alpn: ["other", "another"] });
  assert.deepEqual([error.code, error.errorCode], ["ERR_QUIC_TRANSPORT_ERROR", 0x178n]);
  assert.match(error.message, /alpn/);
});

test("a port that nobody listens on", async () => {
  const socket = await socketOn("127.0.0.1");
  const { port } = socket.address();
  socket.close();
  const error = await failure({}, `127.0.0.1:${port}`);
  assert.equal(error.code, "ERR_QUIC_NETWORK");
  assert.match(error.message, /nothing listens there/);
});

test("a peer that never answers", async () => {
  const socket = await socketOn("127.0.0.1");
  const error = await failure({ handshakeTimeout: 100 }, `127.0.0.1:${socket.address().port}`);
  assert.equal(error.code, "ERR_QUIC_HANDSHAKE_TIMEOUT");
  socket.close();
});

test("settings that make no sense", async () => {
  const invalid = { name: "QuicError", code: "ERR_QUIC_INVALID_OPTIONS" };
  const refuse = (options, to = address) => assert.rejects(connect(to, { alpn: "test", ca, ...options }), invalid);
  await refuse({ alpn: [] });
  await refuse({ ca: "no certificate" });
  await refuse({ ca: "-----BEGIN CERTIFICATE-----\nMIIB*\n-----END CERTIFICATE-----" });
  await refuse({ maxPayloadSize: 100 });
  await refuse({}, "localhost");
  await refuse({}, "localhost:65536");
  const refuseServer = (options) => assert.rejects(listen(() => undefined, { alpn: "test", cert, key, ...options }), invalid);
  await refuseServer({ key: cert });
  await refuseServer({ key: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----" });
  await refuseServer({ cert: key });
  await refuseServer({ key: Uint8Array.of(0x30, 0x00) });
});

test("a host that is not known, a port in use, an address of another machine", async () => {
  const network = { name: "QuicError", code: "ERR_QUIC_NETWORK" };
  await assert.rejects(connect("host.invalid:443", { alpn: "test", ca }), network);
  await assert.rejects(listen(() => undefined, { alpn: "test", cert, key, address }), network);
  await assert.rejects(listen(() => undefined, { alpn: "test", cert, key, address: "192.0.2.1:0" }), network);
});

test("an attempt that is given up", async () => {
  const controller = new AbortController();
  const session = await connect(address, { alpn: "test", ca, signal: controller.signal });
  controller.abort();
  await assert.rejects(session.opened, { code: "ERR_QUIC_SESSION_CLOSED" });
  await assert.rejects(connect(address, { alpn: "test", ca, signal: controller.signal }), { name: "AbortError" });
});
