import type { Instance } from "./instance.js";

interface Held {
  readonly instance: Instance;
  readonly handle: number;
}

/** Sessions that nobody holds any more are given up. */
const abandoned = new FinalizationRegistry<Held>(({ instance, handle }) => {
  try {
    instance.exports.quillon_session_free(handle);
  } catch {
    // A trapped instance frees nothing; it goes as a whole.
  }
});

/**
 * A session that one later connection of the same engine can resume: `Config.setSession`, of the configuration that it
 * came from. It cannot be saved.
 */
export class SavedSession {
  readonly #instance: Instance;
  /** The engine's handle. */
  readonly handle: number;
  #isFree = false;

  /** For events. */
  constructor(instance: Instance, handle: number) {
    this.#instance = instance;
    this.handle = handle;
    abandoned.register(this, { instance, handle }, this);
  }

  /** Gives the session up. */
  free(): void {
    if (!this.#isFree) {
      this.#isFree = true;
      abandoned.unregister(this);
      this.#instance.check(this.#instance.exports.quillon_session_free(this.handle));
    }
  }

  [Symbol.dispose](): void {
    this.free();
  }
}

/** Keeps the session that the last event told of; `null` where there is no room for another. */
export function takeSession(instance: Instance): SavedSession | null {
  const handle = instance.exports.quillon_session_take();
  return handle > 0 ? new SavedSession(instance, handle) : null;
}
