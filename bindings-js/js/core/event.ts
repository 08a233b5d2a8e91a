import { Closed, EventKind, Status } from "./constants.js";
import type { Connection } from "./connection.js";
import type { Instance } from "./instance.js";

/** Both ends send, or only the opener. */
export type Dir = "bidi" | "uni";

/** Who or what ended a connection. */
export type CloseCause =
  | "transport"
  | "application"
  | "idle-timeout"
  | "handshake-timeout"
  | "version-negotiation"
  | "stateless-reset";

/** How a connection ended. */
export interface CloseInfo {
  readonly cause: CloseCause;
  /** Whether the peer ended it. */
  readonly byPeer: boolean;
  /** The transport's or the application's error code; 0 for the other causes. */
  readonly code: bigint;
  /** For people; may be empty. */
  readonly reason: string;
}

/** What happened on a connection. */
export type Event = { readonly connection: Connection } & (
  | { readonly type: "accepted" | "handshake-complete" | "handshake-confirmed" | "drained" }
  | { readonly type: "stream-opened" | "stream-readable" | "stream-writable" | "stream-finished"; readonly id: bigint }
  | { readonly type: "stream-reset" | "stream-stopped"; readonly id: bigint; readonly code: bigint }
  | { readonly type: "streams-available"; readonly dir: Dir }
  | { readonly type: "key-log"; readonly line: string }
  | { readonly type: "closed"; readonly info: CloseInfo }
);

const utf8 = new TextDecoder();

/** Reads the event in the status block; `null` for a kind that this package does not know. */
export function readEvent(instance: Instance, kind: number, connection: Connection): Event | null {
  const id = () => instance.statusBigInt(Status.EVENT_STREAM);
  const code = () => instance.statusBigInt(Status.EVENT_CODE);
  const text = () => utf8.decode(instance.statusData(Status.EVENT_DATA, Status.EVENT_DATA_LEN));
  switch (kind) {
    case EventKind.ACCEPTED:
      return { connection, type: "accepted" };
    case EventKind.HANDSHAKE_COMPLETE:
      return { connection, type: "handshake-complete" };
    case EventKind.HANDSHAKE_CONFIRMED:
      return { connection, type: "handshake-confirmed" };
    case EventKind.STREAM_OPENED:
      return { connection, type: "stream-opened", id: id() };
    case EventKind.STREAM_READABLE:
      return { connection, type: "stream-readable", id: id() };
    case EventKind.STREAM_WRITABLE:
      return { connection, type: "stream-writable", id: id() };
    case EventKind.STREAM_FINISHED:
      return { connection, type: "stream-finished", id: id() };
    case EventKind.STREAM_RESET:
      return { connection, type: "stream-reset", id: id(), code: code() };
    case EventKind.STREAM_STOPPED:
      return { connection, type: "stream-stopped", id: id(), code: code() };
    case EventKind.STREAMS_AVAILABLE:
      return { connection, type: "streams-available", dir: instance.statusNumber(Status.EVENT_DETAIL) === 0 ? "bidi" : "uni" };
    case EventKind.KEY_LOG:
      return { connection, type: "key-log", line: text() };
    case EventKind.CLOSED: {
      const detail = instance.statusNumber(Status.EVENT_DETAIL);
      return { connection, type: "closed", info: { ...closedBy(detail), code: code(), reason: text() } };
    }
    case EventKind.DRAINED:
      return { connection, type: "drained" };
    default:
      return null;
  }
}

function closedBy(detail: number): Pick<CloseInfo, "cause" | "byPeer"> {
  switch (detail) {
    case Closed.TRANSPORT_PEER:
      return { cause: "transport", byPeer: true };
    case Closed.APPLICATION_LOCAL:
      return { cause: "application", byPeer: false };
    case Closed.APPLICATION_PEER:
      return { cause: "application", byPeer: true };
    case Closed.IDLE_TIMEOUT:
      return { cause: "idle-timeout", byPeer: false };
    case Closed.HANDSHAKE_TIMEOUT:
      return { cause: "handshake-timeout", byPeer: false };
    case Closed.VERSION_NEGOTIATION:
      return { cause: "version-negotiation", byPeer: true };
    case Closed.STATELESS_RESET:
      return { cause: "stateless-reset", byPeer: true };
    default:
      return { cause: "transport", byPeer: false };
  }
}
