/**
 * Finds a model folder's weight files: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 * In: a folder. Out: a WeightSource. Called by the model folder reader.
 */
import type { WeightSource } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { confinedFile, readJsonFile } from "./confined-file.js";
import { openWeights } from "./safetensors-source.js";

const SINGLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
/** The largest public checkpoints have under 300. */
const MAX_SHARDS = 1024;
const MAX_INDEX_BYTES = 64 * 2 ** 20;

/**
 * @param folder a real path
 * @throws ModelLoadError
 */
export async function openSafetensorsFolder(folder: string): Promise<WeightSource> {
  const index = await readJsonFile(folder, INDEX, MAX_INDEX_BYTES);
  if (index !== undefined) return openShards(folder, index);
  const single = await confinedFile(folder, SINGLE);
  if (!single) throw new ModelLoadError(`the model folder has neither ${SINGLE} nor ${INDEX}; other weight formats are not read`);
  return openWeights({ files: [single.path] });
}

async function openShards(folder: string, index: unknown): Promise<WeightSource> {
  const shardOf = readWeightMap(index);
  const names = [...new Set(shardOf.values())].sort();
  if (names.length === 0 || names.length > MAX_SHARDS) {
    throw new ModelLoadError(`${INDEX} names ${names.length} files; from 1 to ${MAX_SHARDS} are allowed`);
  }
  const files: string[] = [];
  for (const name of names) files.push(await shardPath(folder, name));
  const source = await openWeights({ files });
  try {
    checkAgainstIndex(source, shardOf, new Map(files.map((path, i) => [path, names[i]!])));
    return source;
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Tensor name -> file name. */
function readWeightMap(index: unknown): ReadonlyMap<string, string> {
  const map = (index as { readonly weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw new ModelLoadError(`${INDEX} has no object weight_map`);
  const entries = Object.entries(map);
  for (const [tensor, file] of entries) {
    if (typeof file !== "string") throw new ModelLoadError(`${INDEX}: the file of tensor ${tensor} is not a string`);
  }
  return new Map(entries as [string, string][]);
}

async function shardPath(folder: string, name: string): Promise<string> {
  if (!name.endsWith(".safetensors")) {
    throw new ModelLoadError(`${INDEX} names ${JSON.stringify(name.slice(0, 80))}; shards must end in .safetensors`);
  }
  const file = await confinedFile(folder, name);
  if (!file) throw new ModelLoadError(`${INDEX} names ${name}, which is missing in the model folder`);
  // A shard name comes from the index, so it must not alias a file that lives elsewhere too.
  if (file.links > 1) throw new ModelLoadError(`${name} is a hard link (${file.links} links); copy the file into the model folder`);
  return file.path;
}

function checkAgainstIndex(source: WeightSource, shardOf: ReadonlyMap<string, string>, nameOf: ReadonlyMap<string, string>): void {
  for (const [tensor, file] of shardOf) {
    const found = source.tensors.get(tensor)?.file?.path;
    if (found === undefined) throw new ModelLoadError(`${INDEX} says tensor ${tensor} is in ${file}, but no shard has it`);
    if (nameOf.get(found) !== file) throw new ModelLoadError(`${INDEX} says tensor ${tensor} is in ${file}; it is in ${nameOf.get(found)}`);
  }
  for (const tensor of source.tensors.keys()) {
    if (!shardOf.has(tensor)) throw new ModelLoadError(`tensor ${tensor} is in a shard but not in ${INDEX}`);
  }
}
