/**
 * Top-p: the smallest set of best tokens whose probability reaches p, as the ranked key of its last member.
 * Over a whole row by a histogram of probability against logit, of which only one bin is sorted; over a list that
 * top-k has cut already, by walking it. Called by the sampler.
 */
import { EXP_BINS, EXP_LIMIT, EXP_STEPS, expNegative } from "./exp-table.js";
import { keyId, rankKey, sortDescending } from "./ranked-keys.js";

/** Key of the last token of the nucleus among the sorted `keys[0, count)`. */
export function nucleusOfList(keys: Float64Array, count: number, logits: Float32Array, inverseTemperature: number, topP: number): number {
  const max = logits[keyId(keys[0]!)]!;
  let total = 0;
  for (let i = 0; i < count; i++) total += weight((max - logits[keyId(keys[i]!)]!) * inverseTemperature);
  let mass = 0;
  for (let i = 0; i < count; i++) {
    mass += weight((max - logits[keyId(keys[i]!)]!) * inverseTemperature);
    if (mass >= topP * total) return keys[i]!;
  }
  return keys[count - 1]!;
}

export class Nucleus {
  /** [EXP_BINS] f64: weight by distance from the best logit */
  readonly #mass = new Float64Array(EXP_BINS);
  /** Ranked keys of one bin; grows. */
  #keys = new Float64Array(1024);

  /** Key of the last token of the nucleus of the whole row. */
  ofRow(logits: Float32Array, max: number, inverseTemperature: number, topP: number): number {
    const mass = this.#mass.fill(0);
    for (let id = 0; id < logits.length; id++) {
      const below = (max - logits[id]!) * inverseTemperature;
      if (below <= EXP_LIMIT) mass[(below * EXP_STEPS) | 0]! += expNegative(below);
    }
    let total = 0;
    for (let bin = 0; bin < EXP_BINS; bin++) total += mass[bin]!;
    const target = topP * total;
    let bin = 0;
    let before = 0;
    while (bin < EXP_BINS - 1 && before + mass[bin]! < target) before += mass[bin++]!;
    return this.#cutWithin(bin, target - before, logits, max, inverseTemperature);
  }

  /** @param missing weight still to be reached when the bin begins */
  #cutWithin(bin: number, missing: number, logits: Float32Array, max: number, inverseTemperature: number): number {
    // A coarse range that holds the bin spares most tokens the arithmetic.
    const high = max - (bin - 1) / EXP_STEPS / inverseTemperature;
    const low = max - (bin + 2) / EXP_STEPS / inverseTemperature;
    let count = 0;
    for (let id = 0; id < logits.length; id++) {
      if (!(logits[id]! >= low && logits[id]! <= high)) continue;
      const below = (max - logits[id]!) * inverseTemperature;
      if (!(below <= EXP_LIMIT) || ((below * EXP_STEPS) | 0) !== bin) continue;
      if (count === this.#keys.length) this.#grow();
      this.#keys[count++] = rankKey(logits[id]!, id);
    }
    sortDescending(this.#keys, 0, count - 1);
    let mass = 0;
    for (let i = 0; i < count; i++) {
      mass += weight((max - logits[keyId(this.#keys[i]!)]!) * inverseTemperature);
      if (mass >= missing) return this.#keys[i]!;
    }
    return this.#keys[count - 1]!;
  }

  #grow(): void {
    const keys = new Float64Array(this.#keys.length * 2);
    keys.set(this.#keys);
    this.#keys = keys;
  }
}

function weight(below: number): number {
  return below <= EXP_LIMIT ? expNegative(below) : 0;
}
