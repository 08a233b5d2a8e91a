// What the runtime gives: the module's file, trusted certificates, names, sockets. Node's; a page will have another.
import { lookup } from "node:dns/promises";
import * as tls from "node:tls";

import { compile, parseIP, type Address } from "./core/index.js";
import { networkError, QuicError } from "./error.js";
import { certificates } from "./pem.js";
import type { DatagramTransport } from "./transport/transport.js";
import { UdpTransport, type UdpOptions } from "./transport/udp.js";

let module: Promise<WebAssembly.Module> | undefined;
let roots: Uint8Array[] | undefined;

/** The engine's module, compiled once. */
export function engineModule(): Promise<WebAssembly.Module> {
  module ??= compile(new URL("./quillon.wasm", import.meta.url)).catch((cause: unknown) => {
    module = undefined;
    throw new QuicError("quillon.wasm cannot be loaded: build the package first", { code: "ERR_QUIC_ENGINE", cause });
  });
  return module;
}

/** The certificates that the system trusts, or else those that come with the runtime. */
export function defaultRoots(): readonly Uint8Array[] {
  // Node 22.15 and later.
  const { getCACertificates } = tls as { getCACertificates?: (type: "system") => string[] };
  const system = getCACertificates?.("system") ?? [];
  roots ??= certificates(system.length > 0 ? system : tls.rootCertificates, "ca");
  return roots;
}

/** The IP address of a host, IPv4 first. */
export async function resolve({ address, port }: Address): Promise<Address> {
  if (parseIP(address) !== null) {
    return { address, port };
  }
  try {
    return { address: (await lookup(address, { verbatim: false })).address, port };
  } catch (cause) {
    throw new QuicError(`the host "${address}" is not known: check its name`, { code: "ERR_QUIC_NETWORK", cause });
  }
}

/** A UDP socket. */
export async function bindUdp(options: UdpOptions): Promise<DatagramTransport> {
  try {
    return await UdpTransport.bind(options);
  } catch (cause) {
    const where = options.address === undefined ? "a UDP socket" : `${options.address}, UDP port ${options.port ?? 0}`;
    throw networkError(`cannot open ${where}`, cause);
  }
}
