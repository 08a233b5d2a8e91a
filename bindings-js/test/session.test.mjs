import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { connect, listen, QuicError, QuicStream } from "quillon";
import { ca, cert, collect, key, pattern, send } from "./fixtures.mjs";

/** A server that gives each stream to `onstream`, and a client's session with it. */
async function pair(onstream, { server = {}, client = {} } = {}) {
  let accept;
  const accepted = new Promise((resolve) => {
    accept = resolve;
  });
  const onsession = async (session) => {
    accept(session);
    for await (const stream of session.incomingBidirectionalStreams) {
      Promise.resolve(onstream(stream)).catch(() => undefined);
    }
  };
  const endpoint = await listen((session) => void onsession(session).catch(() => undefined), {
    alpn: "test",
    cert,
    key,
    ...server,
  });
  const session = await connect(`localhost:${endpoint.address.port}`, { alpn: "test", ca, ...client });
  const [info, peer] = await Promise.all([session.opened, accepted]);
  const end = async () => {
    await session.close();
    await endpoint.close();
  };
  return { session, info, peer, endpoint, end };
}

const echo = (stream) => stream.readable.pipeTo(stream.writable);
const nothing = () => undefined;

test("a megabyte comes back over UDP", async () => {
  const lines = [];
  const { session, info, peer, end } = await pair(echo, { client: { onkeylog: (line) => lines.push(line) } });
  assert.deepEqual([info.protocol, info.servername, info.remote.address], ["test", "localhost", "127.0.0.1"]);
  const stream = await session.createBidirectionalStream();
  assert.ok(stream instanceof QuicStream && stream.id === 0n && stream.direction === "bidi");
  const sent = pattern(1 << 20);
  const [received] = await Promise.all([collect(stream.readable), send(stream.writable, sent)]);
  assert.ok(Buffer.from(received).equals(sent));
  const stats = session.getStats();
  assert.ok(stats.bytesSent > 1n << 20n && stats.bytesReceived > 1n << 20n && stats.smoothedRtt > 0n);
  assert.ok(lines.some((line) => line.startsWith("CLIENT_TRAFFIC_SECRET_0 ")));
  await end();
  assert.ok(session.getStats().bytesSent >= stats.bytesSent, "the last figures stay");
  assert.deepEqual(await peer.closed, { code: 0n, reason: "", byPeer: true });
});

test("both ends open streams of both directions", async () => {
  const { session, peer, end } = await pair(echo);
  for (const [from, to] of [[session, peer], [peer, session]]) {
    const outgoing = await from.createUnidirectionalStream();
    assert.equal(outgoing.direction, "uni");
    await send(outgoing.writable, pattern(1000));
    const { value: incoming } = await to.incomingUnidirectionalStreams.getReader().read();
    assert.equal(incoming.id, outgoing.id);
    assert.deepEqual(await collect(incoming.readable), pattern(1000));
  }
  await end();
});

test("more streams than the peer allows at once come one after the other", async () => {
  const { session, end } = await pair(echo, { server: { transportParams: { initialMaxStreamsBidi: 10 } } });
  const many = Array.from({ length: 100 }, async (_, index) => {
    const stream = await session.createBidirectionalStream();
    const sent = pattern(index + 1);
    const [received] = await Promise.all([collect(stream.readable), send(stream.writable, sent)]);
    assert.deepEqual(received, sent);
  });
  await Promise.all(many);
  await end();
});

