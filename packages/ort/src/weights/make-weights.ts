/**
 * Makes the weights that cannot be used in place, linear by linear, into a cache file.
 * In: a plan, a reader, a writer. Out: the cache's index. Holds at most one group of linears at a time.
 */
import { AbortedError, ModelLoadError } from "@weir/core";
import type { LinearSpec, ModelSpec, QuantizedLinear } from "@weir/core";
import { setImmediate } from "node:timers/promises";
import { fitsF16, toF16 } from "../graph/float16.js";
import type { CacheFileWriter, CacheIndex } from "./cache-file.js";
import { checkQuantized } from "./check-quantized.js";
import { transpose } from "./convert.js";
import { fuseLinears } from "./fuse-linears.js";
import type { PreparedEmbedding, PreparedLinear } from "./prepared-weights.js";
import type { WeightPlan } from "./weight-plan.js";
import type { WeightReader } from "./weight-reader.js";

export interface MakeWeightsOptions {
  /** Bytes of f32 weights made so far, and in all. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
  readonly signal?: AbortSignal;
}

/** Rows of the embedding that are converted at a time. */
const EMBEDDING_ROWS = 1024;

export async function makeWeights(
  spec: ModelSpec,
  plan: WeightPlan,
  reader: WeightReader,
  writer: CacheFileWriter,
  options: MakeWeightsOptions,
): Promise<CacheIndex> {
  const embeddingBytes = plan.makeEmbedding ? spec.vocabSize * spec.hiddenSize * 4 : 0;
  const total = embeddingBytes + plan.toMake.flatMap((group) => group.parts).reduce((sum, part) => sum + linearBytes(part), 0);
  let done = 0;
  const step = (bytes: number): void => {
    throwIfAborted(options.signal);
    options.onProgress?.((done += bytes), total);
  };
  step(0);
  const groups: Record<string, PreparedLinear[]> = {};
  for (const group of plan.toMake) {
    const parts: QuantizedLinear[] = [];
    for (const part of group.parts) {
      parts.push(await quantize(plan, part, await reader.weight(part)));
      step(linearBytes(part));
    }
    groups[group.key] = [];
    for (const linear of group.fuse ? fuseLinears(parts) : parts) {
      groups[group.key]!.push(await writeLinear(plan, writer, linear, group.key));
    }
  }
  const embedding = plan.makeEmbedding ? await makeEmbedding(spec, plan, reader, writer, step) : undefined;
  return { key: plan.key, groups, ...(embedding ? { embedding } : {}) };
}

function linearBytes({ inFeatures, outFeatures }: LinearSpec): number {
  return inFeatures * outFeatures * 4;
}

async function quantize({ quantizer, activations }: WeightPlan, part: LinearSpec, weight: Float32Array): Promise<QuantizedLinear> {
  const { outFeatures, inFeatures } = part;
  if (!quantizer) return { kind: "dense", outFeatures, inFeatures, data: weight };
  const quantized = await quantizer.quantize({ name: part.weight, outFeatures, inFeatures, weight });
  checkQuantized(quantized, part, quantizer.algorithm);
  if (activations === "auto" || quantized.kind === "dense") return quantized;
  return { kind: "dense", outFeatures, inFeatures, data: await quantizer.dequantize(quantized) };
}

async function writeLinear(plan: WeightPlan, writer: CacheFileWriter, linear: QuantizedLinear, key: string): Promise<PreparedLinear> {
  const { outFeatures, inFeatures } = linear;
  const sizes = { outFeatures, inFeatures };
  if (linear.kind === "dense") {
    const { float = "f32" } = plan;
    const data = float === "f16" ? await toCheckedF16(linear.data, key) : linear.data;
    return { kind: "dense", ...sizes, weight: await writer.append(float, [outFeatures, inFeatures], data) };
  }
  if (linear.kind === "int8-channel") {
    const data = transpose(linear.data, outFeatures, inFeatures);
    if (plan.unsignedInt8) for (let i = 0; i < data.length; i++) data[i]! ^= 0x80;
    const weight = await writer.append(plan.unsignedInt8 ? "u8" : "i8", [inFeatures, outFeatures], data);
    return { kind: "int8", ...sizes, weight, scales: await writer.append("f32", [outFeatures], linear.scales) };
  }
  const { groupSize, zeroPoints } = linear;
  const blocks = Math.ceil(inFeatures / groupSize);
  const weight = await writer.append("u8", [outFeatures, blocks, groupSize / 2], linear.data);
  const scales = await writer.append("f32", [outFeatures * blocks], linear.scales);
  const prepared = { kind: "int4", ...sizes, groupSize, weight, scales } as const;
  return zeroPoints ? { ...prepared, zeroPoints: await writer.append("u8", [zeroPoints.length], zeroPoints) } : prepared;
}

/** Rows as f32 or f16, or as i8 with a scale per row; piece by piece, since it is the largest tensor. */
async function makeEmbedding(
  spec: ModelSpec,
  { int8Embedding, float = "f32" }: WeightPlan,
  reader: WeightReader,
  writer: CacheFileWriter,
  step: (bytes: number) => void,
): Promise<PreparedEmbedding> {
  const { vocabSize, hiddenSize } = spec;
  const size = vocabSize * hiddenSize;
  // [vocabSize, hiddenSize]
  const data = int8Embedding ? new Int8Array(size) : float === "f16" ? new Uint16Array(size) : new Float32Array(size);
  const scales = new Float32Array(vocabSize);
  for (let row = 0; row < vocabSize; row += EMBEDDING_ROWS) {
    const rows = Math.min(EMBEDDING_ROWS, vocabSize - row);
    const values = await reader.elements(spec.embedding.weight, row * hiddenSize, rows * hiddenSize);
    if (data instanceof Int8Array) quantizeRows(values, hiddenSize, data, scales, row);
    else data.set(data instanceof Uint16Array ? await toCheckedF16(values, spec.embedding.weight) : values, row * hiddenSize);
    step(rows * hiddenSize * 4);
  }
  const weight = await writer.append(int8Embedding ? "i8" : float, [vocabSize, hiddenSize], data);
  return int8Embedding ? { kind: "int8", weight, scales: await writer.append("f32", [vocabSize, 1], scales) } : { kind: "dense", weight };
}

/** Symmetric, one scale per row, round to nearest. NaN in a row makes its scale NaN, so that it cannot hide. */
function quantizeRows(values: Float32Array, columns: number, into: Int8Array, scales: Float32Array, firstRow: number): void {
  for (let start = 0; start < values.length; start += columns) {
    let largest = 0;
    for (let i = start; i < start + columns; i++) {
      const size = Math.abs(values[i]!);
      if (!(size <= largest)) largest = size;
    }
    const row = firstRow + start / columns;
    scales[row] = largest / 127;
    const inverse = largest > 0 ? 127 / largest : 0;
    for (let i = 0; i < columns; i++) into[row * columns + i] = Math.round(values[start + i]! * inverse);
  }
}

/**
 * In pieces, between which the event loop turns: a head may have half a billion elements.
 * @throws ModelLoadError: an infinity in a weight would turn every answer into NaN
 */
async function toCheckedF16(values: Float32Array, name: string): Promise<Uint16Array> {
  const out = new Uint16Array(values.length);
  for (let start = 0; start < values.length; start += F16_PIECE) {
    const piece = values.subarray(start, start + F16_PIECE);
    if (!fitsF16(piece)) throw beyondF16(piece, name);
    out.set(toF16(piece), start);
    await setImmediate();
  }
  return out;
}

/** Elements; some milliseconds. */
const F16_PIECE = 1 << 20;

function beyondF16(values: Float32Array, name: string): ModelLoadError {
  const largest = values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
  return new ModelLoadError(`${name} holds ${largest}, beyond the range of f16 (65504); run the model on a backend that computes in f32`);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
}
