#!/usr/bin/env node
// Serves the files under a folder by hq-interop (HTTP/0.9 on QUIC streams) over UDP.
//
//   node examples/serve.mjs --root DIR --cert FILE --key FILE [--port N | --listen HOST:PORT]
//
// The certificate and its key are PEM. One for a test:
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 14 -subj /CN=localhost \
//     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem
import { open, realpath } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { parseArgs } from "node:util";

import { listen } from "quillon";

/** A request is one line, and no longer than this. */
const MAX_REQUEST = 4096;
/** The code of a stream that is refused. */
const NOT_FOUND = 1;

async function main() {
  const { values } = parseArgs({
    options: {
      root: { type: "string" },
      cert: { type: "string" },
      key: { type: "string" },
      port: { type: "string", default: "4433" },
      listen: { type: "string" },
    },
  });
  if (values.root === undefined || values.cert === undefined || values.key === undefined) {
    throw new Error("usage: serve.mjs --root DIR --cert FILE --key FILE [--port N | --listen HOST:PORT]");
  }
  const root = await realpath(values.root);
  const endpoint = await listen((session) => void serve(session, root), {
    address: values.listen ?? `127.0.0.1:${values.port}`,
    alpn: "hq-interop",
    cert: readFileSync(values.cert),
    key: readFileSync(values.key),
  });
  const { address, port } = endpoint.address;
  console.log(`listening on ${address.includes(":") ? `[${address}]` : address}:${port}`);
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => endpoint.destroy());
  }
  await endpoint.closed;
}

/** Answers every stream of a session. */
async function serve(session, root) {
  try {
    for await (const stream of session.incomingBidirectionalStreams) {
      answer(stream, root).catch((error) => {
        console.error(`serve: ${error.message}`);
        stream.resetStream(NOT_FOUND);
        stream.stopSending(NOT_FOUND);
      });
    }
  } catch (error) {
    console.error(`serve: ${error.message}`);
  }
}

async function answer(stream, root) {
  const path = await request(stream.readable);
  const file = await openUnder(root, path);
  const writer = stream.writable.getWriter();
  try {
    const buffer = new Uint8Array(256 * 1024);
    for (;;) {
      const { bytesRead } = await file.read(buffer);
      if (bytesRead === 0) {
        break;
      }
      // A write that is done has taken the bytes: the buffer is free again. It waits while the client does not read.
      await writer.write(buffer.subarray(0, bytesRead));
    }
    console.log(`sent ${path}`);
  } finally {
    await file.close();
  }
  // A client that has everything may close before it acknowledges: that is no error here.
  await writer.close().catch(() => undefined);
}

/** The path that a request line asks for. */
async function request(readable) {
  let text = "";
  for await (const chunk of readable) {
    text += new TextDecoder().decode(chunk);
    if (text.length > MAX_REQUEST) {
      break;
    }
  }
  const [, path] = /^GET (\/[^ \r\n]*)\r?\n?$/.exec(text) ?? [];
  if (path === undefined) {
    throw new Error("this is no hq-interop request");
  }
  return decodeURIComponent(path);
}

/** Opens a file, unless it lies elsewhere. */
async function openUnder(root, path) {
  const found = await realpath(join(root, path)).catch(() => undefined);
  if (found === undefined || !found.startsWith(root + sep)) {
    throw new Error(`there is no ${path}`);
  }
  return open(found);
}

main().catch((error) => {
  console.error(`serve: ${error.message}`);
  process.exitCode = 1;
});
