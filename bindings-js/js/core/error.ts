import { ErrorCode } from "./constants.js";

/** The name of an error of the engine: `QUILLON_ERR_INVALID_HANDLE`... */
export type ErrorName = `QUILLON_ERR_${keyof typeof ErrorCode}`;

/**
 * The engine refused a call. Routine answers, nothing to read or no room to write, are no errors: they are results.
 */
export class EngineError extends Error {
  override readonly name = "EngineError";
  /** Which error. */
  readonly code: ErrorName;
  /** The peer's error code, where a stream was reset or stopped. */
  readonly peerCode: bigint | undefined;

  constructor(code: ErrorName, message: string, peerCode?: bigint) {
    super(message === "" ? code : message);
    this.code = code;
    this.peerCode = peerCode;
  }
}

const NAMES = new Map<number, ErrorName>(
  Object.entries(ErrorCode).map(([name, code]) => [code, `QUILLON_ERR_${name}` as ErrorName]),
);

/** The name of an error code. */
export function errorName(code: number): ErrorName {
  return NAMES.get(code) ?? "QUILLON_ERR_INVALID_ARGUMENT";
}
