/**
 * The draw: inverse of the cumulative distribution over the kept tokens in ascending id order.
 * Two passes without a scratch row: sums of blocks, then the one block in which the number falls.
 */
import { expNegative } from "./exp-table.js";

const BLOCK = 256;

/** The kept set and its distribution: weight(id) = exp(-(max - logit) * inverseTemperature). */
export interface Kept {
  /** The row's largest logit. */
  max: number;
  inverseTemperature: number;
  /** Largest (max - logit) * inverseTemperature kept, at most EXP_LIMIT. */
  maxBelow: number;
  /** Smallest logit kept, -Infinity = no limit; of the tokens that have just this logit, ids up to `lastTie`. */
  minLogit: number;
  lastTie: number;
}

export class Draw {
  /** [ceil(vocabSize / BLOCK)] f64; grows */
  #sums = new Float64Array(1024);

  /**
   * @param u in (0, 1)
   * @returns the id whose share of [0, 1) holds u
   */
  draw(logits: Float32Array, kept: Kept, u: number): number {
    const blocks = Math.ceil(logits.length / BLOCK);
    if (this.#sums.length < blocks) this.#sums = new Float64Array(blocks);
    const sums = this.#sums;
    let total = 0;
    for (let block = 0; block < blocks; block++) {
      const sum = blockWeight(logits, kept, block);
      sums[block] = sum;
      total += sum;
    }
    const target = u * total;
    let block = 0;
    let before = 0;
    let last = 0;
    for (; block < blocks && before + sums[block]! <= target; block++) {
      if (sums[block]! > 0) last = block;
      before += sums[block]!;
    }
    // Rounding may carry the target past the end: then the last kept token has it.
    return block < blocks ? pickInBlock(logits, kept, block, target - before) : pickInBlock(logits, kept, last, Infinity);
  }
}

function blockWeight(logits: Float32Array, kept: Kept, block: number): number {
  const { max, inverseTemperature, maxBelow, minLogit, lastTie } = kept;
  const end = Math.min(logits.length, (block + 1) * BLOCK);
  let sum = 0;
  for (let id = block * BLOCK; id < end; id++) {
    const logit = logits[id]!;
    if (logit < minLogit || (logit === minLogit && id > lastTie)) continue;
    const below = (max - logit) * inverseTemperature;
    if (below <= maxBelow) sum += expNegative(below);
  }
  return sum;
}

/** The first kept id of the block at which the running sum passes `target`; its last kept id should rounding prevent that. */
function pickInBlock(logits: Float32Array, kept: Kept, block: number, target: number): number {
  const { max, inverseTemperature, maxBelow, minLogit, lastTie } = kept;
  const end = Math.min(logits.length, (block + 1) * BLOCK);
  let sum = 0;
  let picked = -1;
  for (let id = block * BLOCK; id < end; id++) {
    const logit = logits[id]!;
    if (logit < minLogit || (logit === minLogit && id > lastTie)) continue;
    const below = (max - logit) * inverseTemperature;
    if (!(below <= maxBelow)) continue;
    picked = id;
    sum += expNegative(below);
    if (sum > target) break;
  }
  return picked;
}
