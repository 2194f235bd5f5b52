/** EngineOptions, a model and a backend to limits, schemes and a memory plan; nothing is allocated before it agrees. */
import {
  BACKEND_API_VERSION,
  type Backend,
  type KvDtype,
  type LoadedModel,
  type SchedulerConfig,
  type WeightScheme,
} from "../contracts/index.js";
import { InvalidOptionsError } from "../errors/index.js";
import type { EngineOptions } from "./engine-options.js";
import { planMemory, type MemoryPlan } from "./memory-plan.js";

export const DEFAULT_MAX_NUM_SEQS = 64;
export const DEFAULT_MAX_NUM_BATCHED_TOKENS = 512;

export interface EnginePlan {
  readonly weightScheme: WeightScheme;
  readonly kvDtype: KvDtype;
  readonly memory: MemoryPlan;
  readonly schedulerConfig: SchedulerConfig;
}

/**
 * @param availableMemory bytes
 * @throws InvalidOptionsError naming the option, the value, the limit
 */
export function resolveLimits(options: EngineOptions, model: LoadedModel, backend: Backend, availableMemory: number): EnginePlan {
  const { capabilities } = backend;
  if (backend.apiVersion !== BACKEND_API_VERSION) {
    throw new InvalidOptionsError(
      `backend ${backend.name} is made for API version ${backend.apiVersion}, this is ${BACKEND_API_VERSION}; update the older of the two`,
    );
  }
  const weightScheme = chooseWeightScheme(options, model, backend);
  const kvDtype = choose("kvDtype", options.kvDtype, capabilities.kvDtypes, backend);
  const blockSize = choose("blockSize", options.blockSize, capabilities.blockSizes, backend);
  const maxNumSeqs = options.maxNumSeqs ?? DEFAULT_MAX_NUM_SEQS;
  const maxNumBatchedTokens = chooseBatchedTokens(options, maxNumSeqs, backend);
  const maxPrefillChunk = options.maxPrefillChunk ?? maxNumBatchedTokens;
  if (maxPrefillChunk > maxNumBatchedTokens) {
    throw new InvalidOptionsError(`maxPrefillChunk is ${maxPrefillChunk}; it takes at most maxNumBatchedTokens, ${maxNumBatchedTokens}`);
  }
  const memory = planMemory(model.spec, {
    weightScheme,
    kvDtype,
    blockSize,
    maxNumSeqs,
    maxNumBatchedTokens,
    availableMemory,
    ...(options.maxModelLen === undefined ? {} : { maxModelLen: options.maxModelLen }),
    ...(options.kvCacheBytes === undefined ? {} : { kvCacheBytes: options.kvCacheBytes }),
    ...(options.numBlocks === undefined ? {} : { numBlocks: options.numBlocks }),
  });
  return { weightScheme, kvDtype, memory, schedulerConfig: { maxNumSeqs, maxNumBatchedTokens, maxPrefillChunk } };
}

function chooseWeightScheme({ quantize }: EngineOptions, model: LoadedModel, backend: Backend): WeightScheme {
  const { weightSchemes, autoWeightScheme } = backend.capabilities;
  if (quantize === "auto") return autoWeightScheme ?? weightSchemes[0]!;
  if (quantize !== undefined) return choose("quantize", quantize, weightSchemes, backend);
  // 16-bit floats are computed in f32 where they cannot be run as they are.
  const stored = weightSchemes.find((scheme) => scheme === model.storedScheme);
  return stored ?? (weightSchemes.includes("f32") ? "f32" : weightSchemes[0]!);
}

function chooseBatchedTokens(options: EngineOptions, maxNumSeqs: number, backend: Backend): number {
  const most = backend.capabilities.maxBatchedTokens ?? Infinity;
  const wanted =
    options.maxNumBatchedTokens ??
    Math.min(Math.max(backend.capabilities.defaultBatchedTokens ?? DEFAULT_MAX_NUM_BATCHED_TOKENS, maxNumSeqs), most);
  if (wanted > most) {
    throw new InvalidOptionsError(`maxNumBatchedTokens is ${wanted}, but backend ${backend.name} takes at most ${most}`);
  }
  if (wanted < maxNumSeqs) {
    throw new InvalidOptionsError(
      `maxNumBatchedTokens is ${wanted}, less than maxNumSeqs, ${maxNumSeqs}: a step could not decode every stream; raise it or lower maxNumSeqs`,
    );
  }
  return wanted;
}

function choose<T extends string | number>(name: string, value: T | undefined, allowed: readonly T[], backend: Backend): T {
  if (value === undefined) return allowed[0]!;
  if (allowed.includes(value)) return value;
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  throw new InvalidOptionsError(`${name} is ${shown}, but backend ${backend.name} takes ${allowed.join(", ")}`);
}
