/**
 * Scores and weighted sums over an f32 cache. Each result is one chain of additions in a fixed order (dimensions
 * for a score, positions for an output), the same for one row as for two: bits do not depend on how rows are paired.
 * Two rows by 16 values are what fits the 16 vector registers.
 */
import { ROW_BYTES, ROW_SCORES } from "../kernel-abi";
import { madd } from "./math";
import { blockShift, headDim, query, stats, sum, vHeadDim } from "./pass";
import { keysAt, runShift, valuesAt } from "./runs";

/** Scores of rows r and r + 1 at the 16 positions from `p` on. */
export function denseScores2(r: i32, kvHead: i32, p: i32): void {
  const shift = runShift();
  const stride = <usize>4 << blockShift;
  const bytes = <usize>headDim << 2;
  let ka = keysAt(kvHead, p, shift);
  let kb = keysAt(kvHead, p + 8, shift);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0, b0 = a0, b1 = a0, b2 = a0, b3 = a0;
  let q = query(r);
  for (const qEnd = q + bytes; q < qEnd; q += 4, ka += stride, kb += stride) {
    const x = v128.load32_splat(q);
    const y = v128.load32_splat(q + bytes);
    let k = v128.load(ka);
    a0 = madd(x, k, a0);
    b0 = madd(y, k, b0);
    k = v128.load(ka, 16);
    a1 = madd(x, k, a1);
    b1 = madd(y, k, b1);
    k = v128.load(kb);
    a2 = madd(x, k, a2);
    b2 = madd(y, k, b2);
    k = v128.load(kb, 16);
    a3 = madd(x, k, a3);
    b3 = madd(y, k, b3);
  }
  const to = stats(r) + (<usize>p << 2);
  store4(to + ROW_SCORES, a0, a1, a2, a3);
  store4(to + ROW_SCORES + ROW_BYTES, b0, b1, b2, b3);
}

/** Scores of row r alone. */
export function denseScores1(r: i32, kvHead: i32, p: i32): void {
  const shift = runShift();
  const stride = <usize>4 << blockShift;
  let ka = keysAt(kvHead, p, shift);
  let kb = keysAt(kvHead, p + 8, shift);
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0;
  let q = query(r);
  for (const qEnd = q + (<usize>headDim << 2); q < qEnd; q += 4, ka += stride, kb += stride) {
    const x = v128.load32_splat(q);
    a0 = madd(x, v128.load(ka), a0);
    a1 = madd(x, v128.load(ka, 16), a1);
    a2 = madd(x, v128.load(kb), a2);
    a3 = madd(x, v128.load(kb, 16), a3);
  }
  store4(stats(r) + (<usize>p << 2) + ROW_SCORES, a0, a1, a2, a3);
}

/** Rows r and r + 1: sum += weights x V over positions [begin, end) of the tile, and no others. */
export function denseValues2(r: i32, kvHead: i32, begin: i32, end: i32): void {
  let d: usize = 0;
  for (const bytes = <usize>vHeadDim << 2; d + 64 <= bytes; d += 64) values2x16(r, kvHead, begin, end, d);
  if (vHeadDim & 8) {
    values1x8(r, kvHead, begin, end, d);
    values1x8(r + 1, kvHead, begin, end, d);
  }
}

/** Row r alone. */
export function denseValues1(r: i32, kvHead: i32, begin: i32, end: i32): void {
  for (let d: usize = 0; d < <usize>vHeadDim << 2; d += 32) values1x8(r, kvHead, begin, end, d);
}

/** 16 dimensions from byte `d` on. */
function values2x16(r: i32, kvHead: i32, begin: i32, end: i32, d: usize): void {
  const shift = runShift();
  const stride = <usize>vHeadDim << 2;
  const x = sum(r) + d;
  const y = x + stride;
  let a0 = v128.load(x), a1 = v128.load(x, 16), a2 = v128.load(x, 32), a3 = v128.load(x, 48);
  let b0 = v128.load(y), b1 = v128.load(y, 16), b2 = v128.load(y, 32), b3 = v128.load(y, 48);
  for (let p = begin; p < end; ) {
    let v = valuesAt(kvHead, p, shift) + d;
    const stop = min(end, ((p >> shift) + 1) << shift);
    let w = stats(r) + (<usize>p << 2);
    for (const wEnd = w + (<usize>(stop - p) << 2); w < wEnd; w += 4, v += stride) {
      const wx = v128.load32_splat(w, ROW_SCORES);
      const wy = v128.load32_splat(w, ROW_SCORES + ROW_BYTES);
      let u = v128.load(v);
      a0 = madd(wx, u, a0);
      b0 = madd(wy, u, b0);
      u = v128.load(v, 16);
      a1 = madd(wx, u, a1);
      b1 = madd(wy, u, b1);
      u = v128.load(v, 32);
      a2 = madd(wx, u, a2);
      b2 = madd(wy, u, b2);
      u = v128.load(v, 48);
      a3 = madd(wx, u, a3);
      b3 = madd(wy, u, b3);
    }
    p = stop;
  }
  store4(x, a0, a1, a2, a3);
  store4(y, b0, b1, b2, b3);
}

/** 8 dimensions of one row from byte `d` on. */
function values1x8(r: i32, kvHead: i32, begin: i32, end: i32, d: usize): void {
  const shift = runShift();
  const stride = <usize>vHeadDim << 2;
  const x = sum(r) + d;
  let a0 = v128.load(x), a1 = v128.load(x, 16);
  for (let p = begin; p < end; ) {
    let v = valuesAt(kvHead, p, shift) + d;
    const stop = min(end, ((p >> shift) + 1) << shift);
    let w = stats(r) + (<usize>p << 2);
    for (const wEnd = w + (<usize>(stop - p) << 2); w < wEnd; w += 4, v += stride) {
      const wx = v128.load32_splat(w, ROW_SCORES);
      a0 = madd(wx, v128.load(v), a0);
      a1 = madd(wx, v128.load(v, 16), a1);
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
