/** The arithmetic of the naive kernel: rotary positions and one head of attention, in plain loops. */
import type { RopeTable } from "@weir/core";

/** Rotates a q or k head in place; pairs lie half the rotary dimensions apart. */
export function rotate(x: Float32Array, { rotaryDim, cos, sin }: RopeTable, position: number): void {
  for (let i = 0, j = rotaryDim / 2, at = position * j; j < rotaryDim; i++, j++, at++) {
    const [a, b] = [x[i]!, x[j]!];
    x[i] = a * cos[at]! - b * sin[at]!;
    x[j] = b * cos[at]! + a * sin[at]!;
  }
}

/**
 * One query head over the keys and values of its sequence: softmax(q k * scale) v.
 * @param keys where in the cache each position's key begins
 * @param keyToValue how much further on its value begins
 */
export function attend(
  q: Float32Array,
  cache: Float32Array,
  keys: Float64Array,
  keyToValue: number,
  scale: number,
  out: Float32Array,
): void {
  const scores = keys.map((at) => {
    let sum = 0;
    for (let d = 0; d < q.length; d++) sum += q[d]! * cache[at + d]!;
    return sum * scale;
  });
  const max = scores.reduce((a, b) => Math.max(a, b));
  const weights = scores.map((score) => Math.exp(score - max));
  const total = weights.reduce((a, b) => a + b);
  for (let d = 0; d < q.length; d++) {
    let sum = 0;
    for (let p = 0; p < keys.length; p++) sum += weights[p]! * cache[keys[p]! + keyToValue + d]!;
    out[d] = sum / total;
  }
}
