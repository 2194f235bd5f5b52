/**
 * LoadedModel: a model that was opened but not yet given to a backend: its description, where its weights lie,
 * and the text side. Made by `openModel(path)` (Node) or by hand (browser, tests); read by `createEngine`.
 */
import type { GenerateOptions } from "./generate-options.js";
import type { ModelSpec } from "./model-spec.js";
import type { ChatTemplate, Tokenizer } from "./tokenizer.js";
import type { WeightSource } from "./weight-source.js";

/** How the weights are stored, before any quantization of ours. */
export type StoredScheme = "f32" | "f16" | "bf16" | "int8" | "int4";

/** What a model's `generation_config.json` sets for requests that do not say; a subset of GenerateOptions. */
export type GenerationDefaults = Partial<
  Pick<GenerateOptions, "maxTokens" | "temperature" | "topK" | "topP" | "minP" | "repetitionPenalty">
>;

export interface LoadedModel {
  /** For people: the folder's name, or what was asked for. */
  readonly name: string;
  readonly spec: ModelSpec;
  /** Closed by who opened it: the engine, when it was given a path. */
  readonly weights: WeightSource;
  /** Absent: prompts must be token ids, and token events carry no text. */
  readonly tokenizer?: Tokenizer;
  /** Absent: `chat()` is refused. */
  readonly chatTemplate?: ChatTemplate;
  readonly storedScheme: StoredScheme;
  /** Not applied by itself: the engine stays greedy unless asked; `weir chat` and the server read it. */
  readonly generationConfig?: GenerationDefaults;
}
