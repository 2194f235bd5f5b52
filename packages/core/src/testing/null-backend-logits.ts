/**
 * Made-up logits for the null backend: a row whose largest entry is the sampled token, the rest spread below it,
 * all a function of the history's hash. Log-probabilities are those of the row's softmax, so that callers may check
 * one against the other.
 */
import { MAX_LOGPROBS } from "../contracts/index.js";
import { scramble } from "./null-backend-kv.js";

const SPREAD = 8;
const BEST = 1;

/** Fills `row` [vocabSize]; entries lie in (-8, 0] but for the token's, which is 1. */
export function fillNullLogits(row: Float32Array, hash: number, token: number): void {
  for (let id = 0; id < row.length; id++) row[id] = -SPREAD * (scramble(hash, id + 1) / 2 ** 32);
  row[token] = BEST;
}

/** log(sum(exp(row))); the row's largest entry is BEST. */
export function logSumExp(row: Float32Array): number {
  let sum = 0;
  for (const logit of row) sum += Math.exp(logit - BEST);
  return BEST + Math.log(sum);
}

/** Writes the `count` best ids of `row` and their log-probabilities for output row `outRow`, best first. */
export function writeTop(row: Float32Array, count: number, outRow: number, topIds: Int32Array, topLogprobs: Float32Array): void {
  const normalizer = logSumExp(row);
  const base = outRow * MAX_LOGPROBS;
  const size = Math.min(count, row.length, MAX_LOGPROBS);
  let kept = 0;
  for (let id = 0; id < row.length; id++) {
    const logprob = row[id]! - normalizer;
    if (kept === size && logprob <= topLogprobs[base + size - 1]!) continue;
    let place = kept < size ? kept++ : size - 1;
    for (; place > 0 && topLogprobs[base + place - 1]! < logprob; place--) {
      topIds[base + place] = topIds[base + place - 1]!;
      topLogprobs[base + place] = topLogprobs[base + place - 1]!;
    }
    topIds[base + place] = id;
    topLogprobs[base + place] = logprob;
  }
}
