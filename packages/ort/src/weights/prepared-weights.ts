/**
 * PreparedWeights: where each weight lies in the form that the graphs use. Plain data: it is the index of a cache
 * file, and survives structured cloning. Written by the preparation, read by the lowering.
 */
import type { ElementName } from "../graph/element-type.js";

/** A tensor in a file. */
export interface StoredTensor {
  readonly type: ElementName;
  readonly shape: readonly number[];
  /** Absolute path; "" inside a cache file's own index. */
  readonly path: string;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/**
 * One matrix product.
 * - `dense`: weight f32 or f16 [out, in].
 * - `int8`: weight i8 or, shifted by 128, u8 [in, out]; scales f32 [out].
 * - `int4`: weight u8 [out, groups, groupSize / 2]; scales f32 [out * groups]; zeroPoints u8 [out * ceil(groups / 2)].
 */
export type PreparedLinear = { readonly outFeatures: number; readonly inFeatures: number } & (
  | { readonly kind: "dense"; readonly weight: StoredTensor }
  | { readonly kind: "int8"; readonly weight: StoredTensor; readonly scales: StoredTensor }
  | {
      readonly kind: "int4";
      readonly groupSize: number;
      readonly weight: StoredTensor;
      readonly scales: StoredTensor;
      readonly zeroPoints?: StoredTensor;
    }
);

/** Embedding rows: f32 or f16, or i8 with a scale per row. */
export type PreparedEmbedding =
  | { readonly kind: "dense"; readonly weight: StoredTensor }
  | { readonly kind: "int8"; readonly weight: StoredTensor; readonly scales: StoredTensor };

export interface PreparedWeights {
  readonly embedding: PreparedEmbedding;
  /** Matrix products per group, in the order of its parts; one when they were fused. */
  readonly groups: Readonly<Record<string, readonly PreparedLinear[]>>;
}

/** Bytes of all tensors, each counted once. */
export function weightBytes(weights: PreparedWeights): number {
  const seen = new Map<string, number>();
  for (const linear of [weights.embedding, ...Object.values(weights.groups).flat()]) {
    for (const tensor of storedTensors(linear)) seen.set(`${tensor.path}@${tensor.byteOffset}`, tensor.byteLength);
  }
  return [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** The tensors of one linear or embedding. */
export function storedTensors(linear: PreparedLinear | PreparedEmbedding): StoredTensor[] {
  const tensors = [linear.weight];
  if ("scales" in linear) tensors.push(linear.scales);
  if ("zeroPoints" in linear && linear.zeroPoints) tensors.push(linear.zeroPoints);
  return tensors;
}
