/**
 * Inside the worker: weights and quantizer as the load request names them. Opened here where a module is named,
 * else stand-ins that ask the caller's thread.
 */
import { InvalidOptionsError, type QuantizedLinear, type Quantizer, type TensorInfo, type WeightSource } from "@weir/core";
import type { LinearQuantizer } from "@weir/ort";
import type { HostCall, QuantizerAccess, WeightsAccess } from "./messages.js";

type HostCaller = (call: HostCall) => Promise<unknown>;

export async function openWeights(access: WeightsAccess, call: HostCaller): Promise<WeightSource> {
  if (access.kind === "locator") {
    const module = (await import(access.locator.module)) as { openWeights(options: unknown): Promise<WeightSource> };
    return module.openWeights(access.locator.options);
  }
  return {
    identity: access.identity,
    tensors: new Map(access.tensors.map((tensor): [string, TensorInfo] => [tensor.name, tensor])),
    async read(name, byteOffset, into) {
      const shared = new Uint8Array(new SharedArrayBuffer(into.byteLength)) as Uint8Array<never>;
      await call({ method: "read-tensor", name, byteOffset, into: shared });
      into.set(shared);
    },
    close: async () => undefined,
  };
}

export async function openQuantizer(access: QuantizerAccess, call: HostCaller): Promise<LinearQuantizer> {
  const { scheme, algorithm, version, module } = access;
  if (!module) return hostQuantizer(access, call);
  const { createQuantizer } = await importPlugIn<{ createQuantizer(options: unknown): Quantizer }>(`quantizer '${algorithm}'`, module.url);
  const quantizer = createQuantizer(module.options);
  if (quantizer.scheme !== scheme) {
    throw new InvalidOptionsError(`quantizer module gave scheme ${quantizer.scheme}; ${scheme} was asked for (${algorithm} ${version})`);
  }
  return quantizer;
}

/** @throws InvalidOptionsError naming the plug-in and its URL when there is no such module, or it fails to load */
export async function importPlugIn<T>(what: string, url: string): Promise<T> {
  try {
    return (await import(url)) as T;
  } catch (cause) {
    throw new InvalidOptionsError(
      `${what}: its module ${url} could not be loaded (${cause instanceof Error ? cause.message : String(cause)})`,
      { cause },
    );
  }
}

function hostQuantizer({ scheme, algorithm, version }: QuantizerAccess, call: HostCaller): LinearQuantizer {
  return {
    scheme,
    algorithm,
    version,
    quantize: async ({ name, outFeatures, inFeatures, weight }, stats) =>
      (await call({ method: "quantize", name, outFeatures, inFeatures, weight, stats })) as QuantizedLinear,
    dequantize: async (linear) => (await call({ method: "dequantize", linear })) as Float32Array,
  };
}
