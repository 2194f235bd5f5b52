/**
 * FreeExtents: the free runs of a pool, in address order, neighbours merged; first fit. The textbook allocator, used
 * by ContiguousBlockManager.
 */
import { InternalError } from "../errors/index.js";

export class FreeExtents {
  readonly #numBlocks: number;
  /** Ascending; run i is [#starts[i], #starts[i] + #lengths[i]). */
  readonly #starts: number[] = [0];
  readonly #lengths: number[];
  #numFree: number;

  constructor(numBlocks: number) {
    this.#numBlocks = numBlocks;
    this.#lengths = [numBlocks];
    this.#numFree = numBlocks;
  }

  get numFree(): number {
    return this.#numFree;
  }

  hasRun(length: number): boolean {
    return this.#lengths.some((free) => free >= length);
  }

  longest(): number {
    return this.#lengths.reduce((longest, free) => Math.max(longest, free), 0);
  }

  /** @returns the first block of the run taken, -1 when none is long enough */
  take(length: number): number {
    const index = this.#lengths.findIndex((free) => free >= length);
    if (index < 0) return -1;
    const start = this.#starts[index]!;
    if (this.#lengths[index] === length) {
      this.#starts.splice(index, 1);
      this.#lengths.splice(index, 1);
    } else {
      this.#starts[index] = start + length;
      this.#lengths[index]! -= length;
    }
    this.#numFree -= length;
    return start;
  }

  /** @throws InternalError when part of the run is free already */
  release(start: number, length: number): void {
    const next = this.#firstAfter(start);
    const before = next - 1;
    const endBefore = before < 0 ? 0 : this.#starts[before]! + this.#lengths[before]!;
    const end = start + length;
    if (start < endBefore || end > (this.#starts[next] ?? this.#numBlocks)) {
      throw new InternalError(`KV blocks ${start} to ${end - 1} freed twice`);
    }
    const joinsBefore = before >= 0 && start === endBefore;
    const joinsNext = this.#starts[next] === end;
    const mergedStart = joinsBefore ? this.#starts[before]! : start;
    const mergedEnd = joinsNext ? end + this.#lengths[next]! : end;
    const from = joinsBefore ? before : next;
    const numReplaced = (joinsBefore ? 1 : 0) + (joinsNext ? 1 : 0);
    this.#starts.splice(from, numReplaced, mergedStart);
    this.#lengths.splice(from, numReplaced, mergedEnd - mergedStart);
    this.#numFree += length;
  }

  /**
   * @param used [numBlocks] u8, 1 where some sequence holds the block
   * @throws InternalError unless the free runs are in order, merged, and exactly the unused blocks
   */
  check(used: Uint8Array): void {
    let freeInRuns = 0;
    let endBefore = -1;
    for (const [index, start] of this.#starts.entries()) {
      const end = start + this.#lengths[index]!;
      if (start <= endBefore || end <= start)
        throw new InternalError(`KV blocks: free run ${start} to ${end - 1} is out of order or not merged`);
      for (let block = start; block < end; block++) {
        if (used[block] !== 0) throw new InternalError(`KV blocks: block ${block} is free and held by a sequence`);
      }
      freeInRuns += end - start;
      endBefore = end;
    }
    const unused = used.reduce((count, flag) => count + (flag === 0 ? 1 : 0), 0);
    if (freeInRuns !== unused || freeInRuns !== this.#numFree) {
      throw new InternalError(`KV blocks: ${unused} unused, ${freeInRuns} in free runs, ${this.#numFree} counted`);
    }
  }

  /** Index of the first run that starts after `block`. */
  #firstAfter(block: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! > block) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
