/**
 * BoundProgram: dispatches compiled for a device and bound to its buffers, once. A step only encodes them.
 * In: plain data of lowerModel and GpuBuffers. Knows nothing of models.
 */
import { NotSupportedError, type WgslAccess, type WgslStep } from "@weir/core";
import { SHADER_STAGE_COMPUTE } from "../gpu/flags.js";
import type { GpuBuffers } from "../gpu/gpu-buffers.js";
import type { GpuDevice } from "../gpu/gpu-device.js";
import type { Dispatch } from "../kernels/wgsl.js";

interface BoundDispatch {
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: Dispatch["workgroups"];
}

export class BoundProgram {
  readonly #dispatches: readonly BoundDispatch[];

  private constructor(dispatches: readonly BoundDispatch[]) {
    this.#dispatches = dispatches;
  }

  /** @throws NotSupportedError naming the kernel that the device does not take, EngineRestartedError */
  static async compile(gpu: GpuDevice, dispatches: readonly Dispatch[], buffers: GpuBuffers): Promise<BoundProgram> {
    const compiler = new Compiler(gpu);
    const pipelines = await Promise.all(dispatches.map((dispatch) => compiler.pipeline(dispatch)));
    const { result, error } = await gpu.scoped("validation", () =>
      dispatches.map(({ label, bindings, workgroups }, i) => {
        const layout = compiler.layout(bindings);
        const entries = bindings.map(({ buffer }, binding) => ({ binding, resource: { buffer: buffers.get(buffer) } }));
        return { pipeline: pipelines[i]!, bindGroup: gpu.device.createBindGroup({ label, layout, entries }), workgroups };
      }),
    );
    gpu.throwIfFaulty();
    if (error) throw new NotSupportedError(`the GPU does not bind the kernels' buffers: ${error.message}`);
    return new BoundProgram(result);
  }

  /** Puts a step's dispatches into a pass, in order; each sees what those before it wrote. */
  encode(pass: GPUComputePassEncoder, step: WgslStep): void {
    for (const { pipeline, bindGroup, workgroups } of this.#dispatches) {
      const [x, y, z] = workgroups(step);
      if (x * y * z === 0) continue;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(x, y, z);
    }
  }
}

const BINDING_TYPES: Record<WgslAccess, GPUBufferBindingType> = {
  uniform: "uniform",
  read: "read-only-storage",
  "read-write": "storage",
};

/** Pipelines by text, layouts by access: layers of a shape share both. */
class Compiler {
  readonly #gpu: GpuDevice;
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
  }

  layout(bindings: Dispatch["bindings"]): GPUBindGroupLayout {
    const key = bindings.map(({ access }) => access).join();
    const known = this.#layouts.get(key);
    if (known) return known;
    const entries = bindings.map(({ access }, binding) => ({
      binding,
      visibility: SHADER_STAGE_COMPUTE,
      buffer: { type: BINDING_TYPES[access] },
    }));
    const layout = this.#gpu.device.createBindGroupLayout({ entries });
    this.#layouts.set(key, layout);
    return layout;
  }

  pipeline(dispatch: Dispatch): Promise<GPUComputePipeline> {
    const key = `${dispatch.bindings.map(({ access }) => access).join()}\n${dispatch.code}`;
    const known = this.#pipelines.get(key);
    if (known) return known;
    const pipeline = this.#compile(dispatch);
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  async #compile({ label, code, bindings }: Dispatch): Promise<GPUComputePipeline> {
    const { device } = this.#gpu;
    const { result, error } = await this.#gpu.scoped("validation", () => {
      const module = device.createShaderModule({ label, code });
      const layout = device.createPipelineLayout({ bindGroupLayouts: [this.layout(bindings)] });
      return { module, layout };
    });
    this.#gpu.throwIfFaulty();
    if (error) throw new NotSupportedError(`kernel '${label}' does not compile: ${error.message}`);
    const { module, layout } = result;
    try {
      return await device.createComputePipelineAsync({ label, layout, compute: { module, entryPoint: "main" } });
    } catch (error) {
      this.#gpu.throwIfFaulty();
      throw new NotSupportedError(`kernel '${label}' is not taken by this GPU: ${(error as Error).message}`, { cause: error });
    }
  }
}
