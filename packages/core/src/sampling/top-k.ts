/**
 * Exact selection of the k best tokens of a row without sorting it: a buffer takes whatever beats the threshold;
 * when it is full, quickselect keeps the k best and raises the threshold. Linear in the row in every order.
 * In: a row without NaN. Out: ranked keys. Called by the sampler for top-k and for top logprobs.
 */
import { noneAbove } from "./argmax.js";
import { keyId, rankKey, selectLargest, sortDescending } from "./ranked-keys.js";

/** Room beyond k before the buffer is cut back; larger means rarer cuts. */
const SLACK = 1024;

export class TopKSelector {
  /** Grows to k + max(k, SLACK). The first `select()` are valid until its next call. */
  keys: Float64Array = new Float64Array(2 * SLACK);

  /**
   * Fills `keys` with the ranked keys of the `k` best tokens, in no order; ties go to the lower id.
   * @param logits [vocabSize] f32 without NaN
   * @param k >= 1
   * @returns how many: min(k, vocabSize)
   */
  select(logits: Float32Array, k: number): number {
    const length = logits.length;
    const capacity = Math.min(length, k + Math.max(k, SLACK));
    if (this.keys.length < capacity) this.keys = new Float64Array(capacity);
    const count = this.#fill(capacity, logits, k);
    if (k >= count) return count;
    selectLargest(this.keys, count, k);
    return k;
  }

  /** As select(), best first. */
  selectSorted(logits: Float32Array, k: number): number {
    const count = this.select(logits, k);
    sortDescending(this.keys, 0, count - 1);
    return count;
  }

  /** The key of the worst of the first `count`. */
  worstKey(count: number): number {
    let worst = this.keys[0]!;
    for (let i = 1; i < count; i++) if (this.keys[i]! < worst) worst = this.keys[i]!;
    return worst;
  }

  /** @returns how many keys are in the buffer; the k best of the row are among them */
  #fill(capacity: number, logits: Float32Array, k: number): number {
    const keys = this.keys;
    const length = logits.length;
    let count = 0;
    // A logit equal to the threshold loses: its id is higher than those of the k that are kept.
    let threshold = -Infinity;
    for (let start = 0; start < length; start += 8) {
      if (start + 8 <= length && count >= k && noneAbove(logits, start, threshold)) continue;
      const end = Math.min(start + 8, length);
      for (let id = start; id < end; id++) {
        const logit = logits[id]!;
        if (count >= k && logit <= threshold) continue;
        if (count === capacity) {
          selectLargest(keys, count, k);
          count = k;
          threshold = logits[keyId(this.worstKey(k))]!;
          if (logit <= threshold) continue;
        }
        keys[count++] = rankKey(logit, id);
      }
    }
    return count;
  }
}
