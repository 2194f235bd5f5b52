/** Are the backend's options, and what a load asks of it, in range? Throws InvalidOptionsError before anything is done. */
import { InvalidOptionsError, type LoadModelOptions } from "@weir/core";
import type { CudaBackendOptions } from "./cuda-backend.js";

/** @throws InvalidOptionsError naming the option, the value seen and what it takes */
export function checkOptions({
  provider = "cuda",
  deviceId = 0,
  libraryPath,
  providerOptions = {},
}: CudaBackendOptions): "cuda" | "webgpu" {
  if (provider !== "cuda" && provider !== "webgpu") fail("provider", JSON.stringify(provider), "cuda or webgpu");
  const mostDevices = provider === "cuda" ? 255 : 0;
  if (!Number.isInteger(deviceId) || deviceId < 0 || deviceId > mostDevices) {
    fail("deviceId", String(deviceId), provider === "cuda" ? "0 to 255" : "0 with webgpu");
  }
  if (libraryPath !== undefined && (typeof libraryPath !== "string" || libraryPath === "")) {
    fail("libraryPath", JSON.stringify(libraryPath), "a folder or a file");
  }
  for (const [name, value] of Object.entries(providerOptions)) {
    if (typeof value !== "string") fail(`providerOptions.${name}`, String(value), "a string");
  }
  return provider;
}

/** @throws InvalidOptionsError */
export function checkLoad({ weightScheme, kvDtype, quantizer }: LoadModelOptions): void {
  if (weightScheme !== "f16") throw new InvalidOptionsError(`quantize is ${JSON.stringify(weightScheme)}; the cuda backend takes f16`);
  if (kvDtype !== "f16") throw new InvalidOptionsError(`kvDtype is ${JSON.stringify(kvDtype)}; the cuda backend takes f16`);
  if (quantizer) throw new InvalidOptionsError(`quantizer '${quantizer.algorithm}' was given; the cuda backend takes none yet`);
}

function fail(name: string, seen: string | undefined, takes: string): never {
  throw new InvalidOptionsError(`cudaBackend: ${name} is ${seen}; it takes ${takes}`);
}
