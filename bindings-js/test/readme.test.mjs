import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { promisify } from "node:util";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const examples = Array.from(readme.matchAll(/^```js\n(.*?)^```$/gms), ([, code]) => code);

test("the example that makes its own certificate echoes a datagram, and ends by itself", async () => {
  const code = examples.find((example) => example.includes("generateCertificate"));
  const options = { cwd: new URL("..", import.meta.url), timeout: 20_000 };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code], options);
  assert.match(stdout, /Uint8Array\(3\) \[ 1, 2, 3 \]/);
});
