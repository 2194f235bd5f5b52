/**
 * Scores and weighted sums over an int8 cache. Queries and weights are int16 with a scale per row (and tile), so that
 * one i32x4.dot_i16x8_s does eight products; sums are exact integers: |q| <= 32767, |k| <= 127 and at most 256
 * dimensions or 64 positions stay below 2^31.
 */
import { ROW_ALPHA, ROW_BYTES, ROW_QUERY_SCALE, ROW_SCORES, ROW_WEIGHT_SCALE } from "../kernel-abi";
import { maxAbs, maxLane, sumLanes } from "./math";
import { blockShift, headDim, partial, query, stats, sum, vHeadDim } from "./pass";
import { keyScalesAt, keysAt, runShift, valueScalesAt, valuesAt } from "./runs";

const LARGEST: f32 = 32767;
/** As in math.ts: leaves the rounded integer in the low bits. */
const ROUND: f32 = 12582912;

/** Turns the row's query into int16 in place. A NaN goes into its scale. */
export function quantizeQuery(row: i32): void {
  const q = query(row);
  const amax = maxAbs(q, headDim);
  store<f32>(stats(row), amax / LARGEST, ROW_QUERY_SCALE);
  const inverse = f32x4.splat(LARGEST / amax);
  for (let i: usize = 0; i < <usize>headDim << 1; i += 16) {
    const low = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(q + (i << 1)), inverse)));
    const high = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(q + (i << 1), 16), inverse)));
    v128.store(q + i, i16x8.narrow_i32x4_s(low, high));
  }
}

/** Scores of rows r and r + 1 at the 16 positions from `p` on. */
export function quantizedScores2(r: i32, kvHead: i32, p: i32): void {
  const shift = runShift();
  const stride = <usize>2 << blockShift;
  const rowBytes = <usize>headDim << 2;
  let ka = keysAt(kvHead, p, shift);
  let kb = keysAt(kvHead, p + 8, shift);
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let q = query(r);
  for (const qEnd = q + (<usize>headDim << 1); q < qEnd; q += 4, ka += stride, kb += stride) {
    const x = v128.load32_splat(q);
    const y = v128.load32_splat(q + rowBytes);
    let k = v128.load8x8_s(ka);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, k));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(y, k));
    k = v128.load8x8_s(ka, 8);
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, k));
    b1 = i32x4.add(b1, i32x4.dot_i16x8_s(y, k));
    k = v128.load8x8_s(kb);
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, k));
    b2 = i32x4.add(b2, i32x4.dot_i16x8_s(y, k));
    k = v128.load8x8_s(kb, 8);
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, k));
    b3 = i32x4.add(b3, i32x4.dot_i16x8_s(y, k));
  }
  storeScores(r, kvHead, p, shift, a0, a1, a2, a3);
  storeScores(r + 1, kvHead, p, shift, b0, b1, b2, b3);
}

/** Scores of row r alone. */
export function quantizedScores1(r: i32, kvHead: i32, p: i32): void {
  const shift = runShift();
  const stride = <usize>2 << blockShift;
  let ka = keysAt(kvHead, p, shift);
  let kb = keysAt(kvHead, p + 8, shift);
  let a0 = i32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let q = query(r);
  for (const qEnd = q + (<usize>headDim << 1); q < qEnd; q += 4, ka += stride, kb += stride) {
    const x = v128.load32_splat(q);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(x, v128.load8x8_s(ka)));
    a1 = i32x4.add(a1, i32x4.dot_i16x8_s(x, v128.load8x8_s(ka, 8)));
    a2 = i32x4.add(a2, i32x4.dot_i16x8_s(x, v128.load8x8_s(kb)));
    a3 = i32x4.add(a3, i32x4.dot_i16x8_s(x, v128.load8x8_s(kb, 8)));
  }
  storeScores(r, kvHead, p, shift, a0, a1, a2, a3);
}

