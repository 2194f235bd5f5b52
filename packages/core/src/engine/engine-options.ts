/** EngineOptions: what `createEngine` takes. Checked by `validate-engine-options.ts`, used by `compose.ts`. */
import type {
  AttentionKernel,
  Backend,
  BlockManager,
  ChatTemplate,
  EngineObserver,
  KvDtype,
  LoadedModel,
  LoadProgress,
  ModelLimits,
  ModelSpec,
  Quantizer,
  Sampler,
  Scheduler,
  SchedulerConfig,
  Tokenizer,
  WeightScheme,
} from "../contracts/index.js";
import type { OnError } from "../stream/index.js";

/** What a service factory may build on. Getters: each service is made when first asked for, once per engine. */
export interface EngineServices {
  readonly backend: Backend;
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly schedulerConfig: SchedulerConfig;
  readonly blockManager: BlockManager;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

/** An instance, which stays the caller's, or a factory, whose product the engine disposes. */
export type Provided<T> = T | ((services: EngineServices) => T);

/** An RxJS Subject fits. */
export interface ProgressObserver {
  next(progress: LoadProgress): void;
}

export interface EngineOptions {
  /** A path or name that the platform can open, or a model opened already. */
  readonly model: string | LoadedModel;
  readonly backend: Provided<Backend>;
  /** Default: first come, first served, with continuous batching and chunked prefill. */
  readonly scheduler?: Provided<Scheduler>;
  /** Default: paged, with reference counts and copy-on-write. */
  readonly blockManager?: Provided<BlockManager>;
  /** Samples on the caller's thread from whole rows. Default: sampled with the runner; only ids travel. */
  readonly sampler?: Provided<Sampler>;
  /** Default: the model's. */
  readonly tokenizer?: Provided<Tokenizer>;
  /** Default: the model's. */
  readonly chatTemplate?: Provided<ChatTemplate>;
  /** Makes the `quantize` scheme. Default: the backend's own. */
  readonly quantizer?: Provided<Quantizer>;
  /** Default: the backend's own. */
  readonly attentionKernel?: Provided<AttentionKernel>;

  /** Tokens in a sequence, prompt and output, 1 to the model's positions. Default: those, or what the KV cache holds. */
  readonly maxModelLen?: number;
  /** Sequences in one step, 1 to 4,096. Default 64. */
  readonly maxNumSeqs?: number;
  /** New tokens in one step, maxNumSeqs to 65,536. Default: the backend's, else 512; maxNumSeqs where that is more. */
  readonly maxNumBatchedTokens?: number;
  /** Prompt tokens of one sequence in one step, at most. Default maxNumBatchedTokens. */
  readonly maxPrefillChunk?: number;
  /** Tokens per KV block; one of the backend's. Default: its first. */
  readonly blockSize?: number;
  /** Default: the backend's first. */
  readonly kvDtype?: KvDtype;
  /** Bytes of KV cache. Default: maxNumSeqs full streams, at most half of the free memory. */
  readonly kvCacheBytes?: number;
  /** KV cache in blocks, instead of kvCacheBytes. */
  readonly numBlocks?: number;

  /** Default: the scheme the model is stored in; `auto`: what the backend finds best for speed and memory. */
  readonly quantize?: WeightScheme | "auto";
  /** `f32`: compute with the dequantized weights in f32. Default `auto`: what is fastest. */
  readonly activations?: "auto" | "f32";
  /** Same tokens and logprobs for a request alone and in any batch. Default true. */
  readonly strict?: boolean;

  /** Called synchronously with every engine event. */
  readonly observers?: readonly EngineObserver[];
  /** Told what consumers throw and of request errors nobody handles. Default: console.error. */
  readonly onError?: OnError;
  /** Load progress: bytes by stage. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** The same, for an observer or Subject. */
  readonly progress?: ProgressObserver;
  /** Aborts the load. */
  readonly signal?: AbortSignal;
}
