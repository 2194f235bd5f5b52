/**
 * From a spec and its weights to one graph that can be loaded: f16, attention as nodes, weights in files. In: ModelSpec,
 * WeightSource, a GraphAttention. Out: plain data. Called by backends whose device has an attention operator.
 */
import type { ModelSpec, WeightSource } from "@weir/core";
import type { GraphCutOptions, WholeGraph } from "./lowering/graph-cut.js";
import { lowerToGraph } from "./lowering/lower-model.js";
import { prepareLowering } from "./prepare-model.js";
import type { PrepareLoweringOptions } from "./prepare-model.js";

export interface PrepareGraphOptions extends GraphCutOptions, Omit<PrepareLoweringOptions, "float" | "quantizer" | "activations"> {}

export interface PreparedGraph extends WholeGraph {
  /** Bytes of all weights as f16. */
  readonly weightBytes: number;
}

/**
 * @throws ModelLoadError naming the tensor that is missing, of the wrong shape or dtype, or beyond f16's range;
 *   NotSupportedError for what the attention cannot do; AbortedError between two linears
 */
export async function prepareGraph(spec: ModelSpec, source: WeightSource, options: PrepareGraphOptions): Promise<PreparedGraph> {
  const { weights, weightBytes } = await prepareLowering(spec, source, { ...options, float: "f16" });
  return { ...lowerToGraph(spec, weights, options), weightBytes };
}
