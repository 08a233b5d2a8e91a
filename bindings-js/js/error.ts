import { EngineError, type CloseInfo } from "./core/index.js";

/** The string that a program tells errors apart by. */
export type QuicErrorCode =
  /** One end's transport closed the session. */
  | "ERR_QUIC_TRANSPORT_ERROR"
  /** The peer's application closed the session with an error. */
  | "ERR_QUIC_APPLICATION_ERROR"
  /** Nothing came for as long as the idle timeout. */
  | "ERR_QUIC_IDLE_TIMEOUT"
  /** The handshake took too long. */
  | "ERR_QUIC_HANDSHAKE_TIMEOUT"
  /** The server speaks no version of ours. */
  | "ERR_QUIC_VERSION_NEGOTIATION_ERROR"
  /** The peer has lost the session's state. */
  | "ERR_QUIC_STATELESS_RESET"
  /** The session was closed without an error, and what was asked of it can no longer be done. */
  | "ERR_QUIC_SESSION_CLOSED"
  /** The peer reset its part of the stream. */
  | "ERR_QUIC_STREAM_RESET"
  /** The peer wants no more of the stream. */
  | "ERR_QUIC_STREAM_STOPPED"
  /** The endpoint is closed. */
  | "ERR_QUIC_ENDPOINT_CLOSED"
  /** The network refused: the port, the address, the permission. */
  | "ERR_QUIC_NETWORK"
  /** A setting, a certificate or a key makes no sense. */
  | "ERR_QUIC_INVALID_OPTIONS"
  /** It is too early or too late for this, or the wrong end. */
  | "ERR_QUIC_INVALID_STATE"
  /** The peer does not take part in this extension. */
  | "ERR_QUIC_UNSUPPORTED"
  /** The server did not take the early data: send again, on streams that are new. */
  | "ERR_QUIC_EARLY_DATA_REJECTED"
  /** Nothing came back on the path that the session was to move to; it goes on where it is. */
  | "ERR_QUIC_MIGRATION_FAILED"
  /** The engine failed; its sessions are lost, and a new endpoint gets a new one. */
  | "ERR_QUIC_ENGINE";

/** Whose error code it is. */
export type QuicErrorType = "application" | "transport";

/** Whatever goes wrong with an endpoint, a session or a stream. */
export class QuicError extends Error {
  override readonly name = "QuicError";
  /** What kind of error. */
  readonly code: QuicErrorCode;
  /** The error code on the wire; 0 where there is none. */
  readonly errorCode: bigint;
  /** Whether `errorCode` is the application's or the transport's. */
  readonly type: QuicErrorType;
  /** What the end that closed said; may be empty. */
  readonly reason: string;

  constructor(
    message: string,
    details: { code: QuicErrorCode; errorCode?: bigint; type?: QuicErrorType; reason?: string; cause?: unknown },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.errorCode = details.errorCode ?? 0n;
    this.type = details.type ?? "transport";
    this.reason = details.reason ?? "";
  }
}

/** RFC 9000 section 20.1. */
const TRANSPORT_ERRORS = [
  "NO_ERROR",
  "INTERNAL_ERROR",
  "CONNECTION_REFUSED",
  "FLOW_CONTROL_ERROR",
  "STREAM_LIMIT_ERROR",
  "STREAM_STATE_ERROR",
  "FINAL_SIZE_ERROR",
  "FRAME_ENCODING_ERROR",
  "TRANSPORT_PARAMETER_ERROR",
  "CONNECTION_ID_LIMIT_ERROR",
  "PROTOCOL_VIOLATION",
  "INVALID_TOKEN",
  "APPLICATION_ERROR",
  "CRYPTO_BUFFER_EXCEEDED",
  "KEY_UPDATE_ERROR",
  "AEAD_LIMIT_REACHED",
  "NO_VIABLE_PATH",
  "VERSION_NEGOTIATION_ERROR",
];

/** RFC 8446 section 6. */
const ALERTS: Readonly<Record<number, string>> = {
  10: "unexpected_message",
  40: "handshake_failure",
  42: "bad_certificate",
  43: "unsupported_certificate",
  44: "certificate_revoked",
  45: "certificate_expired",
  46: "certificate_unknown",
  47: "illegal_parameter",
  48: "unknown_ca",
  49: "access_denied",
  50: "decode_error",
  51: "decrypt_error",
  70: "protocol_version",
  71: "insufficient_security",
  80: "internal_error",
  109: "missing_extension",
  110: "unsupported_extension",
  112: "unrecognized_name: the server has no certificate for this name",
  116: "certificate_required",
  120: "no_application_protocol: the two ends share no protocol, compare their `alpn`",
};

