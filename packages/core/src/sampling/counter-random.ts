/**
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * In: a seed and a counter. Out: the same number for the same pair, wherever and in whatever order it is asked for,
 * so that a seeded request does not depend on its batch. Called by the sampler; holds no state but scratch.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

export class CounterRandom {
  /** [4] u32 */
  readonly #block = new Uint32Array(4);

  /**
   * A number in the open interval (0, 1), 52 random bits.
   * @param counter u32: which of the seed's numbers
   */
  uniform(seedLow: number, seedHigh: number, counter: number): number {
    const block = this.#block;
    block[0] = counter;
    block[1] = block[2] = block[3] = 0;
    philox4x32(block, seedLow, seedHigh);
    // The half keeps 0 out; 52 bits and a half are exact in a double, so 1 stays out too.
    return ((block[0]! >>> 6) * 2 ** 26 + (block[1]! >>> 6) + 0.5) * 2 ** -52;
  }
}

/** Replaces the counter `block` [4] u32 by its random bits under the key. */
export function philox4x32(block: Uint32Array, key0: number, key1: number): void {
  let k0 = key0 >>> 0;
  let k1 = key1 >>> 0;
  for (let round = 0; round < ROUNDS; round++) {
    const c0 = block[0]!;
    const c2 = block[2]!;
    block[0] = mulHigh(MULTIPLIER_1, c2) ^ block[1]! ^ k0;
    block[2] = mulHigh(MULTIPLIER_0, c0) ^ block[3]! ^ k1;
    block[1] = Math.imul(MULTIPLIER_1, c2);
    block[3] = Math.imul(MULTIPLIER_0, c0);
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
}

/** Upper 32 bits of the 64-bit product, from 16-bit halves; no partial sum passes 2^32. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (carry >>> 16);
}
