import assert from "node:assert/strict";
import { test } from "node:test";

import { Engine } from "quillon/core";
import { ca, cert, pattern } from "./fixtures.mjs";
import { CLIENT, der, IDENTITY, Link, MILLISECOND, SERVER, TRUST, wasm } from "./link.mjs";

const utf8 = new TextEncoder();
const load = () => Engine.load(wasm, { seed: pattern(32) });

/** A link whose handshake is complete, and the server's connection. */
async function joined(options) {
  const link = new Link(await load(), options);
  const peer = link.settle().get("server accepted")[0].connection;
  return { link, peer, connection: link.connection };
}

/** Reads all that waits of a stream. */
function readText(connection, id) {
  const out = new Uint8Array(1000);
  const read = connection.read(id, out);
  return read && Buffer.from(out.subarray(0, read.len)).toString();
}

test("datagrams go both ways, whole, with an outcome for each", async () => {
  const { link, peer, connection } = await joined();
  const { maxDatagramSize } = connection;
  assert.ok(maxDatagramSize > 1000, `${maxDatagramSize}`);
  const first = connection.sendDatagram(pattern(maxDatagramSize));
  const second = connection.sendDatagram(new Uint8Array(0));
  peer.sendDatagram(utf8.encode("back"));
  assert.throws(() => connection.sendDatagram(pattern(maxDatagramSize + 1)), { code: "QUILLON_ERR_TOO_LARGE" });
  const received = { client: [], server: [] };
  const take = ({ end, connection: at }) => {
    for (let data = at.peekDatagram(); data !== null; data = at.peekDatagram()) {
      received[end].push(Buffer.from(data));
      at.consumeDatagram();
    }
  };
  const seen = link.settle({ "client datagram-received": take, "server datagram-received": take });
  assert.deepEqual(received.server.map(({ length }) => length), [maxDatagramSize, 0]);
  assert.ok(received.server[0].equals(pattern(maxDatagramSize)));
  assert.deepEqual(received.client.map(String), ["back"]);
  assert.deepEqual(seen.get("client datagram-acked").map(({ id }) => id).sort(), [first, second].sort());
  assert.equal(peer.stats().datagramFramesReceived, 2n);
  assert.equal(connection.peekDatagram(), null);
});

test("a peer that takes no datagrams is told apart", async () => {
  const { connection } = await joined({ server: { transport: { maxDatagramFrameSize: 0 } } });
  assert.equal(connection.maxDatagramSize, null);
  assert.throws(() => connection.sendDatagram(pattern(1)), { code: "QUILLON_ERR_UNSUPPORTED" });
});

test("datagrams that nobody reads give way, and are counted", async () => {
  const { link, connection } = await joined({ server: { transport: { datagramReceiveBuffer: 1000 } } });
  for (let i = 0; i < 10; i++) {
    connection.sendDatagram(pattern(400));
  }
  const counts = link.settle().get("server datagrams-overflowed").map(({ count }) => count);
  assert.equal(counts.reduce((sum, count) => sum + count), 8n);
});

test("keys are updated, and keying material is the same at both ends", async () => {
  const { link, peer, connection } = await joined();
  const label = utf8.encode("EXPORTER-test");
  const material = connection.exportKeyingMaterial(48, label, Uint8Array.of(1, 2, 3));
  assert.equal(material.length, 48);
  assert.deepEqual(peer.exportKeyingMaterial(48, label, Uint8Array.of(1, 2, 3)), material);
  assert.notDeepEqual(peer.exportKeyingMaterial(48, label, Uint8Array.of(1, 2, 4)), material);
  assert.throws(() => connection.exportKeyingMaterial(8161, label, label), { code: "QUILLON_ERR_INVALID_ARGUMENT" });
  connection.updateKey(link.now);
  assert.throws(() => connection.updateKey(link.now), { code: "QUILLON_ERR_INVALID_STATE" });
  connection.sendDatagram(pattern(1));
  const seen = link.settle();
  assert.deepEqual(seen.get("server keys-updated").map(({ byPeer }) => byPeer), [true]);
  assert.equal(connection.stats().keyUpdates, 1n);
});

test("a session is resumed, and early data comes before the handshake", async () => {
  const engine = await load();
  const config = engine.createClientConfig({ ...TRUST, earlyData: true });
  const link = new Link(engine, { config, server: { earlyData: true, sessionStore: 10 } });
  const sessions = link.settle().get("client new-session").map(({ session }) => session);
  assert.equal(link.connection.earlyDataStatus, "none");
  const [session, ...others] = sessions;
  others.forEach((other) => other.free());
  config.setSession(session);
  session.free();
  session.free();

  const connection = link.connect(config);
  assert.equal(connection.earlyDataStatus, "offered");
  const id = connection.open("bidi");
  connection.write(id, utf8.encode("early"));
  connection.finish(id);
  let read;
  const seen = link.settle({
    "server stream-readable": ({ connection: at }) => {
      read ??= [at.isHandshakeComplete, at.isEarlyData(id), readText(at, id)];
    },
  });
  assert.deepEqual(read, [false, true, "early"]);
  assert.ok(seen.has("client early-data-accepted"));
  assert.ok(connection.isResumed && connection.earlyDataStatus === "accepted");
  config.free();
});

