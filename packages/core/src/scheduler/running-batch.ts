/**
 * RunningBatch: the sequences that hold blocks, in a SequenceOrder; the end of it is preempted first. Some may be
 * paused, and after forks there may be more than fit into one step.
 */
import type { Sequence } from "../contracts/index.js";
import type { SequenceOrder } from "./sequence-order.js";

/** Lookups are O(log n); insert and remove also move up to n references. */
export class RunningBatch {
  readonly #order: SequenceOrder;
  readonly #members: Sequence[] = [];

  constructor(order: SequenceOrder) {
    this.#order = order;
  }

  get size(): number {
    return this.#members.length;
  }

  /** In order; do not change. */
  get members(): readonly Sequence[] {
    return this.#members;
  }

  /** Index of the first member that does not go before `seq`: where it is, or would be. */
  indexOf(seq: Sequence): number {
    let low = 0;
    let high = this.#members.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#order.compare(this.#members[middle]!, seq) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(seq: Sequence): boolean {
    return this.#members[this.indexOf(seq)] === seq;
  }

  insert(seq: Sequence): void {
    this.#members.splice(this.indexOf(seq), 0, seq);
  }

  /** @returns false when `seq` was not here */
  remove(seq: Sequence): boolean {
    const index = this.indexOf(seq);
    if (this.#members[index] !== seq) return false;
    this.#members.splice(index, 1);
    return true;
  }

  /** Drops who has finished or was preempted, in one pass. */
  compact(): void {
    let kept = 0;
    for (const seq of this.#members) {
      if (seq.status !== "finished" && seq.status !== "preempted") this.#members[kept++] = seq;
    }
    this.#members.length = kept;
  }

  last(): Sequence | undefined {
    return this.#members.at(-1);
  }

  lastPaused(): Sequence | undefined {
    return this.#members.findLast((seq) => seq.paused);
  }

  /**
   * Who gives its blocks away when there are too few: the last paused member, else the last one. Members already
   * preempted but not yet compacted away do not count.
   */
  victim(): Sequence | undefined {
    return this.#members.findLast((seq) => seq.paused && holdsBlocks(seq)) ?? this.#members.findLast(holdsBlocks);
  }

  /** Whether everybody but `seq` has been preempted. */
  isOnlyHolder(seq: Sequence): boolean {
    return this.#members.every((member) => member === seq || !holdsBlocks(member));
  }
}

function holdsBlocks(seq: Sequence): boolean {
  return seq.status !== "preempted";
}
