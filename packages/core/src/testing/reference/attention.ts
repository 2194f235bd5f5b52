/**
 * Attention of one layer over the paged cache, token by token and head by head. The oracle for every kernel.
 * In: q, k, v of the step's tokens (k and q already rotated) and the step's tables. Out: one row per token.
 */
import type { AttentionSpec, ModelInput } from "../../contracts/index.js";
import { dot, softcap } from "./math.js";
import type { LayerKv, PagedKv } from "./paged-kv.js";

/** Writes the step's keys and values to their slots. */
export function storeKv(kv: PagedKv, layer: number, input: ModelInput, k: Float32Array, v: Float32Array): void {
  const { keys, values } = kv.layers[layer]!;
  const kSize = k.length / input.numTokens;
  const vSize = v.length / input.numTokens;
  for (let token = 0; token < input.numTokens; token++) {
    const slot = input.slotMapping[token]!;
    if (slot < 0) continue;
    keys.set(k.subarray(token * kSize, (token + 1) * kSize), slot * kSize);
    values.set(v.subarray(token * vSize, (token + 1) * vSize), slot * vSize);
    kv.touch(slot);
  }
}

export interface AttentionStep {
  readonly spec: AttentionSpec;
  readonly input: ModelInput;
  readonly blockSize: number;
  readonly cache: LayerKv;
  /** [numTokens, numHeads * headDim] f32 */
  readonly q: Float32Array;
  /** [numTokens, numKvHeads * headDim] f32; what the step itself adds, also where it is not stored */
  readonly k: Float32Array;
  /** [numTokens, numKvHeads * vHeadDim] f32 */
  readonly v: Float32Array;
  /** [numHeads] f32 */
  readonly sinks: Float32Array | undefined;
  /** [numTokens, numHeads * vHeadDim] f32 */
  readonly out: Float32Array;
}

export function attend(step: AttentionStep): void {
  const { input } = step;
  for (let seq = 0; seq < input.numSeqs; seq++) {
    const first = input.cuSeqlensQ[seq]!;
    const past = input.pastLens[seq]!;
    const total = past + input.cuSeqlensQ[seq + 1]! - first;
    const scores = new Float64Array(total);
    for (let token = first; token < input.cuSeqlensQ[seq + 1]!; token++) {
      const index = past + token - first;
      const end = step.spec.causal ? index + 1 : total;
      const begin = step.spec.window === undefined ? 0 : Math.max(0, index + 1 - step.spec.window);
      for (let head = 0; head < step.spec.numHeads; head++) attendHead(step, seq, token, head, begin, end, scores);
    }
  }
}

/** One head of one token over the positions [begin, end) of its sequence. */
function attendHead(step: AttentionStep, seq: number, token: number, head: number, begin: number, end: number, scores: Float64Array): void {
  const { headDim, vHeadDim, numHeads, numKvHeads, scale, softcap: cap = 0 } = step.spec;
  const kvHead = Math.floor((head * numKvHeads) / numHeads);
  const qStart = (token * numHeads + head) * headDim;
  let largest = step.sinks ? step.sinks[head]! : -Infinity;
  for (let position = begin; position < end; position++) {
    const row = locate(step, seq, position);
    const from = row < 0 ? step.k : step.cache.keys;
    const score = softcap(scale * dot(step.q, qStart, from, (index(row) * numKvHeads + kvHead) * headDim, headDim), cap);
    scores[position] = score;
    // Not Math.max alone: a NaN must stay visible, and it does, since exp(NaN) is NaN.
    if (score > largest) largest = score;
  }
  let sum = step.sinks ? Math.exp(step.sinks[head]! - largest) : 0;
  for (let position = begin; position < end; position++) sum += scores[position] = Math.exp(scores[position]! - largest);
  const outStart = (token * numHeads + head) * vHeadDim;
  const mixed = new Float64Array(vHeadDim);
  for (let position = begin; position < end; position++) {
    const row = locate(step, seq, position);
    const from = row < 0 ? step.v : step.cache.values;
    const start = (index(row) * numKvHeads + kvHead) * vHeadDim;
    const weight = scores[position]! / sum;
    for (let i = 0; i < vHeadDim; i++) mixed[i]! += weight * from[start + i]!;
  }
  step.out.set(mixed, outStart);
}

/** Slot of a cached position; for a position of this step -1 - its token. */
function locate({ input, blockSize }: AttentionStep, seq: number, position: number): number {
  const past = input.pastLens[seq]!;
  if (position >= past) return -1 - (input.cuSeqlensQ[seq]! + position - past);
  const block = input.blockTables[seq * input.maxBlocksPerSeq + Math.floor(position / blockSize)]!;
  return block * blockSize + (position % blockSize);
}

function index(row: number): number {
  return row < 0 ? -1 - row : row;
}
