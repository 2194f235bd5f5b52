/**
 * What the caller's thread and the runner's worker say to each other. Plain data: typed arrays travel as
 * SharedArrayBuffers or copies, errors as WireError. Bulk input and output never travel: both sides see the same memory.
 */
import type {
  ActivationStats,
  CpuAttentionKernel,
  KvDtype,
  LoadProgress,
  ModelInput,
  ModelLimits,
  ModelSpec,
  MutableModelOutput,
  QuantizedLinear,
  StepTimings,
  TensorInfo,
  WeightLocator,
  WeightScheme,
  WireError,
} from "@weir/core";

/** How the worker gets at the weights: opens them itself, or asks the caller's thread for byte ranges. */
export type WeightsAccess =
  | { readonly kind: "locator"; readonly locator: WeightLocator }
  | { readonly kind: "host"; readonly identity: string; readonly tensors: readonly TensorInfo[] };

/** How the worker quantizes: with a module of its own, or by asking the caller's thread. */
export interface QuantizerAccess {
  readonly scheme: WeightScheme;
  readonly algorithm: string;
  readonly version: number;
  readonly module?: { readonly url: string; readonly options: unknown };
}

export interface LoadRequest {
  readonly spec: ModelSpec;
  readonly weights: WeightsAccess;
  readonly quantizer: QuantizerAccess;
  readonly limits: ModelLimits;
  readonly kvDtype: KvDtype;
  readonly activations: "auto" | "f32";
  readonly strict: boolean;
  readonly kernel: CpuAttentionKernel;
  readonly threads: number;
  readonly cacheDir: string | undefined;
  /** The memory of the caller's `SessionLedger`. */
  readonly sessions: BigUint64Array;
  /** Written by the worker, read by the caller. */
  readonly output: MutableModelOutput;
}

export interface LoadedReply {
  readonly weightBytes: number;
  readonly blockBytes: number;
  readonly kvLayout: string;
  readonly kvReservedBytes: number;
}

export interface StepReply {
  readonly timings: StepTimings;
  readonly kvCommittedBytes: number;
}

/** Calls into the worker; one reply each. */
export type RunnerCall =
  | { readonly method: "load"; readonly request: LoadRequest }
  | { readonly method: "input"; readonly input: ModelInput }
  | { readonly method: "execute"; readonly numTokens: number; readonly numSeqs: number; readonly numRows: number }
  | { readonly method: "copy-blocks"; readonly pairs: Int32Array }
  | { readonly method: "read-blocks"; readonly blockIds: Int32Array; readonly into: Uint8Array }
  | { readonly method: "write-blocks"; readonly blockIds: Int32Array; readonly from: Uint8Array }
  | { readonly method: "dispose" };

/** Calls from the worker to the caller's thread, for what lives there. */
export type HostCall =
  | { readonly method: "read-tensor"; readonly name: string; readonly byteOffset: number; readonly into: Uint8Array }
  | {
      readonly method: "quantize";
      readonly name: string;
      readonly outFeatures: number;
      readonly inFeatures: number;
      readonly weight: Float32Array;
      readonly stats: ActivationStats | undefined;
    }
  | { readonly method: "dequantize"; readonly linear: QuantizedLinear };

export type ToWorker =
  | { readonly type: "call"; readonly id: number; readonly call: RunnerCall }
  | { readonly type: "abort" }
  | { readonly type: "host-reply"; readonly id: number; readonly value?: unknown; readonly error?: WireError };

export type FromWorker =
  | { readonly type: "reply"; readonly id: number; readonly value?: unknown; readonly error?: WireError }
  | { readonly type: "progress"; readonly progress: LoadProgress }
  | { readonly type: "host-call"; readonly id: number; readonly call: HostCall };
