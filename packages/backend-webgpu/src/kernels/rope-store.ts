/**
 * rope-store: rotates q and k of the step's tokens where they lie, and writes k and v to their slots of the cache.
 * An invocation has one pair of elements of one head. Dimensions past rotaryDim are stored as they are.
 * Cache: [block][offset][kvHead][headDim] for keys, [..][vHeadDim] for values.
 */
import type { WgslAttentionLayer, WgslDispatch } from "@weir/core";
import { groups } from "./wgsl.js";

const THREADS = 64;

export function ropeStoreWgsl(layer: WgslAttentionLayer): string {
  const { numHeads, numKvHeads, headDim, vHeadDim, rope } = layer;
  const keyStart = numHeads * headDim;
  const valueStart = keyStart + numKvHeads * headDim;
  const width = valueStart + numKvHeads * vHeadDim;
  const numRotated = ((numHeads + numKvHeads) * headDim) / 2;
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> tokens: array<vec4<i32>>;
@group(0) @binding(1) var<storage, read_write> qkv: array<f32>; // [numTokens, ${width}]
@group(0) @binding(2) var<storage, read_write> keys: array<f32>; // [numSlots, ${numKvHeads}, ${headDim}]
@group(0) @binding(3) var<storage, read_write> values: array<f32>; // [numSlots, ${numKvHeads}, ${vHeadDim}]
${rope ? `@group(0) @binding(4) var<storage, read> rope: array<vec2<f32>>; // [maxModelLen, ${rope.rotaryDim / 2}]` : ""}

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y * ${width}u;
  let slot = tokens[id.y].z;
  if (id.x < ${numRotated}u) {
    rotate(row, id.x / ${headDim / 2}u * ${headDim}u, id.x % ${headDim / 2}u, u32(tokens[id.y].y), slot);
  } else if (id.x < ${width / 2}u && slot >= 0) {
    let at = 2u * (id.x - ${numRotated}u);
    let cell = u32(slot) * ${numKvHeads * vHeadDim}u + at;
    values[cell] = qkv[row + ${valueStart}u + at];
    values[cell + 1u] = qkv[row + ${valueStart}u + at + 1u];
  }
}

// A pair of the head that begins at element \`head\` of the row.
fn rotate(row: u32, head: u32, pair: u32, position: u32, slot: i32) {
${pairOfElements(layer)}
  let a = qkv[row + head + first];
  let b = qkv[row + head + second];
  let rotatedA = a * turn.x - b * turn.y;
  let rotatedB = b * turn.x + a * turn.y;
  qkv[row + head + first] = rotatedA;
  qkv[row + head + second] = rotatedB;
  if (head >= ${keyStart}u && slot >= 0) {
    let cell = u32(slot) * ${numKvHeads * headDim}u + head - ${keyStart}u;
    keys[cell + first] = rotatedA;
    keys[cell + second] = rotatedB;
  }
}
`;
}

/** Which two elements a pair is, and the cos and sin it turns by. */
function pairOfElements({ rope }: WgslAttentionLayer): string {
  const plain = "2u * pair";
  if (!rope) return `  let first = ${plain};\n  let second = first + 1u;\n  let turn = vec2<f32>(1.0, 0.0);`;
  const turning = rope.rotaryDim / 2;
  const first = rope.interleaved ? plain : `select(${plain}, pair, pair < ${turning}u)`;
  const second = rope.interleaved ? "first + 1u" : `select(first + 1u, pair + ${turning}u, pair < ${turning}u)`;
  return `  let first = ${first};
  let second = ${second};
  var turn = vec2<f32>(1.0, 0.0);
  if (pair < ${turning}u) {
    turn = rope[position * ${turning}u + pair];
  }`;
}

export function ropeStore(layer: WgslAttentionLayer): WgslDispatch {
  const { numHeads, numKvHeads, headDim, vHeadDim, rope } = layer;
  const x = groups(((numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim) / 2, THREADS);
  return {
    label: "rope-store",
    code: ropeStoreWgsl(layer),
    bindings: [
      { buffer: "tokens", access: "read" },
      { buffer: "qkv", access: "read-write" },
      { buffer: "keys", access: "read-write" },
      { buffer: "values", access: "read-write" },
      ...(rope ? [{ buffer: "rope", access: "read" } as const] : []),
    ],
    workgroups: ({ numTokens }) => [x, numTokens, 1],
  };
}
