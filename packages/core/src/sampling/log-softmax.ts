/**
 * log-softmax of a row: its normaliser, and the best tokens with their log-probabilities.
 * Sums in f64 over f32 logits. Called by the sampler where a row asks for logprobs.
 */
import { MAX_LOGPROBS } from "../contracts/model-input.js";
import type { SampledRows } from "../contracts/sampler.js";
import { EXP_LIMIT, expNegative } from "./exp-table.js";
import { keyId } from "./ranked-keys.js";
import type { TopKSelector } from "./top-k.js";

/**
 * ln of the sum of exp(logit); logprob = logit - logSumExp.
 * @param max the row's largest logit, finite
 */
export function logSumExp(logits: Float32Array, max: number): number {
  let sum = 0;
  for (let id = 0; id < logits.length; id++) {
    const below = max - logits[id]!;
    if (below <= EXP_LIMIT) sum += expNegative(below);
  }
  return max + Math.log(sum);
}

/** Writes the row's `count` best ids and logprobs, best first; past the vocabulary's end id -1 and -Infinity. */
export function fillTopLogprobs(
  logits: Float32Array,
  normalizer: number,
  count: number,
  selector: TopKSelector,
  out: SampledRows,
  row: number,
): void {
  const found = selector.selectSorted(logits, count);
  const base = row * MAX_LOGPROBS;
  for (let rank = 0; rank < count; rank++) {
    const id = rank < found ? keyId(selector.keys[rank]!) : -1;
    out.topIds[base + rank] = id;
    out.topLogprobs[base + rank] = id < 0 ? -Infinity : logits[id]! - normalizer;
  }
}
