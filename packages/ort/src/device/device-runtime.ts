/**
 * DeviceRuntime: what the sessions of one model on one device share: library, environment, execution provider, device
 * memory, and tensors over the host's buffers. In: a provider. Out: sessions and device tensors. Nothing runs on the
 * CPU unnoticed: a node that the provider has no kernel for is an error when its session is made.
 */
import { DisposedError } from "@weir/core";
import { DeviceAllocator, DeviceMemoryInfo, DeviceTensor } from "../capi/device-memory.js";
import type { ExecutionProvider } from "../capi/execution-provider.js";
import { loadOrtLibrary } from "../capi/library.js";
import type { OrtLibrary } from "../capi/library.js";
import { CpuMemoryInfo } from "../capi/memory-info.js";
import { OrtEnv } from "../capi/ort-env.js";
import { Session } from "../capi/session.js";
import type { ElementName } from "../graph/element-type.js";
import { GraphBuilder } from "../graph/graph-builder.js";
import { TensorCache } from "../segments/tensor-cache.js";

export interface DeviceRuntimeOptions {
  readonly provider: ExecutionProvider;
  /** Which of the provider's devices. Default 0. */
  readonly deviceId?: number;
  /** Path of ONNX Runtime's library. Default: the one inside onnxruntime-node. */
  readonly libraryPath?: string;
}

/** ONNX Runtime's name for a provider's memory. */
const MEMORY_NAMES = { CUDA: "Cuda", WebGPU: "WebGPU_Buf" } as const;

export class DeviceRuntime {
  readonly library: OrtLibrary;
  readonly tensors: TensorCache;
  readonly #provider: ExecutionProvider;
  readonly #env: OrtEnv;
  readonly #hostMemory: CpuMemoryInfo;
  readonly #deviceMemory: DeviceMemoryInfo;
  readonly #sessions: Session[] = [];
  readonly #deviceTensors: DeviceTensor[] = [];
  #allocator: DeviceAllocator | undefined;

  /**
   * Also runs the provider once, so that what is missing is not blamed on a model.
   * @throws BackendUnavailableError with ONNX Runtime's reason when the provider or its device cannot be used
   */
  static async open(options: DeviceRuntimeOptions): Promise<DeviceRuntime> {
    const runtime = new DeviceRuntime(options);
    try {
      // Device memory is given out by a session's provider; this one lives as long as the runtime.
      const session = await runtime.#openSession(probeModel(), "", "provider");
      runtime.#allocator = new DeviceAllocator(session, runtime.#deviceMemory);
      return runtime;
    } catch (error) {
      runtime.dispose();
      throw error;
    }
  }

  private constructor({ provider, deviceId = 0, libraryPath }: DeviceRuntimeOptions) {
    this.library = loadOrtLibrary(libraryPath);
    this.#provider = provider;
    this.#env = new OrtEnv(this.library);
    this.#hostMemory = new CpuMemoryInfo(this.library);
    this.#deviceMemory = new DeviceMemoryInfo(this.library, MEMORY_NAMES[provider.name], deviceId);
    this.tensors = new TensorCache(this.library, this.#hostMemory);
  }

  /**
   * Loads a model onto the device, off the event loop. The runtime disposes the session.
   * @param model ONNX model whose external data, if any, lies under `externalDataFolder`
   * @throws ModelLoadError
   */
  openSession(model: Uint8Array, externalDataFolder = ""): Promise<Session> {
    return this.#openSession(model, externalDataFolder, "load");
  }

  /** A tensor on the device, its content undefined. The runtime disposes it. @throws InternalError without room */
  allocate(type: ElementName, shape: readonly number[]): DeviceTensor {
    if (!this.#allocator) throw new DisposedError("this device runtime was disposed");
    const tensor = new DeviceTensor(this.#allocator, type, shape);
    this.#deviceTensors.push(tensor);
    return tensor;
  }

  /** Releases all sessions and tensors; nothing may be running. Idempotent. */
  dispose(): void {
    this.tensors.dispose();
    for (const tensor of this.#deviceTensors.splice(0)) tensor.dispose();
    this.#allocator?.dispose();
    this.#allocator = undefined;
    for (const session of this.#sessions.splice(0).toReversed()) session.dispose();
    this.#deviceMemory.dispose();
    this.#hostMemory.dispose();
    this.#env.dispose();
    this.library.releaseFreedMemory();
  }

  async #openSession(model: Uint8Array, externalDataFolder: string, context: "load" | "provider"): Promise<Session> {
    const options = { provider: this.#provider, ...(externalDataFolder === "" ? {} : { externalDataFolder }) };
    const session = await Session.open(this.#env, model, options, context);
    this.#sessions.push(session);
    return session;
  }
}

function probeModel(): Uint8Array {
  const graph = new GraphBuilder("probe");
  graph.node("Neg", [graph.input("x", "f32", [1])], { outputs: ["y"] });
  return graph.output("y", "f32", [1]).build();
}
