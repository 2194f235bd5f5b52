/**
 * Ranked keys: a logit and its token id in one double, so that "better, or equal with the lower id" is one compare and
 * lists of candidates are plain Float64Arrays. A key is order(logit) * 2^21 + (2^21 - 1 - id): 53 bits, exact.
 */

/** Ids have 21 bits. */
export const MAX_RANKED_VOCAB: number = 2 ** 21;

/** [1]: one logit seen as bits. Written and read within `rankKey` only. */
const FLOAT = new Float32Array(1);
const BITS = new Int32Array(FLOAT.buffer);

/** @param logit f32, not NaN */
export function rankKey(logit: number, id: number): number {
  // + 0 turns -0 into 0: the two are equal and must differ by id only.
  FLOAT[0] = logit + 0;
  const bits = BITS[0]!;
  const order = bits >= 0 ? bits + 2 ** 31 : ~bits;
  return order * MAX_RANKED_VOCAB + (MAX_RANKED_VOCAB - 1 - id);
}

export function keyId(key: number): number {
  return MAX_RANKED_VOCAB - 1 - (key - Math.floor(key / MAX_RANKED_VOCAB) * MAX_RANKED_VOCAB);
}

/** Moves the `k` largest of keys[0, length) to the front, in no order. Keys are distinct. Quickselect. */
export function selectLargest(keys: Float64Array, length: number, k: number): void {
  let low = 0;
  let high = length - 1;
  while (low < high) {
    const split = partition(keys, low, high);
    if (k <= split + 1) high = split;
    else low = split + 1;
  }
}

/** Sorts keys[low, high] largest first, in place. */
export function sortDescending(keys: Float64Array, low: number, high: number): void {
  while (high - low > 16) {
    const split = partition(keys, low, high);
    // The smaller half by recursion bounds the depth by log2(length).
    if (split - low < high - split) {
      sortDescending(keys, low, split);
      low = split + 1;
    } else {
      sortDescending(keys, split + 1, high);
      high = split;
    }
  }
  for (let i = low + 1; i <= high; i++) {
    const key = keys[i]!;
    let j = i - 1;
    for (; j >= low && keys[j]! < key; j--) keys[j + 1] = keys[j]!;
    keys[j + 1] = key;
  }
}

/**
 * Hoare's partition: afterwards keys[low, split] >= keys[split + 1, high], and low <= split < high.
 * The pivot's place is a hash of the range, so that no ordinary order of logits is a bad one.
 */
function partition(keys: Float64Array, low: number, high: number): number {
  const span = high - low;
  const pivot = keys[low + ((Math.imul(span ^ (low << 7), 0x9e3779b1) >>> 1) % span)]!;
  let i = low - 1;
  let j = high + 1;
  for (;;) {
    do i++;
    while (keys[i]! > pivot);
    do j--;
    while (keys[j]! < pivot);
    if (i >= j) return j;
    const swapped = keys[i]!;
    keys[i] = keys[j]!;
    keys[j] = swapped;
  }
}
