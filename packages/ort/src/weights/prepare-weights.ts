/**
 * PreparedWeights for a model: from the source's own files where the layout allows, else from a cache file that is
 * found or made. Safe for several processes at once. Called by `prepareModel`.
 */
import { ModelLoadError } from "@weir/core";
import type { ModelSpec, WeightSource } from "@weir/core";
import { join } from "node:path";
import { CacheFileWriter, openCacheFile } from "./cache-file.js";
import type { CacheIndex } from "./cache-file.js";
import { defaultCacheFolders, isFolderError, makeCacheFolder } from "./cache-folders.js";
import { makeWeights } from "./make-weights.js";
import type { MakeWeightsOptions } from "./make-weights.js";
import type { PreparedLinear, PreparedWeights } from "./prepared-weights.js";
import type { WeightPlan } from "./weight-plan.js";
import { WeightReader } from "./weight-reader.js";

export interface PrepareWeightsOptions extends MakeWeightsOptions {
  /** Folders to look for a cache in and, in this order, to write one to. Default: `defaultCacheFolders(source)`. */
  readonly cacheFolders?: readonly string[];
}

/**
 * @throws ModelLoadError when no folder takes the cache file, AbortedError
 */
export async function prepareWeights(
  spec: ModelSpec,
  source: WeightSource,
  plan: WeightPlan,
  options: PrepareWeightsOptions = {},
): Promise<PreparedWeights> {
  const { inPlace, toMake, makeEmbedding, key } = plan;
  const made = toMake.length > 0 || makeEmbedding ? await findOrMake(spec, source, plan, options) : { key, groups: {} };
  const embedding = made.embedding ?? inPlace.embedding;
  if (!embedding) throw new ModelLoadError(`the weight cache ${plan.fileName} has no embedding; delete it`);
  const { vocabSize, hiddenSize } = spec;
  const head: PreparedLinear = { kind: "dense", outFeatures: vocabSize, inFeatures: hiddenSize, weight: embedding.weight };
  return { embedding, groups: { ...inPlace.groups, ...made.groups, ...(plan.headIsEmbedding ? { head: [head] } : {}) } };
}

async function findOrMake(spec: ModelSpec, source: WeightSource, plan: WeightPlan, options: PrepareWeightsOptions): Promise<CacheIndex> {
  const folders = options.cacheFolders ?? defaultCacheFolders(source);
  for (const folder of folders) {
    const found = await openCacheFile(join(folder, plan.fileName), plan.key);
    if (found) return found;
  }
  const refusals: string[] = [];
  for (const folder of folders) {
    try {
      return await makeIn(folder, spec, source, plan, options);
    } catch (error) {
      if (!isFolderError(error)) throw error;
      refusals.push(`${folder}: ${(error as Error).message}`);
    }
  }
  throw new ModelLoadError(
    `no folder takes the weight cache ${plan.fileName} (${refusals.join("; ")}); free some space or set cacheFolders`,
  );
}

async function makeIn(
  folder: string,
  spec: ModelSpec,
  source: WeightSource,
  plan: WeightPlan,
  options: PrepareWeightsOptions,
): Promise<CacheIndex> {
  await makeCacheFolder(folder);
  const writer = await CacheFileWriter.create(join(folder, plan.fileName));
  try {
    return await writer.finish(await makeWeights(spec, plan, new WeightReader(source), writer, options));
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