test("a token of one connection proves the address of the next", async () => {
  const tokenKey = pattern(32);
  const { link } = await joined({ endpoint: { admission: "retry", tokenKey, tokensPerConnection: 1 } });
  const engine = await load();
  const first = new Link(engine, { endpoint: { tokenKey, tokensPerConnection: 1 } });
  const { token } = first.settle().get("client new-token")[0];
  assert.ok(token.length > 0 && link.connection.isHandshakeComplete);
  const second = new Link(engine, { endpoint: { admission: "ask", tokenKey }, token });
  second.now = first.now + MILLISECOND;
  second.settle();
  const incoming = second.server.pollIncoming();
  assert.equal(incoming.addressValidation, "token");
  assert.equal(incoming.retry(second.now), false, "the address is proven");
  incoming.accept(second.now);
  assert.ok(second.settle().has("client handshake-complete"));
});

/** The client that waits at a link whose server asks. */
async function waiting() {
  const link = new Link(await load(), { endpoint: { admission: "ask" } });
  const settled = link.run();
  let incoming = null;
  while (incoming === null && !settled.next().done) {
    incoming = link.server.pollIncoming();
  }
  incoming ??= link.server.pollIncoming();
  assert.deepEqual([incoming.path.remote, incoming.path.local], [CLIENT, SERVER]);
  assert.deepEqual([incoming.addressValidation, incoming.version], ["unproven", 1]);
  assert.ok(incoming.originalDestination.length >= 8);
  assert.equal(link.server.pollIncoming(), null);
  return { link, incoming };
}

test("a client that waits is accepted, with settings of its own", async () => {
  const { link, incoming } = await waiting();
  const connection = incoming.accept(link.now, { ...IDENTITY, alpn: ["other", "test"] });
  assert.equal(connection.side, "server");
  assert.ok(link.settle().has("client handshake-complete"));
  assert.throws(() => incoming.ignore(), { code: "QUILLON_ERR_INVALID_HANDLE" });
});

test("a client that waits is refused, or has to prove its address", async () => {
  const refused = await waiting();
  refused.incoming.refuse(refused.link.now);
  const { info } = refused.link.settle().get("client closed")[0];
  assert.deepEqual([info.cause, info.byPeer, info.code], ["transport", true, 2n]);

  const { link, incoming } = await waiting();
  assert.equal(incoming.retry(link.now), true);
  link.settle();
  const again = link.server.pollIncoming();
  assert.equal(again.addressValidation, "retry");
  again.ignore();
  assert.throws(() => again.refuse(link.now), { code: "QUILLON_ERR_INVALID_HANDLE" });
});

test("the caller has the last word on a certificate", async () => {
  const judge = async (verdict) => {
    const link = new Link(await load(), { askForVerdict: true });
    const chain = [];
    const on = {
      "client peer-certificate": ({ connection }) => {
        chain.push(...connection.peerCertificates);
        verdict(connection, link.now);
      },
    };
    const seen = link.settle(on);
    assert.deepEqual(chain, [der(cert)]);
    return seen;
  };
  assert.ok((await judge((at, now) => at.acceptCertificate(now))).has("client handshake-complete"));
  const rejected = await judge((at, now) => at.rejectCertificate(now, 44, "on the list"));
  const { info } = rejected.get("client closed")[0];
  assert.deepEqual([info.byPeer, info.code, info.reason], [false, 0x12cn, "on the list"]);
});

test("a server chooses by what the client asks for", async () => {
  const answer = async (decide) => {
    const link = new Link(await load(), { alpn: ["test", "more"], server: { askOnClientHello: true } });
    return link.settle({ "server client-hello": ({ connection }) => decide(connection, link.now) });
  };
  const hellos = [];
  const chosen = await answer((at, now) => {
    hellos.push(at.clientHello);
    at.choose(now, { ...IDENTITY, alpn: ["more"] });
  });
  assert.deepEqual(hellos, [{ serverName: "localhost", alpn: ["test", "more"] }]);
  assert.equal(chosen.get("client handshake-complete")[0].connection.alpn, "more");
  const refused = await answer((at, now) => at.refuse(now, 0x170n, "no such name"));
  assert.equal(refused.get("client closed")[0].info.code, 0x170n);
});

test("a client proves who it is", async () => {
  const ask = { clientAuthentication: "required", roots: [der(ca)] };
  const without = new Link(await load(), { server: ask }).settle();
  assert.equal(without.get("server closed")[0].info.code, 0x174n);
});

