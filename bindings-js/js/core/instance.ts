import { ABI_MAJOR, ErrorCode, Status } from "./constants.js";
import { EngineError, errorName } from "./error.js";
import { isEngine, type Exports } from "./exports.js";

/** Nanoseconds on a monotonic clock of any origin. A number: a bigint would be allocated for every packet. */
export type Time = number;

const TWO_32 = 2 ** 32;
/** What a call's text, name or write goes through. */
const SCRATCH_LEN = 65536;
const utf8 = new TextDecoder();

/** An instance of the module: its exports, views of its memory, its status block. */
export class Instance {
  readonly exports: Exports;
  /** A block for what passes through a single call. */
  readonly scratch: number;
  readonly scratchLen = SCRATCH_LEN;
  readonly #status: number;
  #bytes: Uint8Array;
  #view: DataView;

  constructor(instance: WebAssembly.Instance) {
    if (!isEngine(instance.exports)) {
      throw new TypeError("this module is not quillon.wasm");
    }
    this.exports = instance.exports;
    const major = this.exports.quillon_abi_version() >>> 16;
    if (major !== ABI_MAJOR) {
      throw new TypeError(`this quillon.wasm speaks version ${major} of the ABI, the package version ${ABI_MAJOR}`);
    }
    this.scratch = this.exports.quillon_alloc(SCRATCH_LEN);
    this.#status = this.exports.quillon_status();
    if (this.scratch === 0 || this.#status === 0) {
      throw new RangeError("the module has no memory");
    }
    this.#bytes = new Uint8Array(this.exports.memory.buffer);
    this.#view = new DataView(this.exports.memory.buffer);
  }

  /** The memory. Take it anew after every call: when memory grows, the view is another. */
  get bytes(): Uint8Array {
    if (this.#bytes.buffer !== this.exports.memory.buffer) {
      this.#bytes = new Uint8Array(this.exports.memory.buffer);
    }
    return this.#bytes;
  }

  /** The same memory, for numbers. */
  get view(): DataView {
    if (this.#view.buffer !== this.exports.memory.buffer) {
      this.#view = new DataView(this.exports.memory.buffer);
    }
    return this.#view;
  }

  /** A 32-bit field of the status block. */
  statusNumber(offset: number): number {
    return this.view.getUint32(this.#status + offset, true);
  }

  /** A 64-bit field of the status block. */
  statusBigInt(offset: number): bigint {
    return this.view.getBigUint64(this.#status + offset, true);
  }

  /** The deadline in the status block. */
  deadline(): Time | null {
    const high = this.statusNumber(Status.DEADLINE + 4);
    const low = this.statusNumber(Status.DEADLINE);
    return high === TWO_32 - 1 && low === TWO_32 - 1 ? null : high * TWO_32 + low;
  }

  /** Bytes that the status block points to, as a view of the memory. */
  statusData(address: number, len: number): Uint8Array {
    const start = this.statusNumber(address);
    return this.bytes.subarray(start, start + this.statusNumber(len));
  }

  /** Passes bytes to a call, by way of the scratch block where they fit. */
  pass<T>(data: Uint8Array, call: (address: number, len: number) => T): T {
    if (data.length <= SCRATCH_LEN) {
      this.bytes.set(data, this.scratch);
      return call(this.scratch, data.length);
    }
    const block = this.exports.quillon_alloc(data.length);
    if (block === 0) {
      throw new EngineError("QUILLON_ERR_MEMORY", "the module has no memory left");
    }
    try {
      this.bytes.set(data, block);
      return call(block, data.length);
    } finally {
      this.exports.quillon_free(block, data.length);
    }
  }

  /** Takes what a call copies out, as far as the scratch block holds it. */
  take(call: (out: number, capacity: number) => number): Uint8Array {
    const len = Math.min(this.check(call(this.scratch, SCRATCH_LEN)), SCRATCH_LEN);
    return this.bytes.slice(this.scratch, this.scratch + len);
  }

  /** A call's result; throws where it is an error. */
  check(result: number): number {
    if (result < 0) {
      throw this.error(result);
    }
    return result;
  }

  /** A call's result, `null` where the answer is "not now"; throws where it is an error. */
  checkBlocked(result: number): number | null {
    return result === ErrorCode.BLOCKED ? null : this.check(result);
  }

  /** The error that a negative result stands for. */
  error(code: number): EngineError {
    const len = this.exports.quillon_last_error(this.scratch, SCRATCH_LEN);
    const text = utf8.decode(this.bytes.subarray(this.scratch, this.scratch + Math.max(len, 0)));
    const hasPeerCode = code === ErrorCode.RESET || code === ErrorCode.STOPPED;
    return new EngineError(errorName(code), text, hasPeerCode ? this.statusBigInt(Status.CODE) : undefined);
  }
}

/** The lower 32 bits of a time. */
export function low(now: Time): number {
  return now >>> 0;
}

/** The upper 32 bits of a time. */
export function high(now: Time): number {
  return Math.floor(now / TWO_32) >>> 0;
}
