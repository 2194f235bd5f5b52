/**
 * AttentionKernel: turns q, k, v and the block tables of a step into attention output and writes k, v into
 * the paged cache. One token, three sub-contracts by backend; a mismatch is a typed error.
 */
import type { KvDtype } from "./backend.js";
import type { ModelInput, ModelLimits } from "./model-input.js";

export type * from "./graph-attention.js";

/** What a user injects. `backend` names who can run it. */
export type AttentionKernel = CpuAttentionKernel | GraphAttentionKernel | WgslAttentionKernel;

/** Loaded in the CPU runner's worker: `(await import(module)).createCpuAttention(config, options)`. */
export interface CpuAttentionKernel {
  readonly name: string;
  readonly backend: "cpu";
  /** URL of an ES module that exports `createCpuAttention: CreateCpuAttention`. */
  readonly module: string;
  /** Handed to it; structured-cloneable. */
  readonly options?: unknown;
}

/** Emits nodes of the graph (CUDA): `(await import(module)).createGraphAttention(config, options)`, on the caller's thread. */
export interface GraphAttentionKernel {
  readonly name: string;
  readonly backend: "cuda";
  /** URL of an ES module that exports `createGraphAttention: CreateGraphAttention`. */
  readonly module: string;
  /** Handed to it. */
  readonly options?: unknown;
}

/** Emits dispatches (WebGPU): `(await import(module)).createWgslAttention(config, options)`. */
export interface WgslAttentionKernel {
  readonly name: string;
  readonly backend: "webgpu";
  /** URL of an ES module that exports `createWgslAttention: CreateWgslAttention`. */
  readonly module: string;
  /** Handed to it; structured-cloneable. */
  readonly options?: unknown;
}

/** One layer's attention, resolved: no tensor names. */
export interface CpuAttentionLayer {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly scale: number;
  /** Visible keys per query, itself included; 0 = all. */
  readonly window: number;
  /** 0 = off. */
  readonly softcap: number;
  /** [numHeads] f32 or absent */
  readonly sinks?: Float32Array;
  /** Index into `CpuAttentionConfig.ropes`, -1 = none. */
  readonly rope: number;
}

/** cos and sin per position, to be applied to q and k before they are used or stored. */
export interface RopeTable {
  readonly rotaryDim: number;
  readonly interleaved: boolean;
  /** [maxModelLen, rotaryDim / 2] f32 */
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

export interface CpuAttentionConfig {
  readonly layers: readonly CpuAttentionLayer[];
  readonly ropes: readonly RopeTable[];
  readonly limits: ModelLimits;
  readonly kvDtype: KvDtype;
  /** Threads that may work at once, the calling one included. */
  readonly threads: number;
  /** One order of summation whatever the batch, chunk or thread count. */
  readonly strict: boolean;
}

export type CreateCpuAttention = (config: CpuAttentionConfig, options?: unknown) => Promise<CpuAttention>;

/**
 * Attention over the paged cache of one model, in the runner's worker. Calls are synchronous.
 * The runtime writes q, k, v straight into `qkv(layer)` and reads `output(layer)`: both lie in shared memory
 * at fixed addresses for the kernel's life.
 */
export interface CpuAttention {
  /** [maxNumBatchedTokens, (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim] f32: q heads, k heads, v heads of each token */
  qkv(layer: number): Float32Array;
  /** [maxNumBatchedTokens, numHeads * vHeadDim] f32 */
  output(layer: number): Float32Array;
  /** Called once per step, before its layers; reads block tables, lengths, positions and slots of `input`. */
  begin(input: ModelInput): void;
  /** Rotates q and k, stores k and v at slotMapping, writes the output rows of this step's tokens. */
  run(layer: number): void;
  /** pairs = [src, dst, ...] of whole blocks, all layers, in order. */
  copyBlocks(pairs: Int32Array): void;
  /** Bytes of one block over all layers as readBlock gives it. */
  readonly blockBytes: number;
  readonly layout: string;
  readBlock(block: number, into: Uint8Array): void;
  writeBlock(block: number, from: Uint8Array): void;
  memory(): { readonly reservedBytes: number; readonly committedBytes: number };
  dispose(): Promise<void>;
}
