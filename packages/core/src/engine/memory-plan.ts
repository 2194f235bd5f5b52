/**
 * planMemory: what a model will need before anything is allocated: bytes per token of KV cache, bytes of weights
 * per scheme, blocks for a budget, and how many streams of which length that holds. Reads the ModelSpec alone,
 * so `weir inspect` needs only a model's header. Called by createEngine for its limits.
 */
import type { KvDtype, LayerSpec, LinearSpec, ModelLimits, ModelSpec, WeightScheme } from "../contracts/index.js";
import { InvalidOptionsError } from "../errors/index.js";
import { kvBytesPerToken } from "../model/model-stats.js";
import { specTensors } from "../model/spec-tensors.js";

export interface MemoryPlanOptions {
  /** Default "f32". */
  readonly weightScheme?: WeightScheme;
  /** Default "f32". */
  readonly kvDtype?: KvDtype;
  /** Default 16. */
  readonly blockSize?: number;
  /** Default: the model's positions, fewer when the budget holds fewer. */
  readonly maxModelLen?: number;
  /** Default 64. */
  readonly maxNumSeqs?: number;
  /** Default 512. */
  readonly maxNumBatchedTokens?: number;
  /** Bytes for the KV cache. Default: enough for maxNumSeqs full streams, at most half of the free memory. */
  readonly kvCacheBytes?: number;
  /** The same in blocks; wins over kvCacheBytes. */
  readonly numBlocks?: number;
  /** Free memory of the device, bytes. Default: no limit. */
  readonly availableMemory?: number;
}

export interface MemoryPlan {
  /** Tied weights counted once. */
  readonly numParameters: number;
  readonly weightScheme: WeightScheme;
  /** Estimate: dense layers in the scheme, embeddings and norms in f32 (f16 with it). */
  readonly weightBytes: number;
  readonly kvDtype: KvDtype;
  readonly kvBytesPerToken: number;
  readonly kvBytesPerBlock: number;
  /** Reserved; pages never touched cost nothing where the backend can arrange that. */
  readonly kvCacheBytes: number;
  /** Tokens of all streams together. */
  readonly numKvTokens: number;
  /** Streams of full maxModelLen that fit at once. */
  readonly numFullStreams: number;
  readonly limits: ModelLimits;
}

/** Share of the memory left by the weights that an unasked-for KV cache may take. */
const KV_MEMORY_SHARE = 0.5;

/** @throws InvalidOptionsError with the numbers, when the plan holds no full stream or exceeds the memory */
export function planMemory(spec: ModelSpec, options: MemoryPlanOptions = {}): MemoryPlan {
  const { weightScheme = "f32", kvDtype = "f32", blockSize = 16, maxNumSeqs = 64, maxNumBatchedTokens = 512 } = options;
  const weightBytes = countWeightBytes(spec, weightScheme);
  const tokenBytes = kvBytesPerToken(spec, kvDtype);
  const kvBytesPerBlock = tokenBytes * blockSize;
  const wantedLen = checkedModelLen(spec, options);
  const numBlocks = chooseNumBlocks(options, { wantedLen, blockSize, maxNumSeqs, kvBytesPerBlock, weightBytes });
  const maxModelLen = options.maxModelLen ?? Math.min(wantedLen, numBlocks * blockSize);
  const blocksPerStream = Math.ceil(maxModelLen / blockSize);
  if (numBlocks < blocksPerStream || numBlocks < 1) {
    throw new InvalidOptionsError(
      `maxModelLen is ${maxModelLen}, which needs ${blocksPerStream} KV blocks of ${blockSize} tokens ` +
        `(${formatBytes(blocksPerStream * kvBytesPerBlock)}), but there is room for ${numBlocks} ` +
        `(${formatBytes(numBlocks * kvBytesPerBlock)}); lower maxModelLen, raise kvCacheBytes or choose a smaller kvDtype`,
    );
  }
  return {
    numParameters: countParameters(spec),
    weightScheme,
    weightBytes,
    kvDtype,
    kvBytesPerToken: tokenBytes,
    kvBytesPerBlock,
    kvCacheBytes: numBlocks * kvBytesPerBlock,
    numKvTokens: numBlocks * blockSize,
    numFullStreams: Math.floor(numBlocks / blocksPerStream),
    limits: { maxModelLen, maxNumSeqs, maxNumBatchedTokens, blockSize, numBlocks },
  };
}

