/** Events: what a request's stream and the engine's hot stream carry. Unions, noun-verb. */
import type { EngineHealth } from "./engine.js";
import type { StepTimings } from "./model-output.js";
import type { FinishReason } from "./sequence.js";

export interface TokenLogprob {
  readonly id: number;
  /** Natural log. */
  readonly logprob: number;
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  /** Prompt tokens found in the prefix cache. */
  readonly cachedTokens: number;
}

/** Milliseconds, one monotonic clock. */
export interface RequestTimings {
  readonly queued: number;
  /** From the first schedule to the first token. */
  readonly prefill: number;
  /** From the first token to the end. */
  readonly decode: number;
  readonly timeToFirstToken: number;
  readonly total: number;
}

export type TokenEvent =
  | { readonly type: "request-queued"; readonly requestId: string; readonly promptTokens: number }
  | {
      readonly type: "prefill-progress";
      readonly requestId: string;
      readonly computedTokens: number;
      readonly promptTokens: number;
    }
  | {
      readonly type: "token";
      readonly requestId: string;
      readonly id: number;
      /** Text that became certain; may be empty. Deltas joined are the whole text. */
      readonly text: string;
      /** Position in the output, from 0. */
      readonly index: number;
      readonly logprob?: number;
      readonly top?: readonly TokenLogprob[];
      /** With `fullLogits`, first token only: the raw f32 row it was chosen from. */
      readonly logits?: Float32Array;
    }
  | { readonly type: "request-preempted"; readonly requestId: string }
  | {
      readonly type: "request-end";
      readonly requestId: string;
      readonly finishReason: FinishReason;
      /** Text held back until now (partial characters, stop-string candidates). */
      readonly text: string;
      readonly usage: Usage;
      readonly timings: RequestTimings;
    };

export interface StepStats {
  readonly step: number;
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numBatchedTokens: number;
  readonly numRows: number;
  readonly numFreeBlocks: number;
  /** Milliseconds: schedule and input building, then execute, then output processing. */
  readonly schedule: number;
  readonly execute: number;
  readonly process: number;
  readonly runner: StepTimings;
}

export type EngineEvent =
  | { readonly type: "request-queued"; readonly requestId: string; readonly promptTokens: number }
  | { readonly type: "request-scheduled"; readonly requestId: string }
  | { readonly type: "request-preempted"; readonly requestId: string }
  | {
      readonly type: "request-end";
      readonly requestId: string;
      readonly finishReason: FinishReason;
      readonly usage: Usage;
      readonly timings: RequestTimings;
    }
  | { readonly type: "request-error"; readonly requestId: string; readonly error: Error }
  /** A subscriber threw, or a request's error had no handler. */
  | { readonly type: "consumer-error"; readonly requestId: string; readonly error: unknown }
  | { readonly type: "engine-restarted"; readonly numReplayed: number }
  /** Of an engine in a process of its own: lost, back, given up; and why. */
  | { readonly type: "engine-health"; readonly health: EngineHealth; readonly reason: string }
  | { readonly type: "step-end"; readonly stats: StepStats };
