/** f32 on WebGPU against Hugging Face's logits and greedy tokens, through the engine; also with a kernel of another's. */
import type { WgslAttentionKernel } from "@weir/core";
import { describe, expect, it } from "vitest";
import { relativeError } from "./testing-support/run-kernel.js";
import { findTestGpu, titled } from "./testing-support/test-gpu.js";
import { expectedCases, fixtureFolder } from "./testing-support/test-models.js";
import { tokenEvents, withEngine, type TestEngineOptions } from "./testing-support/webgpu-test-engine.js";
import { pagedWgslAttention, type WebgpuBackendOptions } from "./webgpu-backend.js";

const found = await findTestGpu();
const gpu = found.gpu!;

/** Of the largest logit. */
const TOLERANCE = 1e-3;
/** A step of 5 tokens cuts every prompt but the shortest into chunks. */
const TINY_STEPS = { maxNumSeqs: 4, maxNumBatchedTokens: 5 } as const;

const naive: WgslAttentionKernel = {
  name: "naive",
  backend: "webgpu",
  module: new URL("./testing-support/naive-attention.mjs", import.meta.url).href,
};

describe.skipIf(!found.gpu)(titled("webgpu against Hugging Face", found), () => {
  it.each(["llama", "llama3_rope"])("%s: prompts and decodes of all cases share steps", (name) => expectReference(name, { gpu }));

  it("llama: prompts in chunks of 5", () => expectReference("llama", { gpu }, TINY_STEPS));

  it.each(["llama", "llama3_rope"])("%s: with an attention kernel that was injected", (name) =>
    expectReference(name, { gpu }, { attentionKernel: naive }),
  );

  it("llama_yarn: with the backend's own kernel injected by its URL", () =>
    expectReference("llama_yarn", { gpu }, { attentionKernel: { ...pagedWgslAttention, module: ownKernel } }));

  // 192 bytes more than 100 rows of the embedding: it and the head lie in six buffers, MLPs in four.
  it("llama: weights larger than a binding, split by rows", () =>
    expectReference("llama", { device: () => deviceThatBinds(100 * 96 * 4 + 192) }, { ...TINY_STEPS, numBlocks: 16 }));
});

const ownKernel = new URL("./attention/wgsl-paged-attention.ts", import.meta.url).href;

/** All cases at once. */
function expectReference(name: string, webgpu: WebgpuBackendOptions, options: Partial<TestEngineOptions> = {}): Promise<void> {
  const model = fixtureFolder(name);
  return withEngine({ model, webgpu, quantize: "f32", ...options }, async (engine) => {
    const cases = expectedCases(model);
    const results = await Promise.all(
      cases.map(({ prompt_ids, greedy_ids }) => tokenEvents(engine, prompt_ids, { maxTokens: greedy_ids!.length, fullLogits: true })),
    );
    cases.forEach(({ prompt_ids, greedy_ids, logits_last }, i) => {
      const what = `prompt of ${prompt_ids.length}`;
      expect(relativeError(results[i]![0]!.logits!, logits_last!), what).toBeLessThan(TOLERANCE);
      expect(
        results[i]!.map(({ id }) => id),
        what,
      ).toEqual(greedy_ids);
    });
  });
}

/** A device that says it binds no more than so many bytes; the backend has nothing else to go by. */
async function deviceThatBinds(maxBytes: number): Promise<GPUDevice> {
  const device = await (await gpu.requestAdapter())!.requestDevice();
  const real = device.limits;
  const limits = {
    maxStorageBufferBindingSize: maxBytes,
    maxBufferSize: maxBytes,
    maxComputeWorkgroupStorageSize: real.maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup: real.maxComputeInvocationsPerWorkgroup,
    maxStorageBuffersPerShaderStage: real.maxStorageBuffersPerShaderStage,
  };
  return Object.defineProperty(device, "limits", { value: limits });
}
