/**
 * The shapes behind `random:NAME`: configs as a model folder would have them, without weights or tokenizer.
 * In: a name. Out: a ModelSpec. Called by the random weight source and `openRandomModel`.
 */
import type { ModelSpec } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { createModelSpec } from "../model/architecture-registry.js";

/** What `random:` names begin with. */
export const RANDOM_PREFIX = "random:";

const RANDOM_SHAPES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "llama-1.1b": {
    model_type: "llama",
    hidden_size: 2048,
    num_hidden_layers: 16,
    num_attention_heads: 32,
    num_key_value_heads: 8,
    head_dim: 64,
    intermediate_size: 8192,
    vocab_size: 32_000,
    max_position_embeddings: 4096,
    rope_theta: 10_000,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: false,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  "qwen2.5-0.5b": {
    model_type: "qwen2",
    hidden_size: 896,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    intermediate_size: 4864,
    vocab_size: 151_936,
    max_position_embeddings: 32_768,
    rope_theta: 1_000_000,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    use_sliding_window: false,
    bos_token_id: 151_643,
    eos_token_id: 151_645,
  },
};

/** @throws ModelLoadError naming the shapes there are */
export function randomModelSpec(shape: string): ModelSpec {
  if (!Object.hasOwn(RANDOM_SHAPES, shape)) {
    const known = Object.keys(RANDOM_SHAPES).map((name) => RANDOM_PREFIX + name);
    throw new ModelLoadError(`there is no model ${RANDOM_PREFIX}${shape.slice(0, 60)}; there are ${known.join(" and ")}`);
  }
  return createModelSpec(RANDOM_SHAPES[shape]);
}
