#!/usr/bin/env node
// Downloads a file by hq-interop (HTTP/0.9 on a QUIC stream) over UDP.
//
//   node examples/download.mjs https://localhost:4433/file.bin [OUT] [--ca FILE | --insecure] [--json]
//
// With SSLKEYLOGFILE set, the session's secrets are appended to that file.
import { createHash } from "node:crypto";
import { appendFileSync, createWriteStream, readFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename } from "node:path";
import { finished } from "node:stream/promises";
import { once } from "node:events";
import { parseArgs } from "node:util";

import { connect } from "quillon";

/** The application's error codes. */
const NO_ERROR = 0;

async function main() {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      ca: { type: "string" },
      insecure: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    },
  });
  const [url, out] = positionals;
  if (url === undefined || positionals.length > 2) {
    throw new Error("usage: download.mjs URL [OUT] [--ca FILE | --insecure] [--json]");
  }
  const summary = await download(new URL(url), out, values);
  if (values.json) {
    console.log(JSON.stringify(summary));
  } else {
    print(summary);
  }
}

async function download(url, out, { ca, insecure }) {
  const port = url.port === "" ? 443 : Number(url.port);
  const start = performance.now();
  const session = await connect(
    { address: url.hostname.replace(/^\[|\]$/g, ""), port },
    {
      alpn: "hq-interop",
      verifyPeer: !insecure,
      ...(ca !== undefined && { ca: readFileSync(ca) }),
      ...(process.env.SSLKEYLOGFILE && { onkeylog: (line) => appendFileSync(process.env.SSLKEYLOGFILE, `${line}\n`, { mode: 0o600 }) }),
    },
  );
  try {
    await session.opened;
    const stream = await session.createBidirectionalStream();
    const request = stream.writable.getWriter();
    await request.write(new TextEncoder().encode(`GET ${url.pathname}\r\n`));
    // Closing waits until the server has acknowledged the request: the answer comes meanwhile.
    const asked = request.close();
    const saved = save(stream.readable, out ?? (basename(url.pathname) || "index.html"));
    const [received] = await Promise.all([saved, asked]);
    return summarise(received, (performance.now() - start) / 1000, session.getStats());
  } finally {
    // Where the session has failed, the error is on its way already.
    await session.close({ code: NO_ERROR }).catch(() => undefined);
  }
}

function summarise(received, seconds, stats) {
  return {
    engine: "wasm",
    ...received,
    seconds,
    mb_per_second: received.bytes / 1e6 / seconds,
    handshake_ms: Number(stats.handshakeDuration) / 1e6,
    rtt_ms: Number(stats.smoothedRtt) / 1e6,
    packets_lost: Number(stats.packetsLost),
    module_datagrams: Number(stats.datagramsSent + stats.datagramsReceived),
  };
}

/** Writes what a stream gives into a file, which has its name only once it is whole. */
async function save(readable, path) {
  const partial = `${path}.part`;
  const hash = createHash("sha256");
  const file = createWriteStream(partial);
  let bytes = 0;
  try {
    await once(file, "open");
    for await (const chunk of readable) {
      bytes += chunk.length;
      hash.update(chunk);
      if (!file.write(chunk)) {
        await once(file, "drain");
      }
    }
    file.end();
    await finished(file);
    await rename(partial, path);
  } catch (error) {
    file.destroy();
    await rm(partial, { force: true });
    throw error;
  }
  return { file: path, bytes, sha256: hash.digest("hex") };
}

function print(summary) {
  console.log(`${summary.file}: ${summary.bytes} bytes in ${summary.seconds.toFixed(2)} s, ${summary.mb_per_second.toFixed(1)} MB/s`);
  console.log(`  SHA-256 ${summary.sha256}`);
  console.log(
    `  handshake ${summary.handshake_ms.toFixed(1)} ms, RTT ${summary.rtt_ms.toFixed(2)} ms, ` +
      `${summary.packets_lost} packets lost, ${summary.module_datagrams} datagrams through the module`,
  );
}

main().catch((error) => {
  console.error(`download: ${error.message}`);
  process.exitCode = 1;
});
