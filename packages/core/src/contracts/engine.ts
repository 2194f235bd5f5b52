/**
 * Engine: what an application holds. `LLMEngine` runs in this process, `remoteEngine()` (`@weir/core/node`) in a child
 * process; code written against this contract does not notice which.
 */
import type { MemoryPlan } from "../engine/memory-plan.js";
import type { EngineEvents, TokenStream } from "../stream/index.js";
import type { KvDtype, RunnerMemory } from "./backend.js";
import type { BlockManagerStats } from "./block-manager.js";
import type { GenerateOptions } from "./generate-options.js";
import type { ModelLimits } from "./model-input.js";
import type { StepTimings } from "./model-output.js";
import type { WeightScheme } from "./quantizer.js";
import type { SchedulerStats } from "./scheduler.js";
import type { ChatMessage } from "./tokenizer.js";

/** Text, token ids, or the messages of a conversation. */
export type Prompt = string | ArrayLike<number> | readonly ChatMessage[];

/** What `chat()` takes beside a request's options. */
export interface ChatOptions extends GenerateOptions {
  /** Offered to the model, in the template's form. */
  readonly tools?: readonly unknown[];
  /** Open the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Further variables of the chat template. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
}

/** What an engine runs, and how: fixed when it is made. */
export interface EngineInfo {
  /** The model's name. */
  readonly model: string;
  readonly architecture: string;
  readonly vocabSize: number;
  /** The backend's name. */
  readonly backend: string;
  readonly weightScheme: WeightScheme;
  readonly kvDtype: KvDtype;
  readonly limits: ModelLimits;
  readonly memory: MemoryPlan;
}

/**
 * `ok`; `degraded`: it works, after a restart a short while ago, or its process is late with a sign of life;
 * `restarting`: requests wait until it is back; `failed`: it gave up, and requests are refused.
 */
export type EngineHealth = "ok" | "degraded" | "restarting" | "failed";

/** Snapshot; milliseconds, counts. */
export interface EngineStatsSnapshot {
  readonly health: EngineHealth;
  readonly requests: {
    /** Never started: bad options or prompts, aborted before. */
    readonly refused: number;
    readonly started: number;
    readonly finished: number;
    /** By signal, `abort()`, or a consumer that left. */
    readonly aborted: number;
    readonly failed: number;
    readonly live: number;
  };
  readonly steps: number;
  /** Tokens whose keys and values were computed; recomputed ones count again. */
  readonly computedTokens: number;
  readonly sampledTokens: number;
  /** Rows whose logits held NaN or left nothing to choose. */
  readonly nonfiniteRows: number;
  /** Times the runner, or the engine's process, was lost and came back. */
  readonly restarts: number;
  readonly milliseconds: {
    readonly schedule: number;
    readonly execute: number;
    readonly process: number;
    /** Of these, users' logits processors and samplers. */
    readonly userCode: number;
    readonly runner: Readonly<StepTimings>;
  };
  readonly scheduler: SchedulerStats;
  readonly blocks: BlockManagerStats;
  readonly memory: RunnerMemory;
}

export interface DisposeOptions {
  /** Milliseconds that running requests may still take; new ones are refused at once. Default 0. */
  readonly drainMs?: number;
}

export interface Engine {
  /** Model, backend, what was chosen, limits and memory plan. */
  readonly info: EngineInfo;
  /** Hot: what happens to requests and in steps. Completes when the engine is disposed. */
  readonly events$: EngineEvents;
  /** A stream of tokens that continues the prompt. Cold: each consumption is a request. */
  generate(prompt: Prompt, options?: GenerateOptions): TokenStream;
  /** The model's answer to a conversation, through its chat template. */
  chat(messages: readonly ChatMessage[], options?: ChatOptions): TokenStream;
  /** A request that continues from the tokens that `requestId` has when the stream is consumed. */
  fork(requestId: string, options?: GenerateOptions): TokenStream;
  /** Ends a running request with an AbortedError. @returns whether there was one */
  abort(requestId: string): boolean;
  stats(): EngineStatsSnapshot;
  /** Resolves when no request is left, those included that arrive meanwhile. */
  drain(): Promise<void>;
  /** Fails what still runs with DisposedError and gives everything back. Idempotent. */
  dispose(options?: DisposeOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