/** "1.5 GiB" */
export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${Math.ceil(bytes / 1024)} KiB`;
}

function checkedModelLen(spec: ModelSpec, { maxModelLen }: MemoryPlanOptions): number {
  if (maxModelLen !== undefined && maxModelLen > spec.maxPositions) {
    throw new InvalidOptionsError(
      `maxModelLen is ${maxModelLen}, but the model was made for ${spec.maxPositions} positions; lower maxModelLen`,
    );
  }
  return maxModelLen ?? spec.maxPositions;
}

interface PlanSizes {
  readonly wantedLen: number;
  readonly blockSize: number;
  readonly maxNumSeqs: number;
  readonly kvBytesPerBlock: number;
  readonly weightBytes: number;
}

function chooseNumBlocks(options: MemoryPlanOptions, sizes: PlanSizes): number {
  const { kvBytesPerBlock, weightBytes } = sizes;
  const available = options.availableMemory ?? Infinity;
  const wanted = sizes.maxNumSeqs * Math.ceil(sizes.wantedLen / sizes.blockSize);
  if (options.numBlocks === undefined && options.kvCacheBytes === undefined) {
    // Weights that nearly fill the memory are read through the page cache: leave the KV cache a part all the same.
    const budget = Math.max(available - weightBytes, available / 4) * KV_MEMORY_SHARE;
    return Math.min(wanted, Math.floor(budget / kvBytesPerBlock));
  }
  const numBlocks = options.numBlocks ?? Math.floor(options.kvCacheBytes! / kvBytesPerBlock);
  if (numBlocks * kvBytesPerBlock + weightBytes > available) {
    throw new InvalidOptionsError(
      `the plan needs ${formatBytes(numBlocks * kvBytesPerBlock)} of KV cache (${numBlocks} blocks) and ` +
        `${formatBytes(weightBytes)} of weights, but ${formatBytes(available)} of memory are free; ` +
        `lower ${options.numBlocks === undefined ? "kvCacheBytes" : "numBlocks"} or choose a smaller weight scheme`,
    );
  }
  return numBlocks;
}

function countWeightBytes(spec: ModelSpec, scheme: WeightScheme): number {
  let bytes = 0;
  for (const { kind, shape } of specTensors(spec).values()) if (kind !== "linear") bytes += product(shape) * (scheme === "f16" ? 2 : 4);
  for (const linear of spec.layers.flatMap(layerLinears)) bytes += linearBytes(linear, scheme);
  // As floats a tied head is the embedding; in other schemes it is a copy of its own.
  return bytes + (spec.head.tied && (scheme === "f32" || scheme === "f16") ? 0 : linearBytes(spec.head.linear, scheme));
}

function layerLinears({ attention, mlp }: LayerSpec): LinearSpec[] {
  const { q, k, v, o } = attention;
  return [q, k, v, o, ...(mlp.gate ? [mlp.gate] : []), mlp.up, mlp.down];
}

function linearBytes({ inFeatures, outFeatures }: LinearSpec, scheme: WeightScheme): number {
  if (scheme === "f32") return inFeatures * outFeatures * 4;
  if (scheme === "f16") return inFeatures * outFeatures * 2;
  if (scheme === "int8") return inFeatures * outFeatures + outFeatures * 4;
  const groupSize = Number(scheme.slice("int4-g".length));
  return outFeatures * Math.ceil(inFeatures / groupSize) * (groupSize / 2 + 4);
}

function countParameters(spec: ModelSpec): number {
  let count = 0;
  for (const { shape } of specTensors(spec).values()) count += product(shape);
  return count;
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}
