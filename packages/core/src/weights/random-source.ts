/**
 * RandomWeightSource: seeded random weights for a ModelSpec, made when they are read. For benchmarks.
 * In: the name of a shape. Out: a WeightSource in F32 whose bytes are a function of (seed, tensor, element),
 * so that any range can be read at any time and by any thread. Holds no weights.
 */
import type { ModelSpec, TensorInfo, WeightLocator, WeightSource } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { type NeededTensor, specTensors } from "../model/spec-tensors.js";
import { builtModule } from "../platform/built-module.js";
import { randomModelSpec } from "./random-shapes.js";

export interface RandomWeightsOptions {
  /** A name of `RANDOM_SHAPES`, without `random:`. */
  readonly shape: string;
  /** Default 1. */
  readonly seed?: number;
}

/** Standard deviation of weights and biases, as Llama initialises; keeps activations and logits of order one. */
const DEVIATION = 0.02;
/** Half the width of a uniform distribution of that deviation, over the range of an int32. */
const STEP = (DEVIATION * Math.sqrt(3)) / 2 ** 31;
/** Raise when the numbers for the same seed change: caches of quantized weights are keyed by it. */
const VERSION = 1;

/** @throws ModelLoadError for an unknown shape */
export async function openWeights(options: RandomWeightsOptions): Promise<WeightSource> {
  return new RandomWeightSource(randomModelSpec(options.shape), options);
}

class RandomWeightSource implements WeightSource {
  readonly identity: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly locator: WeightLocator;
  readonly #needed: ReadonlyMap<string, NeededTensor>;
  readonly #seed: number;

  constructor(spec: ModelSpec, options: RandomWeightsOptions) {
    this.#seed = options.seed ?? 1;
    this.#needed = specTensors(spec);
    this.identity = `random-${options.shape}-${this.#seed}-v${VERSION}`;
    this.locator = { module: builtModule(import.meta.url), options };
    this.tensors = new Map([...this.#needed.values()].map(({ name, shape }) => [name, tensorInfo(name, shape)]));
  }

  async read(name: string, byteOffset: number, into: Uint8Array): Promise<void> {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new ModelLoadError(`tensor ${name} is not in the weights`);
    const end = byteOffset + into.length;
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || end > tensor.byteLength) {
      throw new ModelLoadError(`bytes ${byteOffset} to ${end} of tensor ${name} were asked for; it has ${tensor.byteLength}`);
    }
    const first = Math.floor(byteOffset / 4);
    const aligned = byteOffset % 4 === 0 && into.length % 4 === 0 && into.byteOffset % 4 === 0;
    const values = aligned ? new Float32Array(into.buffer, into.byteOffset, into.length / 4) : new Float32Array(Math.ceil(end / 4) - first);
    if (this.#needed.get(name)!.kind === "norm") values.fill(1);
    else fillRandom(values, first, hashName(name) ^ this.#seed);
    if (!aligned) into.set(new Uint8Array(values.buffer, byteOffset - first * 4, into.length));
  }

  async close(): Promise<void> {}
}

function tensorInfo(name: string, shape: readonly number[]): TensorInfo {
  const byteLength = shape.reduce((product, size) => product * size, 4);
  return { name, dtype: "F32", shape, byteLength };
}

/** Elements [first, first + values.length) of the tensor keyed by `key`. The mixing steps are MurmurHash3's finalizer. */
function fillRandom(values: Float32Array, first: number, key: number): void {
  for (let i = 0; i < values.length; i++) {
    let x = (first + i) ^ key;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    values[i] = ((x ^ (x >>> 16)) | 0) * STEP;
  }
}

/** FNV-1a, mixed so that keys of similar names do not share high bits. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) | 0;
}
