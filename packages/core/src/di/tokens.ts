/**
 * Tokens: the names under which an engine's services are found. `Symbol.for` keys, so that two copies of the
 * package agree. No container is imported here: the engine resolves by these tokens with or without tsyringe.
 */
import type {
  AttentionKernel,
  Backend,
  BlockManager,
  ChatTemplate,
  ModelLimits,
  ModelSpec,
  Quantizer,
  Sampler,
  Scheduler,
  SchedulerConfig,
  Tokenizer,
} from "../contracts/index.js";

export const BACKEND: unique symbol = Symbol.for("weir.Backend");
export const MODEL_SPEC: unique symbol = Symbol.for("weir.ModelSpec");
export const MODEL_LIMITS: unique symbol = Symbol.for("weir.ModelLimits");
export const SCHEDULER_CONFIG: unique symbol = Symbol.for("weir.SchedulerConfig");
export const CLOCK: unique symbol = Symbol.for("weir.Clock");
export const TOKENIZER: unique symbol = Symbol.for("weir.Tokenizer");
export const CHAT_TEMPLATE: unique symbol = Symbol.for("weir.ChatTemplate");
export const QUANTIZER: unique symbol = Symbol.for("weir.Quantizer");
export const ATTENTION_KERNEL: unique symbol = Symbol.for("weir.AttentionKernel");
export const SAMPLER: unique symbol = Symbol.for("weir.Sampler");
export const BLOCK_MANAGER: unique symbol = Symbol.for("weir.BlockManager");
export const SCHEDULER: unique symbol = Symbol.for("weir.Scheduler");

/** Milliseconds, monotonic. */
export type Clock = () => number;

/** What each token stands for. `undefined`: the model, or the backend's own, has none. */
export interface ServiceTypes {
  readonly [BACKEND]: Backend;
  readonly [MODEL_SPEC]: ModelSpec;
  readonly [MODEL_LIMITS]: ModelLimits;
  readonly [SCHEDULER_CONFIG]: SchedulerConfig;
  readonly [CLOCK]: Clock;
  readonly [TOKENIZER]: Tokenizer | undefined;
  readonly [CHAT_TEMPLATE]: ChatTemplate | undefined;
  /** undefined: the backend's own for the chosen scheme. */
  readonly [QUANTIZER]: Quantizer | undefined;
  /** undefined: the backend's own. */
  readonly [ATTENTION_KERNEL]: AttentionKernel | undefined;
  /** undefined: rows are sampled by the runner, or by the engine where the runner cannot. */
  readonly [SAMPLER]: Sampler | undefined;
  readonly [BLOCK_MANAGER]: BlockManager;
  readonly [SCHEDULER]: Scheduler;
}

export type ServiceToken = keyof ServiceTypes;
