/**
 * Divides layers over WebAssembly memories and gives every table, staging row and cache its address.
 * In: the checked config. Out: one plan per memory; nothing is allocated yet.
 */
import { InvalidOptionsError, type CpuAttentionConfig, type CpuAttentionLayer } from "@weir/core";
import { align, blockLayout, type BlockLayout, type CacheDtype } from "./block-layout.js";
import {
  CONTROL_BYTES,
  ITEM_BYTES,
  LAYER_BYTES,
  MAX_ROWS,
  PLAN_BYTES,
  ROW_BYTES,
  SCRATCH_ROWS,
  STORE_BYTES,
  TILE_TOKENS,
} from "./kernel-abi.js";
import { tokensPerTile } from "./step-plan.js";

export const PAGE_BYTES = 65536;
/** The last page is left out, so that an address past the end is still a u32. */
const MAX_BYTES = 65535 * PAGE_BYTES;

/** Addresses in one memory, in bytes. */
export interface MemoryPlan {
  /** Indices into `config.layers`, consecutive */
  readonly layers: readonly LayerPlan[];
  /** Work lists by head arrangement */
  readonly steps: readonly StepAddresses[];
  /** [maxNumBatchedTokens] i32 */
  readonly positions: number;
  readonly slots: number;
  /** [maxNumSeqs, maxBlocksPerSeq] i32 */
  readonly tables: number;
  readonly maxBlocksPerSeq: number;
  /** [maxModelLen, rotaryDim / 2] f32 per rope; cos, then sin */
  readonly ropes: readonly { readonly cos: number; readonly sin: number }[];
  readonly scratch: number;
  /** Bytes per thread */
  readonly scratchStride: number;
  readonly bytes: number;
}

export interface LayerPlan {
  readonly index: number;
  readonly block: BlockLayout;
  readonly descriptor: number;
  /** Index into `steps` */
  readonly step: number;
  readonly sinks: number;
  readonly qkv: number;
  readonly output: number;
  readonly cache: number;
}

export interface StepAddresses {
  readonly group: number;
  readonly kvHeads: number;
  /** K and V of one kv head over a tile */
  readonly tileBytes: number;
  readonly plan: number;
  readonly items: number;
  readonly stores: number;
  readonly maxTiles: number;
}

/** @throws InvalidOptionsError when one layer's cache does not fit a memory */
export function planMemories(config: CpuAttentionConfig, dtype: CacheDtype): MemoryPlan[] {
  const plans: MemoryPlan[] = [];
  for (let first = 0; first < config.layers.length;) {
    let count = config.layers.length - first;
    let plan = planMemory(config, dtype, first, count);
    // Layers are alike as a rule: the first guess by proportion is right, or nearly.
    while (plan.bytes > MAX_BYTES && count > 1) {
      count = Math.max(1, Math.min(count - 1, Math.ceil((count * MAX_BYTES) / plan.bytes)));
      plan = planMemory(config, dtype, first, count);
    }
    if (plan.bytes > MAX_BYTES) {
      throw new InvalidOptionsError(
        `attention: layer ${first} needs ${plan.bytes} bytes for its cache and buffers; one WebAssembly memory holds ` +
          `${MAX_BYTES}. Lower numBlocks (${config.limits.numBlocks}) or use kvDtype 'int8'`,
      );
    }
    plans.push(plan);
    first += count;
  }
  return plans;
}

function planMemory(config: CpuAttentionConfig, dtype: CacheDtype, first: number, count: number): MemoryPlan {
  const { maxModelLen, maxNumSeqs, maxNumBatchedTokens, blockSize, numBlocks } = config.limits;
  const layers = config.layers.slice(first, first + count);
  let bytes = CONTROL_BYTES;
  const take = (size: number, to = 64): number => {
    const at = align(bytes, to);
    bytes = at + size;
    return at;
  };
  const descriptors = take(count * LAYER_BYTES);
  const maxBlocksPerSeq = Math.ceil(maxModelLen / blockSize);
  const positions = take(maxNumBatchedTokens * 4);
  const slots = take(maxNumBatchedTokens * 4);
  const tables = take(maxNumSeqs * maxBlocksPerSeq * 4);
  const ropes = config.ropes.map(({ rotaryDim }) => {
    const size = maxModelLen * rotaryDim * 2;
    return { cos: take(size), sin: take(size) };
  });
  const scratchStride = align(Math.max(...layers.map(scratchBytes)), 256);
  const scratch = take(scratchStride * config.threads, 256);
  const steps = new Map<string, StepAddresses>();
  for (const layer of layers) {
    const key = arrangementOf(layer);
    if (steps.has(key)) continue;
    const { numHeads, numKvHeads } = layer;
    const group = numHeads / numKvHeads;
    const maxTiles = Math.min(maxNumBatchedTokens, Math.ceil(maxNumBatchedTokens / tokensPerTile(group)) + maxNumSeqs);
    const plan = take(PLAN_BYTES);
    // Heads of a group are taken apart only to reach two items per thread.
    const items = take((maxTiles * numKvHeads + 4 * config.threads) * ITEM_BYTES);
    const tileBytes = (blockLayout(layer, blockSize, dtype).bytes / (numKvHeads * blockSize)) * TILE_TOKENS;
    steps.set(key, { group, kvHeads: numKvHeads, tileBytes, plan, items, stores: take(maxTiles * STORE_BYTES), maxTiles });
  }
  const keys = [...steps.keys()];
  // Layers run one after the other, so those of one shape share their staging rows.
  const staging = new Map<number, number>();
  const stage = (width: number, side: 0 | 1): number => {
    const key = width * 2 + side;
    if (!staging.has(key)) staging.set(key, take(maxNumBatchedTokens * width * 4, 4096));
    return staging.get(key)!;
  };
  const plans = layers.map((layer, i): LayerPlan => {
    const block = blockLayout(layer, blockSize, dtype);
    return {
      index: first + i,
      block,
      descriptor: descriptors + i * LAYER_BYTES,
      step: keys.indexOf(arrangementOf(layer)),
      sinks: layer.sinks ? take(layer.numHeads * 4) : 0,
      qkv: stage(qkvWidth(layer), 0),
      output: stage(layer.numHeads * layer.vHeadDim, 1),
      cache: take(block.bytes * numBlocks, 4096),
    };
  });
  bytes = align(bytes, PAGE_BYTES);
  return { layers: plans, steps: [...steps.values()], positions, slots, tables, maxBlocksPerSeq, ropes, scratch, scratchStride, bytes };
}

/** Layers of the same arrangement follow the same work list. */
function arrangementOf({ numHeads, numKvHeads, headDim, vHeadDim }: CpuAttentionLayer): string {
  return [numHeads, numKvHeads, headDim, vHeadDim].join("/");
}

/** Floats per token in the staging rows. */
export function qkvWidth(layer: CpuAttentionLayer): number {
  return (layer.numHeads + layer.numKvHeads) * layer.headDim + layer.numKvHeads * layer.vHeadDim;
}

function scratchBytes(layer: CpuAttentionLayer): number {
  const rows = Math.max(MAX_ROWS, layer.numHeads / layer.numKvHeads);
  return SCRATCH_ROWS + rows * (ROW_BYTES + (layer.headDim + 2 * layer.vHeadDim) * 4);
}
