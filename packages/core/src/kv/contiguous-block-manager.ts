/**
 * ContiguousBlockManager: every sequence gets one run of blocks for its longest possible length, up front: how KV
 * memory was handed out before PagedAttention. The baseline that shows what paging saves; nothing is shared, and an
 * append never fails. Same contract and callers as PagedBlockManager.
 */
import type { Allocation, BlockManager, BlockManagerStats, Sequence } from "../contracts/index.js";
import { InternalError, OutOfBlocksError } from "../errors/index.js";
import { blocksFor, checkPoolSize, ensureTable } from "./block-table.js";
import { FreeExtents } from "./free-extents.js";
import type { BlockPoolOptions } from "./paged-block-manager.js";

const NOTHING_CACHED: Allocation = Object.freeze({ cachedTokens: 0 });

/** Operations are O(sequences) at worst (the list of free extents), plus O(blocks) to fill the table. */
export class ContiguousBlockManager implements BlockManager {
  readonly blockSize: number;
  readonly numBlocks: number;
  readonly #extents: FreeExtents;

  /** @throws InvalidOptionsError */
  constructor(options: BlockPoolOptions) {
    checkPoolSize(options.numBlocks, options.blockSize);
    this.blockSize = options.blockSize;
    this.numBlocks = options.numBlocks;
    this.#extents = new FreeExtents(this.numBlocks);
  }

  canEverFit(seq: Sequence): boolean {
    return blocksFor(seq.maxTokens, this.blockSize) <= this.numBlocks;
  }

  /** `numTokens` plays no part: the sequence's maximum is reserved in any case. */
  canAllocate(seq: Sequence, _numTokens: number): boolean {
    return this.#extents.hasRun(blocksFor(seq.maxTokens, this.blockSize));
  }

  allocate(seq: Sequence, numTokens: number): Allocation {
    if (!this.#reserve(seq)) {
      throw new OutOfBlocksError(
        `${numTokens} tokens of at most ${seq.maxTokens} need ${blocksFor(seq.maxTokens, this.blockSize)} KV blocks in a row; ` +
          `the longest free run has ${this.#extents.longest()} of ${this.numBlocks}; ask canAllocate first`,
      );
    }
    return NOTHING_CACHED;
  }

  append(seq: Sequence, numNewTokens: number, _copies: number[]): boolean {
    const numTokens = seq.numComputedTokens + numNewTokens;
    if (seq.numBlocks > 0 && numTokens <= seq.numBlocks * this.blockSize) return true;
    throw new InternalError(
      `sequence ${seq.seqId}: ${numTokens} tokens exceed the ${seq.numBlocks} blocks reserved for maxTokens = ${seq.maxTokens}`,
    );
  }

  fork(parent: Sequence, child: Sequence, copies: number[]): boolean {
    if (!this.#reserve(child)) return false;
    const numBlocks = blocksFor(parent.numComputedTokens, this.blockSize);
    for (let i = 0; i < numBlocks; i++) copies.push(parent.blockTable[i]!, child.blockTable[i]!);
    return true;
  }

  free(seq: Sequence): void {
    if (seq.numBlocks === 0) return;
    this.#extents.release(seq.blockTable[0]!, seq.numBlocks);
    seq.numBlocks = 0;
  }

  stats(): BlockManagerStats {
    return {
      numBlocks: this.numBlocks,
      numFreeBlocks: this.#extents.numFree,
      blockSize: this.blockSize,
      numSharedBlocks: 0,
      prefixCacheHits: 0,
      prefixCacheQueries: 0,
    };
  }

  checkIntegrity(sequences: Iterable<Sequence>): void {
    const used = new Uint8Array(this.numBlocks);
    for (const seq of sequences) this.#checkRun(seq, used);
    this.#extents.check(used);
  }

  #reserve(seq: Sequence): boolean {
    if (seq.numBlocks !== 0) {
      throw new InternalError(`sequence ${seq.seqId} already holds ${seq.numBlocks} KV blocks; free them first`);
    }
    const length = blocksFor(seq.maxTokens, this.blockSize);
    const start = this.#extents.take(length);
    if (start < 0) return false;
    ensureTable(seq, length);
    for (let i = 0; i < length; i++) seq.blockTable[i] = start + i;
    seq.numBlocks = length;
    return true;
  }

  #checkRun(seq: Sequence, used: Uint8Array): void {
    const fail = (message: string): never => {
      throw new InternalError(`KV blocks: sequence ${seq.seqId} ${message}`);
    };
    if (seq.numBlocks * this.blockSize < seq.numComputedTokens) {
      fail(`has ${seq.numComputedTokens} computed tokens in ${seq.numBlocks} blocks`);
    }
    for (let i = 0; i < seq.numBlocks; i++) {
      const block = seq.blockTable[i]!;
      if (block !== seq.blockTable[0]! + i) fail(`has block ${block} at ${i} of a run from ${seq.blockTable[0]}`);
      if (block < 0 || block >= this.numBlocks) fail(`has block ${block}; the pool has ${this.numBlocks}`);
      if (used[block]) fail(`has block ${block}, which another sequence holds`);
      used[block] = 1;
    }
  }
}
