import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Engine } from "quillon/core";
import { server } from "../../web-demo/serve.mjs";
import { transfer } from "../../web-demo/transfer.js";

const data = (name) => new Uint8Array(readFileSync(new URL(`../../tests/data/${name}`, import.meta.url)));

test("the page's transfer delivers every byte", async () => {
  const engine = await Engine.load(readFileSync(new URL("../dist/quillon.wasm", import.meta.url)));
  const identity = { certificate: data("server.der"), privateKey: data("server_key.der"), authority: data("ca.der") };
  const report = await transfer(engine, identity, 2_000_000);
  assert.equal(report.received, report.sent);
  // A packet is no longer than Ethernet has them.
  assert.ok(report.datagrams >= 2_000_000 / 1500);
});

test("the page's server gives what the page asks for, and nothing outside", async () => {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  try {
    const page = await (await fetch(`${origin}/`)).text();
    assert.match(page, /page\.js/);
    for (const file of ["web-demo/page.js", "web-demo/transfer.js", "bindings-js/dist/core/index.js", "tests/data/ca.der"]) {
      assert.equal((await fetch(`${origin}/${file}`)).status, 200, file);
    }
    const module = await fetch(`${origin}/bindings-js/dist/quillon.wasm`);
    assert.equal(module.headers.get("content-type"), "application/wasm");
    for (const file of ["Cargo.toml", "web-demo/..%2fCargo.toml", "web-demo/../Cargo.toml", "web-demo/none.js"]) {
      assert.equal((await fetch(`${origin}/${file}`)).status, 404, file);
    }
  } finally {
    await new Promise((resolve) => server.close(resolve).closeAllConnections());
  }
});