test("a connection moves to another address", async () => {
  const { link, peer, connection } = await joined();
  const other = { address: "192.0.2.7", port: 50007 };
  connection.migrate(link.now, other, "validated");
  const seen = link.settle();
  assert.deepEqual(seen.get("client path-changed")[0].path.local, other);
  // It was validated before it was used.
  assert.ok(seen.get("server path-validated").every((event) => !event.isNewPeerAddress));
  assert.deepEqual([connection.path.local, peer.path.remote], [other, other]);
  assert.deepEqual(connection.paths[0], connection.path);
  assert.throws(() => peer.migrate(link.now, other, "immediate"), { code: "QUILLON_ERR_INVALID_STATE" });
  assert.throws(() => connection.migrate(link.now, other, "sometimes"), { code: "QUILLON_ERR_INVALID_ARGUMENT" });
  connection.migrate(link.now, { address: "192.0.2.8", port: 50008 }, "immediate");
  assert.ok(link.settle().get("server path-validated").some((event) => event.isNewPeerAddress));
  connection.setLocalAddress(other);
  assert.deepEqual(connection.path.local, other);
});

test("streams have priorities, credit and an end", async () => {
  const { link, peer, connection } = await joined({ server: { transport: { initialMaxStreamDataBidiRemote: 1000 } } });
  const id = connection.open("bidi");
  connection.setPriority(id, { urgency: 7, incremental: false, sendOrder: -1 });
  assert.throws(() => connection.setPriority(id, { urgency: 8 }), { code: "QUILLON_ERR_INVALID_ARGUMENT" });
  assert.equal(connection.sendCredit(id), 1000n);
  connection.setAckedEvents(id, true);
  connection.write(id, pattern(100));
  const seen = link.settle();
  assert.deepEqual(seen.get("client stream-acked").map(({ offset }) => offset), [100n]);
  assert.equal(connection.sendCredit(id), 900n);

  connection.shutdown();
  assert.throws(() => connection.open("bidi"), { name: "EngineError" });
  connection.finish(id);
  peer.finish(id);
  link.settle();
  peer.read(id, new Uint8Array(1000));
  connection.read(id, new Uint8Array(1));
  const last = link.settle();
  assert.ok(last.has("client streams-finished") || connection.isClosed);
});

test("a reader grants credit by hand", async () => {
  const transport = { manualCredit: true, initialMaxData: 100, initialMaxStreamDataBidiRemote: 100, initialMaxStreamsBidi: 1 };
  const { link, peer, connection } = await joined({ server: { transport } });
  const id = connection.open("bidi");
  assert.equal(connection.open("bidi"), null);
  assert.equal(connection.write(id, pattern(300)), 100);
  link.settle();
  const out = new Uint8Array(1000);
  assert.equal(peer.read(id, out).len, 100);
  link.settle();
  assert.equal(peer.read(id, out), null);
  peer.extendMaxStreamData(id, 50n);
  peer.extendMaxData(50n);
  peer.extendMaxStreams("bidi", 1n);
  assert.ok(link.settle().has("client data-credit-available"));
  assert.equal(connection.write(id, pattern(200)), 50);
  link.settle();
  assert.equal(peer.read(id, out).len, 50);
  assert.equal(connection.open("bidi"), 4n);
});

test("a connection records what happens", async () => {
  const { connection } = await joined({ transport: { qlog: "0.3", textLog: true } });
  const qlog = connection.pollLog("qlog");
  // RFC 7464: each record starts with a record separator.
  const records = qlog.split("\x1e").slice(1).map((record) => JSON.parse(record));
  assert.ok(records.length > 10, `${records.length} records`);
  assert.ok(connection.pollLog("text").length > 0);
  assert.equal(connection.pollLog("qlog"), "");
});

test("both ends choose versions", async () => {
  const v2 = 0x6b3343cf;
  const { connection } = await joined({
    transport: { versions: [1, v2], preferredVersions: [v2] },
    server: { transport: { versions: [1, v2], preferredVersions: [v2] } },
  });
  assert.equal(connection.version, v2);
});

test("datagrams that wait give way as the settings say, and packets have the sizes that they name", async () => {
  const transport = { datagramReceivePolicy: "newest", datagramReceiveBuffer: 1000, padPackets: true };
  const { link, peer, connection } = await joined({
    server: { transport },
    endpoint: { ecn: false },
    // Nothing is tried: what is named is used.
    transport: { mtuDiscoverySizes: [], maxUdpPayloadSize: 1300, ackElicitingThreshold: 4, ackDelayExponent: 5 },
  });
  for (let i = 0; i < 5; i++) {
    connection.sendDatagram(Uint8Array.of(i, ...pattern(400)));
  }
  link.settle();
  assert.equal(peer.peekDatagram()[0], 0);
  assert.equal(connection.stats().maxUdpPayloadSize, 1300n);
});

test("settings that make no sense are refused by name", async () => {
  const engine = await load();
  const invalid = { name: "EngineError", code: "QUILLON_ERR_INVALID_ARGUMENT" };
  for (const transport of [{ congestionControl: "hope" }, { versions: [] }, { floodBurst: 0 }, { initialPacketNumber: 2 ** 31 }]) {
    assert.throws(() => engine.createClientConfig({ ...TRUST, transport }), invalid);
  }
  assert.throws(() => engine.createServerConfig({ ...IDENTITY, ticketKey: pattern(31) }), invalid);
  assert.throws(() => engine.createEndpoint({ admission: "perhaps" }), invalid);
});
