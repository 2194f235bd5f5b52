/**
 * From a model and options to a runner: library, device, weights, session, cache, in this order, so that what is missing
 * on the machine is said before weights are converted for minutes. Called by `cudaBackend`.
 */
import {
  AbortedError,
  BackendUnavailableError,
  InvalidOptionsError,
  WeirError,
  type CreateGraphAttention,
  type GraphAttention,
  type LoadModelOptions,
  type ModelSpec,
  type WeightSource,
} from "@weir/core";
import { DeviceRuntime, loadOrtLibrary, prepareGraph, type DeviceRuntimeOptions, type PreparedGraph } from "@weir/ort";
import { pagedAttention } from "./attention/paged-attention-kernel.js";
import type { CudaBackendOptions } from "./cuda-backend.js";
import { DEVICE_HINT, findCudaLibrary } from "./library/cuda-library.js";
import { GraphRunner } from "./runner/graph-runner.js";
import { ModelGraph } from "./runner/model-graph.js";

export type Provider = "cuda" | "webgpu";

export interface LoadGraphRequest {
  readonly spec: ModelSpec;
  readonly weights: WeightSource;
  readonly load: LoadModelOptions;
  readonly provider: Provider;
  readonly options: CudaBackendOptions;
  readonly signal: AbortSignal;
  /** Called when the runner's disposing begins. */
  readonly onDispose: () => void;
}

/** WebGPU: from 32 on another kernel runs, which the shader compilers known today get wrong. */
const MOST_NEW_TOKENS = { cuda: Number.MAX_SAFE_INTEGER, webgpu: 31 } as const;

/** The release that the graph is made for; older ones were not tried. */
const LEAST_VERSION = [1, 30] as const;

/** @throws BackendUnavailableError, ModelLoadError, InvalidOptionsError, AbortedError; nothing native is left then */
export async function loadGraph(request: LoadGraphRequest): Promise<GraphRunner> {
  const { spec, load, provider, signal, onDispose } = request;
  const { limits } = load;
  throwIfAborted(signal);
  const attention = await createAttention(request);
  const device = deviceOptions(request);
  // The graph takes it over; later graphs open one of their own.
  let runtime: DeviceRuntime | undefined = await openDevice(device, provider);
  try {
    throwIfAborted(signal);
    const prepared = await prepare(request, attention);
    const openGraph = async (): Promise<ModelGraph> => {
      const first = runtime;
      runtime = undefined;
      if (first) return ModelGraph.load(first, prepared, { spec, limits }, signal);
      return ModelGraph.load(await openDevice(device, provider), prepared, { spec, limits });
    };
    const { weightBytes } = prepared;
    return await GraphRunner.load({ spec, limits, weightBytes, openGraph, mostNewTokens: MOST_NEW_TOKENS[provider], onDispose });
  } catch (error) {
    runtime?.dispose();
    throw error;
  }
}

async function createAttention({ load, provider }: LoadGraphRequest): Promise<GraphAttention> {
  const { attentionKernel = pagedAttention, limits } = load;
  const { name, backend } = attentionKernel;
  if (backend !== "cuda") {
    throw new InvalidOptionsError(
      `attention kernel '${name}' is for the ${backend} backend; the cuda backend takes one with backend 'cuda'`,
    );
  }
  const module = (await import(attentionKernel.module)) as { readonly createGraphAttention?: CreateGraphAttention };
  if (typeof module.createGraphAttention !== "function") {
    throw new InvalidOptionsError(`attention kernel '${name}': its module exports no createGraphAttention`);
  }
  return module.createGraphAttention({ provider, limits }, attentionKernel.options);
}

function deviceOptions({ provider, options }: LoadGraphRequest): DeviceRuntimeOptions {
  const { deviceId = 0, libraryPath, providerOptions = {} } = options;
  if (provider === "webgpu") return { provider: { name: "WebGPU", options: providerOptions } };
  const found = findCudaLibrary({ libraryPath });
  checkVersion(loadOrtLibrary(found).version, found);
  // The cache is a few large allocations: by default the arena would round each up to a power of two.
  const cuda = { device_id: String(deviceId), arena_extend_strategy: "kSameAsRequested", ...providerOptions };
  return { provider: { name: "CUDA", options: cuda }, deviceId, libraryPath: found };
}

/** @throws BackendUnavailableError */
export function checkVersion(version: string, path: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor >= LEAST_VERSION[1])) return;
  throw new BackendUnavailableError(`${path} is ONNX Runtime ${version}; the cuda backend needs ${LEAST_VERSION.join(".")} or newer`);
}

async function openDevice(device: DeviceRuntimeOptions, provider: Provider): Promise<DeviceRuntime> {
  try {
    return await DeviceRuntime.open(device);
  } catch (error) {
    if (!WeirError.isInstance(error) || error.code !== "backend_unavailable") throw error;
    throw new BackendUnavailableError(`${error.message}; ${provider === "cuda" ? DEVICE_HINT : WEBGPU_HINT}`, { cause: error });
  }
}

const WEBGPU_HINT =
  "the webgpu provider needs a Vulkan, Metal or Direct3D 12 driver with 16-bit floats; on Debian 12 without a GPU install " +
  "mesa-vulkan-drivers and libvulkan1 from bookworm-backports";

function prepare({ spec, weights, load, options, signal }: LoadGraphRequest, attention: GraphAttention): Promise<PreparedGraph> {
  const { limits, onProgress } = load;
  return prepareGraph(spec, weights, {
    attention,
    ...limits,
    maxBlocksPerSeq: Math.ceil(limits.maxModelLen / limits.blockSize),
    signal,
    ...(onProgress ? { onProgress } : {}),
    // A folder that was asked for is the only one.
    ...(options.cacheDir === undefined ? {} : { cacheFolders: [options.cacheDir] }),
  });
}

function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
}