/** What a transport error code is called. */
export function transportErrorName(code: bigint): string {
  // RFC 9001 section 4.8: 0x100 and a TLS alert.
  if (code >= 0x100n && code <= 0x1ffn) {
    const alert = Number(code & 0xffn);
    return `CRYPTO_ERROR (${ALERTS[alert] ?? `alert ${alert}`})`;
  }
  return TRANSPORT_ERRORS[Number(code)] ?? `error 0x${code.toString(16)}`;
}

/** The error that a session ended with; `null` where it ended as one of its applications wished. */
export function closeError(info: CloseInfo): QuicError | null {
  const { code: errorCode, reason } = info;
  const who = info.byPeer ? "the peer" : "this end";
  const because = reason === "" ? "" : `: ${reason}`;
  switch (info.cause) {
    case "application":
      if (!info.byPeer || errorCode === 0n) {
        return null;
      }
      return new QuicError(`${who}'s application closed the session with code ${errorCode}${because}`, {
        code: "ERR_QUIC_APPLICATION_ERROR",
        errorCode,
        type: "application",
        reason,
      });
    case "transport":
      if (errorCode === 0n) {
        return null;
      }
      return new QuicError(`${who} closed the session: ${transportErrorName(errorCode)}${because}`, {
        code: "ERR_QUIC_TRANSPORT_ERROR",
        errorCode,
        reason,
      });
    case "idle-timeout":
      return new QuicError(reason, { code: "ERR_QUIC_IDLE_TIMEOUT", reason });
    case "handshake-timeout":
      return new QuicError(reason, { code: "ERR_QUIC_HANDSHAKE_TIMEOUT", reason });
    case "version-negotiation":
      return new QuicError(reason, { code: "ERR_QUIC_VERSION_NEGOTIATION_ERROR", reason });
    case "stateless-reset":
      return new QuicError(reason, { code: "ERR_QUIC_STATELESS_RESET", reason });
  }
}

/** For what can no longer be done because the session is over. */
export function sessionClosed(info?: CloseInfo): QuicError {
  const details = { errorCode: info?.code ?? 0n, type: "application", reason: info?.reason ?? "" } as const;
  return new QuicError("the session is closed", { code: "ERR_QUIC_SESSION_CLOSED", ...details });
}

/** The peer ended its part of a stream, or ours, with an application code. */
export function streamError(code: "ERR_QUIC_STREAM_RESET" | "ERR_QUIC_STREAM_STOPPED", errorCode: bigint): QuicError {
  const what = code === "ERR_QUIC_STREAM_RESET" ? "the stream was reset" : "the stream's receiver wants no more";
  return new QuicError(`${what} (code ${errorCode})`, { code, errorCode, type: "application" });
}

/** What the engine says of sessions and streams that are over. */
const GONE = new Set<string>(["QUILLON_ERR_CLOSED", "QUILLON_ERR_INVALID_HANDLE", "QUILLON_ERR_UNKNOWN_STREAM"]);

const CODES: Readonly<Record<string, QuicErrorCode | undefined>> = {
  QUILLON_ERR_INVALID_STATE: "ERR_QUIC_INVALID_STATE",
  QUILLON_ERR_UNSUPPORTED: "ERR_QUIC_UNSUPPORTED",
};

/** What a call of the engine threw, in this layer's words. */
export function fromEngine(error: unknown): QuicError {
  if (error instanceof QuicError) {
    return error;
  }
  if (!(error instanceof EngineError)) {
    const detail = error instanceof Error ? error.message : String(error);
    return new QuicError(`the engine failed: ${detail}`, { code: "ERR_QUIC_ENGINE", cause: error });
  }
  if (error.code === "QUILLON_ERR_RESET") {
    return streamError("ERR_QUIC_STREAM_RESET", error.peerCode ?? 0n);
  }
  if (error.code === "QUILLON_ERR_STOPPED") {
    return streamError("ERR_QUIC_STREAM_STOPPED", error.peerCode ?? 0n);
  }
  if (GONE.has(error.code)) {
    return sessionClosed();
  }
  const code = CODES[error.code] ?? "ERR_QUIC_INVALID_OPTIONS";
  return new QuicError(error.message, { code, cause: error });
}

/** What to do about the system's errors. */
const HINTS: Readonly<Record<string, string>> = {
  EACCES: "no permission, choose a port above 1023",
  EADDRINUSE: "the port is in use, choose another",
  EADDRNOTAVAIL: "this machine has no such address",
  ECONNREFUSED: "nothing listens there, check the address and the port",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
};

/** An error of the system, with what to do about it. */
export function networkError(what: string, cause: unknown): QuicError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const hint = HINTS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new QuicError(`${what}: ${hint}`, { code: "ERR_QUIC_NETWORK", cause });
}
