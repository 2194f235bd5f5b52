/**
 * Backend: what runs a model. Narrow on purpose: load a model, execute steps, copy blocks.
 * The engine knows nothing else of a device; a backend knows nothing of requests.
 */
import type { AttentionKernel } from "./attention-kernel.js";
import type { ModelInput, ModelLimits } from "./model-input.js";
import type { ModelOutput } from "./model-output.js";
import type { ModelSpec } from "./model-spec.js";
import type { Quantizer, WeightScheme } from "./quantizer.js";
import type { WeightSource } from "./weight-source.js";

/** Version of this contract; a backend made for another one is refused. */
export const BACKEND_API_VERSION = 1;

export type KvDtype = "f32" | "f16" | "bf16" | "int8";

export interface BackendCapabilities {
  /** Allowed tokens per block; the first is the default. */
  readonly blockSizes: readonly number[];
  /** The first is the default where the stored scheme cannot be run as it is. */
  readonly weightSchemes: readonly WeightScheme[];
  /** What `quantize: "auto"` chooses for speed and memory. Default: the first of weightSchemes. */
  readonly autoWeightScheme?: WeightScheme;
  /** The first is the default. */
  readonly kvDtypes: readonly KvDtype[];
  /** Largest maxNumBatchedTokens. Default: no limit. */
  readonly maxBatchedTokens?: number;
  /** maxNumBatchedTokens where nobody says: the chunk at which prefill is fastest. Default 512. */
  readonly defaultBatchedTokens?: number;
  /** Prefill chunks and decodes in one step. Default true. */
  readonly mixedBatches?: boolean;
  /** Token trees in one step. Default false. */
  readonly treeAttention?: boolean;
  /** Adapters per row. Default false. */
  readonly adapters?: boolean;
  /** Whether ROW_SAMPLE rows are sampled by the runner. Default true; false: the engine samples from ROW_LOGITS rows. */
  readonly sampling?: boolean;
  /** Step n+1 may be submitted before the ids of step n are back. Default false. */
  readonly overlap?: boolean;
  /** Same bits whatever the batch. Default false. */
  readonly deterministic?: boolean;
  /** The engine must allocate ModelInput's arrays in SharedArrayBuffers. Default false. */
  readonly sharedInput?: boolean;
  /** Threads, memory and kernels found, for `weir doctor`. */
  readonly notes?: readonly string[];
}

export interface LoadProgress {
  readonly stage: "open" | "quantize" | "compile" | "ready";
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface LoadModelOptions {
  readonly limits: ModelLimits;
  readonly kvDtype: KvDtype;
  readonly weightScheme: WeightScheme;
  /** How `weightScheme` is made. Default: the backend's own quantizer for that scheme. */
  readonly quantizer?: Quantizer;
  /** `f32`: compute with the dequantized weights in f32. Default `auto`: what is fastest. */
  readonly activations?: "auto" | "f32";
  /** Same bits for a request alone and in any batch. Default true. */
  readonly strict?: boolean;
  readonly attentionKernel?: AttentionKernel;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

export interface RunnerMemory {
  readonly weightBytes: number;
  /** Reserved for the KV cache. */
  readonly kvReservedBytes: number;
  /** Of these, touched at least once. */
  readonly kvCommittedBytes: number;
}

export interface ModelRunner {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  /**
   * Runs one step: stores the new tokens' keys and values, returns what each row wants.
   * At most one call at a time unless `capabilities.overlap`.
   * @throws EngineRestartedError when the device or worker died; the KV cache is then lost
   */
  execute(input: ModelInput): Promise<ModelOutput>;
  /** Copies whole KV blocks, in order: pairs = [src, dst, src, dst, ...]. Runs before the next execute(). */
  copyBlocks(pairs: Int32Array): Promise<void>;
  /** Bytes of one block over all layers in the layout named by `kvLayout`; for the host tier. */
  readonly blockBytes: number;
  /** Name and version of the layout of readBlocks/writeBlocks, e.g. "cpu-f32-v1". */
  readonly kvLayout: string;
  /** Fills `into` [blockIds.length, blockBytes]. */
  readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void>;
  writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void>;
  memory(): RunnerMemory;
  /** Idempotent. */
  dispose(): Promise<void>;
  /**
   * Called when the runner's worker or device was lost and has been made anew with an empty KV cache.
   * Optional: without it a lost runner stays lost and the engine fails all requests.
   */
  recover?(): Promise<void>;
}

export interface Backend {
  readonly name: string;
  readonly apiVersion: number;
  readonly capabilities: BackendCapabilities;
  /**
   * @throws BackendUnavailableError, InvalidOptionsError (before anything is allocated), ModelLoadError, AbortedError
   */
  loadModel(spec: ModelSpec, weights: WeightSource, options: LoadModelOptions): Promise<ModelRunner>;
  /** Disposes every runner that is left. Idempotent. */
  dispose(): Promise<void>;
}
