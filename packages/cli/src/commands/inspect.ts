/** `weir inspect MODEL`: what a model is and what it needs in memory, from its header alone; nothing is loaded. */
import { formatBytes, kvBytesPerToken, type EngineInfo, type LoadedModel } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import type { Command } from "../command.js";
import { ENGINE_FLAGS } from "../engine-flags.js";
import { modelArgument } from "../model-argument.js";
import { planEngine } from "../plan-engine.js";

export const inspect: Command = {
  usage: "weir inspect [MODEL] [--json]",
  about: "What a model is, and the memory plan an engine would make for the limits given. Reads headers, no weights.",
  flags: { json: { kind: "boolean", about: "print one JSON object" }, ...ENGINE_FLAGS },
  maxPositionals: 1,
  run: async (flags) => {
    const model = await openModelFolder(modelArgument(flags.positionals[0]));
    try {
      const report = describe(model, await planEngine(flags, model));
      process.stdout.write(flags.boolean("json") ? `${JSON.stringify(report)}\n` : table(report));
      return 0;
    } finally {
      await model.weights.close();
    }
  },
};

function describe(model: LoadedModel, { memory: plan, backend }: EngineInfo): Inspection {
  const { spec } = model;
  const [first] = spec.layers;
  return {
    model: model.name,
    architecture: spec.architecture,
    parameters: plan.numParameters,
    layers: spec.layers.length,
    hidden_size: spec.hiddenSize,
    heads: first?.attention.numHeads ?? 0,
    kv_heads: first?.attention.numKvHeads ?? 0,
    head_dim: first?.attention.headDim ?? 0,
    vocab_size: spec.vocabSize,
    context: spec.maxPositions,
    stored_dtype: model.storedScheme,
    tokenizer: model.tokenizer !== undefined,
    chat_template: model.chatTemplate !== undefined,
    kv_bytes_per_token: { f32: kvBytesPerToken(spec, "f32"), int8: kvBytesPerToken(spec, "int8") },
    plan: {
      backend,
      weight_scheme: plan.weightScheme,
      weight_bytes: plan.weightBytes,
      kv_dtype: plan.kvDtype,
      kv_cache_bytes: plan.kvCacheBytes,
      block_size: plan.limits.blockSize,
      num_blocks: plan.limits.numBlocks,
      max_model_len: plan.limits.maxModelLen,
      tokens: plan.numKvTokens,
      full_streams: plan.numFullStreams,
      streams_of_256: Math.floor(plan.limits.numBlocks / Math.ceil(256 / plan.limits.blockSize)),
    },
  };
}

interface Inspection {
  readonly model: string;
  readonly architecture: string;
  readonly parameters: number;
  readonly layers: number;
  readonly hidden_size: number;
  readonly heads: number;
  readonly kv_heads: number;
  readonly head_dim: number;
  readonly vocab_size: number;
  readonly context: number;
  readonly stored_dtype: string;
  readonly tokenizer: boolean;
  readonly chat_template: boolean;
  readonly kv_bytes_per_token: Readonly<Record<"f32" | "int8", number>>;
  readonly plan: {
    readonly backend: string;
    readonly weight_scheme: string;
    readonly weight_bytes: number;
    readonly kv_dtype: string;
    readonly kv_cache_bytes: number;
    readonly block_size: number;
    readonly num_blocks: number;
    readonly max_model_len: number;
    readonly tokens: number;
    readonly full_streams: number;
    readonly streams_of_256: number;
  };
}

function table({ plan, ...model }: Inspection): string {
  const { kv_bytes_per_token: kv } = model;
  const rows: [string, string][] = [
    ["model", model.model],
    ["architecture", model.architecture],
    ["parameters", `${(model.parameters / 1e6).toFixed(1)} M`],
    ["layers", `${model.layers}, hidden ${model.hidden_size}`],
    ["attention", `${model.heads} heads, ${model.kv_heads} KV heads of ${model.head_dim}`],
    ["vocabulary", `${model.vocab_size}`],
    ["context", `${model.context} tokens`],
    ["stored as", model.stored_dtype],
    ["text", `tokenizer ${yes(model.tokenizer)}, chat template ${yes(model.chat_template)}`],
    ["KV per token", `${kv.f32} bytes in f32, ${kv.int8} in int8`],
    ["plan: weights", `${plan.weight_scheme} on ${plan.backend}, ${formatBytes(plan.weight_bytes)}`],
    ["plan: KV cache", `${plan.kv_dtype}, ${plan.num_blocks} blocks of ${plan.block_size}, ${formatBytes(plan.kv_cache_bytes)}`],
    ["plan: streams", `${plan.full_streams} of ${plan.max_model_len} tokens, or ${plan.streams_of_256} of 256`],
  ];
  return `${rows.map(([name, value]) => `${name.padEnd(16)}${value}`).join("\n")}\n`;
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}
