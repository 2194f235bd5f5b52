/**
 * OrtStatus -> WeirError. In: ONNX Runtime's error code and message, and what was being done.
 * Out: the error a caller of Weir can react to.
 */
import { AbortedError, BackendUnavailableError, InternalError, ModelLoadError, NotSupportedError } from "@weir/core";
import type { WeirError } from "@weir/core";

/**
 * "load": a session is being made, so whatever goes wrong is the model's fault. "provider": an execution provider is
 * being set up, so whatever goes wrong says that it cannot be used here.
 */
export type StatusContext = "load" | "call" | "provider";

export function toWeirError(code: number, message: string, what: string, context: StatusContext): WeirError {
  const name = CODES[code] ?? `code ${code}`;
  const text = `${what}: ${message.trim()} (ONNX Runtime ${name})`;
  if (context === "provider") return new BackendUnavailableError(text);
  if (name === "NOT_IMPLEMENTED") return new NotSupportedError(text);
  if (name === "EP_FAIL") return new BackendUnavailableError(text);
  if (name === "MODEL_LOAD_CANCELED") return new AbortedError(text);
  return context === "load" || LOAD_CODES.has(name) ? new ModelLoadError(text) : new InternalError(text);
}

/** OrtErrorCode, in its order. */
const CODES: readonly string[] = [
  "OK",
  "FAIL",
  "INVALID_ARGUMENT",
  "NO_SUCHFILE",
  "NO_MODEL",
  "ENGINE_ERROR",
  "RUNTIME_EXCEPTION",
  "INVALID_PROTOBUF",
  "MODEL_LOADED",
  "NOT_IMPLEMENTED",
  "INVALID_GRAPH",
  "EP_FAIL",
  "MODEL_LOAD_CANCELED",
  "MODEL_REQUIRES_COMPILATION",
  "NOT_FOUND",
];

const LOAD_CODES: ReadonlySet<string> = new Set([
  "NO_SUCHFILE",
  "NO_MODEL",
  "INVALID_PROTOBUF",
  "INVALID_GRAPH",
  "MODEL_REQUIRES_COMPILATION",
]);
