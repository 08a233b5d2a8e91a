import { QuicError } from "./error.js";

/** Certificates or a key: PEM text, or DER bytes, or PEM text in bytes. */
export type PemOrDer = string | Uint8Array;

interface Block {
  readonly label: string;
  readonly der: Uint8Array;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/g;

/** The blocks of a PEM text (RFC 7468). */
export function pemBlocks(text: string): Block[] {
  return Array.from(text.matchAll(BLOCK), ([, label = "", body = ""]) => {
    // Old keys carry headers ("Proc-Type: 4,ENCRYPTED"), which only encrypted ones need.
    if (body.includes(":")) {
      throw invalid(`the ${label} is encrypted: decrypt it first`);
    }
    return { label, der: base64(body) };
  });
}

/** Every certificate in `source`, DER. */
export function certificates(source: PemOrDer | readonly PemOrDer[], option: string): Uint8Array[] {
  return sources(source).flatMap((one) => {
    const text = pemText(one);
    if (text === null) {
      return [one as Uint8Array];
    }
    const found = pemBlocks(text).filter(({ label }) => label === "CERTIFICATE");
    if (found.length === 0) {
      throw invalid(`the option "${option}" holds no certificate: give PEM text or DER bytes`);
    }
    return found.map(({ der }) => der);
  });
}

/** The private key in `source`, DER. */
export function privateKey(source: PemOrDer): Uint8Array {
  const text = pemText(source);
  if (text === null) {
    return source as Uint8Array;
  }
  const labels = pemBlocks(text);
  const found = labels.find(({ label }) => ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"].includes(label));
  if (found === undefined) {
    const isEncrypted = labels.some(({ label }) => label === "ENCRYPTED PRIVATE KEY");
    throw invalid(isEncrypted ? "the private key is encrypted: decrypt it first" : 'the option "key" holds no private key');
  }
  return found.der;
}

function sources(source: PemOrDer | readonly PemOrDer[]): readonly PemOrDer[] {
  return typeof source === "string" || source instanceof Uint8Array ? [source] : source;
}

/** DER starts with the tag of a SEQUENCE: `null`. Anything else is taken for text. */
function pemText(source: PemOrDer): string | null {
  if (typeof source === "string") {
    return source;
  }
  return source[0] === 0x30 ? null : new TextDecoder().decode(source);
}

function base64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text.replace(/\s/g, "")), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new QuicError("a PEM block is no base64", { code: "ERR_QUIC_INVALID_OPTIONS", cause });
  }
}

function invalid(message: string): QuicError {
  return new QuicError(message, { code: "ERR_QUIC_INVALID_OPTIONS" });
}
