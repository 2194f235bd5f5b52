/**
 * The CUDA backend: one ONNX graph per model, attention by com.microsoft.PagedAttention, KV cache on the device, all in
 * f16. The same graph runs through ONNX Runtime's WebGPU provider, which stands in on machines without an NVIDIA GPU.
 */
import {
  BACKEND_API_VERSION,
  DisposedError,
  type Backend,
  type BackendCapabilities,
  type LoadModelOptions,
  type ModelRunner,
  type ModelSpec,
  type WeightSource,
} from "@weir/core";
import { checkLoad, checkOptions } from "./check-options.js";
import { loadGraph } from "./load-graph.js";
import type { GraphRunner } from "./runner/graph-runner.js";

export interface CudaBackendOptions {
  /**
   * Who runs the graph. `cuda`: an NVIDIA GPU. `webgpu`: any adapter with 16-bit floats that ONNX Runtime's WebGPU
   * provider finds, software ones included; for tests and for machines without an NVIDIA GPU. A sequence's new tokens
   * then run 31 at a time (its attention is wrong from 32 on, a fault of the shader compiler), so prefill is slow.
   * Never the CPU. Default "cuda".
   */
  readonly provider?: "cuda" | "webgpu";
  /** Which of several GPUs, from 0. Default 0; `webgpu` has no other. */
  readonly deviceId?: number;
  /**
   * Folder with ONNX Runtime and its CUDA provider side by side, or one of the two files. Default: the environment
   * variable WEIR_CUDA_LIBRARY, else onnxruntime-node's folder, the active Python environment, /usr/local/lib and
   * /opt/onnxruntime/lib. Ignored by `webgpu`, which onnxruntime-node's own library has.
   */
  readonly libraryPath?: string;
  /** Further options of ONNX Runtime's provider, in its own spelling, e.g. { gpu_mem_limit: "8589934592" }. */
  readonly providerOptions?: Readonly<Record<string, string>>;
  /** The folder for prepared weights, and no other. Default: `.weir-cache` beside the model, else the user's cache folder. */
  readonly cacheDir?: string;
}

const COMMON: Omit<BackendCapabilities, "blockSizes"> = {
  weightSchemes: ["f16"],
  kvDtypes: ["f16"],
  mixedBatches: true,
  sampling: true,
};

const CAPABILITIES: Readonly<Record<"cuda" | "webgpu", BackendCapabilities>> = {
  // FlashAttention over the cache needs whole tiles in a block: 256 tokens suit every head size.
  cuda: { ...COMMON, blockSizes: [256, 128, 64, 32, 16] },
  webgpu: { ...COMMON, blockSizes: [16, 32, 64, 128, 256], notes: ["stand-in for CUDA: 31 new tokens of a sequence at a time"] },
};

/**
 * @example createEngine({ model: "path/to/model", backend: cudaBackend() })
 * @throws InvalidOptionsError when an option is wrong; what is missing on the machine is found when a model is loaded
 */
export function cudaBackend(options: CudaBackendOptions = {}): Backend {
  const provider = checkOptions(options);
  /** Of runners that are being made or in use. */
  const loads = new Set<Promise<GraphRunner>>();
  const closing = new AbortController();
  return {
    name: "cuda",
    apiVersion: BACKEND_API_VERSION,
    capabilities: CAPABILITIES[provider],
    async loadModel(spec: ModelSpec, weights: WeightSource, load: LoadModelOptions): Promise<ModelRunner> {
      if (closing.signal.aborted) throw new DisposedError("the cuda backend was disposed; make another");
      checkLoad(load);
      const signal = load.signal ? AbortSignal.any([load.signal, closing.signal]) : closing.signal;
      const onDispose = (): void => void loads.delete(loading);
      const loading: Promise<GraphRunner> = loadGraph({ spec, weights, load, provider, options, signal, onDispose });
      loads.add(loading);
      loading.catch(() => loads.delete(loading));
      return loading;
    },
    async dispose(): Promise<void> {
      closing.abort();
      await Promise.allSettled([...loads].map(async (loading) => (await loading).dispose()));
    },
  };
}
