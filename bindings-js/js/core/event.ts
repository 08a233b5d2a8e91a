import { Closed, EventKind, Status } from "./constants.js";
import type { Connection } from "./connection.js";
import type { Instance } from "./instance.js";
import { ADDRESS_LEN, decodeAddress, Path, type Address } from "./path.js";
import { takeSession, type SavedSession } from "./saved.js";

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
  /** The type of the frame at fault, where a transport closed; 0 where it is not known. */
  readonly frameType: bigint;
  /** For people; may be empty. */
  readonly reason: string;
}

/** Events that say it all. */
export type PlainType = (typeof PLAIN)[keyof typeof PLAIN];

const PLAIN = {
  [EventKind.ACCEPTED]: "accepted",
  [EventKind.HANDSHAKE_COMPLETE]: "handshake-complete",
  [EventKind.HANDSHAKE_CONFIRMED]: "handshake-confirmed",
  [EventKind.DRAINED]: "drained",
  [EventKind.DATAGRAM_RECEIVED]: "datagram-received",
  [EventKind.CLIENT_HELLO]: "client-hello",
  [EventKind.DATA_CREDIT_AVAILABLE]: "data-credit-available",
  [EventKind.EARLY_DATA_ACCEPTED]: "early-data-accepted",
  [EventKind.EARLY_DATA_REJECTED]: "early-data-rejected",
  [EventKind.PEER_CERTIFICATE]: "peer-certificate",
  [EventKind.STREAMS_FINISHED]: "streams-finished",
} as const;

/** What happened on a connection. */
export type Event = { readonly connection: Connection } & (
  | { readonly type: PlainType }
  | { readonly type: "stream-opened" | "stream-readable" | "stream-writable" | "stream-finished"; readonly id: bigint }
  | { readonly type: "stream-reset" | "stream-stopped"; readonly id: bigint; readonly code: bigint }
  | { readonly type: "streams-available"; readonly dir: Dir }
  | { readonly type: "stream-acked"; readonly id: bigint; readonly offset: bigint }
  /** A stream is over both ways; `code` is why, `null` where it came to its end. */
  | { readonly type: "stream-closed"; readonly id: bigint; readonly code: bigint | null }
  /** What became of the packet of a datagram; `dropped`: it was never sent. */
  | { readonly type: "datagram-acked" | "datagram-lost" | "datagram-dropped"; readonly id: bigint }
  /** So many received datagrams gave way before they were read. */
  | { readonly type: "datagrams-overflowed"; readonly count: bigint }
  | { readonly type: "keys-updated"; readonly byPeer: boolean }
  | { readonly type: "new-token"; readonly token: Uint8Array }
  | { readonly type: "new-session"; readonly session: SavedSession }
  | { readonly type: "path-changed" | "path-failed"; readonly path: Path }
  | { readonly type: "path-validated"; readonly path: Path; readonly isNewPeerAddress: boolean }
  /** Where the server would rather be reached. */
  | { readonly type: "preferred-address"; readonly addresses: readonly Address[] }
  | { readonly type: "key-log"; readonly line: string }
  | { readonly type: "closed"; readonly info: CloseInfo }
);

const utf8 = new TextDecoder();

/** Reads the event in the status block; `null` for a kind that this package does not know. */
export function readEvent(instance: Instance, kind: number, connection: Connection): Event | null {
  const id = () => instance.statusBigInt(Status.EVENT_STREAM);
  const code = () => instance.statusBigInt(Status.EVENT_CODE);
  const text = () => utf8.decode(instance.statusData(Status.EVENT_DATA, Status.EVENT_DATA_LEN));
  const plain = (PLAIN as Readonly<Record<number, PlainType | undefined>>)[kind];
  if (plain !== undefined) {
    return { connection, type: plain };
  }
  switch (kind) {
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
      return { connection, type: "closed", info: { ...closedBy(detail), code: code(), frameType: id(), reason: text() } };
    }
    case EventKind.STREAM_ACKED:
      return { connection, type: "stream-acked", id: id(), offset: code() };
    case EventKind.STREAM_CLOSED:
      return { connection, type: "stream-closed", id: id(), code: isSet(instance) ? code() : null };
    case EventKind.DATAGRAM_ACKED:
      return { connection, type: "datagram-acked", id: code() };
    case EventKind.DATAGRAM_LOST:
      return { connection, type: "datagram-lost", id: code() };
    case EventKind.DATAGRAM_DROPPED:
      return { connection, type: "datagram-dropped", id: code() };
    case EventKind.DATAGRAMS_OVERFLOWED:
      return { connection, type: "datagrams-overflowed", count: code() };
    default:
      return readRareEvent(instance, kind, connection);
  }
}

function readRareEvent(instance: Instance, kind: number, connection: Connection): Event | null {
  const data = () => instance.statusData(Status.EVENT_DATA, Status.EVENT_DATA_LEN);
  switch (kind) {
    case EventKind.KEYS_UPDATED:
      return { connection, type: "keys-updated", byPeer: isSet(instance) };
    case EventKind.NEW_TOKEN:
      return { connection, type: "new-token", token: data().slice() };
    case EventKind.NEW_SESSION: {
      const session = takeSession(instance);
      return session && { connection, type: "new-session", session };
    }
    case EventKind.PATH_CHANGED:
      return { connection, type: "path-changed", path: Path.decode(data(), 0) };
    case EventKind.PATH_VALIDATED:
      return { connection, type: "path-validated", path: Path.decode(data(), 0), isNewPeerAddress: isSet(instance) };
    case EventKind.PATH_FAILED:
      return { connection, type: "path-failed", path: Path.decode(data(), 0) };
    case EventKind.PREFERRED_ADDRESS:
      return { connection, type: "preferred-address", addresses: addresses(data()) };
    default:
      return null;
  }
}

/** The event's detail as a flag. */
function isSet(instance: Instance): boolean {
  return instance.statusNumber(Status.EVENT_DETAIL) === 1;
}

function addresses(data: Uint8Array): Address[] {
  return Array.from({ length: data.length / ADDRESS_LEN }, (_, index) => decodeAddress(data, index * ADDRESS_LEN));
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
