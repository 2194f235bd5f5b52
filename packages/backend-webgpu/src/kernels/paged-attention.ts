/**
 * paged-attention: one workgroup per head and token, online softmax (arXiv 1805.02867) over tiles of 64 positions.
 * Positions cached before the step are found through the block table; those of the step itself are read from qkv,
 * where they lie rotated, so tokens that are not to be stored are seen too. Tiles begin at the first visible
 * position: the order of summation depends on the token alone, not on the batch or the chunk.
 */
import type { WgslAttentionLayer, WgslDispatch } from "@weir/core";
import { f32, STEP_STRUCT } from "./wgsl.js";

/** Threads, and positions in a tile. */
const TILE = 64;
/** Below every score; infinities are no WGSL literals. */
const LOWEST = f32(-3.4028234663852886e38);

export function pagedAttentionWgsl(layer: WgslAttentionLayer, blockSize: number): string {
  const { numHeads, numKvHeads, headDim, vHeadDim, scale, window, softcap } = layer;
  // All in vec4.
  const headSize = headDim / 4;
  const valueSize = vHeadDim / 4;
  const keyStart = numHeads * headSize;
  const valueStart = keyStart + numKvHeads * headSize;
  const width = valueStart + numKvHeads * valueSize;
  return /* wgsl */ `
${STEP_STRUCT}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> tokens: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> sequences: array<vec2<i32>>;
@group(0) @binding(3) var<storage, read> blockTables: array<i32>;
@group(0) @binding(4) var<storage, read> qkv: array<vec4<f32>>; // [numTokens, ${width}]
@group(0) @binding(5) var<storage, read> keys: array<vec4<f32>>; // [numSlots, ${numKvHeads}, ${headSize}]
@group(0) @binding(6) var<storage, read> values: array<vec4<f32>>; // [numSlots, ${numKvHeads}, ${valueSize}]
@group(0) @binding(7) var<storage, read_write> output: array<vec4<f32>>; // [numTokens, ${numHeads}, ${valueSize}]

var<workgroup> query: array<vec4<f32>, ${headSize}>;
// Of a tile: the position's slot, or -1 - its token in this step.
var<workgroup> places: array<i32, ${TILE}>;
var<workgroup> scores: array<f32, ${TILE}>;
var<workgroup> weights: array<f32, ${TILE}>;

@compute @workgroup_size(${TILE})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let kvHead = head / ${numHeads / numKvHeads}u;
  let token = group.y;
  let sequence = u32(tokens[token].w);
  let firstToken = sequences[sequence].x;
  let past = sequences[sequence].y;
  let end = past + i32(token) - firstToken + 1;
  let begin = ${window === 0 ? "0" : `max(0, end - ${window})`};
  for (var i = lane; i < ${headSize}u; i += ${TILE}u) {
    query[i] = qkv[token * ${width}u + head * ${headSize}u + i];
  }
  workgroupBarrier();

  var best = ${LOWEST};
  var total = 0.0;
  var mixed = vec4<f32>(0.0);
  for (var start = begin; start < end; start += ${TILE}) {
    let count = min(${TILE}, end - start);
    let position = start + i32(lane);
    if (position < end) {
      let place = locate(sequence, position, past, firstToken);
      places[lane] = place;
      scores[lane] = score(place, kvHead);
    }
    workgroupBarrier();
    var highest = best;
    for (var j = 0; j < count; j++) {
      highest = max(highest, scores[j]);
    }
    weights[lane] = exp(scores[lane] - highest);
    workgroupBarrier();
    let shrink = exp(best - highest);
    total *= shrink;
    mixed *= shrink;
    for (var j = 0; j < count; j++) {
      total += weights[j];
    }
    if (lane < ${valueSize}u) {
      for (var j = 0; j < count; j++) {
        mixed = fma(vec4<f32>(weights[j]), value(places[j], kvHead, lane), mixed);
      }
    }
    best = highest;
    workgroupBarrier();
  }
  if (lane < ${valueSize}u) {
    output[(token * ${numHeads}u + head) * ${valueSize}u + lane] = mixed / total;
  }
}

fn locate(sequence: u32, position: i32, past: i32, firstToken: i32) -> i32 {
  if (position >= past) {
    return -1 - (firstToken + position - past);
  }
  let block = blockTables[sequence * step.maxBlocksPerSeq + u32(position / ${blockSize})];
  return block * ${blockSize} + position % ${blockSize};
}

fn score(place: i32, kvHead: u32) -> f32 {
  var sum = 0.0;
  if (place >= 0) {
    let start = (u32(place) * ${numKvHeads}u + kvHead) * ${headSize}u;
    for (var i = 0u; i < ${headSize}u; i++) {
      sum += dot(query[i], keys[start + i]);
    }
  } else {
    let start = u32(-1 - place) * ${width}u + ${keyStart}u + kvHead * ${headSize}u;
    for (var i = 0u; i < ${headSize}u; i++) {
      sum += dot(query[i], qkv[start + i]);
    }
  }
  return ${softcap === 0 ? `sum * ${f32(scale)}` : `${f32(softcap)} * tanh(sum * ${f32(scale / softcap)})`};
}

fn value(place: i32, kvHead: u32, i: u32) -> vec4<f32> {
  if (place >= 0) {
    return values[(u32(place) * ${numKvHeads}u + kvHead) * ${valueSize}u + i];
  }
  return qkv[u32(-1 - place) * ${width}u + ${valueStart}u + kvHead * ${valueSize}u + i];
}
`;
}

export function pagedAttention(layer: WgslAttentionLayer, blockSize: number): WgslDispatch {
  const read = ["tokens", "sequences", "blockTables", "qkv", "keys", "values"] as const;
  return {
    label: "paged-attention",
    code: pagedAttentionWgsl(layer, blockSize),
    bindings: [
      { buffer: "step", access: "uniform" },
      ...read.map((buffer) => ({ buffer, access: "read" }) as const),
      { buffer: "output", access: "read-write" },
    ],
    workgroups: ({ numTokens }) => [layer.numHeads, numTokens, 1],
  };
}
