/** StepOutput: the SchedulerOutput that a scheduler fills anew each step; its arrays are reused. */
import type { SchedulerOutput, Sequence } from "../contracts/index.js";

export class StepOutput implements SchedulerOutput {
  readonly sequences: Sequence[] = [];
  readonly numScheduledTokens: number[] = [];
  numBatchedTokens = 0;
  readonly preempted: Sequence[] = [];
  readonly admitted: Sequence[] = [];
  readonly copies: number[] = [];
  #size = 0;

  /** Sequences added since clear(). */
  get size(): number {
    return this.#size;
  }

  clear(): void {
    this.#size = 0;
    this.numBatchedTokens = 0;
    this.preempted.length = 0;
    this.admitted.length = 0;
    this.copies.length = 0;
  }

  add(seq: Sequence, numTokens: number): void {
    if (seq.status !== "running") {
      seq.status = "running";
      this.admitted.push(seq);
    }
    this.sequences[this.#size] = seq;
    this.numScheduledTokens[this.#size] = numTokens;
    this.numBatchedTokens += numTokens;
    this.#size++;
  }

  /** Cuts off what is left of a larger step before. Not done by clear(): emptying an array gives its memory away. */
  seal(): void {
    this.sequences.length = this.#size;
    this.numScheduledTokens.length = this.#size;
  }
}
