// The page: loads the module, runs the transfer on a button, shows what came of it.
import { Engine } from "../bindings-js/dist/core/index.js";
import { transfer } from "./transfer.js";

const button = document.querySelector("button");
const output = document.querySelector("output");
const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

const engine = await Engine.load(new URL("../bindings-js/dist/quillon.wasm", import.meta.url));
const [certificate, privateKey, authority] = await Promise.all(
  ["server.der", "server_key.der", "ca.der"].map((file) => bytes(`../tests/data/${file}`)),
);
button.disabled = false;
button.addEventListener("click", async () => {
  button.disabled = true;
  output.textContent = "…";
  try {
    const report = await transfer(engine, { certificate, privateKey, authority }, 16_000_000);
    const speed = report.bytes / report.milliseconds / 1000;
    const verdict = report.sent === report.received ? "the same" : "NOT the same";
    output.textContent =
      `${report.bytes} bytes in ${report.milliseconds.toFixed(0)} ms, ${speed.toFixed(1)} MB/s, ` +
      `${report.datagrams} datagrams; SHA-256 at both ends ${verdict}: ${report.received}`;
  } catch (error) {
    output.textContent = String(error);
  }
  button.disabled = false;
});
