import type { Address, Ecn, Path } from "../core/index.js";

/** What a transport tells. */
export interface DatagramReceiver {
  /** A datagram has come. It is copied before this returns. */
  onDatagram(datagram: Uint8Array, path: Path, ecn: Ecn): void;
  /** The network refuses: a port that nobody listens on, a route that is gone. */
  onError(error: Error): void;
}

/** What carries datagrams: a UDP socket, a relay, a memory. */
export interface DatagramTransport {
  /** Our address, as far as it is known. */
  readonly local: Address;
  /** Starts to deliver. Called once. */
  start(receiver: DatagramReceiver): void;
  /** Sends one datagram, or drops it as networks do. Copies it before it returns. */
  send(datagram: Uint8Array, path: Path, ecn: Ecn): void;
  /** Whether the transport keeps the process running. */
  setRef(ref: boolean): void;
  close(): Promise<void>;
}
