import assert from "node:assert/strict";
import { test } from "node:test";

import { Engine, EngineError, Path } from "quillon/core";
import { cert, pattern } from "./fixtures.mjs";
import { CLIENT, der, Link, SECOND, SERVER, wasm } from "./link.mjs";

/** What an end of a stream has still to write. */
class Writer {
  #rest = [];
  #isEnded = false;

  push(bytes) {
    this.#rest.push(bytes);
  }

  end() {
    this.#isEnded = true;
  }

  /** Writes what can be written. */
  run(connection, id) {
    while (this.#rest.length > 0) {
      const taken = connection.write(id, this.#rest[0]);
      if (taken < this.#rest[0].length) {
        this.#rest[0] = this.#rest[0].subarray(taken);
        return;
      }
      this.#rest.shift();
    }
    if (this.#isEnded) {
      connection.finish(id);
    }
  }
}

/** Gives what can be read of a stream to `onData`; tells whether that was the end. */
function readAll(connection, id, onData) {
  for (;;) {
    const peek = connection.peek(id);
    if (peek === null || peek.finished) {
      return peek !== null;
    }
    onData(peek.data.slice());
    connection.consume(id, peek.data.length);
  }
}

test("a megabyte is echoed between two endpoints of one engine", async () => {
  const link = new Link(await Engine.load(wasm, { seed: pattern(32) }));
  const sent = pattern(1 << 20);
  const client = new Writer();
  const server = new Writer();
  const received = [];
  const seen = new Set();
  let isEchoed = false;
  for (const { end, type, id, connection } of link.run()) {
    seen.add(`${end} ${type}`);
    if (end === "client" && type === "handshake-complete") {
      client.push(sent);
      client.end();
      client.run(connection, connection.open("bidi"));
    } else if (type === "stream-writable") {
      (end === "client" ? client : server).run(connection, id);
    } else if (type === "stream-readable" && end === "client") {
      isEchoed = readAll(connection, id, (data) => received.push(data));
    } else if (type === "stream-readable") {
      if (readAll(connection, id, (data) => server.push(data))) {
        server.end();
      }
      server.run(connection, id);
    }
  }
  assert.ok(isEchoed && Buffer.concat(received).equals(sent));
  for (const event of ["server accepted", "client handshake-confirmed", "server stream-opened", "client stream-finished"]) {
    assert.ok(seen.has(event), `no "${event}" in ${[...seen].join(", ")}`);
  }

  const { connection } = link;
  const stats = connection.stats();
  assert.ok(stats.bytesSent > 1n << 20n && stats.packetsLost === 0n && stats.handshakeDuration > 0n);
  assert.deepEqual([connection.alpn, connection.serverName, connection.side], ["test", "localhost", "client"]);
  assert.deepEqual(connection.path.remote, SERVER);
  assert.deepEqual(connection.peerCertificate, der(cert));
  assert.ok(connection.isHandshakeComplete && connection.isHandshakeConfirmed && !connection.isClosed);
  assert.ok(link.client.memoryUsed > 0n);

  connection.close(link.now, 7n, new TextEncoder().encode("done"));
  assert.throws(() => connection.open("bidi"), { name: "EngineError", code: "QUILLON_ERR_CLOSED" });
  const ends = Array.from(link.run()).filter(({ type }) => type === "closed");
  const info = { cause: "application", code: 7n, frameType: 0n, reason: "done" };
  assert.deepEqual(ends.map((event) => [event.end, event.info]), [
    ["client", { ...info, byPeer: false }],
    ["server", { ...info, byPeer: true }],
  ]);
});

test("one seed gives one sequence of datagrams", async () => {
  const flights = async (seed) => {
    const link = new Link(await Engine.load(wasm, { seed, unixTime: 1.7e9 }));
    Array.from(link.run());
    return Buffer.concat(link.wire);
  };
  const [one, same, other] = await Promise.all([flights(pattern(32)), flights(pattern(32)), flights(pattern(64))]);
  assert.ok(one.length > 3000 && one.equals(same));
  assert.ok(!one.equals(other));
});

test("a protocol mismatch and an untrusted certificate close with a reason", async () => {
  const engine = await Engine.load(wasm);
  const end = (options) =>
    Array.from(new Link(engine, options).run()).find((event) => event.end === "client" && event.type === "closed").info;
  const mismatch = end({ alpn: ["one"], serverAlpn: ["two"] });
  assert.deepEqual([mismatch.cause, mismatch.byPeer, mismatch.code], ["transport", true, 0x178n]);
  // The server's certificate signed no certificate.
  const untrusted = end({ roots: [der(cert)] });
  assert.equal(untrusted.byPeer, false);
  assert.ok(untrusted.code >= 0x100n && untrusted.reason !== "", untrusted.reason);
});

test("misuse is an error with a name", async () => {
  const engine = await Engine.load(wasm);
  const endpoint = engine.createEndpoint();
  const path = new Path(CLIENT, SERVER);
  const connect = (options, name = "localhost") => endpoint.connect(0, { alpn: ["test"], verifyPeer: false, ...options }, name, path);
  assert.throws(() => connect({ verifyPeer: true }), { name: "EngineError", code: "QUILLON_ERR_TLS" });
  assert.throws(() => connect({}, "no name"), EngineError);
  assert.throws(() => connect({ cipherSuites: [1] }), { code: "QUILLON_ERR_INVALID_ARGUMENT" });
  assert.throws(() => connect({ transport: { maxUdpPayloadSize: 100 } }), { code: "QUILLON_ERR_INVALID_ARGUMENT" });
  const connection = connect({});
  assert.equal(connection.open("bidi"), null, "no stream before the handshake");
  assert.throws(() => connection.write(0n, Uint8Array.of(1)), { code: "QUILLON_ERR_UNKNOWN_STREAM" });
  for (const length of [0, 1, 1500, 65535, 100_000]) {
    endpoint.receive(0, path, 0, pattern(length));
  }
  endpoint.free();
  assert.throws(() => endpoint.timeout(), { code: "QUILLON_ERR_INVALID_HANDLE" });
  assert.throws(() => connection.stats(), { code: "QUILLON_ERR_INVALID_HANDLE" });
});

test("times pass 32 bits, and the memory may grow", async () => {
  const engine = await Engine.load(wasm);
  const endpoint = engine.createEndpoint();
  const start = 2 ** 52 + 2 ** 33;
  endpoint.connect(start, { alpn: ["test"], verifyPeer: false }, "localhost", new Path(CLIENT, SERVER));
  const others = Array.from({ length: 40 }, () => engine.createEndpoint());
  let bytes = 0;
  endpoint.transmit(start, (datagram) => {
    bytes += datagram.length;
  });
  assert.ok(bytes >= 1200);
  const wait = endpoint.timeout() - start;
  assert.ok(wait > 0 && wait < 60 * SECOND, `${wait}`);
  others.forEach((other) => other.free());
});

test("paths hold addresses of both families", () => {
  const encode = (address) => [...new Path({ address, port: 1 }, { address, port: 0xabcd }).encoded.subarray(20)];
  assert.deepEqual(encode("192.0.2.255"), [4, 0, 0xcd, 0xab, 192, 0, 2, 255, ...Array(12).fill(0)]);
  assert.deepEqual(encode("2001:db8::1"), [6, 0, 0xcd, 0xab, 0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 1]);
  assert.deepEqual(encode("::"), [6, 0, 0xcd, 0xab, ...Array(16).fill(0)]);
  assert.deepEqual(encode("fe80::1%eth0").slice(4, 6), [0xfe, 0x80]);
  assert.deepEqual(encode("::ffff:1.2.3.4").slice(14), [0xff, 0xff, 1, 2, 3, 4]);
  const wrong = ["", "1.2.3", "1.2.3.256", "01.2.3.4", "1:2:3", "1::2::3", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "g::", "localhost"];
  for (const address of wrong) {
    assert.throws(() => encode(address), TypeError, address);
  }
  assert.throws(() => new Path({ address: "::1", port: 65536 }, CLIENT), RangeError);
  const path = new Path(CLIENT, { address: "2001:db8:0:0:0:0:0:1", port: 443 });
  assert.deepEqual(Path.decode(path.encoded, 0), path);
});
