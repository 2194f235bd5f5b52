/**
 * Llama and its near relative Qwen2: pre-norm decoder, grouped-query attention, gated SiLU MLP.
 * In: config.json of transformers 4 or 5. Out: a ModelSpec with Hugging Face's tensor names.
 */
import type { LayerSpec, LinearSpec, ModelSpec, NormSpec, RopeSpec } from "../contracts/index.js";
import type { Architecture } from "./architecture.js";
import type { ConfigReader } from "./config-reader.js";
import { readRope } from "./rope-config.js";

export const llamaArchitecture: Architecture = {
  modelType: "llama",
  createSpec: (config) =>
    decoderSpec(config, "llama", {
      qkvBias: config.boolean("attention_bias", false),
      outputBias: config.boolean("attention_bias", false),
      mlpBias: config.boolean("mlp_bias", false),
    }),
  // Checkpoints of the first Llama stored the frequencies too.
  ignoredTensors: /\.rotary_emb\.inv_freq$/,
};

export const qwen2Architecture: Architecture = {
  modelType: "qwen2",
  createSpec: (config) => {
    if (config.boolean("use_sliding_window", false)) {
      config.fail("use_sliding_window", "false: windows of single layers are not read from qwen2 configs yet");
    }
    return decoderSpec(config, "qwen2", { qkvBias: true, outputBias: false, mlpBias: false });
  },
};

interface Biases {
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
}

interface Shape {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  readonly rope: RopeSpec;
}

function decoderSpec(config: ConfigReader, architecture: string, biases: Biases): ModelSpec {
  config.oneOf("hidden_act", ["silu"], "silu");
  const vocabSize = config.int("vocab_size", { min: 1, max: 2 ** 24 });
  const hiddenSize = config.int("hidden_size", { min: 8, max: 2 ** 17 });
  const numLayers = config.int("num_hidden_layers", { min: 1, max: 1024 });
  const heads = readHeads(config, hiddenSize);
  const { rope, maxPositions } = readRope(config, heads.headDim, 10_000);
  const shape: Shape = {
    hiddenSize,
    ...heads,
    intermediateSize: config.int("intermediate_size", { min: 8, max: 2 ** 20 }),
    epsilon: config.number("rms_norm_eps", { min: 0, max: 1 }, 1e-6),
    rope,
  };
  const tied = config.boolean("tie_word_embeddings", false);
  const bos = config.tokenIds("bos_token_id", vocabSize)[0];
  return {
    architecture,
    vocabSize,
    hiddenSize,
    maxPositions,
    embedding: { weight: EMBEDDING },
    layers: Array.from({ length: numLayers }, (_, index) => layer(index, shape, biases)),
    finalNorm: rmsNorm("model.norm", shape.epsilon),
    head: {
      linear: { weight: tied ? EMBEDDING : "lm_head.weight", inFeatures: hiddenSize, outFeatures: vocabSize },
      tied,
    },
    ...(bos === undefined ? {} : { bosTokenId: bos }),
    eosTokenIds: config.tokenIds("eos_token_id", vocabSize),
  };
}

const EMBEDDING = "model.embed_tokens.weight";

function readHeads(config: ConfigReader, hiddenSize: number): Pick<Shape, "numHeads" | "numKvHeads" | "headDim"> {
  const numHeads = config.int("num_attention_heads", { min: 1, max: 1024 });
  const numKvHeads = config.int("num_key_value_heads", { min: 1, max: 1024 }, numHeads);
  if (numHeads % numKvHeads !== 0) {
    config.fail("num_key_value_heads", `a divisor of num_attention_heads (${numHeads})`);
  }
  if (!config.has("head_dim") && hiddenSize % numHeads !== 0) {
    config.fail("num_attention_heads", `a divisor of hidden_size (${hiddenSize}), or head_dim must be given`);
  }
  const headDim = config.int("head_dim", { min: 16, max: 256 }, hiddenSize / numHeads);
  if (headDim % 8 !== 0) config.fail("head_dim", `a multiple of 8 from 16 to 256 (here ${headDim})`);
  return { numHeads, numKvHeads, headDim };
}

function layer(index: number, shape: Shape, biases: Biases): LayerSpec {
  const { hiddenSize: hidden, intermediateSize: inner, numHeads, numKvHeads, headDim, epsilon, rope } = shape;
  const prefix = `model.layers.${index}`;
  const attention = (name: string, inFeatures: number, outFeatures: number, bias: boolean): LinearSpec =>
    linear(`${prefix}.self_attn.${name}_proj`, inFeatures, outFeatures, bias);
  const mlp = (name: string, inFeatures: number, outFeatures: number): LinearSpec =>
    linear(`${prefix}.mlp.${name}_proj`, inFeatures, outFeatures, biases.mlpBias);
  return {
    attentionNorm: rmsNorm(`${prefix}.input_layernorm`, epsilon),
    attention: {
      numHeads,
      numKvHeads,
      headDim,
      vHeadDim: headDim,
      q: attention("q", hidden, numHeads * headDim, biases.qkvBias),
      k: attention("k", hidden, numKvHeads * headDim, biases.qkvBias),
      v: attention("v", hidden, numKvHeads * headDim, biases.qkvBias),
      o: attention("o", numHeads * headDim, hidden, biases.outputBias),
      scale: headDim ** -0.5,
      rope,
      causal: true,
    },
    mlpNorm: rmsNorm(`${prefix}.post_attention_layernorm`, epsilon),
    mlp: {
      kind: "gated",
      activation: "silu",
      gate: mlp("gate", hidden, inner),
      up: mlp("up", hidden, inner),
      down: mlp("down", inner, hidden),
    },
  };
}

function linear(name: string, inFeatures: number, outFeatures: number, bias: boolean): LinearSpec {
  return { weight: `${name}.weight`, ...(bias ? { bias: `${name}.bias` } : {}), inFeatures, outFeatures };
}

function rmsNorm(name: string, epsilon: number): NormSpec {
  return { kind: "rms", weight: `${name}.weight`, epsilon };
}
