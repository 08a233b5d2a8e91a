import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { connect, generateCertificate, listen, QuicError } from "quillon";
import { MemoryTransport } from "quillon/transport/memory";
import { ca, cert, collect, key, pattern, send } from "./fixtures.mjs";

const SERVER = { alpn: "test", cert, key };
const CLIENT = { alpn: "test", ca };
const utf8 = new TextEncoder();

/** A session, and the server's end of it, over UDP or over what `transports` gives. */
async function pair({ server = {}, client = {}, transports = [] } = {}) {
  const [clientEnd, serverEnd] = transports;
  const accepted = withResolvers();
  const endpoint = await listen(accepted.resolve, { ...SERVER, ...server, ...(serverEnd && { transport: serverEnd }) });
  const session = await connect(serverEnd ? { address: "localhost", port: 443 } : `localhost:${endpoint.address.port}`, {
    ...CLIENT,
    ...client,
    ...(clientEnd && { transport: clientEnd }),
  });
  const [info, peer] = await Promise.all([session.opened, accepted.promise]);
  await peer.opened;
  const end = async () => {
    await session.close();
    await endpoint.close();
  };
  return { session, peer, endpoint, info, end };
}

function withResolvers() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

const text = (bytes) => Buffer.from(bytes).toString();

test("datagrams go both ways over UDP", async () => {
  const { session, peer, end } = await pair();
  const { maxDatagramSize } = session.datagrams;
  assert.ok(maxDatagramSize >= 1100, `${maxDatagramSize}`);
  const writer = session.datagrams.writable.getWriter();
  const other = session.datagrams.createWritable().getWriter();
  const reader = peer.datagrams.readable.getReader();
  await writer.write(pattern(maxDatagramSize));
  assert.deepEqual((await reader.read()).value, pattern(maxDatagramSize));
  // One that is too large is dropped; the next one arrives.
  await other.write(new Uint8Array(65536));
  await other.write(utf8.encode("small"));
  assert.equal(text((await reader.read()).value), "small");
  await peer.datagrams.writable.getWriter().write(utf8.encode("back"));
  for await (const datagram of session.datagrams.readable) {
    assert.equal(text(datagram), "back");
    break;
  }
  const waiting = reader.read();
  await end();
  assert.deepEqual(await waiting, { value: undefined, done: true });
  await assert.rejects(writer.write(pattern(1)), { code: "ERR_QUIC_SESSION_CLOSED" });
  assert.equal(session.datagrams.maxDatagramSize, 0);
});

test("a writer of datagrams waits for room, and what nobody reads gives way", async () => {
  const marks = { incomingHighWaterMark: 10_000, outgoingHighWaterMark: 5000 };
  const { session, peer, end } = await pair({ client: { datagrams: marks }, server: { datagrams: marks } });
  assert.equal(session.datagrams.outgoingHighWaterMark, 5000);
  const writer = session.datagrams.createWritable().getWriter();
  for (let i = 0; i < 100; i++) {
    await writer.write(pattern(1000));
  }
  await sleep(100);
  assert.ok(session.getStats().datagramFramesSent >= 95n);
  const reader = peer.datagrams.readable.getReader();
  let count = 0;
  const counting = (async () => {
    while (!(await reader.read()).done) {
      count++;
    }
  })();
  await sleep(50);
  assert.ok(count > 0 && count <= 10, `${count} datagrams`);
  await end();
  await counting;
});

test("a peer that takes no datagrams fails the writer", async () => {
  const { session, end } = await pair({ server: { transportParams: { maxDatagramFrameSize: 0 } } });
  assert.equal(session.datagrams.maxDatagramSize, 0);
  const writing = session.datagrams.createWritable().getWriter().write(pattern(1));
  await assert.rejects(writing, { name: "QuicError", code: "ERR_QUIC_UNSUPPORTED" });
  await end();
});

