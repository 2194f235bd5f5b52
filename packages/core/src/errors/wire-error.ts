/**
 * Errors across threads and processes: a plain object that survives structured cloning and JSON.
 * In: any thrown value. Out: the same error class on the other side, stack left behind.
 */
import * as errors from "./weir-error.js";
import { WeirError, type WeirErrorCode } from "./weir-error.js";

export interface WireError {
  readonly code: WeirErrorCode | undefined;
  readonly name: string;
  readonly message: string;
}

/** Keeps code, name and message; causes and stacks stay on this side. */
export function toWireError(error: unknown): WireError {
  if (WeirError.isInstance(error)) return { code: error.code, name: error.name, message: error.message };
  if (error instanceof Error) return { code: undefined, name: error.name, message: error.message };
  return { code: undefined, name: "Error", message: String(error) };
}

/** The class that belongs to the code; a plain Error for what was none of ours. */
export function fromWireError(wire: WireError): Error {
  if (wire.code === undefined) return new Error(wire.message);
  const Class = CLASSES[wire.code];
  return Class ? new Class(wire.message) : new WeirError(wire.code, wire.message);
}

const CLASSES: Readonly<Partial<Record<WeirErrorCode, new (message: string) => WeirError>>> = {
  invalid_options: errors.InvalidOptionsError,
  invalid_request: errors.InvalidRequestError,
  model_load: errors.ModelLoadError,
  backend_unavailable: errors.BackendUnavailableError,
  out_of_blocks: errors.OutOfBlocksError,
  context_length: errors.ContextLengthError,
  aborted: errors.AbortedError,
  disposed: errors.DisposedError,
  timeout: errors.TimeoutError,
  nonfinite_logits: errors.NonFiniteLogitsError,
  engine_restarted: errors.EngineRestartedError,
  not_supported: errors.NotSupportedError,
  internal: errors.InternalError,
};
