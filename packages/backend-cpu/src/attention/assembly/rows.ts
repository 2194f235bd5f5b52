/** Query rows between the staging rows and scratch. A row is (kv head, token, head): rows of a kv head lie together. */
import {
  LAYER_OUTPUT, LAYER_OUTPUT_STRIDE, LAYER_QKV, LAYER_QKV_STRIDE, LAYER_SCALE, LAYER_SINKS, PLAN_POSITIONS, ROW_MAX, ROW_SUM,
} from "../kernel-abi";
import { sumLanes } from "./math";
import { group, headDim, partial, query, stats, sum, vHeadDim } from "./pass";
import { quantizeQuery } from "./quantized";
import { rotate } from "./rope";

/** Rotates, scales and, for int8, quantizes the queries; clears the sums. */
export function loadRows(layer: usize, plan: usize, token: i32, tokens: i32, kvHead: i32, kvCount: i32, head: i32, heads: i32): void {
  const positions = load<usize>(plan, PLAN_POSITIONS);
  const scale = f32x4.splat(load<f32>(layer, LAYER_SCALE));
  let row = 0;
  for (let kv = kvHead; kv < kvHead + kvCount; kv++) {
    for (let t = token; t < token + tokens; t++) {
      const from = load<usize>(layer, LAYER_QKV) + <usize>t * load<usize>(layer, LAYER_QKV_STRIDE);
      const position = load<i32>(positions + (<usize>t << 2));
      for (let h = kv * group + head; h < kv * group + head + heads; h++, row++) {
        const to = query(row);
        rotate(layer, from + (<usize>(h * headDim) << 2), position, to);
        for (let q = to; q < to + (<usize>headDim << 2); q += 16) v128.store(q, f32x4.mul(v128.load(q), scale));
        if (KV_INT8) quantizeQuery(row);
        clearRow(layer, row, h);
      }
    }
  }
}

/** A sink is a key with a score and no value. */
function clearRow(layer: usize, row: i32, head: i32): void {
  const sinks = load<usize>(layer, LAYER_SINKS);
  store<f32>(stats(row), sinks ? load<f32>(sinks + (<usize>head << 2)) : -Infinity, ROW_MAX);
  v128.store(stats(row), f32x4(sinks ? 1 : 0, 0, 0, 0), ROW_SUM);
  for (let d: usize = 0; d < <usize>vHeadDim << 2; d += 16) {
    v128.store(sum(row) + d, f32x4.splat(0));
    if (KV_INT8) v128.store(partial(row) + d, i32x4.splat(0));
  }
}

/** Sums divided by the weights' sum, to the output rows. */
export function storeRows(layer: usize, token: i32, tokens: i32, kvHead: i32, kvCount: i32, head: i32, heads: i32): void {
  let row = 0;
  for (let kv = kvHead; kv < kvHead + kvCount; kv++) {
    for (let t = token; t < token + tokens; t++) {
      const to = load<usize>(layer, LAYER_OUTPUT) + <usize>t * load<usize>(layer, LAYER_OUTPUT_STRIDE);
      for (let h = kv * group + head; h < kv * group + head + heads; h++, row++) {
        const inverse = f32x4.splat(1 / sumLanes(v128.load(stats(row), ROW_SUM)));
        const out = to + (<usize>(h * vHeadDim) << 2);
        for (let d: usize = 0; d < <usize>vHeadDim << 2; d += 16) {
          v128.store(out + d, f32x4.mul(v128.load(sum(row) + d), inverse));
        }
      }
    }
  }
}
