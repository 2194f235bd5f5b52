/** From a ModelSpec and the load options to the attention kernel that runs it: ours, or the module that was injected. */
import {
  InvalidOptionsError,
  type AttentionSpec,
  type CreateWgslAttention,
  type LoadModelOptions,
  type ModelSpec,
  type WgslAttention,
  type WgslAttentionLayer,
} from "@weir/core";
import { createWgslAttention } from "./wgsl-paged-attention.js";

/** @throws InvalidOptionsError, or what the kernel throws */
export async function loadAttention(spec: ModelSpec, options: LoadModelOptions, device: GPUDevice): Promise<WgslAttention> {
  const kernel = options.attentionKernel;
  const { create, own } = kernel?.backend === "webgpu" ? await injected(kernel) : { create: createWgslAttention, own: undefined };
  const { maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup, maxStorageBuffersPerShaderStage } = device.limits;
  return create(
    {
      layers: spec.layers.map(({ attention }) => attentionLayer(attention)),
      limits: options.limits,
      kvDtype: options.kvDtype,
      strict: options.strict ?? true,
      device: {
        features: [...device.features],
        maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup,
        maxStorageBuffersPerShaderStage,
      },
    },
    own,
  );
}

interface InjectedKernel {
  readonly create: CreateWgslAttention;
  readonly own: unknown;
}

async function injected({
  name,
  module,
  options,
}: {
  readonly name: string;
  readonly module: string;
  readonly options?: unknown;
}): Promise<InjectedKernel> {
  let exports: { readonly createWgslAttention?: CreateWgslAttention };
  try {
    exports = (await import(/* @vite-ignore */ module)) as typeof exports;
  } catch (error) {
    throw new InvalidOptionsError(`attention kernel '${name}': ${module} does not load: ${(error as Error).message}`, { cause: error });
  }
  if (typeof exports.createWgslAttention !== "function") {
    throw new InvalidOptionsError(`attention kernel '${name}': ${module} exports no createWgslAttention function`);
  }
  return { create: exports.createWgslAttention, own: options };
}

/** Sizes alone; sinks and full attention have been refused before. */
export function attentionLayer(spec: AttentionSpec): WgslAttentionLayer {
  const { numHeads, numKvHeads, headDim, vHeadDim, scale, window = 0, softcap = 0, rope } = spec;
  const sizes = { numHeads, numKvHeads, headDim, vHeadDim, scale, window, softcap };
  return rope ? { ...sizes, rope: { rotaryDim: rope.rotaryDim, interleaved: rope.interleaved ?? false } } : sizes;
}
