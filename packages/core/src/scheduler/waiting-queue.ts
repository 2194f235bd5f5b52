/**
 * WaitingQueue: sequences without blocks, in a SequenceOrder. A binary heap that knows where each member is, so that
 * an aborted one leaves at once and is not kept in memory. Paused members step aside until they are resumed.
 */
import type { Sequence } from "../contracts/index.js";
import { InternalError } from "../errors/index.js";
import type { SequenceOrder } from "./sequence-order.js";

/** push, pop and remove are O(log n); first is O(1). */
export class WaitingQueue {
  readonly #order: SequenceOrder;
  readonly #heap: Sequence[] = [];
  /** Index in the heap of each member. */
  readonly #position = new Map<Sequence, number>();
  /** Found paused when their turn came. */
  readonly #aside = new Set<Sequence>();

  constructor(order: SequenceOrder) {
    this.#order = order;
  }

  get size(): number {
    return this.#heap.length + this.#aside.size;
  }

  has(seq: Sequence): boolean {
    return this.#position.has(seq) || this.#aside.has(seq);
  }

  push(seq: Sequence): void {
    if (this.has(seq)) throw new InternalError(`sequence ${seq.seqId} is queued already`);
    if (seq.paused) this.#aside.add(seq);
    else this.#siftUp(this.#heap.length, seq);
  }

  /** Whoever was resumed queues again, in its place. O(paused members); once per step. */
  takeBackResumed(): void {
    for (const seq of this.#aside) {
      if (seq.paused) continue;
      this.#aside.delete(seq);
      this.push(seq);
    }
  }

  /** The first that is not paused; it stays in the queue. */
  first(): Sequence | undefined {
    for (;;) {
      const seq = this.#heap[0];
      if (seq === undefined || !seq.paused) return seq;
      this.remove(seq);
      this.#aside.add(seq);
    }
  }

  /** @returns false when `seq` was not here */
  remove(seq: Sequence): boolean {
    if (this.#aside.delete(seq)) return true;
    const index = this.#position.get(seq);
    if (index === undefined) return false;
    this.#position.delete(seq);
    const last = this.#heap.pop()!;
    if (last !== seq) this.#replace(index, last);
    return true;
  }

  /** In no particular order. */
  *[Symbol.iterator](): Iterator<Sequence> {
    yield* this.#heap;
    yield* this.#aside;
  }

  #replace(index: number, seq: Sequence): void {
    const parent = this.#heap[(index - 1) >>> 1];
    if (index > 0 && this.#order.compare(seq, parent!) < 0) this.#siftUp(index, seq);
    else this.#siftDown(index, seq);
  }

  #siftUp(start: number, seq: Sequence): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >>> 1;
      if (this.#order.compare(seq, this.#heap[parent]!) >= 0) break;
      this.#place(index, this.#heap[parent]!);
      index = parent;
    }
    this.#place(index, seq);
  }

  #siftDown(start: number, seq: Sequence): void {
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#order.compare(this.#heap[child + 1]!, this.#heap[child]!) < 0) child++;
      if (this.#order.compare(seq, this.#heap[child]!) <= 0) break;
      this.#place(index, this.#heap[child]!);
      index = child;
    }
    this.#place(index, seq);
  }

  #place(index: number, seq: Sequence): void {
    this.#heap[index] = seq;
    this.#position.set(seq, index);
  }
}
