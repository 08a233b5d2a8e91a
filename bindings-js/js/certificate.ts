import { parseIP } from "./core/index.js";
import { QuicError } from "./error.js";

/** A certificate that signs itself, and its key. */
export interface GeneratedCertificate {
  /** The certificate, PEM: the option `cert` of a server, `ca` of a client. */
  readonly cert: string;
  /** The private key, PEM. */
  readonly key: string;
  /** The SHA-256 of the certificate: for `serverCertificateHashes`. */
  readonly hash: Uint8Array;
}

/** What a certificate is made for. */
export interface CertificateOptions {
  /** Names and IP addresses of the server. */
  readonly hosts: readonly string[];
  /** How many days it is valid, from now. Default: 13, since browsers accept a hash of none that is valid for longer than 14. */
  readonly days?: number;
}

const DAY = 86_400_000;
/** Clocks differ: it is valid a little earlier. */
const EARLIER = 3_600_000;

// ASN.1 (X.690 section 8), as far as a certificate needs it.
const SEQUENCE = 0x30;
const SET = 0x31;

/** 1.2.840.10045.4.3.2: ECDSA with SHA-256. */
const ECDSA_SHA256 = tlv(SEQUENCE, Uint8Array.of(0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2));
/** 2.5.4.3: the common name. */
const COMMON_NAME = Uint8Array.of(0x06, 3, 0x55, 4, 3);
/** 2.5.29.17: the names that the certificate is for. */
const ALT_NAME = Uint8Array.of(0x06, 3, 0x55, 0x1d, 17);

/** Makes a certificate for ECDSA on P-256 that signs itself, with the runtime's randomness. */
export async function generateCertificate(options: CertificateOptions): Promise<GeneratedCertificate> {
  const { hosts, days = 13 } = options;
  if (hosts.length === 0 || !(days > 0)) {
    throw new QuicError("a certificate needs a host and a time", { code: "ERR_QUIC_INVALID_OPTIONS" });
  }
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const [publicKey, privateKey] = await Promise.all([
    crypto.subtle.exportKey("spki", pair.publicKey),
    crypto.subtle.exportKey("pkcs8", pair.privateKey),
  ]);
  const body = tbsCertificate(hosts, days, new Uint8Array(publicKey));
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, body);
  const certificate = tlv(SEQUENCE, body, ECDSA_SHA256, bitString(ecdsaSignature(new Uint8Array(signature))));
  return {
    cert: pem("CERTIFICATE", certificate),
    key: pem("PRIVATE KEY", new Uint8Array(privateKey)),
    hash: new Uint8Array(await crypto.subtle.digest("SHA-256", certificate)),
  };
}

/** What is signed (RFC 5280 section 4.1). */
function tbsCertificate(hosts: readonly string[], days: number, publicKey: Uint8Array): Uint8Array<ArrayBuffer> {
  const now = Date.now();
  const name = tlv(SEQUENCE, tlv(SET, tlv(SEQUENCE, COMMON_NAME, text(0x0c, hosts[0] ?? ""))));
  const names = tlv(SEQUENCE, ...hosts.map(generalName));
  return tlv(
    SEQUENCE,
    tlv(0xa0, Uint8Array.of(0x02, 1, 2)),
    integer(crypto.getRandomValues(new Uint8Array(16))),
    ECDSA_SHA256,
    name,
    tlv(SEQUENCE, time(now - EARLIER), time(now - EARLIER + days * DAY)),
    name,
    publicKey,
    tlv(0xa3, tlv(SEQUENCE, tlv(SEQUENCE, ALT_NAME, tlv(0x04, names)))),
  );
}

function generalName(host: string): Uint8Array {
  const ip = parseIP(host);
  return ip === null ? text(0x82, host) : tlv(0x87, ip);
}

/** GeneralizedTime before 1950 and from 2050 on, UTCTime between (RFC 5280 section 4.1.2.5). */
function time(milliseconds: number): Uint8Array {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+/g, "");
  return digits < "2050" ? text(0x17, digits.slice(2)) : text(0x18, digits);
}

/** The two halves of a signature as ASN.1 (RFC 3279 section 2.2.3). */
function ecdsaSignature(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  return tlv(SEQUENCE, integer(raw.subarray(0, half)), integer(raw.subarray(half)));
}

/** A number that is not negative. */
function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) {
    start++;
  }
  const digits = bytes.subarray(start);
  return (digits[0] ?? 0) < 0x80 ? tlv(0x02, digits) : tlv(0x02, Uint8Array.of(0), digits);
}

function bitString(bytes: Uint8Array): Uint8Array {
  return tlv(0x03, Uint8Array.of(0), bytes);
}

function text(tag: number, value: string): Uint8Array {
  return tlv(tag, new TextEncoder().encode(value));
}

/** Tag, length, content. */
function tlv(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  const bytes = new Uint8Array(header.length + length);
  bytes.set(header);
  let at = header.length;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function pem(label: string, der: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...der));
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