test("keys are updated, keying material is derived, streams have priorities", async () => {
  const { session, peer, end } = await pair();
  const context = pattern(8);
  const material = session.exportKeyingMaterial(32, "EXPORTER-test", context);
  assert.deepEqual(peer.exportKeyingMaterial(32, "EXPORTER-test", context), material);
  assert.notDeepEqual(session.exportKeyingMaterial(32, "EXPORTER-test"), material);
  const stream = await session.createUnidirectionalStream();
  stream.setPriority({ urgency: 0, incremental: false, sendOrder: 5n });
  assert.throws(() => stream.setPriority({ urgency: 8 }), { code: "ERR_QUIC_INVALID_OPTIONS" });
  await send(stream.writable, pattern(10));
  session.updateKey();
  assert.throws(() => session.updateKey(), { code: "ERR_QUIC_INVALID_STATE" });
  await send((await session.createUnidirectionalStream()).writable, pattern(10));
  assert.equal(peer.getStats().keyUpdates, 1n);
  await end();
  assert.throws(() => session.updateKey(), QuicError);
});

test("a session moves to a new socket", async () => {
  const { session, peer, end } = await pair();
  const { local } = session.path;
  await session.migrate();
  assert.notEqual(session.path.local.port, local.port);
  const { writable } = await session.createUnidirectionalStream();
  await send(writable, pattern(100_000));
  assert.equal(peer.path.remote.port, session.path.local.port);
  await session.migrate();
  await session.migrate();
  await assert.rejects(peer.migrate(), { code: "ERR_QUIC_INVALID_STATE" });
  await assert.rejects(session.migrate({ address: "192.0.2.77" }), { code: "ERR_QUIC_NETWORK" });
  await end();
});

test("a move to where nothing answers fails, and the session stays", async () => {
  const { session, end } = await pair();
  const [deaf] = MemoryTransport.pair();
  const { port } = session.path.local;
  await assert.rejects(session.migrate({ transport: deaf }), { code: "ERR_QUIC_MIGRATION_FAILED" });
  assert.equal(session.path.local.port, port);
  await send((await session.createUnidirectionalStream()).writable, pattern(10));
  await end();
});

/** A server that takes early data and echoes, and the tickets that a first session brings. */
async function earlyServer(options = {}) {
  const early = [];
  const endpoint = await listen(
    (session) => {
      (async () => {
        for await (const stream of session.incomingBidirectionalStreams) {
          early.push(stream.early);
          stream.readable.pipeTo(stream.writable).catch(() => undefined);
        }
      })().catch(() => undefined);
    },
    { ...SERVER, enableEarlyData: true, ...options },
  );
  const address = `localhost:${endpoint.address.port}`;
  const ticket = withResolvers();
  const first = await connect(address, { ...CLIENT, enableEarlyData: true, onsessionticket: ticket.resolve });
  assert.equal((await first.opened).resumed, false);
  const sessionTicket = await ticket.promise;
  await first.close();
  return { endpoint, address, early, sessionTicket };
}

test("a session is resumed, and sends before the handshake", async () => {
  const { endpoint, address, early, sessionTicket } = await earlyServer();
  const session = await connect(address, { ...CLIENT, sessionTicket });
  const stream = await session.createBidirectionalStream();
  const [echoed] = await Promise.all([collect(stream.readable), send(stream.writable, utf8.encode("early"))]);
  assert.equal(text(echoed), "early");
  const info = await session.opened;
  assert.deepEqual([info.resumed, info.earlyDataAttempted, info.earlyDataAccepted], [true, true, true]);
  assert.deepEqual(early, [true]);
  await session.close();
  // A ticket is good once: after that a session is a new one.
  const again = await connect(address, { ...CLIENT, sessionTicket });
  assert.equal((await again.opened).earlyDataAttempted, false);
  await again.close();
  await endpoint.close();
});

test("early data that the server does not take fails its streams, and the session goes on", async () => {
  const { endpoint, sessionTicket } = await earlyServer();
  await endpoint.close();
  // Another server, which knows nothing of the session.
  const other = await earlyServer();
  const session = await connect(other.address, { ...CLIENT, sessionTicket });
  const stream = await session.createBidirectionalStream();
  const rejected = assert.rejects(collect(stream.readable), { code: "ERR_QUIC_EARLY_DATA_REJECTED" });
  stream.writable.getWriter().write(pattern(10)).catch(() => undefined);
  const info = await session.opened;
  await rejected;
  assert.deepEqual([info.resumed, info.earlyDataAttempted, info.earlyDataAccepted], [false, true, false]);
  const retried = await session.createBidirectionalStream();
  const [echoed] = await Promise.all([collect(retried.readable), send(retried.writable, pattern(10))]);
  assert.deepEqual(echoed, pattern(10));
  await session.close();
  await other.endpoint.close();
});

