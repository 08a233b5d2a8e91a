import type { Config, Engine, SavedSession } from "./core/index.js";

/** What a later session resumes, and where: a session lives in the engine that it came from. */
export interface TicketContents {
  readonly engine: Engine;
  readonly config: Config;
  readonly saved: SavedSession;
}

/**
 * A session that one later call of `connect` can resume, in this process. With the option `enableEarlyData` of the first session
 * the later one sends before the handshake.
 */
export class SessionTicket {
  /** For `connect`. */
  readonly contents: TicketContents;

  /** For the session: tickets come from `onsessionticket`. */
  constructor(contents: TicketContents) {
    this.contents = contents;
  }
}
