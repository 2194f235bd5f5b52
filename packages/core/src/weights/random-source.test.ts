import { describe, expect, it } from "vitest";
import { modelStats } from "../model/model-stats.js";
import { openRandomModel } from "./random-model.js";
import { openWeights } from "./random-source.js";

describe("random models", () => {
  it("have the sizes that their names say", async () => {
    const llama = await openRandomModel("random:llama-1.1b");
    const stats = modelStats(llama.spec, llama.weights);
    expect(stats.parameters).toBe(1_104_218_112);
    expect(stats.kvBytesPerToken).toBe(16 * 8 * 64 * 2 * 4);
    expect(stats.weightBytes).toBe(stats.parameters * 4);
    const qwen = await openRandomModel("random:qwen2.5-0.5b");
    expect(modelStats(qwen.spec, qwen.weights).parameters).toBe(494_032_768);
    expect(qwen.tokenizer).toBeUndefined();
  });

  it("give the same bytes for a range whoever reads it and how it is cut", async () => {
    const first = await openWeights({ shape: "llama-1.1b" });
    const second = await openWeights({ shape: "llama-1.1b" });
    const name = "model.layers.3.mlp.up_proj.weight";
    const whole = new Uint8Array(4096);
    await first.read(name, 1000, whole);
    for (const [offset, length] of [
      [0, 4096],
      [3, 10],
      [1001, 1],
      [4000, 96],
    ] as const) {
      const part = new Uint8Array(length);
      await second.read(name, 1000 + offset, part);
      expect([...part]).toEqual([...whole.subarray(offset, offset + length)]);
    }
    const other = new Uint8Array(64);
    await first.read("model.layers.4.mlp.up_proj.weight", 1000, other);
    expect([...other]).not.toEqual([...whole.subarray(0, 64)]);
  });

  it("have a deviation of 0.02, a mean of 0, and norms of 1", async () => {
    const weights = await openWeights({ shape: "qwen2.5-0.5b" });
    const values = new Float32Array(200_000);
    await weights.read("model.embed_tokens.weight", 4_000_000, new Uint8Array(values.buffer));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    expect(Math.abs(mean)).toBeLessThan(3e-4);
    expect(deviation).toBeCloseTo(0.02, 3);
    const norm = new Float32Array(4);
    await weights.read("model.norm.weight", 0, new Uint8Array(norm.buffer));
    expect([...norm]).toEqual([1, 1, 1, 1]);
  });

  it("are refused when unknown or read outside of a tensor", async () => {
    await expect(openRandomModel("random:gpt-9")).rejects.toThrow(/no model random:gpt-9; there are random:llama-1.1b/);
    await expect(openRandomModel("random:__proto__")).rejects.toThrow(/no model/);
    const weights = await openWeights({ shape: "llama-1.1b" });
    await expect(weights.read("nothing", 0, new Uint8Array(4))).rejects.toThrow(/not in the weights/);
    await expect(weights.read("model.norm.weight", 2048 * 4 - 3, new Uint8Array(4))).rejects.toThrow(/it has 8192/);
  });
});
