/**
 * QUIC with promises and web streams, on the engine in `quillon.wasm`.
 *
 * @module
 */
import { Path, type Address } from "./core/index.js";
import { Driver } from "./driver.js";
import { QuicEndpoint } from "./endpoint.js";
import { fromEngine } from "./error.js";
import { clientOptions, parseAddress, serverOptions, type ConnectOptions, type ListenOptions } from "./options.js";
import { bindUdp, defaultRoots, engineModule, resolve } from "./platform.js";
import { callBack, QuicSession } from "./session.js";

export type { Address, Stats } from "./core/index.js";
export { QuicEndpoint } from "./endpoint.js";
export { QuicError, type QuicErrorCode, type QuicErrorType } from "./error.js";
export type { CipherSuite, ConnectOptions, ListenOptions, SessionOptions, TransportParams } from "./options.js";
export type { PemOrDer } from "./pem.js";
export { QuicSession, type CloseOptions, type SessionCloseInfo, type SessionInfo, type StreamOptions } from "./session.js";
export { QuicStream, type QuicReceiveStream, type QuicSendStream } from "./stream.js";
export type { DatagramReceiver, DatagramTransport } from "./transport/transport.js";

/**
 * Opens a session to a server, given as `"host:port"` or its parts. The session is there at once; `session.opened` tells
 * when the handshake is complete.
 */
export async function connect(address: string | Address, options: ConnectOptions): Promise<QuicSession> {
  const server = parseAddress(address);
  const client = clientOptions(options, defaultRoots);
  options.signal?.throwIfAborted();
  const [module, remote] = await Promise.all([engineModule(), resolve(server)]);
  options.signal?.throwIfAborted();
  const transport = options.transport ?? (await bindUdp({ remote }));
  const driver = await Driver.start(module, {}, transport, () => undefined);
  try {
    const name = options.servername ?? server.address.replace(/%.*$/, "");
    const connection = driver.connect(client, name, new Path(transport.local, remote));
    const session = new QuicSession(driver, connection, options.keylog);
    // The endpoint is the session's own.
    driver.close(false);
    closeOnAbort(session, options.signal);
    return session;
  } catch (error) {
    const failure = fromEngine(error);
    driver.destroy(failure);
    throw failure;
  }
}

/** Accepts sessions: `onsession` gets each as its handshake starts. */
export async function listen(onsession: (session: QuicSession) => void, options: ListenOptions): Promise<QuicEndpoint> {
  const server = serverOptions(options);
  const { address, port } = await resolve(parseAddress(options.address ?? "127.0.0.1:0"));
  const module = await engineModule();
  const transport = options.transport ?? (await bindUdp({ address, port }));
  const driver: Driver = await Driver.start(module, options, transport, (connection) => {
    const session = new QuicSession(driver, connection, options.keylog);
    callBack(() => {
      onsession(session);
    });
  });
  try {
    driver.listen(server);
  } catch (error) {
    const failure = fromEngine(error);
    driver.destroy(failure);
    throw failure;
  }
  return new QuicEndpoint(driver, transport.local);
}

function closeOnAbort(session: QuicSession, signal: AbortSignal | undefined): void {
  const abort = () => {
    session.close({ reason: "aborted" }).catch(() => undefined);
  };
  const settled = () => {
    signal?.removeEventListener("abort", abort);
  };
  signal?.addEventListener("abort", abort);
  session.opened.then(settled, settled);
}

