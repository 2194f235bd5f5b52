/**
 * WgslAttention: attention over the paged cache as WGSL dispatches. A kernel is a pure function from sizes to data: it
 * holds no device, so the backend may run what it says on any device, and again on another one after a loss.
 * Loaded by the WebGPU backend from a `WgslAttentionKernel`'s module; its own paged kernel is written to this contract.
 */
import type { KvDtype } from "./backend.js";
import type { ModelLimits } from "./model-input.js";

/** One layer's attention, resolved: no tensor names. Causal, without sinks. */
export interface WgslAttentionLayer {
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly scale: number;
  /** Visible keys per query, itself included; 0 = all. */
  readonly window: number;
  /** 0 = off. */
  readonly softcap: number;
  /** Absent: q and k are not rotated. */
  readonly rope?: { readonly rotaryDim: number; readonly interleaved: boolean };
}

export interface WgslAttentionConfig {
  readonly layers: readonly WgslAttentionLayer[];
  readonly limits: ModelLimits;
  readonly kvDtype: KvDtype;
  /** One order of summation whatever the batch or chunk. */
  readonly strict: boolean;
  readonly device: WgslDevice;
}

/** What a kernel may count on. */
export interface WgslDevice {
  /** GPUFeatureName of the device, e.g. "subgroups". */
  readonly features: readonly string[];
  /** Bytes. */
  readonly maxComputeWorkgroupStorageSize: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxStorageBuffersPerShaderStage: number;
}

/**
 * The buffers of a step, by name. Each kernel binds those it reads.
 *
 * - `step`: uniform { numTokens, numSeqs, numRows, maxBlocksPerSeq: u32 }
 * - `tokens`: [numTokens] vec4<i32>: token id, position, slot (block * blockSize + offset, -1 = do not store), sequence
 * - `sequences`: [numSeqs] vec2<i32>: its first token in this step, tokens cached before this step
 * - `blockTables`: [numSeqs, maxBlocksPerSeq] i32
 * - `qkv`: [numTokens, (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim] f32: q heads, k heads, v heads; not rotated yet
 * - `rope`: [maxModelLen, rotaryDim / 2] vec2<f32>: cos, sin of the layer's rotation
 * - `keys`, `values`: the layer's cache, [numBlocks] blocks of the sizes that the kernel asks for; zero at first
 * - `output`: [numTokens, numHeads * vHeadDim] f32, to be written
 * - `scratch`: `scratchBytes` of the kernel's own; holds anything when a step begins
 */
export type WgslBufferName = "step" | "tokens" | "sequences" | "blockTables" | "qkv" | "rope" | "keys" | "values" | "output" | "scratch";

export type WgslAccess = "uniform" | "read" | "read-write";

/** Binding i of group 0 is `bindings[i]`. */
export interface WgslBinding<Name extends string = WgslBufferName> {
  readonly buffer: Name;
  readonly access: WgslAccess;
}

/** Sizes of a step that decide how many workgroups run. */
export interface WgslStep {
  readonly numTokens: number;
  readonly numSeqs: number;
  readonly numRows: number;
}

/** One dispatch of a compute shader; a step runs them in order, each seeing what those before it wrote. */
export interface WgslDispatch<Name extends string = WgslBufferName> {
  /** For error messages and GPU debuggers. */
  readonly label: string;
  /** A whole WGSL module whose entry point is `main`; dispatches with equal text share a pipeline. */
  readonly code: string;
  readonly bindings: readonly WgslBinding<Name>[];
  /** Workgroups in x, y, z; a 0 leaves the dispatch out of the step. Called once per step. */
  readonly workgroups: (step: WgslStep) => readonly [number, number, number];
}

/** A layer's share of the cache, and what runs between its q, k, v projection and its output projection. */
export interface WgslAttentionPlan {
  /** Bytes of one block of `keys` and of `values`, multiples of 16. A block is copied as a whole. */
  readonly keyBlockBytes: number;
  readonly valueBlockBytes: number;
  /** Default 0; shared by all layers. */
  readonly scratchBytes?: number;
  /** Rotate q and k, store k and v at their slots, write the output of all of this step's tokens. */
  readonly dispatches: readonly WgslDispatch[];
}

export interface WgslAttention {
  /** Name and version of the blocks' content; names the runner's `kvLayout`. */
  readonly layout: string;
  plan(layer: number): WgslAttentionPlan;
}

/**
 * `(await import(module)).createWgslAttention(config, options)`. Called once per device (again after a loss), before
 * anything is allocated on it.
 * @throws InvalidOptionsError or NotSupportedError for what the kernel cannot do
 */
export type CreateWgslAttention = (config: WgslAttentionConfig, options?: unknown) => WgslAttention | Promise<WgslAttention>;