test("a reader that waits makes the writer wait", async () => {
  let give;
  const incoming = new Promise((resolve) => {
    give = resolve;
  });
  const limits = { initialMaxStreamDataBidiRemote: 65536, initialMaxData: 65536 };
  const { session, end } = await pair(give, { server: { transportParams: limits } });
  const { writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  // More than the peer's credit and the send buffer take together.
  const sent = pattern(12 << 20);
  let isWritten = false;
  const closing = writer.write(sent).then(() => {
    isWritten = true;
    return writer.close();
  });
  const { readable } = await incoming;
  await sleep(200);
  assert.equal(isWritten, false);
  const { bytesSent } = session.getStats();
  assert.ok(bytesSent < 200_000n, `${bytesSent} bytes`);

  const reader = readable.getReader({ mode: "byob" });
  let read = 0;
  let buffer = new ArrayBuffer(200_000);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) {
      break;
    }
    assert.ok(Buffer.from(value.buffer, 0, value.length).equals(sent.subarray(read, read + value.length)));
    read += value.length;
    buffer = value.buffer;
  }
  assert.equal(read, sent.length);
  await closing;
  await end();
});

test("a reset carries the application's code, both ways", async () => {
  const errors = [];
  const { session, end } = await pair(async (stream) => {
    errors.push(await collect(stream.readable).catch((error) => error));
    stream.resetStream(9);
  });
  const stream = await session.createBidirectionalStream();
  await stream.writable.getWriter().write(pattern(10));
  await sleep(50);
  stream.resetStream(7n);
  errors.push(await collect(stream.readable).catch((error) => error));
  assert.ok(errors.every((error) => error instanceof QuicError));
  assert.deepEqual(errors.map(({ code, errorCode, type }) => [code, errorCode, type]), [
    ["ERR_QUIC_STREAM_RESET", 7n, "application"],
    ["ERR_QUIC_STREAM_RESET", 9n, "application"],
  ]);
  await end();
});

test("an aborted write that waits for the peer ends", async () => {
  const { session, end } = await pair(nothing, { server: { transportParams: { initialMaxData: 1000 } } });
  const { writable } = await session.createBidirectionalStream();
  const writer = writable.getWriter();
  const writing = assert.rejects(writer.write(pattern(12 << 20)), { code: "ERR_QUIC_STREAM_RESET" });
  await sleep(50);
  await writer.abort(new Error("enough"));
  await writing;
  await end();
});

test("a stopped writer and a cancelled reader pass the word on", async () => {
  const { session, end } = await pair((stream) => {
    stream.stopSending(5);
  });
  const stream = await session.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  await writer.write(pattern(10));
  await assert.rejects(writer.closed, { code: "ERR_QUIC_STREAM_STOPPED", errorCode: 5n });
  await stream.readable.cancel();
  await end();
});

test("closing carries code and reason, and ends what is under way", async () => {
  const { session, peer, endpoint } = await pair(nothing);
  const stream = await session.createBidirectionalStream();
  const reading = assert.rejects(collect(stream.readable), { code: "ERR_QUIC_SESSION_CLOSED" });
  await stream.writable.getWriter().write(pattern(10));
  await session.close({ code: 3, reason: "enough" });
  await reading;
  const error = { code: "ERR_QUIC_APPLICATION_ERROR", errorCode: 3n, type: "application", reason: "enough" };
  await assert.rejects(peer.closed, error);
  await assert.rejects(session.createBidirectionalStream(), { code: "ERR_QUIC_SESSION_CLOSED" });
  assert.deepEqual(await session.closed, { code: 3n, reason: "enough", byPeer: false });
  await endpoint.close();
});

test("waiting for a stream can be given up", async () => {
  const { session, end } = await pair(nothing, { server: { transportParams: { initialMaxStreamsBidi: 1 } } });
  await session.createBidirectionalStream();
  const waiting = session.createBidirectionalStream({ signal: AbortSignal.timeout(50) });
  // The timeout alone does not keep the process running.
  await Promise.all([sleep(100), assert.rejects(waiting, { name: "TimeoutError" })]);
  await end();
});

test("an endpoint that is destroyed takes its sessions along", async () => {
  const { session, peer, endpoint } = await pair(nothing, { client: { transportParams: { maxIdleTimeout: 300 } } });
  endpoint.destroy();
  await assert.rejects(peer.closed, { code: "ERR_QUIC_ENDPOINT_CLOSED" });
  await assert.rejects(session.closed, { code: "ERR_QUIC_IDLE_TIMEOUT" });
  await endpoint.closed;
});
