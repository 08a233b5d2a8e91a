import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as constants from "../dist/core/constants.js";
import { Engine, EngineError } from "quillon/core";

const wasm = new URL("../dist/quillon.wasm", import.meta.url);
const header = readFileSync(new URL("../../engine/abi/quillon.h", import.meta.url), "utf8");

test("the module imports nothing, and exports what the header declares", async () => {
  const module = await WebAssembly.compile(readFileSync(wasm));
  assert.deepEqual(WebAssembly.Module.imports(module), []);
  const exports = WebAssembly.Module.exports(module).map(({ name }) => name);
  const declared = [...header.matchAll(/^\w[\w *]*?(quillon_\w+)\(/gm)].map(([, name]) => name);
  assert.ok(declared.length > 30);
  assert.deepEqual(exports.filter((name) => name.startsWith("quillon_")).sort(), declared.sort());
  assert.ok(exports.includes("memory"));
});

test("the package was built from the module that every host uses", () => {
  const built = readFileSync(new URL("../../target/wasm/quillon.wasm", import.meta.url));
  assert.ok(built.equals(readFileSync(wasm)), "run `npm run build` again");
});

test("an unseeded call fails by name", async () => {
  const { instance } = await WebAssembly.instantiate(readFileSync(wasm));
  assert.equal(instance.exports.quillon_endpoint_new(0), constants.ErrorCode.UNSEEDED);
});

test("the package's numbers are the header's", () => {
  const defined = new Map();
  for (const [, name, value] of header.matchAll(/^#define QUILLON_(\w+)\s+\(?(-?\d+|0x[0-9a-f]+)u?\)?$/gm)) {
    defined.set(name, Number(value));
  }
  const groups = {
    ErrorCode: "ERR",
    Role: "ROLE",
    ConfigKey: "CONFIG",
    ConfigBytes: "CONFIG",
    EventKind: "EVENT",
    Closed: "CLOSED",
    Info: "INFO",
    State: "STATE",
    StatsField: "STATS",
    IncomingInfo: "INCOMING",
  };
  const words = {
    IDLE: "IDLE",
    ADMISSION: "ADMISSION",
    ADDRESS: "ADDRESS",
    CONGESTION: "CONGESTION",
    CLIENT_AUTHENTICATION: "CLIENT_AUTHENTICATION",
    EARLY_DATA: "EARLY_DATA",
    QLOG: "QLOG",
    DROP: "DROP",
    MIGRATE: "MIGRATE",
    LOG: "LOG",
  };
  const mirrored = new Set();
  for (const [group, prefix] of Object.entries(groups)) {
    for (const [name, value] of Object.entries(constants[group])) {
      assert.equal(value, defined.get(`${prefix}_${name}`), `${prefix}_${name}`);
      mirrored.add(`${prefix}_${name}`);
    }
  }
  for (const [group, prefix] of Object.entries(words)) {
    const names = [...defined.keys()].filter((name) => name.startsWith(`${prefix}_`));
    assert.equal(constants[group].length, names.length, group);
    for (const [index, word] of constants[group].entries()) {
      assert.equal(index, defined.get(`${prefix}_${word.toUpperCase().replace(/[-.]/g, "_")}`), word);
    }
  }
  for (const name of defined.keys()) {
    const isInGroup = Object.values(groups).some((prefix) => name.startsWith(`${prefix}_`));
    assert.ok(!isInGroup || mirrored.has(name), `${name} is missing`);
  }
  assert.equal(constants.ABI_MAJOR, defined.get("ABI_VERSION") >>> 16);
  for (const name of ["ARENA_DESCRIPTORS", "DESCRIPTOR_LEN", "ARENA_DATA", "PATH_LEN"]) {
    assert.equal(constants.Layout[name], defined.get(name));
  }
});

test("the engine loads from whatever holds the module", async () => {
  const bytes = readFileSync(wasm);
  const response = new Response(bytes, { headers: { "content-type": "application/wasm" } });
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  for (const source of [wasm, bytes, buffer, response]) {
    const engine = await Engine.load(source);
    engine.createEndpoint().free();
  }
  Engine.fromModule(await WebAssembly.compile(bytes)).createEndpoint().free();
  await assert.rejects(Engine.load(new TextEncoder().encode("no module")), WebAssembly.CompileError);
  const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  assert.throws(() => Engine.fromModule(empty), /not quillon\.wasm/);
  assert.throws(() => Engine.fromModule(new WebAssembly.Module(bytes), { seed: new Uint8Array(31) }), EngineError);
});