test("clients wait for a decision, and a token proves an address", async () => {
  const endpoint = await listen({ ...SERVER, tokensPerConnection: 1 });
  const incoming = endpoint[Symbol.asyncIterator]();
  const address = `localhost:${endpoint.address.port}`;
  const token = withResolvers();
  const retried = await connect(address, { ...CLIENT, onnewtoken: token.resolve });
  let client = (await incoming.next()).value;
  assert.equal(client.remoteAddressValidated, false);
  assert.equal(client.remote.port, retried.path.local.port);
  assert.equal(client.retry(), true);
  client = (await incoming.next()).value;
  assert.equal(client.remoteAddressValidated, true);
  assert.equal(client.retry(), false);
  const peer = client.accept();
  await Promise.all([retried.opened, peer.opened]);
  const saved = Uint8Array.from(await token.promise);

  const refused = await connect(address, { ...CLIENT, token: saved });
  client = (await incoming.next()).value;
  assert.equal(client.remoteAddressValidated, true);
  client.refuse();
  await assert.rejects(refused.opened, { code: "ERR_QUIC_TRANSPORT_ERROR", errorCode: 2n });
  assert.throws(() => client.accept(), { name: "QuicError" });

  const ignored = await connect(address, { ...CLIENT, handshakeTimeout: 100 });
  (await incoming.next()).value.ignore();
  await assert.rejects(ignored.opened, { code: "ERR_QUIC_HANDSHAKE_TIMEOUT" });
  await retried.close();
  const next = incoming.next();
  await endpoint.close();
  assert.deepEqual(await next, { value: undefined, done: true });
});

test("an endpoint with onsession is no iterator", async () => {
  const endpoint = await listen(() => undefined, { ...SERVER, validateAddress: true });
  await assert.rejects(endpoint[Symbol.asyncIterator]().next(), { code: "ERR_QUIC_INVALID_STATE" });
  const session = await connect(`localhost:${endpoint.address.port}`, CLIENT);
  await session.opened;
  await session.close();
  await endpoint.close();
});

test("a generated certificate serves ten lines, by its hash or as its own root", async () => {
  const made = await generateCertificate({ hosts: ["localhost", "127.0.0.1", "::1", "example.org"] });
  const parsed = new X509Certificate(made.cert);
  assert.ok(parsed.verify(parsed.publicKey) && parsed.checkHost("example.org") && parsed.checkIP("127.0.0.1"));
  assert.deepEqual(made.hash, new Uint8Array(createHash("sha256").update(parsed.raw).digest()));
  const days = (Date.parse(parsed.validTo) - Date.parse(parsed.validFrom)) / 86_400_000;
  assert.equal(days, 13);
  const endpoint = await listen(() => undefined, { alpn: "test", cert: made.cert, key: made.key });
  const address = `127.0.0.1:${endpoint.address.port}`;
  for (const trust of [{ ca: made.cert }, { serverCertificateHashes: [{ algorithm: "sha-256", value: made.hash }] }]) {
    const session = await connect(address, { alpn: "test", ...trust });
    await session.opened;
    await session.close();
  }
  const wrong = await connect(address, {
    alpn: "test",
    serverCertificateHashes: [{ algorithm: "sha-256", value: new Uint8Array(32) }],
  });
  await assert.rejects(wrong.opened, { code: "ERR_QUIC_TRANSPORT_ERROR" });
  await endpoint.close();
  await assert.rejects(generateCertificate({ hosts: [] }), { code: "ERR_QUIC_INVALID_OPTIONS" });
});

