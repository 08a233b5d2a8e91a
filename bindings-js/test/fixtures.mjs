// Certificates that tests share: a CA and a server certificate for localhost, 127.0.0.1 and ::1, valid until 2120.
import { readFileSync } from "node:fs";

const read = (name) => readFileSync(new URL(`../../tests/data/${name}`, import.meta.url), "utf8");

export const ca = read("ca.pem");
export const cert = read("server.pem");
export const key = read("server_key.pem");

/** Bytes that look random and are not. */
export function pattern(length) {
  const bytes = new Uint8Array(length);
  for (let i = 0, state = 1; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** All that a stream gives. */
export async function collect(readable) {
  const chunks = [];
  for await (const chunk of readable) {
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Writes everything, and ends the stream. */
export async function send(writable, bytes) {
  const writer = writable.getWriter();
  await writer.write(bytes);
  await writer.close();
}
