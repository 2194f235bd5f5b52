import type { GraphAttentionConfig, GraphAttentionLayer, GraphAttentionValues, GraphNodeOptions } from "@weir/core";
import { describe, expect, it } from "vitest";
import { createGraphAttention } from "./paged-attention.js";

const CONFIG: GraphAttentionConfig = {
  provider: "cuda",
  limits: { maxModelLen: 128, maxNumSeqs: 4, maxNumBatchedTokens: 128, blockSize: 16, numBlocks: 8 },
};
const LAYER: GraphAttentionLayer = {
  index: 3,
  numHeads: 6,
  numKvHeads: 2,
  headDim: 16,
  vHeadDim: 16,
  scale: 1,
  causal: true,
  window: 0,
  softcap: 0,
  rope: { rotaryDim: 16, interleaved: false },
};
const VALUES: GraphAttentionValues = {
  qkv: "qkv",
  keyCache: "key_cache.3",
  valueCache: "value_cache.3",
  cuSeqlensQ: "cu_seqlens_q",
  pastLens: "past_lens",
  blockTables: "block_tables",
  bounds: "attention_bounds",
  cos: "cos",
  sin: "sin",
};

describe("paged attention", () => {
  it("is one node whose inputs stand where the operator looks for them", () => {
    const { opType, inputs, options, output } = emit({});
    expect([opType, options.domain, options.name, output]).toEqual(["PagedAttention", "com.microsoft", "layers.3.attention", "out"]);
    expect(inputs).toHaveLength(17);
    expect(Object.fromEntries(inputs.map((name, i) => [i, name]).filter(([, name]) => name !== ""))).toEqual({
      0: "qkv",
      3: "key_cache.3",
      4: "value_cache.3",
      5: "cu_seqlens_q",
      6: "past_lens",
      7: "block_tables",
      8: "cos",
      9: "sin",
      16: "attention_bounds",
    });
    expect(options.attributes).toEqual({ num_heads: 6, kv_num_heads: 2, scale: { float: 1 }, do_rotary: 1, rotary_interleaved: 0 });
  });

  it("takes windows and softcaps on CUDA, and layers without rotary embedding", () => {
    const { rope: _, ...noRope } = LAYER;
    const { cos: _cos, sin: _sin, ...noTables } = VALUES;
    const { inputs, options } = emit({ ...noRope, window: 20, softcap: 30 }, {}, noTables);
    expect(inputs.slice(8, 10)).toEqual(["", ""]);
    expect(options.attributes).toEqual({
      num_heads: 6,
      kv_num_heads: 2,
      scale: { float: 1 },
      softcap: { float: 30 },
      local_window_size: 20,
    });
  });

  it("leaves out a window that no sequence outgrows", () => {
    for (const provider of ["cuda", "webgpu"] as const) {
      expect(emit({ ...LAYER, window: 128 }, { provider }).options.attributes).not.toHaveProperty("local_window_size");
    }
  });

  it.each([
    ["full attention", { causal: false }, "cuda", /layer 3 has full attention/],
    ["another value size", { vHeadDim: 32 }, "cuda", /headDim of 16 and a vHeadDim of 32/],
    ["an odd head size", { headDim: 20, vHeadDim: 20 }, "cuda", /headDim of 20/],
    ["a softcap on WebGPU", { softcap: 30 }, "webgpu", /softcap/],
    ["a window on WebGPU", { window: 20 }, "webgpu", /window of 20; maxModelLen up to that/],
  ] as const)("refuses %s", (_, layer, provider, message) => {
    const refusal = expect.objectContaining({ code: "not_supported", message: expect.stringMatching(message) });
    expect(() => emit({ ...LAYER, ...layer }, { provider })).toThrow(refusal);
  });
});

interface Emitted {
  readonly opType: string;
  readonly inputs: readonly string[];
  readonly options: GraphNodeOptions;
  readonly output: string;
}

function emit(
  layer: Partial<GraphAttentionLayer>,
  config: Partial<GraphAttentionConfig> = {},
  values: GraphAttentionValues = VALUES,
): Emitted {
  const nodes: Omit<Emitted, "output">[] = [];
  const graph = {
    node: (opType: string, inputs: readonly string[], options: GraphNodeOptions = {}) => {
      nodes.push({ opType, inputs, options });
      return "out";
    },
    constant: (name: string) => name,
  };
  const wanted = "causal" in layer ? (layer as GraphAttentionLayer) : { ...LAYER, ...layer };
  const output = createGraphAttention({ ...CONFIG, ...config }).emit(graph, wanted, values);
  expect(nodes).toHaveLength(1);
  return { ...nodes[0]!, output };
}
