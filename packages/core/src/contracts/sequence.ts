/**
 * Sequence: one request inside the engine, as scheduler and block manager see it.
 * The class is `engine/sequence.ts`; this is the part that plug-ins may rely on.
 */

export type SequenceStatus = "waiting" | "running" | "preempted" | "finished";

export type FinishReason = "stop" | "length" | "stop-string" | "aborted" | "tool-calls";

export interface Sequence {
  /** Unique in the engine's life, ascending by arrival. */
  readonly seqId: number;
  readonly requestId: string;
  /** Smaller runs earlier; 0 is the default. Only schedulers that say so look at it. */
  readonly priority: number;
  /** Milliseconds of the engine's monotonic clock. */
  readonly arrivalTime: number;
  readonly numPromptTokens: number;
  /** Prompt and output tokens. */
  readonly numTokens: number;
  /** Most tokens it can ever have: prompt + max_tokens, bounded by maxModelLen. */
  readonly maxTokens: number;
  /** Prompt then output ids, the first numTokens are valid; replaced when it grows. */
  readonly tokenIds: Int32Array;
  /** Its consumer is too slow: keep the blocks, schedule nothing. */
  readonly paused: boolean;

  // What the scheduler writes:
  status: SequenceStatus;
  /** Tokens whose keys and values are in the cache. numTokens - numComputedTokens are still to run. */
  numComputedTokens: number;
  numPreemptions: number;

  // What the block manager writes:
  /** Block ids in order; the first numBlocks are valid; replaced when it grows. */
  blockTable: Int32Array;
  numBlocks: number;
}
