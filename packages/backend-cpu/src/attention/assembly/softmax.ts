/**
 * One row's step of the online softmax (Milakov & Gimelshein 2018) over a tile: scores become weights 2^(s - max), and
 * the running maximum and sum are brought up to date. Works on whole groups of 16 positions; what lies outside
 * the row's [begin, end) gets weight 0 whatever was there. Four independent chains hide the latency of each operation.
 */
import { ROW_ALPHA, ROW_BEGIN, ROW_END, ROW_MAX, ROW_SCORES, ROW_SUM } from "../kernel-abi";
import { exp2, maxLane, softcap } from "./math";
import { cap, stats, sum, vHeadDim } from "./pass";
import { quantizeWeights } from "./quantized";

export function softmax(r: i32, kvHead: i32): void {
  const state = stats(r);
  const begin = load<i32>(state, ROW_BEGIN);
  const end = load<i32>(state, ROW_END);
  const from = state + ROW_SCORES + (<usize>(begin & -16) << 2);
  const to = state + ROW_SCORES + (<usize>((end + 15) & -16) << 2);
  if (cap != 0) {
    for (let s = from; s < to; s += 16) v128.store(s, softcap(v128.load(s), cap));
  }
  if (begin & 15) maskGroup(from, begin & -16, begin, end);
  if (end & 15) maskGroup(to - 64, end & -16, begin, end);
  const before = load<f32>(state, ROW_MAX);
  const after = largest(from, to, before);
  store<f32>(state, after, ROW_MAX);
  let total = weigh(from, to, after);
  // 2^0 is exactly 1 and so is x * 1: leaving it out does not change a bit. NaN takes the long way.
  const changed = !(before == after);
  const alpha = changed ? exp2(f32x4.splat(before - after)) : f32x4.splat(1);
  if (changed) total = f32x4.add(f32x4.mul(v128.load(state, ROW_SUM), alpha), total);
  else total = f32x4.add(v128.load(state, ROW_SUM), total);
  v128.store(state, total, ROW_SUM);
  if (KV_INT8) {
    store<f32>(state, f32x4.extract_lane(alpha, 0), ROW_ALPHA);
    quantizeWeights(r, kvHead, begin, end);
  } else if (changed) {
    const x = sum(r);
    for (let d: usize = 0; d < <usize>vHeadDim << 2; d += 16) v128.store(x + d, f32x4.mul(v128.load(x + d), alpha));
  }
}

/** Maximum of the scores and `start`; NaN is passed over here and comes out of `weigh`. */
// @ts-ignore: decorator
@inline
function largest(from: usize, to: usize, start: f32): f32 {
  let m0 = f32x4.splat(start), m1 = m0, m2 = m0, m3 = m0;
  for (let s = from; s < to; s += 64) {
    m0 = f32x4.pmax(m0, v128.load(s));
    m1 = f32x4.pmax(m1, v128.load(s, 16));
    m2 = f32x4.pmax(m2, v128.load(s, 32));
    m3 = f32x4.pmax(m3, v128.load(s, 48));
  }
  return maxLane(f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3)));
}

/** Scores to weights in place; four partial sums. */
// @ts-ignore: decorator
@inline
function weigh(from: usize, to: usize, max: f32): v128 {
  const shift = f32x4.splat(max);
  let t0 = f32x4.splat(0), t1 = t0, t2 = t0, t3 = t0;
  for (let s = from; s < to; s += 64) {
    const w0 = exp2(f32x4.sub(v128.load(s), shift));
    const w1 = exp2(f32x4.sub(v128.load(s, 16), shift));
    v128.store(s, w0);
    v128.store(s, w1, 16);
    t0 = f32x4.add(t0, w0);
    t1 = f32x4.add(t1, w1);
    const w2 = exp2(f32x4.sub(v128.load(s, 32), shift));
    const w3 = exp2(f32x4.sub(v128.load(s, 48), shift));
    v128.store(s, w2, 32);
    v128.store(s, w3, 48);
    t2 = f32x4.add(t2, w2);
    t3 = f32x4.add(t3, w3);
  }
  return f32x4.add(f32x4.add(t0, t1), f32x4.add(t2, t3));
}

/** Gives the lanes of the 16 scores from `position` on that lie outside [begin, end) the score -infinity. */
function maskGroup(at: usize, position: i32, begin: i32, end: i32): void {
  let lane = i32x4.add(i32x4.splat(position), i32x4(0, 1, 2, 3));
  for (const stop = at + 64; at < stop; at += 16) {
    const inside = v128.and(i32x4.ge_s(lane, i32x4.splat(begin)), i32x4.lt_s(lane, i32x4.splat(end)));
    v128.store(at, v128.bitselect(v128.load(at), f32x4.splat(-Infinity), inside));
    lane = i32x4.add(lane, i32x4.splat(4));
  }
}
