import { beforeAll, describe, expect, it } from "vitest";
import { ALWAYS_PARALLEL } from "./testing-support/attention-agreement.js";
import {
  all,
  bits,
  configOf,
  layerOf,
  runStep,
  sequencesOf,
  smallLimits,
  type TestSequence,
} from "./testing-support/attention-fixtures.js";
import { createCpuAttention } from "./wasm-attention.js";

beforeAll(async () => {
  await (await import("./build-kernels.mjs")).buildKernels();
});

describe("blocks", () => {
  it.each(["f32", "int8"] as const)("%s: a copied or restored block attends like the original", async (kvDtype) => {
    const config = configOf([layerOf(), layerOf({ headDim: 16, vHeadDim: 32, numHeads: 3, numKvHeads: 3 })], { kvDtype });
    const kernel = await createCpuAttention(config);
    const [sequence] = sequencesOf(config, [60], 31) as [TestSequence];
    runStep(kernel, config, [{ sequence, start: 0, count: 59 }]);
    const last = { start: 59, count: 1 };
    const expected = bits(runStep(kernel, config, [{ sequence, ...last }]));
    const spare = Array.from({ length: smallLimits.numBlocks }, (_, i) => i).filter((block) => !sequence.blocks.includes(block));
    const copied = { ...sequence, blocks: spare.slice(0, 4) };
    kernel.copyBlocks(Int32Array.from(sequence.blocks.flatMap((block, i) => [block, copied.blocks[i]!])));
    expect(bits(runStep(kernel, config, [{ sequence: copied, ...last }]))).toEqual(expected);
    const restored = { ...sequence, blocks: spare.slice(4, 8) };
    const bytes = new Uint8Array(kernel.blockBytes);
    restored.blocks.forEach((block, i) => {
      kernel.readBlock(sequence.blocks[i]!, bytes);
      kernel.writeBlock(block, bytes);
    });
    expect(bits(runStep(kernel, config, [{ sequence: restored, ...last }]))).toEqual(expected);
    expect(kernel.memory().committedBytes).toBe(12 * kernel.blockBytes);
  });

  it("reports what is reserved and what was touched", async () => {
    const config = configOf([layerOf(), layerOf()]);
    const kernel = await createCpuAttention(config);
    const blockBytes = 2 * 16 * 2 * (64 + 64) * 4;
    expect(kernel.blockBytes).toBe(blockBytes);
    expect(kernel.memory()).toEqual({ reservedBytes: 160 * blockBytes, committedBytes: 0 });
    runStep(kernel, config, sequencesOf(config, [17], 32).map(all));
    expect(kernel.memory().committedBytes).toBe(2 * blockBytes);
  });

  it("addresses caches beyond 2 GiB and beyond one memory, touching only what is used", async () => {
    // 3.5 GiB per layer: two layers need two memories, and high blocks lie past the signed range.
    const limits = { ...smallLimits, numBlocks: 3584 };
    const layer = layerOf({ numHeads: 32, numKvHeads: 32, headDim: 256 });
    const config = configOf([layer, layer], { limits, threads: 2 });
    const kernel = await createCpuAttention(config, ALWAYS_PARALLEL);
    expect(kernel.qkv(0).buffer).not.toBe(kernel.qkv(1).buffer);
    const [sequence] = sequencesOf(config, [20], 33) as [TestSequence];
    const low = runStep(kernel, config, [all({ ...sequence, blocks: [0, 1] })]);
    expect(bits(runStep(kernel, config, [all({ ...sequence, blocks: [3583, 3000] })]))).toEqual(bits(low));
    await kernel.dispose();
  });
});
