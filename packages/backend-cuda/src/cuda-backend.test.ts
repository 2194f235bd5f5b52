/** Options, and what a machine without CUDA is told. Nothing here needs a device. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine, planMemory, type AttentionKernel, type EngineOptions, type LLMEngine, type Quantizer } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { afterAll, describe, expect, it } from "vitest";
import { pagedAttention } from "./attention/paged-attention-kernel.js";
import { cudaBackend, type CudaBackendOptions } from "./cuda-backend.js";
import { checkVersion } from "./load-graph.js";
import { fixtureFolder } from "./testing-support/test-models.js";

const ROOT = mkdtempSync(join(tmpdir(), "weir-cuda-backend-"));
afterAll(() => rmSync(ROOT, { recursive: true }));

describe("cudaBackend", () => {
  it.each([
    ["provider", { provider: "rocm" as "cuda" }],
    ["deviceId", { deviceId: -1 }],
    ["deviceId", { deviceId: 0.5 }],
    ["deviceId", { provider: "webgpu" as const, deviceId: 1 }],
    ["libraryPath", { libraryPath: "" }],
    ["providerOptions.gpu_mem_limit", { providerOptions: { gpu_mem_limit: 5 as unknown as string } }],
  ])("refuses a wrong %s: %j", (name, options) => {
    expect(() => cudaBackend(options)).toThrow(
      expect.objectContaining({ code: "invalid_options", message: expect.stringContaining(name) }),
    );
  });

  it("defaults to blocks that FlashAttention can use; the stand-in to small ones", () => {
    expect(cudaBackend().capabilities.blockSizes[0]).toBe(256);
    expect(cudaBackend({ provider: "webgpu" }).capabilities.blockSizes[0]).toBe(16);
  });

  it("is planned for with two bytes per weight, a tied head counted once", async () => {
    const { spec, weights } = await openModelFolder(fixtureFolder("llama"));
    const plan = planMemory(spec, { weightScheme: "f16", kvDtype: "f16" });
    expect(plan.weightBytes).toBe(plan.numParameters * 2);
    expect(plan.kvBytesPerToken).toBe(3 * 2 * (2 * 16) * 2);
    await weights.close();
  });

  it("without a CUDA provider fails to load, naming the steps, and makes no weights", async () => {
    const cacheDir = join(ROOT, "cache");
    const loading = makeEngine({}, { libraryPath: join(ROOT, "nowhere"), cacheDir });
    await expect(loading).rejects.toMatchObject({
      code: "backend_unavailable",
      message: expect.stringMatching(/nowhere \(no such folder\).*Install an NVIDIA driver.*onnxruntime-gpu/),
    });
    expect(() => rmSync(cacheDir)).toThrow(/ENOENT/);
  });

  it("with files that are no libraries fails with the loader's reason", async () => {
    const folder = join(ROOT, "fake");
    mkdirSync(folder);
    for (const name of ["libonnxruntime.so", "libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"]) {
      writeFileSync(join(folder, name), "not a library");
    }
    await expect(makeEngine({}, { libraryPath: folder })).rejects.toMatchObject({
      code: "backend_unavailable",
      message: expect.stringMatching(/ONNX Runtime cannot be loaded/),
    });
  });

  it.each([
    ["quantize", { quantize: "int8" }, /quantize is "int8", but backend cuda takes f16/],
    ["kvDtype", { kvDtype: "int8" }, /kvDtype is "int8", but backend cuda takes f16/],
    [
      "quantizer",
      { quantizer: { algorithm: "mine", quantize: () => {}, dequantize: () => {} } as unknown as Quantizer },
      /quantizer 'mine'/,
    ],
    ["attentionKernel", { attentionKernel: { name: "k", backend: "cpu", module: "" } as AttentionKernel }, /'k' is for the cpu backend/],
    [
      "attentionKernel",
      { attentionKernel: { ...pagedAttention, name: "empty", module: "data:text/javascript,export{}" } },
      /'empty': its module exports no createGraphAttention/,
    ],
  ] as [string, Partial<EngineOptions>, RegExp][])("refuses a %s that it cannot use", async (_, options, message) => {
    await expect(makeEngine(options, { provider: "webgpu", cacheDir: ROOT })).rejects.toMatchObject({
      code: "invalid_options",
      message: expect.stringMatching(message),
    });
  });

  it("needs the release that the graph is made for, or a newer one", () => {
    checkVersion("1.30.0", "x");
    checkVersion("2.0.1", "x");
    const refused = expect.objectContaining({ code: "backend_unavailable", message: expect.stringMatching(/x is ONNX Runtime 1\.29\.1/) });
    expect(() => checkVersion("1.29.1", "x")).toThrow(refused);
  });

  it("refuses loads once disposed", async () => {
    const backend = cudaBackend({ provider: "webgpu" });
    await backend.dispose();
    await expect(createEngine({ model: fixtureFolder("llama"), backend })).rejects.toMatchObject({ code: "disposed" });
  });
});

function makeEngine(options: Partial<EngineOptions>, backend: CudaBackendOptions): Promise<LLMEngine> {
  return createEngine({ model: fixtureFolder("llama"), maxModelLen: 64, numBlocks: 8, ...options, backend: () => cudaBackend(backend) });
}
