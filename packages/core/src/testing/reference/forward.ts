/**
 * The forward pass of a ModelSpec in plain TypeScript: embedding, layers, norm, head. Readable before fast.
 * In: a step (ModelInput). Out: one row of logits per wanted position. Called by the reference runner.
 */
import type { AttentionSpec, MlpSpec, ModelInput, ModelSpec, RopeSpec } from "../../contracts/index.js";
import { type RopeTables, ropeTables } from "../../model/rope.js";
import { attend, storeKv } from "./attention.js";
import { ACTIVATIONS, linear, normalize, softcap } from "./math.js";
import type { LayerWeights, LinearWeights, ModelWeights } from "./model-weights.js";
import type { PagedKv } from "./paged-kv.js";

export class ForwardPass {
  readonly #spec: ModelSpec;
  readonly #weights: ModelWeights;
  readonly #kv: PagedKv;
  readonly #blockSize: number;
  /** [layers] */
  readonly #ropes: readonly (RopeTables | undefined)[];

  constructor(spec: ModelSpec, weights: ModelWeights, kv: PagedKv, limits: { readonly blockSize: number; readonly maxModelLen: number }) {
    this.#spec = spec;
    this.#weights = weights;
    this.#kv = kv;
    this.#blockSize = limits.blockSize;
    this.#ropes = sharedTables(spec, limits.maxModelLen);
  }

  /** @returns [numRows, vocabSize] f32 */
  run(input: ModelInput): Float32Array {
    const { hiddenSize } = this.#spec;
    const hidden = this.#embed(input);
    const normed = new Float32Array(hidden.length);
    this.#spec.layers.forEach((layer, index) => {
      const weights = this.#weights.layers[index]!;
      normalize(hidden, weights.attentionNorm, normed);
      add(hidden, this.#attention(layer.attention, weights, index, input, normed));
      normalize(hidden, weights.mlpNorm, normed);
      add(hidden, mlp(layer.mlp, weights, input.numTokens, normed));
    });
    const rows = new Float32Array(input.numRows * hiddenSize);
    for (let row = 0; row < input.numRows; row++) {
      const token = input.logitsIndices[row]!;
      rows.set(hidden.subarray(token * hiddenSize, (token + 1) * hiddenSize), row * hiddenSize);
    }
    return this.#head(rows, input.numRows);
  }

  #embed(input: ModelInput): Float32Array {
    const { hiddenSize, embedding } = this.#spec;
    const scale = embedding.scale ?? 1;
    const hidden = new Float32Array(input.numTokens * hiddenSize);
    for (let token = 0; token < input.numTokens; token++) {
      const from = input.inputIds[token]! * hiddenSize;
      for (let i = 0; i < hiddenSize; i++) hidden[token * hiddenSize + i] = this.#weights.embedding[from + i]! * scale;
    }
    return hidden;
  }

  #attention(spec: AttentionSpec, weights: LayerWeights, layer: number, input: ModelInput, x: Float32Array): Float32Array {
    const tokens = input.numTokens;
    const q = project(x, tokens, weights.q);
    const k = project(x, tokens, weights.k);
    const v = project(x, tokens, weights.v);
    if (weights.qNorm) normalize(q, weights.qNorm, q);
    if (weights.kNorm) normalize(k, weights.kNorm, k);
    const tables = this.#ropes[layer];
    if (tables) {
      rotate(q, spec, tables, input);
      rotate(k, spec, tables, input);
    }
    storeKv(this.#kv, layer, input, k, v);
    const out = new Float32Array(tokens * spec.numHeads * spec.vHeadDim);
    const cache = this.#kv.layers[layer]!;
    attend({ spec, input, blockSize: this.#blockSize, cache, q, k, v, sinks: weights.sinks, out });
    return project(out, tokens, weights.o);
  }

  #head(rows: Float32Array, count: number): Float32Array {
    if (count === 0) return new Float32Array(0);
    normalize(rows, this.#weights.finalNorm, rows);
    const logits = project(rows, count, this.#weights.head);
    const cap = this.#spec.head.softcap ?? 0;
    return cap === 0 ? logits : logits.map((logit) => softcap(logit, cap));
  }
}

/** Layers with equal rotary settings share a table. */
function sharedTables(spec: ModelSpec, maxModelLen: number): (RopeTables | undefined)[] {
  const made = new Map<string, RopeTables>();
  return spec.layers.map(({ attention: { rope } }) => {
    if (!rope) return undefined;
    const key = JSON.stringify(rope);
    const tables = made.get(key) ?? ropeTables(rope, maxModelLen);
    made.set(key, tables);
    return tables;
  });
}

function project(x: Float32Array, rows: number, { weight, bias, outFeatures }: LinearWeights): Float32Array {
  const out = new Float32Array(rows * outFeatures);
  linear(x, rows, weight, bias, out);
  return out;
}

function mlp(spec: MlpSpec, weights: LayerWeights, tokens: number, x: Float32Array): Float32Array {
  const activation = ACTIVATIONS[spec.activation];
  const inner = project(x, tokens, weights.up);
  if (weights.gate) {
    const gate = project(x, tokens, weights.gate);
    for (let i = 0; i < inner.length; i++) inner[i] = activation(gate[i]!) * inner[i]!;
  } else {
    for (let i = 0; i < inner.length; i++) inner[i] = activation(inner[i]!);
  }
  return project(inner, tokens, weights.down);
}

/** Rotates the first rotaryDim dimensions of every head in place. @param x [numTokens, heads * headDim] f32 */
function rotate(x: Float32Array, spec: AttentionSpec, { cos, sin }: RopeTables, input: ModelInput): void {
  const { rotaryDim, interleaved = false } = spec.rope as RopeSpec;
  const half = rotaryDim / 2;
  const headsPerToken = x.length / input.numTokens / spec.headDim;
  for (let head = 0; head < headsPerToken * input.numTokens; head++) {
    const table = input.positions[Math.floor(head / headsPerToken)]! * half;
    const start = head * spec.headDim;
    for (let i = 0; i < half; i++) {
      const a = start + (interleaved ? 2 * i : i);
      const b = interleaved ? a + 1 : a + half;
      const c = cos[table + i]!;
      const s = sin[table + i]!;
      const xa = x[a]!;
      const xb = x[b]!;
      x[a] = xa * c - xb * s;
      x[b] = xb * c + xa * s;
    }
  }
}

function add(into: Float32Array, other: Float32Array): void {
  for (let i = 0; i < into.length; i++) into[i] = into[i]! + other[i]!;
}
