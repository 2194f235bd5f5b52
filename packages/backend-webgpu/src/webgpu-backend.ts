/**
 * webgpuBackend: models of the Llama family in f32 through WGSL kernels over a paged KV cache, on whatever adapter
 * Dawn (Node) or the browser has. Rows of logits come back once per step and are sampled on the host.
 */
import {
  AbortedError,
  BACKEND_API_VERSION,
  builtModule,
  DisposedError,
  type Backend,
  type BackendCapabilities,
  type LoadModelOptions,
  type ModelRunner,
  type ModelSpec,
  type WeightSource,
  type WgslAttentionKernel,
} from "@weir/core";
import { checkModel } from "./check-model.js";
import { deviceOpener, type DeviceOptions } from "./gpu/open-device.js";
import { WebgpuRunner } from "./webgpu-runner.js";

export type WebgpuBackendOptions = DeviceOptions;

/** Our own kernel as one would inject it; the default. */
export const pagedWgslAttention: WgslAttentionKernel = {
  name: "paged-wgsl",
  backend: "webgpu",
  module: new URL("./attention/wgsl-paged-attention.js", builtModule(import.meta.url)).href,
};

const CAPABILITIES: BackendCapabilities = {
  blockSizes: [16, 8, 32, 64, 128],
  weightSchemes: ["f32"],
  kvDtypes: ["f32"],
  // Workgroups in one dimension of a dispatch.
  maxBatchedTokens: 65_535,
  mixedBatches: true,
  // By the runner, on the host, from mapped memory: rows need no copy.
  sampling: true,
  deterministic: true,
};

/**
 * Nothing is asked of the GPU before a model is loaded.
 * @example createEngine({ model: "path/to/model", backend: webgpuBackend() })
 * @example createEngine({ model, backend: webgpuBackend({ gpu: navigator.gpu }) })
 * @throws InvalidOptionsError when more than one of gpu, adapter and device is given
 */
export function webgpuBackend(options: WebgpuBackendOptions = {}): Backend {
  const open = deviceOpener(options);
  /** Of runners that are being made or in use. */
  const loads = new Set<Promise<WebgpuRunner>>();
  const closing = new AbortController();
  return {
    name: "webgpu",
    apiVersion: BACKEND_API_VERSION,
    capabilities: CAPABILITIES,
    async loadModel(spec: ModelSpec, weights: WeightSource, load: LoadModelOptions): Promise<ModelRunner> {
      if (closing.signal.aborted) throw new DisposedError("the webgpu backend was disposed; make another");
      if (load.signal?.aborted) throw new AbortedError("loading was aborted before it began", { cause: load.signal.reason });
      checkModel(spec, weights, load, CAPABILITIES);
      const signal = load.signal ? AbortSignal.any([load.signal, closing.signal]) : closing.signal;
      const config = { spec, weights, options: { ...load, signal } };
      const loading: Promise<WebgpuRunner> = WebgpuRunner.load(config, open, () => void loads.delete(loading));
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
