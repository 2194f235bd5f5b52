/**
 * The one base of every error that Weir throws on purpose.
 * In: a stable code, a message (what, value seen, limit, what to change), optionally a cause.
 * Out: errors that are recognised across duplicate copies of the package by a `Symbol.for` marker.
 */

const MARKER = Symbol.for("weir.error");

/** Stable codes; scripts and HTTP mappings rely on them. */
export type WeirErrorCode =
  | "invalid_options"
  | "invalid_request"
  | "model_load"
  | "backend_unavailable"
  | "out_of_blocks"
  | "context_length"
  | "aborted"
  | "disposed"
  | "timeout"
  | "nonfinite_logits"
  | "engine_restarted"
  | "not_supported"
  | "internal";

/** Base class of all of Weir's errors. `code` is stable, `message` is for people. */
export class WeirError extends Error {
  readonly code: WeirErrorCode;

  constructor(code: WeirErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    Object.defineProperty(this, MARKER, { value: true });
  }

  /** True for a WeirError of this or any other copy of the package in the process. */
  static isInstance(value: unknown): value is WeirError {
    return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[MARKER] === true;
  }
}

/** An engine or backend option is wrong, or the options together ask for too much. Thrown before anything is allocated. */
export class InvalidOptionsError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("invalid_options", message, options);
  }
}

/** A request's prompt or parameters are wrong; only that request fails. */
export class InvalidRequestError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("invalid_request", message, options);
  }
}

/** A model file is damaged, unsupported or inconsistent. The message names the file's field or tensor. */
export class ModelLoadError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("model_load", message, options);
  }
}

/** A backend's library or device is missing; the message names what to install. */
export class BackendUnavailableError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("backend_unavailable", message, options);
  }
}

/** The request can never fit into the KV cache. */
export class OutOfBlocksError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("out_of_blocks", message, options);
  }
}

/** Prompt (and the tokens asked for) exceed the model's context. */
export class ContextLengthError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("context_length", message, options);
  }
}

/** The request or load was aborted by its AbortSignal or by `engine.abort()`. */
export class AbortedError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("aborted", message, options);
    // The web platform's name, so that `error.name === "AbortError"` checks keep working.
    this.name = "AbortError";
  }
}

/** The engine or runner was disposed. */
export class DisposedError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("disposed", message, options);
  }
}

/** A deadline, tokenizer, template or watchdog limit passed. */
export class TimeoutError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("timeout", message, options);
  }
}

/** The model gave NaN or infinite logits for this request. */
export class NonFiniteLogitsError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("nonfinite_logits", message, options);
  }
}

/** The runner's worker died while this request was in flight. */
export class EngineRestartedError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("engine_restarted", message, options);
  }
}

/** A well-formed request for something that this backend or version does not do. */
export class NotSupportedError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("not_supported", message, options);
  }
}

/** An invariant of Weir broke: a bug. */
export class InternalError extends WeirError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("internal", message, options);
  }
}