// @ts-ignore: decorator
@inline
function storeScores(r: i32, kvHead: i32, p: i32, shift: i32, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const to = stats(r) + (<usize>p << 2);
  const scale = v128.load32_splat(stats(r), ROW_QUERY_SCALE);
  const ka = keyScalesAt(kvHead, p, shift);
  const kb = keyScalesAt(kvHead, p + 8, shift);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(x0), f32x4.mul(v128.load(ka), scale)), ROW_SCORES);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(x1), f32x4.mul(v128.load(ka, 16), scale)), ROW_SCORES + 16);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(x2), f32x4.mul(v128.load(kb), scale)), ROW_SCORES + 32);
  v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(x3), f32x4.mul(v128.load(kb, 16), scale)), ROW_SCORES + 48);
}

/**
 * Weight x V scale of each position as int16 with one scale, in place, for the groups of 16 that hold [begin, end).
 * Weights outside are 0, but a scale there may be NaN and is not to be used.
 */
export function quantizeWeights(r: i32, kvHead: i32, begin: i32, end: i32): void {
  const shift = runShift();
  const row = stats(r) + ROW_SCORES;
  let m0 = f32x4.splat(1e-30), m1 = m0, t0 = f32x4.splat(0), t1 = t0;
  for (let p = begin & -8; p < end; p += 8) {
    const scales = valueScalesAt(kvHead, p, shift);
    const at = row + (<usize>p << 2);
    let w0 = f32x4.mul(v128.load(at), v128.load(scales));
    let w1 = f32x4.mul(v128.load(at, 16), v128.load(scales, 16));
    if (p < begin || p + 8 > end) {
      w0 = v128.and(w0, inside(p, begin, end));
      w1 = v128.and(w1, inside(p + 4, begin, end));
    }
    v128.store(at, w0);
    v128.store(at, w1, 16);
    m0 = f32x4.pmax(m0, w0);
    m1 = f32x4.pmax(m1, w1);
    t0 = f32x4.add(t0, w0);
    t1 = f32x4.add(t1, w1);
  }
  // The maximum passes over NaN, the sum does not: x - x is 0 or NaN.
  const t = f32x4.add(t0, t1);
  const nan = f32x4.sub(t, t);
  const amax = maxLane(f32x4.pmax(m0, m1));
  store<f32>(stats(r), amax / LARGEST + sumLanes(nan), ROW_WEIGHT_SCALE);
  const inverse = f32x4.splat(LARGEST / amax);
  for (let p = begin & -16; p < end; p += 16) {
    const at = row + (<usize>p << 2);
    const x = i16x8.narrow_i32x4_s(toInteger(v128.load(at), inverse), toInteger(v128.load(at, 16), inverse));
    const y = i16x8.narrow_i32x4_s(toInteger(v128.load(at, 32), inverse), toInteger(v128.load(at, 48), inverse));
    const to = row + (<usize>p << 1);
    v128.store(to, x);
    v128.store(to, y, 16);
  }
}

/** All ones in the lanes of the four positions from `p` on that lie in [begin, end). */
function inside(p: i32, begin: i32, end: i32): v128 {
  const lane = i32x4.add(i32x4.splat(p), i32x4(0, 1, 2, 3));
  return v128.and(i32x4.ge_s(lane, i32x4.splat(begin)), i32x4.lt_s(lane, i32x4.splat(end)));
}

/** Non-negative x * inverse, at most LARGEST, rounded. */
// @ts-ignore: decorator
@inline
function toInteger(x: v128, inverse: v128): v128 {
  return v128.and(f32x4.add(f32x4.mul(x, inverse), f32x4.splat(ROUND)), i32x4.splat(0x7fff));
}

/** Rows r and r + 1: partial += weights x V over positions [begin, end) of the tile. */
export function quantizedValues2(r: i32, kvHead: i32, begin: i32, end: i32): void {
  let d: usize = 0;
  for (; d + 16 <= <usize>vHeadDim; d += 16) values2x16(r, kvHead, begin & -2, end, d);
  if (vHeadDim & 8) {
    values1x8(r, kvHead, begin & -2, end, d);
    values1x8(r + 1, kvHead, begin & -2, end, d);
  }
}

