import { StatsField } from "./constants.js";

/** Counts and measures of a connection. Bytes are UDP payload; times are nanoseconds. */
export interface Stats {
  readonly datagramsSent: bigint;
  readonly datagramsReceived: bigint;
  readonly bytesSent: bigint;
  readonly bytesReceived: bigint;
  readonly packetsSent: bigint;
  readonly packetsReceived: bigint;
  readonly packetsLost: bigint;
  readonly bytesLost: bigint;
  readonly packetsDropped: bigint;
  readonly smoothedRtt: bigint;
  readonly latestRtt: bigint;
  readonly minRtt: bigint;
  readonly rttVariance: bigint;
  readonly congestionWindow: bigint;
  readonly bytesInFlight: bigint;
  /** `null` before the first loss. */
  readonly ssthresh: bigint | null;
  /** `null` before the handshake is complete. */
  readonly handshakeDuration: bigint | null;
  readonly maxUdpPayloadSize: bigint;
  readonly packetsAcked: bigint;
  readonly bytesAcked: bigint;
  /** ACK frames. */
  readonly acksSent: bigint;
  readonly acksReceived: bigint;
  /** How often the probe timeout has expired (RFC 9002 section 6.2). */
  readonly probeTimeouts: bigint;
  /** How often losses made the congestion window smaller. */
  readonly congestionEvents: bigint;
  readonly persistentCongestionEvents: bigint;
  /** How often packet keys were updated, by either end. */
  readonly keyUpdates: bigint;
  /** Streams that this end opened. */
  readonly streamsOpened: bigint;
  /** Streams that the peer opened, as far as the caller was told. */
  readonly streamsAccepted: bigint;
  /** DATAGRAM frames (RFC 9221). */
  readonly datagramFramesSent: bigint;
  readonly datagramFramesReceived: bigint;
}

const ABSENT = 2n ** 64n - 1n;

/** Reads the statistics as the ABI copies them out. */
export function readStats(bytes: Uint8Array): Stats {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const field = (index: number) => view.getBigUint64(8 * index, true);
  const optional = (index: number) => (field(index) === ABSENT ? null : field(index));
  return {
    datagramsSent: field(StatsField.DATAGRAMS_SENT),
    datagramsReceived: field(StatsField.DATAGRAMS_RECEIVED),
    bytesSent: field(StatsField.BYTES_SENT),
    bytesReceived: field(StatsField.BYTES_RECEIVED),
    packetsSent: field(StatsField.PACKETS_SENT),
    packetsReceived: field(StatsField.PACKETS_RECEIVED),
    packetsLost: field(StatsField.PACKETS_LOST),
    bytesLost: field(StatsField.BYTES_LOST),
    packetsDropped: field(StatsField.PACKETS_DROPPED),
    smoothedRtt: field(StatsField.SMOOTHED_RTT),
    latestRtt: field(StatsField.LATEST_RTT),
    minRtt: field(StatsField.MIN_RTT),
    rttVariance: field(StatsField.RTT_VARIANCE),
    congestionWindow: field(StatsField.CONGESTION_WINDOW),
    bytesInFlight: field(StatsField.BYTES_IN_FLIGHT),
    ssthresh: optional(StatsField.SSTHRESH),
    handshakeDuration: optional(StatsField.HANDSHAKE_DURATION),
    maxUdpPayloadSize: field(StatsField.MAX_UDP_PAYLOAD_SIZE),
    packetsAcked: field(StatsField.PACKETS_ACKED),
    bytesAcked: field(StatsField.BYTES_ACKED),
    acksSent: field(StatsField.ACKS_SENT),
    acksReceived: field(StatsField.ACKS_RECEIVED),
    probeTimeouts: field(StatsField.PROBE_TIMEOUTS),
    congestionEvents: field(StatsField.CONGESTION_EVENTS),
    persistentCongestionEvents: field(StatsField.PERSISTENT_CONGESTION_EVENTS),
    keyUpdates: field(StatsField.KEY_UPDATES),
    streamsOpened: field(StatsField.STREAMS_OPENED),
    streamsAccepted: field(StatsField.STREAMS_ACCEPTED),
    datagramFramesSent: field(StatsField.DATAGRAM_FRAMES_SENT),
    datagramFramesReceived: field(StatsField.DATAGRAM_FRAMES_RECEIVED),
  };
}
