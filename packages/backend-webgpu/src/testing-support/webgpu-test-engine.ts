/** Engines over the WebGPU backend for tests; a check at the end that nothing was kept. */
import { createEngine, type EngineOptions, type LLMEngine } from "@weir/core";
import { withEngine as useEngine } from "@weir/core/testing";
import { webgpuBackend, type WebgpuBackendOptions } from "../webgpu-backend.js";

export { assertIdle, greedyIds, tokenEvents, type TokenOf } from "@weir/core/testing";

export type TestEngineOptions = Partial<EngineOptions> & { readonly model: string; readonly webgpu: WebgpuBackendOptions };

export function webgpuEngine({ webgpu, ...options }: TestEngineOptions): Promise<LLMEngine> {
  return createEngine({ backend: () => webgpuBackend(webgpu), onError: () => {}, maxNumSeqs: 8, maxModelLen: 128, ...options });
}

export function withEngine<T>(options: TestEngineOptions, use: (engine: LLMEngine) => Promise<T>): Promise<T> {
  return useEngine(webgpuEngine(options), use);
}
