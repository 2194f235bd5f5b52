/**
 * SequenceOrder: who goes first. One order decides admission, prefill, and (from its end) preemption.
 */
import type { Sequence } from "../contracts/index.js";

export interface SequenceOrder {
  /** Negative when `a` goes first; never 0 for two sequences. */
  compare(a: Sequence, b: Sequence): number;
  /** Whether `waiting` may take the place of `running` before that one has finished. Implies compare < 0. */
  outranks(waiting: Sequence, running: Sequence): boolean;
}

/** First come, first served. Nobody is moved aside for a newcomer. */
export const ARRIVAL_ORDER: SequenceOrder = {
  compare: (a, b) => a.seqId - b.seqId,
  outranks: () => false,
};

/** Smaller `priority` first, then arrival. */
export const PRIORITY_ORDER: SequenceOrder = {
  compare: (a, b) => a.priority - b.priority || a.seqId - b.seqId,
  outranks: (waiting, running) => waiting.priority < running.priority,
};
