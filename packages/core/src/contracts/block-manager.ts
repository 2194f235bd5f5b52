/**
 * BlockManager: who holds which KV block. It moves no data: copies are returned for the runner to make.
 */
import type { Sequence } from "./sequence.js";

export interface BlockManagerStats {
  readonly numBlocks: number;
  readonly numFreeBlocks: number;
  readonly blockSize: number;
  /** Blocks held by more than one sequence. */
  readonly numSharedBlocks: number;
  /** Tokens found in the prefix cache, and looked up; 0 where there is none. */
  readonly prefixCacheHits: number;
  readonly prefixCacheQueries: number;
}

export interface Allocation {
  /** Leading tokens whose keys and values are already there (prefix cache). */
  readonly cachedTokens: number;
}

export interface BlockManager {
  readonly blockSize: number;
  readonly numBlocks: number;
  /** Could `seq` ever run, alone in an empty pool, to its maxTokens? Asked once, when it arrives. */
  canEverFit(seq: Sequence): boolean;
  /** Is there room now for the first `numTokens` tokens of a sequence that holds no blocks? Changes nothing. */
  canAllocate(seq: Sequence, numTokens: number): boolean;
  /**
   * Gives `seq` (holding nothing) blocks for its first `numTokens` tokens, cached ones included.
   * @throws OutOfBlocksError when canAllocate is false
   */
  allocate(seq: Sequence, numTokens: number): Allocation;
  /**
   * Makes room for `numNewTokens` after `seq.numComputedTokens`; a shared block that would be written is
   * replaced, its copy appended to `copies` as [src, dst].
   * @returns false, with nothing changed, when there are not enough free blocks
   */
  append(seq: Sequence, numNewTokens: number, copies: number[]): boolean;
  /**
   * `child` (holding nothing) shares the blocks of `parent`'s computed tokens; where sharing is impossible, copies are appended.
   * @returns false, with nothing changed, when there are not enough free blocks
   */
  fork(parent: Sequence, child: Sequence, copies: number[]): boolean;
  /** Gives back all blocks of `seq`. Does nothing when it holds none. */
  free(seq: Sequence): void;
  stats(): BlockManagerStats;
  /** @throws InternalError when free and used blocks do not partition the pool, or reference counts disagree with the tables given */
  checkIntegrity(sequences: Iterable<Sequence>): void;
}
