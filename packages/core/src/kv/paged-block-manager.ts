/**
 * PagedBlockManager: KV memory in blocks of blockSize tokens that any sequence may hold anywhere (PagedAttention,
 * Kwon et al. 2023). In: sequences and how many tokens they need; out: their block tables, and the copies that
 * copy-on-write asks for. Called by schedulers and, for forks, by the engine. It never sees keys or values.
 */
import type { Allocation, BlockManager, BlockManagerStats, Sequence } from "../contracts/index.js";
import { InternalError, OutOfBlocksError } from "../errors/index.js";
import { blocksFor, checkPoolSize, ensureTable } from "./block-table.js";
import { checkPagedIntegrity } from "./paged-integrity.js";

export interface BlockPoolOptions {
  /** Blocks in the pool, >= 1. */
  readonly numBlocks: number;
  /** Tokens per block, >= 1. */
  readonly blockSize: number;
}

const NOTHING_CACHED: Allocation = Object.freeze({ cachedTokens: 0 });

/**
 * Reference-counted blocks over one pool; 8 bytes of bookkeeping per block. Every operation is O(1) per block that
 * it takes or gives back, and O(1) for a token that stays within its block.
 */
export class PagedBlockManager implements BlockManager {
  readonly blockSize: number;
  readonly numBlocks: number;
  /** [numBlocks] i32, how many tables hold the block; 0 = free */
  readonly #refCounts: Int32Array;
  /**
   * [numBlocks] i32, the first #numFree are free. A stack: the block freed last is taken first, because its memory
   * is committed (and perhaps still in a cache), while memory never touched costs nothing.
   */
  readonly #freeStack: Int32Array;
  #numFree: number;
  #numShared = 0;

  /** @throws InvalidOptionsError */
  constructor(options: BlockPoolOptions) {
    checkPoolSize(options.numBlocks, options.blockSize);
    this.blockSize = options.blockSize;
    this.numBlocks = options.numBlocks;
    this.#refCounts = new Int32Array(this.numBlocks);
    this.#freeStack = new Int32Array(this.numBlocks);
    for (let i = 0; i < this.numBlocks; i++) this.#freeStack[i] = this.numBlocks - 1 - i;
    this.#numFree = this.numBlocks;
  }

  canEverFit(seq: Sequence): boolean {
    return blocksFor(seq.maxTokens, this.blockSize) <= this.numBlocks;
  }

  canAllocate(_seq: Sequence, numTokens: number): boolean {
    return blocksFor(numTokens, this.blockSize) <= this.#numFree;
  }

  allocate(seq: Sequence, numTokens: number): Allocation {
    requireEmpty(seq);
    const numBlocks = blocksFor(numTokens, this.blockSize);
    if (numBlocks > this.#numFree) {
      throw new OutOfBlocksError(
        `${numTokens} tokens need ${numBlocks} KV blocks and ${this.#numFree} of ${this.numBlocks} are free; ask canAllocate first`,
      );
    }
    this.#extend(seq, numBlocks);
    return NOTHING_CACHED;
  }

  append(seq: Sequence, numNewTokens: number, copies: number[]): boolean {
    const numComputed = seq.numComputedTokens;
    const needed = blocksFor(numComputed + numNewTokens, this.blockSize);
    const firstWritten = Math.floor(numComputed / this.blockSize);
    const lastHeld = Math.min(seq.numBlocks, needed);
    let numTaken = Math.max(0, needed - seq.numBlocks);
    for (let i = firstWritten; i < lastHeld; i++) if (this.#refCounts[seq.blockTable[i]!]! > 1) numTaken++;
    if (numTaken > this.#numFree) return false;
    if (numTaken === 0) return true;
    for (let i = firstWritten; i < lastHeld; i++) this.#makeOwn(seq, i, copies);
    this.#extend(seq, needed);
    return true;
  }

  fork(parent: Sequence, child: Sequence, _copies: number[]): boolean {
    requireEmpty(child);
    const numBlocks = blocksFor(parent.numComputedTokens, this.blockSize);
    ensureTable(child, numBlocks);
    for (let i = 0; i < numBlocks; i++) {
      const block = parent.blockTable[i]!;
      if (++this.#refCounts[block]! === 2) this.#numShared++;
      child.blockTable[i] = block;
    }
    child.numBlocks = numBlocks;
    return true;
  }

  free(seq: Sequence): void {
    // Backwards, so that the next sequence gets the blocks in the order this one had them.
    for (let i = seq.numBlocks - 1; i >= 0; i--) this.#release(seq.blockTable[i]!, seq);
    seq.numBlocks = 0;
  }

  stats(): BlockManagerStats {
    return {
      numBlocks: this.numBlocks,
      numFreeBlocks: this.#numFree,
      blockSize: this.blockSize,
      numSharedBlocks: this.#numShared,
      prefixCacheHits: 0,
      prefixCacheQueries: 0,
    };
  }

  checkIntegrity(sequences: Iterable<Sequence>): void {
    checkPagedIntegrity(sequences, {
      blockSize: this.blockSize,
      refCounts: this.#refCounts,
      freeBlocks: this.#freeStack.subarray(0, this.#numFree),
      numShared: this.#numShared,
    });
  }

  /** Takes free blocks until `seq` holds `numBlocks`. The caller has made sure that they are there. */
  #extend(seq: Sequence, numBlocks: number): void {
    ensureTable(seq, numBlocks);
    while (seq.numBlocks < numBlocks) seq.blockTable[seq.numBlocks++] = this.#take();
  }

  /** Copy-on-write: a block that `seq` is about to write must be held by it alone. */
  #makeOwn(seq: Sequence, index: number, copies: number[]): void {
    const shared = seq.blockTable[index]!;
    if (this.#refCounts[shared] === 1) return;
    const own = this.#take();
    if (--this.#refCounts[shared]! === 1) this.#numShared--;
    seq.blockTable[index] = own;
    // A block that starts at or after the first new token has no content worth copying.
    if (index * this.blockSize < seq.numComputedTokens) copies.push(shared, own);
  }

  #take(): number {
    const block = this.#freeStack[--this.#numFree]!;
    this.#refCounts[block] = 1;
    return block;
  }

  #release(block: number, seq: Sequence): void {
    const left = --this.#refCounts[block]!;
    if (left === 1) this.#numShared--;
    if (left > 0) return;
    if (left === 0) {
      this.#freeStack[this.#numFree++] = block;
      return;
    }
    this.#refCounts[block] = 0;
    throw new InternalError(`KV block ${block} freed twice, the second time by sequence ${seq.seqId}`);
  }
}

function requireEmpty(seq: Sequence): void {
  if (seq.numBlocks === 0) return;
  throw new InternalError(`sequence ${seq.seqId} already holds ${seq.numBlocks} KV blocks; free them first`);
}
