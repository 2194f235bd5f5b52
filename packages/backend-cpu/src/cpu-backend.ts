/**
 * The embedded default backend: ONNX Runtime for the dense parts, paged attention in WebAssembly,
 * all of it in one worker thread per model.
 */
import { availableParallelism } from "node:os";
import {
  AbortedError,
  BACKEND_API_VERSION,
  builtModule,
  DisposedError,
  InvalidOptionsError,
  type Backend,
  type BackendCapabilities,
  type CpuAttentionKernel,
  type LoadModelOptions,
  type ModelRunner,
  type ModelSpec,
  type Quantizer,
  type WeightSource,
} from "@weir/core";
import { defaultQuantizer } from "@weir/quant";
import { WorkerRunner } from "./runner/worker-runner.js";

export interface CpuBackendOptions {
  /** Threads for the dense parts and for attention, 1 to 256. Default: the machine's cores, as Node counts them. */
  readonly threads?: number;
  /** The folder for prepared weights, and no other. Default: `.weir-cache` beside the model, else the user's cache folder. */
  readonly cacheDir?: string;
  /**
   * JavaScript heap of a model's worker in MiB, 64 to 65,536; weights and KV cache lie outside it. A plug-in that
   * needs more costs a restart of the worker, not the process. Default: V8's own limit.
   */
  readonly workerHeapMb?: number;
}

/** Our own kernel: `createEngine({ attentionKernel })` replaces it. */
export const wasmAttention: CpuAttentionKernel = {
  name: "wasm-paged",
  backend: "cpu",
  module: new URL("./attention/wasm-attention.js", builtModule(import.meta.url)).href,
};

/** A kernel in plain TypeScript with f32 KV: slow, short, and the model for one of your own. */
export const typescriptAttention: CpuAttentionKernel = {
  name: "typescript-paged",
  backend: "cpu",
  module: new URL("./attention/typescript-attention.js", builtModule(import.meta.url)).href,
};

const CAPABILITIES: BackendCapabilities = {
  blockSizes: [16, 32, 64, 128],
  weightSchemes: ["int8", "int4-g128", "int4-g64", "int4-g32", "f32"],
  kvDtypes: ["f32", "int8"],
  // 82 microseconds per row and layer of a 1.1 B shape in int8, against 87 at 512 rows (bench/LOG.md, 2026-11-21).
  defaultBatchedTokens: 256,
  mixedBatches: true,
  sampling: true,
  deterministic: true,
  sharedInput: true,
};

/**
 * @example createEngine({ model: "path/to/model", backend: cpuBackend({ threads: 2 }) })
 * @throws InvalidOptionsError when an option is out of range
 */
export function cpuBackend(options: CpuBackendOptions = {}): Backend {
  const threads = options.threads ?? availableParallelism();
  checkRange("threads", threads, 1, 256);
  if (options.workerHeapMb !== undefined) checkRange("workerHeapMb", options.workerHeapMb, 64, 65_536);
  /** Of runners that are being made or in use. */
  const loads = new Set<Promise<WorkerRunner>>();
  const closing = new AbortController();
  return {
    name: "cpu",
    apiVersion: BACKEND_API_VERSION,
    capabilities: CAPABILITIES,
    async loadModel(spec: ModelSpec, weights: WeightSource, load: LoadModelOptions): Promise<ModelRunner> {
      if (closing.signal.aborted) throw new DisposedError("the cpu backend was disposed; make another");
      if (load.signal?.aborted) throw new AbortedError("loading was aborted before it began");
      const loading: Promise<WorkerRunner> = WorkerRunner.load({
        spec,
        weights,
        quantizer: cpuQuantizer(load),
        kernel: cpuKernel(load),
        threads,
        cacheDir: options.cacheDir,
        workerHeapMb: options.workerHeapMb,
        options: { ...load, signal: load.signal ? AbortSignal.any([load.signal, closing.signal]) : closing.signal },
        onDispose: () => void loads.delete(loading),
      });
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

function checkRange(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new InvalidOptionsError(`cpuBackend: ${name} is ${String(value)}; it takes a whole number from ${least} to ${most}`);
}

function cpuQuantizer({ quantizer, weightScheme }: LoadModelOptions): Quantizer {
  if (!quantizer) return defaultQuantizer(weightScheme);
  if (quantizer.scheme === weightScheme) return quantizer;
  throw new InvalidOptionsError(
    `quantizer '${quantizer.algorithm}' makes ${String(quantizer.scheme)}, but the weights are to be ${weightScheme}; set quantize to the quantizer's scheme`,
  );
}

function cpuKernel({ attentionKernel }: LoadModelOptions): CpuAttentionKernel {
  if (!attentionKernel) return wasmAttention;
  if (attentionKernel.backend === "cpu") return attentionKernel;
  throw new InvalidOptionsError(
    `attention kernel '${attentionKernel.name}' is for the ${attentionKernel.backend} backend; the cpu backend takes one with backend 'cpu'`,
  );
}
