import type { Instance } from "./instance.js";
import { Owned } from "./owned.js";

/**
 * A session that one later connection of the same engine can resume: `Config.setSession`, of the configuration that it
 * came from. It cannot be saved.
 */
export class SavedSession extends Owned {
  /** For events. */
  constructor(instance: Instance, handle: number) {
    super(instance, handle, "quillon_session_free");
  }
}

/** Keeps the session that the last event told of; `null` where there is no room for another. */
export function takeSession(instance: Instance): SavedSession | null {
  const handle = instance.exports.quillon_session_take();
  return handle > 0 ? new SavedSession(instance, handle) : null;
}