test("the application judges certificates, and a client shows its own", async () => {
  const judged = [];
  const own = await generateCertificate({ hosts: ["client"] });
  const judge = (answer) => (peer) => {
    judged.push([peer.servername, new X509Certificate(peer.certificates[0]).subject]);
    return answer;
  };
  const { end } = await pair({
    server: { clientAuthentication: "required", onpeercertificate: judge(Promise.resolve(true)) },
    client: { cert: own.cert, key: own.key, verifyPeer: false, onpeercertificate: judge(true) },
  });
  assert.deepEqual(judged.map(([name]) => name), ["localhost", "localhost"]);
  assert.ok(judged.some(([, subject]) => subject === "CN=client"));
  await end();

  const endpoint = await listen(() => undefined, SERVER);
  const address = `localhost:${endpoint.address.port}`;
  const failing = () => Promise.reject(new Error("on the list"));
  for (const onpeercertificate of [judge(false), failing]) {
    const session = await connect(address, { ...CLIENT, onpeercertificate });
    await assert.rejects(session.opened, { code: "ERR_QUIC_TRANSPORT_ERROR", errorCode: 0x12an });
  }
  await endpoint.close();
});

test("a session that is shut down lets its streams finish", async () => {
  const { session, peer, endpoint } = await pair();
  const stream = await session.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(utf8.encode("one"));
  const shutdown = session.shutdown({ code: 0, reason: "done" });
  await session.draining;
  await assert.rejects(session.createBidirectionalStream(), { name: "QuicError" });
  const { value: theirs } = await peer.incomingBidirectionalStreams.getReader().read();
  await Promise.all([send(theirs.writable, utf8.encode("two")), writer.close()]);
  assert.equal(text(await collect(theirs.readable)), "one");
  assert.equal(text(await collect(stream.readable)), "two");
  await shutdown;
  assert.deepEqual(await peer.closed, { code: 0n, reason: "done", byPeer: true });
  await peer.draining;
  await endpoint.close();
});

test("a session records a qlog, and its secrets where that is asked for", async () => {
  const chunks = [];
  const ends = [];
  const lines = [];
  const { session, end } = await pair({
    client: {
      onqlog: (chunk, fin, of) => {
        chunks.push(chunk);
        ends.push([fin, of]);
      },
      onkeylog: (line) => lines.push(line),
    },
  });
  await end();
  const records = chunks.join("").split("\x1e").slice(1).map((record) => JSON.parse(record));
  assert.ok(records.length > 10 && chunks.length > 1);
  assert.deepEqual(ends.map(([fin]) => fin), [...Array(ends.length - 1).fill(false), true]);
  assert.ok(ends.every(([, of]) => of === session));
  assert.ok(lines.length >= 4);
});

test("a memory carries sessions, with loss", async () => {
  let count = 0;
  const transports = MemoryTransport.pair({ latency: 1, drop: () => ++count % 20 === 0 });
  const { session, peer, endpoint } = await pair({ transports });
  assert.deepEqual(session.path.remote, { address: "127.0.0.1", port: 443 });
  const { writable } = await session.createUnidirectionalStream();
  const { value: incoming } = await (async () => {
    send(writable, pattern(300_000)).catch(() => undefined);
    return peer.incomingUnidirectionalStreams.getReader().read();
  })();
  assert.deepEqual(await collect(incoming.readable), pattern(300_000));
  assert.ok(session.getStats().packetsLost > 0n);
  await session.close();
  await endpoint.close();
});

test("signals end what is under way", async () => {
  const controller = new AbortController();
  const endpoint = await listen(() => undefined, { ...SERVER, signal: controller.signal });
  await assert.rejects(connect("localhost:1", { ...CLIENT, signal: AbortSignal.abort() }), { name: "AbortError" });
  await assert.rejects(listen({ ...SERVER, signal: AbortSignal.abort() }), { name: "AbortError" });
  const session = await connect(`localhost:${endpoint.address.port}`, { ...CLIENT, transportParams: { maxIdleTimeout: 300 } });
  await session.opened;
  const stream = await session.createBidirectionalStream();
  const reading = stream.readable.pipeTo(new WritableStream(), { signal: AbortSignal.timeout(20) });
  await Promise.all([sleep(100), assert.rejects(reading, { name: "TimeoutError" })]);
  controller.abort();
  await endpoint.closed;
  await assert.rejects(session.closed, { code: "ERR_QUIC_IDLE_TIMEOUT" });
});
