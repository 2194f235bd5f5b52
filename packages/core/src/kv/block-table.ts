/** Growing and sizing of a sequence's block table; used by the block managers. */
import type { Sequence } from "../contracts/index.js";
import { InvalidOptionsError } from "../errors/index.js";

const INITIAL_CAPACITY = 8;

/** Blocks that `numTokens` tokens take. */
export function blocksFor(numTokens: number, blockSize: number): number {
  return Math.ceil(numTokens / blockSize);
}

/** Makes room for `numBlocks` ids in `seq.blockTable`; doubles, so a sequence grows its table O(log n) times. */
export function ensureTable(seq: Sequence, numBlocks: number): void {
  if (seq.blockTable.length >= numBlocks) return;
  const larger = new Int32Array(Math.max(INITIAL_CAPACITY, numBlocks, seq.blockTable.length * 2));
  larger.set(seq.blockTable.subarray(0, seq.numBlocks));
  seq.blockTable = larger;
}

/** @throws InvalidOptionsError unless both are integers >= 1 */
export function checkPoolSize(numBlocks: number, blockSize: number): void {
  for (const [name, value] of Object.entries({ numBlocks, blockSize })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new InvalidOptionsError(`${name} is ${value}; it must be an integer of at least 1`);
  }
}
