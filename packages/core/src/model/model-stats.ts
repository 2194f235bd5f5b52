/** Sizes that follow from a spec alone: parameters, KV bytes per token. For `inspect` and the memory plan. */
import type { KvDtype, ModelSpec, WeightSource } from "../contracts/index.js";
import { specTensors } from "./spec-tensors.js";

export interface ModelStats {
  /** A tied head is counted once. */
  readonly parameters: number;
  /** Bytes of keys and values of one token over all layers, int8 scales included. */
  readonly kvBytesPerToken: number;
  /** Bytes of the tensors as stored. */
  readonly weightBytes: number;
}

/** Bytes of one element of the KV cache; int8 adds a 4-byte scale per token and head for each of K and V. */
const KV_ELEMENT_BYTES: Record<KvDtype, number> = { f32: 4, f16: 2, bf16: 2, int8: 1 };

export function modelStats(spec: ModelSpec, weights: WeightSource, kvDtype: KvDtype = "f32"): ModelStats {
  let parameters = 0;
  let weightBytes = 0;
  for (const { name, shape } of specTensors(spec).values()) {
    const tensor = weights.tensors.get(name);
    parameters += (tensor?.shape ?? shape).reduce((product, size) => product * size, 1);
    weightBytes += tensor?.byteLength ?? 0;
  }
  return { parameters, kvBytesPerToken: kvBytesPerToken(spec, kvDtype), weightBytes };
}

/** @param kvDtype int8 counts its scales */
export function kvBytesPerToken(spec: ModelSpec, kvDtype: KvDtype): number {
  let bytes = 0;
  for (const { attention } of spec.layers) {
    const { numKvHeads, headDim, vHeadDim } = attention;
    bytes += numKvHeads * (headDim + vHeadDim) * KV_ELEMENT_BYTES[kvDtype];
    if (kvDtype === "int8") bytes += numKvHeads * 2 * 4;
  }
  return bytes;
}
