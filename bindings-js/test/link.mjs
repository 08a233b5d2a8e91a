// Two endpoints of one engine, joined on virtual time.
import { Path } from "quillon/core";
import { pemBlocks } from "../dist/pem.js";
import { ca, cert, key } from "./fixtures.mjs";

export const der = (pem) => pemBlocks(pem)[0].der;
export const wasm = new URL("../dist/quillon.wasm", import.meta.url);
export const CLIENT = { address: "192.0.2.1", port: 50000 };
export const SERVER = { address: "192.0.2.2", port: 4433 };
export const MILLISECOND = 1e6;
export const SECOND = 1e9;

/** What a server needs at least. */
export const IDENTITY = { alpn: ["test"], certificates: [der(cert)], privateKey: der(key) };
/** What a client needs at least. */
export const TRUST = { alpn: ["test"], roots: [der(ca)] };

/** Two endpoints of one engine: a datagram takes 10 ms. */
export class Link {
  now = 0;
  wire = [];

  constructor(engine, { alpn = ["test"], serverAlpn = alpn, server = {}, endpoint = {}, config, ...options } = {}) {
    this.client = engine.createEndpoint();
    this.server = engine.createEndpoint(endpoint);
    this.server.listen({ ...IDENTITY, alpn: serverAlpn, ...server });
    this.connection = this.connect(config ?? { ...TRUST, alpn, ...options });
  }

  connect(options, local = CLIENT) {
    return this.client.connect(this.now, options, "localhost", new Path(local, SERVER));
  }

  /** Lets both ends talk, and gives their events, until nothing is under way and nothing is due within a second. */
  *run() {
    for (;;) {
      const flights = [...this.#transmit("client", "server"), ...this.#transmit("server", "client")];
      const deadline = Math.min(this.client.timeout() ?? Infinity, this.server.timeout() ?? Infinity);
      if (flights.length > 0) {
        this.now += 10 * MILLISECOND;
      } else if (deadline < this.now + SECOND) {
        this.now = Math.max(this.now, deadline);
      } else {
        return;
      }
      this.client.handleTimeout(this.now);
      this.server.handleTimeout(this.now);
      for (const { to, path, ecn, datagram } of flights) {
        this[to].receive(this.now, path, ecn, datagram);
      }
      for (const end of ["client", "server"]) {
        for (let event = this[end].pollEvent(); event !== null; event = this[end].pollEvent()) {
          yield { end, ...event };
        }
      }
    }
  }

  #transmit(from, to) {
    const flights = [];
    this[from].transmit(this.now, (view, { local, remote }, ecn) => {
      // The view is gone with the next call.
      const datagram = view.slice();
      this.wire.push(datagram);
      flights.push({ to, path: new Path(remote, local), ecn, datagram });
    });
    return flights;
  }

  /** Lets both ends talk until nothing is left to do; gives the events, `"client handshake-complete"` and so on, by name. */
  settle(on = {}) {
    const seen = new Map();
    for (const event of this.run()) {
      const name = `${event.end} ${event.type}`;
      seen.set(name, [...(seen.get(name) ?? []), event]);
      on[name]?.(event);
    }
    return seen;
  }
}