/** Row r alone. */
export function quantizedValues1(r: i32, kvHead: i32, begin: i32, end: i32): void {
  for (let d: usize = 0; d < <usize>vHeadDim; d += 8) values1x8(r, kvHead, begin & -2, end, d);
}

/** sum = sum * alpha + partial * scale, partial = 0: once per row and tile. */
export function addPartials(r: i32): void {
  const alpha = v128.load32_splat(stats(r), ROW_ALPHA);
  const scale = v128.load32_splat(stats(r), ROW_WEIGHT_SCALE);
  let s = sum(r);
  let p = partial(r);
  for (const end = s + (<usize>vHeadDim << 2); s < end; s += 32, p += 32) {
    const x = f32x4.mul(f32x4.convert_i32x4_s(v128.load(p)), scale);
    const y = f32x4.mul(f32x4.convert_i32x4_s(v128.load(p, 16)), scale);
    v128.store(s, f32x4.add(f32x4.mul(v128.load(s), alpha), x));
    v128.store(s, f32x4.add(f32x4.mul(v128.load(s, 16), alpha), y), 16);
    v128.store(p, i32x4.splat(0));
    v128.store(p, i32x4.splat(0), 16);
  }
}

/** 16 dimensions from `d` on; `begin` is even. */
function values2x16(r: i32, kvHead: i32, begin: i32, end: i32, d: usize): void {
  const shift = runShift();
  const stride = <usize>vHeadDim << 1;
  const x = partial(r) + (d << 2);
  const y = x + (<usize>vHeadDim << 2);
  let a0 = v128.load(x), a1 = v128.load(x, 16), a2 = v128.load(x, 32), a3 = v128.load(x, 48);
  let b0 = v128.load(y), b1 = v128.load(y, 16), b2 = v128.load(y, 32), b3 = v128.load(y, 48);
  for (let p = begin; p < end; ) {
    let v = valuesAt(kvHead, p, shift) + (d << 1);
    const stop = min(end, ((p >> shift) + 1) << shift);
    let w = stats(r) + (<usize>p << 1);
    for (const wEnd = w + (<usize>(stop - p) << 1); w < wEnd; w += 4, v += stride) {
      const wx = v128.load32_splat(w, ROW_SCORES);
      const wy = v128.load32_splat(w, ROW_SCORES + ROW_BYTES);
      let u = v128.load8x8_s(v);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(wx, u));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(wy, u));
      u = v128.load8x8_s(v, 8);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(wx, u));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(wy, u));
      u = v128.load8x8_s(v, 16);
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(wx, u));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(wy, u));
      u = v128.load8x8_s(v, 24);
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(wx, u));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(wy, u));
    }
    p = stop;
  }
  store4(x, a0, a1, a2, a3);
  store4(y, b0, b1, b2, b3);
}

/** 8 dimensions of one row from `d` on. */
function values1x8(r: i32, kvHead: i32, begin: i32, end: i32, d: usize): void {
  const shift = runShift();
  const stride = <usize>vHeadDim << 1;
  const x = partial(r) + (d << 2);
  let a0 = v128.load(x), a1 = v128.load(x, 16);
  for (let p = begin; p < end; ) {
    let v = valuesAt(kvHead, p, shift) + (d << 1);
    const stop = min(end, ((p >> shift) + 1) << shift);
    let w = stats(r) + (<usize>p << 1);
    for (const wEnd = w + (<usize>(stop - p) << 1); w < wEnd; w += 4, v += stride) {
      const wx = v128.load32_splat(w, ROW_SCORES);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(wx, v128.load8x8_s(v)));
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(wx, v128.load8x8_s(v, 8)));
    }
    p = stop;
  }
  v128.store(x, a0);
  v128.store(x, a1, 16);
}

// @ts-ignore: decorator
@inline
function store4(to: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  v128.store(to, x0);
  v128.store(to, x1, 16);
  v128.store(to, x2, 32);
  v128.store(to, x3, 48);
}
