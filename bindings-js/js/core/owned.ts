import type { Instance } from "./instance.js";

/** What nobody holds any more is given up. */
const abandoned = new FinalizationRegistry<() => void>((release) => {
  try {
    release();
  } catch {
    // A trapped instance frees nothing; it goes as a whole.
  }
});

/** Something in the engine that a handle names. It is given up by hand, or with the last reference to it. */
export class Owned {
  /** The engine's handle. */
  readonly handle: number;
  readonly #release: () => void;
  #isFree = false;

  constructor(instance: Instance, handle: number, free: "quillon_config_free" | "quillon_session_free") {
    this.handle = handle;
    this.#release = () => {
      instance.check(instance.exports[free](handle));
    };
    abandoned.register(this, this.#release, this);
  }

  /** Gives it up. What was made with it lives on. */
  free(): void {
    if (!this.#isFree) {
      this.#isFree = true;
      abandoned.unregister(this);
      this.#release();
    }
  }

  [Symbol.dispose](): void {
    this.free();
  }
}
