/**
 * WeightPlan: what can be used where it lies and what has to be made. In: spec, source, quantizer. Out: groups and
 * embedding in place, groups to make, and the key of the cache file that will hold these.
 */
import type { ModelSpec, WeightSource } from "@weir/core";
import type { LinearQuantizer } from "./linear-quantizer.js";
import { createHash } from "node:crypto";
import { elementBytes } from "../graph/element-type.js";
import { allGroups, linearGroups } from "./linear-groups.js";
import type { LinearGroup } from "./linear-groups.js";
import type { PreparedEmbedding, PreparedLinear, StoredTensor } from "./prepared-weights.js";

/** Raise when the same weights would be written differently. */
const LAYOUT_VERSION = 2;

export interface WeightPlanOptions {
  /** Absent: weights stay f32 as they are. */
  readonly quantizer?: LinearQuantizer;
  /** `f32`: dequantize, so that products are computed in f32 with the quantized weights' values. */
  readonly activations: "auto" | "f32";
  /** Store int8 weights shifted by 128, for CPUs whose u8 x s8 products saturate. */
  readonly unsignedInt8: boolean;
  /** What weights are stored in where they are not quantized. Default "f32". */
  readonly float?: "f32" | "f16";
}

export interface WeightPlan extends WeightPlanOptions {
  readonly inPlace: { readonly embedding?: PreparedEmbedding; readonly groups: Readonly<Record<string, readonly PreparedLinear[]>> };
  readonly toMake: readonly LinearGroup[];
  readonly makeEmbedding: boolean;
  /** Whether the embedding is stored as i8 rows; else f32. */
  readonly int8Embedding: boolean;
  /** The head's weight is the embedding's; it is neither in place nor to be made. */
  readonly headIsEmbedding: boolean;
  /** Everything that the made weights depend on, hashed. */
  readonly key: string;
  /** File name of the cache. */
  readonly fileName: string;
}

export function planWeights(spec: ModelSpec, source: WeightSource, options: WeightPlanOptions): WeightPlan {
  const groups = allGroups(linearGroups(spec));
  const { float = "f32" } = options;
  const placed = new Map(options.quantizer ? [] : groups.map((group) => [group.key, placeGroup(group, source, float)]));
  const headIsEmbedding = float === "f16" && !options.quantizer && sharesEmbedding(spec);
  const toMake = groups.filter((group) => !placed.get(group.key) && !(headIsEmbedding && group.key === "head"));
  // Computing in f32 is for comparing with a reference, whose embedding no quantizer has touched.
  const int8Embedding = options.quantizer !== undefined && options.quantizer.scheme !== "f32" && options.activations === "auto";
  const embedding = int8Embedding ? undefined : placeEmbedding(spec, source, float);
  const key = cacheKey(spec, source, options, toMake, embedding === undefined);
  return {
    ...options,
    inPlace: {
      ...(embedding ? { embedding } : {}),
      groups: Object.fromEntries([...placed].flatMap(([name, linears]) => (linears ? [[name, linears]] : []))),
    },
    toMake,
    makeEmbedding: embedding === undefined,
    int8Embedding,
    headIsEmbedding,
    key,
    fileName: `${options.quantizer?.scheme ?? float}-${key.slice(0, 24)}.weir`,
  };
}

/** A device gets a tied head once. In f32 both are the same bytes of the source's file anyway. */
function sharesEmbedding({ head: { tied, linear }, embedding }: ModelSpec): boolean {
  return tied && linear.weight === embedding.weight && !linear.transposed && linear.rowOffset === undefined;
}

/** The group's weights in their file, when all of them lie there as `float` [out, in]. */
function placeGroup(group: LinearGroup, source: WeightSource, float: "f32" | "f16"): PreparedLinear[] | undefined {
  // On a device one product is worth the copy of its weights.
  if (float === "f16" && group.fuse && group.parts.length > 1) return undefined;
  const linears: PreparedLinear[] = [];
  for (const { weight, outFeatures, inFeatures, transposed, rowOffset = 0 } of group.parts) {
    const placed = transposed ? undefined : placeTensor(source, weight, float, [outFeatures, inFeatures], rowOffset * inFeatures);
    if (!placed) return undefined;
    linears.push({ kind: "dense", outFeatures, inFeatures, weight: placed });
  }
  return linears;
}

function placeEmbedding(spec: ModelSpec, source: WeightSource, float: "f32" | "f16"): PreparedEmbedding | undefined {
  const weight = placeTensor(source, spec.embedding.weight, float, [spec.vocabSize, spec.hiddenSize], 0);
  return weight && { kind: "dense", weight };
}

function placeTensor(
  source: WeightSource,
  name: string,
  float: "f32" | "f16",
  shape: [number, number],
  start: number,
): StoredTensor | undefined {
  const info = source.tensors.get(name);
  const size = elementBytes[float];
  // Kernels read from the mapped file, which must therefore be aligned.
  if (!info?.file || info.dtype !== float.toUpperCase() || info.file.byteOffset % size !== 0) return undefined;
  const byteOffset = info.file.byteOffset + start * size;
  return { type: float, shape, path: info.file.path, byteOffset, byteLength: shape[0] * shape[1] * size };
}

function cacheKey(
  spec: ModelSpec,
  source: WeightSource,
  { quantizer, activations, unsignedInt8, float = "f32" }: WeightPlanOptions,
  toMake: readonly LinearGroup[],
  embedding: boolean,
): string {
  const contents = {
    layout: LAYOUT_VERSION,
    source: source.identity,
    quantizer: quantizer && [quantizer.scheme, quantizer.algorithm, quantizer.version],
    activations,
    unsignedInt8,
    ...(float === "f32" ? {} : { float }),
    groups: toMake,
    embedding: embedding && [spec.embedding.weight, spec.vocabSize, spec.hiddenSize],
  };
  return createHash("sha256").update(JSON.stringify(contents)).digest("hex");
}
