/**
 * Stores k and v of new tokens in the paged cache: k rotated, both quantized where the cache is int8.
 * A block of a layer: f32 K [kvHead][headDim][blockSize], V [kvHead][blockSize][vHeadDim]; int8 K [kvHead][headDim / 2]
 * [blockSize][2], K scales [kvHead][blockSize] f32, V [kvHead][blockSize / 2][vHeadDim][2], V scales [kvHead][blockSize] f32.
 */
import { LAYER_QKV, LAYER_QKV_STRIDE, PLAN_POSITIONS, PLAN_SLOTS, SCRATCH_VECTOR } from "../kernel-abi";
import { maxAbs } from "./math";
import {
  blockShift, blockStride, cache, group, headDim, kBytes, kvHeads, offsetKScales, offsetV, offsetVScales, scaleBytes, scratch, vBytes, vHeadDim,
} from "./pass";
import { copyVector, rotate } from "./rope";

/** Tokens [first, first + count) of some kv heads. */
export function storeTokens(layer: usize, plan: usize, first: i32, count: i32, kvHead: i32, kvCount: i32): void {
  for (let kv = kvHead; kv < kvHead + kvCount; kv++) {
    for (let token = first; token < first + count; token++) {
      const slot = load<i32>(load<usize>(plan, PLAN_SLOTS) + (<usize>token << 2));
      if (slot >= 0) storeToken(layer, plan, token, slot, kv);
    }
  }
}

function storeToken(layer: usize, plan: usize, token: i32, slot: i32, kv: i32): void {
  const block = cache + <usize>(slot >> blockShift) * blockStride;
  const offset = <usize>(slot & ((1 << blockShift) - 1));
  const row = load<usize>(layer, LAYER_QKV) + <usize>token * load<usize>(layer, LAYER_QKV_STRIDE);
  const from = row + (<usize>((group * kvHeads + kv) * headDim) << 2);
  const v = row + (<usize>((group + 1) * kvHeads * headDim + kv * vHeadDim) << 2);
  const k = scratch + SCRATCH_VECTOR;
  rotate(layer, from, load<i32>(load<usize>(plan, PLAN_POSITIONS) + (<usize>token << 2)), k);
  const keys = block + <usize>kv * kBytes;
  const values = block + offsetV + <usize>kv * vBytes;
  if (KV_INT8) {
    const scale = <usize>kv * scaleBytes + (offset << 2);
    storeQuantized(k, headDim, keys + (offset << 1), 2 << blockShift, 1, block + offsetKScales + scale);
    const pair = values + (offset >> 1) * <usize>(vHeadDim << 1) + (offset & 1);
    storeQuantized(v, vHeadDim, pair, 4, 2, block + offsetVScales + scale);
  } else {
    storeColumn(k, headDim, keys + (offset << 2), 4 << blockShift);
    copyVector(values + offset * <usize>(vHeadDim << 2), v, vHeadDim << 2);
  }
}

function storeColumn(from: usize, count: i32, to: usize, stride: usize): void {
  for (const end = from + (<usize>count << 2); from < end; from += 4, to += stride) {
    store<f32>(to, load<f32>(from));
  }
}

/**
 * Symmetric int8 with one scale: values 2i and 2i + 1 go to `to + i * stride` and `step` bytes further.
 * A NaN or infinity makes the scale NaN or infinite, which carries it into everything that uses it.
 */
function storeQuantized(from: usize, count: i32, to: usize, stride: usize, step: usize, scale: usize): void {
  const amax = maxAbs(from, count);
  store<f32>(scale, amax / 127);
  const inverse = f32x4.splat(127 / amax);
  for (const end = from + (<usize>count << 2); from < end; from += 16, to += stride << 1) {
    const x = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(from), inverse)));
    store<i8>(to, <i8>i32x4.extract_lane(x, 0));
    store<i8>(to + step, <i8>i32x4.extract_lane(x, 1));
    store<i8>(to + stride, <i8>i32x4.extract_lane(x, 2));
    store<i8>(to + stride + step, <i8>i32x4.extract_lane(x, 3));
  }
}
