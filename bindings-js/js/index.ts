/**
 * QUIC with promises and web streams, on the engine in `quillon.wasm`.
 *
 * @module
 */
import { Engine, Path } from "./core/index.js";
import type { Address, Config, Connection, EndpointOptions } from "./core/index.js";
import { deferred } from "./deferred.js";
import { Driver, isBroken } from "./driver.js";
import { QuicEndpoint } from "./endpoint.js";
import { fromEngine } from "./error.js";
import { clientOptions, highWaterMarks, parseAddress, serverOptions } from "./options.js";
import type { ConnectOptions, ListenOptions, SessionOptions } from "./options.js";
import { bindUdp, defaultRoots, engineModule, resolve } from "./platform.js";
import { callBack, QuicSession, type SessionSettings } from "./session.js";
import type { DatagramTransport } from "./transport/transport.js";

export { generateCertificate, type CertificateOptions, type GeneratedCertificate } from "./certificate.js";
export type { Address, Priority, Stats } from "./core/index.js";
export { QuicDatagrams } from "./datagrams.js";
export { QuicEndpoint, QuicIncoming } from "./endpoint.js";
export { QuicError, type QuicErrorCode, type QuicErrorType } from "./error.js";
export type { CertificateHash, CipherSuite, ConnectOptions, ListenOptions, SessionOptions } from "./options.js";
export type { TransportParams } from "./options.js";
export type { PemOrDer } from "./pem.js";
export { QuicSession, type CloseOptions, type SessionCloseInfo, type SessionInfo, type StreamOptions } from "./session.js";
export type { BindOptions, MigrateOptions, PeerCertificate, SessionCallbacks } from "./session.js";
export { QuicStream, type QuicReceiveStream, type QuicSendStream } from "./stream.js";
export { SessionTicket } from "./ticket.js";
export type { DatagramReceiver, DatagramTransport } from "./transport/transport.js";

/**
 * Opens a session to a server, given as `"host:port"` or its parts. The session is there at once; `session.opened` tells
 * when the handshake is complete.
 */
export async function connect(address: string | Address, options: ConnectOptions): Promise<QuicSession> {
  const { signal } = options;
  signal?.throwIfAborted();
  const server = parseAddress(address);
  const { engine, config } = await origin(options);
  const remote = await unlessAborted(resolve(server), signal);
  const transport = options.transport ?? (await bindUdp({ remote }));
  if (signal?.aborted === true) {
    await transport.close();
    signal.throwIfAborted();
  }
  const name = options.servername ?? server.address.replace(/%.*$/, "");
  const session = drive(engine, {}, transport, () => undefined, (driver) => {
    const connection = driver.connect(config, name, new Path(transport.local, remote));
    const opened = new QuicSession(driver, connection, { ...sessionSettings(options), config, bind: bindUdp });
    // The endpoint is the session's own.
    driver.close(false);
    return opened;
  });
  onAbort(signal, session.opened, () => session.close({ reason: "aborted" }));
  return session;
}

/**
 * Accepts sessions: `onsession` gets each as its handshake starts. Without it the endpoint is an iterator of the clients,
 * which wait to be accepted or refused.
 */
export function listen(onsession: (session: QuicSession) => void, options: ListenOptions): Promise<QuicEndpoint>;
export function listen(options: ListenOptions): Promise<QuicEndpoint>;
export async function listen(
  ...args: [(session: QuicSession) => void, ListenOptions] | [ListenOptions]
): Promise<QuicEndpoint> {
  const [onsession, options] = args.length === 1 ? [undefined, args[0]] : args;
  const { signal } = options;
  signal?.throwIfAborted();
  const server = serverOptions(options);
  const { address, port } = await unlessAborted(resolve(parseAddress(options.address ?? "127.0.0.1:0")), signal);
  const engine = await Engine.load(await engineModule());
  const transport = options.transport ?? (await bindUdp({ address, port }));
  const settings = sessionSettings(options);
  const onAccepted = (driver: Driver, connection: Connection) => {
    if (onsession !== undefined) {
      const session = new QuicSession(driver, connection, settings);
      callBack(() => {
        onsession(session);
      });
    }
  };
  const automatic = options.validateAddress === true ? "retry" : "automatic";
  const admission = onsession === undefined ? "ask" : automatic;
  const endpoint = drive(engine, { ...options, admission }, transport, onAccepted, (driver) => {
    driver.listen(server);
    return new QuicEndpoint(driver, transport.local, onsession === undefined ? settings : undefined);
  });
  onAbort(signal, endpoint.closed, () => {
    endpoint.destroy();
  });
  return endpoint;
}

/** The engine and the configuration of a client: new ones, or those of the session that it resumes. */
async function origin(options: ConnectOptions): Promise<{ engine: Engine; config: Config }> {
  const { token, sessionTicket } = options;
  try {
    // A session lives in its engine. Where that has failed, another starts without it.
    if (sessionTicket !== undefined && !isBroken(sessionTicket.contents.engine)) {
      const { engine, config, saved } = sessionTicket.contents;
      config.setSession(saved);
      return { engine, config: config.setToken(token ?? new Uint8Array(0)) };
    }
    const client = clientOptions(options, defaultRoots);
    const engine = await Engine.load(await engineModule());
    return { engine, config: engine.createClientConfig(client) };
  } catch (error) {
    throw fromEngine(error);
  }
}

/** Starts an endpoint, and what it is for; gives both up where that fails. */
function drive<T>(
  engine: Engine,
  options: EndpointOptions,
  transport: DatagramTransport,
  onAccepted: (driver: Driver, connection: Connection) => void,
  use: (driver: Driver) => T,
): T {
  let driver: Driver | undefined;
  try {
    driver = new Driver(engine, options, transport, onAccepted);
    return use(driver);
  } catch (error) {
    const failure = fromEngine(error);
    if (driver === undefined) {
      transport.close().catch(() => undefined);
    } else {
      driver.destroy(failure);
    }
    throw failure;
  }
}

function sessionSettings(options: SessionOptions): SessionSettings {
  const { onkeylog, onqlog, onnewtoken, onsessionticket, onpeercertificate } = options;
  return {
    ...(onkeylog !== undefined && { onkeylog }),
    ...(onqlog !== undefined && { onqlog }),
    ...(onnewtoken !== undefined && { onnewtoken }),
    ...(onsessionticket !== undefined && { onsessionticket }),
    ...(onpeercertificate !== undefined && { onpeercertificate }),
    highWaterMarks: highWaterMarks(options),
  };
}

/** What a promise gives, unless the signal is first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const aborted = deferred<never>();
  const abort = () => {
    aborted.reject(signal?.reason);
  };
  signal?.addEventListener("abort", abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Gives something up on a signal, for as long as `until` is not settled. */
function onAbort(signal: AbortSignal | undefined, until: Promise<unknown>, giveUp: () => Promise<void> | void): void {
  const abort = () => {
    Promise.resolve(giveUp()).catch(() => undefined);
  };
  const settled = () => {
    signal?.removeEventListener("abort", abort);
  };
  signal?.addEventListener("abort", abort);
  until.then(settled, settled);
}
