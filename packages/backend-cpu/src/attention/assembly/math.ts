/**
 * Vector functions of the softmax, four lanes at a time, without tables or branches.
 * NaN stays NaN: comparisons are arranged so that an unordered lane keeps its value.
 */

/** Adding it to |x| < 2^22 rounds x to an integer in the low bits (round to nearest even). */
const ROUND: f32 = 12582912;

/** 2^x for x <= 0 with relative error below 2e-7; exactly 1 at 0, exactly 0 below -126. */
// @ts-ignore: decorator
@inline
export function exp2(x: v128): v128 {
  const shifted = f32x4.add(x, f32x4.splat(ROUND));
  const r = f32x4.sub(x, f32x4.sub(shifted, f32x4.splat(ROUND)));
  // 2^r - 1 = r P(r) on [-1/2, 1/2]: minimax in the relative error of 2^r, so that 2^0 is exact.
  let y = f32x4.add(f32x4.mul(r, f32x4.splat(0.001326472727178736)), f32x4.splat(0.009671512732879774));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.05550733743925754));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.24022242083946546));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.6931469775982758));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  const power = i32x4.add(i32x4.shl(shifted, 23), i32x4.splat(127 << 23));
  return v128.andnot(f32x4.mul(y, power), f32x4.lt(x, f32x4.splat(-126)));
}

/** cap * tanh(x / cap) where x and cap carry a factor log2(e). */
// @ts-ignore: decorator
@inline
export function softcap(x: v128, cap: f32): v128 {
  const log2e: f32 = 1.4426950408889634;
  const t = f32x4.div(x, f32x4.splat(cap));
  const e = exp2(f32x4.mul(f32x4.abs(t), f32x4.splat(-2 * log2e)));
  const large = f32x4.div(f32x4.sub(f32x4.splat(1), e), f32x4.add(f32x4.splat(1), e));
  // Near zero 1 - e cancels; there the odd series t - t^3/3 + 2 t^5/15 - 17 t^7/315 is exact to f32.
  const square = f32x4.mul(t, t);
  let series = f32x4.add(f32x4.mul(square, f32x4.splat(-17.0 / 315.0)), f32x4.splat(2.0 / 15.0));
  series = f32x4.add(f32x4.mul(series, square), f32x4.splat(-1.0 / 3.0));
  const small = f32x4.add(t, f32x4.mul(f32x4.mul(t, square), series));
  const sign = v128.and(t, i32x4.splat(0x80000000));
  const tanh = v128.bitselect(small, v128.or(large, sign), f32x4.lt(square, f32x4.splat(0.04)));
  return f32x4.mul(tanh, f32x4.splat(cap));
}

/** Largest lane. A NaN lane may be passed over: callers carry NaN elsewhere. */
// @ts-ignore: decorator
@inline
export function maxLane(x: v128): f32 {
  const y = f32x4.pmax(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.pmax(y, v128.shuffle<f32>(y, y, 1, 0, 3, 2)), 0);
}

/** Sum of the lanes, (0 + 2) + (1 + 3). */
// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f32 {
  const y = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.add(y, v128.shuffle<f32>(y, y, 1, 0, 3, 2)), 0);
}

/** Largest magnitude of `count` (a multiple of 4) floats, at least 1e-30; NaN where one of them is NaN. */
export function maxAbs(from: usize, count: i32): f32 {
  let largest = f32x4.splat(1e-30);
  for (const end = from + (<usize>count << 2); from < end; from += 16) {
    largest = f32x4.max(largest, f32x4.abs(v128.load(from)));
  }
  largest = f32x4.max(largest, v128.shuffle<f32>(largest, largest, 2, 3, 0, 1));
  return max<f32>(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1));
}

/**
 * a * b + c, rounded twice. Relaxed SIMD's fused form was measured and gained under 5 %: with eight sums in flight its
 * latency binds as much as the two instructions do.
 */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  return f32x4.add(f32x4.mul(a, b), c);
}
