/**
 * Where the positions of a tile lie: a run is a stretch of consecutive positions in one block,
 * min(blockSize, TILE_TOKENS) long. Scratch holds, per run, pointers to its K, V, K scales and V scales of kv head 0.
 */
import { SCRATCH_RUNS, TILE_TOKENS } from "../kernel-abi";
import {
  blockShift, blockStride, cache, kBytes, offsetKScales, offsetV, offsetVScales, scaleBytes, scratch, vBytes, vHeadDim,
} from "./pass";

/** At most 8 runs of at least 8 positions. */
const RUN_V = 32;
const RUN_K_SCALES = 64;
const RUN_V_SCALES = 96;
const TILE_SHIFT = 6;

// @ts-ignore: decorator
@inline
export function runShift(): i32 {
  return min(blockShift, TILE_SHIFT);
}

/**
 * Finds the runs that hold positions [begin, end) of the tile at `base`. Runs beside them, which a kernel may read
 * but never uses, are given a neighbour's pointers: their blocks need not exist.
 */
export function findRuns(table: usize, base: i32, begin: i32, end: i32): void {
  const shift = runShift();
  const first = begin >> shift;
  const last = (end - 1) >> shift;
  for (let run = 0; run < TILE_TOKENS >> shift; run++) {
    const position = base + (min(max(run, first), last) << shift);
    const block = cache + load<usize>(table + (<usize>(position >> blockShift) << 2)) * blockStride;
    const offset = <usize>(position & ((1 << blockShift) - 1));
    const to = scratch + SCRATCH_RUNS + (<usize>run << 2);
    store<usize>(to, block + (KV_INT8 ? offset << 1 : offset << 2));
    store<usize>(to, block + offsetV + offset * <usize>(KV_INT8 ? vHeadDim : vHeadDim << 2), RUN_V);
    store<usize>(to, block + offsetKScales + (offset << 2), RUN_K_SCALES);
    store<usize>(to, block + offsetVScales + (offset << 2), RUN_V_SCALES);
  }
}

/**
 * Reads one word of every cache line, back to back, so that the misses overlap: WebAssembly has no prefetch, and
 * between the arithmetic they would be waited for one after the other (measured: a third of a decode step).
 */
export function touch(from: usize, bytes: usize): void {
  const end = from + bytes;
  let x: i32 = 0;
  for (; from + 256 <= end; from += 256) {
    x |= load<i32>(from) | load<i32>(from, 64) | load<i32>(from, 128) | load<i32>(from, 192);
  }
  for (; from < end; from += 64) x |= load<i32>(from);
  store<i32>(scratch + SCRATCH_RUNS, x, 128);
}

/** K of 8 positions from `position` (a multiple of 8) of the tile on. */
// @ts-ignore: decorator
@inline
export function keysAt(kvHead: i32, position: i32, shift: i32): usize {
  const offset = <usize>(position & ((1 << shift) - 1));
  const run = load<usize>(scratch + SCRATCH_RUNS + (<usize>(position >> shift) << 2));
  return run + <usize>kvHead * kBytes + (KV_INT8 ? offset << 1 : offset << 2);
}

/** V of `position` of the tile (int8: of the pair that starts there). */
// @ts-ignore: decorator
@inline
export function valuesAt(kvHead: i32, position: i32, shift: i32): usize {
  const offset = <usize>(position & ((1 << shift) - 1));
  const run = load<usize>(scratch + SCRATCH_RUNS + (<usize>(position >> shift) << 2), RUN_V);
  return run + <usize>kvHead * vBytes + offset * <usize>(KV_INT8 ? vHeadDim : vHeadDim << 2);
}

/** [8] f32 scales of K from `position` (a multiple of 8) on. */
// @ts-ignore: decorator
@inline
export function keyScalesAt(kvHead: i32, position: i32, shift: i32): usize {
  const offset = <usize>(position & ((1 << shift) - 1)) << 2;
  return load<usize>(scratch + SCRATCH_RUNS + (<usize>(position >> shift) << 2), RUN_K_SCALES) + <usize>kvHead * scaleBytes + offset;
}

/** [8] f32 scales of V from `position` (a multiple of 8) on. */
// @ts-ignore: decorator
@inline
export function valueScalesAt(kvHead: i32, position: i32, shift: i32): usize {
  const offset = <usize>(position & ((1 << shift) - 1)) << 2;
  return load<usize>(scratch + SCRATCH_RUNS + (<usize>(position >> shift) << 2), RUN_V_SCALES) + <usize>kvHead * scaleBytes + offset;
}
