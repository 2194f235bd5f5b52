/**
 * Attention as one node: com.microsoft.PagedAttention rotates q and k, stores k and v through the block tables and
 * attends. In: a layer's sizes and names. Out: the node. The module behind `pagedAttention`.
 */
import { NotSupportedError } from "@weir/core";
import type { CreateGraphAttention, GraphAttentionConfig, GraphAttentionLayer, GraphAttentionValues } from "@weir/core";

export const createGraphAttention: CreateGraphAttention = (config) => ({
  emit(graph, layer, values) {
    check(layer, config);
    return graph.node("PagedAttention", inputs(values), {
      domain: "com.microsoft",
      name: `layers.${layer.index}.attention`,
      attributes: {
        num_heads: layer.numHeads,
        kv_num_heads: layer.numKvHeads,
        scale: { float: layer.scale },
        ...(layer.softcap > 0 ? { softcap: { float: layer.softcap } } : {}),
        ...(layer.window > 0 && layer.window < config.limits.maxModelLen ? { local_window_size: layer.window } : {}),
        ...(layer.rope ? { do_rotary: 1, rotary_interleaved: layer.rope.interleaved ? 1 : 0 } : {}),
      },
    });
  },
});

/**
 * By position. q, k and v come packed. Without the operator's cache outputs the cache is updated in place; without its
 * slot mapping a token's slot follows from its block table, which is where the engine wants it.
 */
function inputs(values: GraphAttentionValues): string[] {
  const { qkv, keyCache, valueCache, cuSeqlensQ, pastLens, blockTables, cos = "", sin = "", bounds } = values;
  const [noKey, noValue] = ["", ""];
  // slot_mapping, head_sink, q and k norm weights, k and v scales
  const absent = ["", "", "", "", "", ""];
  return [qkv, noKey, noValue, keyCache, valueCache, cuSeqlensQ, pastLens, blockTables, cos, sin, ...absent, bounds];
}

function check(layer: GraphAttentionLayer, { provider, limits }: GraphAttentionConfig): void {
  const refuse = (what: string): never => {
    throw new NotSupportedError(`PagedAttention on ${provider}: layer ${layer.index} has ${what}; run the model on another backend`);
  };
  if (!layer.causal) refuse("full attention");
  if (layer.vHeadDim !== layer.headDim) refuse(`a headDim of ${layer.headDim} and a vHeadDim of ${layer.vHeadDim}`);
  if (layer.headDim % 8 !== 0) refuse(`a headDim of ${layer.headDim}, which is no multiple of 8`);
  if (provider !== "webgpu") return;
  if (layer.softcap > 0) refuse("a softcap, which ONNX Runtime's WebGPU kernels do not take");
  // Its kernels for windows are wrong (a fault of the shader compiler); a window that never bites needs none.
  if (layer.window > 0 && layer.window < limits.maxModelLen) refuse(`a window of ${layer.window}; maxModelLen up to that is taken`);
}
