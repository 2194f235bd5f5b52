import { describe, expect, it } from "vitest";
import { ModelLoadError } from "../errors/index.js";
import { ArchitectureRegistry, createModelSpec } from "./architecture-registry.js";
import { ConfigReader } from "./config-reader.js";
import { llamaArchitecture } from "./llama.js";

const base = {
  model_type: "llama",
  hidden_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 160,
  vocab_size: 512,
  max_position_embeddings: 512,
  rope_theta: 10_000,
};

describe("a llama config", () => {
  it("becomes a spec with Hugging Face's tensor names", () => {
    const spec = createModelSpec({ ...base, attention_bias: true, tie_word_embeddings: true, eos_token_id: [2, 5, 2] });
    const { attention, mlp } = spec.layers[1]!;
    expect(attention).toMatchObject({ headDim: 16, numKvHeads: 2, scale: 0.25 });
    expect(attention.k).toEqual({
      weight: "model.layers.1.self_attn.k_proj.weight",
      bias: "model.layers.1.self_attn.k_proj.bias",
      inFeatures: 64,
      outFeatures: 32,
    });
    expect(mlp.down).toEqual({ weight: "model.layers.1.mlp.down_proj.weight", inFeatures: 160, outFeatures: 64 });
    expect(spec.head).toMatchObject({ tied: true, linear: { weight: "model.embed_tokens.weight" } });
    expect(spec.eosTokenIds).toEqual([2, 5]);
  });

  it("is read in the layouts of transformers 4 and 5 alike", () => {
    const { rope_theta, ...rest } = base;
    const scaling = { factor: 4, rope_type: "linear" };
    const v4 = createModelSpec({ ...base, rope_scaling: scaling });
    const v5 = createModelSpec({ ...rest, rope_parameters: { ...scaling, rope_theta } });
    expect(v5).toEqual(v4);
    expect(v4.maxPositions).toBe(2048);
    const oldName = createModelSpec({ ...base, rope_scaling: { factor: 4, type: "linear" } });
    expect(oldName).toEqual(v4);
  });

  it.each([
    ["dynamic", { factor: 2 }, { type: "dynamic", factor: 2, originalMaxPositions: 512 }, 1024],
    ["yarn", { factor: 4, original_max_position_embeddings: 128 }, { type: "yarn", attentionFactor: 0.1 * Math.log(4) + 1 }, 512],
    [
      "llama3",
      { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 },
      { type: "llama3", originalMaxPositions: 64 },
      512,
    ],
    ["default", {}, undefined, 512],
  ])("takes %s rope scaling", (rope_type, fields, expected, maxPositions) => {
    const spec = createModelSpec({ ...base, rope_scaling: { rope_type, ...fields } });
    if (expected) expect(spec.layers[0]!.attention.rope!.scaling).toMatchObject(expected);
    else expect(spec.layers[0]!.attention.rope!.scaling).toBeUndefined();
    expect(spec.maxPositions).toBe(maxPositions);
  });

  it.each([
    ["hidden_size", 0],
    ["hidden_size", -1],
    ["hidden_size", 1e12],
    ["hidden_size", "4096"],
    ["hidden_size", Number.NaN],
    ["hidden_size", undefined],
    ["num_attention_heads", 3],
    ["num_key_value_heads", 8],
    ["num_key_value_heads", 3],
    ["num_hidden_layers", 1e6],
    ["num_hidden_layers", 1.5],
    ["rope_theta", 0],
    ["max_position_embeddings", 2 ** 40],
    ["vocab_size", -5],
    ["head_dim", 20],
    ["head_dim", 512],
    ["rms_norm_eps", "1e-5"],
    ["attention_bias", "yes"],
    ["hidden_act", "relu6"],
    ["eos_token_id", 512],
    ["eos_token_id", ["2"]],
    ["rope_scaling", { rope_type: "longrope" }],
    ["rope_scaling", [1]],
    ["auto_map", { AutoModel: "modeling.Evil" }],
    ["quantization_config", { quant_method: "gptq" }],
    ["model_type", "mamba"],
    ["model_type", "__proto__"],
  ])("with %s = %j is refused by name", (field, value) => {
    const error = thrownBy(() => createModelSpec({ ...base, [field]: value }));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toContain(field === "rope_scaling" ? "rope_" : field);
    expect(error.message.length).toBeLessThan(300);
  });

  it("that is no object is refused", () => {
    for (const config of [null, [], "llama", 5]) expect(() => createModelSpec(config)).toThrow(ModelLoadError);
  });
});

describe("a qwen2 config", () => {
  it("has biases on q, k and v only, and no windows", () => {
    const config = { ...base, model_type: "qwen2", use_sliding_window: false, sliding_window: 16 };
    const { attention } = createModelSpec(config).layers[0]!;
    expect([attention.q.bias, attention.v.bias].every((bias) => bias !== undefined)).toBe(true);
    expect(attention.o.bias).toBeUndefined();
    expect(attention.window).toBeUndefined();
    expect(() => createModelSpec({ ...config, use_sliding_window: true })).toThrow(/use_sliding_window/);
  });
});

describe("ArchitectureRegistry", () => {
  it("takes architectures of the user's and names what it has", () => {
    const registry = new ArchitectureRegistry([llamaArchitecture]);
    expect(() => createModelSpec({ ...base, model_type: "tiny" }, registry)).toThrow(
      /one of llama; others are added with registerArchitecture/,
    );
    registry.register({ modelType: "tiny", createSpec: (config) => llamaArchitecture.createSpec(config) });
    expect(createModelSpec({ ...base, model_type: "tiny" }, registry).layers).toHaveLength(2);
    expect(registry.find(new ConfigReader(base, "config.json"))).toBe(llamaArchitecture);
  });
});

function thrownBy(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
