/** Tiny random models for tests: a spec, its weights in memory or in a file, and a source over them. */
import type { LinearSpec, ModelSpec, NormSpec, TensorDtype, TensorInfo, WeightSource } from "@weir/core";
import { toF16 } from "../graph/float16.js";

export interface TinyOptions {
  readonly layers?: number;
  readonly hidden?: number;
  readonly intermediate?: number;
  readonly headDim?: number;
  readonly biases?: boolean;
  readonly qkNorm?: boolean;
  readonly tied?: boolean;
  readonly norm?: "rms" | "layer";
  readonly mlp?: "gated" | "plain";
  readonly activation?: "silu" | "gelu" | "gelu-tanh" | "relu";
  readonly softcap?: number;
  readonly embeddingScale?: number;
}

export const TINY_VOCAB = 96;

/** 4 query heads, 2 key heads. */
export function tinySpec(options: TinyOptions = {}): ModelSpec {
  const { layers = 2, hidden = 64, intermediate = 128, headDim = 16, biases = false, tied = false } = options;
  const linear = (name: string, inFeatures: number, outFeatures: number): LinearSpec => ({
    weight: `${name}.weight`,
    ...(biases ? { bias: `${name}.bias` } : {}),
    inFeatures,
    outFeatures,
  });
  const norm = (name: string): NormSpec =>
    options.norm === "layer"
      ? { kind: "layer", weight: `${name}.weight`, bias: `${name}.bias`, epsilon: 1e-5 }
      : { kind: "rms", weight: `${name}.weight`, epsilon: 1e-6 };
  const { activation = "silu" } = options;
  return {
    architecture: "tiny",
    vocabSize: TINY_VOCAB,
    hiddenSize: hidden,
    maxPositions: 256,
    embedding: { weight: "embed.weight", ...(options.embeddingScale ? { scale: options.embeddingScale } : {}) },
    layers: Array.from({ length: layers }, (_, i) => ({
      attentionNorm: norm(`l${i}.n1`),
      attention: {
        numHeads: 4,
        numKvHeads: 2,
        headDim,
        vHeadDim: headDim,
        q: linear(`l${i}.q`, hidden, 4 * headDim),
        k: linear(`l${i}.k`, hidden, 2 * headDim),
        v: linear(`l${i}.v`, hidden, 2 * headDim),
        o: linear(`l${i}.o`, 4 * headDim, hidden),
        scale: headDim ** -0.5,
        causal: true,
        ...(options.qkNorm ? { qNorm: norm(`l${i}.qn`), kNorm: norm(`l${i}.kn`) } : {}),
      },
      mlpNorm: norm(`l${i}.n2`),
      mlp: {
        kind: options.mlp ?? "gated",
        activation,
        ...(options.mlp === "plain" ? {} : { gate: linear(`l${i}.gate`, hidden, intermediate) }),
        up: linear(`l${i}.up`, hidden, intermediate),
        down: linear(`l${i}.down`, intermediate, hidden),
      },
    })),
    finalNorm: norm("norm"),
    head: {
      linear: tied ? { weight: "embed.weight", inFeatures: hidden, outFeatures: TINY_VOCAB } : linear("head", hidden, TINY_VOCAB),
      tied,
      ...(options.softcap ? { softcap: options.softcap } : {}),
    },
    eosTokenIds: [],
  };
}

export interface TinyTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Every tensor of the spec, random from a seed. */
export function tinyWeights(spec: ModelSpec, seed = 1): Map<string, TinyTensor> {
  const random = gaussian(seed);
  const tensors = new Map<string, TinyTensor>();
  const add = (name: string, shape: number[], scale: number, offset = 0): void => {
    if (tensors.has(name)) return;
    const size = shape.reduce((product, dim) => product * dim, 1);
    tensors.set(name, { shape, data: Float32Array.from({ length: size }, () => offset + scale * random()) });
  };
  const addNorm = (norm: NormSpec, size: number): void => {
    add(norm.weight, [size], 0.2, 1);
    if (norm.bias) add(norm.bias, [size], 0.2);
  };
  const addLinear = (linear: LinearSpec): void => {
    add(linear.weight, [linear.outFeatures, linear.inFeatures], linear.inFeatures ** -0.5);
    if (linear.bias) add(linear.bias, [linear.outFeatures], 0.3);
  };
  add(spec.embedding.weight, [spec.vocabSize, spec.hiddenSize], 1);
  for (const { attentionNorm, attention, mlpNorm, mlp } of spec.layers) {
    for (const norm of [attentionNorm, mlpNorm]) addNorm(norm, spec.hiddenSize);
    for (const norm of [attention.qNorm, attention.kNorm]) if (norm) addNorm(norm, attention.headDim);
    const { q, k, v, o } = attention;
    for (const linear of [q, k, v, o, mlp.gate, mlp.up, mlp.down]) if (linear) addLinear(linear);
  }
  addNorm(spec.finalNorm, spec.hiddenSize);
  addLinear(spec.head.linear);
  return tensors;
}

/** A source over tensors in memory, stored as `dtype`; `file` says where the same bytes lie in a file. */
export function memorySource(
  weights: ReadonlyMap<string, TinyTensor>,
  dtype: TensorDtype = "F32",
  file?: { readonly path: string; readonly offsets: ReadonlyMap<string, number> },
): WeightSource & { reads: number } {
  const tensors = new Map<string, TensorInfo>();
  for (const [name, { shape, data }] of weights) {
    const byteLength = data.length * (dtype === "F32" ? 4 : 2);
    const place = file && { file: { path: file.path, byteOffset: file.offsets.get(name)! } };
    tensors.set(name, { name, dtype, shape, byteLength, ...place });
  }
  return {
    identity: `memory-${dtype}-${weights.size}`,
    tensors,
    reads: 0,
    read(name, byteOffset, into) {
      this.reads++;
      into.set(storedBytes(weights.get(name)!.data, dtype).subarray(byteOffset, byteOffset + into.byteLength));
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

/** The bytes of a tensor as f32, f16 or bf16 (cut off, not rounded). */
export function storedBytes(data: Float32Array, dtype: TensorDtype): Uint8Array {
  if (dtype === "F16") return new Uint8Array(toF16(data).buffer);
  if (dtype === "F32") return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  return new Uint8Array(Uint16Array.from(bits, (word) => word >>> 16).buffer);
}

/** Normally distributed numbers from a seed (mulberry32, Box-Muller). */
export function gaussian(seed: number): () => number {
  let state = seed;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
