/**
 * From a spec and its weights to segments that can be loaded. In: ModelSpec, WeightSource, quantizer. Out: plain
 * data: per segment an ONNX model whose weights stay in files. Called by backends, in the thread of their choice.
 */
import { AbortedError } from "@weir/core";
import type { LoadProgress, ModelSpec, WeightSource } from "@weir/core";
import { lowerToSegments } from "./lowering/lower-model.js";
import type { LoweringWeights } from "./lowering/graph-scope.js";
import type { Segment } from "./lowering/segment.js";
import { detectSaturatingU8S8 } from "./segments/saturating-int8.js";
import { checkWeights } from "./weights/check-weights.js";
import type { LinearQuantizer } from "./weights/linear-quantizer.js";
import { weightBytes } from "./weights/prepared-weights.js";
import { prepareWeights } from "./weights/prepare-weights.js";
import { readVectors } from "./weights/read-vectors.js";
import { WeightReader } from "./weights/weight-reader.js";
import { planWeights } from "./weights/weight-plan.js";

/** What the two ways of lowering have in common. */
export interface PrepareLoweringOptions {
  /** Default: none, weights stay floats. One of scheme "f32" and algorithm "copy" counts as none. */
  readonly quantizer?: LinearQuantizer;
  /** `f32` computes with the dequantized weights in f32. Default "auto". */
  readonly activations?: "auto" | "f32";
  /** Folders to look for a weight cache in and, in this order, to write one to. Default: next to the model, the user's cache folder, the temporary folder. */
  readonly cacheFolders?: readonly string[];
  /** Stages "quantize" (only when weights have to be made) and "compile". */
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
  /** Store int8 weights as u8, exact on CPUs whose u8 x s8 products saturate. Default: found out by a tiny product. */
  readonly unsignedInt8?: boolean;
  /** What weights that are not quantized are stored in. Default "f32". */
  readonly float?: "f32" | "f16";
}

export type PrepareModelOptions = Omit<PrepareLoweringOptions, "float">;

export interface PreparedModel {
  /** numLayers + 1 of them: attention of layer i runs between segments i and i + 1. */
  readonly segments: readonly Segment[];
  /** Bytes of all weights in the form they are computed with. */
  readonly weightBytes: number;
  /**
   * A strict step must compute an even number of rows (`paddedRows`): some product is in int4, whatever the quantizer's
   * scheme is called.
   */
  readonly evenRows: boolean;
}

/**
 * @throws ModelLoadError naming the tensor that is missing, of the wrong shape or dtype, before anything large is
 *   allocated; ModelLoadError when no folder takes the weight cache; AbortedError between two linears
 */
export async function prepareModel(spec: ModelSpec, source: WeightSource, options: PrepareModelOptions = {}): Promise<PreparedModel> {
  const { weights, weightBytes } = await prepareLowering(spec, source, options);
  const evenRows = Object.values(weights.prepared.groups).some((linears) => linears.some(({ kind }) => kind === "int4"));
  return { segments: lowerToSegments(spec, weights), weightBytes, evenRows };
}

/** Weights where the graphs will find them. @throws as prepareModel */
export async function prepareLowering(
  spec: ModelSpec,
  source: WeightSource,
  options: PrepareLoweringOptions = {},
): Promise<{ readonly weights: LoweringWeights; readonly weightBytes: number }> {
  const { activations = "auto", onProgress, signal, float = "f32" } = options;
  const quantizer = changesWeights(options.quantizer) ? options.quantizer : undefined;
  if (signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
  checkWeights(spec, source);
  const unsignedInt8 = quantizer && activations === "auto" ? (options.unsignedInt8 ?? detectSaturatingU8S8()) : false;
  const plan = planWeights(spec, source, { ...(quantizer ? { quantizer } : {}), activations, unsignedInt8, float });
  const vectors = await readVectors(spec, new WeightReader(source));
  const prepared = await prepareWeights(spec, source, plan, {
    onProgress: (bytesDone, bytesTotal) => onProgress?.({ stage: "quantize", bytesDone, bytesTotal }),
    ...(signal ? { signal } : {}),
    ...(options.cacheFolders ? { cacheFolders: options.cacheFolders } : {}),
  });
  const bytes = weightBytes(prepared);
  onProgress?.({ stage: "compile", bytesDone: 0, bytesTotal: bytes });
  return { weights: { prepared, vectors }, weightBytes: bytes };
}

/** Without a change f32 weights can be used where they lie. */
function changesWeights(quantizer: LinearQuantizer | undefined): boolean {
  return quantizer !== undefined && !(quantizer.scheme === "f32" && quantizer.algorithm === "copy");
}
