/**
 * Which 16 values a group of weights is rounded to: scale and zero point by three rules. Called per group by
 * Int4GroupQuantizer; nothing is allocated.
 */

/** w = (nibble - zero) * scale; `inverse` is 1 / scale, or 0 where every weight counts as zero. */
export interface Grid {
  scale: number;
  inverse: number;
  zero: number;
}

/** Fills `grid` for weight[start, end). @returns -1, or the index of a weight that is not finite */
export type ChooseGrid = (weight: Float32Array, start: number, end: number, grid: Grid) => number;

/** Smallest normal f32; groups that would need a smaller scale are stored as zeros. */
const MIN_SCALE = 2 ** -126;
/** Weights beyond this get the symmetric grid, whose largest value is the largest weight: others could round to infinity. */
const HUGE = 2 ** 126;

/**
 * The weight of largest magnitude becomes -8 exactly, whatever its sign: the scale may be negative (the idea of
 * ggml's Q4_0). Uses all 16 values; +-absMax / 7 would never use one.
 */
export function symmetricGrid(weight: Float32Array, start: number, end: number, grid: Grid): number {
  let absMax = 0;
  let extreme = 0;
  for (let i = start; i < end; i++) {
    const magnitude = Math.abs(weight[i]!);
    if (!(magnitude <= absMax)) {
      if (!(magnitude < Infinity)) return i;
      absMax = magnitude;
      extreme = weight[i]!;
    }
  }
  setScale(grid, extreme / -8, 8);
  return -1;
}

/** From the smallest to the largest weight, zero included so that a zero weight stays zero. */
export function asymmetricGrid(weight: Float32Array, start: number, end: number, grid: Grid): number {
  let low = 0;
  let high = 0;
  for (let i = start; i < end; i++) {
    const value = weight[i]!;
    if (!(Math.abs(value) < Infinity)) return i;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  if (high > HUGE || low < -HUGE) return symmetricGrid(weight, start, end, grid);
  setScale(grid, (high - low) / 15, 0);
  grid.zero = grid.inverse === 0 ? 8 : Math.round(-low * grid.inverse);
  return -1;
}

/**
 * Inverse scales to try, as multiples of the symmetric grid's: 7 to 9.6 steps to the largest weight, which is cut off
 * above 8. On bell-shaped weights five find what nineteen find, to 1 %.
 */
const SEARCH = Float64Array.of(7, 7.5, 8.5, 9, 9.6).map((steps) => steps / 8);

/**
 * Of several symmetric scales, each refitted to its own codes by least squares, the one with the smallest squared error
 * (the idea of ggml's make_qx_quants). Never worse than `symmetricGrid`.
 */
export function searchedGrid(weight: Float32Array, start: number, end: number, grid: Grid): number {
  const bad = symmetricGrid(weight, start, end, grid);
  if (bad >= 0 || grid.inverse === 0 || Math.abs(grid.scale) * 8 > HUGE) return bad;
  const base = grid.inverse;
  let bestInverse = base;
  let best = explained(weight, start, end, base);
  for (let i = 0; i < SEARCH.length; i++) {
    const gain = explained(weight, start, end, base * SEARCH[i]!);
    if (gain > best) {
      best = gain;
      bestInverse = base * SEARCH[i]!;
    }
  }
  // The codes come from `inverse`, the values from the refitted scale.
  grid.inverse = bestInverse;
  grid.scale = Math.fround(refittedScale(weight, start, end, bestInverse));
  return -1;
}

/** Squared norm that codes at this scale explain when their scale is refitted: (sum w q)^2 / sum q^2. */
function explained(weight: Float32Array, start: number, end: number, inverse: number): number {
  let cross = 0;
  let norm = 0;
  for (let i = start; i < end; i++) {
    const value = weight[i]!;
    const code = signedCode(value, inverse);
    cross += value * code;
    norm += code * code;
  }
  return (cross * cross) / norm;
}

function refittedScale(weight: Float32Array, start: number, end: number, inverse: number): number {
  let cross = 0;
  let norm = 0;
  for (let i = start; i < end; i++) {
    const code = signedCode(weight[i]!, inverse);
    cross += weight[i]! * code;
    norm += code * code;
  }
  return cross / norm;
}

/** As `nibble` rounds with zero = 8, less 8. */
function signedCode(value: number, inverse: number): number {
  const code = ((value * inverse + 16.5) | 0) - 16;
  return code > 7 ? 7 : code < -8 ? -8 : code;
}

function setScale(grid: Grid, scale: number, zero: number): void {
  grid.scale = Math.fround(scale);
  grid.zero = zero;
  if (Math.abs(grid.scale) < MIN_SCALE) grid.scale = grid.inverse = 0;
  else grid.inverse = 1 / grid.scale;
}
