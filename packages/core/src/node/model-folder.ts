/**
 * Opens a model folder in Hugging Face form, or one of the `random:` shapes.
 * In: a path or name. Out: a LoadedModel whose config, tensors and text side were checked; no weights are read yet.
 * Called by `#platform` for createEngine, and by the command line.
 */
import { realpath, stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { GenerationDefaults, LoadedModel, ModelSpec, OpenModelOptions, WeightSource } from "../contracts/index.js";
import { AbortedError, ModelLoadError } from "../errors/index.js";
import { type ArchitectureRegistry, architectures, checkTensors, ConfigReader } from "../model/index.js";
import { openRandomModel } from "../weights/random-model.js";
import { RANDOM_PREFIX } from "../weights/random-shapes.js";
import { asLoadError, MAX_CONFIG_BYTES, readJsonFile } from "./confined-file.js";
import { openSafetensorsFolder } from "./safetensors-folder.js";
import { readTextSide, type TextSide } from "./text-side.js";
import { TextWorker } from "./text-worker.js";

export interface ModelFolderOptions extends OpenModelOptions {
  /** Default: the process's registry, see `registerArchitecture`. */
  readonly architectures?: ArchitectureRegistry;
}

/**
 * @param path a folder with config.json and safetensors, or `random:NAME`
 * @throws ModelLoadError naming the file and field or tensor; AbortedError
 */
export async function openModelFolder(path: string, options: ModelFolderOptions = {}): Promise<LoadedModel> {
  if (path.startsWith(RANDOM_PREFIX)) return openRandomModel(path);
  const folder = await findFolder(path);
  const { spec, ignoredTensors, generationConfig } = await readSpec(folder, options.architectures ?? architectures);
  throwIfAborted(options);
  const text = await readTextSide(folder, new TextWorker(folder));
  checkVocabulary(text, spec);
  throwIfAborted(options);
  const weights = await openSafetensorsFolder(folder);
  try {
    const storedScheme = checkTensors(spec, weights.tensors, ignoredTensors);
    const bytes = totalBytes(weights);
    options.onProgress?.({ stage: "open", bytesDone: bytes, bytesTotal: bytes });
    throwIfAborted(options);
    return { name: basename(resolve(path)), spec, weights, ...text, storedScheme, ...(generationConfig ? { generationConfig } : {}) };
  } catch (error) {
    await weights.close();
    throw error;
  }
}

async function findFolder(path: string): Promise<string> {
  try {
    const folder = await realpath(path);
    if ((await stat(folder)).isDirectory()) return folder;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : asLoadError(error, "it").message;
    throw new ModelLoadError(`model ${JSON.stringify(path)} ${reason}; give a folder in Hugging Face form or a random: name`, {
      cause: error,
    });
  }
  throw new ModelLoadError(`model ${JSON.stringify(path)} is not a folder; give a folder in Hugging Face form`);
}

interface SpecFiles {
  readonly spec: ModelSpec;
  readonly ignoredTensors: RegExp | undefined;
  readonly generationConfig: GenerationDefaults | undefined;
}

async function readSpec(folder: string, registry: ArchitectureRegistry): Promise<SpecFiles> {
  const config = await readJsonFile(folder, "config.json", MAX_CONFIG_BYTES);
  if (config === undefined) throw new ModelLoadError("the model folder has no config.json");
  const reader = new ConfigReader(config, "config.json");
  const architecture = registry.find(reader);
  const spec = architecture.createSpec(reader);
  const generation = await readJsonFile(folder, "generation_config.json", MAX_CONFIG_BYTES);
  const ignoredTensors = architecture.ignoredTensors;
  if (generation === undefined) return { spec, ignoredTensors, generationConfig: undefined };
  const generationReader = new ConfigReader(generation, "generation_config.json");
  // Its ids win over config.json's: chat models list their end-of-turn token only here.
  const eosTokenIds = generationReader.tokenIds("eos_token_id", spec.vocabSize);
  return {
    spec: eosTokenIds.length > 0 ? { ...spec, eosTokenIds } : spec,
    ignoredTensors,
    generationConfig: readGenerationDefaults(generationReader),
  };
}

/** Sampling settings count only with `do_sample`, as in transformers. */
function readGenerationDefaults(config: ConfigReader): GenerationDefaults {
  const defaults: { -readonly [K in keyof GenerationDefaults]: GenerationDefaults[K] } = {};
  if (config.has("max_new_tokens")) defaults.maxTokens = config.int("max_new_tokens", { min: 1, max: 2 ** 31 - 1 });
  if (config.has("repetition_penalty")) defaults.repetitionPenalty = config.number("repetition_penalty", { min: 1e-3, max: 10 });
  if (!config.boolean("do_sample", false)) return defaults;
  defaults.temperature = config.number("temperature", { min: 0, max: 100 }, 1);
  if (config.has("top_k")) defaults.topK = config.int("top_k", { min: 0, max: 2 ** 24 });
  if (config.has("top_p")) defaults.topP = config.number("top_p", { min: 1e-6, max: 1 });
  if (config.has("min_p")) defaults.minP = config.number("min_p", { min: 0, max: 1 });
  return defaults;
}

function checkVocabulary({ tokenizer }: TextSide, { vocabSize }: ModelSpec): void {
  if (!tokenizer || tokenizer.vocabSize <= vocabSize) return;
  throw new ModelLoadError(`tokenizer.json has ids up to ${tokenizer.vocabSize - 1}; config.json says vocab_size ${vocabSize}`);
}

function totalBytes(weights: WeightSource): number {
  let bytes = 0;
  for (const { byteLength } of weights.tensors.values()) bytes += byteLength;
  return bytes;
}

function throwIfAborted({ signal }: ModelFolderOptions): void {
  if (signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
}
