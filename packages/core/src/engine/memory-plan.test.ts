import { describe, expect, it } from "vitest";
import { nullModelSpec } from "../testing/null-backend-model.js";
import { formatBytes, planMemory } from "./memory-plan.js";

// One layer, one head of 16: K and V take 2 * 16 elements per token.
const spec = nullModelSpec({ vocabSize: 1000, maxPositions: 4096 });

describe("planMemory", () => {
  it("counts KV bytes per token by dtype; int8 has a scale per token and head", () => {
    const perToken = (["f32", "bf16", "int8"] as const).map((kvDtype) => planMemory(spec, { kvDtype }).kvBytesPerToken);
    expect(perToken).toEqual([128, 64, 32 + 8]);
  });

  it("counts parameters and estimates weight bytes by scheme", () => {
    const dense = 6 * 16 * 16;
    const head = 16 * 1000;
    const embedding = 16 * 1000;
    const norms = 3 * 16;
    expect(planMemory(spec).numParameters).toBe(dense + head + embedding + norms);
    expect(planMemory(spec).weightBytes).toBe(4 * (dense + head + embedding + norms));
    const int8 = planMemory(spec, { weightScheme: "int8" }).weightBytes;
    expect(int8).toBe(dense + head + 4 * (6 * 16 + 1000) + 4 * (embedding + norms));
    // Rows of 16 take one group of 32.
    const int4 = planMemory(spec, { weightScheme: "int4-g32" }).weightBytes;
    expect(int4).toBe((6 * 16 + 1000) * 20 + 4 * (embedding + norms));
  });

  it("plans for maxNumSeqs full streams by default", () => {
    const plan = planMemory(spec, { maxNumSeqs: 3, maxModelLen: 100, blockSize: 16 });
    expect(plan.limits).toEqual({ maxModelLen: 100, maxNumSeqs: 3, maxNumBatchedTokens: 512, blockSize: 16, numBlocks: 21 });
    expect(plan).toMatchObject({ kvCacheBytes: 21 * 16 * 128, numKvTokens: 336, numFullStreams: 3 });
  });

  it("takes at most half of what the weights leave, and then lowers a context nobody asked for", () => {
    const availableMemory = planMemory(spec).weightBytes + 2 * 128 * 320;
    const plan = planMemory(spec, { availableMemory, blockSize: 16 });
    expect(plan.limits).toMatchObject({ numBlocks: 20, maxModelLen: 320 });
    expect(() => planMemory(spec, { availableMemory, maxModelLen: 321 })).toThrow(
      /maxModelLen is 321, which needs 21 KV blocks .* room for 20/,
    );
  });

  it("takes a budget in bytes or in blocks", () => {
    expect(planMemory(spec, { kvCacheBytes: 10 * 16 * 128 + 5, maxModelLen: 50 }).limits.numBlocks).toBe(10);
    expect(planMemory(spec, { numBlocks: 7, kvCacheBytes: 1e9, maxModelLen: 50 }).limits.numBlocks).toBe(7);
  });

  it.each([
    ["a budget too small for one stream", { numBlocks: 3, maxModelLen: 64 }, /needs 4 KV blocks/],
    ["a budget of no block", { kvCacheBytes: 100 }, /room for 0/],
    [
      "a budget beyond the memory",
      { numBlocks: 2 ** 20, availableMemory: 2 ** 30 },
      /needs 2.00 GiB of KV cache .* 1.00 GiB of memory are free; lower numBlocks/,
    ],
    ["more positions than the model has", { maxModelLen: 5000 }, /maxModelLen is 5000, but the model was made for 4096/],
  ])("refuses %s, with the numbers", (_name, options, message) => {
    expect(() => planMemory(spec, options)).toThrow(message);
    expect(() => planMemory(spec, options)).toThrow(expect.objectContaining({ code: "invalid_options" }));
  });

  it("formats bytes for people", () => {
    expect([100, 3 * 2 ** 20, 1.5 * 2 ** 30].map(formatBytes)).toEqual(["1 KiB", "3.0 MiB", "1.50 GiB"]);
  });
});
