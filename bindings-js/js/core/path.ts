import { Layout } from "./constants.js";

/** One end of a path. */
export interface Address {
  /** An IPv4 or IPv6 address, as text. */
  readonly address: string;
  readonly port: number;
}

/** The length of an address as the ABI has it. */
export const ADDRESS_LEN = 20;

/** The two addresses of a network path, ours and the peer's; immutable, and made once for many packets. */
export class Path {
  readonly local: Address;
  readonly remote: Address;
  /** The path as the ABI has it. */
  readonly encoded: Uint8Array;

  constructor(local: Address, remote: Address) {
    this.local = local;
    this.remote = remote;
    this.encoded = new Uint8Array(Layout.PATH_LEN);
    encodeAddress(this.encoded, 0, local);
    encodeAddress(this.encoded, ADDRESS_LEN, remote);
  }

  /** Whether `bytes` at `offset` are this path. */
  matches(bytes: Uint8Array, offset: number): boolean {
    const encoded = this.encoded;
    for (let i = 0; i < encoded.length; i++) {
      if (bytes[offset + i] !== encoded[i]) {
        return false;
      }
    }
    return true;
  }

  /** Reads a path as the ABI has it. */
  static decode(bytes: Uint8Array, offset: number): Path {
    return new Path(decodeAddress(bytes, offset), decodeAddress(bytes, offset + ADDRESS_LEN));
  }
}

/** Paths in use: the same object for the same addresses, within bounds. */
export class PathTable {
  static readonly #MAX = 4096;
  readonly #paths = new Map<string, Path>();
  #last: Path | undefined;

  /** The path whose bytes are at `offset`. */
  find(bytes: Uint8Array, offset: number): Path {
    if (this.#last?.matches(bytes, offset) === true) {
      return this.#last;
    }
    const key = String.fromCharCode(...bytes.subarray(offset, offset + Layout.PATH_LEN));
    let path = this.#paths.get(key);
    if (path === undefined) {
      path = Path.decode(bytes, offset);
      if (this.#paths.size >= PathTable.#MAX) {
        this.#paths.clear();
      }
      this.#paths.set(key, path);
    }
    this.#last = path;
    return path;
  }
}

/** Writes an address as the ABI has it. */
export function encodeAddress(out: Uint8Array, at: number, { address, port }: Address): void {
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new RangeError(`${port} is no port: use 0 to 65535`);
  }
  const ip = parseIP(address);
  if (ip === null) {
    throw new TypeError(`"${address}" is no IP address`);
  }
  out.fill(0, at, at + ADDRESS_LEN);
  out[at] = ip.length === 4 ? 4 : 6;
  out[at + 2] = port & 0xff;
  out[at + 3] = port >> 8;
  out.set(ip, at + 4);
}

/** Reads an address as the ABI has it. */
export function decodeAddress(bytes: Uint8Array, at: number): Address {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, ADDRESS_LEN);
  const port = view.getUint16(2, true);
  if (view.getUint16(0, true) === 4) {
    return { address: bytes.subarray(at + 4, at + 8).join("."), port };
  }
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(4 + 2 * i).toString(16));
  return { address: groups.join(":"), port };
}

/** The bytes of an IP address in text, 4 or 16; `null` where it is none. */
export function parseIP(text: string): Uint8Array | null {
  return parseIPv4(text) ?? parseIPv6(text);
}

/** The four bytes of an IPv4 address in text. */
function parseIPv4(text: string): Uint8Array | null {
  const parts = text.split(".");
  const isAddress = parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return isAddress ? Uint8Array.from(parts, Number) : null;
}

/** The sixteen bytes of an IPv6 address in text (RFC 4291 section 2.2); a zone is ignored. */
function parseIPv6(text: string): Uint8Array | null {
  const halves = text.replace(/%.*$/, "").split("::");
  if (halves.length > 2) {
    return null;
  }
  const [head, tail] = halves.map(parseGroups);
  if (head === undefined || head === null || tail === null) {
    return null;
  }
  const length = head.length + (tail?.length ?? 0);
  // "::" stands for at least one group.
  if (tail === undefined ? length !== 16 : length > 14) {
    return null;
  }
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail ?? [], 16 - (tail?.length ?? 0));
  return bytes;
}

function parseGroups(text: string): number[] | null {
  const bytes: number[] = [];
  const groups = text === "" ? [] : text.split(":");
  for (const [index, group] of groups.entries()) {
    const ipv4 = index === groups.length - 1 ? parseIPv4(group) : null;
    if (ipv4 !== null) {
      bytes.push(...ipv4);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else {
      return null;
    }
  }
  return bytes;
}
