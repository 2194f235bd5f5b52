/**
 * Scheduler: chooses what runs in the next step. `schedule()` returns data and calls nobody but the block manager.
 */
import type { FinishReason, Sequence } from "./sequence.js";

export interface SchedulerConfig {
  readonly maxNumSeqs: number;
  readonly maxNumBatchedTokens: number;
  /** Longest prefill chunk of one sequence in one step; keeps decodes flowing. Default: maxNumBatchedTokens. */
  readonly maxPrefillChunk: number;
}

/** What one step runs. Owned by the scheduler, valid until its next schedule(). */
export interface SchedulerOutput {
  /** In the order of the batch. */
  readonly sequences: readonly Sequence[];
  /** New tokens per sequence, same order: tokenIds[numComputedTokens, numComputedTokens + n). */
  readonly numScheduledTokens: readonly number[];
  readonly numBatchedTokens: number;
  /** Preempted in this call: blocks gone, back in the queue. */
  readonly preempted: readonly Sequence[];
  /** Scheduled for the first time (or again after preemption). */
  readonly admitted: readonly Sequence[];
  /** Whole-block copies to make before the step: [src, dst, ...]. */
  readonly copies: readonly number[];
}

/** What came of the step: one entry per sequence of the SchedulerOutput, in its order. */
export interface SchedulerUpdate {
  readonly scheduled: SchedulerOutput;
  /** Set where the sequence ended with this step; the engine has appended the sampled token already. */
  readonly finished: readonly (FinishReason | undefined)[];
}

export interface SchedulerStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numPreemptions: number;
}

export interface Scheduler {
  /** Queues `seq`. A forked sequence arrives holding blocks and with computed tokens. */
  add(seq: Sequence): void;
  /** Forgets `seq` wherever it is and frees its blocks. Does nothing when unknown. */
  abort(seq: Sequence): void;
  schedule(): SchedulerOutput;
  /** Advances numComputedTokens, frees what finished. */
  update(update: SchedulerUpdate): void;
  /** The KV cache was lost: every running sequence goes back to the queue, in arrival order. */
  reset(): void;
  hasUnfinished(): boolean;
  stats(): SchedulerStats;
  /** Every sequence it knows; for integrity checks. */
  sequences(): Iterable<Sequence>;
}
