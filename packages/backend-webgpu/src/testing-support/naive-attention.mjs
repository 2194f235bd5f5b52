/**
 * An attention kernel that somebody else might inject: f32, one invocation per head and token, keys kept unrotated and
 * turned when they are read, two passes over the positions. Tokens that are not stored are not seen.
 */
export function createWgslAttention({ layers, limits, kvDtype }, { calls = [] } = {}) {
  calls.push(kvDtype);
  return {
    layout: "naive-f32-v1",
    plan: (index) => ({
      keyBlockBytes: limits.blockSize * layers[index].numKvHeads * layers[index].headDim * 4,
      valueBlockBytes: limits.blockSize * layers[index].numKvHeads * layers[index].vHeadDim * 4,
      scratchBytes: 64,
      dispatches: [store(layers[index]), attend(layers[index], limits.blockSize)],
    }),
  };
}

const read = (buffer) => ({ buffer, access: "read" });
const write = (buffer) => ({ buffer, access: "read-write" });

function store({ numHeads, numKvHeads, headDim, vHeadDim }) {
  const [keys, values] = [numKvHeads * headDim, numKvHeads * vHeadDim];
  const code = `
@group(0) @binding(0) var<storage, read> tokens: array<vec4<i32>>;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;
@group(0) @binding(2) var<storage, read_write> keys: array<f32>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let slot = tokens[group.x].z;
  if (slot < 0) { return; }
  let row = group.x * ${numHeads * headDim + keys + values}u + ${numHeads * headDim}u;
  for (var i = 0u; i < ${keys}u; i++) { keys[u32(slot) * ${keys}u + i] = qkv[row + i]; }
  for (var i = 0u; i < ${values}u; i++) { values[u32(slot) * ${values}u + i] = qkv[row + ${keys}u + i]; }
}`;
  const bindings = [read("tokens"), read("qkv"), write("keys"), write("values")];
  return { label: "naive store", code, bindings, workgroups: ({ numTokens }) => [numTokens, 1, 1] };
}

function attend({ numHeads, numKvHeads, headDim, vHeadDim, scale, rope }, blockSize) {
  const half = rope.rotaryDim / 2;
  const code = `
struct Step { numTokens: u32, numSeqs: u32, numRows: u32, maxBlocksPerSeq: u32 }
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> tokens: array<vec4<i32>>;
@group(0) @binding(2) var<storage, read> blockTables: array<i32>;
@group(0) @binding(3) var<storage, read> qkv: array<f32>;
@group(0) @binding(4) var<storage, read> rope: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read> keys: array<f32>;
@group(0) @binding(6) var<storage, read> values: array<f32>;
@group(0) @binding(7) var<storage, read_write> output: array<f32>;

fn score(q: u32, key: u32, here: u32, there: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < ${half}u; i++) {
    let a = rope[here * ${half}u + i];
    let b = rope[there * ${half}u + i];
    let qa = qkv[q + i] * a.x - qkv[q + i + ${half}u] * a.y;
    let qb = qkv[q + i + ${half}u] * a.x + qkv[q + i] * a.y;
    sum += qa * (keys[key + i] * b.x - keys[key + i + ${half}u] * b.y);
    sum += qb * (keys[key + i + ${half}u] * b.x + keys[key + i] * b.y);
  }
  return sum * ${scale};
}

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>) {
  let token = tokens[group.y];
  let here = u32(token.y);
  let kvHead = group.x / ${numHeads / numKvHeads}u;
  let q = group.y * ${(numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim}u + group.x * ${headDim}u;
  let table = u32(token.w) * step.maxBlocksPerSeq;
  let out = (group.y * ${numHeads}u + group.x) * ${vHeadDim}u;
  var best = -1e30;
  for (var p = 0u; p <= here; p++) {
    let slot = u32(blockTables[table + p / ${blockSize}u]) * ${blockSize}u + p % ${blockSize}u;
    best = max(best, score(q, (slot * ${numKvHeads}u + kvHead) * ${headDim}u, here, p));
  }
  var total = 0.0;
  for (var i = 0u; i < ${vHeadDim}u; i++) { output[out + i] = 0.0; }
  for (var p = 0u; p <= here; p++) {
    let slot = u32(blockTables[table + p / ${blockSize}u]) * ${blockSize}u + p % ${blockSize}u;
    let weight = exp(score(q, (slot * ${numKvHeads}u + kvHead) * ${headDim}u, here, p) - best);
    total += weight;
    for (var i = 0u; i < ${vHeadDim}u; i++) {
      output[out + i] += weight * values[(slot * ${numKvHeads}u + kvHead) * ${vHeadDim}u + i];
    }
  }
  for (var i = 0u; i < ${vHeadDim}u; i++) { output[out + i] /= total; }
}`;
  const bindings = [
    { buffer: "step", access: "uniform" },
    ...["tokens", "blockTables", "qkv", "rope", "keys", "values"].map(read),
    write("output"),
  ];
  return { label: "naive attend", code, bindings, workgroups: ({ numTokens }) => [numHeads, numTokens, 1] };
}
