import { describe, expect, it } from "vitest";
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine } from "@weir/core";
import { DEMO_MODEL } from "../model-argument.js";
import { LLAMA, runMain } from "../testing/run-main.js";

async function inspect(...args: string[]): Promise<Record<string, unknown> & { plan: Record<string, unknown> }> {
  const { code, stdout, stderr } = await runMain("inspect", ...args, "--json");
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout) as Record<string, unknown> & { plan: Record<string, unknown> };
}

describe("weir inspect", () => {
  it("describes the model and the bytes of a token", async () => {
    const { plan: _, ...model } = await inspect(LLAMA);
    expect(model).toEqual({
      model: "llama",
      architecture: "llama",
      parameters: expect.any(Number),
      layers: 3,
      hidden_size: 96,
      heads: 6,
      kv_heads: 2,
      head_dim: 16,
      vocab_size: 512,
      context: 512,
      stored_dtype: "f32",
      tokenizer: false,
      chat_template: false,
      // layers x KV heads x (K and V) x head size x bytes; int8 has a scale per token and head.
      kv_bytes_per_token: { f32: 3 * 2 * 2 * 16 * 4, int8: 3 * 2 * 2 * (16 + 4) },
    });
  });

  it("plans what an engine with the same limits gets", async () => {
    const limits = { maxModelLen: 300, maxNumSeqs: 5, blockSize: 32, quantize: "int8", kvDtype: "int8" } as const;
    const { plan } = await inspect(
      "--max-model-len",
      "300",
      "--max-num-seqs",
      "5",
      "--block-size",
      "32",
      "--quantize",
      "int8",
      "--kv-dtype",
      "int8",
    );
    const engine = await createEngine({ model: DEMO_MODEL, backend: cpuBackend(), ...limits });
    const { memory } = engine.info;
    await engine.dispose();
    expect(plan).toEqual({
      backend: "cpu",
      weight_scheme: "int8",
      weight_bytes: memory.weightBytes,
      kv_dtype: "int8",
      kv_cache_bytes: memory.kvCacheBytes,
      block_size: 32,
      num_blocks: memory.limits.numBlocks,
      max_model_len: 300,
      tokens: memory.numKvTokens,
      full_streams: 5,
      streams_of_256: Math.floor(memory.limits.numBlocks / 8),
    });
  });

  it("needs no weights: it plans a 1.1 B shape at once", async () => {
    const start = performance.now();
    const { parameters, plan } = await inspect("random:llama-1.1b", "--quantize", "int4-g128", "--kv-cache-mb", "256");
    expect(parameters).toBe(1_104_218_112);
    expect(plan["kv_cache_bytes"]).toBeLessThanOrEqual(256 * 2 ** 20);
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it("prints a table for people", async () => {
    const { code, stdout } = await runMain("inspect");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^model +tiny-shakespeare\n/);
    expect(stdout).toMatch(/^parameters +5\.2 M$/m);
    expect(stdout).toMatch(/^plan: weights +f32 on cpu, 20\.0 MiB$/m);
  });
});
