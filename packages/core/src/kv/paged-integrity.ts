/**
 * The invariants of a paged pool, checked from scratch: O(blocks + table entries). Called by
 * PagedBlockManager.checkIntegrity, which tests call after every operation.
 */
import type { Sequence } from "../contracts/index.js";
import { InternalError } from "../errors/index.js";

/** What the pool believes. */
export interface PagedPoolState {
  readonly blockSize: number;
  /** [numBlocks] i32 */
  readonly refCounts: Int32Array;
  /** [numFree] i32 */
  readonly freeBlocks: Int32Array;
  readonly numShared: number;
}

/** @throws InternalError naming the first thing that is wrong */
export function checkPagedIntegrity(sequences: Iterable<Sequence>, pool: PagedPoolState): void {
  const holders = countHolders(sequences, pool);
  let numUsed = 0;
  let numShared = 0;
  for (let block = 0; block < holders.length; block++) {
    if (holders[block] !== pool.refCounts[block]) {
      fail(`block ${block} has reference count ${pool.refCounts[block]} and is in ${holders[block]} tables`);
    }
    if (holders[block]! > 0) numUsed++;
    if (holders[block]! > 1) numShared++;
  }
  checkFreeList(pool);
  if (numUsed + pool.freeBlocks.length !== holders.length) {
    fail(`${numUsed} used and ${pool.freeBlocks.length} free blocks do not make ${holders.length}`);
  }
  if (numShared !== pool.numShared) fail(`${numShared} blocks are shared, counted as ${pool.numShared}`);
}

/** @returns [numBlocks] i32, in how many tables each block is */
function countHolders(sequences: Iterable<Sequence>, pool: PagedPoolState): Int32Array {
  const numBlocks = pool.refCounts.length;
  const holders = new Int32Array(numBlocks);
  const lastHolder = new Int32Array(numBlocks).fill(-1);
  let index = 0;
  for (const seq of sequences) {
    if (seq.numBlocks * pool.blockSize < seq.numComputedTokens) {
      fail(`sequence ${seq.seqId} has ${seq.numComputedTokens} computed tokens in ${seq.numBlocks} blocks`);
    }
    for (let i = 0; i < seq.numBlocks; i++) {
      const block = seq.blockTable[i];
      if (block === undefined || block < 0 || block >= numBlocks) {
        fail(`sequence ${seq.seqId} has block ${block} at ${i}; the pool has ${numBlocks}`);
      }
      if (lastHolder[block] === index) fail(`sequence ${seq.seqId} has block ${block} twice`);
      lastHolder[block] = index;
      holders[block]!++;
    }
    index++;
  }
  return holders;
}

function checkFreeList(pool: PagedPoolState): void {
  const seen = new Uint8Array(pool.refCounts.length);
  for (const block of pool.freeBlocks) {
    if (seen[block]) fail(`block ${block} is in the free list twice`);
    if (pool.refCounts[block] !== 0) fail(`block ${block} is free and has reference count ${pool.refCounts[block]}`);
    seen[block] = 1;
  }
}

function fail(message: string): never {
  throw new InternalError(`KV blocks: ${message}`);
}
