/** A promise that is settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T | PromiseLike<T>): void;
  reject(reason: unknown): void;
}

/** Makes one. A rejection that nobody waits for is no unhandled one: the promise is offered, not imposed. */
export function deferred<T>(): Deferred<T> {
  let resolve: (value: T | PromiseLike<T>) => void = () => undefined;
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** What several wait for, and what happens again and again. */
export class Signal {
  #next: Deferred<undefined> | undefined;

  /** Settles with the next {@link notify} or {@link fail}. */
  wait(): Promise<undefined> {
    this.#next ??= deferred();
    return this.#next.promise;
  }

  notify(): void {
    this.#next?.resolve(undefined);
    this.#next = undefined;
  }

  fail(reason: unknown): void {
    this.#next?.reject(reason);
    this.#next = undefined;
  }
}
