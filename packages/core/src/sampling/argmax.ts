/**
 * The best token of a row in one pass that also finds what no row may hold. Called for every row: the whole of greedy
 * sampling, and the first pass of all other.
 */

/**
 * Index of the largest logit, the lowest index among equals.
 * @param logits [vocabSize] f32
 * @returns -1 when the row holds NaN or +Infinity, or nothing but -Infinity
 */
export function argmax(logits: Float32Array): number {
  const length = logits.length;
  let best = -Infinity;
  let bestId = -1;
  for (let start = 0; start < length; start += 8) {
    if (start + 8 <= length && noneAbove(logits, start, best)) continue;
    const end = Math.min(start + 8, length);
    for (let id = start; id < end; id++) {
      const logit = logits[id]!;
      if (logit <= best) continue;
      if (!(logit < Infinity)) return -1;
      best = logit;
      bestId = id;
    }
  }
  return bestId;
}

/**
 * Whether eight logits from `start` on are all <= bound; false when one is NaN. Nearly always true once a good bound
 * is found, and then eight compares are all there is: half the time of the plain loop.
 */
export function noneAbove(logits: Float32Array, start: number, bound: number): boolean {
  return (
    logits[start]! <= bound &&
    logits[start + 1]! <= bound &&
    logits[start + 2]! <= bound &&
    logits[start + 3]! <= bound &&
    logits[start + 4]! <= bound &&
    logits[start + 5]! <= bound &&
    logits[start + 6]! <= bound &&
    logits[start + 7]! <= bound
  );
}
