/**
 * Headroom: how many blocks must be free for a newcomer to join a running batch. More than its own tokens need,
 * because whoever runs will soon need blocks too, and preempting somebody that was just admitted wastes its prefill.
 */
import type { BlockManager, Sequence } from "../contracts/index.js";

/** Part of the pool that an admission leaves free, at least one block (as vLLM's watermark). */
const WATERMARK = 0.01;
/** Doublings after which it exceeds any pool. */
const MAX_DOUBLINGS = 30;

export class Headroom {
  readonly #blocks: BlockManager;
  readonly #watermarkTokens: number;

  constructor(blockManager: BlockManager) {
    this.#blocks = blockManager;
    this.#watermarkTokens = Math.max(1, Math.floor(blockManager.numBlocks * WATERMARK)) * blockManager.blockSize;
  }

  /**
   * Free blocks must hold all tokens of the newcomer, the prefill still owed to the batch, and the watermark, doubled
   * for each time that the newcomer was preempted. So after about log2(pool) preemptions it only gets into an empty
   * batch, where it is the first in order and, unless it pauses or somebody of higher rank comes, stays.
   */
  suffices(newcomer: Sequence, batchSize: number, numOwedTokens: number): boolean {
    if (batchSize === 0) return this.#blocks.canAllocate(newcomer, newcomer.numTokens);
    const kept = this.#watermarkTokens * 2 ** Math.min(newcomer.numPreemptions, MAX_DOUBLINGS);
    return this.#blocks.canAllocate(newcomer, newcomer.numTokens + numOwedTokens + kept);
  }
}
