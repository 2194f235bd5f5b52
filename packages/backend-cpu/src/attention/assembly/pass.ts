/**
 * The layer that this instance is working on, read once per job from its descriptor. Globals of a module are
 * private to its instance, and every thread has an instance of its own.
 */
import {
  LAYER_BLOCK_SHIFT, LAYER_BLOCK_STRIDE, LAYER_CACHE, LAYER_GROUP, LAYER_HEAD_DIM, LAYER_K_SCALES, LAYER_NUM_KV_HEADS,
  LAYER_SOFTCAP, LAYER_V, LAYER_V_HEAD_DIM, LAYER_V_SCALES, LAYER_WINDOW, MAX_ROWS, PLAN_SCRATCH, PLAN_SCRATCH_STRIDE,
  ROW_BYTES, SCRATCH_ROWS,
} from "../kernel-abi";

export let kvHeads: i32 = 0;
export let group: i32 = 0;
export let headDim: i32 = 0;
export let vHeadDim: i32 = 0;
export let window: i32 = 0;
export let cap: f32 = 0;
export let blockShift: i32 = 0;
/** Block 0, bytes from block to block, and offsets in a block. */
export let cache: usize = 0;
export let blockStride: usize = 0;
export let offsetKScales: usize = 0;
export let offsetV: usize = 0;
export let offsetVScales: usize = 0;
/** Bytes of K, V and one kind of scales of one kv head in a block. */
export let kBytes: usize = 0;
export let vBytes: usize = 0;
export let scaleBytes: usize = 0;
/** This thread's scratch, and in it the statistics, queries and output sums of the item's rows. */
export let scratch: usize = 0;
let rows: usize = 0;
let queries: usize = 0;
let sums: usize = 0;
let partials: usize = 0;

export function bind(layer: usize, plan: usize, thread: i32): void {
  kvHeads = load<i32>(layer, LAYER_NUM_KV_HEADS);
  group = load<i32>(layer, LAYER_GROUP);
  headDim = load<i32>(layer, LAYER_HEAD_DIM);
  vHeadDim = load<i32>(layer, LAYER_V_HEAD_DIM);
  window = load<i32>(layer, LAYER_WINDOW);
  cap = load<f32>(layer, LAYER_SOFTCAP);
  blockShift = load<i32>(layer, LAYER_BLOCK_SHIFT);
  cache = load<usize>(layer, LAYER_CACHE);
  blockStride = load<usize>(layer, LAYER_BLOCK_STRIDE);
  offsetKScales = load<usize>(layer, LAYER_K_SCALES);
  offsetV = load<usize>(layer, LAYER_V);
  offsetVScales = load<usize>(layer, LAYER_V_SCALES);
  const elementShift = KV_INT8 ? 0 : 2;
  kBytes = (<usize>headDim << blockShift) << elementShift;
  vBytes = (<usize>vHeadDim << blockShift) << elementShift;
  scaleBytes = <usize>4 << blockShift;
  scratch = load<usize>(plan, PLAN_SCRATCH) + <usize>thread * load<usize>(plan, PLAN_SCRATCH_STRIDE);
  rows = scratch + SCRATCH_ROWS;
  const maxRows = max(MAX_ROWS, group);
  queries = rows + <usize>(maxRows * ROW_BYTES);
  sums = queries + <usize>(maxRows * headDim * 4);
  partials = sums + <usize>(maxRows * vHeadDim * 4);
}

/** The row's ROW_* fields. */
// @ts-ignore: decorator
@inline
export function stats(row: i32): usize {
  return rows + <usize>(row * ROW_BYTES);
}

/** [headDim] f32, or i16 in the front half where the cache is int8 */
// @ts-ignore: decorator
@inline
export function query(row: i32): usize {
  return queries + <usize>(row * headDim * 4);
}

/** [vHeadDim] f32: weights x V so far */
// @ts-ignore: decorator
@inline
export function sum(row: i32): usize {
  return sums + <usize>(row * vHeadDim * 4);
}

/** [vHeadDim] i32: int8 weights x V of the current tile */
// @ts-ignore: decorator
@inline
export function partial(row: i32): usize {
  return partials + <usize>(row * vHeadDim * 4);
}
